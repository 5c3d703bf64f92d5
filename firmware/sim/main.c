/* hone-sim - the firmware as a POSIX process: pump model, device library, file-backed flash, link.
 *
 * Device time.  The simulated CPU's clock follows CLOCK_MONOTONIC, frame by frame: before each
 * frame it is set to that frame's tick, and it moves on by what the device itself does (an erase
 * stalls it for erase_us; each look at the clock costs 1 us).  When the host does not run this
 * process for a while, the device catches up frame by frame afterwards.  So a missed inference is
 * the device's doing, never the host's. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "sim_flash.h"
#include "sim_link.h"

enum { WAKE_US = 5000, BUILD = 1, FD_TIMER = 0, FD_SIGNAL, FD_LINK, FDS };

struct sim {
	struct sim_options opt;
	struct sim_flash flash;
	struct sim_link link;
	struct pump pump;
	struct app app;
	int64_t  origin_us;              /* CLOCK_MONOTONIC at device time 0                   */
	int64_t  device_us;              /* device time, without opt.clock_us                  */
	uint64_t frames;                 /* sampled so far                                     */
	uint32_t period_us, next_age;
	FILE    *truth;
	int      timer_fd, signal_fd;
	bool     stop;
	int      rc;
};

/* One process simulates one device; the flash port's stall callback has no context. */
static struct sim sim;

static int64_t clock_now_us(clockid_t id)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(id, &t);    /* cannot fail for the two clocks that are used */
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static uint32_t device_now_us(void *ctx)
{
	struct sim *s = ctx;

	s->device_us++;
	return s->opt.clock_us + (uint32_t)s->device_us;
}

static void device_stalled(uint32_t us)
{
	sim.device_us += us;
}

static bool device_send(void *ctx, const uint8_t *bytes, size_t n)
{
	struct sim *s = ctx;

	return sim_link_send(&s->link, bytes, n);
}

/* When the last frame of the window was sampled, on the wall clock. */
static int64_t wall_us(const struct sim *s, uint32_t count)
{
	int64_t ago = clock_now_us(CLOCK_MONOTONIC) - s->origin_us
	            - ((int64_t)count + 1) * s->period_us;

	return clock_now_us(CLOCK_REALTIME) - ago;
}

static void truth_write(void *ctx, const struct app_window *w)
{
	struct sim *s = ctx;
	char class_text[8] = "-";

	if (!s->truth)
		return;
	if (w->class_index != APP_NO_CLASS)
		(void)snprintf(class_text, sizeof class_text, "%d", w->class_index);
	if (fprintf(s->truth, "%" PRIu32 ",%" PRId64 ",%u,%s,%" PRIu32 ",%" PRIu32 "\n", w->count,
	            wall_us(s, w->count), w->state, class_text, w->model_version, w->missed) < 0
	    || fflush(s->truth) != 0) {
		s->rc = sim_fail(EX_IOERR, "--truth %s: %s", s->opt.truth, strerror(errno));
		s->stop = true;
	}
}

static void age(struct sim *s)
{
	if (pump_age_next(&s->pump))
		(void)fprintf(stderr, "hone-sim: ageing episode %u begins at frame %" PRIu64 "\n",
		              s->pump.episodes, s->frames);
	else
		(void)sim_fail(0, "all %d ageing episodes have begun", PUMP_EPISODES);
}

static void sample(struct sim *s)
{
	int16_t raw[PUMP_AXES];
	uint8_t state;

	while (s->next_age < s->opt.n_age && s->frames >= s->opt.age_at[s->next_age]) {
		s->next_age++;
		age(s);
	}
	state = (uint8_t)pump_next(&s->pump, raw);
	app_sample(&s->app, raw, state);
	s->frames++;
}

