/* The gateway's end of a link against the real device library, over a wire that hurts frames. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hd_device.h"
#include "hd_image.h"
#include "hn_package.h"
#include "hn_peer.h"
#include "hn_rng.h"
#include "t_hd_flash.h"
#include "t_hd_package.h"

enum { QUEUE = 64, STEP_US = 1000 };

struct packet { uint8_t bytes[HD_WIRE_MAX]; size_t n; int64_t due_us; };
struct pipe { struct packet q[QUEUE]; int n; };

static struct rig {
	struct t_flash flash;
	struct hd_device dev;
	struct hd_config cfg;
	uint32_t arena[16384];
	struct hn_peer peer;
	struct pipe down, up;
	struct hd_rx rx;
	struct hn_rng rng;
	unsigned noise;          /* per mille of packets lost, hurt or repeated, each way */
	int64_t now_us, delay_us;
	uint8_t seq;
	unsigned events[16], said;
	bool hold_trial;         /* do not confirm                                       */
	uint32_t boots;
	uint8_t payload[T_PAYLOAD_MAX] __attribute__((aligned(4)));
	struct hn_package_out out;
	struct hn_peer_package k;
} g;

static void push(struct pipe *p, const uint8_t *b, size_t n)
{
	const unsigned dice = hn_rng_below(&g.rng, 1000);
	const int copies = dice < g.noise / 4 ? 2 : dice < g.noise / 2 ? 0 : 1;

	for (int i = 0; i < copies && p->n < QUEUE; i++) {
		struct packet *k = &p->q[p->n++];

		memcpy(k->bytes, b, n);
		k->n = n;
		k->due_us = g.now_us + g.delay_us;
		if (dice >= g.noise / 2 && dice < g.noise)
			k->bytes[hn_rng_below(&g.rng, (uint32_t)n)] ^= (uint8_t)(1 + hn_rng_below(&g.rng, 255));
	}
}

static bool to_device(void *ctx, uint8_t type, uint16_t session, const uint8_t *body, size_t len)
{
	uint8_t wire[HD_WIRE_MAX];

	(void)ctx;
	if (g.down.n >= QUEUE / 2)
		return false;
	g.said++;
	push(&g.down, wire, hd_frame_write(type, g.seq++, session, body, len, wire));
	return true;
}

static bool to_gateway(void *ctx, const uint8_t *bytes, size_t n)
{
	(void)ctx;
	push(&g.up, bytes, n);
	return true;
}

static uint32_t now(void *ctx)
{
	(void)ctx;
	return (uint32_t)g.now_us;
}

static void pop(struct pipe *p)
{
	memmove(&p->q[0], &p->q[1], (size_t)(--p->n) * sizeof p->q[0]);
}

static void boot(void)
{
	g.cfg.nonce = 77 + g.boots++;
	ck_assert_int_eq(hd_init(&g.dev, &g.cfg), HD_OK);
}

static void deliver_down(void)
{
	while (g.down.n && g.down.q[0].due_us <= g.now_us) {
		struct packet *k = &g.down.q[0];
		size_t done = 0;

		for (int i = 0; i < 10000 && done < k->n; i++) {
			done += hd_rx_bytes(&g.dev, k->bytes + done, k->n - done);
			hd_poll(&g.dev, 1000, 1000000);
		}
		ck_assert_uint_eq(done, k->n);
		pop(&g.down);
	}
}

static void deliver_up(void)
{
	while (g.up.n && g.up.q[0].due_us <= g.now_us) {
		struct packet k = g.up.q[0];
		struct hd_frame f;

		pop(&g.up);
		for (size_t i = 0; i < k.n; i++)
			if (hd_rx_byte(&g.rx, k.bytes[i], &f))
				g.events[hn_peer_message(&g.peer, &f, g.now_us)]++;
	}
}

static void step(void)
{
	g.now_us += STEP_US;
	deliver_down();
	hd_poll(&g.dev, 1000, 1000000);
	if (hd_service(&g.dev, NULL))
		hd_inference_done(&g.dev, false);
	deliver_up();
	g.events[hn_peer_tick(&g.peer, g.now_us)]++;
	if (g.peer.phase == HN_PEER_TRIAL && !g.hold_trial)
		hn_peer_confirm(&g.peer, g.now_us);
}

