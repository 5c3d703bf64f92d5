/* What each pump really did beside what its device said, a line a window. */
#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"

static const int64_t window_us = (int64_t)WINDOW * PERIOD_US;

/* --- lines ------------------------------------------------------------------------------------ */

/* The emulated board has no wall clock: the smallest delay of the last windows ties its count to ours. */
static int64_t arrival_time(struct device *v, uint32_t count)
{
	const int64_t device_us = (int64_t)count * PERIOD_US;
	int64_t least = INT64_MAX;

	v->lag[v->n_truth % CLOCK_WINDOWS] = clock_now_us() - device_us;
	for (uint32_t i = 0; i <= v->n_truth && i < CLOCK_WINDOWS; i++)
		least = v->lag[i] < least ? v->lag[i] : least;
	return device_us + least;
}

static void take_line(struct device *v)
{
	uint32_t count, version, missed;
	int64_t wall_us;
	int state, answer, at = 0;
	struct truth *t = &v->ring[v->n_truth % TRUTH_RING];

	if (v->line[0] == '#') {
		fail(v->demo, "%s says: %s", v->name, v->line + 1);
		return;
	}
	if (sscanf(v->line, "%" SCNu32 ",%" SCNd64 ",%d,%n", &count, &wall_us, &state, &at) != 3 || at == 0 ||
	    state < 0 || state >= STATES) {
		v->bad_lines++;
		return;
	}
	answer = v->line[at] == '-' ? -1 : (int)strtol(v->line + at, NULL, 10);
	at += (int)strcspn(v->line + at, ",");
	if (sscanf(v->line + at, ",%" SCNu32 ",%" SCNu32, &version, &missed) != 2) {
		v->bad_lines++;
		return;
	}
	*t = (struct truth){ .t_us = wall_us ? wall_us : arrival_time(v, count), .version = version,
		.state = (int8_t)state, .answer = (int8_t)(answer < STATES ? answer : -1) };
	v->n_truth++;
	v->missed = missed;
}

static void take_bytes(struct device *v, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != '\n') {
			v->line_long |= v->line_len == LINE_CAP - 1;
			if (!v->line_long)
				v->line[v->line_len++] = p[i];
			continue;
		}
		v->line[v->line_len] = '\0';
		if (v->line_long)
			v->bad_lines++;
		else
			take_line(v);
		v->line_len = 0;
		v->line_long = false;
	}
}

static void give_room(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	static char room[4096];          /* one loop thread; used before the next read */

	(void)h;
	(void)suggested;
	*buf = uv_buf_init(room, sizeof room);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct device *v = s->data;

	if (n > 0)
		take_bytes(v, buf->base, (size_t)n);
	else if (n < 0 && !v->demo->stopping)
		fail(v->demo, "%s: no more truth: %s", v->name, uv_strerror((int)n));
}

/* --- ways in ---------------------------------------------------------------------------------- */

static void truth_path(const struct device *v, char *out, size_t cap)
{
	(void)snprintf(out, cap, "%s/%s.%s", v->demo->opt.dir, v->name, v->emulated ? "bench" : "truth");
}

/* Opened for both directions, so that a device that has gone is not the end of the file. */
static bool open_fifo(struct device *v)
{
	char path[PATH_CAP + 64];
	int fd = -1;

	truth_path(v, path, sizeof path);
	if (mkfifo(path, 0600) == 0)
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || uv_pipe_open(&v->pipe, fd) != 0 ||
	    uv_read_start((uv_stream_t *)&v->pipe, give_room, on_read) != 0) {
		fail(v->demo, "%s: %s", path, strerror(errno));
		return false;
	}
	v->reading = true;
	return true;
}

bool truth_open(struct device *v)
{
	v->ring = calloc(TRUTH_RING, sizeof *v->ring);
	if (!v->ring || uv_pipe_init(v->demo->loop, &v->pipe, 0) != 0) {
		fail(v->demo, "out of memory");
		return false;
	}
	v->pipe.data = v;
	v->pipe_open = true;
	return v->emulated || open_fifo(v);
}

static void on_reset(uv_handle_t *h)
{
	struct device *v = h->data;

	if (v->demo->stopping || uv_pipe_init(v->demo->loop, &v->pipe, 0) != 0)
		return;
	v->pipe.data = v;
	v->pipe_open = true;
}

/* libuv cannot read from a handle whose first connect failed: begin with a new one. */
static void on_connect(uv_connect_t *c, int status)
{
	struct device *v = c->handle->data;

	v->connect.data = NULL;
	if (status == 0)
		status = uv_read_start(c->handle, give_room, on_read);
	v->reading = status == 0;
	if (v->reading || !v->pipe_open)
		return;
	v->pipe_open = false;
	uv_close((uv_handle_t *)&v->pipe, on_reset);
}

void truth_poll(struct device *v)
{
	char path[PATH_CAP + 64];
	struct stat st;

	truth_path(v, path, sizeof path);
	if (!v->emulated || v->reading || !v->pipe_open || v->connect.data || stat(path, &st) != 0)
		return;
	v->connect.data = v;
	uv_pipe_connect(&v->connect, &v->pipe, path, on_connect);
}

void truth_close(struct device *v)
{
	if (v->pipe_open)
		uv_close((uv_handle_t *)&v->pipe, NULL);
	v->pipe_open = false;
}

void truth_age(struct device *v)
{
	char a[] = "a";
	uv_buf_t buf = uv_buf_init(a, 1);

	if (!v->emulated)
		child_signal(v->child, SIGUSR1);
	else if (uv_try_write((uv_stream_t *)&v->pipe, &buf, 1) != 1)
		fail(v->demo, "%s: its console does not take a command", v->name);
}

/* --- accuracy --------------------------------------------------------------------------------- */

static const struct truth *at_age(const struct device *v, uint32_t age)
{
	return &v->ring[(v->n_truth - 1 - age) % TRUTH_RING];
}

static uint32_t kept(const struct device *v)
{
	return v->n_truth < TRUTH_RING ? v->n_truth : TRUTH_RING;
}

struct tally truth_tally(const struct device *v, int64_t from_us, int64_t to_us, int64_t version)
{
	struct tally sum = { 0, 0 };

	for (uint32_t i = 0; i < kept(v); i++) {
		const struct truth *t = at_age(v, i);

		if (t->t_us < from_us || t->t_us >= to_us || t->version != version || t->answer < 0)
			continue;
		sum.n++;
		sum.right += t->answer == t->state;
	}
	return sum;
}

const struct truth *truth_at(const struct device *v, int64_t t_us)
{
	const struct truth *best = NULL;
	int64_t least = window_us;

	for (uint32_t i = 0; i < kept(v); i++) {
		const struct truth *t = at_age(v, i);
		const int64_t far = llabs(t->t_us - t_us);

		if (far < least) {
			least = far;
			best = t;
		}
	}
	return best;
}

double tally_share(struct tally t)
{
	return t.n > 0 ? (double)t.right / t.n : 0.0;
}

struct tally tally_sum(const struct tally *t, int n)
{
	struct tally sum = { 0, 0 };

	for (int i = 0; i < n; i++) {
		sum.n += t[i].n;
		sum.right += t[i].right;
	}
	return sum;
}
