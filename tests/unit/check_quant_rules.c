/* check_quant_rules.c - which grid suits a net, which layer hurts, and runs that round. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "hd_check.h"
#include "hn_quant.h"
#include "hn_run.h"
#include "t_nets.h"
#include "t_quant.h"
#include "t_run.h"

enum { N = 600, DIM = 6, CLASSES = 4, IMAGE_MAX = 1 << 16 };

static float x[N * DIM];
static int32_t label[N];
static float weights[8192];
static _Alignas(8) uint8_t image[IMAGE_MAX];
static struct hn_arena arena;
static const struct t_quant whole = { &arena, x, label, N, weights, { image, IMAGE_MAX } };

static const char *const texts[] = {
	"dense 16, relu, dense 4", "dense 32, tanh, dense 8, relu, dense 4", "relu, dense 4",
	"dense 12, relu6, dense 8, sigmoid, dense 4", "dense 9, flatten, relu, leaky_relu, dense 4",
};
enum { N_TEXTS = sizeof texts / sizeof *texts };

static void setup(void)
{
	arena = t_arena(4 << 20);
	t_clusters(3, (const uint32_t[]){ N, DIM, CLASSES }, x, label);
}

static void teardown(void)
{
	t_arena_free(&arena);
}

/* One value in a thousand is large.  A grid over all of it, or over a part: what is the error? */
START_TEST(the_mse_rule_has_the_least_error_of_all_rules)
{
	const struct hn_net net = t_net("dense 4", HN_CLASSIFY, DIM, CLASSES);
	struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .tail = 1e-3 };
	double error[HN_CALIB_RULES] = { 0 };
	struct hn_calib calib;

	hn_net_init(&net, 1, weights);
	for (int i = 0; i < N * DIM; i += 997)
		x[i] *= (float)(3 * (_i + 1));
	for (int rule = 0; rule < HN_CALIB_RULES; rule++) {
		cfg.rule = (enum hn_calib_rule)rule;
		ck_assert_int_eq(hn_calibrate(&cfg, (struct hn_samples){ x, N }, &arena, &calib, NULL),
		                 HN_OK);
		for (int i = 0; i < N * DIM; i++) {
			const struct hn_grid g = calib.grid[0];
			const double q = fmax(-128, fmin(127, round((double)x[i] / (double)g.scale) + g.zp));
			const double e = (double)x[i] - (double)g.scale * (q - g.zp);

			error[rule] += e * e;
		}
	}
	ck_assert_double_le(error[HN_CALIB_MSE], 1.05 * error[HN_CALIB_MINMAX]);
	ck_assert_double_le(error[HN_CALIB_MSE], 1.05 * error[HN_CALIB_PERCENTILE]);
}
END_TEST

/* Three rules, one answer: no other image agrees better. */
START_TEST(the_best_of_all_rules_is_chosen)
{
	const struct hn_net net = t_net(texts[1], HN_CLASSIFY, DIM, CLASSES);
	const struct hn_scaler s = t_quant_scaler(DIM);
	struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s, .tail = 1e-3 };
	const struct hn_samples all = { x, N };
	struct hn_agreement a;
	struct hn_choice c;
	struct hn_calib calib;
	struct hn_arena dry;

	for (int i = 0; i < N * DIM; i += 997)
		x[i] *= 30;
	t_quant_train(&whole, &net, 60);
	hn_arena_init(&dry, NULL, 0);
	ck_assert_int_eq(hn_calib_choose(&cfg, all, &dry, &c, NULL), HN_OK);
	ck_assert_int_eq(hn_calib_choose(&cfg, all, &arena, &c, NULL), HN_OK);
	ck_assert_uint_le(c.agreement.n, N);
	for (int rule = 0; rule < HN_CALIB_RULES; rule++) {
		cfg.rule = (enum hn_calib_rule)rule;
		const uint32_t len = (uint32_t)t_quant_image(&whole, &cfg, &calib);

		ck_assert_int_eq(hn_agree(&(struct hn_agree_job){ &cfg, &calib, image, len, all }, &arena,
		                 &a), HN_OK);
		ck_assert_uint_le(a.same_argmax, c.agreement.same_argmax);
		if (rule == (int)c.rule)
			ck_assert(a.out_mse == c.agreement.out_mse);
	}
	ck_assert_uint_eq(arena.used, 0);
	arena.peak = 0;
	ck_assert_int_eq(hn_calib_choose(&cfg, all, &arena, &c, NULL), HN_OK);
	ck_assert_uint_eq(arena.peak, dry.peak); /* what a plan would count */
}
END_TEST

