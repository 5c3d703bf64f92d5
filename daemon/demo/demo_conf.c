/* Everything that the programs are given: a directory of their own, keys, recorded data, honed.yaml. */
#include "demo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "clock.h"
#include "hn_package.h"

enum { SOCKET_PATH_MAX = 107, ARGS_MAX = 40 };

static const double counts_per_g = 4096.0;       /* of the simulated sensor: pump.h                 */

const char *const state_names[STATES] = { "off", "normal", "cavitation", "bearing" };

/* --- files ------------------------------------------------------------------------------------ */

static void path_of(const struct demo *d, const char *name, char *out)
{
	(void)snprintf(out, PATH_CAP, "%.400s/%.100s", d->opt.dir, name);
}

/* A new file for us alone; NULL: told. */
static FILE *create(struct demo *d, const char *name)
{
	char path[PATH_CAP];
	FILE *f = NULL;
	int fd;

	path_of(d, name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		f = fdopen(fd, "w");
	if (!f) {
		fail(d, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			(void)close(fd);         /* empty */
	}
	return f;
}

static bool finish_file(struct demo *d, FILE *f, const char *name)
{
	const bool bad = ferror(f) != 0;

	if (fclose(f) == 0 && !bad)
		return true;
	fail(d, "%s/%s: cannot be written", d->opt.dir, name);
	return false;
}

static bool write_text(struct demo *d, const char *name, const char *text)
{
	FILE *f = create(d, name);

	if (!f)
		return false;
	(void)fputs(text, f);            /* an error shows in finish_file */
	return finish_file(d, f, name);
}

/* --- directory and keys ----------------------------------------------------------------------- */

static bool make_dir(struct demo *d)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(d->opt.dir, sizeof d->opt.dir, "%.400s/hone-demo.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(d->opt.dir)) {
		fail(d, "%s: %s", d->opt.dir, strerror(errno));
		d->opt.dir[0] = '\0';
		return false;
	}
	if (strlen(d->opt.dir) + sizeof "/honed.sock " <= SOCKET_PATH_MAX)
		return true;
	fail(d, "%s is too long for a socket: set TMPDIR to a shorter one", d->opt.dir);
	return false;
}

static int open_log(struct demo *d, const char *name)
{
	char path[PATH_CAP];
	int fd;

	path_of(d, name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		fail(d, "%s: %s", path, strerror(errno));
	return fd;
}

static bool make_keys(struct demo *d)
{
	uint8_t master[HD_KEY_LEN], key[HD_KEY_LEN], uid[HD_UID_LEN];
	char text[2 * HD_KEY_LEN + 1], name[NAME_CAP + 8];
	bool ok;

	randombytes_buf(master, sizeof master);
	(void)sodium_bin2hex(text, sizeof text, master, sizeof master);
	ok = write_text(d, "master.key", text);
	for (int i = 0; i < d->n_devices && ok; i++) {
		struct device *v = &d->device[i];

		randombytes_buf(uid, sizeof uid);
		(void)sodium_bin2hex(v->uid, sizeof v->uid, uid, sizeof uid);
		hn_device_key(master, uid, key);
		(void)sodium_bin2hex(v->key, sizeof v->key, key, sizeof key);
		(void)snprintf(name, sizeof name, "%s.key", v->name);
		ok = write_text(d, name, v->key);
	}
	sodium_memzero(master, sizeof master);
	sodium_memzero(key, sizeof key);
	return ok;
}

static void name_devices(struct demo *d)
{
	for (int i = 0; i < DEVICES; i++) {
		struct device *v = &d->device[i];

		v->demo = d;
		v->emulated = i == DEVICES - 1;
		v->seed = d->opt.seed * 16 + (uint32_t)i + 1;
		(void)snprintf(v->name, sizeof v->name, "pump-%d", i + 1);
		(void)snprintf(v->stream, sizeof v->stream, "vib-%d", i + 1);
	}
	d->n_devices = d->qemu[0] ? DEVICES : DEVICES - 1;
}

bool conf_prepare(struct demo *d)
{
	bool ok;

	name_devices(d);
	ok = make_dir(d) && make_keys(d);
	if (!ok)
		return false;
	d->log_fd = open_log(d, "honed.log");
	d->devices_fd = open_log(d, "devices.log");
	return d->log_fd >= 0 && d->devices_fd >= 0;
}

/* Our own directory is flat. */
void conf_remove(struct demo *d)
{
	DIR *dir = opendir(d->opt.dir);
	const struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void)unlinkat(dirfd(dir), e->d_name, 0);        /* rmdir tells */
	(void)closedir(dir);
	if (rmdir(d->opt.dir) != 0)
		fprintf(stderr, "hone-demo: %s: %s\n", d->opt.dir, strerror(errno));
}

/* --- command lines ---------------------------------------------------------------------------- */

/* Words of a command line in one block: "a", "b", ... up to ARGS_MAX. */
struct command { char text[4096]; size_t used; char *argv[ARGS_MAX]; int n; };

__attribute__((format(printf, 2, 3)))
static void word(struct command *c, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(c->text + c->used, sizeof c->text - c->used, fmt, ap);
	va_end(ap);
	if (len < 0 || c->n == ARGS_MAX - 1 || (size_t)len >= sizeof c->text - c->used)
		return;                  /* paths are bounded: cannot happen */
	c->argv[c->n++] = c->text + c->used;
	c->used += (size_t)len + 1;
}

static struct child *start_sim(struct demo *d, const struct device *v)
{
	struct command c = { .n = 0 };
	const char *dir = d->opt.dir;

	word(&c, "%s/hone-sim", d->opt.bin);
	word(&c, "--link");
	word(&c, "unix:%s/%s.sock", dir, v->name);
	word(&c, "--flash");
	word(&c, "%s/%s.flash", dir, v->name);
	word(&c, "--uid");
	word(&c, "%s", v->uid);
	word(&c, "--key-file");
	word(&c, "%s/%s.key", dir, v->name);
	word(&c, "--seed");
	word(&c, "%u", v->seed);
	word(&c, "--truth");
	word(&c, "%s/%s.truth", dir, v->name);
	return child_start(d, v->name, c.argv, d->devices_fd);
}

static struct child *start_qemu(struct demo *d, const struct device *v)
{
	struct command c = { .n = 0 };
	const char *dir = d->opt.dir;
	char name[NAME_CAP + 8], text[256];

	(void)snprintf(name, sizeof name, "%s.opt", v->name);
	(void)snprintf(text, sizeof text, "uid=%s key=%s seed=%u nonce=%u\n", v->uid, v->key, v->seed,
	               randombytes_random());
	if (!write_text(d, name, text))
		return NULL;
	word(&c, "%s", d->qemu);
	word(&c, "-M");
	word(&c, "mps2-an386");
	word(&c, "-display");
	word(&c, "none");
	word(&c, "-monitor");
	word(&c, "none");
	word(&c, "-kernel");
	word(&c, "%s", d->opt.firmware);
	word(&c, "-device");
	word(&c, "loader,file=%s/%s,addr=0x21100000,force-raw=on", dir, name);
	word(&c, "-serial");
	word(&c, "unix:%s/%s.sock,server=on,wait=off", dir, v->name);
	word(&c, "-serial");
	word(&c, "unix:%s/%s.bench,server=on,wait=off", dir, v->name);
	return child_start(d, v->name, c.argv, d->devices_fd);
}

bool conf_start_devices(struct demo *d)
{
	for (int i = 0; i < d->n_devices; i++) {
		struct device *v = &d->device[i];

		if (!truth_open(v))
			return false;
		v->child = v->emulated ? start_qemu(d, v) : start_sim(d, v);
		if (!v->child)
			return false;
	}
	return true;
}

static void recorded(struct demo *d)
{
	if (conf_label_windows(d))
		(void)conf_start_honed(d);
}

/* The commissioning data are an hour old. */
bool conf_start_recorder(struct demo *d)
{
	struct command c = { .n = 0 };

	word(&c, "%s/hone-sim", d->opt.bin);
	word(&c, "--record");
	word(&c, "%d", RECORD_WINDOWS * WINDOW);
	word(&c, "%s/frames.csv", d->opt.dir);
	word(&c, "--record-from");
	word(&c, "%lld", (long long)(clock_now_us() - INT64_C(3600000000)));
	word(&c, "--seed");
	word(&c, "%u", d->opt.seed * 16);
	d->recorder = child_start(d, "hone-sim --record", c.argv, d->devices_fd);
	if (!d->recorder)
		return false;
	d->recorder->wanted = false;
	d->recorder->on_exit = recorded;
	return true;
}

/* --- recorded frames -------------------------------------------------------------------------- */

/* Counts become g; and a person notes one state a window, not one a frame: at the end of each. */
static bool write_row(FILE *out, const char *line, int row)
{
	long long t_us;
	int raw[3], state;

	if (sscanf(line, "%lld,%d,%d,%d,%d", &t_us, &raw[0], &raw[1], &raw[2], &state) != 5)
		return false;
	(void)fprintf(out, "%lld,%.12f,%.12f,%.12f,", t_us, raw[0] / counts_per_g, raw[1] / counts_per_g,
	              raw[2] / counts_per_g);    /* an error shows in finish_file */
	if (row % WINDOW == WINDOW - 1)
		(void)fprintf(out, "%d", state);
	(void)fputc('\n', out);
	return true;
}

bool conf_label_windows(struct demo *d)
{
	char path[PATH_CAP], line[LINE_CAP];
	FILE *in, *out = create(d, "bench.csv");
	int rows = 0;

	path_of(d, "frames.csv", path);
	in = fopen(path, "re");
	if (in && out && fgets(line, sizeof line, in))
		(void)fputs(line, out);
	while (in && out && fgets(line, sizeof line, in) && write_row(out, line, rows))
		rows++;
	if (in)
		(void)fclose(in);                /* read only */
	if (out && !finish_file(d, out, "bench.csv"))
		return false;
	if (out && rows == RECORD_WINDOWS * WINDOW)
		return true;
	fail(d, "%s has %d frames instead of %d", path, rows, RECORD_WINDOWS * WINDOW);
	return false;
}

/* --- honed.yaml ------------------------------------------------------------------------------- */

static const char channels[] =
	"    channels:\n"
	"      - {name: ax, unit: g, scale: 0.000244140625, min: -8, max: 8}\n"
	"      - {name: ay, unit: g, scale: 0.000244140625, min: -8, max: 8}\n"
	"      - {name: az, unit: g, scale: 0.000244140625, min: -8, max: 8}\n";

/* The label delay is longer than the recording: labels come when all of its frames are stored. */
static void write_sources(const struct demo *d, FILE *f)
{
	(void)fprintf(f, "sources:\n"
		"  - {name: bench, type: file, path: %s/bench.csv, time: time_us, time_unit: us,\n"
		"     pace: fast, label: state, labels: all, label_delay: 1h}\n", d->opt.dir);
	for (int i = 0; i < d->n_devices; i++)
		(void)fprintf(f, "  - {name: %s, type: link, port: \"unix:%s/%s.sock\"}\n", d->device[i].name,
		              d->opt.dir, d->device[i].name);
	(void)fprintf(f, "streams:\n  - name: bench\n    source: bench\n    period: 2.5ms\n%s", channels);
	for (int i = 0; i < d->n_devices; i++)
		(void)fprintf(f, "  - name: %s\n    source: %s\n    period: 2.5ms\n%s", d->device[i].stream,
		              d->device[i].name, channels);
}

static void write_model(const struct demo *d, FILE *f)
{
	(void)fprintf(f, "models:\n"
		"  - name: pump\n"
		"    streams: [bench]\n"
		"    task: classify\n"
		"    classes: [%s, %s, %s, %s]\n"
		"    window: %d\n"
		"    network: \"dense 32, tanh, dense 4\"\n"
		"    train: {epochs: 800, patience: 800, rate: 0.003, weight_decay: 0.05, recent_share: 0.95,\n"
		"            holdout_recent: 0.1, scaler_frames: 12000, memory_max: 16MB, time_max: 30s}\n"
		"    policy: {mode: auto, cooldown: 1s, labels_min: 64, label_budget: %d, label_period: 1d}\n"
		"    monitor: {settle: 112}\n"
		"    gate: {windows_min: 1, gain_min: 0, forget_max: 1, int8_loss_max: 0.05}\n"
		"    rollout: {canary: 1, batch: 4, trial_inferences: 25, probation: 2s}\n",
		state_names[0], state_names[1], state_names[2], state_names[3], WINDOW, 64 * CYCLES_MAX);
	(void)fprintf(f, "devices:\n");
	for (int i = 0; i < d->n_devices; i++)
		(void)fprintf(f, "  - {name: %s, uid: \"%s\", source: %s, stream: %s, model: pump%s}\n",
		              d->device[i].name, d->device[i].uid, d->device[i].name, d->device[i].stream,
		              d->opt.sketch ? ", telemetry: sketch, heartbeat: 160ms, pull: 400" : "");
}

bool conf_start_honed(struct demo *d)
{
	struct command c = { .n = 0 };
	FILE *f = create(d, "honed.yaml");

	if (!f)
		return false;
	(void)fprintf(f, "store: {path: %s/honed.db, commit_every: 200ms}\n"
		"status: {socket: %s/honed.sock}\n"
		"train: {helper: %s/hone-train}\n"
		"keys: {master: %s/master.key}\n", d->opt.dir, d->opt.dir, d->opt.bin, d->opt.dir);
	write_sources(d, f);
	write_model(d, f);
	if (!finish_file(d, f, "honed.yaml"))
		return false;
	word(&c, "%s/honed", d->opt.bin);
	word(&c, "--config");
	word(&c, "%s/honed.yaml", d->opt.dir);
	d->honed = child_start(d, "honed", c.argv, d->log_fd);
	return d->honed != NULL;
}
