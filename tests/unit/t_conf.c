#include "t_conf.h"

#include "conf_row.h"

#define ROW_OF struct t_link
static const struct conf_row link_rows[] = {
TEXT("path", path, "/dev/ttyACM0", CONF_REQUIRED, "device, or path of a socket"),
INT ("baud", baud, "115200", 300, 4000000, "baud", 0, "speed of the line"),
TEXT("psk",  psk, "", CONF_SECRET, "key of the link | of this device"),
CONF_END
};
#undef ROW_OF

#define ROW_OF struct t_line
static const struct conf_row line_rows[] = {
TEXT ("listen",    listen, "127.0.0.1:8094", 0, "address"),
TEXTS("tags",      tags, n_tags, "[site]", 0, "tags that are kept"),
TIME ("idle.wait", wait_s, "30s", 1, 3600, 0, "close after so long a silence"),
CONF_END
};
#undef ROW_OF

static const struct conf_row no_rows[] = { CONF_END };
static const struct conf_driver link_driver = { "link", "a device", link_rows };
static const struct conf_driver line_driver = { "line", "InfluxDB line protocol", line_rows };
static const struct conf_driver bare_driver = { "bare", "nothing to set", no_rows };
const struct conf_driver *const t_drivers[] = { &line_driver, &link_driver, &bare_driver, NULL };

const char t_conf_good[] =
	"sources:\n"
	"  - baud: 9600                  # type may stand anywhere\n"
	"    psk: \"open sesame\"\n"
	"    name: pump\n"
	"    type: link\n"
	"    path: /dev/ttyACM1\n"
	"  - {name: gate, type: line, tags: [site, room], idle: {wait: 1.5min}}\n"
	"streams:\n"
	"  - name: vib\n"
	"    source: pump\n"
	"    period: 10ms\n"
	"    channels: [ax, ay, \"S{01..16}_DR\"]\n"
	"  - name: gas\n"
	"    source: gate\n"
	"    channels:\n"
	"      - name: f{1..17}\n"
	"        unit: kOhm\n"
	"        scale: 0.01\n"
	"        max: 670000\n"
	"      - last\n"
	"models:\n"
	"  - name: state\n"
	"    streams: gas\n"
	"    classes: [idle, normal, \"worn out\"]\n"
	"    network: [dense 16, relu, dense 3]\n"
	"    window: 8\n"
	"    train: {epochs: 5, seed: 9007199254740991, memory_max: 1.5MB}\n"
	"    policy:\n"
	"      mode: advise\n"
	"devices:\n"
	"  - {name: d-1, uid: 00A1B2C3D4E5F607, source: pump, stream: vib, model: state}\n";
