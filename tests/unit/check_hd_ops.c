/* check_hd_ops.c - add, gru and softmax of the interpreter, and outputs that are kept: by hand, at
 * their limits, and what is refused.  Random nets of all kinds: check_hd_conv.c. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "hd_check.h"
#include "hd_ops.h"
#include "hn_layer.h"
#include "hn_place.h"
#include "t_hd_net.h"
#include "t_run.h"

enum { CONSTANTS_MAX = 4096, SEED = 20261124 };

static uint8_t c[CONSTANTS_MAX] __attribute__((aligned(4)));

/* Valid constants of any op for 4 frames of 4 channels (gru: 4 units). */
static struct hd_layer valid(uint8_t op)
{
	memset(c, 0, sizeof c);
	if (op == HD_OP_SOFTMAX)
		hd_put32(c, INT32_MAX);
	return (struct hd_layer){ .op = op, .in_len = 4, .in_ch = 4, .out_len = 4, .out_ch = 4,
	                          .p = op == HD_OP_GRU };
}

/* --- refusals -------------------------------------------------------------------------------- */

/* A byte of the constants that must be refused.  The gru's blocks begin at 0 (4 + 96 + 12 + 48
 * bytes) and 160, its table at 320. */
static const struct { uint8_t op; const char *what; int at; uint8_t value; } bytes[] = {
	{ HD_OP_ADD, "byte that is not zero", 3, 1 }, { HD_OP_ADD, "another", 6, 1 },
	{ HD_OP_ADD, "another", 7, 1 }, { HD_OP_ADD, "another", 23, 1 },
	{ HD_OP_ADD, "bounds that cross", 4, 1 }, { HD_OP_ADD, "negative multiplier", 11, 0x80 },
	{ HD_OP_ADD, "negative multiplier of the sum", 19, 0x80 }, { HD_OP_ADD, "left shift", 20, 1 },
	{ HD_OP_ADD, "left shift of the sum", 22, 1 }, { HD_OP_ADD, "shift too small", 21, 0xe0 },
	{ HD_OP_GRU, "output zero point", 1, 1 }, { HD_OP_GRU, "bound", 3, 1 },
	{ HD_OP_GRU, "zero point of the state", 160, 1 }, { HD_OP_GRU, "bound of the state", 163, 1 },
	{ HD_OP_GRU, "negative multiplier", 4 + 48 + 3, 0x80 },
	{ HD_OP_GRU, "negative multiplier of the state", 164 + 48 + 3, 0x80 },
	{ HD_OP_GRU, "shift too large", 4 + 96, 31 }, { HD_OP_GRU, "negative table", 321, 0x80 },
	{ HD_OP_GRU, "negative end of the table", 320 + 257, 0x80 },
	{ HD_OP_GRU, "byte that is not zero", 320 + 258, 1 },
	{ HD_OP_SOFTMAX, "a largest below one", 0, 0xfe }, { HD_OP_SOFTMAX, "negative", 7, 0x80 },
	{ HD_OP_SOFTMAX, "negative at the end", 1023, 0x80 },
};

START_TEST(each_byte_out_of_range_is_refused)
{
	struct hd_layer l = valid(bytes[_i].op);
	const struct hd_kind *op = hd_kind_find(l.op);

	ck_assert(op->ok(&l, c));
	c[bytes[_i].at] = bytes[_i].value;
	ck_assert_msg(!op->ok(&l, c), "%s: %s", op->name, bytes[_i].what);
}
END_TEST

static const struct { uint8_t op; const char *what; uint16_t in_len, in_ch, out_len, out_ch, p, q; }
shapes[] = {
	{ HD_OP_ADD, "another length", 4, 4, 8, 2, 0, 0 }, { HD_OP_ADD, "channels", 4, 4, 4, 3, 0, 0 },
	{ HD_OP_ADD, "p", 4, 4, 4, 4, 1, 0 }, { HD_OP_ADD, "q", 4, 4, 4, 4, 0, 1 },
	{ HD_OP_SOFTMAX, "another length", 4, 4, 8, 2, 0, 0 },
	{ HD_OP_SOFTMAX, "p", 4, 4, 4, 4, 1, 0 }, { HD_OP_SOFTMAX, "q", 4, 4, 4, 4, 0, 1 },
	{ HD_OP_SOFTMAX, "too many channels", 1, 257, 1, 257, 0, 0 },
	{ HD_OP_GRU, "all states in one frame", 4, 4, 1, 4, 1, 0 },
	{ HD_OP_GRU, "the last state in all frames", 4, 4, 4, 4, 0, 0 },
	{ HD_OP_GRU, "p", 4, 4, 4, 4, 2, 0 }, { HD_OP_GRU, "q", 4, 4, 4, 4, 1, 1 },
	{ HD_OP_GRU, "too many units", 1, 1, 1, 257, 0, 0 },
};

