/* What is only there in training: batch_norm and dropout, and the net without them. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hn_layer.h"
#include "hn_rng.h"
#include "hn_run.h"
#include "t_nets.h"
#include "t_run.h"

enum { LEN = 8, CH = 3, BATCH = 37, W_MAX = 4096, OUT_MAX = 256 };

static struct hn_arena arena;
static float w[W_MAX], folded_w[W_MAX], x[BATCH * LEN * CH];
static struct hn_rng rng;

static void setup(void)
{
	arena = t_arena(4 << 20);
	hn_rng_seed(&rng, 77);
	for (size_t i = 0; i < BATCH * LEN * CH; i++)
		x[i] = (float)hn_rng_normal(&rng);
}

static void teardown(void)
{
	t_arena_free(&arena);
}

static struct hn_net parse(const char *text)
{
	const struct hn_net net = t_net_of(text, (struct hn_net_io){ HN_REGRESS, LEN, CH, 0 });

	ck_assert_uint_le(net.n_weights, W_MAX);
	return net;
}

/* Every weight and every statistic somewhere: variances positive. */
static void random_weights(const struct hn_net *net)
{
	hn_net_init(net, 5, w);
	for (uint32_t i = 0; i < net->n_weights; i++)
		w[i] += (float)(0.3 * hn_rng_normal(&rng));
	for (unsigned i = 0; i < net->n_layers; i++) {
		const struct hn_layer *l = &net->layer[i];

		for (uint32_t k = 0; l->type->track && k < l->in.ch; k++)
			w[l->w_at + 3u * l->in.ch + k] = (float)(0.1 + 2 * hn_rng_unit(&rng));
	}
}

/* Text, layers of the folded net, and of them those that are dwconv1d. */
static const struct { const char *text; unsigned layers, depthwise; } folds[] = {
	{ "conv1d 5x3 same, batch_norm, relu, dense 4", 3, 0 },
	{ "conv1d 5x3, batch_norm, batch_norm, tanh, dense 4", 3, 0 },
	{ "batch_norm, conv1d 5x3, tanh, dense 4", 4, 1 },
	{ "batch_norm, batch_norm, dense 4, batch_norm", 2, 1 },
	{ "dwconv1d 3 same, batch_norm, relu6, dense 4, batch_norm, tanh", 4, 1 },
	{ "separable 6x3 same, batch_norm, relu, globalavgpool, dense 4", 5, 1 },
	{ "gru 6 seq, batch_norm, dropout 0.5, gru 4, batch_norm, dense 4", 5, 2 },
	{ "conv1d 5x1, dropout 0.2, batch_norm, tanh, dropout 0.4, dense 4", 3, 0 },
	{ "conv1d 5x1, flatten, batch_norm, tanh, dense 4", 5, 1 },
	/* An add also reads the product: it must stay as it is. */
	{ "conv1d 5x1, batch_norm, tanh, add 2, dense 4", 5, 1 },
	{ "conv1d 5x1, dropout 0.2, batch_norm, tanh, add 2, dense 4", 5, 1 },
	/* An add reads what comes out of the norm. */
	{ "conv1d 5x1, batch_norm, tanh, conv1d 5x3 same, batch_norm, add 3, relu, dense 4", 6, 0 },
	{ "tanh, dropout 0.1, add 1, dropout 0.5, dense 4", 3, 0 },
	{ "softmax, batch_norm, dense 9, softmax", 4, 1 },
};

