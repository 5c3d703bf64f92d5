#include "deadline_rig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "app.h"
#include "hd_sha256.h"
#include "hd_crc32c.h"

enum {
	BYTE_NS = 86806,                 /* 10 bits at 115200 baud                               */
	LINE_MAX = 8192, UART_RING = 2048,
	IRQ_US = 500,                    /* received bytes are looked at so often                */
	TICK_US = 10000,                 /* of the gateway's loop                                */
	LIMIT_US = 120000000,            /* no swap takes longer                                 */
	TRIAL = 40,
	CYCLES_MAC = 10, CYCLES_SHA = 100, CYCLES_CRC = 30, CYCLES_HMAC = 64000
};

const struct rig_part rig_parts[] = {
	/* page 4 KB in 85 ms, word in 41 us; the CPU halts: nRF52840 product specification, NVMC */
	{ "nrf52840", { 4, 4096, 16384, 0xff }, 85000, 41, 64, 100000, 5000, false },
	/* page 1 KB in 20 to 40 ms, halfword in 53 us: STM32F103 data sheet, flash memory */
	{ "stm32f1", { 2, 1024, 16384, 0xff }, 40000, 53, 72, 50000, 7000, false },
};
const unsigned rig_n_parts = sizeof rig_parts / sizeof *rig_parts;

struct line {
	uint8_t  bytes[LINE_MAX];
	uint32_t head, sent, out;        /* ends of what is queued, gone over, taken there       */
	int64_t  next_ns;                /* when the next byte has gone over                     */
};

static struct rig {
	const struct rig_part *part;
	struct rig_tally *tally;
	struct t_flash flash;
	struct hd_flash plain;           /* the port of t_flash, without its times               */
	struct app app;
	struct swapper gateway;
	struct hd_rx rx;
	struct line down, up;
	struct hn_rng rng;
	uint8_t  uart[UART_RING];
	uint32_t uart_n, uart_lost;
	int64_t  now_us, cycles, frame_us, tick_us, ran_us;      /* ran: end of the last inference */
	uint64_t frames, windows;
	bool     started, computing;     /* computing: on the device                             */
	uint8_t  seq;
} g;

/* --- time ------------------------------------------------------------------------------------- */

static void line_put(struct line *l, const uint8_t *b, size_t n)
{
	if (l->head == l->sent)
		l->next_ns = g.now_us * 1000 + BYTE_NS;
	for (size_t i = 0; i < n && l->head - l->out < LINE_MAX; i++) {
		bool hurt = hn_rng_below(&g.rng, RIG_NOISE) == 0;

		l->bytes[l->head++ % LINE_MAX] = hurt ? (uint8_t)(b[i] ^ 0x10) : b[i];
	}
}

static void line_step(struct line *l)
{
	for (; l->sent != l->head && l->next_ns <= g.now_us * 1000; l->next_ns += BYTE_NS)
		l->sent++;
}

/* A frame is a function of its number, so that the answer can be computed again. */
static void frame_of(uint64_t frame, int16_t raw[APP_CHANNELS])
{
	uint64_t x = (frame + 1) * 0x9e3779b97f4a7c15u;

	for (unsigned c = 0; c < APP_CHANNELS; c++, x ^= x >> 29, x *= 0xbf58476d1ce4e5b9u)
		raw[c] = (int16_t)(x >> 40 & 0x3ff) - 512;
}

/* The timer's interrupt and the UART's DMA: also while the CPU stands still. */
static void interrupts(void)
{
	int16_t raw[APP_CHANNELS];

	while (g.started && g.frame_us <= g.now_us) {
		frame_of(g.frames++, raw);
		app_sample(&g.app, raw, 0);
		g.frame_us += g.part->window_us / APP_WINDOW;
	}
	line_step(&g.down);
	for (; g.down.out != g.down.sent; g.down.out++) {
		if (g.uart_n < UART_RING)
			g.uart[g.uart_n++] = g.down.bytes[g.down.out % LINE_MAX];
		else
			g.uart_lost++;
	}
}

static void spend_us(uint32_t us)
{
	g.now_us += us;
	interrupts();
}

static void compute(uint64_t cycles)
{
	if (!g.computing)
		return;
	g.cycles += (int64_t)cycles;
	if (g.cycles < (int64_t)g.part->mhz)
		return;
	spend_us((uint32_t)(g.cycles / g.part->mhz));
	g.cycles %= g.part->mhz;
}

