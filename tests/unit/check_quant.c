#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "hd_crc32c.h"
#include "hd_check.h"
#include "hn_layer.h"
#include "hn_quant.h"
#include "hn_run.h"
#include "t_nets.h"
#include "t_quant.h"
#include "t_run.h"

enum { N = 600, DIM = 6, CLASSES = 4, IMAGE_MAX = 1 << 16 };

static float x[N * DIM];
static int32_t raw[N * DIM], label[N];
static float weights[8192];
static _Alignas(8) uint8_t image[IMAGE_MAX], blob[4 * IMAGE_MAX];
static struct hn_arena arena;
static const struct t_quant whole = { &arena, x, label, N, weights, { image, IMAGE_MAX } };

/* Odd nets too: activations first, in a row, and last. */
static const char *const texts[] = {
	"dense 16, relu, dense 4", "dense 32, tanh, dense 8, relu, dense 4", "dense 4",
	"relu, dense 4", "tanh, dense 9, dense 5, tanh, relu, dense 4", "dense 4, relu",
	"dense 3, tanh, relu, tanh, dense 4, tanh", "dense 7, relu, relu, dense 4",
	"dense 12, relu6, dense 8, sigmoid, dense 4", "flatten, dense 9, leaky_relu 0.2, dense 4",
	"leaky_relu, flatten, sigmoid, dense 4", "dense 9, flatten, relu, flatten, dense 4, flatten",
};
enum { N_TEXTS = sizeof texts / sizeof *texts };

/* Clusters in raw counts, and the same numbers scaled. */
static void make_data(void)
{
	const struct hn_scaler s = t_quant_scaler(DIM);

	t_clusters(3, (const uint32_t[]){ N, DIM, CLASSES }, x, label);
	for (int i = 0; i < N * DIM; i++) {
		const int c = i % DIM;

		raw[i] = (int32_t)lrintf(x[i] * s.std[c] + s.mean[c]);
		x[i] = ((float)raw[i] - s.mean[c]) / s.std[c];
	}
}

static void setup(void)
{
	arena = t_arena(4 << 20);
	make_data();
}

static void teardown(void)
{
	t_arena_free(&arena);
}

START_TEST(trained_nets_agree_with_their_int8_image)
{
	const struct hn_net net = t_net(texts[_i], HN_CLASSIFY, DIM, CLASSES);
	const struct hn_scaler s = t_quant_scaler(DIM);
	struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s, .tail = 1e-4 };
	struct hn_agreement a;
	struct hn_calib calib;
	struct hd_net opened;
	size_t len;

	t_quant_train(&whole, &net, 60);
	for (int rule = 0; rule < HN_CALIB_RULES; rule++) {
		cfg.rule = (enum hn_calib_rule)rule;
		cfg.rq_mode = (uint8_t)(rule & 1);
		len = t_quant_image(&whole, &cfg, &calib);
		ck_assert_int_eq(hd_net_check(&opened, image, (uint32_t)len), HD_OK);
		ck_assert_uint_eq(opened.rq_mode, cfg.rq_mode);
		ck_assert_uint_eq(opened.needs & (HD_NEEDS_ONCE | HD_NEEDS_TWICE),
		                  cfg.rq_mode ? HD_NEEDS_ONCE : HD_NEEDS_TWICE);
		ck_assert_int_eq(hn_agree(&(struct hn_agree_job){ &cfg, &calib, image, (uint32_t)len,
		                 { x, N } }, &arena, &a), HN_OK);
		ck_assert_msg(a.same_argmax >= 0.98 * N, "%s: %u of %d", texts[_i], a.same_argmax, N);
		ck_assert_msg(a.snr_db[a.worst] > 20, "%s: layer %u: %g dB", texts[_i], a.worst,
		              a.snr_db[a.worst]);
	}
	ck_assert_uint_eq(arena.used, 0);
}
END_TEST

