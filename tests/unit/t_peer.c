#include "t_peer.h"

#include <check.h>
#include <string.h>

struct t_peer t_p;


static void push(struct t_pipe *p, const uint8_t *b, size_t n)
{
	const unsigned dice = hn_rng_below(&t_p.rng, 1000);
	const int copies = dice < t_p.noise / 4 ? 2 : dice < t_p.noise / 2 ? 0 : 1;

	for (int i = 0; i < copies && p->n < T_QUEUE; i++) {
		struct t_packet *k = &p->q[p->n++];

		memcpy(k->bytes, b, n);
		k->n = n;
		k->due_us = t_p.now_us + t_p.delay_us;
		if (dice >= t_p.noise / 2 && dice < t_p.noise)
			k->bytes[hn_rng_below(&t_p.rng, (uint32_t)n)] ^=
				(uint8_t)(1 + hn_rng_below(&t_p.rng, 255));
	}
}

static bool to_device(void *ctx, uint8_t type, uint16_t session, const uint8_t *body, size_t len)
{
	uint8_t wire[HD_WIRE_MAX];

	(void)ctx;
	if (t_p.down.n >= T_QUEUE / 2)
		return false;
	t_p.said++;
	push(&t_p.down, wire, hd_frame_write(type, t_p.seq++, session, body, len, wire));
	return true;
}

static bool to_gateway(void *ctx, const uint8_t *bytes, size_t n)
{
	(void)ctx;
	push(&t_p.up, bytes, n);
	return true;
}

static uint32_t now(void *ctx)
{
	(void)ctx;
	return (uint32_t)t_p.now_us;
}

static void pop(struct t_pipe *p)
{
	memmove(&p->q[0], &p->q[1], (size_t)(--p->n) * sizeof p->q[0]);
}

void t_peer_boot(void)
{
	t_p.cfg.nonce = 77 + t_p.boots++;
	ck_assert_int_eq(hd_init(&t_p.dev, &t_p.cfg), HD_OK);
}

static void deliver_down(void)
{
	while (t_p.down.n && t_p.down.q[0].due_us <= t_p.now_us) {
		struct t_packet *k = &t_p.down.q[0];
		size_t done = 0;

		for (int i = 0; i < 10000 && done < k->n; i++) {
			done += hd_rx_bytes(&t_p.dev, k->bytes + done, k->n - done);
			hd_poll(&t_p.dev, 1000, 1000000);
		}
		ck_assert_uint_eq(done, k->n);
		pop(&t_p.down);
	}
}

static void deliver_up(void)
{
	while (t_p.up.n && t_p.up.q[0].due_us <= t_p.now_us) {
		struct t_packet k = t_p.up.q[0];
		struct hd_frame f;

		pop(&t_p.up);
		for (size_t i = 0; i < k.n; i++)
			if (hd_rx_byte(&t_p.rx, k.bytes[i], &f))
				t_p.events[hn_peer_message(&t_p.peer, &f, t_p.now_us)]++;
	}
}

void t_peer_step(void)
{
	t_p.now_us += T_STEP_US;
	deliver_down();
	hd_poll(&t_p.dev, 1000, 1000000);
	if (hd_service(&t_p.dev, NULL))
		hd_inference_done(&t_p.dev, false);
	deliver_up();
	t_p.events[hn_peer_tick(&t_p.peer, t_p.now_us)]++;
	if (t_p.peer.phase == HN_PEER_TRIAL && !t_p.hold_trial)
		hn_peer_confirm(&t_p.peer, t_p.now_us);
}

void t_peer_gateway(void)
{
	hn_peer_init(&t_p.peer, t_uid, t_key);
	t_p.peer.send = to_device;
}

void t_peer_setup(void)
{
	const struct t_geometry geo = { .unit = 4, .sector = 1024, .slot_bytes = 8192, .erased = 0xff };

	memset(&t_p, 0, sizeof t_p);
	hn_rng_seed(&t_p.rng, 11);
	t_flash_init(&t_p.flash, &geo, 3);
	t_p.cfg = (struct hd_config){ .flash = &t_p.flash.port, .arena = (uint8_t *)t_p.arena,
		.arena_bytes = sizeof t_p.arena, .credits = 4, .trial_boots = 3, .trial_inferences = 100000,
		.send = to_gateway, .now_us = now };
	memcpy(t_p.cfg.uid, t_uid, HD_UID_LEN);
	memcpy(t_p.cfg.key, t_key, HD_KEY_LEN);
	t_p.delay_us = 2000;
	t_p.now_us = 1000000;
	hd_rx_init(&t_p.rx);
	t_peer_gateway();
	t_peer_boot();
}

void t_peer_teardown(void)
{
	t_flash_done(&t_p.flash);
}

void t_peer_make_package(uint32_t version, uint64_t seed)
{
	static uint8_t image[T_IMAGE_MAX] __attribute__((aligned(4)));
	static uint8_t arena[65536] __attribute__((aligned(4)));
	const struct t_image_spec spec = { 8, 3, { { HD_OP_DENSE, 60 }, { HD_OP_DENSE, 4 } } };
	struct hn_package_spec s = { .image = image, .version = version, .model_version = version };

	s.image_len = t_image_build(&spec, seed, image);
	memcpy(s.uid, t_uid, HD_UID_LEN);
	memcpy(s.key, t_key, HD_KEY_LEN);
	t_p.out = (struct hn_package_out){ .payload = t_p.payload, .cap = sizeof t_p.payload,
		.arena = arena, .arena_cap = sizeof arena };
	ck_assert_int_eq(hn_package_build(&s, &t_p.out), HN_OK);
	t_p.k = (struct hn_peer_package){ .header = t_p.out.header, .payload = t_p.out.payload,
		.len = (uint32_t)t_p.out.len, .version = version, .model_version = version };
}

enum hn_peer_event t_peer_forge(uint8_t type, uint16_t session, const uint8_t *body, size_t len)
{
	const struct hd_frame f = { .type = type, .seq = (uint8_t)(t_p.peer.seq + 1),
		.session = session, .body = body, .len = len };

	return hn_peer_message(&t_p.peer, &f, t_p.now_us);
}

bool t_peer_run_until(enum hn_peer_event e, int64_t limit_us)
{
	const int64_t end = t_p.now_us + limit_us;

	while (t_p.events[e] == 0 && t_p.now_us < end)
		t_peer_step();
	return t_p.events[e] > 0;
}

void t_peer_swap(uint32_t version, uint64_t seed)
{
	memset(t_p.events, 0, sizeof t_p.events);
	t_peer_make_package(version, seed);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	ck_assert_msg(t_peer_run_until(HN_PEER_DONE, 60000000),
	              "version %u: phase %d, state %d, error %d",
	              version, t_p.peer.phase, t_p.peer.report.state, t_p.peer.report.error);
	ck_assert_uint_eq(t_p.peer.report.active_version, version);
	ck_assert_uint_eq(t_p.peer.report.floor, version);
}
