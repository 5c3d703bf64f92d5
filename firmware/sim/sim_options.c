#include "sim_options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const char help[] =
"hone-sim - a simulated pump with an ageing sensor, a device library and a link\n"
"\n"
"  hone-sim --link ADDRESS --flash FILE [options]     run the device in real time\n"
"  hone-sim --record N FILE [options]                 write N frames as CSV and end\n"
"\n"
"  --link pty:PATH            make a pseudo terminal and a symbolic link to it\n"
"         unix:PATH           listen on a unix socket;   unix-connect:PATH  connect to one\n"
"         tcp:HOST:PORT       listen;                    tcp-connect:HOST:PORT  connect\n"
"                             (HOST is a numeric IPv4 address)\n"
"         mqtt:HOST:PORT/TOPIC   through a broker: TOPIC/up and TOPIC/down\n"
"  --flash FILE               contents of the flash part; made when missing\n"
"  --durable                  fdatasync the flash file when the device asks for a barrier\n"
"  --uid HEX16                device id                               [0000000000000001]\n"
"  --key-hex HEX64            device key                              [all zero: for tests]\n"
"  --key-file FILE            device key, 64 hex digits in a file\n"
"  --key-id N                 number of that key                      [0]\n"
"  --sign-key ID:HEX64        take only packages that this Ed25519 public key signed; up to 4\n"
"                             times, with other numbers\n"
"  --arch HEX8                accept only this architecture           [0 = any that fits]\n"
"  --geometry SECTOR,UNIT,SLOT_BYTES,ERASE_US                         [4096,8,32768,20000]\n"
"  --trial N                  inferences until an unconfirmed image is left   [750]\n"
"  --seed N                   of the pump: schedule and noise         [1]\n"
"  --rate HZ                  divides 1000000, 10 to 10000            [400]\n"
"  --age-at S[,S...]          begin an ageing episode S seconds after the start\n"
"  --age-ramp S               an episode takes S seconds to develop   [3]\n"
"  --truth FILE               append a line a window:\n"
"                             count,wall_us,state,class,model_version,missed\n"
"  --clock US                 first value of the device's 32-bit clock [0]\n"
"  --record N FILE            columns time_us,ax,ay,az,state; FILE may be -\n"
"  --record-from US           time of the first recorded frame        [0]\n"
"\n"
"states: 0 off, 1 normal, 2 cavitation, 3 bearing.  4096 counts = 1 g.\n"
"SIGUSR1 begins the next ageing episode, SIGTERM ends the program.\n"
"Exit: 0 ended, 64 usage, 65 damaged data, 66 no key file, 69 in use or no peer, 71 system,\n"
"      73 cannot create, 74 input/output.\n";

enum option_id {
	OPT_HELP = 1, OPT_VERSION,
	OPT_LINK, OPT_FLASH, OPT_DURABLE, OPT_UID, OPT_KEY_HEX, OPT_KEY_FILE, OPT_KEY_ID,
	OPT_SIGN_KEY,
	OPT_ARCH, OPT_GEOMETRY, OPT_TRIAL, OPT_SEED, OPT_RATE, OPT_AGE_AT, OPT_AGE_RAMP, OPT_TRUTH,
	OPT_CLOCK, OPT_RECORD, OPT_RECORD_FROM
};

static const struct option options[] = {
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "link", required_argument, NULL, OPT_LINK },
	{ "flash", required_argument, NULL, OPT_FLASH },
	{ "durable", no_argument, NULL, OPT_DURABLE },
	{ "uid", required_argument, NULL, OPT_UID },
	{ "key-hex", required_argument, NULL, OPT_KEY_HEX },
	{ "key-file", required_argument, NULL, OPT_KEY_FILE },
	{ "key-id", required_argument, NULL, OPT_KEY_ID },
	{ "sign-key", required_argument, NULL, OPT_SIGN_KEY },
	{ "arch", required_argument, NULL, OPT_ARCH },
	{ "geometry", required_argument, NULL, OPT_GEOMETRY },
	{ "trial", required_argument, NULL, OPT_TRIAL },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "age-at", required_argument, NULL, OPT_AGE_AT },
	{ "age-ramp", required_argument, NULL, OPT_AGE_RAMP },
	{ "truth", required_argument, NULL, OPT_TRUTH },
	{ "clock", required_argument, NULL, OPT_CLOCK },
	{ "record", required_argument, NULL, OPT_RECORD },
	{ "record-from", required_argument, NULL, OPT_RECORD_FROM },
	{ NULL, 0, NULL, 0 }
};

