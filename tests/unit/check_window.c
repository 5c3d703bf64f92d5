/* The window of a transfer by itself: sizes, repeats, times; and the account of a link. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hd_msg.h"
#include "hn_account.h"
#include "hn_rng.h"
#include "hn_window.h"
#include "t_run.h"

enum { LEN = 20480, GRAIN = HD_GRAIN, CREDITS = 4 };

static struct hn_window w;
static int64_t now_us;

static void setup(void)
{
	memset(&w, 0, sizeof w);
	hn_window_begin(&w, LEN, GRAIN, HD_CHUNK_MAX);
	now_us = 1000000;
}

/* Send all that may be sent; returns how many chunks. */
static int fill(unsigned credits)
{
	uint32_t at, n;
	int k = 0;

	while (hn_window_next(&w, credits, now_us, &at, &n)) {
		ck_assert_uint_le(at + n, LEN);
		ck_assert_uint_le(n, HD_CHUNK_MAX);
		ck_assert_uint_eq(at % GRAIN, 0);
		hn_window_sent(&w, at, n, now_us);
		ck_assert_int_lt(++k, 64);
	}
	return k;
}

START_TEST(as_many_chunks_go_out_as_there_are_credits_and_each_once)
{
	ck_assert_int_eq(fill(0), 0);
	ck_assert_int_eq(fill(CREDITS), CREDITS);
	ck_assert_int_eq(fill(CREDITS), 0);
	now_us += 20000;
	hn_window_ack(&w, HD_CHUNK_MAX, 0, now_us);
	ck_assert_int_eq(fill(CREDITS), 1);
	ck_assert_int_eq(w.srtt_us, 20000);
	ck_assert_uint_eq(w.repeats, 0);
}
END_TEST

START_TEST(what_was_overtaken_is_repeated_at_once_and_only_that)
{
	uint32_t at, n;

	for (int i = 0; i < 8; i++) {            /* a steady line of 40 ms */
		(void)fill(CREDITS);
		now_us += 40000;
		hn_window_ack(&w, (uint32_t)(i + 1) * CREDITS * HD_CHUNK_MAX, 0, now_us);
	}
	ck_assert(hn_window_next(&w, CREDITS, now_us, &at, &n));
	hn_window_sent(&w, at, n, now_us);       /* lost */
	now_us += 15000;
	(void)fill(CREDITS);
	now_us += 40000;
	hn_window_ack(&w, w.next, 0x38, now_us); /* the second chunk is here */
	ck_assert_int_lt(now_us - 55000, w.place[at / GRAIN % HN_WINDOW_PLACES].sent_us + 60000);
	ck_assert(hn_window_next(&w, CREDITS, now_us, &at, &n));
	ck_assert_uint_eq(at, w.next);
	ck_assert_uint_eq(n, HD_CHUNK_MAX);
	hn_window_sent(&w, at, n, now_us);
	ck_assert_uint_eq(w.repeats, 1);
}
END_TEST

START_TEST(the_timer_backs_off_while_nothing_arrives_and_is_back_with_the_first_answer)
{
	int64_t first, later;

	(void)fill(CREDITS);
	now_us += 50000;
	hn_window_ack(&w, HD_CHUNK_MAX, 0, now_us);
	first = hn_window_rto(&w);
	for (int i = 0; i < 10; i++) {
		now_us += hn_window_rto(&w) + 1;
		ck_assert_int_gt(fill(CREDITS), 0);
	}
	later = hn_window_rto(&w);
	ck_assert_int_gt(later, 2 * first);
	ck_assert_int_le(later, 1000000);
	now_us += 50000;
	hn_window_ack(&w, 2 * HD_CHUNK_MAX, 0, now_us);
	ck_assert_int_eq(hn_window_rto(&w), first);
}
END_TEST

/* Errors a byte and the chunk that is near the best for them. */
static const struct { double per_byte; uint32_t least, most; } lines[] = {
	{ 0, 192, 192 }, { 2e-5, 192, 192 }, { 8e-4, 64, 128 }, { 8e-3, 64, 64 },
};

