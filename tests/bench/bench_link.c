/* bench_link.c - how close a transfer comes to the wire.
 *
 * hn_peer and a device, as they are, over a serial line in simulated time: 10 bits a byte each way,
 * a gateway whose loop ticks every 10 ms and sees received bytes at once (native) or when an USB
 * adapter hands over 62 of them or its 16 ms latency timer ends.  The device calls hd_poll every
 * 100 us and is busy while its flash is (RAM: never; nrf52840: 41 us a word, 85 ms a page, and the
 * CPU halts).  Time of computing (SHA-256, HMAC, self-test) is not in it.
 * Measured: hn_peer_install until the gateway knows that the new image runs.  The spare slot was
 * erased ahead of time, as it is after every confirmation.  Argument: the report to write. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_device.h"
#include "hn_peer.h"
#include "t_hd_flash.h"
#include "t_hd_package.h"

enum { STEP_US = 10, POLL_US = 100, TICK_US = 10000, LINE_MAX = 1 << 16, QUEUE_MAX = 2048,
       ADAPTER_BYTES = 62, LIMIT_US = 60000000, SERVICE_US = 1000,
       CREDITS = 4 };             /* as in the firmware */

/* One direction: bytes leave in order, one every 10 bit times. */
struct line {
	uint8_t bytes[LINE_MAX];
	size_t  head, sent, out;         /* ends of what is queued, gone over, and taken there     */
	double  credit;                  /* bytes that may go, a fraction left over                */
	int64_t flushed_us;              /* adapter: the last hand-over                            */
};

static struct rig {
	struct t_flash flash;
	struct hd_flash plain;           /* the port of t_flash, without its times                 */
	struct hd_device dev;
	struct hd_config cfg;
	struct hn_peer peer;
	struct hd_rx rx;
	struct line down, up;
	uint32_t arena[4096];
	int64_t now_us, busy_us, poll_us, tick_us, latency_us;
	uint32_t word_us, erase_us, baud;
	unsigned said, done, trial;      /* frames of the gateway; events                          */
	uint8_t seq;
} g;

static struct t_package packages[4];

static void line_put(struct line *l, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		l->bytes[l->head++ % LINE_MAX] = b[i];
}

static void line_step(struct line *l)
{
	size_t n;

	l->credit += STEP_US * (double)g.baud / 1e7;
	n = (size_t)l->credit;
	l->credit -= (double)n;
	l->sent += n < l->head - l->sent ? n : l->head - l->sent;
	if (l->sent == l->head)
		l->credit = 0;           /* an idle line saves nothing up */
}

static bool to_device(void *ctx, uint8_t type, uint16_t session, const uint8_t *body, size_t len)
{
	uint8_t wire[HD_WIRE_MAX];

	(void)ctx;
	if (g.down.head - g.down.sent > QUEUE_MAX)
		return false;
	g.said++;
	line_put(&g.down, wire, hd_frame_write(type, g.seq++, session, body, len, wire));
	return true;
}

static bool to_gateway(void *ctx, const uint8_t *bytes, size_t n)
{
	(void)ctx;
	line_put(&g.up, bytes, n);
	return true;
}

static uint32_t now(void *ctx)
{
	(void)ctx;
	return (uint32_t)(g.now_us > g.busy_us ? g.now_us : g.busy_us);
}

static void keep_busy(int64_t us)
{
	g.busy_us = (g.busy_us > g.now_us ? g.busy_us : g.now_us) + us;
}

static int slow_program(void *ctx, uint32_t at, const void *buf, uint32_t n)
{
	keep_busy((int64_t)g.word_us * (n / 4));
	return g.plain.program(ctx, at, buf, n);
}

static int slow_erase(void *ctx, uint32_t at)
{
	keep_busy(g.erase_us);
	return g.plain.erase(ctx, at);
}

