#include "storm_rig.h"

#include <stdio.h>
#include <string.h>

enum { TICK_US = 10000, POLL_US = 2000, ERASE_US = 20000, TELEMETRY_US = 80000, TRIAL_US = 50000,
       AGAIN_US = 1000000, TRIAL_LEFT = 100000 };

static void broken(struct storm_rig *g, const char *what)
{
	if (g->out->broken[0] == '\0')
		(void)snprintf(g->out->broken, sizeof g->out->broken, "%s", what);
}

/* --- the device ------------------------------------------------------------------------------- */

static struct storm_rig *now_running;    /* the callbacks' context is the device */

static uint32_t device_now(void *ctx)
{
	(void)ctx;
	return (uint32_t)now_running->now_us;
}

/* The one cut of this run: what follows is the way back. */
static void cut_now(struct storm_rig *g)
{
	g->cut_at = UINT32_MAX;
	g->stop_us = g->now_us;
}

static void power_goes(struct storm_rig *g)
{
	cut_now(g);
	longjmp(g->power, 1);
}

static bool device_send(void *ctx, const uint8_t *bytes, size_t n)
{
	struct storm_rig *g = now_running;
	size_t left = n;

	if (ctx != &g->dev[g->at])
		return true;                     /* not at the line: nobody hears it */
	if (g->spec->cut == STORM_CUT_DEVICE_UP && g->up_bytes <= g->cut_at &&
	    g->cut_at < g->up_bytes + n)
		left = g->cut_at - g->up_bytes;
	if (g->spec->cut <= STORM_CUT_DEVICE_UP)
		g->up_bytes += (uint32_t)n;
	(void)wire_put(&g->up, bytes, left, g->now_us);
	if (left < n)
		power_goes(g);
	return true;
}

void rig_boot(struct storm_rig *g, int d)
{
	struct storm_device *v = &g->dev[d];

	t_flash_power_up(&v->flash);
	v->busy_us = 0;
	v->cfg.nonce = 1000003 * ++v->boots;
	if (hd_init(&v->dev, &v->cfg) != HD_OK)
		broken(g, "a device does not boot");
	g->out->resets++;
}

static bool is_known(const struct storm_rig *g, const uint8_t *slot)
{
	for (int i = 0; i < SETS; i++)
		if (memcmp(slot + HD_PACKAGE_HEADER, g->sets[i].payload, g->sets[i].len) == 0)
			return true;
	return false;
}

static void check_device(struct storm_rig *g, struct storm_device *v)
{
	if (v->dev.slots.floor < v->floor)
		broken(g, "the floor went down");
	v->floor = v->dev.slots.floor;
	if (v->flash.broken_rules)
		broken(g, "a rule of the flash was broken");
	if (v->active == v->dev.active)
		return;
	v->active = v->dev.active;
	if (v->active && !is_known(g, v->active))
		broken(g, "the active slot is none of the sets");
}

static void device_work(struct storm_rig *g, struct storm_device *v, const struct packet *in)
{
	for (size_t done = 0; in && done < in->n; ) {
		if (g->spec->cut == STORM_CUT_DEVICE_DOWN && g->down_bytes == g->cut_at)
			power_goes(g);
		if (hd_rx_bytes(&v->dev, &in->bytes[done], 1) == 1) {
			done++;
			g->down_bytes += g->spec->cut <= STORM_CUT_DEVICE_UP;
		}
		if (in->bytes[done - (done > 0)] == 0 || done == 0)
			hd_poll(&v->dev, POLL_US, INT32_MAX);
	}
	hd_poll(&v->dev, POLL_US, INT32_MAX);
	if (hd_service(&v->dev, NULL))
		hd_inference_done(&v->dev, false);
}

static void telemetry(struct storm_rig *g, struct storm_device *v)
{
	static const int16_t raw[96];

	if (g->now_us < g->telemetry_us)
		return;
	g->telemetry_us = g->now_us + TELEMETRY_US;
	(void)hd_send_samples(&v->dev, (uint32_t)g->now_us, 2500, g->count, 3, 32, raw);
	(void)hd_send_prediction(&v->dev, (uint32_t)g->now_us, g->count, 0, 1);
	g->count += 32;
}

