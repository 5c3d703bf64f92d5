/* check_hd_conv.c - conv1d and pools of the interpreter: random nets, edges, refusals, damage. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_check.h"
#include "hd_ops.h"
#include "t_hd_net.h"
#include "t_run.h"

enum { SEED = 20261122, NETS = 600, ROUNDS = 20, ARENA = 2 * HD_VALUES_MAX, GUARD = 64 };

#define LAYER(kind, il, ic, ol, oc, pp, qq) \
	{ .op = kind, .in_len = il, .in_ch = ic, .out_len = ol, .out_ch = oc, .p = pp, .q = qq }

static uint8_t image[T_NET_MAX] __attribute__((aligned(4)));
static uint8_t arena[ARENA + GUARD] __attribute__((aligned(4)));
static int8_t in[HD_VALUES_MAX];

static void fill(struct hn_rng *rng, int8_t *x, size_t n, int round)
{
	for (size_t i = 0; i < n; i++)
		x[i] = round ? (int8_t)hn_rng_u64(rng) : -128;
}

static void count_layers(uint32_t seen[HD_OP_END])
{
	for (unsigned i = 0; i < image[22]; i++)
		seen[t_net_layer(image, i).op]++;
}

/* Not a word of the arena too much, nothing written outside, every output as the formulas say. */
static int compare_net(struct hn_rng *rng, uint32_t len, int net_no)
{
	int8_t out[256 + 1], want[256];
	uint32_t need;
	struct hd_net net;
	int varied = 0;

	if (hd_net_check(&net, image, len) != HD_OK)
		ck_abort_msg("net %d does not open", net_no);
	need = net.arena;
	hd_put32(image + 12, need - 4);
	if (need > 0 && hd_net_check(&net, image, len) != HD_ESIZE)
		ck_abort_msg("net %d opens in less", net_no);
	hd_put32(image + 12, need);
	memset(arena + need, 0x5a, GUARD);
	for (int round = 0; round < ROUNDS; round++) {
		fill(rng, in, (size_t)net.in_len * net.in_ch, round);
		memset(out, 0x5a, sizeof out);
		hd_net_run(&net, in, arena, out);
		t_net_reference(image, in, want);
		if (memcmp(out, want, net.out_n) != 0 || out[net.out_n] != 0x5a)
			ck_abort_msg("net %d, round %d, seed %d", net_no, round, SEED);
		for (uint16_t i = 1; i < net.out_n; i++)
			varied += out[i] != out[0];
	}
	for (int i = 0; i < GUARD; i++)
		ck_assert_int_eq(arena[need + (uint32_t)i], 0x5a);
	return varied > 0;
}

START_TEST(random_nets_equal_the_formulas_inside_their_arena)
{
	uint32_t seen[HD_OP_END] = { 0 };
	struct hn_rng rng;
	int varied = 0;

	hn_rng_seed(&rng, SEED);
	for (int i = 0; i < NETS; i++) {
		uint32_t len = t_net_random(&rng, image);

		count_layers(seen);
		varied += compare_net(&rng, len, i);
	}
	/* Otherwise the numbers said nothing. */
	ck_assert_int_gt(varied, NETS / 2);
	for (int i = 0; i < hd_n_kinds; i++)
		ck_assert_uint_gt(seen[hd_kinds[i]->op], NETS / 8);
	printf("hd_conv: %d nets, %d inputs each, %d with different outputs; layers:", NETS, ROUNDS,
	       varied);
	for (int i = 0; i < hd_n_kinds; i++)
		printf(" %u %s", seen[hd_kinds[i]->op], hd_kinds[i]->name);
	printf("; seed %d\n", SEED);
}
END_TEST

/* By hand: one channel, weights 1 2 3, zero point 10, no scaling. */
START_TEST(conv1d_counts_frames_outside_as_the_zero_point)
{
	static const int8_t x[5] = { 11, 12, 13, 14, 15 };       /* 1 2 3 4 5 above the zero point */
	static const struct { uint16_t p, q, len; int8_t want[5]; } row[] = {
		{ 3, 1 | 1 << 8, 3, { 14, 20, 26 } },
		{ 3 | 1 << 8, 1 | 1 << 8, 5, { 8, 14, 20, 26, 14 } },
		{ 3 | 1 << 8, 2 | 1 << 8, 3, { 8, 20, 14 } },
		{ 3, 1 | 2 << 8, 1, { 22 } },
		{ 3 | 2 << 8, 1 | 2 << 8, 5, { 11, 16, 22, 10, 13 } },
		{ 3 | 2 << 8, 1 | 1 << 8, 5, { 3, 8, 14, 20, 26 } },
	};
	uint8_t c[20] __attribute__((aligned(4))) = { 10, 0, (uint8_t)-128, 127 };
	struct hd_layer l = LAYER(HD_OP_CONV1D, 5, 1, 0, 1, 0, 0);

	hd_put32(c + 8, 1u << 30);
	c[12] = 1;                       /* 2^30 * 2^(1 - 31): exactly one */
	c[16] = 1;
	c[17] = 2;
	c[18] = 3;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		int8_t y[6] = { 77, 77, 77, 77, 77, 77 };

		l.p = row[i].p;
		l.q = row[i].q;
		l.out_len = row[i].len;
		ck_assert_uint_eq(hd_conv1d_kind.bytes(&l), sizeof c);
		ck_assert(hd_conv1d_kind.ok(&l, c));
		hd_conv1d_run(&l, c, x, y, NULL);
		for (int t = 0; t < row[i].len; t++)
			ck_assert_msg(y[t] == row[i].want[t], "row %zu frame %d: %d", i, t, y[t]);
		ck_assert_int_eq(y[row[i].len], 77);
	}
}
END_TEST