int sim_fail(int code, const char *fmt, ...)
{
	va_list ap;

	(void)fputs("hone-sim: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	return code;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Exactly 2 n hex digits. */
static bool read_hex(const char *s, uint8_t *out, size_t n)
{
	if (strlen(s) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_digit(s[2 * i]), lo = hex_digit(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

/* A whole number in [min, max]; the text ends there or at `end`. */
static bool read_uint(const char **s, char end, uint64_t min, uint64_t max, uint64_t *out)
{
	char *stop;

	if (**s < '0' || **s > '9')
		return false;
	errno = 0;
	*out = strtoull(*s, &stop, 10);
	if (errno != 0 || (*stop != '\0' && *stop != end) || *out < min || *out > max)
		return false;
	*s = *stop == '\0' ? stop : stop + 1;
	return true;
}

static int read_one(const char *name, const char *text, uint64_t min, uint64_t max, uint32_t *out)
{
	const char *s = text;
	uint64_t v;

	if (!read_uint(&s, '\0', min, max, &v))
		return sim_fail(EX_USAGE, "--%s %s: give a whole number from %llu to %llu", name, text,
		                (unsigned long long)min, (unsigned long long)max);
	*out = (uint32_t)v;
	return 0;
}

/* Seconds, decimals allowed, to frames. */
static bool read_seconds(const char *s, const char **rest, uint32_t rate_hz, uint32_t *frames)
{
	char *stop;
	double v = strtod(s, &stop);

	if (stop == s || !isfinite(v) || v < 0 || v > 400000)
		return false;
	*frames = (uint32_t)lrint(v * rate_hz);
	*rest = stop;
	return true;
}

static int read_ages(struct sim_options *o, const char *text)
{
	const char *s = text;

	for (o->n_age = 0; o->n_age < PUMP_EPISODES; s++) {
		if (!read_seconds(s, &s, o->rate_hz, &o->age_at[o->n_age]))
			break;
		o->n_age++;
		if (*s == '\0')
			return 0;
		if (*s != ',')
			break;
	}
	return sim_fail(EX_USAGE, "--age-at %s: give 1 to %d times in seconds, as in 10,30.5", text,
	                PUMP_EPISODES);
}

static int read_geometry(struct sim_options *o, const char *text)
{
	uint64_t v[4];
	const char *s = text;

	for (unsigned i = 0; i < 4; i++)
		if (!read_uint(&s, ',', 1, 16u << 20, &v[i]) || (i < 3 && *s == '\0'))
			return sim_fail(EX_USAGE, "--geometry %s: give SECTOR,UNIT,SLOT_BYTES,ERASE_US "
			                "in whole numbers", text);
	o->sector = (uint32_t)v[0];
	o->unit = (uint32_t)v[1];
	o->slot_bytes = (uint32_t)v[2];
	o->erase_us = (uint32_t)v[3];
	return 0;
}

static int read_key_file(struct sim_options *o, const char *path)
{
	char text[2 * HD_KEY_LEN + 1] = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return sim_fail(EX_NOINPUT, "--key-file %s: %s", path, strerror(errno));
	n = read(fd, text, sizeof text - 1);
	(void)close(fd);        /* read-only: nothing to lose */
	if (n != 2 * HD_KEY_LEN || !read_hex(text, o->key, HD_KEY_LEN))
		return sim_fail(EX_DATAERR, "--key-file %s: it must begin with %d hex digits", path,
		                2 * HD_KEY_LEN);
	return 0;
}

static int read_arch(struct sim_options *o, const char *text)
{
	uint8_t b[4];

	if (!read_hex(text, b, sizeof b))
		return sim_fail(EX_USAGE, "--arch %s: give 8 hex digits", text);
	o->arch = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	return 0;
}

static int take_hex(const char *name, const char *text, uint8_t *out, size_t n)
{
	if (read_hex(text, out, n))
		return 0;
	return sim_fail(EX_USAGE, "--%s: give exactly %zu hex digits", name, 2 * n);
}

static int take_record_from(struct sim_options *o, const char *text)
{
	const char *s = text;

	if (read_uint(&s, '\0', 0, INT64_MAX, &o->record_us))
		return 0;
	return sim_fail(EX_USAGE, "--record-from %s: give microseconds since 1970", text);
}

static int take_record(struct sim_options *o, int argc, char **argv)
{
	int rc = read_one("record", optarg, 1, 100000000, &o->record_frames);

	if (rc == 0 && optind >= argc)
		return sim_fail(EX_USAGE, "--record %s: name a file after the count, or -", optarg);
	if (rc == 0)
		o->record = argv[optind++];
	return rc;
}

/* Options whose meaning depends on --rate are kept as text until all have been read. */
struct late { const char *age_at, *age_ramp; };

static int take_sign_key(struct sim_options *o, const char *text)
{
	struct sim_public *k = &o->keys.key[o->keys.n];
	const char *hex = text;
	uint64_t id;

	if (o->keys.n == SIM_KEYS_MAX)
		return sim_fail(EX_USAGE, "--sign-key: at most %d", SIM_KEYS_MAX);
	if (!read_uint(&hex, ':', 0, 255, &id) || !read_hex(hex, k->bytes, sizeof k->bytes))
		return sim_fail(EX_USAGE, "--sign-key %s: give ID:HEX64", text);
	k->id = (uint8_t)id;
	o->keys.n++;
	return 0;
}

static int take(struct sim_options *o, int id, struct late *late)
{
	uint32_t v = 0;
	int rc = 0;

	switch (id) {
	case OPT_LINK: o->link = optarg; return 0;
	case OPT_FLASH: o->flash = optarg; return 0;
	case OPT_TRUTH: o->truth = optarg; return 0;
	case OPT_DURABLE: o->durable = true; return 0;
	case OPT_UID: return take_hex("uid", optarg, o->uid, HD_UID_LEN);
	case OPT_KEY_HEX: return take_hex("key-hex", optarg, o->key, HD_KEY_LEN);
	case OPT_KEY_FILE: return read_key_file(o, optarg);
	case OPT_KEY_ID:
		rc = read_one("key-id", optarg, 0, 255, &v);
		o->key_id = (uint8_t)v;
		return rc;
	case OPT_SIGN_KEY: return take_sign_key(o, optarg);
	case OPT_ARCH: return read_arch(o, optarg);
	case OPT_GEOMETRY: return read_geometry(o, optarg);
	case OPT_TRIAL: return read_one("trial", optarg, 1, UINT32_MAX, &o->trial_inferences);
	case OPT_SEED: return read_one("seed", optarg, 0, UINT32_MAX, &o->seed);
	case OPT_RATE: return read_one("rate", optarg, 10, 10000, &o->rate_hz);
	case OPT_AGE_AT: late->age_at = optarg; return 0;
	case OPT_AGE_RAMP: late->age_ramp = optarg; return 0;
	case OPT_CLOCK: return read_one("clock", optarg, 0, UINT32_MAX, &o->clock_us);
	case OPT_RECORD_FROM: return take_record_from(o, optarg);
	default:
		return EX_USAGE;
	}
}

static int finish(struct sim_options *o, const struct late *late)
{
	const char *rest = "";

	if (1000000 % o->rate_hz != 0)
		return sim_fail(EX_USAGE, "--rate %u: it must divide 1000000, as 400 or 1000 do",
		                o->rate_hz);
	o->ramp_frames = 3 * o->rate_hz;
	if (late->age_ramp && (!read_seconds(late->age_ramp, &rest, o->rate_hz, &o->ramp_frames)
	                       || *rest != '\0'))
		return sim_fail(EX_USAGE, "--age-ramp %s: give seconds", late->age_ramp);
	if (late->age_at && read_ages(o, late->age_at) != 0)
		return EX_USAGE;
	if (!o->record && (!o->link || !o->flash))
		return sim_fail(EX_USAGE, "give --link and --flash, or --record; see --help");
	return 0;
}

int sim_options_parse(struct sim_options *o, int argc, char **argv)
{
	struct late late = { NULL, NULL };
	int id, rc = 0;

	*o = (struct sim_options){
		.uid = { 0, 0, 0, 0, 0, 0, 0, 1 }, .seed = 1, .rate_hz = PUMP_RATE_HZ,
		.sector = 4096, .unit = 8, .slot_bytes = 32768, .erase_us = 20000,
		.trial_inferences = 750,
	};
	for (id = getopt_long(argc, argv, ":", options, NULL); id != -1 && rc == 0;
	     id = getopt_long(argc, argv, ":", options, NULL)) {
		if (id == OPT_HELP)
			return fputs(help, stdout) == EOF ? EX_IOERR : -1;
		if (id == OPT_VERSION)
			return puts("hone-sim " HONED_VERSION) == EOF ? EX_IOERR : -1;
		if (id == '?' || id == ':')
			return sim_fail(EX_USAGE, "%s: %s; see --help", argv[optind - 1],
			                id == ':' ? "a value is missing" : "no such option");
		rc = id == OPT_RECORD ? take_record(o, argc, argv) : take(o, id, &late);
		if (rc != 0)
			return rc;
	}
	if (optind < argc)
		return sim_fail(EX_USAGE, "%s: what is this? see --help", argv[optind]);
	return finish(o, &late);
}