START_TEST(each_shape_out_of_range_is_refused)
{
	struct hd_layer l = valid(shapes[_i].op);
	const struct hd_kind *op = hd_kind_find(l.op);

	ck_assert_uint_gt(op->bytes(&l), 0);

	l.in_len = shapes[_i].in_len;
	l.in_ch = shapes[_i].in_ch;
	l.out_len = shapes[_i].out_len;
	l.out_ch = shapes[_i].out_ch;
	l.p = shapes[_i].p;
	l.q = shapes[_i].q;
	ck_assert_msg(op->bytes(&l) == 0, "%s: %s", op->name, shapes[_i].what);
}
END_TEST

/* --- kept outputs ---------------------------------------------------------------------------- */

enum { ROWS_MAX = 12, N = 8 };

/* Images of one frame of 8 numbers: rows "l" lut, "k" lut that is kept, "a" add, "A" add that is
 * kept, "d" dense to 4.  Returns the length, 0 when it cannot be. */
static uint32_t build(const char *rows, uint8_t *image)
{
	uint8_t *row = image + HD_IMAGE_HEADER + HD_SCALER_ENTRY * N;
	const size_t n = strlen(rows);
	uint16_t have = N;
	uint32_t len;

	memset(image, 0, HD_IMAGE_HEADER + HD_SCALER_ENTRY * N + ROWS_MAX * (HD_LAYER_ENTRY + 256u));
	for (size_t i = 0; i < n; i++, row += HD_LAYER_ENTRY) {
		row[0] = rows[i] == 'd' ? HD_OP_DENSE : (rows[i] | 32) == 'a' ? HD_OP_ADD : HD_OP_LUT;
		row[1] = rows[i] == 'k' || rows[i] == 'A';
		hd_put16(row + 4, 1);
		hd_put16(row + 6, have);
		hd_put16(row + 8, 1);
		have = rows[i] == 'd' ? 4 : have;
		hd_put16(row + 10, have);
		if (rows[i] == 'd')
			hd_put32(row + 12, 1 | 1u << 16 | 1u << 24);
	}
	hd_put32(image, HD_IMAGE_MAGIC);
	hd_put16(image + 16, 1);
	hd_put16(image + 18, N);
	hd_put16(image + 20, have);
	image[22] = (uint8_t)n;
	len = hn_image_place(image);
	hd_put32(image + 4, len);
	return len;
}

/* Arena: 8 bytes an output of eight numbers; what is kept stays beside the two that are in use. */
static const struct { const char *rows; bool right; uint32_t arena; } keeps[] = {
	{ "kal", true, 8 }, { "klal", true, 16 }, { "kllal", true, 16 }, { "kAlal", true, 16 },
	{ "kklaal", true, 24 }, { "kkkkaaaal", true, 32 }, { "kla", true, 16 },
	{ "dkla", true, 8 }, { "lkldd", false, 0 }, { "a", false, 0 },
	{ "la", false, 0 }, { "kaal", false, 0 }, { "kl", false, 0 },
	{ "kkal", false, 0 }, { "lk", false, 0 }, { "klA", false, 0 },
	{ "kkkkkaaaaal", false, 0 }, { "kda", false, 0 }, { "kdal", false, 0 },
};

START_TEST(each_add_takes_the_output_that_was_kept_last)
{
	static uint8_t image[8192] __attribute__((aligned(4)));
	const uint32_t len = build(keeps[_i].rows, image);
	struct hd_net net;

	ck_assert_msg((len > 0) == keeps[_i].right, "%s", keeps[_i].rows);
	if (len == 0)
		return;
	ck_assert_msg(hd_net_check(&net, image, len) == HD_OK, "%s", keeps[_i].rows);
	ck_assert_msg(net.arena == keeps[_i].arena, "%s: %u", keeps[_i].rows, net.arena);
}
END_TEST

