/* Schedules, averaging, what an update may change, micro-batches, and the health of layers. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "hn_rng.h"
#include "hn_train.h"
#include "t_nets.h"

enum { N = 240, SEED = 31, W_MAX = 80000, STEPS_MAX = 4096, EPOCHS_MAX = 64 };

static float x[2 * N * 2];
static int32_t label[2 * N];
static struct hn_net net;
static struct hn_train_cfg cfg;
static struct hn_data data;

struct outcome {
	hn_status rc;
	struct hn_err err;
	struct hn_train_result res;
	size_t need, peak;
	float weights[W_MAX];
	double rate[EPOCHS_MAX], loss[EPOCHS_MAX];       /* by epoch */
};

static bool note(void *ctx, const struct hn_epoch *e)
{
	struct outcome *o = ctx;

	if (e->epoch <= EPOCHS_MAX) {
		o->rate[e->epoch - 1] = e->lr;
		o->loss[e->epoch - 1] = e->valid_loss;
	}
	return true;
}

static void run(struct outcome *o)
{
	struct hn_train_job job = { .cfg = &cfg, .data = &data, .progress = note, .ctx = o };
	struct hn_arena a;

	memset(o, 0, sizeof *o);
	o->rc = hn_train_need(&cfg, &data, &o->need, &o->err);
	if (o->rc)
		return;
	a = t_arena(o->need);
	job.arena = &a;
	o->rc = hn_train_run(&job, &o->res, &o->err);
	o->peak = a.peak;
	if (!o->rc)
		memcpy(o->weights, o->res.weights, net.n_weights * sizeof(float));
	t_arena_free(&a);
}

static void use(const char *text)
{
	net = t_net(text, HN_CLASSIFY, 2, 2);
	ck_assert_uint_le(net.n_weights, W_MAX);
	hn_train_defaults(&cfg, &net);
	cfg.patience = 0;
	cfg.epochs = 6;
	cfg.batch = 24;
	cfg.lr = 0.01f;
}

static void setup(void)
{
	t_points(T_MOONS, SEED, 2 * N, x, label);
	data = (struct hn_data){ { .n = N, .x = x, .label = label },
	                         { .n = N, .x = x + 2 * N, .label = label + N } };
	use("dense 16, relu, dense 8, tanh, dense 2");
}

/* --- schedules -------------------------------------------------------------------------------- */

START_TEST(every_schedule_begins_at_the_rate_and_never_rises_after_warm_up)
{
	static struct outcome o;

	ck_assert_str_ne(hn_schedule_name((enum hn_schedule)_i), "unknown");
	cfg.schedule = (enum hn_schedule)_i;
	cfg.epochs = 20;
	cfg.decay_epochs = 2;
	cfg.min_delta = 0.05f;
	run(&o);
	ck_assert_msg(o.rc == HN_OK, "%s", o.err.text);
	ck_assert_double_eq_tol(o.rate[0], 0.01, 1e-8);
	for (int e = 1; e < 20; e++)
		ck_assert_double_le(o.rate[e], o.rate[e - 1]);
	if (_i == HN_CONSTANT)
		ck_assert_double_eq_tol(o.rate[19], 0.01, 1e-8);
	else
		ck_assert_double_lt(o.rate[19], 0.006);
}
END_TEST

START_TEST(steps_and_plateaus_halve_the_rate_when_they_say)
{
	static struct outcome o;

	cfg.epochs = 9;
	cfg.schedule = HN_STEP;
	cfg.decay_epochs = 3;
	run(&o);
	for (int e = 0; e < 9; e++)
		ck_assert_double_eq_tol(o.rate[e], 0.01 * pow(0.5, e / 3), 1e-8);
	cfg.schedule = HN_PLATEAU;
	cfg.min_delta = 100;                     /* nothing is an improvement but the first epoch */
	run(&o);
	for (int e = 0; e < 9; e++)
		ck_assert_double_eq_tol(o.rate[e], 0.01 * pow(0.5, e / 3), 1e-8);
	cfg.min_delta = 0;
	cfg.lr = 1e-5f;                          /* each epoch is a little better */
	run(&o);
	ck_assert_double_eq_tol(o.rate[8], 1e-5, 1e-10);
}
END_TEST

START_TEST(warm_up_raises_the_rate_by_equal_steps_from_a_small_one)
{
	static struct outcome o;

	cfg.warmup = 40;                         /* ten steps an epoch */
	run(&o);
	for (int e = 0; e < 6; e++)
		ck_assert_double_eq_tol(o.rate[e], 0.01 * fmin((10.0 * (e + 1) + 1) / 40, 1), 1e-8);
}
END_TEST

/* --- averaging -------------------------------------------------------------------------------- */

