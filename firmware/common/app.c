#include "app.h"

static hd_status on_order(void *ctx, const struct hd_frame *f)
{
	return hd_sketch_order(ctx, f);
}

hd_status app_init(struct app *a, const struct app_config *cfg)
{
	a->cfg = *cfg;
	a->cfg.device.arena = (uint8_t *)a->arena;
	a->cfg.device.arena_bytes = sizeof a->arena;
	a->cfg.device.order = on_order;
	a->cfg.device.order_ctx = &a->sketch;
	hd_sketch_init(&a->sketch, a->channel, APP_CHANNELS);
	a->served = 0;
	a->serving = false;
	a->start_us = a->tail = a->missed = a->overruns = a->longest_us = 0;
	if (a->cfg.deadline_us == 0)
		a->cfg.deadline_us = APP_WINDOW * cfg->period_us;
	atomic_init(&a->head, 0);
	if (!hd_flash_ok(cfg->device.flash))
		return HD_EFORMAT;
	return hd_init(&a->device, &a->cfg.device);
}

void app_start(struct app *a, uint32_t start_us)
{
	a->start_us = start_us;
}

void app_sample(struct app *a, const int16_t raw[APP_CHANNELS], uint8_t state)
{
	uint32_t head = (uint32_t)atomic_load_explicit(&a->head, memory_order_relaxed);
	uint32_t at = head % APP_RING;

	for (unsigned c = 0; c < APP_CHANNELS; c++)
		a->ring[at][c] = raw[c];
	a->state[at] = state;
	atomic_store_explicit(&a->head, head + 1, memory_order_release);
}

static uint32_t waiting(struct app *a)
{
	return (uint32_t)atomic_load_explicit(&a->head, memory_order_acquire) - a->tail;
}

static uint32_t tick_of(const struct app *a, uint32_t frame)
{
	return a->start_us + frame * a->cfg.period_us;
}

/* Time until `tick`, 0 when it has passed. */
static uint32_t until(const struct app *a, uint32_t tick)
{
	uint32_t left = tick - a->cfg.device.now_us(a->cfg.device.ctx);

	return left < UINT32_MAX / 2 ? left : 0;
}

/* Copy the oldest window out of the ring.  False when the sampling overtook it. */
static bool window_take(struct app *a)
{
	for (uint32_t i = 0; i < APP_WINDOW; i++)
		for (uint32_t c = 0; c < APP_CHANNELS; c++)
			a->raw[i * APP_CHANNELS + c] = a->ring[(a->tail + i) % APP_RING][c];
	return waiting(a) < APP_RING;   /* the slot at head may be half written */
}

static bool shape_fits(const struct hd_net *net)
{
	return net->in_len == APP_WINDOW && net->in_ch == APP_CHANNELS
	    && net->out_n <= APP_OUTPUTS_MAX;
}

static uint8_t infer(struct app *a, const struct hd_net *net, uint8_t *margin)
{
	int8_t in[APP_WINDOW * APP_CHANNELS], out[APP_OUTPUTS_MAX];

	for (unsigned i = 0; i < APP_WINDOW * APP_CHANNELS; i++)
		in[i] = hd_net_scale(net, (uint16_t)(i % APP_CHANNELS), a->raw[i]);
	hd_net_run(net, in, (uint8_t *)a->arena, out);
	return hd_net_answer(net, in, out, margin);
}

/* --- what is reported ------------------------------------------------------------------------- */

/* A frame that does not fit in the send queue is counted by the device.  Frames first: the gateway
 * knows the time of a prediction by that of its frames. */
static void send_samples(struct app *a)
{
	(void)hd_send_samples(&a->device, tick_of(a, a->tail), a->cfg.period_us, a->tail, APP_CHANNELS,
	                      APP_WINDOW, a->raw);
}

static void send_answer(struct app *a, const struct app_window *w)
{
	if (w->class_index != APP_NO_CLASS)
		(void)hd_send_prediction(&a->device, w->tick_us, w->count, (uint8_t)w->class_index,
		                         w->margin);
}

