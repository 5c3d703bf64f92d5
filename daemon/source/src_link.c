/* A device behind a serial line, pty, TCP or unix socket, or an MQTT broker: `type: link`.
 *
 * One descriptor and one uv_poll for all of them.  Bytes in: frames by hd_rx; SAMPLES become frames
 * of the stream of the device that names this source, all else goes to on_message.  Bytes out: a
 * ring of encoded frames that the transport takes at the line's pace. */
#include "src_link.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "link_port.h"

enum { BEAT_MS = 1000 };
static const double retry_min_s = 0.2, retry_max_s = 5;

_Static_assert(sizeof(struct link_settings) <= CONF_DRIVER_BYTES, "settings fit");

static const char *const tls_versions[] = { "1.2", "1.3", NULL };

#define ROW_OF struct link_settings
static const struct conf_row rows[] = {
	TEXT("port", port, "/dev/ttyACM0", CONF_REQUIRED,
	     "serial line (may be a pattern: the first that has the device), tcp:host:port, "
	     "unix:/path or mqtt:host:port"),
	INT("baud", baud, "115200", 1200, 4000000, "baud", 0, "rate of a serial line"),
	TEXT("prefix", prefix, "honed", 0, "mqtt: topics are PREFIX/UID/up and PREFIX/UID/down"),
	INT("qos", qos, "0", 0, 1, "", 0, "mqtt: quality of service; repeats are our own either way"),
	TEXT("user", user, "", 0, "mqtt: user name, empty for none"),
	TEXT("password", password, "", CONF_SECRET, "mqtt: password of the user"),
	TEXT("ca_file", ca_file, "", 0,
	     "mqtt: PEM file of the authorities that may sign the broker's certificate; set = TLS"),
	TEXT("cert_file", cert_file, "", 0,
	     "mqtt: PEM file of our own certificate, where the broker wants one"),
	TEXT("key_file", key_file, "", 0, "mqtt: PEM file of its private key, without a pass phrase"),
	ENUM("tls_min", tls_min, "1.2", tls_versions, 0, "mqtt: oldest version of TLS"),
	BOOL("tls_any_name", tls_any_name, "false", 0,
	     "mqtt: take a certificate for any host: only with an authority that is yours alone"),
	REAL("energy_per_byte", byte_uj, "0", 0, 1000000, "uJ", 0,
	     "what a byte on the link costs the device, for the account; 0 = not known"),
	CONF_END
};
#undef ROW_OF

/* --- down ------------------------------------------------------------------------------------- */

static void on_poll_closed(uv_handle_t *h)
{
	struct source *s = h->data;
	struct link_state *st = s->state;

	st->polling = false;
	source_unref(s);
}

static void port_release(struct link_state *st)
{
	if (st->polling && !uv_is_closing((uv_handle_t *)&st->poll))
		uv_close((uv_handle_t *)&st->poll, on_poll_closed);     /* stops polling at once */
	if (st->fd >= 0)
		st->how->close(st);
	st->fd = -1;
	st->connecting = false;
	st->head = st->len = st->sent = 0;
}

static void on_retry(uv_timer_t *h);

static void link_down(struct source *s, const char *why)
{
	struct link_state *st = s->state;
	bool was_up = st->up;
	uint64_t wait_ms;

	st->up = false;
	port_release(st);
	wait_ms = source_outage(s, retry_min_s, retry_max_s, why);
	(void)uv_timer_start(&st->retry, on_retry, wait_ms, 0);
	if (was_up)
		s->all->hooks.on_link(s->all->hooks.ctx, s->index, false);
}

/* --- in --------------------------------------------------------------------------------------- */

static void traffic_add(struct link_state *st, enum hn_way way, uint8_t type, size_t len)
{
	const uint64_t before = hn_account_bytes(&st->account, way);

	hn_account_add(&st->account, way, type, len);
	metric_add(st->m_traffic[way], (double)(hn_account_bytes(&st->account, way) - before));
}

static void frame_take(struct source *s, const struct hd_frame *f)
{
	struct link_state *st = s->state;

	s->backoff_s = 0;               /* it really is a device */
	traffic_add(st, HN_UP, f->type, f->len);
	if (f->type == HD_SAMPLES)
		link_samples(s, f->body, f->len);
	else
		s->all->hooks.on_message(s->all->hooks.ctx, s->index, f);
}

void link_take(struct source *s, const uint8_t *bytes, size_t n)
{
	struct link_state *st = s->state;
	struct hd_frame f;

	source_bytes(s, n);
	for (size_t i = 0; i < n && st->up; i++)
		if (hd_rx_byte(&st->rx, bytes[i], &f))
			frame_take(s, &f);
	source_refuse(s, REFUSED_CRC, st->rx.refused - st->refused_told, "noise on the line");
	st->refused_told = st->rx.refused;
}

