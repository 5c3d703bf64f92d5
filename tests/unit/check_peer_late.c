/* The gateway's end of a link when answers come late, twice, or from someone else. */
#include <check.h>
#include <stdlib.h>

#include "t_peer.h"
#include "t_run.h"

/* A device is up, its first package is on the way. */
static void until_it_sends(void)
{
	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	t_peer_make_package(1, 1);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	for (int i = 0; i < 20000 && t_p.peer.phase != HN_PEER_SEND; i++)
		t_peer_step();
}

/* A line that reorders: the answer to the early ACTIVATE comes when all chunks are counted. */
START_TEST(a_late_refusal_of_the_early_activation_ends_nothing)
{
	struct hd_report all = { .state = HD_RECEIVING, .credits = 4, .re = HD_CHUNK };
	struct hd_report r = { .state = HD_RECEIVING, .credits = 4, .re = HD_ACTIVATE,
		.error = HD_ESTATE };
	uint8_t body[HD_REPORT_LEN];

	until_it_sends();
	all.next = r.next = t_p.k.len;
	hd_report_write(&all, body);
	(void)t_peer_forge(HD_STATUS, t_p.peer.session, body, sizeof body);
	hd_report_write(&r, body);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(t_peer_forge(HD_STATUS, t_p.peer.session, body, sizeof body),
		                 HN_PEER_NOTHING);
	ck_assert(t_peer_run_until(HN_PEER_DONE, 20000000));
}
END_TEST

START_TEST(a_status_that_comes_late_or_twice_is_ignored)
{
	struct hd_report r = { .state = HD_FAILED, .error = HD_EDIGEST };
	uint8_t body[HD_REPORT_LEN];
	struct hd_frame f = { .type = HD_STATUS, .body = body, .len = sizeof body };

	until_it_sends();
	hd_report_write(&r, body);
	f.session = t_p.peer.session;
	for (uint8_t behind = 0; behind < 60; behind++) {
		f.seq = (uint8_t)(t_p.peer.seq - behind);
		ck_assert_int_eq(hn_peer_message(&t_p.peer, &f, t_p.now_us), HN_PEER_NOTHING);
	}
	ck_assert_uint_eq(t_p.peer.stale, 60);
	ck_assert(t_peer_run_until(HN_PEER_DONE, 20000000));
	ck_assert_uint_eq(t_p.events[HN_PEER_REFUSED], 0);
}
END_TEST

START_TEST(what_waits_for_a_device_survives_another_one_in_its_place)
{
	t_peer_make_package(1, 1);
	t_p.cfg.uid[0] ^= 1;
	t_peer_boot();
	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	ck_assert(t_peer_run_until(HN_PEER_STRANGER, 5000000));
	for (int i = 0; i < 2000; i++)
		t_peer_step();
	ck_assert_uint_eq(t_p.peer.bytes_sent, 0);
	ck_assert(!t_p.peer.has_hello);
	t_p.cfg.uid[0] ^= 1;
	t_peer_boot();
	ck_assert(t_peer_run_until(HN_PEER_DONE, 20000000));
}
END_TEST

/* The answer to CONFIRM is lost, and a new HELLO says "on trial": the decision stands. */
START_TEST(a_decision_outlives_a_new_hello)
{
	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	t_peer_make_package(1, 1);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	t_p.hold_trial = true;
	ck_assert(t_peer_run_until(HN_PEER_IN_TRIAL, 20000000));
	hn_peer_confirm(&t_p.peer, t_p.now_us);
	t_p.down.n = 0;                    /* lost */
	hn_peer_down(&t_p.peer);
	hn_peer_up(&t_p.peer, 77, 43, t_p.now_us);
	ck_assert(t_peer_run_until(HN_PEER_DONE, 5000000));
	ck_assert_uint_eq(t_p.peer.report.floor, 1);
}
END_TEST

/* A device that was asked who it is in the middle of an older transfer may tell of that later. */
START_TEST(a_late_word_of_an_older_transfer_is_no_progress)
{
	struct hd_report r = { .state = HD_RECEIVING, .credits = 4, .re = HD_CHUNK };
	uint8_t body[HD_REPORT_LEN];

	hn_peer_up(&t_p.peer, 5, 42, t_p.now_us);
	t_peer_swap(1, 1);
	memset(t_p.events, 0, sizeof t_p.events);
	t_peer_make_package(2, 2);
	hn_peer_install(&t_p.peer, &t_p.k, t_p.now_us);
	ck_assert(t_peer_run_until(HN_PEER_KNOWN, 1000000));
	ck_assert_int_eq(t_p.peer.phase, HN_PEER_BEGIN);
	r.next = t_p.k.len;
	hd_report_write(&r, body);
	(void)t_peer_forge(HD_STATUS, t_p.peer.session, body, sizeof body);
	ck_assert_int_eq(t_p.peer.phase, HN_PEER_BEGIN);
	r.state = HD_FAILED;
	r.error = HD_EAUTH;
	hd_report_write(&r, body);
	ck_assert_int_eq(t_peer_forge(HD_STATUS, t_p.peer.session, body, sizeof body),
		                 HN_PEER_NOTHING);
	ck_assert(t_peer_run_until(HN_PEER_DONE, 20000000));
	ck_assert_uint_eq(t_p.peer.report.active_version, 2);
}
END_TEST

/* Trying again is for the one above: the device holds something else than we think. */
START_TEST(an_activation_that_is_not_possible_ends_the_attempt)
{
	struct hd_report r = { .state = HD_RECEIVING, .credits = 4, .re = HD_ACTIVATE,
		.error = HD_EVERSION };
	struct hd_report all = { .state = HD_RECEIVING, .credits = 4, .re = HD_CHUNK };
	uint8_t body[HD_REPORT_LEN];

	until_it_sends();
	all.next = r.next = t_p.k.len;
	hd_report_write(&all, body);     /* as if the ACTIVATE behind the last chunk were lost */
	(void)t_peer_forge(HD_STATUS, t_p.peer.session, body, sizeof body);
	ck_assert_int_eq(t_p.peer.phase, HN_PEER_ACTIVATE);
	hd_report_write(&r, body);
	ck_assert_int_eq(t_peer_forge(HD_STATUS, t_p.peer.session, body, sizeof body),
	                 HN_PEER_REFUSED);
	ck_assert_int_eq(t_p.peer.report.error, HD_EVERSION);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("peer_late");
	TCase *t = tcase_create("peer_late");

	tcase_add_checked_fixture(t, t_peer_setup, t_peer_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_late_refusal_of_the_early_activation_ends_nothing);
	tcase_add_test(t, a_status_that_comes_late_or_twice_is_ignored);
	tcase_add_test(t, what_waits_for_a_device_survives_another_one_in_its_place);
	tcase_add_test(t, a_decision_outlives_a_new_hello);
	tcase_add_test(t, a_late_word_of_an_older_transfer_is_no_progress);
	tcase_add_test(t, an_activation_that_is_not_possible_ends_the_attempt);
	suite_add_tcase(s, t);
	return t_run(s);
}
