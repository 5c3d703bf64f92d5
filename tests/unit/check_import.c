/* check_import.c - nets through .onnx and .tflite and back; files that are cut off or changed. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_check.h"
#include "hn_export.h"
#include "hn_import.h"
#include "hn_layer.h"
#include "hn_rng.h"
#include "hn_run.h"
#include "t_must.h"
#include "t_nets.h"
#include "t_run.h"

enum { SEED = 20261125, N = 24, FILE_MAX = 1 << 20, X_MAX = N * 1024, LEN = 20, CH = 3 };

static float x[X_MAX], y[2][N * 256], weights[1 << 16];
static uint8_t file[FILE_MAX];
static _Alignas(8) uint8_t image[2][FILE_MAX];
static struct hn_arena arena;

/* All layers that both formats have, alone and fused. */
static const char *const texts[] = {
	"dense 4", "dense 16, relu, dense 4", "dense 9, relu6, dense 5, tanh, dense 4",
	"conv1d 6x3, relu, maxpool 2, conv1d 4x3 same, relu6, globalavgpool, dense 4",
	"conv1d 6x5 stride 2 same, leaky_relu 0.2, avgpool 3 stride 2, flatten, dense 4",
	"conv1d 4x3 dilation 3, sigmoid, maxpool 3 stride 2, relu, flatten, dense 7, sigmoid",
	"maxpool 2, conv1d 5x4, tanh, conv1d 5x1, globalavgpool", "avgpool 2, relu, flatten, dense 2",
	"tanh, conv1d 2x2 stride 3, flatten, relu, dense 3",
	"dwconv1d 3 same, relu, conv1d 4x1, dwconv1d 4 stride 2, globalavgpool",
};
enum { N_TEXTS = sizeof texts / sizeof *texts };

/* Layers that one of the formats, or the int8 form, lacks. */
static const struct { const char *text; bool tflite; } more[] = {
	{ "gru 5, dense 3", false }, { "conv1d 4x3, gru 6 seq, gru 3 seq, flatten, dense 2", false },
	{ "conv1d 6x3 same, tanh, conv1d 6x3 same, add 2, avgpool 2, dense 4", true },
	{ "relu, add 1, dense 8, relu, dense 8, add 2, relu, dense 8, add 3", true },
	{ "separable 5x3 same, softmax, globalavgpool, dense 4, softmax", true },
};
enum { N_MORE = sizeof more / sizeof *more };

struct made { struct hn_net net; struct hn_calib calib; struct hn_scaler scaler; size_t len[2]; };

static void setup(void)
{
	arena = t_arena(64 << 20);
}

static void teardown(void)
{
	t_arena_free(&arena);
}

static struct hn_net_io io_of(void)
{
	return (struct hn_net_io){ .task = HN_REGRESS, .in_len = LEN, .in_ch = CH };
}

/* The int8 image of a net; which = 0: the first, 1: the one that came back. */
static void quantise(struct made *m, const float *w, int which)
{
	const struct hn_quant_cfg cfg = { .net = &m->net, .weights = w, .scaler = &m->scaler };
	struct hn_err err = { HN_OK, "" };

	ck_assert_msg(hn_image_write(&cfg, &m->calib, (struct hn_bytes){ image[which], FILE_MAX },
	              &m->len[which], &err) == HN_OK, "%s", err.text);
}

static struct made make(const char *text, bool int8)
{
	const struct hn_net_io io = io_of();
	struct made m = { .scaler = { .n_ch = CH } };
	struct hn_quant_cfg cfg = { .net = &m.net, .weights = weights, .scaler = &m.scaler };
	struct hn_err err = { HN_OK, "" };
	struct hn_rng r;

	hn_rng_seed(&r, SEED);
	ck_assert_msg(hn_net_parse(&m.net, text, &io, &err) == HN_OK, "%s", err.text);
	hn_net_init(&m.net, SEED, weights);
	for (uint32_t i = 0; i < m.net.n_weights; i++)
		weights[i] += (float)(0.05 * hn_rng_normal(&r));
	for (int c = 0; c < CH; c++) {
		m.scaler.mean[c] = (float)(100 * c);
		m.scaler.std[c] = 20.5f + (float)c;
	}
	for (size_t i = 0; i < N * hn_size(m.net.in); i++)
		x[i] = (float)hn_rng_normal(&r);
	if (int8) {
		ck_assert_int_eq(hn_calibrate(&cfg, (struct hn_samples){ x, N }, &arena, &m.calib, &err),
		                 HN_OK);
		quantise(&m, weights, 0);
	}
	return m;
}

