/* What happens to the devices and gateways of a run, and the run itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "storm_rig.h"

const char *const storm_cut_names[STORM_CUTS] = {
	"none", "device_down", "device_up", "gateway_down", "gateway_up"
};

enum { EVENTS = 4, CLEAN_LIMIT_US = 120000000, MARGIN = 3 };

static bool acts(const struct storm_rig *g, enum storm_fault fault)
{
	return g->now_us < g->stop_us && (g->spec->faults >> fault & 1);
}

/* About EVENTS times while the storm lasts; asked once a tick of the world. */
static bool happens(struct storm_rig *g, enum storm_fault fault)
{
	const uint32_t turns = (uint32_t)(g->spec->storm_us / 10000) / EVENTS;

	return acts(g, fault) && hn_rng_below(&g->world, turns + 1) == 0;
}

static int64_t while_us(struct storm_rig *g, uint32_t most_us)
{
	const int64_t end = g->now_us + hn_rng_below(&g->world, most_us);

	return end < g->stop_us ? end : g->stop_us;
}

static void noise(struct storm_rig *g)
{
	static const char text[] = "\r\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\nload:";

	if (acts(g, STORM_BOOT_NOISE))
		(void)wire_put(&g->up, (const uint8_t *)text, sizeof text - 1, g->now_us);
}

static void devices_suffer(struct storm_rig *g)
{
	struct storm_device *v = &g->dev[g->at];

	if (happens(g, STORM_RESET) || (happens(g, STORM_BOOT_NOISE) && hn_rng_below(&g->world, 2))) {
		noise(g);
		rig_boot(g, g->at);
	}
	if (happens(g, STORM_POWER_CUT))
		t_flash_plan(&v->flash, &g->power, hn_rng_below(&g->world, 400),
		             (enum t_cut)hn_rng_below(&g->world, T_CUTS));
	if (g->now_us >= g->stop_us)
		v->flash.power = NULL;
	if (happens(g, STORM_SWAPPED)) {
		g->swapped_us = while_us(g, 1500000);
		g->at = 1;
		rig_boot(g, 1);
	}
	if (g->at == 1 && g->now_us >= g->swapped_us) {
		g->at = 0;
		rig_boot(g, 0);
	}
}

static void gateways_suffer(struct storm_rig *g)
{
	struct storm_gateway *ours = &g->gw[0], *rival = &g->gw[1];

	if (happens(g, STORM_KILL))
		rig_start(g, 0);
	if (happens(g, STORM_CLOCK))
		ours->skew_us += (int64_t)hn_rng_below(&g->world, 20000000) - 10000000;
	if (!rival->alive && happens(g, STORM_RIVAL)) {
		g->rival_us = while_us(g, 4000000);
		rig_start(g, 1);
	}
	if (rival->alive && g->now_us >= g->rival_us)
		rival->alive = false;
}

static void line_suffers(struct storm_rig *g)
{
	if (happens(g, STORM_REPLUG)) {
		wire_clear(&g->down);
		wire_clear(&g->up);
		hn_peer_down(&g->gw[0].peer);
		g->dark_us = while_us(g, 600000) + 1;
	}
	if (g->dark_us != 0 && g->now_us >= g->dark_us) {
		g->dark_us = 0;
		hd_rx_init(&g->gw[0].rx);
		hn_peer_up(&g->gw[0].peer, (uint16_t)(1 + hn_rng_below(&g->world, 65535)),
		           (uint32_t)hn_rng_u64(&g->world), g->now_us + g->gw[0].skew_us);
	}
	for (int i = 0; i < 2; i++) {
		if (g->hush_us[i] <= g->now_us && happens(g, STORM_HALF_OPEN))
			g->hush_us[i] = while_us(g, 2000000);
		if (g->hush_us[i] > g->now_us)
			wire_clear(i ? &g->up : &g->down);
	}
	if (g->baud_us <= g->now_us && happens(g, STORM_BAUD))
		g->baud_us = while_us(g, 2000000);
	g->down.garbled = g->up.garbled = g->baud_us > g->now_us;
	if (acts(g, STORM_REPLAY) && hn_rng_below(&g->world, 1000) < g->spec->level)
		wire_replay(hn_rng_below(&g->world, 2) ? &g->up : &g->down, g->now_us);
}

/* A side hears what it said: the receivers are joined. */
static void echo(struct storm_rig *g)
{
	struct wire *from = hn_rng_below(&g->world, 2) ? &g->up : &g->down;
	struct wire *to = from == &g->up ? &g->down : &g->up;

	if (acts(g, STORM_ECHO) && from->n > 0 && hn_rng_below(&g->world, 1000) < g->spec->level)
		(void)wire_put(to, from->q[from->n - 1].bytes, from->q[from->n - 1].n, g->now_us);
}

/* What a broker kept from a session of the past. */
static void retained(struct storm_rig *g)
{
	uint8_t wire[HD_WIRE_MAX], body[HD_CHUNK_HEAD + HD_CHUNK_MAX] = { 0 };

	if (happens(g, STORM_RETAINED))
		(void)wire_put(&g->down, wire, hd_frame_write(HD_CHUNK, 1,
		               (uint16_t)hn_rng_below(&g->world, 65536), body, sizeof body, wire), g->now_us);
}

void world_turn(struct storm_rig *g)
{
	const uint32_t on = g->now_us < g->stop_us ? g->spec->faults : 0;
	const bool tick = g->now_us % 10000 == 0;

	g->down.faults = g->up.faults = on;
	if (!tick)
		return;
	devices_suffer(g);
	gateways_suffer(g);
	line_suffers(g);
	echo(g);
	retained(g);
}

