/* The gateway's end of a link against the real device library, over a wire that hurts frames. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "t_peer.h"
#include "t_run.h"

/* Version 1 of that seed is installed, and the device has said what it runs now. */
static void swap_and_know(unsigned seed)
{
	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	t_peer_swap(1, seed);
	memset(t_p.events, 0, sizeof t_p.events);
	ck_assert(t_peer_run_until(HN_PEER_KNOWN, 1000000));
}

START_TEST(a_clean_wire_swaps_five_times_without_a_repeat)
{
	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	for (uint32_t v = 1; v <= 5; v++)
		t_peer_swap(v, v);
	ck_assert_uint_eq(t_p.peer.window.repeats, 0);
	ck_assert_uint_eq(t_p.events[HN_PEER_REFUSED], 0);
	ck_assert_uint_eq(t_p.flash.broken_rules, 0);
}
END_TEST

START_TEST(a_wire_that_hurts_every_fifth_frame_still_swaps)
{
	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	t_p.noise = 200;
	for (uint32_t v = 1; v <= 5; v++)
		t_peer_swap(v, v);
	ck_assert_uint_gt(t_p.peer.window.repeats, 0);
	ck_assert_uint_eq(t_p.flash.broken_rules, 0);
}
END_TEST

START_TEST(the_same_weights_under_a_new_number_are_not_sent_again)
{
	unsigned said;
	uint64_t sent;

	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	t_peer_swap(1, 9);
	sent = t_p.peer.bytes_sent;
	memset(t_p.events, 0, sizeof t_p.events);
	t_peer_make_package(2, 9);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	ck_assert(t_peer_run_until(HN_PEER_DONE, 5000000));
	ck_assert_uint_eq(t_p.peer.bytes_sent, sent);
	memset(t_p.events, 0, sizeof t_p.events);
	ck_assert(t_peer_run_until(HN_PEER_KNOWN, 1000000));
	t_peer_make_package(3, 9);       /* now that nothing is open: one order, one answer */
	memset(t_p.events, 0, sizeof t_p.events);
	said = t_p.said;
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	ck_assert(t_peer_run_until(HN_PEER_DONE, 5000000));
	ck_assert_uint_eq(t_p.said, said + 2);     /* with the HELLO_ASK after the end */
}
END_TEST

/* It booted, the HELLO that says so was lost, and then it is sent a package. */
START_TEST(a_boot_that_nobody_heard_of_is_found_before_the_silence_is)
{
	swap_and_know(1);
	t_peer_boot();
	hd_poll(&t_p.dev, 1000, 1000000);
	t_p.up.n = 0;
	t_peer_make_package(2, 2);
	memset(t_p.events, 0, sizeof t_p.events);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	ck_assert(t_peer_run_until(HN_PEER_DONE, HN_PEER_SILENCE_US / 2));
	ck_assert_uint_eq(t_p.events[HN_PEER_SILENT], 0);
}
END_TEST

/* Who asks for the digest after a swap gets that of what runs now. */
START_TEST(after_a_swap_the_device_is_asked_again_who_it_is)
{
	swap_and_know(9);
	ck_assert_uint_eq(t_p.peer.hello.report.active_version, 1);
	ck_assert_uint_eq(t_p.peer.hello.report.floor, 1);
	ck_assert_int_eq(t_p.peer.phase, HN_PEER_READY);
}
END_TEST

/* Lose either side at many moments of a transfer: it ends all the same. */
START_TEST(a_restart_of_either_side_at_any_moment_is_survived)
{
	const bool device = _i % 2;
	const int64_t at = 1000 * (1 + _i);

	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	t_peer_swap(1, 1);
	memset(t_p.events, 0, sizeof t_p.events);
	t_peer_make_package(2, 2);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	for (int64_t t = 0; t < at && !t_p.events[HN_PEER_DONE]; t += T_STEP_US)
		t_peer_step();
	if (device) {
		t_peer_boot();
	} else {
		t_p.events[HN_PEER_DONE] = 0;
		t_peer_gateway();
		hn_peer_up(&t_p.peer, (uint16_t)(6 + _i), 43, t_p.now_us);
		hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	}
	ck_assert_msg(t_peer_run_until(HN_PEER_DONE, 60000000),
	              "at %d ms, %s: phase %d, state %d, error %d",
	              _i + 1, device ? "device" : "gateway", t_p.peer.phase, t_p.peer.report.state,
	              t_p.peer.report.error);
	ck_assert_uint_eq(t_p.peer.report.active_version, 2);
}
END_TEST