static void setup(void)
{
	const struct t_geometry geo = { .unit = 4, .sector = 1024, .slot_bytes = 8192, .erased = 0xff };

	memset(&g, 0, sizeof g);
	hn_rng_seed(&g.rng, 11);
	t_flash_init(&g.flash, &geo, 3);
	g.cfg = (struct hd_config){ .flash = &g.flash.port, .arena = (uint8_t *)g.arena,
		.arena_bytes = sizeof g.arena, .credits = 4, .trial_boots = 3, .trial_inferences = 100000,
		.send = to_gateway, .now_us = now };
	memcpy(g.cfg.uid, t_uid, HD_UID_LEN);
	memcpy(g.cfg.key, t_key, HD_KEY_LEN);
	g.delay_us = 2000;
	g.now_us = 1000000;
	hd_rx_init(&g.rx);
	hn_peer_init(&g.peer, t_uid, t_key);
	g.peer.send = to_device;
	boot();
}

static void teardown(void)
{
	t_flash_done(&g.flash);
}

static void make_package(uint32_t version, uint64_t seed)
{
	static uint8_t image[T_IMAGE_MAX] __attribute__((aligned(4)));
	static uint8_t arena[65536] __attribute__((aligned(4)));
	const struct t_image_spec spec = { 8, 3, { { HD_OP_DENSE, 60 }, { HD_OP_DENSE, 4 } } };
	struct hn_package_spec s = { .image = image, .version = version, .model_version = version };

	s.image_len = t_image_build(&spec, seed, image);
	memcpy(s.uid, t_uid, HD_UID_LEN);
	memcpy(s.key, t_key, HD_KEY_LEN);
	g.out = (struct hn_package_out){ .payload = g.payload, .cap = sizeof g.payload, .arena = arena,
		.arena_cap = sizeof arena };
	ck_assert_int_eq(hn_package_build(&s, &g.out), HN_OK);
	g.k = (struct hn_peer_package){ .header = g.out.header, .payload = g.out.payload,
		.len = (uint32_t)g.out.len, .version = version, .model_version = version };
}

/* A message that no device sent: it comes after all that were heard. */
static enum hn_peer_event forge(uint8_t type, uint16_t session, const uint8_t *body, size_t len)
{
	const struct hd_frame f = { .type = type, .seq = (uint8_t)(g.peer.seq + 1), .session = session,
		.body = body, .len = len };

	return hn_peer_message(&g.peer, &f, g.now_us);
}

static int run_until(enum hn_peer_event e, int64_t limit_us)
{
	const int64_t end = g.now_us + limit_us;

	while (g.events[e] == 0 && g.now_us < end)
		step();
	return g.events[e] > 0;
}

static void swap(uint32_t version, uint64_t seed)
{
	memset(g.events, 0, sizeof g.events);
	make_package(version, seed);
	hn_peer_install(&g.peer, &g.k, g.now_us);
	ck_assert_msg(run_until(HN_PEER_DONE, 60000000), "version %u: phase %d, state %d, error %d",
	              version, g.peer.phase, g.peer.report.state, g.peer.report.error);
	ck_assert_uint_eq(g.peer.report.active_version, version);
	ck_assert_uint_eq(g.peer.report.floor, version);
}

START_TEST(a_clean_wire_swaps_five_times_without_a_repeat)
{
	hn_peer_up(&g.peer, 5, 42, g.now_us);
	for (uint32_t v = 1; v <= 5; v++)
		swap(v, v);
	ck_assert_uint_eq(g.peer.window.repeats, 0);
	ck_assert_uint_eq(g.events[HN_PEER_REFUSED], 0);
	ck_assert_uint_eq(g.flash.broken_rules, 0);
}
END_TEST

