/* Schedules, averaging, what an update may change, micro-batches. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "t_fit.h"
#include "t_nets.h"
#include "t_run.h"

/* --- schedules -------------------------------------------------------------------------------- */

START_TEST(every_schedule_begins_at_the_rate_and_never_rises_after_warm_up)
{
	static struct t_outcome o;

	ck_assert_str_ne(hn_schedule_name((enum hn_schedule)_i), "unknown");
	t_fit.cfg.schedule = (enum hn_schedule)_i;
	t_fit.cfg.epochs = 20;
	t_fit.cfg.decay_epochs = 2;
	t_fit.cfg.min_delta = 0.05f;
	t_fit_run(&o);
	ck_assert_msg(o.rc == HN_OK, "%s", o.err.text);
	ck_assert_double_eq_tol(o.rate[0], 0.01, 1e-8);
	for (int e = 1; e < 20; e++)
		ck_assert_double_le(o.rate[e], o.rate[e - 1]);
	if (_i == HN_CONSTANT)
		ck_assert_double_eq_tol(o.rate[19], 0.01, 1e-8);
	else
		ck_assert_double_lt(o.rate[19], 0.006);
	if (_i == HN_COSINE)
		ck_assert_double_eq_tol(o.rate[19], 0.05 * 0.01, 1e-4);
}
END_TEST

START_TEST(steps_and_plateaus_halve_the_rate_when_they_say)
{
	static struct t_outcome o;

	t_fit.cfg.epochs = 9;
	t_fit.cfg.schedule = HN_STEP;
	t_fit.cfg.decay_epochs = 3;
	t_fit_run(&o);
	for (int e = 0; e < 9; e++)
		ck_assert_double_eq_tol(o.rate[e], 0.01 * pow(0.5, e / 3), 1e-8);
	t_fit.cfg.schedule = HN_PLATEAU;
	t_fit.cfg.min_delta = 100;                     /* nothing is an improvement but the first epoch */
	t_fit_run(&o);
	for (int e = 0; e < 9; e++)
		ck_assert_double_eq_tol(o.rate[e], 0.01 * pow(0.5, e / 3), 1e-8);
	t_fit.cfg.min_delta = 0;
	t_fit.cfg.lr = 1e-5f;                          /* each epoch is a little better */
	t_fit_run(&o);
	ck_assert_double_eq_tol(o.rate[8], 1e-5, 1e-10);
}
END_TEST

START_TEST(warm_up_raises_the_rate_by_equal_steps_from_a_small_one)
{
	static struct t_outcome o;

	t_fit.cfg.warmup = 40;                         /* ten steps an epoch */
	t_fit_run(&o);
	for (int e = 0; e < 6; e++)
		ck_assert_double_eq_tol(o.rate[e], 0.01 * fmin((10.0 * (e + 1) + 1) / 40, 1), 1e-8);
}
END_TEST

/* --- averaging -------------------------------------------------------------------------------- */

/* By hand: the average of the weights that a plain run has after 0, 1, 2, ... steps. */
START_TEST(the_average_is_that_of_the_weights_after_every_step)
{
	static struct t_outcome o;
	static double mean[T_FIT_WEIGHTS];

	t_fit.data.train.n = t_fit.cfg.batch;                /* one step an epoch */
	t_fit.data.valid.n = 0;
	hn_net_init(&t_fit.net, t_fit.cfg.seed, o.weights);
	for (uint32_t i = 0; i < t_fit.net.n_weights; i++)
		mean[i] = (double)o.weights[i];
	for (uint32_t t = 0; t < 12; t++) {
		const double keep = fmin(0.6, (1.0 + t) / (10.0 + t));

		t_fit.cfg.epochs = t + 1;
		t_fit_run(&o);
		for (uint32_t i = 0; i < t_fit.net.n_weights; i++)
			mean[i] = keep * mean[i] + (1 - keep) * (double)o.weights[i];
	}
	t_fit.cfg.ema = 0.6f;
	t_fit_run(&o);
	ck_assert_int_eq(o.rc, HN_OK);
	for (uint32_t i = 0; i < t_fit.net.n_weights; i++)
		ck_assert_double_eq_tol((double)o.weights[i], mean[i], 1e-5);
}
END_TEST