static void device_step(void)
{
	struct line *l = &g.down;

	if (g.now_us < g.busy_us || g.now_us < g.poll_us)
		return;
	g.poll_us = g.now_us + POLL_US;
	for (bool more = true; more && g.now_us >= g.busy_us; ) {
		more = l->out < l->sent;
		while (l->out < l->sent && hd_rx_bytes(&g.dev, &l->bytes[l->out % LINE_MAX], 1) == 1)
			l->out++;
		hd_poll(&g.dev, POLL_US, LIMIT_US);
	}
	if (g.now_us % SERVICE_US == 0 && hd_service(&g.dev, NULL))
		hd_inference_done(&g.dev, false);
}

static void gateway_hear(uint8_t byte)
{
	struct hd_frame f;
	enum hn_peer_event e;

	if (!hd_rx_byte(&g.rx, byte, &f))
		return;
	e = hn_peer_message(&g.peer, &f, g.now_us);
	g.done += e == HN_PEER_DONE;
	g.trial += e == HN_PEER_IN_TRIAL;
}

static void gateway_step(void)
{
	struct line *l = &g.up;
	const bool timer = g.now_us - l->flushed_us >= g.latency_us;

	if (timer || l->sent - l->out >= ADAPTER_BYTES) {
		l->flushed_us = g.now_us;
		while (l->out < l->sent)
			gateway_hear(l->bytes[l->out++ % LINE_MAX]);
	}
	if (g.now_us < g.tick_us)
		return;
	g.tick_us = g.now_us + TICK_US;
	(void)hn_peer_tick(&g.peer, g.now_us);
}

static void step(void)
{
	g.now_us += STEP_US;
	line_step(&g.down);
	line_step(&g.up);
	device_step();
	gateway_step();
}

/* Until *count is not 0; the time it took, or stops the program. */
static int64_t run_until(const unsigned *count)
{
	const int64_t from = g.now_us;

	while (*count == 0 && g.now_us - from < LIMIT_US)
		step();
	if (*count == 0) {
		fprintf(stderr, "bench-link: nothing after %d s, phase %d\n", LIMIT_US / 1000000, g.peer.phase);
		exit(EXIT_FAILURE);
	}
	return g.now_us - from;
}

static void rest(int64_t us)
{
	for (const int64_t end = g.now_us + us; g.now_us < end; )
		step();
}

static void install(const struct t_package *k)
{
	const struct hn_peer_package p = { .header = k->header, .payload = k->payload, .len = k->len,
		.version = k->head.version, .model_version = k->head.model_version };

	g.done = g.trial = g.said = 0;
	hn_peer_install(&g.peer, &p, g.now_us);
}

static void confirm(void)
{
	hn_peer_confirm(&g.peer, g.now_us);
	(void)run_until(&g.done);
	rest(3000000);                   /* erased ahead of time; somewhere between two ticks */
}

static void setup(bool ram, uint32_t baud, int64_t latency_us)
{
	const struct t_geometry geo = { .unit = 4, .sector = 4096, .slot_bytes = 24576, .erased = 0xff };

	memset(&g, 0, sizeof g);
	t_flash_init(&g.flash, &geo, 3);
	g.plain = g.flash.port;
	g.flash.port.program = slow_program;
	g.flash.port.erase = slow_erase;
	g.word_us = ram ? 0 : 41;
	g.erase_us = ram ? 0 : 85000;
	g.flash.port.erase_us = g.erase_us;
	g.baud = baud;
	g.latency_us = latency_us;
	g.cfg = (struct hd_config){ .flash = &g.flash.port, .arena = (uint8_t *)g.arena,
		.arena_bytes = sizeof g.arena, .key_id = 1, .credits = CREDITS, .trial_boots = 3,
		.trial_inferences = 10000000, .nonce = 77, .send = to_gateway, .now_us = now };
	memcpy(g.cfg.uid, t_uid, HD_UID_LEN);
	memcpy(g.cfg.key, t_key, HD_KEY_LEN);
	hd_rx_init(&g.rx);
	hn_peer_init(&g.peer, t_uid, t_key);
	g.peer.send = to_device;
	if (hd_init(&g.dev, &g.cfg) != HD_OK)
		exit(EXIT_FAILURE);
	g.now_us = 1000000;
	hn_peer_up(&g.peer, 5, 42, g.now_us);
	install(&packages[1]);
	(void)run_until(&g.trial);
	confirm();
}