static size_t export(const struct made *m, enum hn_format f, bool int8)
{
	struct hn_export e = { .format = f, .net = &m->net, .weights = weights, .scaler = &m->scaler };
	struct hn_err err = { HN_OK, "" };
	size_t need = 0, len = 0;

	if (int8) {
		e.calib = &m->calib;
		e.image = image[0];
		e.image_len = (uint32_t)m->len[0];
	}
	ck_assert_msg(hn_export_write(&e, (struct hn_bytes){ NULL, 0 }, &need, &err) == HN_OK, "%s",
	              err.text);
	ck_assert_uint_le(need, FILE_MAX);
	ck_assert_int_eq(hn_export_write(&e, (struct hn_bytes){ file, need - 1 }, &len, NULL), HN_ENOMEM);
	ck_assert_int_eq(hn_export_write(&e, (struct hn_bytes){ file, need }, &len, &err), HN_OK);
	ck_assert_uint_eq(len, need);
	return len;
}

/* Read `len` bytes at exactly their place: a read outside is seen by the sanitizer. */
static hn_status import(size_t len, const struct hn_net_io *io, struct hn_import *got,
                        struct hn_err *err)
{
	uint8_t *exact = malloc(len + 1);
	hn_status rc;

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, file, len);
	rc = hn_import_read(&(struct hn_import_job){ exact, len, *io, &arena }, got, err);
	free(exact);
	return rc;
}

static void same_outputs(const struct made *m, const struct hn_import *got)
{
	const size_t n = N * m->net.out_n;

	ck_assert_int_eq(hn_predict(&(struct hn_predict){ &m->net, weights }, x, N, y[0], &arena), HN_OK);
	ck_assert_int_eq(hn_predict(&(struct hn_predict){ &got->parsed, got->weights }, x, N, y[1],
	                            &arena), HN_OK);
	for (size_t i = 0; i < n; i++)
		T_MUST(fabsf(y[0][i] - y[1][i]) <= 1e-6f, "%s: output %zu: %g, was %g", got->net, i,
		       (double)y[1][i], (double)y[0][i]);
}

static void round_trip(const struct made *m, enum hn_format f)
{
	const struct hn_net_io io = io_of(), open = { .task = HN_REGRESS };
	const size_t len = export(m, f, false), mark = arena.used;
	struct hn_err err = { HN_OK, "" };
	struct hn_import got;

	ck_assert_msg(import(len, &io, &got, &err) == HN_OK, "%s", err.text);
	same_outputs(m, &got);
	ck_assert_uint_eq(got.parsed.n_weights, m->net.n_weights);
	ck_assert_mem_eq(got.weights, weights, m->net.n_weights * sizeof *weights);
	ck_assert(got.noted && !got.int8);
	for (int c = 0; c < CH; c++) {
		ck_assert(fabsf(got.scaler.mean[c] - m->scaler.mean[c]) < 1e-6f);
		ck_assert(fabsf(got.scaler.std[c] - m->scaler.std[c]) < 1e-6f);
	}
	hn_arena_reset(&arena, mark);
	ck_assert_msg(import(len, &open, &got, &err) == HN_OK, "%s", err.text);
	ck_assert_uint_eq(got.parsed.in.len, LEN);
	hn_arena_reset(&arena, mark);
}

START_TEST(a_float_net_comes_back_as_it_was)
{
	const struct made m = make(texts[_i], true);

	round_trip(&m, HN_FORMAT_ONNX);
	round_trip(&m, HN_FORMAT_TFLITE);
}
END_TEST

START_TEST(a_net_with_branches_or_memory_comes_back_where_the_format_has_it)
{
	const struct made m = make(more[_i].text, false);
	struct hn_export e = { .format = HN_FORMAT_TFLITE, .net = &m.net, .weights = weights };
	struct hn_err err = { HN_OK, "" };
	size_t len;

	round_trip(&m, HN_FORMAT_ONNX);
	if (more[_i].tflite) {
		round_trip(&m, HN_FORMAT_TFLITE);
		return;
	}
	ck_assert_int_eq(hn_export_write(&e, (struct hn_bytes){ NULL, 0 }, &len, &err), HN_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "gru"));
}
END_TEST

START_TEST(an_int8_net_comes_back_to_the_same_outputs)
{
	struct made m = make(texts[_i], true), back;
	const struct hn_net_io io = io_of();

	for (int f = 0; f < 2; f++) {
		const size_t len = export(&m, (enum hn_format)f, true), mark = arena.used;
		struct hn_err err = { HN_OK, "" };
		int8_t in[LEN * CH], out[2][256];
		static _Alignas(4) uint8_t work[2 * HD_VALUES_MAX];
		struct hn_import got;
		struct hd_net net[2];

		ck_assert_msg(import(len, &io, &got, &err) == HN_OK, "%s: %s", texts[_i], err.text);
		ck_assert_msg(got.int8, "%s", got.net);
		back = m;
		back.net = got.parsed;
		back.calib = got.calib;
		quantise(&back, got.weights, 1);
		for (int k = 0; k < 2; k++)
			ck_assert_int_eq(hd_net_check(&net[k], image[k], (uint32_t)(k ? back : m).len[k]), HD_OK);
		for (int j = 0; j < N; j++) {
			for (int i = 0; i < LEN * CH; i++)
				in[i] = (int8_t)(j * 37 + i * 11);
			for (int k = 0; k < 2; k++)
				hd_net_run(&net[k], in, work, out[k]);
			ck_assert_mem_eq(out[0], out[1], m.net.out_n);
		}
		hn_arena_reset(&arena, mark);
	}
}
END_TEST

