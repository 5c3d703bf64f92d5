/* check_quant_conv.c - nets of conv1d and pools from float to int8: random ones against the
 * formulas of hd_image.h, trained ones against float. */
#include <check.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_check.h"
#include "hn_layer.h"
#include "hn_quant.h"
#include "hn_run.h"
#include "t_hd_net.h"
#include "t_nets.h"
#include "t_quant.h"
#include "t_run.h"

enum {
	SEED = 20261123, NETS = 400, RANDOM_N = 64, N = 800, LEN = 24, CH = 3, CLASSES = 4,
	IMAGE_MAX = 1 << 18, WEIGHTS_MAX = 1 << 16, X_MAX = 64 * 1024
};

static float x[X_MAX], weights[WEIGHTS_MAX];
static int32_t raw[N * LEN * CH], label[N];
static _Alignas(8) uint8_t image[IMAGE_MAX];
static uint8_t work[2 * HD_VALUES_MAX] __attribute__((aligned(4)));
static struct hn_arena arena;
static const struct t_quant whole = { &arena, x, label, N, weights, { image, IMAGE_MAX } };
static const struct t_quant few = { &arena, x, label, RANDOM_N, weights, { image, IMAGE_MAX } };

static const char *const texts[] = {
	"conv1d 8x5, relu, maxpool 2, conv1d 8x3 same, relu, globalavgpool, dense 4",
	"conv1d 6x3 stride 2 same, relu6, conv1d 8x3 dilation 2, relu6, avgpool 3, flatten, dense 4",
	"maxpool 2, conv1d 8x4, sigmoid, avgpool 2 stride 1, dense 16, leaky_relu 0.1, dense 4",
	"conv1d 8x3 same, maxpool 3 stride 2, relu, conv1d 8x3, avgpool 2, relu6, flatten, dense 4",
	"conv1d 8x7 same dilation 2, leaky_relu, globalavgpool, flatten, dense 12, relu, dense 4",
	"avgpool 1, conv1d 12x5, tanh, flatten, relu, dense 4",
	"gru 12, dense 4",
	"dwconv1d 5 same, add 1, conv1d 8x3, relu, separable 8x3 same, relu, add 3, flatten, dense 4",
	"conv1d 4x7 stride 3, tanh, conv1d 4x3 same, add 1, relu, gru 8, softmax, dense 12, relu, dense 4",
	"conv1d 6x3 stride 2, gru 8 seq, gru 8, dense 4",
};
enum { N_TEXTS = sizeof texts / sizeof *texts };

/* A wave of its own period for each class, any phase, in noise; as counts and scaled. */
static void make_data(void)
{
	const struct hn_scaler s = t_quant_scaler(CH);
	struct hn_rng r;

	hn_rng_seed(&r, SEED);
	for (int i = 0; i < N; i++) {
		const double phase = 6.283 * hn_rng_unit(&r);

		label[i] = i % CLASSES;
		for (int k = 0; k < LEN * CH; k++) {
			const double at = (k / CH) * (0.25 + 0.45 * label[i]) + phase + k % CH;
			const int c = k % CH, j = i * LEN * CH + k;

			raw[j] = (int32_t)lrint((sin(at) + 0.3 * hn_rng_normal(&r)) * (double)s.std[c] +
			                        (double)s.mean[c]);
			x[j] = ((float)raw[j] - s.mean[c]) / s.std[c];
		}
	}
}

static struct hn_net parse(const char *text)
{
	return t_net_of(text, (struct hn_net_io){ HN_CLASSIFY, LEN, CH, CLASSES });
}

static void setup(void)
{
	ck_assert_uint_le(N * LEN * CH, X_MAX);
	arena = t_arena(64 << 20);
	make_data();
}

static void teardown(void)
{
	t_arena_free(&arena);
}

