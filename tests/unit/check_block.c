/* check_block.c - blocks of frames: exact round trip, size, and any bytes at all. */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hd_crc32c.h"
#include "hn_block.h"
#include "hn_rng.h"
#include "t_run.h"

enum { SEED = 20240517, CHANNELS = HN_CHANNELS_MAX };

static struct hn_block in, back;
static uint8_t *bytes;
static size_t cap;

static void block_alloc(struct hn_block *b)
{
	const size_t n = HN_BLOCK_FRAMES_MAX, cells = n * CHANNELS;

	*b = (struct hn_block){ .cap = HN_BLOCK_FRAMES_MAX, .cells = cells,
		.event_us = calloc(n, sizeof(int64_t)), .ingest_us = calloc(n, sizeof(int64_t)),
		.raw = calloc(cells, sizeof(int32_t)), .quality = calloc(cells, 1) };
	ck_assert(b->event_us && b->ingest_us && b->raw && b->quality);
}

static void block_free(struct hn_block *b)
{
	free(b->event_us);
	free(b->ingest_us);
	free(b->raw);
	free(b->quality);
}

static void setup(void)
{
	block_alloc(&in);
	block_alloc(&back);
	cap = hn_block_bound(HN_BLOCK_FRAMES_MAX, CHANNELS);
	bytes = malloc(cap);
	ck_assert_ptr_nonnull(bytes);
}

static void teardown(void)
{
	block_free(&in);
	block_free(&back);
	free(bytes);
}

/* --- kinds of data: a new row is tested the day it is added -------------------------------- */

static int64_t time_regular(struct hn_rng *r, uint32_t i)
{
	(void)r;
	return 1700000000000000 + (int64_t)i * 10000;
}
static int64_t time_equal(struct hn_rng *r, uint32_t i)
{
	(void)r;
	(void)i;
	return 42;
}
static int64_t time_jitter(struct hn_rng *r, uint32_t i)
{
	return 1700000000000000 + (int64_t)i * 10000 + hn_rng_below(r, 41) - 20;
}
static int64_t time_any(struct hn_rng *r, uint32_t i)
{
	(void)i;
	return (int64_t)hn_rng_u64(r);
}
static int64_t time_extreme(struct hn_rng *r, uint32_t i)
{
	(void)r;
	return i % 2 ? INT64_MAX : INT64_MIN;
}

static int32_t raw_constant(struct hn_rng *r, uint32_t i)
{
	(void)r;
	(void)i;
	return -7;
}
static int32_t raw_walk(struct hn_rng *r, uint32_t i)
{
	return (int32_t)(i * 3 + hn_rng_below(r, 5));
}
static int32_t raw_any(struct hn_rng *r, uint32_t i)
{
	(void)i;
	return (int32_t)(uint32_t)hn_rng_u64(r);
}
static int32_t raw_extreme(struct hn_rng *r, uint32_t i)
{
	(void)r;
	return i % 2 ? INT32_MAX : INT32_MIN;
}
static int32_t raw_adc(struct hn_rng *r, uint32_t i)
{
	(void)i;
	return (int32_t)hn_rng_below(r, 4096);
}

static uint8_t flag_good(struct hn_rng *r, uint32_t i)
{
	(void)r;
	(void)i;
	return HN_GOOD;
}
static uint8_t flag_mixed(struct hn_rng *r, uint32_t i)
{
	static const uint8_t all[] = { HN_GOOD, HN_NOT_EVALUATED, HN_SUSPECT, HN_FAIL, HN_MISSING };

	(void)i;
	return all[hn_rng_below(r, 5)];
}
static uint8_t flag_rare(struct hn_rng *r, uint32_t i)
{
	(void)i;
	return hn_rng_below(r, 200) ? HN_GOOD : HN_MISSING;
}
static uint8_t flag_any(struct hn_rng *r, uint32_t i)
{
	(void)i;
	return (uint8_t)hn_rng_u64(r);
}

static int64_t (*const times[])(struct hn_rng *, uint32_t) = {
	time_regular, time_equal, time_jitter, time_any, time_extreme
};
static int32_t (*const raws[])(struct hn_rng *, uint32_t) = {
	raw_constant, raw_walk, raw_any, raw_extreme, raw_adc
};
static uint8_t (*const flags[])(struct hn_rng *, uint32_t) = {
	flag_good, flag_mixed, flag_rare, flag_any
};
static const uint32_t sizes[] = { 1, 2, 3, 63, 64, 65, 127, 128, 1000, 4096 };
static const uint16_t widths[] = { 1, 2, 3, 16, 128 };
#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static void fill(struct hn_rng *r, int t, int v, int q)
{
	for (uint32_t i = 0; i < in.n; i++) {
		in.event_us[i] = times[t](r, i);
		in.ingest_us[i] = times[(t + (int)hn_rng_below(r, 2)) % COUNT(times)](r, i);
		for (uint32_t c = 0; c < in.n_channels; c++) {
			in.raw[(size_t)i * in.n_channels + c] = raws[v](r, i);
			in.quality[(size_t)i * in.n_channels + c] = flags[q](r, i);
		}
	}
}