/* A newer rollout comes at many moments of a transfer. */
START_TEST(another_package_at_any_moment_takes_the_place_of_the_first)
{
	const int64_t at = 500 * (1 + _i);

	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	t_peer_swap(1, 1);
	memset(t_p.events, 0, sizeof t_p.events);
	t_peer_make_package(2, 2);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	t_p.hold_trial = true;
	for (int64_t t = 0; t < at; t += T_STEP_US)
		t_peer_step();
	t_peer_make_package(3, 3);
	memset(t_p.events, 0, sizeof t_p.events);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	t_p.hold_trial = false;
	ck_assert_msg(t_peer_run_until(HN_PEER_DONE, 30000000),
	              "after %d us: phase %d, state %d, error %d",
	              (int)at, t_p.peer.phase, t_p.peer.report.state, t_p.peer.report.error);
	ck_assert_uint_eq(t_p.peer.report.active_version, 3);
}
END_TEST

START_TEST(a_trial_of_something_else_is_ended_before_the_package_is_sent)
{
	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	t_peer_swap(1, 1);
	memset(t_p.events, 0, sizeof t_p.events);
	t_peer_make_package(2, 2);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	t_p.hold_trial = true;
	ck_assert(t_peer_run_until(HN_PEER_IN_TRIAL, 20000000));
	t_peer_make_package(3, 3);              /* a newer rollout, while the device is on trial */
	memset(t_p.events, 0, sizeof t_p.events);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	t_p.hold_trial = false;
	ck_assert_msg(t_peer_run_until(HN_PEER_DONE, 30000000),
	              "phase %d, state %d, error %d",
	              t_p.peer.phase, t_p.peer.report.state, t_p.peer.report.error);
	ck_assert_uint_eq(t_p.peer.report.active_version, 3);
}
END_TEST

/* Chunks on the line behind a BEGIN before the device has said anything. */
static unsigned chunks_ahead(void)
{
	unsigned n = 0;

	for (int i = 0; i < t_p.down.n; i++) {
		struct hd_frame f;
		struct hd_rx rx;

		hd_rx_init(&rx);
		for (size_t k = 0; k < t_p.down.q[i].n; k++)
			if (hd_rx_byte(&rx, t_p.down.q[i].bytes[k], &f))
				n += f.type == HD_CHUNK;
	}
	return n;
}

START_TEST(behind_a_first_begin_go_as_many_chunks_as_the_ring_holds_beside_it)
{
	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	t_peer_swap(1, 1);
	for (int i = 0; i < 100; i++)           /* to rest: HELLO has come, the spare slot is erased */
		t_peer_step();
	t_peer_make_package(2, 2);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	ck_assert_uint_eq(chunks_ahead(), t_p.cfg.credits - 1u);
	ck_assert(t_peer_run_until(HN_PEER_IN_TRIAL, 2000000));
	ck_assert_uint_eq(t_p.peer.window.repeats, 0);
}
END_TEST

/* A slot that is not ready: all of them come too early, and again. */
START_TEST(what_came_before_the_slot_was_ready_is_sent_again_at_once)
{
	uint64_t sent;
	int64_t from;

	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	t_peer_swap(1, 1);
	for (int i = 0; i < 100; i++)
		t_peer_step();
	t_peer_boot();                          /* it has to erase again */
	for (int i = 0; i < 1000; i++)
		t_peer_step();
	t_p.flash.port.erase_us = 5000000;      /* there is no time for that */
	t_peer_make_package(2, 2);
	memset(t_p.events, 0, sizeof t_p.events);
	sent = t_p.peer.bytes_sent;
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	for (int i = 0; i < 1000; i++)
		t_peer_step();
	ck_assert_uint_eq(t_p.dev.report.state, HD_ERASING);
	ck_assert_uint_eq(t_p.dev.report.next, 0);
	ck_assert_uint_ge(t_p.peer.bytes_sent - sent, HD_PACKAGE_HEADER + 3 * 224);
	t_p.flash.port.erase_us = 0;
	from = t_p.now_us;
	ck_assert(t_peer_run_until(HN_PEER_IN_TRIAL, 2000000));
	ck_assert_int_lt(t_p.now_us - from, 60000);
}
END_TEST

