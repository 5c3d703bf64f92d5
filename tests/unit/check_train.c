#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "hn_layer.h"
#include "hn_train.h"
#include "t_nets.h"
#include "t_run.h"

enum { N = 400, SEED = 7 };

static float x[2 * N * 2];
static int32_t label[2 * N];

static struct hn_data halves(void)
{
	return (struct hn_data){ .train = { .n = N, .x = x, .label = label },
	                         .valid = { .n = N, .x = x + 2 * N, .label = label + N } };
}

struct outcome {
	hn_status rc;
	struct hn_err err;
	struct hn_train_result res;
	float weights[4096];
	size_t need, peak;
};

struct watch { uint32_t calls, stop_at; struct hn_epoch last; };

static bool note(void *ctx, const struct hn_epoch *e)
{
	struct watch *w = ctx;

	w->last = *e;
	return ++w->calls != w->stop_at;
}

static void run(const struct hn_train_cfg *cfg, const struct hn_data *data, struct watch *w,
                struct outcome *o)
{
	struct hn_arena a;
	struct hn_train_job job = { .cfg = cfg, .data = data, .arena = &a };

	*o = (struct outcome){ .rc = HN_OK };
	if (w) {
		job.progress = note;
		job.ctx = w;
	}
	o->rc = hn_train_need(cfg, data, &o->need, &o->err);
	if (o->rc)
		return;
	a = t_arena(o->need);
	o->rc = hn_train_run(&job, &o->res, &o->err);
	o->peak = a.peak;
	if (!o->rc)
		memcpy(o->weights, o->res.weights, cfg->net->n_weights * sizeof(float));
	t_arena_free(&a);
}

static const char *const net_of[] = { [T_MOONS] = "dense 32, relu, dense 16, relu, dense 2",
	[T_XOR] = "[dense 16, tanh, dense 2]", [T_LINEAR] = "dense 2, softmax" };

START_TEST(learns_two_dimensional_problems_to_98_percent)
{
	const struct hn_net net = t_net(net_of[_i], HN_CLASSIFY, 2, 2);
	const struct hn_data data = halves();
	struct hn_train_cfg cfg;
	struct outcome o;

	t_points((enum t_shape)_i, SEED, 2 * N, x, label);
	hn_train_defaults(&cfg, &net);
	cfg.lr = 0.02f;
	cfg.epochs = 200;
	cfg.patience = 30;
	run(&cfg, &data, NULL, &o);
	ck_assert_msg(o.rc == HN_OK, "%s", o.err.text);
	ck_assert_msg(o.res.valid_score >= 0.98, "shape %d: %g", _i, o.res.valid_score);
}
END_TEST

START_TEST(regression_and_autoencoding_reach_a_small_error)
{
	static float target[2 * N];
	struct hn_net net = t_net("dense 32, tanh, dense 1", HN_REGRESS, 2, 1);
	struct hn_data data = halves();
	struct hn_train_cfg cfg;
	struct outcome o;

	t_points(T_LINEAR, SEED, 2 * N, x, label);
	for (int i = 0; i < 2 * N; i++)
		target[i] = sinf(2 * x[2 * i]) * x[2 * i + 1];
	data.train.target = target;
	data.valid.target = target + N;
	hn_train_defaults(&cfg, &net);
	cfg.lr = 0.02f;
	cfg.patience = 0;
	run(&cfg, &data, NULL, &o);
	ck_assert_msg(o.rc == HN_OK, "%s", o.err.text);
	ck_assert_msg(o.res.valid_loss < 0.002, "regress: %g", o.res.valid_loss);
	net = t_net("dense 8, tanh, dense 2", HN_AUTOENCODE, 2, 0);
	data = halves();
	run(&cfg, &data, NULL, &o);
	ck_assert_msg(o.rc == HN_OK, "%s", o.err.text);
	ck_assert_msg(o.res.valid_loss < 0.002, "autoencode: %g", o.res.valid_loss);
}
END_TEST

