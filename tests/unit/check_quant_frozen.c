/* check_quant_frozen.c - new weights on the grid of an existing image. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_check.h"
#include "hn_layer.h"
#include "hn_quant.h"
#include "t_hd_net.h"
#include "t_nets.h"
#include "t_run.h"

enum { SEED = 20261125, N = 64, LEN = 16, CH = 4, IMAGE_MAX = 1 << 16, WEIGHTS_MAX = 1 << 14 };

static float x[N * LEN * CH], weights[WEIGHTS_MAX], moved[WEIGHTS_MAX], step[WEIGHTS_MAX];
static _Alignas(8) uint8_t old[IMAGE_MAX], image[IMAGE_MAX], blob[4 * IMAGE_MAX];
static struct hn_arena arena;
static struct hn_rng rng;

static const char *const texts[] = {
	"dense 16, relu, dense 4", "conv1d 8x5 same, relu, maxpool 2, flatten, dense 12, tanh, dense 4",
	"conv1d 6x3 stride 2, leaky_relu, globalavgpool, dense 4, sigmoid",
	"gru 6 seq, gru 5, dense 4",
};
enum { N_TEXTS = sizeof texts / sizeof *texts };

static struct hn_net parse(const char *text)
{
	const struct hn_net net = t_net_of(text, (struct hn_net_io){ HN_CLASSIFY, LEN, CH, 4 });

	ck_assert_uint_le(net.n_weights, WEIGHTS_MAX);
	return net;
}

static struct hn_scaler scaler(void)
{
	struct hn_scaler s = { .n_ch = CH };

	for (int c = 0; c < CH; c++)
		s.std[c] = 100;
	return s;
}

static void setup(void)
{
	arena = t_arena(8 << 20);
	hn_rng_seed(&rng, SEED);
	for (int i = 0; i < N * LEN * CH; i++)
		x[i] = (float)hn_rng_normal(&rng);
}

static void teardown(void)
{
	t_arena_free(&arena);
}

static size_t write_image(const struct hn_quant_cfg *cfg, const struct hn_calib *calib,
                          uint8_t *out)
{
	struct hn_err err = { HN_OK, "" };
	size_t len = 0;

	ck_assert_msg(hn_image_write(cfg, calib, (struct hn_bytes){ out, IMAGE_MAX }, &len, &err)
	              == HN_OK, "%s", err.text);
	return len;
}

/* Fresh weights, their grids and their image in `old`. */
static size_t make_old(const struct hn_quant_cfg *cfg, struct hn_calib *calib)
{
	hn_net_init(cfg->net, SEED, weights);
	for (uint32_t i = 0; i < cfg->net->n_weights; i++)
		weights[i] += (float)(0.02 * hn_rng_normal(&rng));
	ck_assert_int_eq(hn_calibrate(cfg, (struct hn_samples){ x, N }, &arena, calib, NULL), HN_OK);
	return write_image(cfg, calib, old);
}

static size_t differing(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		k += a[i] != b[i];
	return k;
}

/* One weight in eight moves by two steps of its grid, the rest by less than half a step. */
static size_t move_weights(const struct hn_net *net)
{
	size_t n = 0;

	for (uint32_t i = 0; i < net->n_weights; i++) {
		const float q = step[i] > 0 ? roundf(weights[i] / step[i]) : 0;

		moved[i] = weights[i];
		if (!(step[i] > 0))
			continue;
		moved[i] = step[i] * (q + 0.4f * (float)(2 * hn_rng_unit(&rng) - 1));
		if (hn_rng_below(&rng, 8) == 0 && fabsf(q) < 120) {
			moved[i] += 2 * step[i];
			n++;
		}
	}
	return n;
}

START_TEST(only_weights_that_moved_by_a_step_change_the_image)
{
	const struct hn_net net = parse(texts[_i]);
	const struct hn_scaler s = scaler();
	struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
	struct hn_calib calib;
	const size_t len = make_old(&cfg, &calib);
	size_t n, fresh;

	cfg.frozen = old;
	cfg.frozen_len = (uint32_t)len;
	ck_assert_uint_eq(write_image(&cfg, &calib, image), len);
	ck_assert_mem_eq(image, old, len);       /* the same weights: the same image */
	ck_assert_int_eq(hn_quant_steps(&cfg, &calib, step), HN_OK);
	ck_assert_uint_eq(hn_quant_clipped(&net, weights, step), 0);
	n = move_weights(&net);
	cfg.weights = moved;
	ck_assert_uint_eq(write_image(&cfg, &calib, image), len);
	ck_assert_uint_eq(differing(old, image, len), n);
	cfg.frozen = NULL;
	(void)write_image(&cfg, &calib, image);
	fresh = differing(old, image, len);
	printf("quant_frozen: %zu of %zu bytes change on the old grid, %zu on one of their own: %s\n", n,
	       len, fresh, texts[_i]);
	ck_assert_uint_gt(fresh, n);
}
END_TEST

