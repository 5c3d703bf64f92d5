/* bench_link.c - how close a transfer comes to the wire.
 *
 * hn_peer and a device, as they are, over a serial line in simulated time: 10 bits a byte each way,
 * a gateway whose loop ticks every 10 ms and sees received bytes at once (native) or when an USB
 * adapter hands over: packets of 62 of them, and what is left when its latency timer of 16 ms ends,
 * which begins again with each packet.  The device calls hd_poll every
 * 100 us and is busy while its flash is (RAM: never; nrf52840: 41 us a word, 85 ms a page, and the
 * CPU halts).  Time of computing (SHA-256, HMAC, self-test) is not in it.
 * Telemetry, where it is sent: SAMPLES of 32 frames of 3 channels at a steady rate, through a queue
 * of 1 KB as a device has.
 * Measured: hn_peer_install until the gateway knows that the new image runs.  The spare slot was
 * erased ahead of time, as it is after every confirmation.  Argument: the report to write. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench_delta.h"
#include "hd_device.h"
#include "hn_peer.h"
#include "t_hd_flash.h"
#include "t_hd_package.h"

enum { STEP_US = 10, POLL_US = 100, TICK_US = 10000, LINE_MAX = 1 << 16, QUEUE_MAX = 2048,
       ADAPTER_BYTES = 62, LIMIT_US = 60000000, SERVICE_US = 1000, UP_MAX = 1024, STAMPS = 256,
       FRAMES = 32, CHANNELS = 3, HEAVY_US = 25000, USUAL_US = 80000, REST_US = 3000000,
       CREDITS = 4, CREDITS_RAM = 8 };    /* as in the firmware */

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
	int64_t samples_us, next_us;     /* period of SAMPLES, 0 = none; when the next is due      */
	int64_t stamp[STAMPS], late_us, worst_us;        /* sent; sum and worst of the delays      */
	unsigned sent, heard, refused;   /* SAMPLES                                                */
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
	if (g.up.head - g.up.sent + n > UP_MAX)
		return false;
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

static void telemetry(void)
{
	static const int16_t raw[FRAMES * CHANNELS] = { 5, -5, 4000 };

	if (g.samples_us == 0 || g.now_us < g.next_us)
		return;
	g.next_us += g.samples_us;
	g.stamp[g.sent % STAMPS] = g.now_us;
	if (hd_send_samples(&g.dev, (uint32_t)g.now_us, 2500, g.sent, CHANNELS, FRAMES, raw))
		g.sent++;
	else
		g.refused++;
}

static void device_step(void)
{
	struct line *l = &g.down;

	if (g.now_us < g.busy_us || g.now_us < g.poll_us)
		return;
	g.poll_us = g.now_us + POLL_US;
	telemetry();
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
	if (f.type == HD_SAMPLES) {
		const int64_t late = g.now_us - g.stamp[hd_get32(f.body + f.len - 4) % STAMPS];

		g.heard++;
		g.late_us += late;
		g.worst_us = late > g.worst_us ? late : g.worst_us;
	}
	e = hn_peer_message(&g.peer, &f, g.now_us);
	g.done += e == HN_PEER_DONE;
	g.trial += e == HN_PEER_IN_TRIAL;
}