static void device_turn(struct storm_rig *g)
{
	struct storm_device *v = &g->dev[g->at];
	const uint32_t slow = v->flash.slow_us;
	struct packet in;

	if (g->now_us < v->busy_us)
		return;
	if (setjmp(g->power) == 0) {
		telemetry(g, v);
		do {
			const bool some = wire_take(&g->down, &in, g->now_us);

			device_work(g, v, some ? &in : NULL);
			if (!some)
				break;
		} while (v->flash.slow_us == slow);
	} else {
		rig_boot(g, g->at);
	}
	v->busy_us = g->now_us + (int64_t)(g->dev[g->at].flash.slow_us - slow);
	check_device(g, v);
}

/* --- the gateway ------------------------------------------------------------------------------ */

static bool gateway_send(void *ctx, uint8_t type, uint16_t session, const uint8_t *body, size_t len)
{
	struct storm_rig *g = now_running;
	struct storm_gateway *w = ctx;
	uint8_t wire[HD_WIRE_MAX];
	size_t n = hd_frame_write(type, w->seq++, session, body, len, wire), left = n;

	if (g->now_us < g->dark_us || g->cut_gateway)
		return false;
	if (g->spec->cut == STORM_CUT_GATEWAY_DOWN && w == &g->gw[0]) {
		if (g->down_bytes <= g->cut_at && g->cut_at < g->down_bytes + n) {
			left = g->cut_at - g->down_bytes;
			g->cut_gateway = true;
		}
		g->down_bytes += (uint32_t)n;
	}
	return wire_put(&g->down, wire, left, g->now_us);
}

/* As a rollout does: above everything that the device has confirmed or runs. */
static void install(struct storm_rig *g, struct storm_gateway *w)
{
	const struct hd_hello *h = &w->peer.hello;
	struct hn_peer_package k = { .header = w->header, .payload = w->set->payload,
		.len = w->set->len };
	struct hd_package head = w->set->head;

	if (w->peer.has_hello && head.version <= h->report.floor)
		head.version = h->report.floor + 1;
	if (w->peer.has_hello && head.version <= h->report.active_version &&
	    memcmp(h->active_digest, head.digest, 8) != 0)
		head.version = h->report.active_version + 1;
	w->set->head.version = head.version;     /* written down before it is told */
	hd_package_write(&head, t_key, w->header);
	k.version = k.model_version = head.version;
	w->again_us = w->trial_us = 0;
	hn_peer_install(&w->peer, &k, g->now_us + w->skew_us);
}

void rig_start(struct storm_rig *g, int who)
{
	struct storm_gateway *w = &g->gw[who];

	hn_peer_init(&w->peer, t_uid, t_key);
	w->peer.ctx = w;
	w->peer.send = gateway_send;
	hd_rx_init(&w->rx);
	w->alive = true;
	w->again_us = w->trial_us = 0;
	hn_peer_up(&w->peer, (uint16_t)(1 + hn_rng_below(&g->world, 65535)),
	           (uint32_t)hn_rng_u64(&g->world), g->now_us + w->skew_us);
	install(g, w);
}

/* What the daemon's deploy does with an event. */
static void react(struct storm_rig *g, struct storm_gateway *w, enum hn_peer_event e)
{
	const struct hn_peer *p = &w->peer;

	g->out->refusals += e == HN_PEER_REFUSED;
	if (e == HN_PEER_REFUSED || e == HN_PEER_REVERTED)
		w->again_us = g->now_us + AGAIN_US;
	if (e == HN_PEER_KNOWN && !p->has_package && w->again_us == 0 &&
	    memcmp(p->hello.active_digest, w->set->head.digest, 8) != 0)
		w->again_us = g->now_us;
	if (p->phase == HN_PEER_TRIAL && w->trial_us == 0)
		w->trial_us = g->now_us + TRIAL_US;
	if (w->again_us != 0 && g->now_us >= w->again_us && p->has_hello && !p->has_package)
		install(g, w);
	if (w->trial_us != 0 && g->now_us >= w->trial_us) {
		w->trial_us = 0;
		hn_peer_confirm(&w->peer, g->now_us + w->skew_us);
	}
}

static void hear(struct storm_rig *g, struct storm_gateway *w, const struct packet *in)
{
	struct hd_frame f;

	for (size_t i = 0; w->alive && i < in->n; i++)
		if (hd_rx_byte(&w->rx, in->bytes[i], &f))
			react(g, w, hn_peer_message(&w->peer, &f, g->now_us + w->skew_us));
}

