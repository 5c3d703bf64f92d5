#include "bench_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { PACKET = 62, SERVICE_US = 1000, TRIAL = 10000000 };

int64_t bench_late_at(const struct bench_late *l, double share)
{
	uint64_t all = 0, sum = 0;
	int i = 0;

	for (int k = 0; k < WIRE_BINS; k++)
		all += l->bin[k];
	for (; i < WIRE_BINS - 1; i++) {
		sum += l->bin[i];
		if ((double)sum >= share * (double)all)
			break;
	}
	return (i + 1) * WIRE_BIN_US;
}

static int64_t mono_us(void)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);        /* cannot fail */
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static size_t used(const struct bench_way *y)
{
	return y->head - y->tail;
}

static void put(struct bench_way *y, uint8_t b)
{
	y->bytes[y->head++ % WIRE_RING] = b;
}

/* Bytes that may pass now.  What could not be there yet while the line was idle earns nothing. */
static size_t allowance(const struct bench_wire *w, struct bench_way *y, int64_t dt_us)
{
	if (y->idle && dt_us > WIRE_TURN_US)
		dt_us = WIRE_TURN_US;
	y->credit += (double)dt_us * w->baud / 1e7;
	return (size_t)y->credit;
}

static void settle(struct bench_way *y, size_t allowed, size_t moved)
{
	y->idle = moved < allowed;
	y->credit = y->idle ? 0 : y->credit - (double)moved;
}

/* --- the device ------------------------------------------------------------------------------- */

static bool device_send(void *ctx, const uint8_t *bytes, size_t n)
{
	struct bench_wire *w = ctx;

	if (used(&w->up) + n > WIRE_UP)
		return false;
	for (size_t i = 0; i < n; i++)
		put(&w->up, bytes[i]);
	return true;
}

static uint32_t device_now(void *ctx)
{
	(void)ctx;
	return (uint32_t)mono_us();
}

static void device_turn(struct bench_wire *w)
{
	bool more = true;

	while (more) {
		more = used(&w->down) > 0;
		while (used(&w->down) > 0
		       && hd_rx_bytes(&w->dev, &w->down.bytes[w->down.tail % WIRE_RING], 1) == 1)
			w->down.tail++;
		hd_poll(&w->dev, WIRE_TURN_US, INT32_MAX);
	}
	if (w->now_us - w->served_us < SERVICE_US)
		return;
	w->served_us = w->now_us;
	if (hd_service(&w->dev, NULL))
		hd_inference_done(&w->dev, false);
}

/* --- the line --------------------------------------------------------------------------------- */

static void down_turn(struct bench_wire *w, int64_t dt_us)
{
	const size_t n = allowance(w, &w->down, dt_us);
	uint8_t bytes[WIRE_RING];
	ssize_t got = 0;

	if (n == 0)
		return;
	got = read(w->master, bytes, n < sizeof bytes ? n : sizeof bytes);
	got = got < 0 ? 0 : got;         /* EAGAIN: nothing there */
	for (ssize_t i = 0; i < got; i++) {
		if (used(&w->down) < WIRE_RING)
			put(&w->down, bytes[i]);
		else
			w->lost++;
	}
	settle(&w->down, n, (size_t)got);
}

static void hand_over(struct bench_wire *w)
{
	const bool timer = w->now_us - w->flushed_us >= w->latency_us;
	const size_t have = used(&w->adapter), n = timer ? have : have - have % PACKET;
	uint8_t bytes[WIRE_RING];

	if (timer || n > 0)
		w->flushed_us = w->now_us;
	for (size_t i = 0; i < n; i++)
		bytes[i] = w->adapter.bytes[w->adapter.tail++ % WIRE_RING];
	if (n > 0 && write(w->master, bytes, n) != (ssize_t)n)
		w->lost += (uint32_t)n;
}