START_TEST(chunks_shorten_with_noise_and_grow_again_without)
{
	struct hn_rng rng;
	uint32_t damaged = 0;
	uint64_t sum = 0;

	hn_rng_seed(&rng, 3);
	hn_window_damage(&w, 0);
	for (int i = 0; i < 4000; i++) {
		const uint32_t n = hn_window_chunk(&w);

		hn_window_sent(&w, 0, n, now_us);
		w.place[0].at = 0;
		damaged += hn_rng_unit(&rng) < lines[_i].per_byte * (n + 14);
		hn_window_damage(&w, damaged);
		sum += i >= 2000 ? n : 0;
	}
	ck_assert_uint_ge(sum / 2000, lines[_i].least);
	ck_assert_uint_le(sum / 2000, lines[_i].most);
	for (int i = 0; i < 2000; i++)
		hn_window_sent(&w, 0, hn_window_chunk(&w), now_us);
	ck_assert_uint_eq(hn_window_chunk(&w), HD_CHUNK_MAX);
	hn_window_damage(&w, damaged + 5000);    /* it booted, or its port lost bytes */
	ck_assert_uint_eq(hn_window_chunk(&w), HD_CHUNK_MAX);
}
END_TEST

START_TEST(any_answer_at_all_is_survived)
{
	struct hn_rng rng;

	hn_rng_seed(&rng, 5);
	for (int i = 0; i < 20000; i++) {
		now_us += hn_rng_below(&rng, 200000);
		hn_window_ack(&w, hn_rng_below(&rng, 3) ? hn_rng_below(&rng, LEN) : (uint32_t)hn_rng_u64(&rng),
		              (uint32_t)hn_rng_u64(&rng), now_us);
		hn_window_damage(&w, (uint32_t)hn_rng_u64(&rng));
		for (uint32_t at, n, k = 0; k < 40 && hn_window_next(&w, 255, now_us, &at, &n); k++) {
			ck_assert_uint_lt(at, LEN);
			ck_assert_uint_le(n, LEN - at);
			ck_assert_uint_le(n, HD_CHUNK_MAX);
			hn_window_sent(&w, at, n, now_us);
		}
		ck_assert_int_le(hn_window_rto(&w), 6000000);
	}
}
END_TEST

START_TEST(the_account_counts_the_bytes_of_the_wire)
{
	static const uint8_t types[] = { HD_HELLO_ASK, HD_CHUNK, HD_STATUS, HD_SAMPLES, 0x92, 0x77 };
	uint8_t wire[HD_WIRE_MAX], body[HD_BODY_MAX];
	struct hn_account a = { .frames = { { 0 } } };
	uint64_t bytes = 0;

	for (size_t i = 0; i <= HD_BODY_MAX; i++) {
		memset(body, (int)i, sizeof body);
		bytes += hd_frame_write(types[i % sizeof types], 0, 1, body, i, wire);
		hn_account_add(&a, HN_UP, types[i % sizeof types], i);
	}
	ck_assert_uint_eq(hn_account_bytes(&a, HN_UP), bytes);
	ck_assert_uint_eq(hn_account_bytes(&a, HN_DOWN), 0);
	ck_assert_uint_eq(a.frames[HN_UP][HN_KIND_PACKAGE], (HD_BODY_MAX + 1) / sizeof types);
	for (int i = 0; i < HN_KINDS; i++)
		ck_assert_ptr_nonnull(hn_kind_names[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("window");
	TCase *t = tcase_create("window");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, as_many_chunks_go_out_as_there_are_credits_and_each_once);
	tcase_add_test(t, what_was_overtaken_is_repeated_at_once_and_only_that);
	tcase_add_test(t, the_timer_backs_off_while_nothing_arrives_and_is_back_with_the_first_answer);
	tcase_add_loop_test(t, chunks_shorten_with_noise_and_grow_again_without, 0,
	                    sizeof lines / sizeof lines[0]);
	tcase_add_test(t, any_answer_at_all_is_survived);
	tcase_add_test(t, the_account_counts_the_bytes_of_the_wire);
	suite_add_tcase(s, t);
	return t_run(s);
}
