/* hone-demo - options, start, end. */
#include "demo.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <sodium.h>

#include "clock.h"

enum { TICK_MS = 20, START_TICK_MS = 2, KILL_AFTER_MS = 6000, LOG_TAIL = 12, LOG_LINE = 400 };

static struct demo demo;

/* --- talking ---------------------------------------------------------------------------------- */

static void begin_line(struct demo *d)
{
	if (d->redrawn)
		(void)fputs("\r\033[K", stdout);
	d->redrawn = false;
	(void)printf("%6.1f s  ", (double)(clock_mono_us() - d->start_us) * 1e-6);
}

void say(struct demo *d, const char *fmt, ...)
{
	va_list ap;

	begin_line(d);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)putchar('\n');
	(void)fflush(stdout);            /* a lost line of the story is no failure */
}

void say_for_now(struct demo *d, const char *fmt, ...)
{
	va_list ap;

	if (!d->tty)
		return;
	begin_line(d);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	d->redrawn = true;
	(void)fflush(stdout);
}

void fail(struct demo *d, const char *fmt, ...)
{
	va_list ap;

	if (*d->failure || d->interrupted)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(d->failure, sizeof d->failure, fmt, ap);
	va_end(ap);
	if (d->loop)
		stop(d);
}

/* Newest lines of a log. */
static void show_log(const struct demo *d, const char *name)
{
	static char ring[LOG_TAIL][LOG_LINE];
	char path[PATH_CAP + 32];
	FILE *f;
	int n = 0;

	(void)snprintf(path, sizeof path, "%s/%s", d->opt.dir, name);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(ring[n % LOG_TAIL], LOG_LINE, f))
		n++;
	(void)fclose(f);                 /* read only */
	if (n > 0)
		(void)printf("the end of %s:\n", name);
	for (int i = n > LOG_TAIL ? n - LOG_TAIL : 0; i < n; i++)
		(void)printf("    %s", ring[i % LOG_TAIL]);
}

/* --- end -------------------------------------------------------------------------------------- */

static void on_kill(uv_timer_t *t)
{
	children_stop(t->data, SIGKILL);
}

static void close_all(struct demo *d)
{
	uv_handle_t *own[] = { (uv_handle_t *)&d->on_int, (uv_handle_t *)&d->on_term, (uv_handle_t *)&d->on_hup,
	                       (uv_handle_t *)&d->tick, (uv_handle_t *)&d->stop_timer };

	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (own[i]->type != UV_UNKNOWN_HANDLE && !uv_is_closing(own[i]))
			uv_close(own[i], NULL);
	for (int i = 0; i < d->n_devices; i++)
		truth_close(&d->device[i]);
}

/* First call: SIGTERM to every process.  When all have ended: close, and the loop ends. */
void stop(struct demo *d)
{
	if (!d->stopping) {
		d->stopping = true;
		children_stop(d, SIGTERM);
		(void)uv_timer_start(&d->stop_timer, on_kill, KILL_AFTER_MS, 0);
	}
	if (children_ended(d))
		close_all(d);
}

static void on_signal(uv_signal_t *s, int signum)
{
	struct demo *d = s->data;

	if (d->stopping) {               /* a second one: do not wait */
		children_stop(d, SIGKILL);
		return;
	}
	say(d, "stopped by signal %d", signum);
	d->interrupted = true;
	stop(d);
}

/* --- start ------------------------------------------------------------------------------------ */

static void on_tick(uv_timer_t *t)
{
	struct demo *d = t->data;

	story_tick(d);
	if (d->answered && uv_timer_get_repeat(t) != TICK_MS)
		uv_timer_set_repeat(t, TICK_MS);
}

