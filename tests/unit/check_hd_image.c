/* check_hd_image.c - the int8 interpreter against independent arithmetic, and its refusals. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_check.h"
#include "hd_ops.h"
#include "hn_place.h"
#include "t_hd_net.h"
#include "t_hd_package.h"
#include "t_run.h"

enum { SEED = 20240604, ARENA = 4 * HD_VALUES_MAX };

static const struct t_image_spec specs[] = {
	{ 4, 2, { { HD_OP_DENSE, 3 } } },
	{ 1, 1, { { HD_OP_DENSE, 1 } } },
	{ 8, 3, { { HD_OP_LUT, 0 }, { HD_OP_DENSE, 5 } } },
	{ 8, 3, { { HD_OP_DENSE, 17 }, { HD_OP_LUT, 0 }, { HD_OP_DENSE, 9 }, { HD_OP_LUT, 0 },
	          { HD_OP_DENSE, 256 } } },
	{ 2, 7, { { HD_OP_LUT, 0 }, { HD_OP_LUT, 0 } } },
	{ 32, 3, { { HD_OP_DENSE, 64 }, { HD_OP_LUT, 0 }, { HD_OP_DENSE, 32 }, { HD_OP_DENSE, 33 },
	           { HD_OP_LUT, 0 }, { HD_OP_DENSE, 4 } } },
};
enum { N_SPECS = sizeof specs / sizeof specs[0] };

static uint8_t image[T_IMAGE_MAX] __attribute__((aligned(4)));
static uint8_t arena[ARENA] __attribute__((aligned(4)));

/* Not ck_assert_msg, which writes to a pipe each time: this runs millions of times. */
static void check_rq(int32_t x, int32_t m, int s)
{
	if (hd_rq(x, m, s) != t_rq(x, m, s))
		ck_abort_msg("x %d mult %d shift %d", x, m, s);
	if (hd_rq_once(x, m, s) != t_rq_once(x, m, s))
		ck_abort_msg("once: x %d mult %d shift %d", x, m, s);
}

START_TEST(requantisation_equals_the_definition_on_a_grid_of_edges)
{
	static const int32_t xs[] = { INT32_MIN, INT32_MIN + 1, -0x40000000, -65537, -256, -3, -2, -1, 0,
		1, 2, 3, 127, 255, 65536, 0x3fffffff, 0x40000000, INT32_MAX - 1, INT32_MAX };
	static const int32_t ms[] = { 0, 1, 2, 3, 0x3fffffff, 0x40000000, 0x40000001, 0x60000000,
		0x7ffffffe, INT32_MAX };

	for (size_t i = 0; i < sizeof xs / sizeof xs[0]; i++)
		for (size_t k = 0; k < sizeof ms / sizeof ms[0]; k++)
			for (int s = HD_SHIFT_MIN; s <= HD_SHIFT_MAX; s++)
				check_rq(xs[i], ms[k], s);
}
END_TEST

START_TEST(requantisation_equals_the_definition_on_random_numbers)
{
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED);
	for (int i = 0; i < 2000000; i++) {
		int32_t x = (int32_t)hn_rng_u64(&rng) >> hn_rng_below(&rng, 32);
		int32_t m = (int32_t)((1u << 30) + hn_rng_below(&rng, 1u << 30));
		int s = HD_SHIFT_MIN + (int)hn_rng_below(&rng, HD_SHIFT_MAX - HD_SHIFT_MIN + 1);

		check_rq(x, m, s);
	}
}
END_TEST

START_TEST(every_net_equals_the_formulas_inside_its_arena)
{
	uint32_t len = t_image_build(&specs[_i], SEED + (uint64_t)_i, image), need;
	static int8_t in[HD_VALUES_MAX];
	int8_t out[256 + 4], want[256];
	struct hd_net net;
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED);
	ck_assert_int_eq(hd_net_check(&net, image, len), HD_OK);
	need = net.arena;
	if (need > 0) {                  /* there is not a word too much */
		hd_put32(image + 12, need - 4);
		ck_assert_int_eq(hd_net_check(&net, image, len), HD_ESIZE);
		hd_put32(image + 12, need);
	}
	memset(arena + need, 0x5a, 64);
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < net.in_len * net.in_ch; i++)
			in[i] = round ? (int8_t)hn_rng_u64(&rng) : -128;
		memset(out, 0x5a, sizeof out);
		hd_net_run(&net, in, arena, out);
		t_net_reference(image, in, want);
		ck_assert_mem_eq(out, want, net.out_n);
		ck_assert_int_eq(out[net.out_n], 0x5a);
	}
	for (int i = 0; i < 64; i++)
		ck_assert_int_eq(arena[need + (uint32_t)i], 0x5a);
}
END_TEST