/* The largest sums and zero points: nothing wraps. */
START_TEST(a_sum_beyond_all_bounds_gives_the_bound)
{
	uint8_t c[20] __attribute__((aligned(4))) = { 0, 0, (uint8_t)-128, 127 };
	struct hd_layer l = LAYER(HD_OP_CONV1D, 1, 1, 1, 1, 1, 1 | 1 << 8);
	const int8_t x = 0;
	int8_t y;

	hd_put32(c + 8, INT32_MAX);
	for (int i = 0; i < 8; i++) {
		const bool low = i & 1;

		l.rq_mode = i >> 1 & 1;
		c[12] = i & 4 ? 4 : 0;
		c[1] = (uint8_t)(low ? -128 : 127);
		hd_put32(c + 4, (uint32_t)(low ? INT32_MIN : INT32_MAX));
		hd_conv1d_run(&l, c, &x, &y, NULL);
		ck_assert_int_eq(y, low ? -128 : 127);
	}
}
END_TEST

START_TEST(the_mean_of_a_pool_rounds_halves_away_from_zero)
{
	static const struct { int8_t x[4]; uint16_t n; int8_t mean, top; } row[] = {
		{ { 1, 2 }, 2, 2, 2 }, { { -1, -2 }, 2, -2, -1 }, { { 0, 1 }, 2, 1, 1 },
		{ { 0, -1 }, 2, -1, 0 }, { { 1, 0, 0 }, 3, 0, 1 }, { { 1, 1, 0 }, 3, 1, 1 },
		{ { -1, -1, 0 }, 3, -1, 0 }, { { -1, 0, 0 }, 3, 0, 0 }, { { -128, -128, -128, -128 }, 4, -128,
		-128 }, { { 127, 127, 127, 127 }, 4, 127, 127 }, { { 3, -3 }, 2, 0, 3 }, { { 5 }, 1, 5, 5 },
	};
	static const uint8_t c[4] __attribute__((aligned(4))) = { (uint8_t)-128, 127, 0, 0 };

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct hd_layer l = LAYER(HD_OP_AVG_POOL, row[i].n, 1, 1, 1, row[i].n, 1);
		int8_t y = 0;

		hd_pool_run(&l, c, row[i].x, &y, NULL);
		ck_assert_msg(y == row[i].mean, "row %zu: mean %d", i, y);
		l.op = HD_OP_MAX_POOL;
		hd_pool_run(&l, c, row[i].x, &y, NULL);
		ck_assert_msg(y == row[i].top, "row %zu: largest %d", i, y);
	}
}
END_TEST