START_TEST(trained_conv_nets_agree_with_their_int8_image)
{
	const struct hn_net net = parse(texts[_i]);
	const struct hn_scaler s = t_quant_scaler(CH);
	struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s, .tail = 1e-4 };
	struct hn_agreement a;
	struct hn_calib calib;

	t_quant_train(&whole, &net, 15);
	for (int rule = 0; rule < HN_CALIB_RULES; rule++) {
		cfg.rule = (enum hn_calib_rule)rule;
		const uint32_t len = (uint32_t)t_quant_image(&whole, &cfg, &calib);

		ck_assert_int_eq(hn_agree(&(struct hn_agree_job){ &cfg, &calib, image, len, { x, N } },
		                 &arena, &a), HN_OK);
		printf("quant_conv: %u of %d the same class, least %.1f dB (layer %u), rule %d: %s\n",
		       a.same_argmax, N, a.snr_db[a.worst], a.worst + 1u, rule, texts[_i]);
		ck_assert_msg(a.same_argmax >= 0.98 * N, "%s: %u of %d", texts[_i], a.same_argmax, N);
		ck_assert_msg(a.snr_db[a.worst] > 20, "%s: layer %u: %g dB", texts[_i], a.worst,
		              a.snr_db[a.worst]);
	}
	ck_assert_uint_eq(arena.used, 0);
}
END_TEST

/* The whole way of a device: counts, integer scaler, image; against labels and float. */
START_TEST(raw_windows_give_the_same_class_as_float)
{
	const struct hn_net net = parse(texts[_i]);
	const struct hn_scaler s = t_quant_scaler(CH);
	const struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
	static float y[N * CLASSES];
	int8_t q[LEN * CH], out[CLASSES], want[256];
	struct hn_calib calib;
	struct hd_net opened;
	uint8_t margin;
	int same = 0, right = 0;

	t_quant_train(&whole, &net, 15);
	ck_assert_int_eq(hd_net_check(&opened, image, (uint32_t)t_quant_image(&whole, &cfg, &calib)),
	                 HD_OK);
	ck_assert_uint_le(opened.arena, sizeof work);
	ck_assert_int_eq(hn_predict(&(struct hn_predict){ &net, weights }, x, N, y, &arena), HN_OK);
	for (int i = 0; i < N; i++) {
		int top = 0, got;

		for (int k = 0; k < LEN * CH; k++)
			q[k] = hd_net_scale(&opened, (uint16_t)(k % CH), raw[i * LEN * CH + k]);
		hd_net_run(&opened, q, work, out);
		t_net_reference(image, q, want);
		ck_assert_mem_eq(out, want, CLASSES);
		for (int c = 1; c < CLASSES; c++)
			top = y[i * CLASSES + c] > y[i * CLASSES + top] ? c : top;
		got = hd_argmax(out, CLASSES, &margin);
		same += got == top;
		right += got == label[i];
	}
	ck_assert_int_ge(same, N * 98 / 100);
	ck_assert_int_ge(right, N * 90 / 100);
}
END_TEST

/* --- random nets ----------------------------------------------------------------------------- */

static unsigned pick(struct hn_rng *r, unsigned low, unsigned high)
{
	return low + hn_rng_below(r, high - low + 1);
}

static int layer_text(struct hn_rng *r, char *out, size_t cap)
{
	static const char *const plain[] = { "relu", "relu6", "tanh", "sigmoid", "leaky_relu 0.3",
		"flatten", "globalavgpool" };

	/* one after the other: the order of arguments is the compiler's choice */
	const unsigned kind = pick(r, 0, 10), a = pick(r, 1, 9), b = pick(r, 1, 5), c = pick(r, 1, 3);
	const unsigned d = pick(r, 1, 3), e = pick(r, 0, 5);

	switch (kind) {
	case 0:
	case 1:
		return snprintf(out, cap, "conv1d %ux%u stride %u dilation %u%s, ", a, b, c, d,
		                e % 2 ? " same" : "");
	case 2:
		return snprintf(out, cap, "%s %u stride %u, ", e % 2 ? "maxpool" : "avgpool", b, c);
	case 3:
		return snprintf(out, cap, "%s, ", e ? "relu" : "dense 9");
	case 4:
		return snprintf(out, cap, "dwconv1d %u stride %u dilation %u same, add 1, ", b, e ? 1u : 2u, d);
	case 5:
		return snprintf(out, cap, "separable %ux%u same, relu, add %u, ", a, b, c);
	case 6:
		return snprintf(out, cap, "%s, ", e < 4 ? "relu6, add 1, relu" : "softmax");
	case 7:
		return snprintf(out, cap, "gru %u%s, ", a, e < 4 ? " seq" : "");
	default:
		return snprintf(out, cap, "%s, ", plain[(a + e) % 7]);
	}
}

