#include "bench_pty.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "conf_value.h"
#include "log.h"
#include "source.h"

enum { TICK_MS = 10, LIMIT_S = 20, REST_US = 150000 };   /* TICK_MS: as in daemon/deploy */

static struct gateway {
	uv_loop_t loop;
	struct sources *sources;
	struct conf conf;
	struct bench_wire wire;
	struct hn_peer peer;
	uv_timer_t tick;
	unsigned said, said_till_done, events[16];
} g;

static bool peer_send(void *ctx, uint8_t type, uint16_t session, const uint8_t *body, size_t len)
{
	const bool sent = sources_send(g.sources, 0, type, session, body, len) == HN_OK;

	(void)ctx;
	g.said += sent;
	return sent;
}

static hn_status on_frame(void *ctx, const struct hn_frame *f)
{
	(void)ctx;
	(void)f;
	return HN_OK;
}

static void on_message(void *ctx, int source, const struct hd_frame *f)
{
	const enum hn_peer_event e = hn_peer_message(&g.peer, f, clock_mono_us());

	(void)ctx;
	(void)source;
	if (e == HN_PEER_DONE)
		g.said_till_done = g.said;
	g.events[e]++;
}

static void on_link(void *ctx, int source, bool up)
{
	(void)ctx;
	(void)source;
	if (up)
		hn_peer_up(&g.peer, 5, 42, clock_mono_us());
	else
		hn_peer_down(&g.peer);
}

static void on_tick(uv_timer_t *t)
{
	(void)t;
	g.events[hn_peer_tick(&g.peer, clock_mono_us())]++;
}

static void rest(int64_t us)
{
	const int64_t end = clock_mono_us() + us;

	while (clock_mono_us() < end)
		(void)uv_run(&g.loop, UV_RUN_ONCE);
}

/* Until the event; the time it took [s], or -1. */
static double until(enum hn_peer_event e)
{
	const int64_t from = clock_mono_us(), end = from + LIMIT_S * INT64_C(1000000);

	while (g.events[e] == 0 && clock_mono_us() < end)
		(void)uv_run(&g.loop, UV_RUN_ONCE);
	if (g.events[e] == 0)
		fprintf(stderr, "bench-link: nothing after %d s, phase %d\n", LIMIT_S, g.peer.phase);
	return g.events[e] ? (double)(clock_mono_us() - from) * 1e-6 : -1;
}

static double install(const struct hn_peer_package *p, enum hn_peer_event e)
{
	memset(g.events, 0, sizeof g.events);
	g.said = 0;
	hn_peer_install(&g.peer, p, clock_mono_us());
	return until(e);
}

static bool confirm(void)
{
	static int64_t phase_us;

	hn_peer_confirm(&g.peer, clock_mono_us());
	if (until(HN_PEER_DONE) < 0)
		return false;
	phase_us = (phase_us + 3700) % 16000;    /* anywhere between two ticks and timers */
	rest(REST_US + phase_us);
	return true;
}

static bool swaps(const struct bench_pty_plan *p, struct bench_pty_result *out)
{
	uint32_t before;

	if (until(HN_PEER_KNOWN) < 0 || install(p->first, HN_PEER_IN_TRIAL) < 0 || !confirm())
		return false;
	before = g.peer.window.repeats;
	out->swap_s = install(p->second, HN_PEER_IN_TRIAL);
	out->repeats = g.peer.window.repeats - before;
	if (out->swap_s < 0 || (p->second->full && !g.peer.package.full) || !confirm())
		return false;            /* the delta was refused */
	if (!p->same)
		return true;
	out->noop_s = install(p->same, HN_PEER_DONE);
	out->noop_said = g.said_till_done;
	return out->noop_s >= 0;
}

static bool set(struct conf_source *s, const char *key, const char *value)
{
	const struct conf_row *r = conf_row_find(source_drivers[s->type]->conf.rows, key);
	char why[CONF_WHY_MAX] = "";

	if (r && conf_value_set(r, s->settings, value, why))
		return true;
	fprintf(stderr, "bench-link: %s: %s\n", key, why);
	return false;
}

/* One source of type link, at the slave; no stream wants its samples. */
static bool configure(const char *path, uint32_t baud)
{
	struct conf_source *s = &g.conf.sources[0];
	char number[16];

	g.conf.n_sources = 1;
	(void)snprintf(s->name, sizeof s->name, "pty");
	while (source_drivers[s->type] && strcmp(source_drivers[s->type]->conf.name, "link") != 0)
		s->type++;
	conf_value_defaults(source_drivers[s->type]->conf.rows, s->settings);
	(void)snprintf(number, sizeof number, "%u", (unsigned)baud);
	return set(s, "port", path) && set(s, "baud", number);
}

static bool open_line(const struct bench_pty_plan *p)
{
	const struct source_hooks hooks = { .on_frame = on_frame, .on_message = on_message,
		.on_link = on_link };
	struct hn_err err = { .code = HN_OK };

	log_set_level(LOG_ERR);
	hn_peer_init(&g.peer, p->device->uid, p->device->key);
	g.peer.send = peer_send;
	if (!configure(g.wire.path, p->baud) || uv_timer_init(&g.loop, &g.tick) != 0 ||
	    uv_timer_start(&g.tick, on_tick, TICK_MS, TICK_MS) != 0)
		return false;
	if (sources_open(&g.sources, &g.loop, &g.conf, &hooks, &err) == HN_OK)
		return true;
	fprintf(stderr, "bench-link: %s\n", err.text);
	return false;
}

/* One run with a device of its own. */
static bool run_once(const struct bench_pty_plan *plan, struct bench_late *late,
                     struct bench_pty_result *out)
{
	bool good;

	memset(&g, 0, sizeof g);
	*out = (struct bench_pty_result){ .swap_s = 0 };
	if (uv_loop_init(&g.loop) != 0)
		return false;
	good = bench_wire_start(&g.wire, plan->device, plan->baud, plan->latency_us)
	       && open_line(plan) && swaps(plan, out);
	sources_close(g.sources);
	if (g.tick.loop)
		uv_close((uv_handle_t *)&g.tick, NULL);
	(void)uv_run(&g.loop, UV_RUN_DEFAULT);
	good = uv_loop_close(&g.loop) == 0 && good;
	bench_wire_stop(&g.wire);
	out->lost = g.wire.lost;
	for (int i = 0; i < WIRE_BINS; i++)
		late->bin[i] += g.wire.late.bin[i];
	if (g.wire.late.worst_us > late->worst_us)
		late->worst_us = g.wire.late.worst_us;
	return good;
}

static int by_time(const void *a, const void *b)
{
	const struct bench_pty_result *x = a, *y = b;

	return (x->swap_s > y->swap_s) - (x->swap_s < y->swap_s);
}

bool bench_pty_run(const struct bench_pty_plan *plan, struct bench_late *late,
                   struct bench_pty_result *out)
{
	struct bench_pty_result r[BENCH_PTY_RUNS];
	unsigned most = 0;

	for (int i = 0; i < BENCH_PTY_RUNS; i++) {
		if (!run_once(plan, late, &r[i]))
			return false;
		most = r[i].noop_said > most ? r[i].noop_said : most;
	}
	qsort(r, BENCH_PTY_RUNS, sizeof r[0], by_time);
	*out = r[BENCH_PTY_RUNS / 2];
	out->worst_s = r[BENCH_PTY_RUNS - 1].swap_s;
	out->noop_said = most;
	return true;
}