START_TEST(the_average_is_what_is_evaluated_and_returned)
{
	static struct t_outcome o;
	struct hn_score s;
	struct hn_arena a = t_arena(1 << 20);

	t_fit.cfg.ema = 0.95f;
	t_fit.cfg.epochs = 20;
	t_fit_run(&o);
	ck_assert_int_eq(o.rc, HN_OK);
	ck_assert_uint_eq(o.need, o.peak);
	ck_assert_int_eq(hn_evaluate(&t_fit.cfg, o.weights, &t_fit.data.valid, &a, &s), HN_OK);
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
	static struct t_outcome o;
	static float start[T_FIT_WEIGHTS];
	const enum hn_update kind = (enum hn_update)_i;
	unsigned changed = 0;

	hn_net_init(&t_fit.net, 9, start);
	t_fit.cfg.start = start;
	t_fit.cfg.update = kind;
	t_fit.cfg.last_layers = 2;
	t_fit.cfg.epochs = 2;
	t_fit.data.valid.n = 0;
	t_fit_run(&o);
	ck_assert_msg(o.rc == HN_OK, "%s", o.err.text);
	for (unsigned k = 0; k < t_fit.net.n_layers; k++) {
		const struct hn_layer *l = &t_fit.net.layer[k];

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
	static struct t_outcome loose, held;
	static float start[T_FIT_WEIGHTS];
	double far[2] = { 0, 0 };

	hn_net_init(&t_fit.net, 9, start);
	t_fit.cfg.start = start;
	t_fit.cfg.epochs = 30;
	t_fit.data.valid.n = 0;
	t_fit_run(&loose);
	t_fit.cfg.anchor = 20;
	t_fit_run(&held);
	ck_assert_int_eq(held.rc, HN_OK);
	for (uint32_t i = 0; i < t_fit.net.n_weights; i++) {
		far[0] += pow((double)(loose.weights[i] - start[i]), 2);
		far[1] += pow((double)(held.weights[i] - start[i]), 2);
	}
	ck_assert_double_lt(far[1], 0.1 * far[0]);
}
END_TEST

START_TEST(the_proximal_step_leaves_most_weights_exactly_where_they_were)
{
	static struct t_outcome o;
	static float start[T_FIT_WEIGHTS], grid[T_FIT_WEIGHTS];
	unsigned same[3] = { 0 };

	hn_net_init(&t_fit.net, 9, start);
	for (uint32_t i = 0; i < t_fit.net.n_weights; i++)
		grid[i] = i % 5 ? 0.01f : 0;
	t_fit.cfg.start = start;
	t_fit.cfg.grid = grid;
	t_fit.cfg.update = HN_SPARSE;
	t_fit.data.valid.n = 0;
	t_fit.cfg.epochs = 10;
	for (int k = 0; k < 3; k++) {
		t_fit.cfg.sparse = (const float[]){ 0, 3e-3f, 1e4f }[k];
		t_fit_run(&o);
		ck_assert_msg(o.rc == HN_OK, "%s", o.err.text);
		for (uint32_t i = 0; i < t_fit.net.n_weights; i++)
			same[k] += memcmp(&o.weights[i], &start[i], sizeof start[i]) == 0;
	}
	ck_assert_uint_lt(same[0], t_fit.net.n_weights / 4);
	ck_assert_uint_gt(same[1], same[0]);
	ck_assert_uint_gt(same[2], same[1]);
	for (uint32_t i = 0; i < t_fit.net.n_weights; i++)     /* only what has no grid is free now */
		ck_assert(grid[i] == 0 || memcmp(&o.weights[i], &start[i], sizeof start[i]) == 0);
}
END_TEST

/* --- micro-batches ---------------------------------------------------------------------------- */

START_TEST(micro_batches_give_the_gradient_of_the_batch)
{
	static struct t_outcome whole, parts;
	static float weight[T_FIT_N];

	for (int i = 0; i < T_FIT_N; i++)
		weight[i] = 0.5f + (float)(i % 7);
	t_fit.data.train.weight = _i ? weight : NULL;
	t_fit.cfg.class_weight = _i ? (const float[]){ 1, 3 } : NULL;
	t_fit.cfg.batch = 60;
	t_fit.cfg.epochs = 3;
	t_fit_run(&whole);
	t_fit.cfg.micro = 16;                          /* 16, 16, 16, 12 */
	t_fit_run(&parts);
	ck_assert_int_eq(whole.rc | parts.rc, HN_OK);
	ck_assert_uint_eq(parts.need, parts.peak);
	ck_assert_uint_eq(whole.res.steps, parts.res.steps);
	for (uint32_t i = 0; i < t_fit.net.n_weights; i++)
		ck_assert_double_eq_tol((double)whole.weights[i], (double)parts.weights[i], 2e-4);
	ck_assert_double_eq_tol(whole.loss[2], parts.loss[2], 1e-5);
}
END_TEST

START_TEST(a_budget_shrinks_the_micro_batch_and_below_the_smallest_is_refused)
{
	struct hn_err err = { HN_OK, "" };
	size_t full, least = 0, before = 0;
	struct hn_plan plan;

	t_fit_use("dense 64, relu, dense 2");
	t_fit.cfg.batch = 256;
	ck_assert_int_eq(hn_train_need(&t_fit.cfg, &t_fit.data, &full, NULL), HN_OK);
	ck_assert_int_eq(hn_train_shrink(&t_fit.cfg, &t_fit.data, full, &least, &err), HN_OK);
	ck_assert_uint_eq(t_fit.cfg.micro, 256);
	ck_assert_int_eq(hn_train_shrink(&t_fit.cfg, &t_fit.data, full - 1, &least, &err), HN_OK);
	ck_assert_uint_eq(t_fit.cfg.micro, 128);
	t_fit.cfg.micro = 0;
	ck_assert_int_eq(hn_train_shrink(&t_fit.cfg, &t_fit.data, 1000, &least, &err), HN_ENOMEM);
	ck_assert_uint_eq(t_fit.cfg.micro, 0);
	ck_assert_ptr_nonnull(strstr(err.text, "at least"));
	ck_assert_int_eq(hn_train_shrink(&t_fit.cfg, &t_fit.data, least, &before, &err), HN_OK);
	ck_assert_int_eq(hn_train_plan(&t_fit.cfg, &t_fit.data, &plan, NULL), HN_OK);
	ck_assert_uint_eq(plan.total, least);
	ck_assert_int_eq(hn_train_shrink(&t_fit.cfg, &t_fit.data, least - 1, &before, NULL), HN_ENOMEM);
	ck_assert_uint_eq(before, least);
}
END_TEST

/* Layers that drop, look at the batch, follow it, are rounded and skip others. */
static const char *const deep[] = {
	"dense 64, relu, dense 48, tanh, dense 64, sigmoid, dense 2",
	"dense 48, batch_norm, relu, dropout 0.3, dense 48, batch_norm, relu, dropout 0.3, dense 48, "
	"relu, dense 2",
	"dense 32, relu, dense 32, relu, add 2, dense 32, batch_norm, tanh, add 3, dense 64, relu, "
	"dense 2",
	"gru 24, gru 24, gru 24, dropout 0.2, dense 2",
};

START_TEST(outputs_computed_again_change_no_bit_of_a_fit_and_need_less_memory)
{
	static struct t_outcome whole, again;
	struct hn_plan plan;

	t_fit_use(deep[_i]);
	t_fit.cfg.batch = 48;
	t_fit.cfg.epochs = 3;
	t_fit.cfg.clip_norm = 1;
	t_fit_run(&whole);
	ck_assert_msg(whole.rc == HN_OK, "%s", whole.err.text);
	t_fit.cfg.recompute = true;
	t_fit_run(&again);
	ck_assert_msg(again.rc == HN_OK, "%s", again.err.text);
	ck_assert_uint_eq(again.need, again.peak);
	ck_assert_uint_lt(again.need, whole.need);
	ck_assert_mem_eq(again.weights, whole.weights, t_fit.net.n_weights * sizeof(float));
	ck_assert_mem_eq(again.loss, whole.loss, sizeof whole.loss);
	ck_assert_mem_eq(&again.res.health, &whole.res.health, sizeof whole.res.health);
	ck_assert_int_eq(hn_train_plan(&t_fit.cfg, &t_fit.data, &plan, NULL), HN_OK);
	ck_assert_uint_gt(plan.again_macs, 0);
	ck_assert_uint_lt(plan.again_macs, hn_net_macs(&t_fit.net));
	printf("%s: %zu bytes instead of %zu, %.0f %% more arithmetic\n", deep[_i], again.need, whole.need,
	       100.0 / 3 * (double)plan.again_macs / (double)hn_net_macs(&t_fit.net));
}
END_TEST

START_TEST(a_divergence_is_blamed_on_the_same_layer_when_outputs_are_computed_again)
{
	static struct t_outcome whole, again;

	t_fit_use(deep[0]);
	t_fit.cfg.optim = hn_optim_find("sgd");
	t_fit.cfg.lr = 1e30f;
	t_fit_run(&whole);
	t_fit.cfg.recompute = true;
	t_fit_run(&again);
	ck_assert_int_eq(whole.rc, HN_ENUMERIC);
	ck_assert_str_eq(whole.err.text, again.err.text);
}
END_TEST

START_TEST(what_does_not_fit_in_parts_of_a_batch_is_computed_again)
{
	struct hn_train_cfg parts;
	size_t least = 0, floor;

	t_fit_use(deep[1]);
	t_fit.cfg.batch = 16;            /* parts cannot be smaller */
	parts = t_fit.cfg;
	ck_assert_int_eq(hn_train_need(&parts, &t_fit.data, &floor, NULL), HN_OK);
	ck_assert_int_eq(hn_train_shrink(&t_fit.cfg, &t_fit.data, floor, &least, NULL), HN_OK);
	ck_assert(!t_fit.cfg.recompute);
	ck_assert_int_eq(hn_train_shrink(&t_fit.cfg, &t_fit.data, floor - 1, &least, NULL), HN_OK);
	ck_assert(t_fit.cfg.recompute);
	ck_assert_int_eq(hn_train_shrink(&t_fit.cfg, &t_fit.data, 1, &least, NULL), HN_ENOMEM);
	ck_assert_uint_lt(least, floor);
	ck_assert_int_eq(hn_train_shrink(&t_fit.cfg, &t_fit.data, least, &least, NULL), HN_OK);
	ck_assert_int_eq(hn_train_shrink(&t_fit.cfg, &t_fit.data, least - 1, &floor, NULL), HN_ENOMEM);
	ck_assert_uint_eq(floor, least);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("train_kinds");
	TCase *t = tcase_create("train_kinds");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, t_fit_make, NULL);
	tcase_add_loop_test(t, outputs_computed_again_change_no_bit_of_a_fit_and_need_less_memory, 0,
	                    sizeof deep / sizeof *deep);
	tcase_add_test(t, a_divergence_is_blamed_on_the_same_layer_when_outputs_are_computed_again);
	tcase_add_test(t, what_does_not_fit_in_parts_of_a_batch_is_computed_again);
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
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return t_run(suite());
}