/* Random text until one parses: kernels longer than their input do not. */
static void random_net(struct hn_rng *r, struct hn_net *net, char text[512])
{
	struct hn_net_io io = { HN_REGRESS, 0, 0, 0 };
	size_t n;

	do {
		io.in_len = (uint16_t)pick(r, 1, 40);
		io.in_ch = (uint16_t)pick(r, 1, 6);
		n = 0;
		for (unsigned k = pick(r, 1, 6); k > 0; k--)
			n += (size_t)layer_text(r, text + n, 512 - n);
		(void)snprintf(text + n, 512 - n, "dense %u", pick(r, 1, 9));
	} while (hn_net_parse(net, text, &io, NULL) != HN_OK || hn_image_need(net) == 0);
}

static void random_numbers(struct hn_rng *r, const struct hn_net *net)
{
	ck_assert_uint_le(net->n_weights, WEIGHTS_MAX);
	ck_assert_uint_le(RANDOM_N * hn_size(net->in), X_MAX);
	hn_net_init(net, hn_rng_u64(r), weights);
	for (uint32_t i = 0; i < net->n_weights; i++)
		weights[i] += (float)(0.05 * hn_rng_normal(r));
	for (unsigned i = 0; i < net->n_layers; i++)     /* states that move over their fixed grid */
		for (uint32_t k = 0; net->layer[i].type->op == HD_OP_GRU && k < net->layer[i].n_w; k++)
			weights[net->layer[i].w_at + k] += (float)hn_rng_normal(r);
	for (size_t i = 0; i < RANDOM_N * hn_size(net->in); i++)
		x[i] = (float)hn_rng_normal(r);
}

static void compare_reference(struct hn_rng *r, uint32_t len, const char *text)
{
	static int8_t in[HD_VALUES_MAX];
	int8_t out[256], want[256];
	struct hd_net opened;

	ck_assert_int_eq(hd_net_check(&opened, image, len), HD_OK);
	ck_assert_uint_le(opened.arena, sizeof work);
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < opened.in_len * opened.in_ch; i++)
			in[i] = (int8_t)hn_rng_u64(r);
		hd_net_run(&opened, in, work, out);
		t_net_reference(image, in, want);
		ck_assert_msg(memcmp(out, want, opened.out_n) == 0, "%s", text);
	}
}

static void check_grids(const struct hn_net *net, const struct hn_calib *c, const char *text)
{
	for (unsigned i = 0; i < net->n_layers; i++) {
		const struct hn_grid a = c->grid[i], b = c->grid[i + 1];

		if (net->layer[i].type->same_grid || hn_quant_fused(net, i))
			ck_assert_msg(a.scale == b.scale && a.zp == b.zp, "%s: layer %u", text, i + 1);
	}
}

/* Wrong padding, stride or order would leave nothing of the signal. */
START_TEST(random_nets_equal_the_formulas_and_keep_the_signal)
{
	static struct hn_net net;
	struct hn_agreement a;
	struct hn_calib calib;
	struct hn_rng r;
	double least = (double)INFINITY;
	unsigned kinds[HD_OP_END] = { 0 };
	char text[512];

	hn_rng_seed(&r, SEED);
	for (int i = 0; i < NETS; i++) {
		random_net(&r, &net, text);
		random_numbers(&r, &net);
		const struct hn_scaler s = t_quant_scaler(net.in.ch);
		const struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
		const uint32_t len = (uint32_t)t_quant_image(&few, &cfg, &calib);

		compare_reference(&r, len, text);
		check_grids(&net, &calib, text);
		for (unsigned k = 0; k < image[22]; k++)
			kinds[t_net_layer(image, k).op]++;
		ck_assert_int_eq(hn_agree(&(struct hn_agree_job){ &cfg, &calib, image, len,
		                 { x, RANDOM_N } }, &arena, &a), HN_OK);
		ck_assert_msg(a.snr_db[a.worst] > 18, "net %d, layer %u: %g dB: (%u, %u) %s", i, a.worst + 1,
		              a.snr_db[a.worst], net.in.len, net.in.ch, text);
		least = fmin(least, a.snr_db[a.worst]);
	}
	printf("quant_conv: %d random nets, least %.1f dB; %u dense, %u conv1d, %u max pool, %u average "
	       "pool, %u lut, %u gru, %u depthwise, %u add, %u softmax; seed %d\n", NETS, least,
	       kinds[HD_OP_DENSE], kinds[HD_OP_CONV1D],
	       kinds[HD_OP_MAX_POOL], kinds[HD_OP_AVG_POOL], kinds[HD_OP_LUT], kinds[HD_OP_GRU],
	       kinds[HD_OP_DWCONV1D], kinds[HD_OP_ADD], kinds[HD_OP_SOFTMAX], SEED);
	for (unsigned op = 1; op < HD_OP_END; op++)
		ck_assert_uint_gt(kinds[op], NETS / 16);
}
END_TEST