static void send_sketch(struct app *a, const struct app_window *w)
{
	const struct hd_sketch_stamp stamp = { w->tick_us, w->count, w->model_version };
	uint8_t body[HD_SKETCH_BODY_MAX];

	for (unsigned c = 0; c < APP_CHANNELS; c += HD_SKETCH_CHANNELS)
		(void)hd_send(&a->device, HD_SKETCH, body,
		              hd_sketch_write(&a->sketch, &stamp, (uint8_t)c, body));
	hd_sketch_clear(&a->sketch);
}

/* --- inference -------------------------------------------------------------------------------- */

/* An inference is due: do it if its frames are `here` and there is time, and account for it. */
static void serve(struct app *a, const struct hd_net *net, bool here, struct app_window *w)
{
	uint32_t deadline = w->tick_us + a->cfg.deadline_us, before, left;
	bool missed = true;

	before = until(a, deadline);
	if (here && shape_fits(net) && before > 0) {
		w->class_index = infer(a, net, &w->margin);
		left = until(a, deadline);
		missed = left == 0;
		if (before - left > a->longest_us)
			a->longest_us = before - left;
	}
	a->missed += missed;
	hd_inference_done(&a->device, missed);
	if (w->model_version != a->served)
		hd_sketch_swapped(&a->sketch);
	a->served = w->model_version;
	if (w->class_index != APP_NO_CLASS)
		hd_sketch_answer(&a->sketch, (uint8_t)w->class_index, w->margin);
}

static void window_next(struct app *a)
{
	bool here = window_take(a), raw = false, late = false, due;
	uint32_t last = a->tail + APP_WINDOW - 1;
	struct app_window w = {
		.count = last, .tick_us = tick_of(a, last), .state = a->state[last % APP_RING],
		.class_index = APP_NO_CLASS,
	};
	const struct hd_net *net = hd_service(&a->device, &w.model_version);

	/* A first network may find windows whose time is over: nothing was due then. */
	a->serving = net && (a->serving || until(a, w.tick_us + a->cfg.deadline_us) > 0);
	if (a->serving)
		serve(a, net, here, &w);
	else
		w.model_version = 0;
	if (here)
		raw = hd_sketch_window(&a->sketch, a->raw, APP_WINDOW);
	else
		a->overruns += APP_WINDOW;
	if (raw)
		send_samples(a);
	due = hd_sketch_is_due(&a->sketch, &late);
	if (late && here && !raw)
		send_samples(a);
	if (raw || (late && here))
		send_answer(a, &w);
	if (due)
		send_sketch(a, &w);
	a->tail += APP_WINDOW;
	w.missed = a->missed;
	if (here && a->cfg.on_window)
		a->cfg.on_window(a->cfg.device.ctx, &w);
}

/* How much later than its window's last frame an inference may begin. */
static uint32_t slack_us(const struct app *a)
{
	uint32_t reserve = 2 * a->longest_us + APP_BUDGET_US;    /* records go with an erase */

	return a->longest_us > 0 && reserve < a->cfg.deadline_us ? a->cfg.deadline_us - reserve : 0;
}

static void link_poll(struct app *a)
{
	uint32_t left = until(a, tick_of(a, a->tail + APP_WINDOW - 1));
	uint32_t idle = left + slack_us(a);

	if (idle < a->longest_us)        /* a self-test takes as long as an inference */
		return;
	hd_poll(&a->device, left < APP_BUDGET_US ? left : APP_BUDGET_US, idle);
}

void app_poll(struct app *a)
{
	while (waiting(a) >= APP_WINDOW)
		window_next(a);
	link_poll(a);
}

size_t app_rx(struct app *a, const uint8_t *bytes, size_t n)
{
	size_t done = 0;

	while (done < n && waiting(a) < APP_WINDOW) {
		size_t took = hd_rx_bytes(&a->device, bytes + done, n - done);

		link_poll(a);
		if (took == 0)          /* a command waits for time: come back later */
			break;
		done += took;
	}
	return done;
}

void app_rx_lost(struct app *a, uint32_t n)
{
	hd_rx_lost(&a->device, n);
}