START_TEST(same_seed_gives_the_same_bits_and_another_seed_does_not)
{
	const struct hn_net net = t_net(net_of[T_MOONS], HN_CLASSIFY, 2, 2);
	const struct hn_data data = halves();
	struct hn_train_cfg cfg;
	static struct outcome a, b, c;

	t_points(T_MOONS, SEED, 2 * N, x, label);
	hn_train_defaults(&cfg, &net);
	cfg.epochs = 5;
	run(&cfg, &data, NULL, &a);
	run(&cfg, &data, NULL, &b);
	cfg.seed++;
	run(&cfg, &data, NULL, &c);
	ck_assert_int_eq(a.rc, HN_OK);
	ck_assert_mem_eq(a.weights, b.weights, sizeof a.weights);
	ck_assert_mem_ne(a.weights, c.weights, sizeof a.weights);
}
END_TEST

START_TEST(all_levels_with_fused_multiply_add_give_the_same_bits)
{
	const struct hn_net net = t_net("dense 19, relu, dense 7, tanh, dense 2", HN_CLASSIFY, 2, 2);
	const struct hn_data data = halves();
	struct hn_train_cfg cfg;
	static struct outcome first, o;

	t_points(T_MOONS, SEED, 2 * N, x, label);
	hn_train_defaults(&cfg, &net);
	cfg.epochs = 5;
	cfg.batch = 27;
	for (size_t i = 0; hn_kernels_at(i); i++) {
		cfg.kern = hn_kernels_at(i);
		run(&cfg, &data, NULL, i > 1 ? &o : &first);
		if (i > 1)
			ck_assert_mem_eq(first.weights, o.weights, sizeof o.weights);
	}
	ck_assert_int_eq(first.rc, HN_OK);
}
END_TEST

START_TEST(the_planned_bytes_equal_the_peak)
{
	static const uint32_t batch[] = { 1, 16, 33, 1024 };
	const struct hn_data data = halves();
	struct hn_train_cfg cfg;
	struct hn_plan plan;
	struct outcome o;

	t_points(T_MOONS, SEED, 2 * N, x, label);
	for (size_t k = 0; k < 3; k++) {
		const struct hn_net net = t_net(net_of[k], HN_CLASSIFY, 2, 2);

		hn_train_defaults(&cfg, &net);
		cfg.epochs = 2;
		cfg.batch = batch[_i];
		run(&cfg, &data, NULL, &o);
		ck_assert_msg(o.rc == HN_OK, "%s", o.err.text);
		ck_assert_uint_eq(o.need, o.peak);
		ck_assert_int_eq(hn_train_plan(&cfg, &data, &plan, NULL), HN_OK);
		ck_assert_uint_eq(plan.weights + plan.moments + plan.activations + plan.order, o.need);
	}
}
END_TEST

START_TEST(one_byte_less_than_the_plan_is_refused)
{
	const struct hn_net net = t_net(net_of[T_XOR], HN_CLASSIFY, 2, 2);
	const struct hn_data data = halves();
	struct hn_train_result res;
	struct hn_train_cfg cfg;
	struct hn_err err = { HN_OK, "" };
	struct hn_arena a;
	size_t need;

	t_points(T_XOR, SEED, 2 * N, x, label);
	hn_train_defaults(&cfg, &net);
	ck_assert_int_eq(hn_train_need(&cfg, &data, &need, NULL), HN_OK);
	a = t_arena(need - 1);
	ck_assert_int_eq(hn_train_run(&(struct hn_train_job){ .cfg = &cfg, .data = &data,
	                 .arena = &a }, &res, &err), HN_ENOMEM);
	ck_assert_uint_eq(a.used, 0);
	t_arena_free(&a);
}
END_TEST

/* Each row spoils the data or the config in one way. */
struct bad { const char *what; hn_status rc; const char *text; };

