/* How well a net trains, layer by layer: what is found, and what is said about it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "hn_rng.h"
#include "t_fit.h"
#include "t_run.h"

/* --- the reference nets W1 to W5 -------------------------------------------------------------- */

static const struct {
	const char *text;
	enum hn_task task;
	uint16_t len, ch, out;
} reference[] = {
	{ "dense 32, relu, dense 16, relu, dense 4", HN_CLASSIFY, 1, 16, 4 },
	{ "dense 128, relu, dense 64, relu, dense 10", HN_CLASSIFY, 1, 64, 10 },
	{ "dense 64, relu, dense 16, tanh, dense 64, relu, dense 128", HN_AUTOENCODE, 1, 128, 128 },
	{ "conv1d 16x5 same, relu, maxpool 2, conv1d 32x5 same, relu, maxpool 2, flatten, dense 64, relu, "
	  "dense 6", HN_CLASSIFY, 128, 3, 6 },
	{ "gru 32, dense 6", HN_CLASSIFY, 64, 6, 6 },
};

START_TEST(reference_nets_use_their_plan_to_the_byte_and_are_healthy)
{
	const struct hn_net_io io = { reference[_i].task, reference[_i].len, reference[_i].ch,
	                              reference[_i].out };
	const size_t values = (size_t)reference[_i].len * reference[_i].ch;
	static float wide[T_FIT_N * 384];
	static int32_t class[T_FIT_N];
	static struct t_outcome o;
	struct hn_rng rng;

	ck_assert_int_eq(hn_net_parse(&t_fit.net, reference[_i].text, &io, NULL), HN_OK);
	hn_train_defaults(&t_fit.cfg, &t_fit.net);
	t_fit.cfg.epochs = 3;
	hn_rng_seed(&rng, T_FIT_SEED);
	for (uint32_t i = 0; i < T_FIT_N; i++) {
		class[i] = (int32_t)(i % (io.task == HN_CLASSIFY ? io.out_n : 4));
		for (size_t k = 0; k < values; k++)
			wide[i * values + k] = (float)hn_rng_normal(&rng) +
			                       (k % 5 == (size_t)class[i] ? 1.5f : 0);
	}
	t_fit.data = (struct hn_data){ .train = { .n = T_FIT_N, .x = wide, .label = class } };
	t_fit_run(&o);
	ck_assert_msg(o.rc == HN_OK, "%s", o.err.text);
	ck_assert_uint_eq(o.need, o.peak);
	for (unsigned i = 0; i < t_fit.net.n_layers; i++) {
		const struct hn_layer_health *h = &o.res.health.layer[i];

		ck_assert_msg(h->ever == 0, "%s: layer %u: %u, gradient %g, ratio %g, dead %u of %u",
		              reference[_i].text, i + 1, h->ever, h->gradient, h->ratio, h->dead, h->units);
	}
}
END_TEST

/* --- health ----------------------------------------------------------------------------------- */

static unsigned ever(const struct t_outcome *o)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < o->res.health.n_layers; i++)
		bits |= o->res.health.layer[i].ever;
	return bits;
}

static void expect_text(const struct t_outcome *o, unsigned layer, enum hn_ill ill,
                        const char *word)
{
	char text[200];

	ck_assert_msg(o->res.health.layer[layer].ever & 1u << ill, "layer %u is not %s", layer + 1,
	              hn_ill_name(ill));
	hn_health_text(&t_fit.net, &o->res.health, layer, ill, text, sizeof text);
	ck_assert_msg(strstr(text, t_fit.net.layer[layer].text) && strstr(text, word), "%s", text);
}

START_TEST(a_net_that_trains_well_is_healthy)
{
	static struct t_outcome o;

	t_fit_use(_i ? "dense 32, tanh, dense 16, relu, dense 2"
	             : "dense 64, relu, dense 32, relu, dense 2");
	t_fit.cfg.lr = 1e-3f;
	t_fit.cfg.epochs = 10;
	t_fit_run(&o);
	ck_assert_int_eq(o.rc, HN_OK);
	ck_assert_uint_eq(ever(&o), 0);
	for (unsigned i = 0; i < t_fit.net.n_layers; i++) {
		const struct hn_layer_health *h = &o.res.health.layer[i];

		ck_assert((t_fit.net.layer[i].n_w > 0) == (h->gradient > 0));
		ck_assert((t_fit.net.layer[i].n_w > 0) == (h->ratio > 0));
		ck_assert_double_lt(h->ratio, 0.05);
	}
}
END_TEST