/* Bring the device up to the present, one frame after the other. */
static void catch_up(struct sim *s)
{
	int64_t now = clock_now_us(CLOCK_MONOTONIC) - s->origin_us;
	int64_t tick = ((int64_t)s->frames + 1) * s->period_us;

	for (; tick <= now && !s->stop; tick += s->period_us) {
		if (s->device_us < tick)
			s->device_us = tick;
		sample(s);
		/* While an erase stalled the CPU its ADC went on: those frames come first. */
		if (s->device_us < tick + s->period_us)
			app_poll(&s->app);
	}
	if (s->device_us < now)
		s->device_us = now;
	app_poll(&s->app);
}

static void on_signal(struct sim *s)
{
	struct signalfd_siginfo si;

	while (read(s->signal_fd, &si, sizeof si) == (ssize_t)sizeof si) {
		if (si.ssi_signo == SIGUSR1)
			age(s);
		else
			s->stop = true;
	}
}

static void receive(struct sim *s)
{
	if (s->link.in_len > 0)
		sim_link_took(&s->link, app_rx(&s->app, s->link.in, s->link.in_len));
}

static void loop(struct sim *s)
{
	struct pollfd p[FDS] = {
		[FD_TIMER] = { .fd = s->timer_fd, .events = POLLIN },
		[FD_SIGNAL] = { .fd = s->signal_fd, .events = POLLIN },
	};
	uint64_t expired;

	while (!s->stop) {
		p[FD_LINK] = sim_link_pollfd(&s->link);
		if (poll(p, FDS, -1) < 0 && errno != EINTR) {
			s->rc = sim_fail(EX_OSERR, "poll: %s", strerror(errno));
			return;
		}
		if (read(s->timer_fd, &expired, sizeof expired) < 0 && errno != EAGAIN) {
			s->rc = sim_fail(EX_OSERR, "timer: %s", strerror(errno));
			return;
		}
		on_signal(s);
		sim_link_run(&s->link, p[FD_LINK].revents, clock_now_us(CLOCK_MONOTONIC));
		catch_up(s);
		receive(s);
		sim_link_run(&s->link, 0, clock_now_us(CLOCK_MONOTONIC));
	}
}

static int open_signals(struct sim *s)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return sim_fail(EX_OSERR, "signals: %s", strerror(errno));
	s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->signal_fd < 0)
		return sim_fail(EX_OSERR, "signalfd: %s", strerror(errno));
	return 0;
}

static int open_timer(struct sim *s)
{
	uint32_t us = s->period_us > WAKE_US ? s->period_us : WAKE_US;
	const struct timespec each = { (time_t)(us / 1000000), (long)(us % 1000000 * 1000) };
	const struct itimerspec t = { .it_interval = each, .it_value = each };

	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->timer_fd < 0 || timerfd_settime(s->timer_fd, 0, &t, NULL) != 0)
		return sim_fail(EX_OSERR, "timerfd: %s", strerror(errno));
	return 0;
}

static int open_truth(struct sim *s)
{
	if (!s->opt.truth)
		return 0;
	s->truth = fopen(s->opt.truth, "ae");
	if (!s->truth)
		return sim_fail(EX_CANTCREAT, "--truth %s: %s", s->opt.truth, strerror(errno));
	return 0;
}

static bool verify(void *ctx, const uint8_t *header, const uint8_t *more, size_t n)
{
	const struct sim *s = ctx;

	return sim_verify(&s->opt.keys, header, more, n);
}