/* Full set, then the same weights once more: ratio to the wire limit; round trips. */
static double measure(const char *name, bool ram, uint32_t baud, int64_t latency_us, unsigned *rtts)
{
	const double limit_s = packages[2].len * 10.0 / baud;
	double s;
	uint32_t repeats;
	size_t wire;

	setup(ram, baud, latency_us);
	wire = g.down.head;
	repeats = g.peer.window.repeats;
	install(&packages[2]);
	s = (double)run_until(&g.trial) * 1e-6;
	wire = g.down.head - wire;
	repeats = g.peer.window.repeats - repeats;
	confirm();
	install(&packages[3]);
	(void)run_until(&g.done);
	*rtts = g.said;
	printf("%-9s %6u  %2d ms  %7.4f s  %7.4f s  %6.3f  %6.3f  %4u  %u\n", name, (unsigned)baud,
	       (int)(latency_us / 1000), limit_s, s, s / limit_s, (double)wire / packages[2].len,
	       (unsigned)repeats, g.said);
	t_flash_done(&g.flash);
	return s / limit_s;
}

static void build_packages(void)
{
	static const struct t_image_spec spec = { 64, 1, { { HD_OP_DENSE, 92 }, { HD_OP_DENSE, 32 },
		{ HD_OP_DENSE, 92 }, { HD_OP_DENSE, 64 } } };

	t_package_build(&packages[1], &spec, 1, 4);
	t_package_build(&packages[2], &spec, 2, 4);
	packages[3] = packages[2];       /* the same weights under a new number */
	packages[3].head.version = 3;
	t_package_seal(&packages[3]);
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "nrf52840", "ram" };
	static const uint32_t bauds[] = { 115200, 921600 };
	double ratio[2][2][2];           /* [flash][baud][adapter] */
	unsigned rtts = 0, most = 0;
	FILE *f;

	if (argc != 2) {
		fprintf(stderr, "usage: bench_link REPORT\n");
		return EXIT_FAILURE;
	}
	build_packages();
	printf("payload %u bytes, %d credits\n"
	       "flash       baud  adapter   wire      swap     ratio  sent/B repeats no-op RTTs\n",
	       (unsigned)packages[2].len, CREDITS);
	for (int i = 0; i < 8; i++) {
		const int ram = !(i >> 2), baud = i >> 1 & 1, late = i & 1;

		ratio[ram][baud][late] = measure(names[ram], ram, bauds[baud], late ? 16000 : 0, &rtts);
		most = rtts > most ? rtts : most;
	}
	f = fopen(argv[1], "we");
	if (!f) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	fprintf(f, "{\"payload_bytes\": %u, \"full_115200_ratio\": %.4f, \"full_921600_ratio\": %.4f,\n"
	        " \"full_115200_16ms_ratio\": %.4f, \"full_921600_16ms_ratio\": %.4f,\n"
	        " \"nrf52840_115200_ratio\": %.4f, \"nrf52840_921600_ratio\": %.4f,\n"
	        " \"nrf52840_115200_16ms_ratio\": %.4f, \"nrf52840_921600_16ms_ratio\": %.4f,\n"
	        " \"noop_rtts\": %u, \"delta_115200_s\": null,\n"
	        " \"delta_reason\": \"there are no delta packages yet\", \"clock\": \"simulated\"}\n",
	        (unsigned)packages[2].len, ratio[1][0][0], ratio[1][1][0], ratio[1][0][1], ratio[1][1][1],
	        ratio[0][0][0], ratio[0][1][0], ratio[0][0][1], ratio[0][1][1], most);
	return fclose(f) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