START_TEST(a_deep_sigmoid_net_is_reported_as_vanishing_at_its_first_layer)
{
	static struct t_outcome o;

	t_fit_use("dense 16, sigmoid, dense 16, sigmoid, dense 16, sigmoid, dense 16, sigmoid, dense 16, "
	    "sigmoid, dense 16, sigmoid, dense 16, sigmoid, dense 16, sigmoid, dense 2");
	t_fit.cfg.lr = 1e-4f;
	t_fit_run(&o);
	ck_assert_int_eq(o.rc, HN_OK);
	expect_text(&o, 0, HN_VANISHING, "relu instead");
	ck_assert_uint_eq(o.res.health.layer[16].ever & 1u << HN_VANISHING, 0);
}
END_TEST

START_TEST(layers_behind_a_short_form_are_named_by_the_number_of_their_item)
{
	static struct t_outcome o;
	static float start[T_FIT_WEIGHTS];
	char text[200];

	t_fit_use("separable 8x1, relu, dense 2");
	hn_net_init(&t_fit.net, 3, start);
	for (uint32_t i = 1; i <= 8; i++)
		start[t_fit.net.layer[1].w_at + t_fit.net.layer[1].n_w - i] = -100;
	t_fit.cfg.start = start;
	t_fit_run(&o);
	ck_assert_int_eq(o.rc, HN_OK);
	ck_assert_uint_eq(t_fit.net.n_layers, 4);
	hn_health_text(&t_fit.net, &o.res.health, 2, HN_DEAD, text, sizeof text);
	ck_assert_msg(strncmp(text, "layer 2 'relu': 8 of 8", 22) == 0, "%s", text);
	t_fit.cfg.start = NULL;
	t_fit.cfg.optim = hn_optim_find("sgd");
	t_fit.cfg.lr = 1e30f;
	t_fit_run(&o);
	ck_assert_int_eq(o.rc, HN_ENUMERIC);
	ck_assert_msg(strncmp(o.err.text, "layer 1 'separable 8x1': ", 25) == 0 ||
	              strncmp(o.err.text, "layer 3 'dense 2': ", 19) == 0, "%s", o.err.text);
}
END_TEST

START_TEST(huge_inputs_are_reported_as_exploding)
{
	static struct t_outcome o;

	t_fit_use("dense 16, relu, dense 16, relu, dense 2");
	for (int i = 0; i < 4 * T_FIT_N; i++)
		t_fit.x[i] *= 1e4f;
	t_fit.cfg.lr = 1e-6f;
	t_fit_run(&o);
	ck_assert_int_eq(o.rc, HN_OK);
	expect_text(&o, 0, HN_EXPLODING, "train.clip");
}
END_TEST

START_TEST(units_that_never_answer_are_counted)
{
	static struct t_outcome o;
	static float start[T_FIT_WEIGHTS];

	t_fit_use("dense 8, relu, dense 8, relu6, dense 2");
	hn_net_init(&t_fit.net, 3, start);
	for (int i = 0; i < 5; i++)
		start[t_fit.net.layer[0].w_at + 16 + (uint32_t)i] = -100;     /* five dead units of eight */
	t_fit.cfg.start = start;
	t_fit_run(&o);
	ck_assert_int_eq(o.rc, HN_OK);
	ck_assert_uint_eq(o.res.health.layer[1].units, 8);
	ck_assert_uint_ge(o.res.health.layer[1].dead, 5);
	expect_text(&o, 1, HN_DEAD, "leaky_relu");
	ck_assert_uint_eq(o.res.health.layer[0].units, 0);
	ck_assert_uint_lt(o.res.health.layer[3].dead, 4);
}
END_TEST

START_TEST(a_rate_that_is_far_too_high_is_reported_as_restless)
{
	static struct t_outcome o;

	t_fit.cfg.lr = 1;
	t_fit_run(&o);
	ck_assert_int_eq(o.rc, HN_OK);
	expect_text(&o, 0, HN_RESTLESS, "train.rate");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("train_health");
	TCase *t = tcase_create("train_health");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, t_fit_make, NULL);
	tcase_add_loop_test(t, reference_nets_use_their_plan_to_the_byte_and_are_healthy, 0,
	                    (int)(sizeof reference / sizeof *reference));
	tcase_add_loop_test(t, a_net_that_trains_well_is_healthy, 0, 2);
	tcase_add_test(t, a_deep_sigmoid_net_is_reported_as_vanishing_at_its_first_layer);
	tcase_add_test(t, layers_behind_a_short_form_are_named_by_the_number_of_their_item);
	tcase_add_test(t, huge_inputs_are_reported_as_exploding);
	tcase_add_test(t, units_that_never_answer_are_counted);
	tcase_add_test(t, a_rate_that_is_far_too_high_is_reported_as_restless);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return t_run(suite());
}