static void assert_equal(void)
{
	const size_t cells = (size_t)in.n * in.n_channels;

	ck_assert_uint_eq(back.n, in.n);
	ck_assert_uint_eq(back.n_channels, in.n_channels);
	ck_assert_mem_eq(back.event_us, in.event_us, in.n * sizeof(int64_t));
	ck_assert_mem_eq(back.ingest_us, in.ingest_us, in.n * sizeof(int64_t));
	ck_assert_mem_eq(back.raw, in.raw, cells * sizeof(int32_t));
	ck_assert_mem_eq(back.quality, in.quality, cells);
}

static size_t encode(void)
{
	size_t len = 0;

	ck_assert_int_eq(hn_block_write(&in, NULL, bytes, cap, &len), HN_OK);
	ck_assert_uint_le(len, hn_block_bound(in.n, in.n_channels));
	return len;
}

START_TEST(every_kind_of_block_comes_back_exactly)
{
	const int t = _i / (COUNT(raws) * COUNT(flags)), v = _i / COUNT(flags) % COUNT(raws);
	struct hn_rng r;

	hn_rng_seed(&r, SEED + (uint64_t)_i);
	for (int s = 0; s < COUNT(sizes); s++)
		for (int w = 0; w < COUNT(widths); w++) {
			if (sizes[s] * widths[w] > 70000)
				continue;        /* the largest has a test of its own */
			in.n = sizes[s];
			in.n_channels = widths[w];
			fill(&r, t, v, _i % COUNT(flags));
			const size_t len = encode();

			ck_assert_int_eq(hn_block_read(bytes, len, &back), HN_OK);
			assert_equal();
		}
}
END_TEST

START_TEST(the_largest_and_worst_block_fits_its_bound)
{
	struct hn_rng r;

	hn_rng_seed(&r, SEED);
	in.n = HN_BLOCK_FRAMES_MAX;
	in.n_channels = CHANNELS;
	fill(&r, 3, 2, 3);
	ck_assert_int_eq(hn_block_read(bytes, encode(), &back), HN_OK);
	assert_equal();
}
END_TEST

START_TEST(regular_time_and_quiet_sensors_take_little)
{
	struct hn_rng r;
	size_t len;

	hn_rng_seed(&r, SEED);
	in.n = 1024;
	in.n_channels = 16;
	fill(&r, 0, 1, 0);
	for (uint32_t i = 0; i < in.n; i++)
		in.ingest_us[i] = in.event_us[i] + 500;
	len = encode();
	ck_assert_uint_lt(len, 1024 * 16 * 6 / 10);      /* 3-4 bits a difference, time for nothing */
}
END_TEST

START_TEST(frames_go_in_and_out_one_by_one)
{
	struct hn_frame f = { .stream = 5, .event_us = -9, .ingest_us = 77, .n = 3,
		.raw = { 1, -2, 3 }, .quality = { 1, 9, 3 } }, g;

	in.n = 0;
	in.cap = 2;
	ck_assert_int_eq(hn_block_push(&in, &f), HN_OK);
	f.n = 2;
	ck_assert_int_eq(hn_block_push(&in, &f), HN_EINVAL);
	f.n = 3;
	ck_assert_int_eq(hn_block_push(&in, &f), HN_OK);
	ck_assert_int_eq(hn_block_push(&in, &f), HN_EFULL);
	ck_assert_int_eq(hn_block_read(bytes, encode(), &back), HN_OK);
	hn_block_frame(&back, 1, &g);
	ck_assert_int_eq(g.stream, 0);
	ck_assert_int_eq(g.event_us, -9);
	ck_assert_int_eq(g.ingest_us, 77);
	ck_assert_int_eq(g.n, 3);
	ck_assert_mem_eq(g.raw, f.raw, 3 * sizeof(int32_t));
	ck_assert_mem_eq(g.quality, f.quality, 3);
}
END_TEST

START_TEST(sorting_is_by_time_and_stable)
{
	static uint32_t order[HN_BLOCK_FRAMES_MAX];
	struct hn_rng r;

	hn_rng_seed(&r, SEED);
	for (in.n = 1; in.n <= 1500; in.n = in.n * 3 + 1) {
		in.n_channels = 1;
		for (uint32_t i = 0; i < in.n; i++)
			in.event_us[i] = hn_rng_below(&r, in.n / 2 + 1);
		hn_block_sort(&in, order);
		for (uint32_t i = 1; i < in.n; i++) {
			const int64_t a = in.event_us[order[i - 1]], b = in.event_us[order[i]];

			ck_assert(a < b || (a == b && order[i - 1] < order[i]));
		}
	}
}
END_TEST