/* 8 frames of 2 channels. */
static const struct { const char *what; struct hd_layer l; } refusals[] = {
	{ "conv1d: kernel 0", LAYER(HD_OP_CONV1D, 8, 2, 8, 2, 0, 0x101) },
	{ "conv1d: stride 0", LAYER(HD_OP_CONV1D, 8, 2, 8, 2, 1, 0x100) },
	{ "conv1d: dilation 0", LAYER(HD_OP_CONV1D, 8, 2, 8, 2, 1, 0x001) },
	{ "conv1d: pads a whole kernel", LAYER(HD_OP_CONV1D, 8, 2, 8, 2, 0x303, 0x101) },
	{ "conv1d: starts behind the last frame", LAYER(HD_OP_CONV1D, 8, 2, 9, 2, 1, 0x101) },
	{ "conv1d: the same with padding", LAYER(HD_OP_CONV1D, 8, 2, 11, 2, 0x203, 0x101) },
	{ "conv1d: the same with a stride", LAYER(HD_OP_CONV1D, 8, 2, 4, 2, 0x103, 0x103) },
	{ "conv1d: a row too long", LAYER(HD_OP_CONV1D, 1, 16384, 1, 1, 2, 0x101) },
	{ "conv1d: weights that wrap to none", LAYER(HD_OP_CONV1D, 1, 16384, 1, 2048, 128, 0x101) },
	{ "depthwise: channels differ", LAYER(HD_OP_DWCONV1D, 8, 2, 8, 4, 1, 0x101) },
	{ "depthwise: kernel 0", LAYER(HD_OP_DWCONV1D, 8, 2, 8, 2, 0, 0x101) },
	{ "depthwise: starts behind the last frame", LAYER(HD_OP_DWCONV1D, 8, 2, 9, 2, 1, 0x101) },
	{ "max pool: no frames", LAYER(HD_OP_MAX_POOL, 8, 2, 1, 2, 0, 1) },
	{ "max pool: stride 0", LAYER(HD_OP_MAX_POOL, 8, 2, 1, 2, 1, 0) },
	{ "max pool: longer than the input", LAYER(HD_OP_MAX_POOL, 8, 2, 1, 2, 9, 1) },
	{ "max pool: too many frames out", LAYER(HD_OP_MAX_POOL, 8, 2, 8, 2, 2, 1) },
	{ "max pool: the same with a stride", LAYER(HD_OP_MAX_POOL, 8, 2, 3, 2, 3, 3) },
	{ "max pool: a stride that wraps", LAYER(HD_OP_MAX_POOL, 8, 1, 16384, 1, 65535, 65535) },
	{ "max pool: channels differ", LAYER(HD_OP_MAX_POOL, 8, 2, 4, 1, 2, 2) },
	{ "average pool: no frames", LAYER(HD_OP_AVG_POOL, 8, 2, 1, 2, 0, 1) },
	{ "average pool: stride 0", LAYER(HD_OP_AVG_POOL, 8, 2, 1, 2, 1, 0) },
	{ "average pool: longer than the input", LAYER(HD_OP_AVG_POOL, 8, 2, 1, 2, 65535, 1) },
	{ "average pool: channels differ", LAYER(HD_OP_AVG_POOL, 8, 2, 8, 3, 1, 1) },
};

START_TEST(each_parameter_out_of_range_is_refused)
{
	const struct hd_layer l = refusals[_i].l;

	ck_assert_msg(hd_kind_find(l.op)->bytes(&l) == 0, "%s", refusals[_i].what);
}
END_TEST

START_TEST(the_same_with_parameters_at_their_limits_is_taken)
{
	static const struct hd_layer taken[] = {
		LAYER(HD_OP_CONV1D, 8, 2, 8, 2, 1, 0x101), LAYER(HD_OP_CONV1D, 8, 2, 10, 2, 0x203, 0x101),
		LAYER(HD_OP_CONV1D, 8, 2, 3, 2, 0x103, 0x103), LAYER(HD_OP_CONV1D, 8, 2, 1, 2, 255, 0xffff),
		LAYER(HD_OP_CONV1D, 1, 1, 1, 1, 0xff02, 0xff01), LAYER(HD_OP_MAX_POOL, 8, 2, 7, 2, 2, 1),
		LAYER(HD_OP_MAX_POOL, 8, 2, 1, 2, 8, 65535), LAYER(HD_OP_AVG_POOL, 8, 2, 2, 2, 3, 3),
	};
	static const uint8_t zeros[4096] __attribute__((aligned(4)));

	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
		const struct hd_layer l = taken[i];
		const uint32_t took = hd_kind_find(l.op)->bytes(&l);
		int8_t y[32];

		ck_assert_msg(took > 0 && took <= sizeof zeros, "row %zu", i);
		ck_assert(hd_kind_find(l.op)->ok(&l, zeros));
		hd_ops[l.op](&l, zeros, in, y, NULL);
	}
}
END_TEST

START_TEST(the_most_weights_are_counted_right)
{
	const struct hd_layer l = LAYER(HD_OP_CONV1D, 64, 256, 1, 16384, 64, 0x101);

	ck_assert_uint_eq(hd_conv1d_kind.bytes(&l), 4 + 9u * 16384 + 16384u * 16384);
}
END_TEST

START_TEST(pools_refuse_bounds_that_cross_and_bytes_that_are_not_zero)
{
	uint8_t c[4] __attribute__((aligned(4))) = { 5, 5, 0, 0 };
	const struct hd_layer l = LAYER(HD_OP_MAX_POOL, 8, 2, 4, 2, 2, 2);

	ck_assert_uint_eq(hd_max_pool_kind.bytes(&l), 4);
	ck_assert(hd_max_pool_kind.ok(&l, c));
	c[0] = 6;
	ck_assert(!hd_max_pool_kind.ok(&l, c));
	c[0] = 5;
	c[3] = 1;
	ck_assert(!hd_max_pool_kind.ok(&l, c));
}
END_TEST