/* --- a run ------------------------------------------------------------------------------------ */

static struct t_package sets[SETS];

static void build_sets(void)
{
	static const struct t_image_spec spec = { 64, 1, { { HD_OP_DENSE, 92 }, { HD_OP_DENSE, 32 },
		{ HD_OP_DENSE, 92 }, { HD_OP_DENSE, 64 } } };

	for (uint32_t i = 0; i < SETS; i++) {
		const uint32_t version = i == THEIRS ? 100 : i + 1;

		if (sets[i].len == 0)
			t_package_build(&sets[i], &spec, version, 2);
		sets[i].head.version = version;
		t_package_sign(&sets[i]);
	}
}

/* Version 1 is in service: not part of what is measured. */
static void first_set(struct storm_rig *g)
{
	g->gw[0].set = &g->sets[0];
	rig_start(g, 0);
	for (const int64_t end = g->now_us + CLEAN_LIMIT_US; g->now_us < end; rig_turn(g))
		if (g->dev[0].dev.report.state == HD_IDLE && g->dev[0].dev.slots.floor == 1 &&
		    g->gw[0].peer.phase == HN_PEER_READY && !g->gw[0].peer.has_package)
			break;
	for (const int64_t end = g->now_us + 500000; g->now_us < end; )
		rig_turn(g);                     /* the spare slot is erased ahead of time */
	g->gw[0].set = &g->sets[OURS];
}

/* Time from the end of the storm until done, or -1. */
static int64_t one(struct storm_rig *g, const struct storm_spec *spec, struct storm_result *out,
                   int64_t limit_us)
{
	int64_t from, done_us = -1;

	rig_init(g, spec, out);
	first_set(g);
	from = g->now_us;
	g->down_bytes = g->up_bytes = 0;
	out->resets = out->refusals = 0;
	g->cut_at = spec->cut ? spec->at_byte : UINT32_MAX;
	g->stop_us = from + spec->storm_us;
	rig_start(g, 0);
	while (g->now_us < g->stop_us + limit_us) {
		const bool calm = g->now_us >= g->stop_us &&
		                  (spec->cut == STORM_CUT_NONE || g->cut_at == UINT32_MAX);

		if (calm && rig_is_done(g)) {
			done_us = g->now_us - g->stop_us;
			break;
		}
		rig_turn(g);
	}
	out->hurt = g->down.hurt + g->up.hurt;
	out->repeats = g->gw[0].peer.window.repeats;
	out->down_bytes = g->down_bytes;
	out->up_bytes = g->up_bytes;
	if (done_us >= 0 && !g->dev[0].dev.want)
		(void)snprintf(out->broken, sizeof out->broken, "%s", "nothing is in service");
	rig_done(g);
	return done_us;
}

static struct storm_rig rig;

/* The same line without faults; kept, since many runs in a row differ in their cut only. */
static int64_t clean_run(const struct storm_spec *spec, struct storm_result *out)
{
	static struct storm_spec last;
	static struct storm_result result;
	struct storm_spec clean = *spec;

	clean.faults = 0;
	clean.level = 0;
	clean.storm_us = 0;
	clean.cut = STORM_CUT_NONE;
	clean.at_byte = 0;
	if (result.clean_us == 0 || clean.seed != last.seed || clean.baud != last.baud ||
	    clean.latency_us != last.latency_us) {
		memset(&result, 0, sizeof result);
		build_sets();
		result.clean_us = one(&rig, &clean, &result, CLEAN_LIMIT_US);
		last = clean;
	}
	*out = result;
	return out->clean_us;
}

void storm_run(const struct storm_spec *spec, struct storm_result *out)
{
	rig.sets = sets;
	if (clean_run(spec, out) < 0) {
		(void)snprintf(out->broken, sizeof out->broken, "%s", "not even without faults");
		return;
	}
	if (spec->faults == 0 && spec->cut == STORM_CUT_NONE) {
		out->done = true;
		return;
	}
	build_sets();
	out->after_us = one(&rig, spec, out, 2 * MARGIN * out->clean_us + 10000000);
	out->done = out->after_us >= 0;
}

double storm_ratio(const struct storm_result *r)
{
	return (double)r->after_us / (double)r->clean_us;
}

bool storm_passed(const struct storm_result *r)
{
	return r->done && r->broken[0] == '\0' && r->after_us <= MARGIN * r->clean_us;
}

struct storm_spec storm_draw(uint64_t seed)
{
	static const uint32_t bauds[] = { 57600, 115200, 115200, 115200 };
	static const int64_t latencies[] = { 0, 1000, 16000, 50000 };
	static const unsigned levels[] = { 5, 30, 100, 300 };
	struct storm_spec s = { .seed = seed };
	struct hn_rng rng;
	uint32_t n;

	hn_rng_seed(&rng, seed);
	n = 1 + hn_rng_below(&rng, 4);
	s.baud = bauds[hn_rng_below(&rng, 4)];
	s.latency_us = latencies[hn_rng_below(&rng, 4)];
	s.level = levels[hn_rng_below(&rng, 4)];
	s.storm_us = 500000 + hn_rng_below(&rng, 6000000);
	s.faults = 1u << seed % STORM_FAULTS;    /* each in turn, and some more */
	while (--n > 0)
		s.faults |= 1u << hn_rng_below(&rng, STORM_FAULTS);
	if (hn_rng_below(&rng, 20) == 0)
		s.faults = (1u << STORM_FAULTS) - 1;
	return s;
}