/* --- rows and limits ------------------------------------------------------------------------- */

START_TEST(each_row_with_an_int8_form_has_all_of_it)
{
	for (size_t i = 0; hn_layers[i]; i++) {
		const struct hn_layer_type *t = hn_layers[i];

		/* on the device, or gone before it: a short form, folded, left out */
		ck_assert_msg(t->op || t->only_shape || t->part || t->line || t->vanishes, "%s", t->name);
		ck_assert_msg(!t->op == !t->quantise && !t->op == !t->image_bytes, "%s", t->name);
		ck_assert_msg(!t->op || !t->only_shape, "%s", t->name);
		ck_assert_msg(!t->only_shape || t->same_grid, "%s", t->name);
		ck_assert_msg(!t->clamp || t->value, "%s", t->name);
		ck_assert_msg(t->op != HD_OP_LUT || t->value, "%s", t->name);
	}
}
END_TEST

/* The state is not rounded to int8 between frames, so that the error does not add up. */
START_TEST(the_error_of_a_gru_does_not_grow_with_the_frames)
{
	static const uint16_t lens[] = { 4, 16, 64, 300 };
	const struct hn_net_io io = { HN_REGRESS, lens[_i], CH, 16 };
	const struct hn_scaler s = t_quant_scaler(CH);
	struct hn_agreement a;
	struct hn_calib calib;
	struct hn_net net;
	struct hn_rng r;

	ck_assert_int_eq(hn_net_parse(&net, "gru 16", &io, NULL), HN_OK);
	for (int slow = 0; slow < 2; slow++) {
		const struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
		float *bias = weights + 3 * 16 * (CH + 16);

		hn_rng_seed(&r, SEED);
		random_numbers(&r, &net);
		for (int u = 16; slow && u < 32; u++)    /* z, about 0.98 */
			bias[u] += 4;
		for (size_t i = 0; i < RANDOM_N * hn_size(net.in); i++)
			x[i] += 0.5f;
		const uint32_t len = (uint32_t)t_quant_image(&few, &cfg, &calib);

		ck_assert_int_eq(hn_agree(&(struct hn_agree_job){ &cfg, &calib, image, len, { x, RANDOM_N } },
		                 &arena, &a), HN_OK);
		printf("quant_conv: gru 16 over %u frames%s: %.1f dB\n", lens[_i], slow ? ", slow" : "",
		       a.snr_db[0]);
		ck_assert_double_gt(a.snr_db[0], 25);
	}
}
END_TEST

/* The row's usage with 4 for every number: "conv1d 4x4", "gru 4"; options left out. */
static void example(const struct hn_layer_type *t, char *out)
{
	for (const char *u = t->usage; *u && *u != '['; u++) {
		if (!isupper((unsigned char)*u))
			*out++ = *u;
		else if (!isupper((unsigned char)u[1]) && u[1] != '_')
			*out++ = '4';
		u += isupper((unsigned char)*u) && u[1] == '_';
	}
	*out = '\0';
}

START_TEST(each_row_with_an_int8_form_keeps_the_signal)
{
	const struct hn_scaler s = t_quant_scaler(CH);
	struct hn_agreement a;
	struct hn_calib calib;
	struct hn_rng r;
	int n = 0;

	hn_rng_seed(&r, SEED);
	for (size_t i = 0; hn_layers[i]; i++) {
		char text[256], layer[64];

		if (!hn_layers[i]->op)
			continue;
		example(hn_layers[i], layer);
		/* layers of one shape before it, in case it reaches back */
		(void)snprintf(text, sizeof text, "conv1d 4x3 same, conv1d 4x3 same, tanh, conv1d 4x3 same, "
		               "tanh, %s, dense 4", layer);
		const struct hn_net net = parse(text);
		const struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };

		random_numbers(&r, &net);
		const uint32_t len = (uint32_t)t_quant_image(&few, &cfg, &calib);

		compare_reference(&r, len, text);
		ck_assert_int_eq(hn_agree(&(struct hn_agree_job){ &cfg, &calib, image, len, { x, RANDOM_N } },
		                 &arena, &a), HN_OK);
		printf("quant_conv: %-14s %.1f dB\n", layer, a.snr_db[5]);
		ck_assert_msg(a.snr_db[a.worst] > 20, "%s: layer %u: %g dB", text, a.worst + 1,
		              a.snr_db[a.worst]);
		n++;
	}
	ck_assert_int_ge(n, 14);
}
END_TEST