START_TEST(the_folded_net_gives_the_same_outputs)
{
	static float a[BATCH * OUT_MAX], b[BATCH * OUT_MAX];
	const struct hn_net net = parse(folds[_i].text);
	struct hn_err err = { HN_OK, "" };
	struct hn_net to;
	unsigned depthwise = 0;

	for (int round = 0; round < 5; round++) {
		random_weights(&net);
		ck_assert_msg(hn_net_fold(&net, w, &to, folded_w, &err) == HN_OK, "%s", err.text);
		ck_assert_uint_eq(to.n_layers, folds[_i].layers);
		ck_assert_uint_le(to.n_weights, net.n_weights);
		ck_assert_uint_eq(to.out_n, net.out_n);
		ck_assert_int_eq(hn_predict(&(struct hn_predict){ &net, w }, x, BATCH, a, &arena), HN_OK);
		ck_assert_int_eq(hn_predict(&(struct hn_predict){ &to, folded_w }, x, BATCH, b, &arena),
		                 HN_OK);
		for (size_t i = 0; i < (size_t)BATCH * net.out_n; i++)
			ck_assert_double_eq_tol((double)a[i], (double)b[i], 2e-4 * (1 + fabs((double)a[i])));
	}
	for (unsigned i = 0; i < to.n_layers; i++) {
		ck_assert(!to.layer[i].type->line && !to.layer[i].type->vanishes);
		depthwise += strcmp(to.layer[i].type->name, "dwconv1d") == 0;
	}
	ck_assert_uint_eq(depthwise, folds[_i].depthwise);
}
END_TEST

START_TEST(folding_a_folded_net_changes_nothing)
{
	static float again_w[W_MAX];
	const struct hn_net net = parse(folds[_i].text);
	struct hn_net to, shape, again;

	random_weights(&net);
	ck_assert_int_eq(hn_net_fold(&net, w, &to, folded_w, NULL), HN_OK);
	ck_assert_int_eq(hn_net_fold(&net, NULL, &shape, NULL, NULL), HN_OK);
	ck_assert_int_eq(hn_net_fold(&to, folded_w, &again, again_w, NULL), HN_OK);
	ck_assert_uint_eq(shape.n_weights, to.n_weights);
	ck_assert_uint_eq(again.n_layers, to.n_layers);
	ck_assert_mem_eq(again_w, folded_w, to.n_weights * sizeof *again_w);
}
END_TEST

START_TEST(unfolded_weights_fold_to_the_same_again)
{
	const struct hn_net net = parse(folds[_i].text);
	static float again[W_MAX], before[W_MAX];
	struct hn_net folded;

	random_weights(&net);
	for (unsigned i = 0; i < net.n_layers; i++)      /* a channel that is switched off         */
		if (net.layer[i].type->line)
			w[net.layer[i].w_at] = 0;
	memcpy(before, w, sizeof before);
	ck_assert_int_eq(hn_net_fold(&net, w, &folded, folded_w, NULL), HN_OK);
	for (uint32_t i = 0; i < folded.n_weights; i++)
		folded_w[i] += (float)(0.1 * hn_rng_normal(&rng));
	hn_net_unfold(&net, &folded, folded_w, w);
	ck_assert_int_eq(hn_net_fold(&net, w, &folded, again, NULL), HN_OK);
	for (uint32_t i = 0; i < folded.n_weights; i++)
		ck_assert_msg(fabsf(again[i] - folded_w[i]) <= 4e-6f * (1 + fabsf(folded_w[i])),
		              "%s: weight %u: %g, not %g", folds[_i].text, i, (double)again[i],
		              (double)folded_w[i]);
	for (unsigned i = 0; i < net.n_layers; i++) {
		const uint32_t n = net.layer[i].n_state, at = net.layer[i].w_at + net.layer[i].n_w - n;

		ck_assert_mem_eq(w + at, before + at, n * sizeof *w);
	}
}
END_TEST

START_TEST(a_norm_that_cannot_be_folded_is_named)
{
	const struct hn_net net = parse("dense 4, batch_norm"), nothing = parse("dropout 0.5");
	struct hn_err err = { HN_OK, "" };
	struct hn_net to = { .n_layers = 99 };

	random_weights(&net);
	w[net.layer[1].w_at + 1] = INFINITY;
	ck_assert_int_eq(hn_net_fold(&net, w, &to, folded_w, &err), HN_ENUMERIC);
	ck_assert_msg(strstr(err.text, "layer 2 'batch_norm'") != NULL, "%s", err.text);
	ck_assert_int_eq(hn_net_fold(&nothing, w, &to, folded_w, NULL), HN_ERANGE);
	ck_assert_uint_eq(to.n_layers, 99);
}
END_TEST