static const struct bad bads[] = {
	{ "nan input", HN_ENUMERIC, "sample 3, value 1" },
	{ "infinite held-back input", HN_ENUMERIC, "held-back data: sample 5" },
	{ "constant channel", HN_EDATA, "channel 2" },
	{ "one class", HN_EDATA, "only class 0" },
	{ "label above", HN_ERANGE, "label 2" },
	{ "label below", HN_ERANGE, "label -1" },
	{ "no samples", HN_EDATA, "no samples" },
	{ "negative weight", HN_ERANGE, "weight -1" },
	{ "zero weights", HN_EDATA, "zero" },
	{ "no labels", HN_EINVAL, "no labels" },
	{ "batch 0", HN_EINVAL, "batch" },
	{ "rate nan", HN_EINVAL, "rate" },
	{ "wrong loss", HN_EINVAL, "does not fit" },
	{ "bad start", HN_ENUMERIC, "start" },
	{ "bad class weight", HN_EINVAL, "class 1" },
	{ "momentum 1", HN_EINVAL, "momentum" },
	{ "delta 0", HN_EINVAL, "delta" },
	{ "smoothing", HN_EINVAL, "binary_cross_entropy has none" },
};

static void spoil(const char *what, struct hn_train_cfg *c, struct hn_data *d, float *some)
{
	if (strcmp(what, "nan input") == 0)
		x[7] = NAN;
	else if (strcmp(what, "infinite held-back input") == 0)
		x[2 * N + 10] = INFINITY;
	else if (strcmp(what, "constant channel") == 0)
		for (int i = 0; i < N; i++)
			x[2 * i + 1] = 0.5f;
	else if (strcmp(what, "one class") == 0)
		memset(label, 0, sizeof label);
	else if (strcmp(what, "label above") == 0)
		label[9] = 2;
	else if (strcmp(what, "label below") == 0)
		label[9] = -1;
	else if (strcmp(what, "no samples") == 0)
		d->train.n = 0;
	else if (strcmp(what, "negative weight") == 0)
		some[1] = -1, d->train.weight = some;
	else if (strcmp(what, "zero weights") == 0)
		d->train.weight = some;
	else if (strcmp(what, "no labels") == 0)
		d->train.label = NULL;
	else if (strcmp(what, "batch 0") == 0)
		c->batch = 0;
	else if (strcmp(what, "rate nan") == 0)
		c->lr = NAN;
	else if (strcmp(what, "wrong loss") == 0)
		c->loss = hn_loss_find("mse");
	else if (strcmp(what, "bad start") == 0)
		some[2] = NAN, c->start = some;
	else if (strcmp(what, "bad class weight") == 0)
		some[0] = 1, c->class_weight = some;
	else if (strcmp(what, "momentum 1") == 0)
		c->momentum = 1;
	else if (strcmp(what, "delta 0") == 0)
		c->delta = 0;
	else if (strcmp(what, "smoothing") == 0)
		c->loss = hn_loss_find("binary_cross_entropy"), c->smoothing = 0.1f;
}

START_TEST(bad_data_is_refused_with_a_named_error)
{
	static float some[4096];
	const struct hn_net net = t_net(net_of[T_XOR], HN_CLASSIFY, 2, 2);
	struct hn_data data = halves();
	struct hn_train_cfg cfg;
	struct outcome o;

	memset(some, 0, sizeof some);
	t_points(T_XOR, SEED, 2 * N, x, label);
	hn_train_defaults(&cfg, &net);
	cfg.epochs = 1;
	spoil(bads[_i].what, &cfg, &data, some);
	run(&cfg, &data, NULL, &o);
	ck_assert_msg(o.rc == bads[_i].rc, "%s: %d %s", bads[_i].what, o.rc, o.err.text);
	ck_assert_msg(strstr(o.err.text, bads[_i].text), "%s: %s", bads[_i].what, o.err.text);
}
END_TEST