START_TEST(a_package_for_a_wrong_key_is_refused_with_its_reason)
{
	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	t_peer_swap(1, 1);
	memset(t_p.events, 0, sizeof t_p.events);
	t_peer_make_package(2, 2);
	memcpy(t_p.cfg.key, t_uid, HD_UID_LEN);
	t_peer_boot();                          /* the device now has another key */
	memset(t_p.events, 0, sizeof t_p.events);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	ck_assert(t_peer_run_until(HN_PEER_REFUSED, 20000000));
	ck_assert_int_eq(t_p.peer.report.error, HD_EAUTH);
	ck_assert_uint_eq(t_p.peer.report.active_version, 1);
}
END_TEST

START_TEST(a_silent_device_is_asked_again_and_noise_is_no_answer)
{
	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	ck_assert(t_peer_run_until(HN_PEER_KNOWN, 5000000));
	t_p.noise = 0;
	t_p.delay_us = 3600 * INT64_C(1000000);    /* nothing arrives any more */
	ck_assert(t_peer_run_until(HN_PEER_SILENT, 30000000));
	ck_assert_int_eq(t_p.peer.phase, HN_PEER_HELLO);
	t_p.delay_us = 2000;
	t_p.down.n = t_p.up.n = 0;
	memset(t_p.events, 0, sizeof t_p.events);
	ck_assert(t_peer_run_until(HN_PEER_KNOWN, 10000000));
}
END_TEST

START_TEST(messages_of_any_length_and_content_are_survived)
{
	uint8_t body[HD_BODY_MAX];

	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	t_peer_swap(1, 1);
	t_peer_make_package(2, 2);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	for (int i = 0; i < 20000; i++) {
		const size_t n = hn_rng_below(&t_p.rng, sizeof body + 1);

		for (size_t k = 0; k < n; k++)
			body[k] = (uint8_t)hn_rng_u64(&t_p.rng);
		(void)t_peer_forge(i & 1 ? HD_HELLO : HD_STATUS, 5, body, n);
		(void)hn_peer_tick(&t_p.peer, t_p.now_us += 100);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("peer");
	TCase *t = tcase_create("peer");

	tcase_add_checked_fixture(t, t_peer_setup, t_peer_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_clean_wire_swaps_five_times_without_a_repeat);
	tcase_add_test(t, a_wire_that_hurts_every_fifth_frame_still_swaps);
	tcase_add_test(t, the_same_weights_under_a_new_number_are_not_sent_again);
	tcase_add_test(t, a_boot_that_nobody_heard_of_is_found_before_the_silence_is);
	tcase_add_test(t, after_a_swap_the_device_is_asked_again_who_it_is);
	tcase_add_loop_test(t, a_restart_of_either_side_at_any_moment_is_survived, 0, 120);
	tcase_add_loop_test(t, another_package_at_any_moment_takes_the_place_of_the_first, 0, 160);
	tcase_add_test(t, a_trial_of_something_else_is_ended_before_the_package_is_sent);
	tcase_add_test(t, behind_a_first_begin_go_as_many_chunks_as_the_ring_holds_beside_it);
	tcase_add_test(t, what_came_before_the_slot_was_ready_is_sent_again_at_once);
	tcase_add_test(t, a_package_for_a_wrong_key_is_refused_with_its_reason);
	tcase_add_test(t, a_silent_device_is_asked_again_and_noise_is_no_answer);
	tcase_add_test(t, messages_of_any_length_and_content_are_survived);
	suite_add_tcase(s, t);
	return t_run(s);
}