START_TEST(writing_follows_the_order_given)
{
	const uint32_t order[3] = { 2, 0, 1 };
	size_t len = 0;

	in.n = 3;
	in.n_channels = 1;
	for (int i = 0; i < 3; i++) {
		in.event_us[i] = i * 10;
		in.raw[i] = i;
	}
	ck_assert_int_eq(hn_block_write(&in, order, bytes, cap, &len), HN_OK);
	ck_assert_int_eq(hn_block_read(bytes, len, &back), HN_OK);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(back.event_us[i], order[i] * 10);
		ck_assert_int_eq(back.raw[i], (int32_t)order[i]);
	}
}
END_TEST

START_TEST(limits_are_refused)
{
	size_t len = 5;

	in.n = 0;
	in.n_channels = 1;
	ck_assert_int_eq(hn_block_write(&in, NULL, bytes, cap, &len), HN_EINVAL);
	in.n = 10;
	ck_assert_int_eq(hn_block_write(&in, NULL, bytes, hn_block_bound(10, 1) - 1, &len), HN_EFULL);
	in.n_channels = 0;
	ck_assert_int_eq(hn_block_write(&in, NULL, bytes, cap, &len), HN_EINVAL);
	ck_assert_uint_eq(len, 5);
	in.n_channels = 2;
	len = encode();
	back.cap = 9;
	ck_assert_int_eq(hn_block_read(bytes, len, &back), HN_EFULL);
	back.cap = 10;
	back.cells = 19;
	ck_assert_int_eq(hn_block_read(bytes, len, &back), HN_EFULL);
	back.cells = 20;
	ck_assert_int_eq(hn_block_read(bytes, len, &back), HN_OK);
}
END_TEST

START_TEST(any_single_bit_error_is_found)
{
	struct hn_rng r;
	size_t len;

	hn_rng_seed(&r, SEED);
	in.n = 20;
	in.n_channels = 3;
	fill(&r, 2, 4, 1);
	len = encode();
	for (size_t bit = 0; bit < len * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(hn_block_read(bytes, len, &back), HN_EFORMAT);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_eq(hn_block_read(bytes, cut, &back), HN_EFORMAT);
}
END_TEST

/* Mutated bytes with a right CRC: the parser alone has to stand them.  The copy is exactly as long
 * as the block, so that a sanitizer sees every step outside. */
START_TEST(mutated_blocks_with_a_right_crc_are_refused_or_read_but_never_crash)
{
	struct hn_rng r;
	int refused = 0, read = 0;

	hn_rng_seed(&r, SEED + (uint64_t)_i);
	printf("seed %d\n", SEED + _i);
	for (int round = 0; round < 3000; round++) {
		uint8_t *copy;
		size_t len;

		in.n = 1 + hn_rng_below(&r, 150);
		in.n_channels = (uint16_t)(1 + hn_rng_below(&r, 4));
		fill(&r, (int)hn_rng_below(&r, 5), (int)hn_rng_below(&r, 5), (int)hn_rng_below(&r, 4));
		len = encode();
		if (hn_rng_below(&r, 4) == 0)
			len = 4 + hn_rng_below(&r, (uint32_t)len - 3);
		copy = malloc(len);
		ck_assert_ptr_nonnull(copy);
		memcpy(copy, bytes, len);
		for (uint32_t k = hn_rng_below(&r, 6); len > 4 && k > 0; k--)
			copy[hn_rng_below(&r, (uint32_t)len - 4)] = (uint8_t)hn_rng_u64(&r);
		hd_put32(copy + len - 4, hd_crc32c(0, copy, len - 4));
		if (hn_block_read(copy, len, &back) == HN_OK)
			read++;
		else
			refused++;
		free(copy);
	}
	ck_assert_int_gt(refused, 100);
	ck_assert_int_gt(read, 100);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("block");
	TCase *t = tcase_create("block");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, every_kind_of_block_comes_back_exactly, 0,
	                    COUNT(times) * COUNT(raws) * COUNT(flags));
	tcase_add_test(t, the_largest_and_worst_block_fits_its_bound);
	tcase_add_test(t, regular_time_and_quiet_sensors_take_little);
	tcase_add_test(t, frames_go_in_and_out_one_by_one);
	tcase_add_test(t, sorting_is_by_time_and_stable);
	tcase_add_test(t, writing_follows_the_order_given);
	tcase_add_test(t, limits_are_refused);
	tcase_add_test(t, any_single_bit_error_is_found);
	tcase_add_loop_test(t, mutated_blocks_with_a_right_crc_are_refused_or_read_but_never_crash, 0, 3);
	suite_add_tcase(s, t);
	return t_run(s);
}