/* By hand: the average of the weights that a plain run has after 0, 1, 2, ... steps. */
START_TEST(the_average_is_that_of_the_weights_after_every_step)
{
	static struct outcome o;
	static double mean[W_MAX];

	data.train.n = cfg.batch;                /* one step an epoch */
	data.valid.n = 0;
	hn_net_init(&net, cfg.seed, o.weights);
	for (uint32_t i = 0; i < net.n_weights; i++)
		mean[i] = (double)o.weights[i];
	for (uint32_t t = 0; t < 12; t++) {
		const double keep = fmin(0.6, (1.0 + t) / (10.0 + t));

		cfg.epochs = t + 1;
		run(&o);
		for (uint32_t i = 0; i < net.n_weights; i++)
			mean[i] = keep * mean[i] + (1 - keep) * (double)o.weights[i];
	}
	cfg.ema = 0.6f;
	run(&o);
	ck_assert_int_eq(o.rc, HN_OK);
	for (uint32_t i = 0; i < net.n_weights; i++)
		ck_assert_double_eq_tol((double)o.weights[i], mean[i], 1e-5);
}
END_TEST

START_TEST(the_average_is_what_is_evaluated_and_returned)
{
	static struct outcome o;
	struct hn_score s;
	struct hn_arena a = t_arena(1 << 20);

	cfg.ema = 0.95f;
	cfg.epochs = 20;
	run(&o);
	ck_assert_int_eq(o.rc, HN_OK);
	ck_assert_uint_eq(o.need, o.peak);
	ck_assert_int_eq(hn_evaluate(&cfg, o.weights, &data.valid, &a, &s), HN_OK);
	ck_assert_double_eq_tol(s.loss, o.res.valid_loss, 1e-12);
	t_arena_free(&a);
}
END_TEST

/* --- update kinds ----------------------------------------------------------------------------- */

/* Is weight i of layer l a bias? */
static bool is_bias(const struct hn_layer *l, uint32_t i)
{
	return i >= l->w_at + l->n_w - l->out.ch;
}

START_TEST(an_update_changes_what_its_kind_says_and_nothing_else)
{
	static struct outcome o;
	static float start[W_MAX];
	const enum hn_update kind = (enum hn_update)_i;
	unsigned changed = 0;

	hn_net_init(&net, 9, start);
	cfg.start = start;
	cfg.update = kind;
	cfg.last_layers = 2;
	cfg.epochs = 2;
	data.valid.n = 0;
	run(&o);
	ck_assert_msg(o.rc == HN_OK, "%s", o.err.text);
	for (unsigned k = 0; k < net.n_layers; k++) {
		const struct hn_layer *l = &net.layer[k];

		for (uint32_t i = l->w_at; i < l->w_at + l->n_w; i++) {
			const bool may = kind == HN_FULL || (kind == HN_LAST && k >= 2) ||
			                 (kind == HN_BIASES && is_bias(l, i));

			ck_assert_msg(may || memcmp(&o.weights[i], &start[i], sizeof start[i]) == 0,
			              "layer %u, weight %u", k, i);
			changed += o.weights[i] < start[i] || o.weights[i] > start[i];
		}
	}
	ck_assert_uint_gt(changed, 10);
}
END_TEST

START_TEST(an_anchor_holds_the_weights_near_their_start)
{
	static struct outcome loose, held;
	static float start[W_MAX];
	double far[2] = { 0, 0 };

	hn_net_init(&net, 9, start);
	cfg.start = start;
	cfg.epochs = 30;
	data.valid.n = 0;
	run(&loose);
	cfg.anchor = 20;
	run(&held);
	ck_assert_int_eq(held.rc, HN_OK);
	for (uint32_t i = 0; i < net.n_weights; i++) {
		far[0] += pow((double)(loose.weights[i] - start[i]), 2);
		far[1] += pow((double)(held.weights[i] - start[i]), 2);
	}
	ck_assert_double_lt(far[1], 0.1 * far[0]);
}
END_TEST

START_TEST(the_proximal_step_leaves_most_weights_exactly_where_they_were)
{
	static struct outcome o;
	static float start[W_MAX], grid[W_MAX];
	unsigned same[3] = { 0 };

	hn_net_init(&net, 9, start);
	for (uint32_t i = 0; i < net.n_weights; i++)
		grid[i] = i % 5 ? 0.01f : 0;
	cfg.start = start;
	cfg.grid = grid;
	cfg.update = HN_SPARSE;
	data.valid.n = 0;
	cfg.epochs = 10;
	for (int k = 0; k < 3; k++) {
		cfg.sparse = (const float[]){ 0, 3e-3f, 1e4f }[k];
		run(&o);
		ck_assert_msg(o.rc == HN_OK, "%s", o.err.text);
		for (uint32_t i = 0; i < net.n_weights; i++)
			same[k] += memcmp(&o.weights[i], &start[i], sizeof start[i]) == 0;
	}
	ck_assert_uint_lt(same[0], net.n_weights / 4);
	ck_assert_uint_gt(same[1], same[0]);
	ck_assert_uint_gt(same[2], same[1]);
	for (uint32_t i = 0; i < net.n_weights; i++)     /* only what has no grid is free now */
		ck_assert(grid[i] == 0 || memcmp(&o.weights[i], &start[i], sizeof start[i]) == 0);
}
END_TEST