/* One layer's grid is made a hundred times too wide: that one is named. */
START_TEST(the_layer_that_hurts_most_is_named)
{
	const struct hn_net net = t_net("dense 12, tanh, dense 9, relu, dense 7, dense 4", HN_CLASSIFY,
	                                DIM, CLASSES);
	static const unsigned place[] = { 0, 1, 3, 5, 6 };       /* input; dense ...; 3 with relu */
	const struct hn_quant_cfg cfg = { .net = &net, .weights = weights };
	const struct hn_samples all = { x, N };
	struct hn_calib calib;
	struct hn_hurts h;

	hn_net_init(&net, 7, weights);
	ck_assert_int_eq(hn_calibrate(&cfg, all, &arena, &calib, NULL), HN_OK);
	for (size_t k = 0; k < sizeof place / sizeof *place; k++) {
		struct hn_calib worse = calib;

		worse.grid[place[k]].scale *= 20;
		if (place[k] == 3)               /* the relu has the grid of its product */
			worse.grid[4].scale *= 20;
		ck_assert_int_eq(hn_quant_hurts(&cfg, &worse, all, &arena, &h), HN_OK);
		ck_assert_msg(h.most == place[k], "place %u: %u", place[k], h.most);
		ck_assert(isnan(h.snr_db[4]) && isfinite(h.snr_db[2]));
	}
	ck_assert_int_eq(hn_quant_hurts(&cfg, &calib, (struct hn_samples){ x, 0 }, &arena, &h), HN_EDATA);
	ck_assert_uint_eq(arena.used, 0);
}
END_TEST

/* The float net that rounds and the image differ by what the device rounds twice. */
START_TEST(a_run_that_rounds_gives_what_the_image_gives)
{
	const struct hn_net net = t_net(texts[_i], HN_CLASSIFY, DIM, CLASSES);
	const struct hn_scaler s = t_quant_scaler(DIM);
	const struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &s };
	const struct hn_grid *in, *out;
	struct hn_calib calib;
	struct hn_fake fake;
	struct hd_net opened;
	struct hn_run run;
	uint8_t work[1024];
	size_t n = 0, steps = 0;

	t_quant_train(&whole, &net, 60);
	ck_assert_int_eq(hd_net_check(&opened, image, (uint32_t)t_quant_image(&whole, &cfg, &calib)),
	                 HD_OK);
	ck_assert_int_eq(hn_fake_init(&fake, &cfg, &calib), HN_OK);
	ck_assert_int_eq(hn_run_init(&run, &net, 64, HN_RUN_FAKE, &arena), HN_OK);
	run.fake = &fake;
	in = &calib.grid[0];
	out = &calib.grid[net.n_layers];
	hn_run_load(&run, x, NULL, 64);
	hn_run_forward(&run, weights);
	for (uint32_t j = 0; j < 64; j++) {
		int8_t q[DIM], y[CLASSES];

		for (int k = 0; k < DIM; k++)
			q[k] = (int8_t)fmaxf(-128, fminf(127, rintf(x[j * DIM + (uint32_t)k] / in->scale) +
			                     (float)in->zp));
		hd_net_run(&opened, q, work, y);
		for (size_t c = 0; c < CLASSES; c++, n++)
			steps += (size_t)lroundf(fabsf(hn_run_out(&run)[c * run.lanes + j] / out->scale -
			                               (float)(y[c] - out->zp)));
	}
	hn_arena_reset(&arena, 0);
	ck_assert_msg(steps <= n / 4, "%s: %zu steps in %zu outputs", texts[_i], steps, n);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quant_rules");
	TCase *t = tcase_create("quant_rules");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, the_mse_rule_has_the_least_error_of_all_rules, 0, 8);
	tcase_add_test(t, the_best_of_all_rules_is_chosen);
	tcase_add_test(t, the_layer_that_hurts_most_is_named);
	tcase_add_loop_test(t, a_run_that_rounds_gives_what_the_image_gives, 0, N_TEXTS);
	suite_add_tcase(s, t);
	return t_run(s);
}