START_TEST(the_input_scaler_equals_its_formula_and_saturates)
{
	uint32_t len = t_image_build(&specs[0], SEED, image);
	struct hd_net net;
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED);
	for (int i = 0; i < 100000; i++) {
		int32_t offset = (int32_t)hn_rng_u64(&rng) >> 20, raw = (int16_t)hn_rng_u64(&rng);
		int32_t mult = (int32_t)((1u << 30) + hn_rng_below(&rng, 1u << 30));
		int shift = -(int)hn_rng_below(&rng, 12), zp = (int8_t)hn_rng_u64(&rng);

		hd_put32(image + 28 + 12, (uint32_t)offset);
		hd_put32(image + 28 + 16, (uint32_t)mult);
		hd_put32(image + 28 + 20, (uint32_t)shift);
		image[24] = (uint8_t)zp;
		image[23] = (uint8_t)(i & 1);
		(void)hn_image_place(image);
		if (hd_net_check(&net, image, len) != HD_OK || hd_net_scale(&net, 1, raw)
		    != t_clamp((int64_t)(i & 1 ? t_rq_once : t_rq)(raw - offset, mult, shift) + zp, -128, 127))
			ck_abort_msg("raw %d offset %d mult %d shift %d zp %d", raw, offset, mult, shift, zp);
	}
	hd_put32(image + 28 + 12, (uint32_t)INT32_MIN);  /* raw - offset wraps: any value, no crash */
	ck_assert_int_eq(hd_net_check(&net, image, len), HD_OK);
	(void)hd_net_scale(&net, 1, INT32_MAX);
}
END_TEST

START_TEST(argmax_takes_the_first_of_equals_and_tells_the_distance)
{
	static const struct { int8_t out[4]; uint8_t best, margin; } row[] = {
		{ { 1, 2, 3, 4 }, 3, 1 }, { { 5, 5, 1, 5 }, 0, 0 }, { { 127, -128, -128, -128 }, 0, 255 },
		{ { -128, -128, -128, -128 }, 0, 0 }, { { -5, 9, 3, 1 }, 1, 6 }, { { 3, 9, 1, 4 }, 1, 5 },
	};
	int8_t one = -100;
	uint8_t margin;

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		ck_assert_uint_eq(hd_argmax(row[i].out, 4, &margin), row[i].best);
		ck_assert_uint_eq(margin, row[i].margin);
	}
	ck_assert_uint_eq(hd_argmax(&one, 1, &margin), 0);
}
END_TEST

START_TEST(a_distance_above_the_limit_is_an_anomaly_and_the_margin_falls_with_it)
{
	const struct hd_net net = { .out_n = 4, .limit = 100 };  /* a mean of 25, a sum of 100 */
	static const int8_t in[4] = { 10, -20, 127, 0 };
	static const struct { int8_t out[4]; uint8_t answer, margin; } row[] = {
		{ { 10, -20, 127, 0 }, 0, 255 }, { { 60, -20, 127, 0 }, 0, 192 },
		{ { 10, 30, 77, 0 }, 0, 128 }, { { 10, 30, 76, 0 }, 1, 127 },
		{ { -90, -20, 27, 0 }, 1, 0 }, { { -128, 127, -128, -128 }, 1, 0 },
	};
	uint8_t margin;

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		ck_assert_uint_eq(hd_net_answer(&net, in, row[i].out, &margin), row[i].answer);
		ck_assert_uint_eq(margin, row[i].margin);
	}
}
END_TEST

START_TEST(a_net_without_a_limit_answers_with_its_largest_output)
{
	const struct hd_net net = { .out_n = 3 };
	static const int8_t in[3], out[3] = { 1, 9, 4 };
	uint8_t margin;

	ck_assert_uint_eq(hd_net_answer(&net, in, out, &margin), 1);
	ck_assert_uint_eq(margin, 5);
}
END_TEST