/* Raw counts through the integer scaler and the image, against float. */
START_TEST(raw_counts_give_the_same_class_as_float)
{
	const struct hn_net net = t_net(texts[1], HN_CLASSIFY, DIM, CLASSES);
	const struct hn_scaler s = t_quant_scaler(DIM);
	const struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
	static float y[N * CLASSES];
	struct hn_calib calib;
	struct hd_net opened;
	uint8_t work[256], margin;
	int8_t q[DIM], out[CLASSES];
	int same = 0;
	size_t len;

	t_quant_train(&whole, &net, 60);
	len = t_quant_image(&whole, &cfg, &calib);
	ck_assert_int_eq(hd_net_check(&opened, image, (uint32_t)len), HD_OK);
	ck_assert_uint_le(opened.arena, sizeof work);
	ck_assert_int_eq(hn_predict(&(struct hn_predict){ &net, weights }, x, N, y, &arena), HN_OK);
	for (int i = 0; i < N; i++) {
		int top = 0;

		for (int c = 0; c < DIM; c++) {
			const double want = (double)x[i * DIM + c] / (double)calib.grid[0].scale +
			                    calib.grid[0].zp;

			q[c] = hd_net_scale(&opened, (uint16_t)c, raw[i * DIM + c]);
			/* Half a step, and half of half a step by the second rounding. */
			ck_assert_double_le(fabs(q[c] - fmax(-128, fmin(127, want))), 0.751);
		}
		hd_net_run(&opened, q, work, out);
		for (int c = 1; c < CLASSES; c++)
			top = y[i * CLASSES + c] > y[i * CLASSES + top] ? c : top;
		same += hd_argmax(out, CLASSES, &margin) == top;
	}
	ck_assert_int_ge(same, N * 98 / 100);
}
END_TEST

START_TEST(images_of_constant_zero_and_huge_weights_open)
{
	static const float value[] = { 0, 1e-30f, 1e30f, -3 };
	const struct hn_scaler s = t_quant_scaler(DIM);
	struct hn_calib calib;
	struct hd_net opened;
	struct hn_err err = { HN_OK, "" };
	size_t len = 0;

	for (size_t t = 0; t < N_TEXTS; t++) {
		const struct hn_net net = t_net(texts[t], HN_CLASSIFY, DIM, CLASSES);
		const struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
		hn_status rc;

		for (size_t i = 0; i < net.n_weights; i++)
			weights[i] = value[_i];
		rc = hn_calibrate(&cfg, (struct hn_samples){ x, N }, &arena, &calib, &err);
		if (value[_i] > 1e29f && rc == HN_ENUMERIC)
			continue;                        /* overflows in float: refused by name */
		ck_assert_int_eq(rc, HN_OK);
		rc = hn_image_write(&cfg, &calib, (struct hn_bytes){ image, IMAGE_MAX }, &len, &err);
		ck_assert_msg(rc == HN_OK, "%s: %s", texts[t], err.text);
		ck_assert_int_eq(hd_net_check(&opened, image, (uint32_t)len), HD_OK);
	}
}
END_TEST

START_TEST(calibration_and_image_refuse_bad_input_by_name)
{
	const struct hn_net net = t_net(texts[0], HN_CLASSIFY, DIM, CLASSES);
	struct hn_scaler s = t_quant_scaler(DIM);
	const struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
	struct hn_calib calib;
	struct hn_err err = { HN_OK, "" };
	size_t len;

	hn_net_init(&net, 1, weights);
	ck_assert_int_eq(hn_calibrate(&cfg, (struct hn_samples){ x, 0 }, &arena, &calib, &err),
	                 HN_EDATA);
	x[17] = NAN;
	err = (struct hn_err){ HN_OK, "" };
	ck_assert_int_eq(hn_calibrate(&cfg, (struct hn_samples){ x, N }, &arena, &calib, &err),
	                 HN_ENUMERIC);
	ck_assert_msg(strstr(err.text, "input"), "%s", err.text);
	make_data();
	weights[net.layer[2].w_at] = INFINITY;
	err = (struct hn_err){ HN_OK, "" };
	ck_assert_int_eq(hn_calibrate(&cfg, (struct hn_samples){ x, N }, &arena, &calib, &err),
	                 HN_ENUMERIC);
	ck_assert_msg(strstr(err.text, "'dense 4'"), "%s", err.text);
	hn_net_init(&net, 1, weights);
	(void)t_quant_image(&whole, &cfg, &calib);
	ck_assert_int_eq(hn_image_write(&cfg, &calib, (struct hn_bytes){ image,
	                 hn_image_need(&net) - 1 }, &len, &err), HN_ENOMEM);
	s.std[1] = 0;
	ck_assert_int_eq(hn_image_write(&cfg, &calib, (struct hn_bytes){ image, IMAGE_MAX }, &len,
	                 &err), HN_ENUMERIC);
	s.n_ch = 1;
	ck_assert_int_eq(hn_image_write(&cfg, &calib, (struct hn_bytes){ image, IMAGE_MAX }, &len,
	                 &err), HN_EINVAL);
	ck_assert_uint_eq(arena.used, 0);
}
END_TEST