START_TEST(a_wire_that_hurts_every_fifth_frame_still_swaps)
{
	hn_peer_up(&g.peer, 5, 42, g.now_us);
	g.noise = 200;
	for (uint32_t v = 1; v <= 5; v++)
		swap(v, v);
	ck_assert_uint_gt(g.peer.window.repeats, 0);
	ck_assert_uint_eq(g.flash.broken_rules, 0);
}
END_TEST

START_TEST(the_same_weights_under_a_new_number_are_not_sent_again)
{
	unsigned said;
	uint64_t sent;

	hn_peer_up(&g.peer, 5, 42, g.now_us);
	swap(1, 9);
	sent = g.peer.bytes_sent;
	memset(g.events, 0, sizeof g.events);
	make_package(2, 9);
	hn_peer_install(&g.peer, &g.k, g.now_us);
	ck_assert(run_until(HN_PEER_DONE, 5000000));
	ck_assert_uint_eq(g.peer.bytes_sent, sent);
	memset(g.events, 0, sizeof g.events);
	ck_assert(run_until(HN_PEER_KNOWN, 1000000));
	make_package(3, 9);              /* now that nothing is open: one order, one answer */
	memset(g.events, 0, sizeof g.events);
	said = g.said;
	hn_peer_install(&g.peer, &g.k, g.now_us);
	ck_assert(run_until(HN_PEER_DONE, 5000000));
	ck_assert_uint_eq(g.said, said + 2);     /* with the HELLO_ASK after the end */
}
END_TEST

/* It booted, the HELLO that says so was lost, and then it is sent a package. */
START_TEST(a_boot_that_nobody_heard_of_is_found_before_the_silence_is)
{
	hn_peer_up(&g.peer, 5, 42, g.now_us);
	swap(1, 1);
	memset(g.events, 0, sizeof g.events);
	ck_assert(run_until(HN_PEER_KNOWN, 1000000));
	boot();
	hd_poll(&g.dev, 1000, 1000000);
	g.up.n = 0;
	make_package(2, 2);
	memset(g.events, 0, sizeof g.events);
	hn_peer_install(&g.peer, &g.k, g.now_us);
	ck_assert(run_until(HN_PEER_DONE, HN_PEER_SILENCE_US / 2));
	ck_assert_uint_eq(g.events[HN_PEER_SILENT], 0);
}
END_TEST

/* Who asks for the digest after a swap gets that of what runs now. */
START_TEST(after_a_swap_the_device_is_asked_again_who_it_is)
{
	hn_peer_up(&g.peer, 5, 42, g.now_us);
	swap(1, 9);
	memset(g.events, 0, sizeof g.events);
	ck_assert(run_until(HN_PEER_KNOWN, 1000000));
	ck_assert_uint_eq(g.peer.hello.active_version, 1);
	ck_assert_uint_eq(g.peer.hello.floor, 1);
	ck_assert_int_eq(g.peer.phase, HN_PEER_READY);
}
END_TEST

/* Lose either side at many moments of a transfer: it ends all the same. */
START_TEST(a_restart_of_either_side_at_any_moment_is_survived)
{
	const bool device = _i % 2;
	const int64_t at = 1000 * (1 + _i);

	hn_peer_up(&g.peer, 5, 42, g.now_us);
	swap(1, 1);
	memset(g.events, 0, sizeof g.events);
	make_package(2, 2);
	hn_peer_install(&g.peer, &g.k, g.now_us);
	for (int64_t t = 0; t < at && !g.events[HN_PEER_DONE]; t += STEP_US)
		step();
	if (device) {
		boot();
	} else {
		g.events[HN_PEER_DONE] = 0;
		hn_peer_init(&g.peer, t_uid, t_key);
		g.peer.send = to_device;
		hn_peer_up(&g.peer, (uint16_t)(6 + _i), 43, g.now_us);
		hn_peer_install(&g.peer, &g.k, g.now_us);
	}
	ck_assert_msg(run_until(HN_PEER_DONE, 60000000), "at %d ms, %s: phase %d, state %d, error %d",
	              _i + 1, device ? "device" : "gateway", g.peer.phase, g.peer.report.state,
	              g.peer.report.error);
	ck_assert_uint_eq(g.peer.report.active_version, 2);
}
END_TEST