/* The linker puts these in front of the library's functions (--wrap). */
void __real_hd_net_run(const struct hd_net *net, const int8_t *in, uint8_t *arena, int8_t *out);
void __wrap_hd_net_run(const struct hd_net *net, const int8_t *in, uint8_t *arena, int8_t *out);
void __real_hd_sha256_add(struct hd_sha256 *s, const uint8_t *p, size_t n);
void __wrap_hd_sha256_add(struct hd_sha256 *s, const uint8_t *p, size_t n);
void __real_hd_hmac(const uint8_t key[32], const uint8_t *p, size_t n, uint8_t mac[32]);
void __wrap_hd_hmac(const uint8_t key[32], const uint8_t *p, size_t n, uint8_t mac[32]);
uint32_t __real_hd_crc32c(uint32_t crc, const uint8_t *p, size_t n);
uint32_t __wrap_hd_crc32c(uint32_t crc, const uint8_t *p, size_t n);

void __wrap_hd_net_run(const struct hd_net *net, const int8_t *in, uint8_t *arena, int8_t *out)
{
	compute((uint64_t)net->len * CYCLES_MAC);        /* dense: one product a weight */
	__real_hd_net_run(net, in, arena, out);
	g.ran_us = g.now_us;
}

void __wrap_hd_sha256_add(struct hd_sha256 *s, const uint8_t *p, size_t n)
{
	compute(n * CYCLES_SHA);
	__real_hd_sha256_add(s, p, n);
}

void __wrap_hd_hmac(const uint8_t key[32], const uint8_t *p, size_t n, uint8_t mac[32])
{
	compute(CYCLES_HMAC);
	__real_hd_hmac(key, p, n, mac);
}

uint32_t __wrap_hd_crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
	compute(n * CYCLES_CRC);
	return __real_hd_crc32c(crc, p, n);
}

static int slow_program(void *ctx, uint32_t at, const void *buf, uint32_t n)
{
	spend_us(g.part->unit_us * (n / g.part->flash.unit));
	return g.plain.program(ctx, at, buf, n);
}

static int slow_erase(void *ctx, uint32_t at)
{
	g.tally->erases++;
	spend_us(g.part->erase_us);
	return g.plain.erase(ctx, at);
}

static uint32_t device_now(void *ctx)
{
	(void)ctx;
	return (uint32_t)g.now_us;
}

static bool to_gateway(void *ctx, const uint8_t *bytes, size_t n)
{
	(void)ctx;
	line_put(&g.up, bytes, n);
	return true;
}

static bool to_device(void *ctx, uint8_t type, uint16_t session, const uint8_t *body, size_t len)
{
	uint8_t wire[HD_WIRE_MAX];

	(void)ctx;
	if (g.down.head - g.down.sent > UART_RING)
		return false;
	line_put(&g.down, wire, hd_frame_write(type, g.seq++, session, body, len, wire));
	return true;
}

/* --- what is counted -------------------------------------------------------------------------- */

/* The class that version `model` gives the window that ends with frame `last`. */
static int16_t expected(uint32_t model, uint32_t last)
{
	const struct hd_net *net = swapper_net(&g.gateway, model);
	int8_t in[APP_WINDOW * APP_CHANNELS], out[APP_OUTPUTS_MAX];
	uint32_t arena[128];
	uint8_t margin;
	int16_t raw[APP_CHANNELS];

	for (uint32_t i = 0; i < APP_WINDOW; i++) {
		frame_of(last - APP_WINDOW + 1 + i, raw);
		for (uint16_t c = 0; c < APP_CHANNELS; c++)
			in[i * APP_CHANNELS + c] = hd_net_scale(net, c, raw[c]);
	}
	__real_hd_net_run(net, in, (uint8_t *)arena, out);
	return hd_argmax(out, net->out_n, &margin);
}

static void on_window(void *ctx, const struct app_window *w)
{
	const int64_t end = g.frame_us - (int64_t)((uint32_t)(g.frames - 1) - w->count + 1)
	                  * (g.part->window_us / APP_WINDOW);   /* when its last frame was sampled */
	const int64_t took = g.ran_us - end;     /* what is sent of it comes after */
	const bool late = w->class_index == APP_NO_CLASS || took > g.part->deadline_us;
	const bool in_order = w->count == (uint32_t)(g.windows * APP_WINDOW + APP_WINDOW - 1);

	(void)ctx;
	g.windows++;
	if (w->model_version == 0)       /* before the first package nothing is due */
		return;
	g.tally->due++;
	g.tally->missed += late || !in_order;
	g.tally->wrong += w->class_index != APP_NO_CLASS
		&& w->class_index != expected(w->model_version, w->count);
	if (took > g.tally->latest_us)
		g.tally->latest_us = (uint32_t)took;
}