static void gateway_step(void)
{
	struct line *l = &g.up;
	const bool timer = g.now_us - l->flushed_us >= g.latency_us;
	const size_t have = l->sent - l->out, n = timer ? have : have - have % ADAPTER_BYTES;

	if (timer || n > 0)
		l->flushed_us = g.now_us;
	for (size_t i = 0; i < n; i++)
		gateway_hear(l->bytes[l->out++ % LINE_MAX]);
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

static void install_view(const struct hn_peer_package *p)
{
	g.done = g.trial = g.said = 0;
	hn_peer_install(&g.peer, p, g.now_us);
}

static void install(const struct t_package *k)
{
	const struct hn_peer_package p = { .header = k->header, .payload = k->payload, .len = k->len,
		.version = k->head.version, .model_version = k->head.model_version };

	install_view(&p);
}

static void confirm(void)
{
	hn_peer_confirm(&g.peer, g.now_us);
	(void)run_until(&g.done);
	rest(REST_US);                   /* erased ahead of time; somewhere between two ticks */
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
		.arena_bytes = sizeof g.arena, .key_id = 1,
		.credits = ram ? CREDITS_RAM : CREDITS, .trial_boots = 3,
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

/* --- deltas ----------------------------------------------------------------------------------- */

static struct bench_set old, next[BENCH_UPDATES];

/* Time of a swap from `old` to p, in s. */
static double swap_from_old(const struct hn_peer_package *p, uint32_t baud)
{
	double s;

	setup(true, baud, 0);
	install_view(&old.full);
	(void)run_until(&g.trial);
	confirm();
	install_view(p);
	s = (double)run_until(&g.trial) * 1e-6;
	if ((p->full != NULL) != (g.peer.package.full != NULL)) {
		fprintf(stderr, "bench-link: the delta was refused\n");
		exit(EXIT_FAILURE);
	}
	t_flash_done(&g.flash);
	return s;
}

/* The sparse fit's is the one that is reported: s[] at 115200 and 921600. */
static void measure_deltas(double s[2])
{
	static const uint32_t bauds[] = { 115200, 921600 };

	if (!bench_delta_make(&old, next, t_uid, t_key, 1))
		exit(EXIT_FAILURE);
	printf("\nafter drift     moved  loss before  after   full     delta   115200    921600\n");
	for (int i = 0; i < BENCH_UPDATES; i++) {
		for (int b = 0; b < 2; b++)
			s[b] = swap_from_old(next[i].delta.len ? &next[i].delta : &next[i].full, bauds[b]);
		printf("%-12s   %5.1f %%   %.4f      %.4f  %5u B  %5u B  %.3f s  %.4f s\n",
		       bench_update_names[i], 100 * next[i].moved, next[i].before, next[i].loss,
		       (unsigned)next[i].full.len, (unsigned)next[i].delta.len, s[0], s[1]);
	}
}

/* --- sharing the line ------------------------------------------------------------------------- */

struct share { double swap_s, mean_ms, worst_ms; unsigned lost; };

static void telemetry_from_now(int64_t period_us)
{
	g.samples_us = period_us;
	g.next_us = g.now_us;
	g.late_us = g.worst_us = 0;
	g.sent = g.heard = g.refused = 0;
}

/* Samples every period_us, alone for a while or beside a transfer. */
static struct share measure_share(int64_t period_us, bool transfer)
{
	struct share r = { .swap_s = 0 };

	setup(true, 115200, 0);
	telemetry_from_now(period_us);
	if (transfer) {
		install(&packages[2]);
		r.swap_s = (double)run_until(&g.trial) * 1e-6;
	} else {
		rest(REST_US);
	}
	r.mean_ms = g.heard ? (double)g.late_us * 1e-3 / g.heard : 0;
	r.worst_ms = (double)g.worst_us * 1e-3;
	r.lost = g.refused;
	t_flash_done(&g.flash);
	return r;
}

static void measure_shares(struct share *usual, struct share *alone)
{
	static const int64_t periods[] = { HEAVY_US, USUAL_US };

	printf("\nsamples every   share of the line   alone: mean  worst   with a transfer: mean  worst"
	       "  lost  swap\n");
	for (int i = 0; i < 2; i++) {
		const double frame = 14 + 2 * FRAMES * CHANNELS + 10;

		*alone = measure_share(periods[i], false);
		*usual = measure_share(periods[i], true);
		printf("%3d ms              %3.0f %%               %5.1f  %5.1f ms               %5.1f  %5.1f ms"
		       "  %u  %.3f s\n",
		       (int)(periods[i] / 1000), frame / 11520 / (double)periods[i] * 1e8, alone->mean_ms,
		       alone->worst_ms, usual->mean_ms, usual->worst_ms, usual->lost, usual->swap_s);
	}
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
	double delta_s[2];
	struct share share, alone;
	unsigned rtts = 0, most = 0;
	FILE *f;

	if (argc != 2) {
		fprintf(stderr, "usage: bench_link REPORT\n");
		return EXIT_FAILURE;
	}
	build_packages();
	printf("payload %u bytes, %d credits, %d with slots in RAM\n"
	       "flash       baud  adapter   wire      swap     ratio  sent/B repeats no-op RTTs\n",
	       (unsigned)packages[2].len, CREDITS, CREDITS_RAM);
	for (int i = 0; i < 8; i++) {
		const int ram = !(i >> 2), baud = i >> 1 & 1, late = i & 1;

		ratio[ram][baud][late] = measure(names[ram], ram, bauds[baud], late ? 16000 : 0, &rtts);
		most = rtts > most ? rtts : most;
	}
	measure_deltas(delta_s);
	measure_shares(&share, &alone);
	f = fopen(argv[1], "we");
	if (!f) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	fprintf(f, "{\"payload_bytes\": %u, \"full_115200_ratio\": %.4f, \"full_921600_ratio\": %.4f,\n"
	        " \"full_115200_16ms_ratio\": %.4f, \"full_921600_16ms_ratio\": %.4f,\n"
	        " \"nrf52840_115200_ratio\": %.4f, \"nrf52840_921600_ratio\": %.4f,\n"
	        " \"nrf52840_115200_16ms_ratio\": %.4f, \"nrf52840_921600_16ms_ratio\": %.4f,\n"
	        " \"noop_rtts\": %u, \"clock\": \"simulated\",\n", (unsigned)packages[2].len,
	        ratio[1][0][0], ratio[1][1][0], ratio[1][0][1], ratio[1][1][1],
	        ratio[0][0][0], ratio[0][1][0], ratio[0][0][1], ratio[0][1][1], most);
	fprintf(f, " \"delta_115200_s\": %.4f, \"delta_921600_s\": %.4f, \"delta_bytes\": %u,\n"
	        " \"delta_loss\": %.5f, \"full_fit_loss\": %.5f, \"drifted_loss\": %.5f,\n"
	        " \"telemetry_alone_worst_ms\": %.2f, \"telemetry_beside_transfer_worst_ms\": %.2f,\n"
	        " \"swap_beside_telemetry_s\": %.4f}\n", delta_s[0], delta_s[1],
	        (unsigned)next[BENCH_SPARSE].delta.len, next[BENCH_SPARSE].loss, next[BENCH_FULL].loss,
	        next[BENCH_SPARSE].before, alone.worst_ms, share.worst_ms, share.swap_s);
	return fclose(f) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