/* Offset, size and a value that must be refused.  Image: specs[0], 2 channels, 1 layer at 52. */
static const struct { const char *what; int at, size; uint32_t value; hd_status rc; } refusals[] = {
	{ "magic", 0, 4, 0, HD_EFORMAT },
	{ "length", 4, 4, 4, HD_EFORMAT },
	{ "architecture hash", 8, 4, 0x12345678, HD_EARCH },
	{ "arena not a multiple of 4", 12, 4, 7, HD_ESIZE },
	{ "no frames", 16, 2, 0, HD_EFORMAT },
	{ "window too long", 16, 2, 4097, HD_EFORMAT },
	{ "no channels", 18, 2, 0, HD_EFORMAT },
	{ "too many channels", 18, 2, 257, HD_EFORMAT },
	{ "no outputs", 20, 2, 0, HD_EFORMAT },
	{ "outputs differ from the last layer", 20, 2, 4, HD_EFORMAT },
	{ "no layers", 22, 1, 0, HD_EFORMAT },
	{ "too many layers", 22, 1, 25, HD_EFORMAT },
	{ "more layers than bytes", 22, 1, 20, HD_EFORMAT },
	{ "requantisation mode", 23, 1, 2, HD_EFORMAT },
	{ "requantisation mode of the layers differs", 23, 1, 1, HD_EFORMAT },
	{ "a limit that is not needed", 25, 1, 1, HD_EFORMAT },
	{ "a limit and fewer outputs than inputs", 25, 3, 1 | 0x4003 << 8, HD_EFORMAT },
	{ "a need of a limit without one", 26, 2, 0x4003, HD_EFORMAT },
	{ "negative multiplier of the scaler", 32, 4, 0x80000000, HD_EFORMAT },
	{ "shift of the scaler too small", 36, 4, (uint32_t)-32, HD_EFORMAT },
	{ "shift of the scaler too large", 36, 4, 31, HD_EFORMAT },
	{ "bytes that are needed differ", 26, 2, 0x0007, HD_EFORMAT },
	{ "unknown layer", 52, 1, 99, HD_EFORMAT },
	{ "neither kept nor not", 53, 1, 2, HD_EFORMAT },
	{ "the last output is kept", 53, 1, 1, HD_EFORMAT },
	{ "the last output in the arena", 54, 2, 1, HD_EFORMAT },
	{ "input length does not chain", 56, 2, 2, HD_EFORMAT },
	{ "input channels do not chain", 58, 2, 3, HD_EFORMAT },
	{ "a dense layer with a length", 60, 2, 2, HD_EFORMAT },
	{ "weights outside the image", 62, 2, 200, HD_EFORMAT },
	{ "dense with a kernel", 64, 2, 2, HD_EFORMAT },
	{ "dense with a stride", 66, 2, 2 | 1 << 8, HD_EFORMAT },
	{ "more that is not there", 68, 2, 1, HD_EFORMAT },
	{ "a layer that rounds otherwise", 70, 1, 1, HD_EFORMAT },
	{ "reserved byte of a layer", 71, 1, 1, HD_EFORMAT },
	{ "constants elsewhere", 72, 4, 80, HD_EFORMAT },
	{ "smallest output above the largest", 78, 1, 127, HD_EFORMAT },
	{ "negative multiplier", 92, 4, 0xffffffff, HD_EFORMAT },
	{ "shift too small", 104, 1, (uint8_t)-32, HD_EFORMAT },
	{ "shift too large", 104, 1, 31, HD_EFORMAT },
};

START_TEST(each_field_out_of_range_is_refused)
{
	uint32_t len = t_image_build(&specs[0], SEED, image);
	struct hd_net net;
	uint8_t v[4];

	image[79] = 100;                 /* act_max, so that act_min can exceed it */
	ck_assert_int_eq(hd_net_check(&net, image, len), HD_OK);
	memset(&net, 0x77, sizeof net);
	hd_put32(v, refusals[_i].value);
	memcpy(image + refusals[_i].at, v, (size_t)refusals[_i].size);
	if (refusals[_i].at != 8)
		t_image_rehash(image);
	ck_assert_msg(hd_net_check(&net, image, len) == refusals[_i].rc, "%s", refusals[_i].what);
	for (size_t i = 0; i < sizeof net; i++)
		ck_assert_msg(((uint8_t *)&net)[i] == 0x77, "net was touched");
}
END_TEST

/* Copies of exactly the image's size, so that a sanitizer sees any access outside. */
START_TEST(damaged_images_never_read_outside)
{
	uint32_t len = t_image_build(&specs[_i], SEED, image), opened = 0;
	static int8_t in[HD_VALUES_MAX];
	struct hd_net net;
	struct hn_rng rng;
	int8_t out[256];

	hn_rng_seed(&rng, SEED + (uint64_t)_i);
	for (int round = 0; round < 3000; round++) {
		uint32_t cut = round % 4 ? len : hn_rng_below(&rng, len / 4) * 4;
		uint8_t *copy = malloc(cut ? cut : 1);

		if (!copy)
			ck_abort_msg("out of memory");
		memcpy(copy, image, cut);
		for (uint32_t k = hn_rng_below(&rng, 4); k > 0 && cut > 0; k--) {
			uint32_t span = hn_rng_below(&rng, 2) && cut > 160 ? 160 : cut;

			copy[hn_rng_below(&rng, span)] = (uint8_t)hn_rng_u64(&rng);
		}
		if (cut >= 8)            /* past the first checks: length and hash are right */
			hd_put32(copy + 4, cut);
		if (hd_net_check(&net, copy, cut) == HD_EARCH)
			t_image_rehash(copy);
		if (hd_net_check(&net, copy, cut) == HD_OK && net.arena <= ARENA) {
			hd_net_run(&net, in, arena, out);
			opened++;
		}
		free(copy);
	}
	ck_assert_uint_gt(opened, 100);
	printf("hd_image: spec %d: %u of 3000 damaged images open and run, seed %d\n", _i, opened, SEED);
}
END_TEST