START_TEST(weights_that_outgrow_the_grid_are_counted_and_held)
{
	const struct hn_net net = parse(texts[0]);
	const struct hn_scaler s = scaler();
	struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
	struct hn_calib calib;
	const size_t len = make_old(&cfg, &calib);
	const uint32_t at = net.layer[0].w_at + 3;
	struct hd_net opened;
	const uint8_t *w;
	size_t out;

	cfg.frozen = old;
	cfg.frozen_len = (uint32_t)len;
	ck_assert_int_eq(hn_quant_steps(&cfg, &calib, step), HN_OK);
	weights[at] = -300 * step[at];
	ck_assert_uint_eq(hn_quant_clipped(&net, weights, step), 1);
	(void)write_image(&cfg, &calib, image);
	ck_assert_int_eq(hd_net_check(&opened, image, (uint32_t)len), HD_OK);
	w = opened.image + hd_net_layer(&opened, 0)->constants + 4 + 9 * 16;
	ck_assert_int_eq((int8_t)w[3], -127);
	weights[net.layer[0].w_at + net.layer[0].n_w - 1] = 1e9f;        /* a bias beyond 32 bits */
	ck_assert_int_eq(hn_image_write(&cfg, &calib, (struct hn_bytes){ image, IMAGE_MAX }, &out, NULL),
	                 HN_ENUMERIC);
}
END_TEST

START_TEST(the_image_of_another_net_is_refused)
{
	const struct hn_net net = parse(texts[0]), other = parse(texts[1]);
	const struct hn_net like = parse("dense 16, relu6, dense 4");    /* the same shapes: taken */
	const struct hn_scaler s = scaler();
	struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
	struct hn_calib calib;
	struct hn_err err = { HN_OK, "" };
	size_t len = make_old(&cfg, &calib);

	cfg.frozen = old;
	cfg.frozen_len = (uint32_t)len;
	cfg.net = &other;
	ck_assert_int_eq(hn_image_write(&cfg, &calib, (struct hn_bytes){ image, IMAGE_MAX }, &len, &err),
	                 HN_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "another net"));
	ck_assert_int_eq(hn_quant_steps(&cfg, &calib, step), HN_EINVAL);
	cfg.net = &like;
	(void)write_image(&cfg, &calib, image);
	cfg.net = &net;
	old[0] ^= 1;
	ck_assert_int_eq(hn_image_write(&cfg, &calib, (struct hn_bytes){ image, IMAGE_MAX }, &len, NULL),
	                 HN_EINVAL);
}
END_TEST

/* From the registry's blob to the same image again, bit for bit. */
START_TEST(a_version_keeps_the_grids_it_was_made_with)
{
	const struct hn_net net = parse(texts[_i]);
	const struct hn_scaler s = scaler();
	struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
	struct hn_model m = { .task = HN_CLASSIFY, .in_len = LEN, .in_ch = CH, .out_n = 4, .scaler = s,
	                      .weights = weights, .n_weights = net.n_weights, .image = old }, r;
	struct hn_err err = { HN_OK, "" };
	struct hn_calib calib, back;
	size_t len, blob_len;

	m.image_len = (uint32_t)make_old(&cfg, &calib);
	memcpy(m.net, texts[_i], strlen(texts[_i]) + 1);
	hn_calib_keep(&calib, &net, &m);
	ck_assert_int_eq(hn_model_write(&m, blob, sizeof blob, &blob_len), HN_OK);
	ck_assert_uint_eq(blob_len, hn_model_size(&m));
	ck_assert_msg(hn_model_read(&r, blob, blob_len, &err) == HN_OK, "%s", err.text);
	ck_assert_int_eq(hn_calib_of(&r, &net, &back), HN_OK);
	for (unsigned i = 0; i <= net.n_layers; i++)
		ck_assert(back.grid[i].scale == calib.grid[i].scale && back.grid[i].zp == calib.grid[i].zp);
	cfg.frozen = r.image;
	cfg.frozen_len = r.image_len;
	cfg.weights = r.weights;
	len = write_image(&cfg, &back, image);
	ck_assert_uint_eq(len, m.image_len);
	ck_assert_mem_eq(image, old, len);
	m.n_grids = 0;                           /* as versions were before */
	ck_assert_int_eq(hn_model_write(&m, blob, sizeof blob, &blob_len), HN_OK);
	ck_assert_msg(hn_model_read(&r, blob, blob_len, &err) == HN_OK, "%s", err.text);
	ck_assert_int_eq(hn_calib_of(&r, &net, &back), HN_ENOENT);
	m.n_grids = net.n_layers;                /* not of this net */
	ck_assert_int_eq(hn_model_write(&m, blob, sizeof blob, &blob_len), HN_OK);
	ck_assert_int_eq(hn_model_read(&r, blob, blob_len, &err), HN_EFORMAT);
	m.n_grids = (uint8_t)(net.n_layers + 1);
	m.grid_scale[1] = 0;
	ck_assert_int_eq(hn_model_write(&m, blob, sizeof blob, &blob_len), HN_OK);
	ck_assert_int_eq(hn_model_read(&r, blob, blob_len, &err), HN_ENUMERIC);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quant_frozen");
	TCase *t = tcase_create("quant_frozen");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, only_weights_that_moved_by_a_step_change_the_image, 0, N_TEXTS);
	tcase_add_test(t, weights_that_outgrow_the_grid_are_counted_and_held);
	tcase_add_test(t, the_image_of_another_net_is_refused);
	tcase_add_loop_test(t, a_version_keeps_the_grids_it_was_made_with, 0, N_TEXTS);
	suite_add_tcase(s, t);
	return t_run(s);
}