static void up_turn(struct bench_wire *w, int64_t dt_us)
{
	const size_t n = allowance(w, &w->up, dt_us), have = used(&w->up);
	const size_t moved = n < have ? n : have;

	for (size_t i = 0; i < moved; i++)
		put(&w->adapter, w->up.bytes[w->up.tail++ % WIRE_RING]);
	settle(&w->up, n, moved);
	hand_over(w);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void note_late(struct bench_wire *w, uint64_t turns)
{
	const int64_t late = w->now_us - (w->begun_us + (w->turns + 1) * WIRE_TURN_US);
	const int64_t i = late < 0 ? 0 : late / WIRE_BIN_US;

	w->turns += (int64_t)turns;
	w->late.bin[i < WIRE_BINS ? i : WIRE_BINS - 1]++;
	w->late.worst_us = late > w->late.worst_us ? late : w->late.worst_us;
}

static void *run(void *arg)
{
	struct bench_wire *w = arg;
	uint64_t turns;

	while (!atomic_load(&w->stop)) {
		const int64_t before = w->now_us;

		if (read(w->timer, &turns, sizeof turns) != (ssize_t)sizeof turns)
			continue;
		w->now_us = mono_us();
		note_late(w, turns);
		down_turn(w, w->now_us - before);
		device_turn(w);
		up_turn(w, w->now_us - before);
	}
	return NULL;
}

/* A pty that changes no byte; the slave stays open, so that the master is never without. */
static bool make_pty(struct bench_wire *w)
{
	struct termios t;

	w->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (w->master < 0 || grantpt(w->master) != 0 || unlockpt(w->master) != 0 ||
	    ptsname_r(w->master, w->path, sizeof w->path) != 0)
		return false;
	w->slave = open(w->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (w->slave < 0 || tcgetattr(w->slave, &t) != 0)
		return false;
	cfmakeraw(&t);
	return tcsetattr(w->slave, TCSANOW, &t) == 0;
}

static bool make_timer(struct bench_wire *w)
{
	struct itimerspec every = { .it_interval = { .tv_nsec = WIRE_TURN_US * 1000 } };
	int64_t first;

	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	w->begun_us = w->now_us = w->flushed_us = mono_us();
	first = w->begun_us + WIRE_TURN_US;
	every.it_value = (struct timespec){ .tv_sec = first / 1000000,
		.tv_nsec = first % 1000000 * 1000 };
	return w->timer >= 0 && timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &every, NULL) == 0;
}

bool bench_wire_start(struct bench_wire *w, const struct hd_config *cfg, uint32_t baud,
                      int64_t latency_us)
{
	const struct t_geometry geo = { .unit = 4, .sector = 4096, .slot_bytes = 24576, .erased = 0xff };

	memset(w, 0, sizeof *w);
	w->master = w->slave = w->timer = -1;
	w->baud = baud;
	w->latency_us = latency_us;
	w->down.idle = w->up.idle = true;
	t_flash_init(&w->flash, &geo, 3);
	w->cfg = *cfg;
	w->cfg.flash = &w->flash.port;
	w->cfg.arena = (uint8_t *)w->arena;
	w->cfg.arena_bytes = sizeof w->arena;
	w->cfg.trial_boots = 3;
	w->cfg.trial_inferences = TRIAL;
	w->cfg.nonce = 77;
	w->cfg.ctx = w;
	w->cfg.send = device_send;
	w->cfg.now_us = device_now;
	if (make_pty(w) && make_timer(w) && hd_init(&w->dev, &w->cfg) == HD_OK)
		w->running = pthread_create(&w->thread, NULL, run, w) == 0;
	if (w->running)                  /* a line waits for nobody; without the right it may be late */
		(void)pthread_setschedparam(w->thread, SCHED_FIFO, &(struct sched_param){ 1 });
	if (!w->running)
		fprintf(stderr, "bench-link: no pty, timer or thread: %s\n", strerror(errno));
	return w->running;
}

void bench_wire_stop(struct bench_wire *w)
{
	atomic_store(&w->stop, true);
	if (w->running)
		(void)pthread_join(w->thread, NULL);     /* cannot fail: it is ours and not joined yet */
	if (w->master >= 0)
		(void)close(w->master);
	if (w->slave >= 0)
		(void)close(w->slave);
	if (w->timer >= 0)
		(void)close(w->timer);           /* nothing to lose in all three */
	t_flash_done(&w->flash);
}