START_TEST(every_kind_of_layer_has_one_row_and_one_function)
{
	for (int i = 0; i < hd_n_kinds; i++) {
		struct hd_layer l = { .op = hd_kinds[i]->op, .in_len = 1, .in_ch = 4, .out_len = 1, .out_ch = 4 };
		uint32_t need;

		if (l.op == HD_OP_CONV1D || l.op == HD_OP_DWCONV1D || l.op == HD_OP_DENSE) {
			l.p = 1;                 /* one frame at a time */
			l.q = 1 | 1 << 8;
		} else if (l.op == HD_OP_MAX_POOL || l.op == HD_OP_AVG_POOL) {
			l.p = l.q = 1;
		}
		ck_assert_ptr_eq(hd_kind_find(hd_kinds[i]->op), hd_kinds[i]);
		ck_assert_uint_lt(hd_kinds[i]->op, HD_OP_END);
		ck_assert(hd_ops[hd_kinds[i]->op] != NULL);
		ck_assert(hd_ops_mask() >> hd_kinds[i]->op & 1);
		ck_assert_uint_gt(strlen(hd_kinds[i]->name), 0);
		need = hd_kinds[i]->bytes(&l);
		ck_assert_uint_gt(need, 0);
		ck_assert_uint_eq(need % 4, 0);
	}
	ck_assert_ptr_null(hd_kind_find(0));
	ck_assert_ptr_null(hd_kind_find(HD_OP_END));
}
END_TEST

/* What a device looks at before it runs an authentic image. */
START_TEST(a_device_opens_images_of_the_right_length_that_it_has_the_layers_of)
{
	uint32_t len = t_image_build(&specs[2], SEED, image), needs;
	struct hd_net net;

	ck_assert_int_eq(hd_net_open(&net, image, len), HD_OK);
	ck_assert_ptr_eq(net.image, image);
	ck_assert_uint_eq(net.len, len);
	ck_assert_uint_eq(net.in_ch, specs[2].in_ch);
	needs = net.needs;
	ck_assert_uint_eq(needs, HD_NEEDS_TWICE | HD_HAS(LUT) | HD_HAS(DENSE));
	ck_assert_int_eq(hd_net_open(&net, image, len - 4), HD_EFORMAT);
	for (int bit = HD_OP_END; bit < 14; bit++) {
		hd_put16(image + 26, (uint16_t)(needs | 1u << bit));
		ck_assert_int_eq(hd_net_open(&net, image, len), HD_EFORMAT);
	}
	hd_put16(image + 26, (uint16_t)needs);
	image[0] ^= 1;
	ck_assert_int_eq(hd_net_open(&net, image, len), HD_EFORMAT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hd_image");
	TCase *t = tcase_create("hd_image");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, requantisation_equals_the_definition_on_a_grid_of_edges);
	tcase_add_test(t, requantisation_equals_the_definition_on_random_numbers);
	tcase_add_loop_test(t, every_net_equals_the_formulas_inside_its_arena, 0, N_SPECS);
	tcase_add_test(t, the_input_scaler_equals_its_formula_and_saturates);
	tcase_add_test(t, argmax_takes_the_first_of_equals_and_tells_the_distance);
	tcase_add_test(t, a_distance_above_the_limit_is_an_anomaly_and_the_margin_falls_with_it);
	tcase_add_test(t, a_net_without_a_limit_answers_with_its_largest_output);
	tcase_add_loop_test(t, each_field_out_of_range_is_refused, 0,
	                    sizeof refusals / sizeof refusals[0]);
	tcase_add_loop_test(t, damaged_images_never_read_outside, 0, N_SPECS);
	tcase_add_test(t, every_kind_of_layer_has_one_row_and_one_function);
	tcase_add_test(t, a_device_opens_images_of_the_right_length_that_it_has_the_layers_of);
	suite_add_tcase(s, t);
	return t_run(s);
}