START_TEST(products_refuse_bounds_that_cross)
{
	static const uint8_t kinds[] = { HD_OP_DENSE, HD_OP_CONV1D, HD_OP_DWCONV1D };

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		uint8_t c[32] __attribute__((aligned(4))) = { 0, 0, 5, 5 };
		const struct hd_layer l = LAYER(kinds[i], 1, 1, 1, 1, 1, 0x101);

		ck_assert_uint_le(hd_kind_find(l.op)->bytes(&l), sizeof c);
		ck_assert(hd_kind_find(l.op)->ok(&l, c));
		c[2] = 6;
		ck_assert(!hd_kind_find(l.op)->ok(&l, c));
	}
}
END_TEST

/* The parameters decide what is computed: they are part of the architecture. */
START_TEST(the_architecture_hash_covers_every_byte_of_the_layer_table)
{
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED);
	for (int net = 0; net < 20; net++) {
		uint32_t arch, from, to;

		(void)t_net_random(&rng, image);
		arch = hd_image_arch(image);
		from = HD_IMAGE_HEADER + HD_SCALER_ENTRY * (uint32_t)hd_get16(image + 18);
		to = from + (uint32_t)HD_LAYER_ENTRY * image[22];
		for (uint32_t i = from; i < to; i++) {
			image[i] ^= 0x10;
			ck_assert_uint_ne(hd_image_arch(image), arch);
			image[i] ^= 0x10;
		}
	}
}
END_TEST

/* Mutations mostly in the header, the layer table and the first constants. */
static void damage(struct hn_rng *rng, uint8_t *copy, uint32_t len)
{
	const uint32_t from = HD_IMAGE_HEADER + HD_SCALER_ENTRY * (uint32_t)hd_get16(copy + 18);
	const uint32_t table = (uint32_t)HD_LAYER_ENTRY * copy[22];

	for (uint32_t k = hn_rng_below(rng, 4); k > 0; k--) {
		uint32_t at = hn_rng_below(rng, 4) ? from + hn_rng_below(rng, table) : hn_rng_below(rng, len);

		copy[at] = (uint8_t)(hn_rng_below(rng, 2) ? hn_rng_below(rng, 8) : hn_rng_u64(rng));
	}
}

/* Copies of exactly the image's size, so that a sanitizer sees any access outside. */
START_TEST(damaged_nets_never_read_outside)
{
	uint32_t opened = 0, len = 0, cut;
	struct hd_net net;
	struct hn_rng rng;
	int8_t out[256];

	hn_rng_seed(&rng, SEED + 1);
	for (int round = 0; round < 20000; round++) {
		uint8_t *copy, *work;

		if (round % 20 == 0)
			len = t_net_random(&rng, image);
		cut = round % 8 ? len : hn_rng_below(&rng, len / 4) * 4;
		copy = malloc(cut ? cut : 1);
		if (!copy)
			ck_abort_msg("out of memory");
		memcpy(copy, image, cut);
		if (cut == len)
			damage(&rng, copy, cut);
		if (cut >= 8)            /* past the first checks: length and hash are right */
			hd_put32(copy + 4, cut);
		if (hd_net_check(&net, copy, cut) == HD_EARCH)
			hd_put32(copy + 8, hd_image_arch(copy));
		if (hd_net_check(&net, copy, cut) == HD_OK && net.arena <= ARENA) {
			work = malloc(net.arena ? net.arena : 1);
			if (!work)
				ck_abort_msg("out of memory");
			hd_net_run(&net, in, work, out);
			opened++;
			free(work);
		}
		free(copy);
	}
	ck_assert_uint_gt(opened, 2000);
	ck_assert_uint_lt(opened, 18000);
	printf("hd_conv: %u of 20000 damaged nets open and run, seed %d\n", opened, SEED + 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hd_conv");
	TCase *t = tcase_create("hd_conv");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, random_nets_equal_the_formulas_inside_their_arena);
	tcase_add_test(t, conv1d_counts_frames_outside_as_the_zero_point);
	tcase_add_test(t, a_sum_beyond_all_bounds_gives_the_bound);
	tcase_add_test(t, the_mean_of_a_pool_rounds_halves_away_from_zero);
	tcase_add_loop_test(t, each_parameter_out_of_range_is_refused, 0,
	                    sizeof refusals / sizeof refusals[0]);
	tcase_add_test(t, the_same_with_parameters_at_their_limits_is_taken);
	tcase_add_test(t, the_most_weights_are_counted_right);
	tcase_add_test(t, pools_refuse_bounds_that_cross_and_bytes_that_are_not_zero);
	tcase_add_test(t, products_refuse_bounds_that_cross);
	tcase_add_test(t, the_architecture_hash_covers_every_byte_of_the_layer_table);
	tcase_add_test(t, damaged_nets_never_read_outside);
	suite_add_tcase(s, t);
	return t_run(s);
}