/* --- micro-batches ---------------------------------------------------------------------------- */

START_TEST(micro_batches_give_the_gradient_of_the_batch)
{
	static struct outcome whole, parts;
	static float weight[N];

	for (int i = 0; i < N; i++)
		weight[i] = 0.5f + (float)(i % 7);
	data.train.weight = _i ? weight : NULL;
	cfg.class_weight = _i ? (const float[]){ 1, 3 } : NULL;
	cfg.batch = 60;
	cfg.epochs = 3;
	run(&whole);
	cfg.micro = 16;                          /* 16, 16, 16, 12 */
	run(&parts);
	ck_assert_int_eq(whole.rc | parts.rc, HN_OK);
	ck_assert_uint_eq(parts.need, parts.peak);
	ck_assert_uint_eq(whole.res.steps, parts.res.steps);
	for (uint32_t i = 0; i < net.n_weights; i++)
		ck_assert_double_eq_tol((double)whole.weights[i], (double)parts.weights[i], 2e-4);
	ck_assert_double_eq_tol(whole.loss[2], parts.loss[2], 1e-5);
}
END_TEST

START_TEST(a_budget_shrinks_the_micro_batch_and_below_the_smallest_is_refused)
{
	struct hn_err err = { HN_OK, "" };
	size_t full, least = 0, before = 0;
	struct hn_plan plan;

	use("dense 64, relu, dense 2");
	cfg.batch = 256;
	ck_assert_int_eq(hn_train_need(&cfg, &data, &full, NULL), HN_OK);
	ck_assert_int_eq(hn_train_shrink(&cfg, &data, full, &least, &err), HN_OK);
	ck_assert_uint_eq(cfg.micro, 256);
	ck_assert_int_eq(hn_train_shrink(&cfg, &data, full - 1, &least, &err), HN_OK);
	ck_assert_uint_eq(cfg.micro, 128);
	cfg.micro = 0;
	ck_assert_int_eq(hn_train_shrink(&cfg, &data, 1000, &least, &err), HN_ENOMEM);
	ck_assert_uint_eq(cfg.micro, 0);
	ck_assert_ptr_nonnull(strstr(err.text, "at least"));
	ck_assert_int_eq(hn_train_shrink(&cfg, &data, least, &before, &err), HN_OK);
	ck_assert_int_eq(hn_train_plan(&cfg, &data, &plan, NULL), HN_OK);
	ck_assert_uint_eq(plan.total, least);
	ck_assert_int_eq(hn_train_shrink(&cfg, &data, least - 1, &before, NULL), HN_ENOMEM);
	ck_assert_uint_eq(before, least);
}
END_TEST

/* --- the reference nets W1 to W5 --------------------------------------------------------------- */

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
	static float wide[N * 384];
	static int32_t class[N];
	static struct outcome o;
	struct hn_rng rng;

	ck_assert_int_eq(hn_net_parse(&net, reference[_i].text, &io, NULL), HN_OK);
	hn_train_defaults(&cfg, &net);
	cfg.epochs = 3;
	hn_rng_seed(&rng, SEED);
	for (uint32_t i = 0; i < N; i++) {
		class[i] = (int32_t)(i % (io.task == HN_CLASSIFY ? io.out_n : 4));
		for (size_t k = 0; k < values; k++)
			wide[i * values + k] = (float)hn_rng_normal(&rng) +
			                       (k % 5 == (size_t)class[i] ? 1.5f : 0);
	}
	data = (struct hn_data){ .train = { .n = N, .x = wide, .label = class } };
	run(&o);
	ck_assert_msg(o.rc == HN_OK, "%s", o.err.text);
	ck_assert_uint_eq(o.need, o.peak);
	for (unsigned i = 0; i < net.n_layers; i++) {
		const struct hn_layer_health *h = &o.res.health.layer[i];

		ck_assert_msg(h->ever == 0, "%s: layer %u: %u, gradient %g, ratio %g, dead %u of %u",
		              reference[_i].text, i + 1, h->ever, h->gradient, h->ratio, h->dead, h->units);
	}
}
END_TEST

/* --- health ----------------------------------------------------------------------------------- */

static unsigned ever(const struct outcome *o)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < o->res.health.n_layers; i++)
		bits |= o->res.health.layer[i].ever;
	return bits;
}

