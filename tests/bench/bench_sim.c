#include "bench_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_device.h"
#include "hn_peer.h"
#include "t_hd_flash.h"
#include "t_hd_package.h"

enum { STEP_US = 10, POLL_US = 100, TICK_US = 10000, LINE_MAX = 1 << 16, QUEUE_MAX = 2048,
       ADAPTER_BYTES = 62, LIMIT_US = 60000000, SERVICE_US = 1000, UP_MAX = 1024, STAMPS = 256,
       FRAMES = 32, CHANNELS = 3, HEAVY_US = 25000, USUAL_US = 80000, REST_US = 3000000 };

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

struct t_package bench_packages[4];
const uint32_t bench_bauds[2] = { 115200, 921600 };

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

struct hn_peer_package bench_view(const struct t_package *k)
{
	return (struct hn_peer_package){ .header = k->header, .payload = k->payload, .len = k->len,
		.version = k->head.version, .model_version = k->head.model_version };
}

static void install(const struct t_package *k)
{
	const struct hn_peer_package p = bench_view(k);

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
		.arena_bytes = sizeof g.arena, .key_id = 1, .trial_boots = 3,
		.credits = ram ? BENCH_CREDITS_RAM : BENCH_CREDITS,
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
	install(&bench_packages[1]);
	(void)run_until(&g.trial);
	confirm();
}

/* Full set, then the same weights once more: ratio to the wire limit; round trips. */
double bench_sim_full(const char *name, bool ram, uint32_t baud, int64_t latency_us, unsigned *rtts)
{
	const double limit_s = bench_packages[2].len * 10.0 / baud;
	double s;
	uint32_t repeats;
	size_t wire;

	setup(ram, baud, latency_us);
	wire = g.down.head;
	repeats = g.peer.window.repeats;
	install(&bench_packages[2]);
	s = (double)run_until(&g.trial) * 1e-6;
	wire = g.down.head - wire;
	repeats = g.peer.window.repeats - repeats;
	confirm();
	install(&bench_packages[3]);
	(void)run_until(&g.done);
	*rtts = g.said;
	printf("%-9s %6u  %2d ms  %7.4f s  %7.4f s  %6.3f  %6.3f  %4u  %u\n", name, (unsigned)baud,
	       (int)(latency_us / 1000), limit_s, s, s / limit_s, (double)wire / bench_packages[2].len,
	       (unsigned)repeats, g.said);
	t_flash_done(&g.flash);
	return s / limit_s;
}

/* --- deltas ----------------------------------------------------------------------------------- */

struct bench_set bench_old, bench_next[BENCH_UPDATES];

/* Time of a swap from `old` to p, in s. */
static double swap_from_old(const struct hn_peer_package *p, uint32_t baud)
{
	double s;

	setup(true, baud, 0);
	install_view(&bench_old.full);
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
void bench_sim_deltas(double s[2])
{
	if (!bench_delta_make(&bench_old, bench_next, t_uid, t_key, 1))
		exit(EXIT_FAILURE);
	printf("\nafter drift     moved  loss before  after   full     delta   115200    921600\n");
	for (int i = 0; i < BENCH_UPDATES; i++) {
		for (int b = 0; b < 2; b++)
			s[b] = swap_from_old(bench_next[i].delta.len ? &bench_next[i].delta
			                                             : &bench_next[i].full, bench_bauds[b]);
		printf("%-12s   %5.1f %%   %.4f      %.4f  %5u B  %5u B  %.3f s  %.4f s\n",
		       bench_update_names[i], 100 * bench_next[i].moved, bench_next[i].before, bench_next[i].loss,
		       (unsigned)bench_next[i].full.len, (unsigned)bench_next[i].delta.len, s[0], s[1]);
	}
}

/* --- sharing the line ------------------------------------------------------------------------- */

static void telemetry_from_now(int64_t period_us)
{
	g.samples_us = period_us;
	g.next_us = g.now_us;
	g.late_us = g.worst_us = 0;
	g.sent = g.heard = g.refused = 0;
}

/* Samples every period_us, alone for a while or beside a transfer. */
static struct bench_share measure_share(int64_t period_us, bool transfer)
{
	struct bench_share r = { .swap_s = 0 };

	setup(true, 115200, 0);
	telemetry_from_now(period_us);
	if (transfer) {
		install(&bench_packages[2]);
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

void bench_sim_shares(struct bench_share *usual, struct bench_share *alone)
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

void bench_packages_build(void)
{
	static const struct t_image_spec spec = { 64, 1, { { HD_OP_DENSE, 92 }, { HD_OP_DENSE, 32 },
		{ HD_OP_DENSE, 92 }, { HD_OP_DENSE, 64 } } };

	t_package_build(&bench_packages[1], &spec, 1, 4);
	t_package_build(&bench_packages[2], &spec, 2, 4);
	bench_packages[3] = bench_packages[2];       /* the same weights under a new number */
	bench_packages[3].head.version = 3;
	t_package_seal(&bench_packages[3]);
}