/* A newer rollout comes at many moments of a transfer. */
START_TEST(another_package_at_any_moment_takes_the_place_of_the_first)
{
	const int64_t at = 500 * (1 + _i);

	hn_peer_up(&g.peer, 5, 42, g.now_us);
	swap(1, 1);
	memset(g.events, 0, sizeof g.events);
	make_package(2, 2);
	hn_peer_install(&g.peer, &g.k, g.now_us);
	g.hold_trial = true;
	for (int64_t t = 0; t < at; t += STEP_US)
		step();
	make_package(3, 3);
	memset(g.events, 0, sizeof g.events);
	hn_peer_install(&g.peer, &g.k, g.now_us);
	g.hold_trial = false;
	ck_assert_msg(run_until(HN_PEER_DONE, 30000000), "after %d us: phase %d, state %d, error %d",
	              (int)at, g.peer.phase, g.peer.report.state, g.peer.report.error);
	ck_assert_uint_eq(g.peer.report.active_version, 3);
}
END_TEST

/* A device that was asked who it is in the middle of an older transfer may tell of that later. */
START_TEST(a_late_word_of_an_older_transfer_is_no_progress)
{
	struct hd_report r = { .state = HD_RECEIVING, .credits = 4, .re = HD_CHUNK };
	uint8_t body[HD_REPORT_LEN];

	hn_peer_up(&g.peer, 5, 42, g.now_us);
	swap(1, 1);
	memset(g.events, 0, sizeof g.events);
	make_package(2, 2);
	hn_peer_install(&g.peer, &g.k, g.now_us);
	ck_assert(run_until(HN_PEER_KNOWN, 1000000));
	ck_assert_int_eq(g.peer.phase, HN_PEER_BEGIN);
	r.next = g.k.len;
	hd_report_write(&r, body);
	(void)forge(HD_STATUS, g.peer.session, body, sizeof body);
	ck_assert_int_eq(g.peer.phase, HN_PEER_BEGIN);
	r.state = HD_FAILED;
	r.error = HD_EAUTH;
	hd_report_write(&r, body);
	ck_assert_int_eq(forge(HD_STATUS, g.peer.session, body, sizeof body), HN_PEER_NOTHING);
	ck_assert(run_until(HN_PEER_DONE, 20000000));
	ck_assert_uint_eq(g.peer.report.active_version, 2);
}
END_TEST

/* Trying again is for the one above: the device holds something else than we think. */
START_TEST(an_activation_that_is_not_possible_ends_the_attempt)
{
	struct hd_report r = { .state = HD_RECEIVING, .credits = 4, .re = HD_ACTIVATE,
		.error = HD_EVERSION };
	struct hd_report all = { .state = HD_RECEIVING, .credits = 4, .re = HD_CHUNK };
	uint8_t body[HD_REPORT_LEN];

	hn_peer_up(&g.peer, 5, 42, g.now_us);
	make_package(1, 1);
	hn_peer_install(&g.peer, &g.k, g.now_us);
	for (int i = 0; i < 20000 && g.peer.phase != HN_PEER_SEND; i++)
		step();
	all.next = r.next = g.k.len;
	hd_report_write(&all, body);     /* as if the ACTIVATE behind the last chunk were lost */
	(void)forge(HD_STATUS, g.peer.session, body, sizeof body);
	ck_assert_int_eq(g.peer.phase, HN_PEER_ACTIVATE);
	hd_report_write(&r, body);
	ck_assert_int_eq(forge(HD_STATUS, g.peer.session, body, sizeof body), HN_PEER_REFUSED);
	ck_assert_int_eq(g.peer.report.error, HD_EVERSION);
}
END_TEST