static void open_loop(struct demo *d)
{
	d->loop = uv_default_loop();
	(void)uv_signal_init(d->loop, &d->on_int);       /* these cannot fail on a new loop */
	(void)uv_signal_init(d->loop, &d->on_term);
	(void)uv_signal_init(d->loop, &d->on_hup);
	(void)uv_timer_init(d->loop, &d->tick);
	(void)uv_timer_init(d->loop, &d->stop_timer);
	d->on_int.data = d->on_term.data = d->on_hup.data = d->tick.data = d->stop_timer.data = d;
	(void)uv_signal_start(&d->on_int, on_signal, SIGINT);
	(void)uv_signal_start(&d->on_term, on_signal, SIGTERM);
	(void)uv_signal_start(&d->on_hup, on_signal, SIGHUP);
	(void)uv_timer_start(&d->tick, on_tick, START_TICK_MS, START_TICK_MS);
}

/* Where is a program of this name in PATH? */
static bool find_program(const char *name, char out[PATH_CAP])
{
	const char *p = getenv("PATH");

	for (p = p ? p : ""; *p; p += strcspn(p, ":"), p += *p == ':') {
		(void)snprintf(out, PATH_CAP, "%.*s/%s", (int)strcspn(p, ":"), p, name);
		if (access(out, X_OK) == 0)
			return true;
	}
	out[0] = '\0';
	return false;
}

/* With an emulated board when both the emulator and its firmware are there. */
static void look_for_board(struct demo *d)
{
	if (!*d->opt.firmware)
		(void)snprintf(d->opt.firmware, sizeof d->opt.firmware, "%.400s/../firmware/an386/pump.elf",
		               d->opt.bin);
	if (!d->opt.no_firmware && access(d->opt.firmware, R_OK) == 0 && find_program("qemu-system-arm", d->qemu))
		return;
	d->qemu[0] = '\0';
	say(d, "without the emulated Cortex-M4%s", d->opt.no_firmware ? ", as asked for" :
	    ": scripts/setup firmware installs toolchain and QEMU (1 GB), make firmware builds it");
}

static void tell_start(struct demo *d)
{
	if (d->opt.cycles > 1)
		say(d, "a pump, %d devices, honed; %d ageing episodes", d->n_devices, d->opt.cycles);
	for (int i = 0; i < d->n_devices; i++)
		say(d, "%s: %s, 3 accelerometer channels at 400 Hz", d->device[i].name,
		    d->device[i].emulated ? "emulated Cortex-M4 (QEMU mps2-an386)" : "simulated device (hone-sim)");
}