/* Mean and variance over samples and frames, in double. */
static void moments(const float *v, size_t n, size_t c, double m_v[2])
{
	double sum = 0, sq = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)v[i * CH + c];
	for (size_t i = 0; i < n; i++)
		sq += ((double)v[i * CH + c] - sum / (double)n) * ((double)v[i * CH + c] - sum / (double)n);
	m_v[0] = sum / (double)n;
	m_v[1] = sq;
}

START_TEST(running_statistics_follow_the_batches_only)
{
	const struct hn_net net = parse("batch_norm");
	struct hn_run run;
	double m[CH] = { 0 }, v[CH] = { 1, 1, 1 };

	hn_net_init(&net, 1, w);
	ck_assert_int_eq(hn_run_init(&run, &net, BATCH, HN_RUN_TRAIN, &arena), HN_OK);
	for (uint32_t n = BATCH; n > 2; n -= 5) {        /* full and partly filled batches          */
		hn_run_load(&run, x, NULL, n);
		run.learning = false;
		hn_run_forward(&run, w);
		run.learning = true;
		hn_run_forward(&run, w);
		hn_run_track(&run, w);
		for (size_t c = 0; c < CH; c++) {
			double at[2];

			moments(x, (size_t)n * LEN, c, at);
			m[c] += 0.1 * (at[0] - m[c]);
			v[c] += 0.1 * (at[1] / (n * LEN - 1.0) - v[c]);
			ck_assert_double_eq_tol((double)w[2 * CH + c], m[c], 1e-5);
			ck_assert_double_eq_tol((double)w[3 * CH + c], v[c], 1e-5);
		}
	}
	ck_assert(w[0] == 1 && w[CH] == 0);
}
END_TEST

START_TEST(a_channel_far_from_zero_is_normalised_as_well)
{
	const struct hn_net net = parse("batch_norm");
	struct hn_run run;
	double sq = 0;

	for (size_t i = 0; i < BATCH * LEN * CH; i++)
		x[i] += 1000;
	hn_net_init(&net, 1, w);
	ck_assert_int_eq(hn_run_init(&run, &net, BATCH, HN_RUN_TRAIN, &arena), HN_OK);
	hn_run_load(&run, x, NULL, BATCH);
	hn_run_forward(&run, w);
	for (size_t i = 0; i < LEN * CH; i++)
		for (size_t j = 0; j < BATCH; j++)
			sq += (double)hn_run_out(&run)[i * run.lanes + j] *
			      (double)hn_run_out(&run)[i * run.lanes + j];
	ck_assert_double_eq_tol(sq / (LEN * CH * BATCH), 1, 1e-3);
}
END_TEST

START_TEST(a_batch_of_one_number_gives_beta_and_no_gradient_of_x)
{
	const struct hn_net_io io = { HN_REGRESS, 1, CH, 0 };
	struct hn_run run;
	struct hn_net net;
	float g[W_MAX];

	ck_assert_int_eq(hn_net_parse(&net, "dense 3, batch_norm", &io, NULL), HN_OK);
	hn_net_init(&net, 1, w);
	w[12 + 3] = 7;
	ck_assert_int_eq(hn_run_init(&run, &net, BATCH, HN_RUN_TRAIN, &arena), HN_OK);
	hn_run_load(&run, x, NULL, 1);
	hn_run_forward(&run, w);
	ck_assert(hn_run_out(&run)[0] == 7);
	memset(run.dy, 0, 3 * run.lanes * sizeof *run.dy);
	run.dy[0] = 1;
	hn_run_backward(&run, w, g);
	for (int i = 0; i < 12; i++)
		ck_assert(g[i] == 0);
	ck_assert(g[12 + 3] == 1);
	hn_run_track(&run, w);
	ck_assert(w[12 + 9] == 1);
}
END_TEST