START_TEST(divergence_is_rolled_back_and_at_last_fails_with_the_layer)
{
	const struct hn_net net = t_net("dense 16, relu, dense 16, relu, dense 2", HN_CLASSIFY, 2, 2);
	const struct hn_data data = halves();
	struct hn_train_cfg cfg;
	static struct outcome o;

	t_points(T_MOONS, SEED, 2 * N, x, label);
	hn_train_defaults(&cfg, &net);
	cfg.lr = 3e37f;
	run(&cfg, &data, NULL, &o);
	ck_assert_int_eq(o.rc, HN_ENUMERIC);
	ck_assert_msg(strstr(o.err.text, "layer ") && strstr(o.err.text, "dense"), "%s", o.err.text);
	/* Halving this rate a few times is enough. */
	cfg.lr = 1e10f;
	cfg.epochs = 3;
	run(&cfg, &data, NULL, &o);
	ck_assert_msg(o.rc == HN_OK, "%s", o.err.text);
	ck_assert_uint_ge(o.res.rollbacks, 1);
	ck_assert_double_lt(o.res.lr, 0.6e10);
	for (uint32_t i = 0; i < net.n_weights; i++)
		ck_assert(isfinite(o.weights[i]));
}
END_TEST

START_TEST(progress_is_reported_each_epoch_and_may_abort)
{
	const struct hn_net net = t_net(net_of[T_XOR], HN_CLASSIFY, 2, 2);
	const struct hn_data data = halves();
	struct watch w = { .stop_at = 4 };
	struct hn_train_cfg cfg;
	struct outcome o;

	t_points(T_XOR, SEED, 2 * N, x, label);
	hn_train_defaults(&cfg, &net);
	run(&cfg, &data, &w, &o);
	ck_assert_int_eq(o.rc, HN_OK);
	ck_assert_int_eq(o.res.stop, HN_STOP_ABORT);
	ck_assert_uint_eq(w.calls, 4);
	ck_assert_uint_eq(w.last.epoch, 4);
	ck_assert_uint_eq(o.res.epochs, 4);
	ck_assert_uint_eq(o.res.samples, 4 * N);
}
END_TEST

START_TEST(early_stopping_returns_the_best_weights_and_warm_start_keeps_them)
{
	const struct hn_net net = t_net(net_of[T_MOONS], HN_CLASSIFY, 2, 2);
	const struct hn_data data = halves();
	struct hn_train_cfg cfg;
	static struct outcome o, warm;
	struct hn_score s;
	struct hn_arena a = t_arena(1 << 20);

	t_points(T_MOONS, SEED, 2 * N, x, label);
	for (int i = 0; i < N; i += 5)
		label[i] ^= 1;                           /* wrong labels: the net will overfit */
	hn_train_defaults(&cfg, &net);
	cfg.lr = 0.02f;
	cfg.patience = 5;
	run(&cfg, &data, NULL, &o);
	ck_assert_int_eq(o.rc, HN_OK);
	ck_assert_int_eq(o.res.stop, HN_STOP_PATIENCE);
	ck_assert_uint_eq(o.res.epochs, o.res.best_epoch + 5);
	ck_assert_int_eq(hn_evaluate(&cfg, o.weights, &data.valid, &a, &s), HN_OK);
	ck_assert_double_eq_tol(s.loss, o.res.valid_loss, 1e-12);
	ck_assert_double_eq(s.accuracy, o.res.valid_score);
	/* From the champion with a senseless rate nothing gets better: it comes back unchanged. */
	cfg.start = o.weights;
	cfg.lr = 10;
	cfg.patience = 3;
	run(&cfg, &data, NULL, &warm);
	ck_assert_uint_eq(warm.res.best_epoch, 0);
	ck_assert_mem_eq(warm.weights, o.weights, net.n_weights * sizeof(float));
	t_arena_free(&a);
}
END_TEST