static int finish(struct demo *d)
{
	int unmet = 0;

	if (d->redrawn)
		(void)putchar('\n');
	if (*d->failure) {
		(void)printf("hone-demo: failed: %s\n", d->failure);
		show_log(d, "devices.log");
		show_log(d, "honed.log");
	} else if (d->finished) {
		unmet = card(d);
	}
	if (*d->opt.dir && (d->opt.keep || *d->failure || unmet))
		(void)printf("kept: %s\n", d->opt.dir);
	else if (*d->opt.dir)
		conf_remove(d);
	for (int i = 0; i < d->n_devices; i++)
		free(d->device[i].ring);
	return d->interrupted ? 130 : *d->failure || unmet ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(struct demo *d)
{
	d->start_us = d->phase_us = clock_mono_us();
	d->tty = isatty(STDOUT_FILENO) == 1;
	d->log_fd = d->devices_fd = -1;
	look_for_board(d);
	if (conf_prepare(d)) {
		open_loop(d);
		tell_start(d);
		if (conf_start_devices(d))
			(void)conf_start_recorder(d);    /* a failure has been told */
		(void)uv_run(d->loop, UV_RUN_DEFAULT);
		(void)uv_loop_close(d->loop);
	}
	return finish(d);
}

/* --- options ---------------------------------------------------------------------------------- */

static void usage(FILE *out)
{
	fputs("usage: hone-demo [--cycles N] [--report FILE] [--seed N] [--keep]\n"
	      "Shows the whole loop: a simulated pump, three devices, a sensor that ages, and honed, which notices,\n"
	      "asks for labels, trains, decides and swaps the weights.  Ends with a report card.\n\n"
	      "  -c, --cycles N       ageing episodes in a row, 1 to 6 (1)\n"
	      "  -r, --report FILE    where the figures go (build/report/demo.json)\n"
	      "      --firmware FILE  program of the emulated Cortex-M4 (../firmware/an386/pump.elf beside this program)\n"
	      "      --no-firmware    go without the emulated Cortex-M4\n"
	      "      --sketches       devices send sketches; raw windows are pulled after the alarm\n"
	      "      --seed N         of pumps and commissioning data (1)\n"
	      "      --keep           keep the directory with configuration, logs and database\n"
	      "  -h, --help           print this\n\n"
	      "Exit: 0 all expectations were met, 1 some were not (the directory is kept), 64 usage, 130 interrupted.\n", out);
}

static bool whole(const char *text, long min, long max, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *out >= min && *out <= max;
}

static int complain(const char *option, const char *text)
{
	fprintf(stderr, "hone-demo: --%s '%s' is not possible; see hone-demo --help\n", option, text);
	return EX_USAGE;
}

/* A file that can be read, as an absolute path: the children run elsewhere. */
static bool take_file(const char *name, char out[PATH_CAP])
{
	char *path = access(name, R_OK) == 0 ? realpath(name, NULL) : NULL;
	const bool fits = path && strlen(path) < PATH_CAP;

	if (fits)
		(void)snprintf(out, PATH_CAP, "%s", path);
	free(path);
	return fits;
}

/* -1: go on. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = { { "cycles", required_argument, NULL, 'c' },
		{ "report", required_argument, NULL, 'r' }, { "firmware", required_argument, NULL, 'f' },
		{ "no-firmware", no_argument, NULL, 'F' },
		{ "sketches", no_argument, NULL, 'S' }, { "seed", required_argument, NULL, 's' },
		{ "keep", no_argument, NULL, 'k' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	long n;
	int k;

	while ((k = getopt_long(argc, argv, "c:r:h", longs, NULL)) != -1) {
		switch (k) {
		case 'h': usage(stdout); return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
		case 'k': o->keep = true; break;
		case 'F': o->no_firmware = true; break;
		case 'S': o->sketch = true; break;
		case 'r': (void)snprintf(o->report, sizeof o->report, "%s", optarg); break;
		case 'f':
			if (!take_file(optarg, o->firmware))
				return complain("firmware", optarg);
			break;
		case 'c':
			if (!whole(optarg, 1, CYCLES_MAX, &n))
				return complain("cycles", optarg);
			o->cycles = (int)n;
			break;
		case 's':
			if (!whole(optarg, 0, 100000000, &n))
				return complain("seed", optarg);
			o->seed = (uint32_t)n;
			break;
		default: fputs("hone-demo: see hone-demo --help\n", stderr); return EX_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "hone-demo: unexpected argument '%s'; see hone-demo --help\n", argv[optind]);
	return EX_USAGE;
}

int main(int argc, char **argv)
{
	struct options *o = &demo.opt;
	size_t len = sizeof o->bin;
	char *slash;
	int code;

	if (argc > 3 && strcmp(argv[1], "--as-child") == 0)
		return child_become(argv[2], argv + 3);
	o->cycles = 1;
	o->seed = 1;
	(void)snprintf(o->report, sizeof o->report, "build/report/demo.json");
	code = parse(argc, argv, o);
	if (code >= 0)
		return code;
	(void)signal(SIGPIPE, SIG_IGN);
	if (sodium_init() < 0 || uv_exepath(o->bin, &len) != 0) {
		fputs("hone-demo: cannot find out where this program is\n", stderr);
		return EX_OSERR;
	}
	slash = strrchr(o->bin, '/');
	if (slash)
		*slash = '\0';
	return run(&demo);
}