static int boot(struct sim *s)
{
	const struct sim_options *o = &s->opt;
	struct app_config cfg = {
		.device = {
			.flash = &s->flash.port, .key_id = o->key_id, .arch = o->arch, .credits = 4,
			.trial_boots = 3, .trial_inferences = o->trial_inferences, .build = BUILD,
			.ctx = s, .send = device_send, .now_us = device_now_us,
		},
		.period_us = s->period_us, .on_window = truth_write,
	};
	hd_status rc;

	memcpy(cfg.device.uid, o->uid, HD_UID_LEN);
	memcpy(cfg.device.key, o->key, HD_KEY_LEN);
	memcpy(s->opt.keys.device, o->key, HD_KEY_LEN);
	if (o->keys.n > 0)
		cfg.device.verify = verify;
	if (getrandom(&cfg.device.nonce, sizeof cfg.device.nonce, 0)
	    != (ssize_t)sizeof cfg.device.nonce)
		return sim_fail(EX_OSERR, "getrandom: %s", strerror(errno));
	rc = app_init(&s->app, &cfg);
	if (rc != HD_OK)
		return sim_fail(EX_DATAERR, "the device does not boot (error %d): is --geometry "
		                "possible, and --flash %s from this program?", (int)rc, o->flash);
	return 0;
}

static int run(struct sim *s)
{
	int rc;

	s->timer_fd = s->signal_fd = s->flash.fd = s->link.fd = s->link.listen_fd = -1;
	s->period_us = 1000000 / s->opt.rate_hz;
	pump_init(&s->pump, s->opt.seed, s->opt.rate_hz, s->opt.ramp_frames);
	rc = open_signals(s);
	if (rc == 0)
		rc = sim_flash_open(&s->flash, &s->opt);
	if (rc == 0)
		rc = open_truth(s);
	if (rc == 0)
		rc = boot(s);
	if (rc == 0)
		rc = sim_link_open(&s->link, s->opt.link);
	if (rc == 0)
		rc = open_timer(s);
	if (rc == 0) {
		s->flash.stalled = device_stalled;
		s->origin_us = clock_now_us(CLOCK_MONOTONIC);
		s->device_us = 0;
		app_start(&s->app, s->opt.clock_us + s->period_us);
		loop(s);
		rc = s->rc;
	}
	return rc;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);        /* timer and signals: nothing to lose */
}

static int done(struct sim *s, int rc)
{
	sim_link_done(&s->link);
	sim_flash_done(&s->flash);
	close_fd(s->timer_fd);
	close_fd(s->signal_fd);
	if (s->truth && fclose(s->truth) != 0 && rc == 0)
		rc = sim_fail(EX_IOERR, "--truth %s: %s", s->opt.truth, strerror(errno));
	return rc;
}

static int record_frames(struct sim *s, FILE *f)
{
	uint64_t t = s->opt.record_us;
	uint32_t next = 0;
	int16_t raw[PUMP_AXES];
	enum pump_state state;

	pump_init(&s->pump, s->opt.seed, s->opt.rate_hz, s->opt.ramp_frames);
	if (fprintf(f, "time_us,ax,ay,az,state\n") < 0)
		return EX_IOERR;
	for (uint32_t i = 0; i < s->opt.record_frames; i++) {
		for (; next < s->opt.n_age && i >= s->opt.age_at[next]; next++)
			(void)pump_age_next(&s->pump);
		state = pump_next(&s->pump, raw);
		if (fprintf(f, "%" PRIu64 ",%d,%d,%d,%d\n", t, raw[0], raw[1], raw[2], (int)state) < 0)
			return EX_IOERR;
		t += 1000000 / s->opt.rate_hz;
	}
	return fflush(f) == 0 ? 0 : EX_IOERR;
}

static int record(struct sim *s)
{
	bool to_stdout = strcmp(s->opt.record, "-") == 0;
	FILE *f = to_stdout ? stdout : fopen(s->opt.record, "we");
	int rc;

	if (!f)
		return sim_fail(EX_CANTCREAT, "--record %s: %s", s->opt.record, strerror(errno));
	rc = record_frames(s, f);
	if (!to_stdout && fclose(f) != 0)
		rc = EX_IOERR;
	if (rc != 0)
		return sim_fail(rc, "--record %s: %s", s->opt.record, strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	int rc = sim_options_parse(&sim.opt, argc, argv);

	if (rc != 0)
		return rc < 0 ? EXIT_SUCCESS : rc;
	if (sim.opt.record)
		return record(&sim);
	return done(&sim, run(&sim));
}