START_TEST(parameters_that_the_image_cannot_hold_are_refused_by_name)
{
	static const struct { const char *text, *layer; } rows[] = {
		{ "dense 8, dense 8, dense 8, add 2, dense 8, add 3, dense 4", "layer 4 'add 2'" },
		{ "dense 8, dense 8, add 1, dense 8, add 3, dense 4", "layer 1 'dense 8'" },
		{ "conv1d 3x3 same, add 1, conv1d 3x3 same, add 3, dense 4", "layer 1 'conv1d 3x3 same'" },
		{ "dense 8, batch_norm, dense 4", "layer 2 'batch_norm'" },
		{ "dense 8, dense 8, dense 8, dense 8, dense 8, dense 8, add 1, add 3, add 5, add 7, add 9, "
		  "dense 4", "layer 5 'dense 8'" },
		{ "dense 8, conv1d 2x256 same, dense 4", "layer 2 'conv1d 2x256 same'" },
		{ "conv1d 2x1 stride 256 same, dense 4", "layer 1 'conv1d 2x1 stride 256 same'" },
		{ "conv1d 2x2 dilation 256 same, dense 4", "layer 1 'conv1d 2x2 dilation 256 same'" },
		{ "conv1d 2x9 dilation 100 same, dense 4", "layer 1 'conv1d 2x9 dilation 100 same'" },
		{ "conv1d 100x1, conv1d 2x200 same, dense 4", "layer 2 'conv1d 2x200 same'" },
	};
	const struct hn_scaler s = t_quant_scaler(CH);
	struct hn_calib calib = { .grid = { { 1, 0 } } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct hn_net net = parse(rows[i].text);
		const struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
		struct hn_err err = { HN_OK, "" };
		size_t len;

		ck_assert_uint_eq(hn_image_need(&net), 0);
		ck_assert_int_eq(hn_image_write(&cfg, &calib, (struct hn_bytes){ image, IMAGE_MAX }, &len,
		                 &err), HN_EINVAL);
		ck_assert_msg(strstr(err.text, rows[i].layer), "%s: %s", rows[i].text, err.text);
	}
}
END_TEST

/* A clamp behind a product or a pool costs nothing; flatten neither. */
START_TEST(fused_layers_do_not_appear_in_the_image)
{
	static const struct { const char *text; uint8_t layers; } rows[] = {
		{ "conv1d 4x3, relu, dense 4", 2 }, { "conv1d 4x3, relu6, flatten, dense 4, relu", 2 },
		{ "conv1d 4x3, tanh, dense 4", 3 }, { "maxpool 2, relu, dense 4", 2 },
		{ "avgpool 2, relu6, relu, dense 4", 3 }, { "flatten, conv1d 4x1, maxpool 1, dense 4", 3 },
	};
	const struct hn_scaler s = t_quant_scaler(CH);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct hn_net net = parse(rows[i].text);
		const struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
		struct hn_calib calib;

		hn_net_init(&net, 3, weights);
		(void)t_quant_image(&whole, &cfg, &calib);
		ck_assert_msg(image[22] == rows[i].layers, "%s: %u", rows[i].text, image[22]);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quant_conv");
	TCase *t = tcase_create("quant_conv");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, trained_conv_nets_agree_with_their_int8_image, 0, N_TEXTS);
	tcase_add_loop_test(t, raw_windows_give_the_same_class_as_float, 0, N_TEXTS);
	tcase_add_test(t, random_nets_equal_the_formulas_and_keep_the_signal);
	tcase_add_test(t, each_row_with_an_int8_form_has_all_of_it);
	tcase_add_loop_test(t, the_error_of_a_gru_does_not_grow_with_the_frames, 0, 4);
	tcase_add_test(t, each_row_with_an_int8_form_keeps_the_signal);
	tcase_add_test(t, parameters_that_the_image_cannot_hold_are_refused_by_name);
	tcase_add_test(t, fused_layers_do_not_appear_in_the_image);
	suite_add_tcase(s, t);
	return t_run(s);
}