START_TEST(a_trial_of_something_else_is_ended_before_the_package_is_sent)
{
	hn_peer_up(&g.peer, 5, 42, g.now_us);
	swap(1, 1);
	memset(g.events, 0, sizeof g.events);
	make_package(2, 2);
	hn_peer_install(&g.peer, &g.k, g.now_us);
	g.hold_trial = true;
	ck_assert(run_until(HN_PEER_IN_TRIAL, 20000000));
	make_package(3, 3);              /* a newer rollout, while the device is on trial */
	memset(g.events, 0, sizeof g.events);
	hn_peer_install(&g.peer, &g.k, g.now_us);
	g.hold_trial = false;
	ck_assert_msg(run_until(HN_PEER_DONE, 30000000), "phase %d, state %d, error %d", g.peer.phase,
	              g.peer.report.state, g.peer.report.error);
	ck_assert_uint_eq(g.peer.report.active_version, 3);
}
END_TEST

START_TEST(a_package_for_a_wrong_key_is_refused_with_its_reason)
{
	hn_peer_up(&g.peer, 5, 42, g.now_us);
	swap(1, 1);
	memset(g.events, 0, sizeof g.events);
	make_package(2, 2);
	memcpy(g.cfg.key, t_uid, HD_UID_LEN);
	boot();                          /* the device now has another key */
	memset(g.events, 0, sizeof g.events);
	hn_peer_install(&g.peer, &g.k, g.now_us);
	ck_assert(run_until(HN_PEER_REFUSED, 20000000));
	ck_assert_int_eq(g.peer.report.error, HD_EAUTH);
	ck_assert_uint_eq(g.peer.report.active_version, 1);
}
END_TEST

START_TEST(a_silent_device_is_asked_again_and_noise_is_no_answer)
{
	hn_peer_up(&g.peer, 5, 42, g.now_us);
	ck_assert(run_until(HN_PEER_KNOWN, 5000000));
	g.noise = 0;
	g.delay_us = 3600 * INT64_C(1000000);    /* nothing arrives any more */
	ck_assert(run_until(HN_PEER_SILENT, 30000000));
	ck_assert_int_eq(g.peer.phase, HN_PEER_HELLO);
	g.delay_us = 2000;
	g.down.n = g.up.n = 0;
	memset(g.events, 0, sizeof g.events);
	ck_assert(run_until(HN_PEER_KNOWN, 10000000));
}
END_TEST

START_TEST(messages_of_any_length_and_content_are_survived)
{
	uint8_t body[HD_BODY_MAX];

	hn_peer_up(&g.peer, 5, 42, g.now_us);
	swap(1, 1);
	make_package(2, 2);
	hn_peer_install(&g.peer, &g.k, g.now_us);
	for (int i = 0; i < 20000; i++) {
		const size_t n = hn_rng_below(&g.rng, sizeof body + 1);

		for (size_t k = 0; k < n; k++)
			body[k] = (uint8_t)hn_rng_u64(&g.rng);
		(void)forge(i & 1 ? HD_HELLO : HD_STATUS, 5, body, n);
		(void)hn_peer_tick(&g.peer, g.now_us += 100);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("peer");
	TCase *t = tcase_create("peer");
	SRunner *r;
	int bad;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_clean_wire_swaps_five_times_without_a_repeat);
	tcase_add_test(t, a_wire_that_hurts_every_fifth_frame_still_swaps);
	tcase_add_test(t, the_same_weights_under_a_new_number_are_not_sent_again);
	tcase_add_test(t, a_boot_that_nobody_heard_of_is_found_before_the_silence_is);
	tcase_add_test(t, after_a_swap_the_device_is_asked_again_who_it_is);
	tcase_add_loop_test(t, a_restart_of_either_side_at_any_moment_is_survived, 0, 120);
	tcase_add_loop_test(t, another_package_at_any_moment_takes_the_place_of_the_first, 0, 160);
	tcase_add_test(t, a_late_word_of_an_older_transfer_is_no_progress);
	tcase_add_test(t, an_activation_that_is_not_possible_ends_the_attempt);
	tcase_add_test(t, a_trial_of_something_else_is_ended_before_the_package_is_sent);
	tcase_add_test(t, a_package_for_a_wrong_key_is_refused_with_its_reason);
	tcase_add_test(t, a_silent_device_is_asked_again_and_noise_is_no_answer);
	tcase_add_test(t, messages_of_any_length_and_content_are_survived);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad != 0;
}
