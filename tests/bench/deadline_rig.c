#include "deadline_rig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "app.h"
#include "hd_sha256.h"
#include "hd_crc32c.h"
#include "hn_peer.h"
#include "t_hd_package.h"

enum {
	BYTE_NS = 86806,                 /* 10 bits at 115200 baud                               */
	LINE_MAX = 8192, UART_RING = 2048,
	IRQ_US = 500,                    /* received bytes are looked at so often                */
	TICK_US = 10000,                 /* of the gateway's loop                                */
	LIMIT_US = 120000000,            /* no swap takes longer                                 */
	IMAGES = 6, TRIAL = 40,
	CYCLES_MAC = 10, CYCLES_SHA = 100, CYCLES_CRC = 30, CYCLES_HMAC = 64000
};

const struct rig_part rig_parts[] = {
	/* page 4 KB in 85 ms, word in 41 us; the CPU halts: nRF52840 product specification, NVMC */
	{ "nrf52840", { 4, 4096, 16384, 0xff }, 85000, 41, 64, 100000, 10000, false },
	/* page 1 KB in 20 to 40 ms, halfword in 53 us: STM32F103 data sheet, flash memory */
	{ "stm32f1", { 2, 1024, 16384, 0xff }, 40000, 53, 72, 50000, 10000, false },
};
const unsigned rig_n_parts = sizeof rig_parts / sizeof *rig_parts;

const char *const rig_swap_names[RIG_SWAPS] = {
	"confirm", "revert", "lapse", "cut", "digest", "vector"
};

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
	struct hn_peer peer;
	struct hd_rx rx;
	struct line down, up;
	struct hn_rng rng;
	uint8_t  uart[UART_RING];
	uint32_t uart_n, uart_lost;
	int64_t  now_us, cycles, frame_us, tick_us;
	uint64_t frames, windows;
	bool     started, computing;     /* computing: on the device                             */
	uint8_t  seq;
	uint32_t version, image;         /* last one made                                        */
	unsigned seen[8];                /* events of the peer since the swap began              */
	struct t_package package;        /* on its way                                           */
} g;

static struct t_package images[IMAGES];
static struct hd_net nets[IMAGES];

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
	const struct hd_net *net = &nets[model % IMAGES];
	int8_t in[APP_WINDOW * APP_CHANNELS], out[APP_CLASSES_MAX];
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
	const int64_t took = g.now_us - end;
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

static void gateway_hear(uint8_t byte)
{
	struct hd_frame f;
	enum hn_peer_event e;

	if (!hd_rx_byte(&g.rx, byte, &f))
		return;
	e = hn_peer_message(&g.peer, &f, g.now_us);
	g.seen[e & 7]++;
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
	line_step(&g.up);
	while (g.up.out != g.up.sent)
		gateway_hear(g.up.bytes[g.up.out++ % LINE_MAX]);
	if (g.now_us < g.tick_us)
		return;
	g.tick_us = g.now_us + TICK_US;
	g.seen[hn_peer_tick(&g.peer, g.now_us) & 7]++;
}

/* To the next frame, received bytes or tick, whichever comes first. */
static void step(void)
{
	int64_t next = g.frame_us < g.tick_us ? g.frame_us : g.tick_us;

	if (g.down.head != g.down.out || g.up.head != g.up.out || g.uart_n > 0)
		next = next < g.now_us + IRQ_US ? next : g.now_us + IRQ_US;
	if (g.now_us < next)
		g.now_us = next;
	interrupts();
	device_step();
	gateway_step();
}

/* Until *count is not 0.  False when that takes too long. */
static bool until(const unsigned *count)
{
	const int64_t end = g.now_us + LIMIT_US;

	while (*count == 0 && g.now_us < end)
		step();
	return *count != 0;
}

static void rest(int64_t us)
{
	for (const int64_t end = g.now_us + us; g.now_us < end; )
		step();
}

/* --- swaps ------------------------------------------------------------------------------------ */

static void make(enum rig_swap how)
{
	const uint8_t *active = g.app.device.active;
	uint32_t i;

	/* Neither the weights in service nor those that may be staged: these would resume. */
	do
		i = hn_rng_below(&g.rng, IMAGES);
	while (i == g.image || (active && i == hd_get32(active + HD_AT_MODEL) % IMAGES));
	g.image = i;
	g.package = images[i];
	g.package.head.version = ++g.version;
	g.package.head.model_version = IMAGES * g.version + i;
	if (how == RIG_SWAP_VECTOR)
		g.package.payload[g.package.len - 1] ^= 1;
	t_package_seal(&g.package);
	if (how == RIG_SWAP_DIGEST)
		g.package.payload[hn_rng_below(&g.rng, g.package.len)] ^= 0x20;
}