START_TEST(a_sample_of_weight_two_counts_as_two_samples)
{
	const struct hn_net net = t_net(net_of[T_XOR], HN_CLASSIFY, 2, 2);
	float twice[2 * 9], weight[8] = { 1, 1, 1, 2, 1, 1, 1, 1 };
	int32_t label9[9];
	struct hn_train_cfg cfg;
	static struct outcome a, b;
	struct hn_data data = { .train = { .n = 9, .x = twice, .label = label9 } };

	t_points(T_XOR, SEED, 8, x, label);
	memcpy(twice, x, 16 * sizeof *x);
	memcpy(label9, label, 8 * sizeof *label);
	memcpy(twice + 16, x + 6, 2 * sizeof *x);
	label9[8] = label[3];
	hn_train_defaults(&cfg, &net);
	cfg.in_order = true;
	cfg.epochs = 10;
	run(&cfg, &data, NULL, &a);
	data.train = (struct hn_set){ .n = 8, .x = x, .label = label, .weight = weight };
	run(&cfg, &data, NULL, &b);
	ck_assert_int_eq(a.rc | b.rc, HN_OK);
	for (uint32_t i = 0; i < net.n_weights; i++)
		ck_assert_double_eq_tol((double)a.weights[i], (double)b.weights[i], 1e-4);
	ck_assert_double_eq_tol(a.res.train_loss, b.res.train_loss, 1e-5);
	/* With classes weighted, the heavy class is favoured. */
	cfg.class_weight = (const float[]){ 1, 9 };
	run(&cfg, &data, NULL, &a);
	ck_assert_double_ne(a.res.train_loss, b.res.train_loss);
}
END_TEST

START_TEST(every_optimiser_and_loss_learns_and_a_target_out_of_range_is_refused)
{
	const struct hn_net net = t_net("dense 16, tanh, dense 2", HN_REGRESS, 2, 2);
	static float target[2 * 2 * N];
	struct hn_train_cfg cfg;
	struct hn_data data = halves();
	struct outcome o;

	t_points(T_XOR, SEED, 2 * N, x, label);
	for (size_t i = 0; i < 2 * N; i++)
		target[2 * i] = (float)label[i], target[2 * i + 1] = 1 - (float)label[i];
	data.train.target = target;
	data.valid.target = target + 2 * N;
	for (size_t k = 0; hn_losses[k]; k++)
		for (size_t j = 0; hn_optims[j] && hn_losses[k]->targets; j++) {
			hn_train_defaults(&cfg, &net);
			cfg.loss = hn_losses[k];
			cfg.optim = hn_optims[j];
			cfg.lr = strcmp(cfg.optim->name, "sgd") == 0 ? 0.2f : 0.02f;
			cfg.epochs = 60;
			run(&cfg, &data, NULL, &o);
			ck_assert_msg(o.rc == HN_OK && o.res.valid_loss < 0.06, "%s, %s: %s %g", cfg.loss->name,
			              cfg.optim->name, o.err.text, o.res.valid_loss);
		}
	cfg.loss = hn_loss_find("binary_cross_entropy");
	target[2 * N + 7] = 1.5f;
	run(&cfg, &data, NULL, &o);
	ck_assert_int_eq(o.rc, HN_ERANGE);
	ck_assert_msg(strstr(o.err.text, "held-back data: sample 3, target 1 is 1.5"), "%s", o.err.text);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("train");
	TCase *t = tcase_create("train");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, learns_two_dimensional_problems_to_98_percent, 0, 3);
	tcase_add_test(t, regression_and_autoencoding_reach_a_small_error);
	tcase_add_test(t, same_seed_gives_the_same_bits_and_another_seed_does_not);
	tcase_add_test(t, all_levels_with_fused_multiply_add_give_the_same_bits);
	tcase_add_loop_test(t, the_planned_bytes_equal_the_peak, 0, 4);
	tcase_add_test(t, one_byte_less_than_the_plan_is_refused);
	tcase_add_loop_test(t, bad_data_is_refused_with_a_named_error, 0,
	                    (int)(sizeof bads / sizeof *bads));
	tcase_add_test(t, divergence_is_rolled_back_and_at_last_fails_with_the_layer);
	tcase_add_test(t, progress_is_reported_each_epoch_and_may_abort);
	tcase_add_test(t, early_stopping_returns_the_best_weights_and_warm_start_keeps_them);
	tcase_add_test(t, a_sample_of_weight_two_counts_as_two_samples);
	tcase_add_test(t, every_optimiser_and_loss_learns_and_a_target_out_of_range_is_refused);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return t_run(suite());
}