/* "kklaald" is placed at words 4 (kept), 0 (kept), 2, 0, 4, 4; then one number of a row changes. */
static const struct { const char *what; int row, at, value; } places[] = {
	{ "a second output on the first, which is kept", 1, 2, 4 },
	{ "an output on what was kept first", 2, 2, 4 },
	{ "an output on what was kept last", 2, 2, 0 },
	{ "an output on part of what is kept", 2, 2, 3 },
	{ "an output outside the arena", 2, 2, 6 },
	{ "an output far outside", 2, 2, 0xffff },
	{ "an add that takes the output kept first", 3, 16, 4 },
	{ "an add that takes its own input", 3, 16, 2 },
	{ "an add that takes what is not there", 3, 16, 0xffff },
	{ "an add on what is still kept", 3, 2, 4 },
	{ "an add on its input", 3, 2, 2 },
	{ "a lut on a part of its input", 5, 2, 3 },
	{ "more in a lut", 5, 16, 1 },
	{ "an output kept that no add takes", 5, 1, 1 },
	{ "an output not kept that an add takes", 1, 1, 0 },
};

START_TEST(a_layer_that_writes_on_what_is_still_needed_is_refused)
{
	static uint8_t image[8192] __attribute__((aligned(4)));
	const uint32_t len = build("kklaald", image);
	uint8_t *row = image + HD_IMAGE_HEADER + HD_SCALER_ENTRY * N + HD_LAYER_ENTRY * places[_i].row;
	struct hd_net net;
	hd_status rc;

	ck_assert_int_eq(hd_net_check(&net, image, len), HD_OK);
	ck_assert_uint_eq(net.arena, 24);
	if (places[_i].at == 1)
		row[1] = (uint8_t)places[_i].value;
	else
		hd_put16(row + places[_i].at, (uint16_t)places[_i].value);
	hd_put32(image + 8, hd_image_arch(image));
	rc = hd_net_check(&net, image, len);
	ck_assert_msg(rc == HD_EFORMAT || (strstr(places[_i].what, "outside") && rc == HD_ESIZE), "%s: %d",
	              places[_i].what, rc);
}
END_TEST

/* --- by hand --------------------------------------------------------------------------------- */

/* Steps 0.5 and 0.25 to 0.5: TFLite's numbers are 2 max = 1, so 1/2, 1/4, and 1 / (2^20 * 0.5). */
START_TEST(add_brings_both_terms_to_one_grid)
{
	static const int8_t x[4] = { 13, -17, 127, -128 }, kept[4] = { -1, 0, 127, -128 };
	static const int8_t want[4] = { 19, -11, 100, -100 };    /* 10 + 2 + 7, -20 + 2.5 + 7, bounds */
	struct hd_layer l = valid(HD_OP_ADD);
	int8_t y[4], at[4];

	l.in_len = l.out_len = 1;
	c[0] = 3;
	c[1] = (uint8_t)-5;
	c[2] = 7;
	c[4] = (uint8_t)-100;
	c[5] = 100;
	for (int i = 0; i < 3; i++)
		hd_put32(c + 8 + 4 * i, 1u << 30);
	c[20] = 0;                               /* 2^30 * 2^(0 - 31) = 1/2 */
	c[21] = (uint8_t)-1;
	c[22] = (uint8_t)-18;
	ck_assert_uint_eq(hd_add_kind.bytes(&l), 24);
	ck_assert(hd_add_kind.ok(&l, c));
	memcpy(at, kept, sizeof at);
	hd_add_run(&l, c, x, y, at);
	for (int i = 0; i < 4; i++)
		ck_assert_msg(y[i] == want[i], "%d: %d, not %d", i, y[i], want[i]);
	memcpy(y, kept, sizeof y);               /* in the place of the kept output */
	hd_add_run(&l, c, x, y, y);
	ck_assert_mem_eq(y, want, sizeof y);
}
END_TEST

static void put_exps(double scale, int32_t exps[256])
{
	for (int i = 0; i < 256; i++) {
		exps[i] = (int32_t)floor(exp(-i * scale) * INT32_MAX);
		hd_put32(c + 4 * i, (uint32_t)exps[i]);
	}
}