static void install(enum rig_swap how)
{
	struct hn_peer_package p = { .header = g.package.header, .payload = g.package.payload };

	make(how);
	p.len = g.package.len;
	p.version = g.package.head.version;
	p.model_version = g.package.head.model_version;
	memset(g.seen, 0, sizeof g.seen);
	hn_peer_install(&g.peer, &p, g.now_us);
}

static void link_up(void)
{
	hn_peer_up(&g.peer, (uint16_t)(1 + hn_rng_below(&g.rng, 60000)),
	           (uint32_t)hn_rng_u64(&g.rng), g.now_us);
}

/* On trial: the end that `how` says.  False when it is not reached. */
static bool end_trial(enum rig_swap how)
{
	if (how == RIG_SWAP_LAPSE)
		return until(&g.seen[HN_PEER_REVERTED]);
	rest(hn_rng_below(&g.rng, TRIAL / 2) * (int64_t)g.part->window_us);
	if (how == RIG_SWAP_CONFIRM) {
		hn_peer_confirm(&g.peer, g.now_us);
		return until(&g.seen[HN_PEER_DONE]);
	}
	hn_peer_revert(&g.peer, g.now_us);
	return until(&g.seen[HN_PEER_REVERTED]);
}

/* The package ran on trial, or was refused.  A cut before may have left another one on trial that
 * the gateway ends first: then the weights behind it may be the package's own, which is DONE. */
static bool arrive(unsigned *outcome)
{
	const int64_t end = g.now_us + LIMIT_US;

	while (*outcome + g.seen[HN_PEER_DONE] == 0 && g.now_us < end)
		step();
	return g.now_us < end;
}

static bool swap(enum rig_swap how)
{
	const bool bad = how == RIG_SWAP_DIGEST || how == RIG_SWAP_VECTOR;

	install(how);
	if (how == RIG_SWAP_CUT) {
		rest(hn_rng_below(&g.rng, 3000000));
		hn_peer_drop(&g.peer);
		hn_peer_down(&g.peer);
		rest(hn_rng_below(&g.rng, 2000000));
		link_up();
		rest(500000);
		return true;
	}
	if (!arrive(&g.seen[bad ? HN_PEER_REFUSED : HN_PEER_IN_TRIAL]))
		return false;
	return bad || g.seen[HN_PEER_DONE] > 0 || end_trial(how);
}

static enum rig_swap draw(void)
{
	const uint32_t x = hn_rng_below(&g.rng, 20);

	return x < 10 ? RIG_SWAP_CONFIRM : x < 12 ? RIG_SWAP_REVERT : x < 14 ? RIG_SWAP_LAPSE
	     : x < 18 ? RIG_SWAP_CUT : x < 19 ? RIG_SWAP_DIGEST : RIG_SWAP_VECTOR;
}

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
	hn_peer_init(&g.peer, t_uid, t_key);
	g.peer.send = to_device;
	if (app_init(&g.app, &cfg) != HD_OK)
		abort();
	g.now_us = 1000000;
	g.frame_us = g.now_us + cfg.period_us;
	app_start(&g.app, (uint32_t)g.frame_us);
	g.started = true;
	link_up();
}

static void build_images(void)
{
	static const struct t_image_spec spec = { APP_WINDOW, APP_CHANNELS,
		{ { HD_OP_DENSE, 64 }, { HD_OP_LUT, 0 }, { HD_OP_DENSE, 24 }, { HD_OP_DENSE, 4 } } };

	for (uint32_t i = 0; i < IMAGES; i++) {
		t_package_build(&images[i], &spec, 100 + i, 4);
		if (hd_net_open(&nets[i], images[i].payload, images[i].head.image_len) != HD_OK)
			abort();
	}
}

void deadline_rig_run(const struct rig_part *part, uint32_t swaps, uint64_t deadlines,
                      uint64_t seed, struct rig_tally *tally)
{
	memset(&g, 0, sizeof g);
	*tally = (struct rig_tally){ .latest_us = 0 };
	g.part = part;
	g.image = IMAGES;
	g.tally = tally;
	hn_rng_seed(&g.rng, seed);
	build_images();
	power_on();
	tally->astray += !swap(RIG_SWAP_CONFIRM);        /* the first one: nothing is due before */
	while (tally->all_swaps < swaps || tally->due < deadlines) {
		const enum rig_swap how = draw();

		tally->swaps[how]++;
		tally->all_swaps++;
		tally->astray += !swap(how);
	}
	tally->firmware_missed = g.app.missed;
	tally->repeats = g.peer.window.repeats;
	tally->days = (double)g.now_us / 86400e6;
	if (g.flash.broken_rules > 0)
		abort();
	t_flash_done(&g.flash);
}