static void expect_text(const struct outcome *o, unsigned layer, enum hn_ill ill, const char *word)
{
	char text[200];

	ck_assert_msg(o->res.health.layer[layer].ever & 1u << ill, "layer %u is not %s", layer + 1,
	              hn_ill_name(ill));
	hn_health_text(&net, &o->res.health, layer, ill, text, sizeof text);
	ck_assert_msg(strstr(text, net.layer[layer].text) && strstr(text, word), "%s", text);
}

START_TEST(a_net_that_trains_well_is_healthy)
{
	static struct outcome o;

	use(_i ? "dense 32, tanh, dense 16, relu, dense 2" : "dense 64, relu, dense 32, relu, dense 2");
	cfg.lr = 1e-3f;
	cfg.epochs = 10;
	run(&o);
	ck_assert_int_eq(o.rc, HN_OK);
	ck_assert_uint_eq(ever(&o), 0);
	for (unsigned i = 0; i < net.n_layers; i++) {
		const struct hn_layer_health *h = &o.res.health.layer[i];

		ck_assert((net.layer[i].n_w > 0) == (h->gradient > 0));
		ck_assert((net.layer[i].n_w > 0) == (h->ratio > 0));
		ck_assert_double_lt(h->ratio, 0.05);
	}
}
END_TEST

START_TEST(a_deep_sigmoid_net_is_reported_as_vanishing_at_its_first_layer)
{
	static struct outcome o;

	use("dense 16, sigmoid, dense 16, sigmoid, dense 16, sigmoid, dense 16, sigmoid, dense 16, "
	    "sigmoid, dense 16, sigmoid, dense 16, sigmoid, dense 16, sigmoid, dense 2");
	cfg.lr = 1e-4f;
	run(&o);
	ck_assert_int_eq(o.rc, HN_OK);
	expect_text(&o, 0, HN_VANISHING, "relu instead");
	ck_assert_uint_eq(o.res.health.layer[16].ever & 1u << HN_VANISHING, 0);
}
END_TEST

START_TEST(huge_inputs_are_reported_as_exploding)
{
	static struct outcome o;

	use("dense 16, relu, dense 16, relu, dense 2");
	for (int i = 0; i < 4 * N; i++)
		x[i] *= 1e4f;
	cfg.lr = 1e-6f;
	run(&o);
	ck_assert_int_eq(o.rc, HN_OK);
	expect_text(&o, 0, HN_EXPLODING, "train.clip");
}
END_TEST

START_TEST(units_that_never_answer_are_counted)
{
	static struct outcome o;
	static float start[W_MAX];

	use("dense 8, relu, dense 8, relu6, dense 2");
	hn_net_init(&net, 3, start);
	for (int i = 0; i < 5; i++)
		start[net.layer[0].w_at + 16 + (uint32_t)i] = -100;     /* five dead units of eight */
	cfg.start = start;
	run(&o);
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
	static struct outcome o;

	cfg.lr = 1;
	run(&o);
	ck_assert_int_eq(o.rc, HN_OK);
	expect_text(&o, 0, HN_RESTLESS, "train.rate");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("train_kinds");
	TCase *t = tcase_create("train_kinds");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_loop_test(t, every_schedule_begins_at_the_rate_and_never_rises_after_warm_up, 0,
	                    HN_SCHEDULES);
	tcase_add_test(t, steps_and_plateaus_halve_the_rate_when_they_say);
	tcase_add_test(t, warm_up_raises_the_rate_by_equal_steps_from_a_small_one);
	tcase_add_test(t, the_average_is_that_of_the_weights_after_every_step);
	tcase_add_test(t, the_average_is_what_is_evaluated_and_returned);
	tcase_add_loop_test(t, an_update_changes_what_its_kind_says_and_nothing_else, HN_FULL,
	                    HN_SPARSE);
	tcase_add_test(t, an_anchor_holds_the_weights_near_their_start);
	tcase_add_test(t, the_proximal_step_leaves_most_weights_exactly_where_they_were);
	tcase_add_loop_test(t, micro_batches_give_the_gradient_of_the_batch, 0, 2);
	tcase_add_test(t, a_budget_shrinks_the_micro_batch_and_below_the_smallest_is_refused);
	tcase_add_loop_test(t, reference_nets_use_their_plan_to_the_byte_and_are_healthy, 0,
	                    (int)(sizeof reference / sizeof *reference));
	tcase_add_loop_test(t, a_net_that_trains_well_is_healthy, 0, 2);
	tcase_add_test(t, a_deep_sigmoid_net_is_reported_as_vanishing_at_its_first_layer);
	tcase_add_test(t, huge_inputs_are_reported_as_exploding);
	tcase_add_test(t, units_that_never_answer_are_counted);
	tcase_add_test(t, a_rate_that_is_far_too_high_is_reported_as_restless);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