/* Outputs of "dropout 0.3" for ones; how many are zero. */
static size_t drop(struct hn_run *run, float *out)
{
	size_t zeros = 0;

	hn_run_forward(run, w);
	for (size_t i = 0; i < LEN * CH; i++)
		for (size_t j = 0; j < run->n; j++) {
			const float v = hn_run_out(run)[i * run->lanes + j];

			ck_assert_msg(v == 0 || fabs((double)v - 1 / 0.7) < 1e-6, "%g", (double)v);
			zeros += v == 0;
			if (out)
				out[i * BATCH + j] = v;
		}
	return zeros;
}

START_TEST(dropout_drops_its_share_by_seed_step_and_place)
{
	static float a[LEN * CH * BATCH], b[LEN * CH * BATCH];
	const struct hn_net net = parse("dropout 0.3");
	struct hn_run run;
	size_t zeros = 0, rounds = 400, differ = 0;

	for (size_t i = 0; i < BATCH * LEN * CH; i++)
		x[i] = 1;
	ck_assert_int_eq(hn_run_init(&run, &net, BATCH, HN_RUN_TRAIN, &arena), HN_OK);
	hn_run_load(&run, x, NULL, BATCH);
	for (run.step = 0; run.step < rounds; run.step++)
		zeros += drop(&run, NULL);
	/* 0.3 of n draws, four standard deviations */
	ck_assert_double_eq_tol((double)zeros / (double)(rounds * LEN * CH * BATCH), 0.3,
	                        4 * sqrt(0.21 / (double)(rounds * LEN * CH * BATCH)));
	run.step = 9;
	(void)drop(&run, a);
	(void)drop(&run, b);
	ck_assert_mem_eq(a, b, sizeof a);
	run.seed = 1;
	(void)drop(&run, b);
	for (size_t i = 0; i < LEN * CH * BATCH; i++)
		differ += a[i] != b[i];
	ck_assert_double_eq_tol((double)differ / (LEN * CH * BATCH), 0.42, 0.08);
	run.seed = 0;
	hn_run_load(&run, x, NULL, 20);                  /* the last 20 samples of the same step   */
	run.first = BATCH - 20;
	(void)drop(&run, b);
	for (size_t i = 0; i < LEN * CH; i++)
		ck_assert_mem_eq(a + i * BATCH + BATCH - 20, b + i * BATCH, 20 * sizeof *a);
	run.learning = false;
	hn_run_forward(&run, w);
	ck_assert(hn_run_out(&run)[0] == 1);
}
END_TEST

START_TEST(every_level_drops_the_same)
{
	static float a[LEN * CH * BATCH], b[LEN * CH * BATCH];
	const struct hn_net net = parse("dropout 0.3");
	struct hn_run run;

	for (size_t i = 0; i < BATCH * LEN * CH; i++)
		x[i] = 1;
	ck_assert_int_eq(hn_run_init(&run, &net, BATCH, HN_RUN_TRAIN, &arena), HN_OK);
	hn_run_load(&run, x, NULL, BATCH);
	(void)drop(&run, a);
	for (size_t k = 0; hn_kernels_at(k); k++) {
		run.kern = hn_kernels_at(k);
		(void)drop(&run, b);
		ck_assert_mem_eq(a, b, sizeof a);
	}
}
END_TEST

static Suite *suite(void)
{
	const int n = (int)(sizeof folds / sizeof *folds);
	Suite *s = suite_create("fold");
	TCase *t = tcase_create("fold");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, the_folded_net_gives_the_same_outputs, 0, n);
	tcase_add_loop_test(t, folding_a_folded_net_changes_nothing, 0, n);
	tcase_add_loop_test(t, unfolded_weights_fold_to_the_same_again, 0, n);
	tcase_add_test(t, a_norm_that_cannot_be_folded_is_named);
	tcase_add_test(t, running_statistics_follow_the_batches_only);
	tcase_add_test(t, a_channel_far_from_zero_is_normalised_as_well);
	tcase_add_test(t, a_batch_of_one_number_gives_beta_and_no_gradient_of_x);
	tcase_add_test(t, dropout_drops_its_share_by_seed_step_and_place);
	tcase_add_test(t, every_level_drops_the_same);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return t_run(suite());
}