/* --- one step --------------------------------------------------------------------------------- */

static void device_step(void)
{
	uint32_t took;

	g.computing = true;
	if (g.uart_lost > 0)
		app_rx_lost(&g.app, g.uart_lost);
	g.uart_lost = 0;
	took = (uint32_t)app_rx(&g.app, g.uart, g.uart_n);
	memmove(g.uart, g.uart + took, g.uart_n - took);
	g.uart_n -= took;
	app_poll(&g.app);
	g.computing = false;
}

static void gateway_step(void)
{
	struct hd_frame f;

	g.gateway.now_us = g.now_us;
	line_step(&g.up);
	while (g.up.out != g.up.sent) {
		if (hd_rx_byte(&g.rx, g.up.bytes[g.up.out++ % LINE_MAX], &f))
			swapper_hear(&g.gateway, &f);
	}
	if (g.now_us < g.tick_us)
		return;
	g.tick_us = g.now_us + TICK_US;
	swapper_tick(&g.gateway);
}

/* To the next frame, received bytes or tick, whichever comes first. */
static void step(void *ctx)
{
	int64_t next = g.frame_us < g.tick_us ? g.frame_us : g.tick_us;

	(void)ctx;
	if (g.down.head != g.down.out || g.up.head != g.up.out || g.uart_n > 0)
		next = next < g.now_us + IRQ_US ? next : g.now_us + IRQ_US;
	if (g.now_us < next)
		g.now_us = next;
	interrupts();
	device_step();
	gateway_step();
}

/* --- the rig ---------------------------------------------------------------------------------- */

static void power_on(void)
{
	const struct rig_part *part = g.part;
	struct app_config cfg = {
		.device = { .flash = &g.flash.port, .key_id = 1, .credits = 4, .trial_boots = 3,
		            .trial_inferences = TRIAL, .nonce = 77, .send = to_gateway,
		            .now_us = device_now },
		.period_us = part->window_us / APP_WINDOW, .deadline_us = part->deadline_us,
		.on_window = on_window,
	};

	t_flash_init(&g.flash, &part->flash, 3);
	g.plain = g.flash.port;
	g.flash.port.program = slow_program;
	g.flash.port.erase = slow_erase;
	g.flash.port.erase_us = part->hides_erases ? 0 : part->erase_us;
	memcpy(cfg.device.uid, t_uid, HD_UID_LEN);
	memcpy(cfg.device.key, t_key, HD_KEY_LEN);
	hd_rx_init(&g.rx);
	if (app_init(&g.app, &cfg) != HD_OK)
		abort();
	g.now_us = 1000000;
	g.frame_us = g.now_us + cfg.period_us;
	app_start(&g.app, (uint32_t)g.frame_us);
	g.started = true;
}

static void gateway_on(uint64_t seed)
{
	static const struct t_image_spec spec = { APP_WINDOW, APP_CHANNELS,
		{ { HD_OP_DENSE, 64 }, { HD_OP_LUT, 0 }, { HD_OP_DENSE, 24 }, { HD_OP_DENSE, 4 } } };
	struct swapper *s = &g.gateway;

	swapper_init(s, &spec, seed);
	s->step = step;
	s->now_us = g.now_us;
	s->window_us = g.part->window_us;
	s->limit_us = LIMIT_US;
	s->trial = TRIAL;
	s->peer.send = to_device;
	swapper_link_up(s);
}

void deadline_rig_run(const struct rig_part *part, uint32_t swaps, uint64_t deadlines,
                      uint64_t seed, struct rig_tally *tally)
{
	struct swapper *s = &g.gateway;

	memset(&g, 0, sizeof g);
	*tally = (struct rig_tally){ .latest_us = 0 };
	g.part = part;
	g.tally = tally;
	hn_rng_seed(&g.rng, seed);
	power_on();
	gateway_on(seed);
	swapper_swap(s, SWAP_CONFIRM);   /* the first one: nothing is due before */
	while (s->all < swaps || tally->due < deadlines)
		swapper_swap(s, swapper_draw(s));
	tally->all_swaps = s->all;
	memcpy(tally->swaps, s->count, sizeof tally->swaps);
	tally->astray = s->astray + s->lies;
	tally->repeats = s->peer.window.repeats;
	tally->firmware_missed = g.app.missed;
	tally->days = (double)g.now_us / 86400e6;
	if (g.flash.broken_rules > 0)
		abort();
	t_flash_done(&g.flash);
}