START_TEST(softmax_is_within_a_step_of_the_real_one_and_equals_the_reference)
{
	struct hd_layer l = valid(HD_OP_SOFTMAX);
	int8_t x[256], y[256], want[256];
	int32_t exps[256];
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED);
	for (int round = 0; round < 2000; round++) {
		const double scale = 0.002 * (1 + hn_rng_below(&rng, 200));
		const int n = round < 256 ? round + 1 : 1 + (int)hn_rng_below(&rng, 20);
		double sum = 0;

		put_exps(scale, exps);
		l.in_len = l.out_len = 1;
		l.in_ch = l.out_ch = (uint16_t)n;
		for (int i = 0; i < n; i++) {
			x[i] = round % 3 ? (int8_t)hn_rng_u64(&rng) : 17;
			sum += exp(x[i] * scale);
		}
		ck_assert_uint_eq(hd_softmax_kind.bytes(&l), 1024);
		ck_assert(hd_softmax_kind.ok(&l, c));
		hd_softmax_run(&l, c, x, y, NULL);
		t_softmax(exps, x, want, n);
		for (int i = 0; i < n; i++) {
			const double real = fmin(127, 256 * exp(x[i] * scale) / sum - 128);

			ck_assert_msg(y[i] == want[i], "round %d: %d, not %d", round, y[i], want[i]);
			ck_assert_double_le(fabs(y[i] - real), 0.51);
		}
	}
}
END_TEST

/* The gateway's table of a softmax whose input has this scale, into c. */
static void quantise(double scale, uint16_t ch)
{
	const struct hn_net_io io = { HN_REGRESS, 1, ch, ch };
	struct hn_net net;
	struct hn_layer_q q = { .in_scale = scale, .in_zp = 4, .out = c };

	ck_assert_int_eq(hn_net_parse(&net, "softmax", &io, NULL), HN_OK);
	q.l = &net.layer[0];
	memset(c, 0, sizeof c);
	ck_assert_int_eq(q.l->type->quantise(&q), HN_OK);
}

/* gemmlowp's series is 3e-7 off at the ends of a quarter. */
START_TEST(the_table_of_exponentials_is_exact_to_six_digits)
{
	static const double scales[] = { 1e-7, 0.001, 0.0117, 0.1, 0.15, 0.5, 3, 20, 1e4 };

	for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
		quantise(scales[k], 6);
		for (int d = 0; d < 256; d++) {
			const double want = exp(-d * scales[k]), got = hd_get32(c + 4 * d) / 2147483648.0;

			/* what is further than 31 below the largest is nothing */
			ck_assert_msg(fabs(got - want) < 4e-7, "scale %g, %d steps: %.12f, not %.12f", scales[k],
			              d, got, want);
		}
	}
}
END_TEST

/* Logits and probabilities of one network as TFLite Micro, TFLite and Armnn give them. */
START_TEST(softmax_gives_the_numbers_of_other_runtimes)
{
	static const int8_t x[6] = { -59, -12, 57, 85, 42, -102 };
	static const int8_t want[6] = { -128, -128, -124, 124, -128, -128 };
	struct hd_layer l = { .op = HD_OP_SOFTMAX, .in_len = 1, .in_ch = 6, .out_len = 1, .out_ch = 6 };
	int8_t y[6];

	quantise(0.15, 6);
	ck_assert(hd_softmax_kind.ok(&l, c));
	hd_softmax_run(&l, c, x, y, NULL);
	ck_assert_mem_eq(y, want, sizeof y);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hd_ops");
	TCase *t = tcase_create("hd_ops");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, each_byte_out_of_range_is_refused, 0, sizeof bytes / sizeof bytes[0]);
	tcase_add_loop_test(t, each_shape_out_of_range_is_refused, 0, sizeof shapes / sizeof shapes[0]);
	tcase_add_loop_test(t, each_add_takes_the_output_that_was_kept_last, 0,
	                    sizeof keeps / sizeof keeps[0]);
	tcase_add_loop_test(t, a_layer_that_writes_on_what_is_still_needed_is_refused, 0,
	                    sizeof places / sizeof places[0]);
	tcase_add_test(t, add_brings_both_terms_to_one_grid);
	tcase_add_test(t, softmax_is_within_a_step_of_the_real_one_and_equals_the_reference);
	tcase_add_test(t, the_table_of_exponentials_is_exact_to_six_digits);
	tcase_add_test(t, softmax_gives_the_numbers_of_other_runtimes);
	suite_add_tcase(s, t);
	return t_run(s);
}