/* --- out -------------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *h, int status, int events);

static int link_watch(struct link_state *st)
{
	int events = UV_READABLE | (st->how->wants_write(st) ? UV_WRITABLE : 0);

	return uv_poll_start(&st->poll, events, on_poll);
}

static hn_status link_send(struct source *s, uint8_t type, uint16_t session, const uint8_t *body,
                           size_t len)
{
	struct link_state *st = s->state;
	struct link_wire *w;

	if (len > HD_BODY_MAX)
		return HN_ERANGE;
	if (!st->up)
		return HN_ESTATE;
	if (st->len == LINK_QUEUE_MAX)
		return HN_EFULL;
	w = &st->queue[(st->head + st->len) % LINK_QUEUE_MAX];
	w->len = (uint16_t)hd_frame_write(type, st->seq, session, body, len, w->bytes);
	if (st->len++ == 0 && link_watch(st) != 0) {
		st->len--;
		return HN_EIO;
	}
	st->seq++;
	traffic_add(st, HN_DOWN, type, len);
	return HN_OK;
}

/* --- up --------------------------------------------------------------------------------------- */

static void link_up(struct source *s)
{
	struct link_state *st = s->state;

	st->connecting = false;
	if (link_watch(st) != 0) {
		link_down(s, "cannot be watched");
		return;
	}
	st->up = true;
	hd_rx_init(&st->rx);            /* half a frame of the last connection is worth nothing */
	st->refused_told = st->rx.refused;
	source_up(s, st->set->port);
	s->all->hooks.on_link(s->all->hooks.ctx, s->index, true);
}

static bool link_turn(struct source *s, int events, struct hn_err *why)
{
	struct link_state *st = s->state;

	if (st->connecting) {
		if (!st->how->connect(s, events, why))
			return false;
		if (!st->connecting)
			link_up(s);
		return true;
	}
	if ((events & UV_READABLE) && !st->how->read(s, why))
		return false;
	return !st->up || st->how->write(s, why);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct source *s = h->data;
	struct link_state *st = s->state;
	struct hn_err why = { .code = HN_OK };

	/* An error is told by the next read, with its reason. */
	if (!link_turn(s, status < 0 ? UV_READABLE : events, &why))
		link_down(s, why.text);
	else if (status < 0)
		link_down(s, "the line reports an error");
	else if (st->fd >= 0 && !s->all->closing && link_watch(st) != 0)
		link_down(s, "cannot be watched");
}

static void link_try(struct source *s)
{
	struct link_state *st = s->state;
	struct hn_err err = { .code = HN_OK };
	int rc;

	st->fd = st->how->open(s, &err);
	st->tries++;
	if (st->fd < 0) {
		link_down(s, err.text);
		return;
	}
	rc = uv_poll_init(s->all->loop, &st->poll, st->fd);
	if (rc == 0) {
		source_own(s, (uv_handle_t *)&st->poll);
		st->polling = true;
		rc = st->connecting ? link_watch(st) : 0;
	}
	if (rc == 0 && st->how->beat)
		rc = uv_timer_start(&st->retry, on_retry, BEAT_MS, BEAT_MS);
	if (rc)
		link_down(s, uv_strerror(rc));
	else if (!st->connecting)
		link_up(s);
}

/* While connected: a beat.  Else: time to try again. */
static void on_retry(uv_timer_t *h)
{
	struct source *s = h->data;
	struct link_state *st = s->state;
	struct hn_err why = { .code = HN_OK };

	if (st->fd >= 0) {
		if (!st->how->beat(s, &why))
			link_down(s, why.text);
		else if (link_watch(st) != 0)
			link_down(s, "cannot be watched");
	} else if (st->polling) {       /* the close callback has not come yet */
		(void)uv_timer_start(&st->retry, on_retry, 10, 0);
	} else {
		link_try(s);
	}
}

/* Another device answers: with a pattern the right one may be behind another port. */
static void link_reject(struct source *s)
{
	const struct link_state *st = s->state;

	if (st->up && port_is_pattern(&st->addr))
		link_down(s, "another device is there: trying the next port");
}

/* The stream of the one device that names this source: -1 without a device, -2 with several. */
static int device_stream(const struct source *s)
{
	const struct conf *c = s->all->conf;
	struct link_state *st = s->state;
	int found = -1;

	for (int i = 0; i < c->n_devices; i++) {
		if (strcmp(c->devices[i].source, s->conf->name) != 0)
			continue;
		if (found != -1)
			return -2;
		st->uid = c->devices[i].uid;
		for (int k = 0; k < c->n_streams; k++)
			if (strcmp(c->streams[k].name, c->devices[i].stream) == 0)
				found = k;
	}
	return found;
}