static void take_up(struct storm_rig *g, struct packet *in)
{
	if (g->spec->cut == STORM_CUT_GATEWAY_UP && g->up_bytes <= g->cut_at &&
	    g->cut_at < g->up_bytes + in->n) {
		in->n = g->cut_at - g->up_bytes;
		g->cut_gateway = true;
	}
	if (g->spec->cut == STORM_CUT_GATEWAY_UP)
		g->up_bytes += (uint32_t)in->n;
	if (g->now_us < g->dark_us)
		return;
	for (int i = 0; i < 2; i++)
		hear(g, &g->gw[i], in);
}

static void gateway_turn(struct storm_rig *g)
{
	struct packet in;

	while (!g->cut_gateway && wire_take(&g->up, &in, g->now_us))
		take_up(g, &in);
	for (int i = 0; i < 2; i++) {
		struct storm_gateway *w = &g->gw[i];

		if (w->alive && !g->cut_gateway && g->now_us >= g->dark_us)
			react(g, w, hn_peer_tick(&w->peer, g->now_us + w->skew_us));
	}
	if (!g->cut_gateway)
		return;
	g->cut_gateway = false;          /* kill -9 */
	cut_now(g);
	rig_start(g, 0);
}

/* --- the whole -------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void rig_turn(struct storm_rig *g)
{
	const struct storm_device *v = &g->dev[g->at];
	const int64_t tick = (g->now_us / TICK_US + 1) * TICK_US;
	int64_t next = earlier(tick, wire_next(&g->up));

	next = earlier(next, v->busy_us > g->now_us ? v->busy_us : wire_next(&g->down));
	g->now_us = next > g->now_us ? next : g->now_us + 1;
	world_turn(g);
	device_turn(g);
	gateway_turn(g);
}

bool rig_is_done(const struct storm_rig *g)
{
	const struct hn_peer *p = &g->gw[0].peer;
	const struct hd_device *d = &g->dev[0].dev;

	return g->at == 0 && d->active && d->report.state != HD_TRIAL &&
	       memcmp(d->active + HD_PACKAGE_HEADER, g->sets[OURS].payload, g->sets[OURS].len) == 0 &&
	       p->phase == HN_PEER_READY && !p->has_package && p->has_hello &&
	       p->session == d->session &&
	       memcmp(p->hello.active_digest, g->sets[OURS].head.digest, 8) == 0;
}

static void device_init(struct storm_rig *g, int d)
{
	const struct t_geometry geo = { .unit = 8, .sector = 4096, .erased = 0xff,
		.slot_bytes = 24576 };
	struct storm_device *v = &g->dev[d];

	t_flash_init(&v->flash, &geo, g->spec->seed + (uint64_t)d);
	v->flash.port.erase_us = ERASE_US;
	v->cfg = (struct hd_config){ .flash = &v->flash.port, .arena = (uint8_t *)v->arena,
		.arena_bytes = sizeof v->arena, .key_id = 1, .credits = 4, .trial_boots = 3,
		.trial_inferences = TRIAL_LEFT, .ctx = v, .send = device_send, .now_us = device_now };
	memcpy(v->cfg.uid, t_uid, HD_UID_LEN);
	memcpy(v->cfg.key, t_key, HD_KEY_LEN);
	v->cfg.uid[0] ^= (uint8_t)d;
	v->cfg.key[0] ^= (uint8_t)d;
	rig_boot(g, d);
}

static void wire_init(struct storm_rig *g, struct wire *w)
{
	w->baud = g->spec->baud;
	w->latency_us = g->spec->latency_us;
	w->level = g->spec->level;
	w->rng = &g->rng;
}

void rig_init(struct storm_rig *g, const struct storm_spec *spec, struct storm_result *out)
{
	struct t_package *sets = g->sets;

	memset(g, 0, sizeof *g);
	g->sets = sets;
	g->spec = spec;
	g->out = out;
	g->now_us = 1000000000;      /* a clock that jumps stays above 0 */
	g->cut_at = UINT32_MAX;
	now_running = g;
	hn_rng_seed(&g->rng, spec->seed);
	hn_rng_seed(&g->world, spec->seed ^ 0x5eed);
	wire_init(g, &g->down);
	wire_init(g, &g->up);
	for (int d = 0; d < DEVICES; d++)
		device_init(g, d);
	for (int i = 0; i < 2; i++)
		g->gw[i].set = &g->sets[i ? THEIRS : OURS];
}

void rig_done(struct storm_rig *g)
{
	for (int d = 0; d < DEVICES; d++)
		t_flash_done(&g->dev[d].flash);
}