/* Every prefix is refused or read, and never more than the bytes are touched. */
START_TEST(a_file_that_is_cut_off_is_refused)
{
	const struct made m = make(texts[3], true);
	const struct hn_net_io io = io_of();
	const size_t len = export(&m, (enum hn_format)(_i / 2), _i % 2), mark = arena.used;
	int refused = 0;

	for (size_t n = 0; n < len; n += n < 600 ? 1 : 37) {
		struct hn_err err = { HN_OK, "" };
		struct hn_import got;

		if (import(n, &io, &got, &err) != HN_OK) {
			refused++;
			T_MUST(err.text[0], "%zu bytes: no reason", n);
		}
		hn_arena_reset(&arena, mark);
	}
	ck_assert_int_gt(refused, 300);
}
END_TEST

START_TEST(changed_bytes_do_no_harm)
{
	const struct made m = make(texts[4], true);
	const struct hn_net_io io = io_of();
	const size_t len = export(&m, (enum hn_format)(_i / 2), _i % 2), mark = arena.used;
	struct hn_rng r;

	hn_rng_seed(&r, SEED);
	for (int k = 0; k < 4000; k++) {
		const size_t at = hn_rng_below(&r, (uint32_t)len);
		const uint8_t was = file[at];
		struct hn_err err = { HN_OK, "" };
		struct hn_import got;

		file[at] = (uint8_t)hn_rng_u64(&r);
		if (import(len, &io, &got, &err) == HN_OK)
			T_MUST(got.parsed.n_weights <= HN_NET_WEIGHTS_MAX, "%u", got.parsed.n_weights);
		else
			T_MUST(err.text[0], "byte %zu: no reason", at);
		file[at] = was;
		hn_arena_reset(&arena, mark);
	}
}
END_TEST

START_TEST(a_net_that_does_not_fit_is_refused_with_the_layer)
{
	const struct made m = make(texts[1], true);
	const struct hn_net_io other = { .task = HN_REGRESS, .in_len = LEN, .in_ch = CH + 1 };
	const struct hn_net_io outs = { .task = HN_CLASSIFY, .in_len = LEN, .in_ch = CH, .out_n = 5 };
	struct hn_err err = { HN_OK, "" };
	struct hn_import got;
	size_t len = export(&m, HN_FORMAT_ONNX, false);

	ck_assert_int_eq(import(len, &other, &got, &err), HN_ERANGE);
	ck_assert_ptr_nonnull(strstr(err.text, "input"));
	err = (struct hn_err){ HN_OK, "" };
	ck_assert_int_eq(import(len, &outs, &got, &err), HN_ERANGE);
	ck_assert_ptr_nonnull(strstr(err.text, "dense 4"));
	err = (struct hn_err){ HN_OK, "" };
	memcpy(file, "neither of the two", 18);
	ck_assert_int_eq(import(18, &outs, &got, &err), HN_EFORMAT);
}
END_TEST

START_TEST(an_image_of_another_net_is_not_exported)
{
	const struct made m = make(texts[1], true);
	struct hn_calib other = m.calib;
	struct hn_export e = { .format = (enum hn_format)_i, .net = &m.net, .weights = weights,
		.calib = &other, .image = image[0], .image_len = (uint32_t)m.len[0] };
	struct hn_err err = { HN_OK, "" };
	struct hn_net net = m.net;
	size_t len = 0;

	ck_assert_int_eq(hn_export_write(&e, (struct hn_bytes){ NULL, 0 }, &len, &err), HN_OK);
	net.layer[2].out.ch = 5;
	e.net = &net;
	ck_assert_int_eq(hn_export_write(&e, (struct hn_bytes){ NULL, 0 }, &len, &err), HN_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "layer 3"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("import");
	TCase *t = tcase_create("import");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, a_float_net_comes_back_as_it_was, 0, N_TEXTS);
	tcase_add_loop_test(t, a_net_with_branches_or_memory_comes_back_where_the_format_has_it, 0,
	                    N_MORE);
	tcase_add_loop_test(t, an_int8_net_comes_back_to_the_same_outputs, 0, N_TEXTS);
	tcase_add_loop_test(t, a_file_that_is_cut_off_is_refused, 0, 4);
	tcase_add_loop_test(t, changed_bytes_do_no_harm, 0, 4);
	tcase_add_test(t, a_net_that_does_not_fit_is_refused_with_the_layer);
	tcase_add_loop_test(t, an_image_of_another_net_is_not_exported, 0, 2);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return t_run(suite());
}