static void link_metrics(struct source *s)
{
	struct link_state *st = s->state;
	char labels[HN_NAME_MAX + 16];

	(void)snprintf(labels, sizeof labels, "source=\"%s\"", s->conf->name);
	st->m_lost = metric_counter("honed_source_missed_frames_total", labels,
	                            "Frames that a device counted and that did not arrive.");
	st->m_restarts = metric_counter("honed_source_restarts_total", labels,
	                                "Times that a device's sample counters began again.");
	for (int way = 0; way < HN_WAYS; way++) {
		char more[HN_NAME_MAX + 32];

		(void)snprintf(more, sizeof more, "%s,way=\"%s\"", labels, hn_way_names[way]);
		st->m_traffic[way] = metric_counter("honed_link_bytes_total", more,
			"Bytes of frames to and from a device, framing included.");
	}
}

/* TLS settings that cannot work are said at the start, not at each attempt. */
static hn_status tls_check(const struct source *s, struct hn_err *err)
{
	const struct link_state *st = s->state;
	const struct link_settings *set = st->set;
	const char *const files[] = { set->ca_file, set->cert_file, set->key_file };
	const bool own = *set->cert_file || *set->key_file;

	if (!*set->ca_file && (own || set->tls_any_name))
		return hn_fail(err, HN_EINVAL, "source %s: cert_file, key_file and tls_any_name are for TLS: "
		               "set ca_file, too", s->conf->name);
	if (own && !(*set->cert_file && *set->key_file))
		return hn_fail(err, HN_EINVAL, "source %s: cert_file and key_file belong together",
		               s->conf->name);
	if (*set->ca_file && st->addr.kind != ADDR_MQTT)
		return hn_fail(err, HN_EINVAL, "source %s: ca_file is for mqtt: ports", s->conf->name);
	for (int i = 0; i < 3; i++)
		if (*files[i] && access(files[i], R_OK) != 0)
			return hn_fail(err, HN_ENOENT, "source %s: %s: %s", s->conf->name, files[i],
			               strerror(errno));
	return HN_OK;
}

static hn_status link_open(struct source *s, struct hn_err *err)
{
	struct link_state *st = s->state;
	struct hn_err why = { .code = HN_OK };

	st->set = source_settings(s);
	st->fd = -1;
	st->uid = "";
	st->mqtt.ctx = s;
	if (addr_parse(&st->addr, st->set->port, &why) || st->addr.kind == ADDR_UDP)
		return hn_fail(err, HN_EFORMAT, "source %s: port: %s", s->conf->name,
		               why.code ? why.text : "a device needs a line or a connection, not udp:");
	if (st->addr.kind == ADDR_PATH && !port_baud_ok(st->set->baud))
		return hn_fail(err, HN_EINVAL, "source %s: baud: %d is not a standard rate such as "
		               "9600, 115200, 460800 or 921600", s->conf->name, st->set->baud);
	if (tls_check(s, err))
		return err->code;
	st->stream = device_stream(s);
	st->how = st->addr.kind == ADDR_MQTT ? &link_broker : &link_stream;
	if (st->addr.kind == ADDR_MQTT && st->stream < 0)
		return hn_fail(err, HN_EINVAL, "source %s: no device names it: over mqtt the topics are those "
		               "of its device's uid", s->conf->name);
	if (st->stream == -2)
		return hn_fail(err, HN_EINVAL, "source %s: several devices name it, a link has one",
		               s->conf->name);
	if (st->stream >= 0) {
		st->sketched = conf_sketched(s->all->conf, st->stream) >= 0;
		st->frame.stream = st->stream;
		st->frame.n = (uint16_t)s->all->conf->streams[st->stream].n_channels;
	}
	link_metrics(s);
	(void)uv_timer_init(s->all->loop, &st->retry);  /* cannot fail */
	source_own(s, (uv_handle_t *)&st->retry);
	return uv_timer_start(&st->retry, on_retry, 0, 0) == 0 ? HN_OK : HN_EIO;
}

static void link_close(struct source *s)
{
	struct link_state *st = s->state;

	st->up = false;
	port_release(st);
	source_disown(s, (uv_handle_t *)&st->retry);
}

static const struct hn_account *link_account(const struct source *s, double *byte_uj)
{
	const struct link_state *st = s->state;

	*byte_uj = st->set->byte_uj;
	return &st->account;
}

static void link_json(const struct source *s, json_t *out)
{
	const struct link_state *st = s->state;

	(void)json_object_set_new(out, "missed_frames", json_integer((json_int_t)st->lost));
	(void)json_object_set_new(out, "restarts", json_integer((json_int_t)st->restarts));
}

const struct source_driver src_link = {
	.conf = { "link", "a device over a serial line, pty, TCP, unix socket or MQTT broker", rows },
	.state_bytes = sizeof(struct link_state),
	.open = link_open, .close = link_close, .send = link_send, .time = link_time,
	.json = link_json, .reject = link_reject, .account = link_account,
};
