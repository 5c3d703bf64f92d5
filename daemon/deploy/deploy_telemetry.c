/* deploy_telemetry.c - what a device sends: its telemetry mode, windows on demand.
 *
 * An order is repeated once a second until the device has answered it. */
#include "deploy_step.h"

#include <math.h>
#include <string.h>

#include "clock.h"
#include "hd_sketch.h"
#include "log.h"

enum { REPEAT_US = 1000000, LAMBDA = 60, KNOWS_ORDERS = 1 };

static bool knows_orders(const struct deploy_device *v)
{
	return v->peer.has_hello && (v->peer.hello.flags & KNOWS_ORDERS);
}

/* Windows between two heartbeats, at least one. */
static uint16_t heartbeat(const struct deploy_device *v)
{
	const struct conf *c = v->owner->conf;
	const int s = conf_stream_find(c, v->conf->stream);
	const double window_s = (s < 0 ? 0 : c->streams[s].period_s) * (v->model < 0 ? 1
		: c->models[v->model].window);
	const double n = window_s > 0 ? v->conf->heartbeat_s / window_s : 1;

	return (uint16_t)lround(fmin(fmax(n, 1), UINT16_MAX));
}

static void say(struct deploy_device *v, uint8_t type, const uint8_t *body, size_t len)
{
	struct deploy *d = v->owner;

	/* Not taken: the next repetition may be. */
	(void)d->hooks.send(d->hooks.ctx, v->source, type, v->peer.session, body, len);
}

void telemetry_tick(struct deploy_device *v, int64_t now_us)
{
	uint8_t body[HD_TELEMETRY_LEN];

	if (!knows_orders(v) || now_us - v->ordered_us < REPEAT_US)
		return;
	if (v->mode_wanted) {
		const struct hd_telemetry_order o = { .mode = (uint8_t)v->conf->telemetry, .lambda = LAMBDA,
			.heartbeat = heartbeat(v), .raw_every = (uint16_t)v->conf->raw_every };

		hd_telemetry_write(&o, body);
		say(v, HD_TELEMETRY, body, sizeof body);
		v->ordered_us = now_us;
	} else if (v->pull > 0) {
		hd_put16(body, v->pull);
		say(v, HD_PULL, body, 2);
		v->ordered_us = now_us;
	}
}

void telemetry_known(struct deploy_device *v)
{
	v->mode_wanted = knows_orders(v);
	v->ordered_us = 0;
	if (!v->mode_wanted && v->conf->telemetry != HD_TELEMETRY_RAW)
		log_warn("event=no_sketches device=%s advice=\"its firmware sends raw telemetry only: remove "
		         "telemetry of this device, or build it with hd_sketch.c\"", v->conf->name);
	telemetry_tick(v, clock_mono_us());
}

void telemetry_answered(struct deploy_device *v, uint8_t re)
{
	if (re == HD_TELEMETRY)
		v->mode_wanted = false;
	else if (re == HD_PULL)
		v->pull = 0;
	else
		return;
	v->ordered_us = 0;
	telemetry_tick(v, clock_mono_us());
}

hn_status deploy_pull(struct deploy *d, int device, int windows, struct hn_err *err)
{
	struct deploy_device *v = &d->dev[device];

	if (v->conf->telemetry == HD_TELEMETRY_RAW)
		return hn_fail(err, HN_ESTATE, "device '%s' sends every window already (telemetry: raw)",
		               v->conf->name);
	if (!v->peer.has_hello)
		return hn_fail(err, HN_ESTATE, "device '%s' does not answer", v->conf->name);
	if (!knows_orders(v))
		return hn_fail(err, HN_ESTATE, "device '%s' has a firmware without sketches", v->conf->name);
	v->pull = (uint16_t)windows;
	v->ordered_us = 0;
	telemetry_tick(v, clock_mono_us());
	return HN_OK;
}