START_TEST(multipliers_are_exact_to_31_bits)
{
	static const struct { double m; int32_t mult; int8_t shift; } rows[] = {
		{ 0.5, 1 << 30, 0 }, { 1.0, 1 << 30, 1 }, { 0.75, 1610612736, 0 }, { 0, 0, 0 },
		{ 0.99999999999, 1 << 30, 1 }, { 1e-30, 0, 0 }, { 0.001, 1099511628, -9 },
		{ 1e300, INT32_MAX, 30 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int32_t mult;
		int8_t shift;

		hn_quant_mult(rows[i].m, &mult, &shift);
		ck_assert_int_eq(mult, rows[i].mult);
		ck_assert_int_eq(shift, rows[i].shift);
	}
}
END_TEST

START_TEST(self_test_vectors_are_what_the_image_answers)
{
	const struct hn_net net = t_net(texts[1], HN_CLASSIFY, DIM, CLASSES);
	const struct hn_scaler s = t_quant_scaler(DIM);
	const struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
	enum { K = 8, EACH = DIM + CLASSES };
	uint8_t vec[K * EACH], work[256];
	int8_t out[CLASSES];
	struct hn_calib calib;
	struct hd_net opened;
	size_t len, got = 0;

	hn_net_init(&net, 5, weights);
	len = t_quant_image(&whole, &cfg, &calib);
	ck_assert_int_eq(hn_selftest_make(&(struct hn_selftest_job){ image, (uint32_t)len, raw, K },
	                 &arena, (struct hn_bytes){ vec, sizeof vec }, &got), HN_OK);
	ck_assert_uint_eq(got, sizeof vec);
	ck_assert_int_eq(hd_net_check(&opened, image, (uint32_t)len), HD_OK);
	for (int i = 0; i < K; i++) {
		hd_net_run(&opened, (int8_t *)vec + i * EACH, work, out);
		ck_assert_mem_eq(out, vec + i * EACH + DIM, CLASSES);
	}
	ck_assert_int_eq(hn_selftest_make(&(struct hn_selftest_job){ image, (uint32_t)len, raw, K },
	                 &arena, (struct hn_bytes){ vec, sizeof vec - 1 }, &got), HN_ENOMEM);
	image[0] ^= 1;
	ck_assert_int_eq(hn_selftest_make(&(struct hn_selftest_job){ image, (uint32_t)len, raw, K },
	                 &arena, (struct hn_bytes){ vec, sizeof vec }, &got), HN_EFORMAT);
}
END_TEST

/* A whole model in `blob`; returns its length. */
static size_t make_model(struct hn_model *m)
{
	const struct hn_net net = t_net(texts[0], HN_CLASSIFY, DIM, CLASSES);
	const struct hn_scaler s = t_quant_scaler(DIM);
	const struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
	struct hn_calib c;
	size_t len;

	hn_net_init(&net, 5, weights);
	*m = (struct hn_model){ .task = HN_CLASSIFY, .in_len = 1, .in_ch = DIM, .out_n = CLASSES,
	                        .seed = 0x123456789abcdef0u, .scaler = s, .weights = weights,
	                        .n_weights = net.n_weights, .image = image };
	memcpy(m->net, texts[0], strlen(texts[0]) + 1);
	m->image_len = (uint32_t)t_quant_image(&whole, &cfg, &c);
	hn_calib_keep(&c, &net, m);
	ck_assert_int_eq(hn_model_write(m, blob, sizeof blob, &len), HN_OK);
	ck_assert_uint_eq(len, hn_model_size(m));
	return len;
}

START_TEST(a_model_reads_back_as_written)
{
	struct hn_model m, r;
	struct hn_err err = { HN_OK, "" };
	size_t len = make_model(&m), got;

	ck_assert_msg(hn_model_read(&r, blob, len, &err) == HN_OK, "%s", err.text);
	ck_assert_str_eq(r.net, m.net);
	ck_assert_uint_eq(r.seed, m.seed);
	ck_assert_uint_eq(r.n_weights, m.n_weights);
	ck_assert_mem_eq(r.weights, m.weights, m.n_weights * sizeof(float));
	ck_assert_mem_eq(r.image, m.image, m.image_len);
	ck_assert_mem_eq(&r.scaler, &m.scaler, sizeof r.scaler);
	ck_assert(r.in_scale == m.in_scale && r.out_scale == m.out_scale);
	ck_assert(r.in_zp == m.in_zp && r.out_zp == m.out_zp);
	ck_assert_int_eq(hn_model_write(&m, blob, len - 1, &got), HN_ERANGE);
}
END_TEST

START_TEST(mutated_models_are_refused_or_run_without_harm)
{
	struct hn_model m, r;
	struct hn_rng rng;
	const size_t len = make_model(&m);
	uint8_t *copy = aligned_alloc(8, (len + 7) / 8 * 8), *cut;
	int refused = 0;

	hn_rng_seed(&rng, 11);
	for (size_t n = 0; n < len; n += 7) {
		cut = malloc(n ? n : 1);
		memcpy(cut, blob, n);
		ck_assert_int_ne(hn_model_read(&r, cut, n, NULL), HN_OK);
		free(cut);
	}
	for (int i = 0; i < 20000; i++) {
		const int flips = 1 + (int)hn_rng_below(&rng, 3);

		memcpy(copy, blob, len);
		for (int k = 0; k < flips; k++)
			copy[hn_rng_below(&rng, i & 1 ? 120 : (uint32_t)len)] = (uint8_t)hn_rng_u64(&rng);
		if (i % 4)                               /* a wrong checksum hides the rest */
			hd_put32(copy + 8, hd_crc32c(0, copy + 12, len - 12));
		if (hn_model_read(&r, copy, len, NULL) == HN_OK) {
			struct hd_net net;
			int8_t q[DIM] = { 1, -128, 127, 0, 5, 9 }, out[256];
			uint8_t work[4096];

			ck_assert_int_eq(hd_net_check(&net, r.image, r.image_len), HD_OK);
			if (net.arena <= sizeof work)
				hd_net_run(&net, q, work, out);
		} else {
			refused++;
		}
	}
	ck_assert_int_gt(refused, 10000);
	free(copy);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("quant");
	TCase *t = tcase_create("quant");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, trained_nets_agree_with_their_int8_image, 0, N_TEXTS);
	tcase_add_test(t, raw_counts_give_the_same_class_as_float);
	tcase_add_loop_test(t, images_of_constant_zero_and_huge_weights_open, 0, 4);
	tcase_add_test(t, calibration_and_image_refuse_bad_input_by_name);
	tcase_add_test(t, multipliers_are_exact_to_31_bits);
	tcase_add_test(t, self_test_vectors_are_what_the_image_answers);
	tcase_add_test(t, a_model_reads_back_as_written);
	tcase_add_test(t, mutated_models_are_refused_or_run_without_harm);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return t_run(suite());
}
