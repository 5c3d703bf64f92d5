#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hn_layer.h"
#include "hn_loss.h"
#include "hn_optim.h"
#include "hn_rng.h"
#include "hn_run.h"
#include "t_nets.h"
#include "t_ref.h"
#include "t_run.h"

/* Nets that exercise a layer in every position.  A new layer gets its example here; a row without
 * one fails the first test. */
static const struct example { const char *layer, *text; } examples[] = {
	{ "dense", "dense 7" }, { "relu", "relu" }, { "tanh", "tanh" }, { "sigmoid", "sigmoid" },
	{ "relu6", "relu6" }, { "leaky_relu", "leaky_relu 0.1" }, { "flatten", "flatten" },
	{ "conv1d", "conv1d 4x3 same" }, { "conv1d", "conv1d 5x2" },
	{ "conv1d", "conv1d 3x3 stride 2 same" }, { "conv1d", "conv1d 3x2 dilation 2" },
	{ "conv1d", "conv1d 2x4 stride 2 dilation 2 same" }, { "maxpool", "maxpool 2" },
	{ "maxpool", "maxpool 3 stride 1" }, { "avgpool", "avgpool 2" },
	{ "avgpool", "avgpool 2 stride 1" }, { "globalavgpool", "globalavgpool" },
	{ "gru", "gru 5" }, { "gru", "gru 4 seq" },
	{ "add", "tanh, add 1" }, { "add", "conv1d 4x1, sigmoid, add 1" },
	{ "add", "conv1d 4x1, conv1d 4x3 same, tanh, add 2, conv1d 4x3 same, add 2" },
	{ "dwconv1d", "dwconv1d 3 same" }, { "dwconv1d", "dwconv1d 2 stride 2" },
	{ "dwconv1d", "dwconv1d 3 dilation 2" }, { "dwconv1d", "dwconv1d 4 stride 3 dilation 2 same" },
	{ "separable", "separable 5x3 same" }, { "separable", "separable 4x2 stride 2" },
	{ "batch_norm", "batch_norm" }, { "batch_norm", "conv1d 4x2, batch_norm, tanh, batch_norm" },
	{ "dropout", "dropout 0.3" }, { "dropout", "tanh, dropout 0.5" }, { "softmax", "softmax" },
};
enum { N_EXAMPLES = sizeof examples / sizeof *examples, IN_LEN = 7, IN_CH = 3 };

static struct hn_arena arena;

static void setup(void)
{
	arena = t_arena(4 << 20);
}

static void teardown(void)
{
	t_arena_free(&arena);
}

static size_t n_layers(void)
{
	size_t n = 0;

	while (hn_layers[n])
		n++;
	return n;
}

static const char *example_of(const char *layer)
{
	for (size_t i = 0; i < N_EXAMPLES; i++)
		if (strcmp(examples[i].layer, layer) == 0)
			return examples[i].text;
	return NULL;
}

START_TEST(every_layer_has_an_example_and_a_number_of_its_own)
{
	for (size_t i = 0; i < n_layers(); i++) {
		ck_assert_msg(example_of(hn_layers[i]->name) != NULL, "%s", hn_layers[i]->name);
		ck_assert_ptr_eq(hn_layer_find(hn_layers[i]->name, strlen(hn_layers[i]->name)),
		                 hn_layers[i]);
		for (size_t j = 0; j < i; j++)
			ck_assert_uint_ne(hn_layers[i]->id, hn_layers[j]->id);
	}
}
END_TEST

/* A row of a table in docs/networks.md begins with "| `what` |". */
static bool documented(const char *what)
{
	static char text[32768];
	char row[120];
	FILE *f = fopen("docs/networks.md", "re");
	size_t n;

	ck_assert_msg(f != NULL, "docs/networks.md: run this from the root of the tree");
	n = fread(text, 1, sizeof text - 1, f);
	(void)fclose(f);                         /* read only */
	ck_assert_uint_lt(n, sizeof text - 1);
	text[n] = '\0';
	(void)snprintf(row, sizeof row, "\n| `%s` |", what);
	return strstr(text, row) != NULL;
}

START_TEST(every_layer_loss_and_optimiser_is_in_the_documentation)
{
	for (size_t i = 0; hn_layers[i]; i++)
		ck_assert_msg(documented(hn_layers[i]->usage), "%s", hn_layers[i]->usage);
	for (size_t i = 0; hn_losses[i]; i++)
		ck_assert_msg(documented(hn_losses[i]->name), "%s", hn_losses[i]->name);
	for (size_t i = 0; hn_optims[i]; i++)
		ck_assert_msg(documented(hn_optims[i]->name), "%s", hn_optims[i]->name);
}
END_TEST

/* The layer first, in the middle and last, behind layers that keep their output or not.
 * False when it does not fit there. */
static bool net_around(const char *text, int place, struct hn_net *net)
{
	static const char *const before[] = { "", "conv1d 4x1, ", "conv1d 4x1, tanh, ", "conv1d 6x2, ",
		"avgpool 2, sigmoid, flatten, " };
	static const char *const behind[] = { ", dense 4", ", tanh, dense 4", ", flatten, tanh, dense 4",
		"", ", dense 4" };
	const struct hn_net_io io = { HN_REGRESS, IN_LEN, IN_CH, 0 };
	char all[200];

	(void)snprintf(all, sizeof all, "%s%s%s", before[place], text, behind[place]);
	return hn_net_parse(net, all, &io, NULL) == HN_OK;
}

enum { PLACES = 5, BATCH = 9, W_MAX = 1024, X_MAX = IN_LEN * IN_CH * BATCH, OUT_MAX = 256 };

struct setting {
	struct hn_net net;
	float w[W_MAX], g[W_MAX], x[X_MAX];
	double wd[W_MAX], coef[BATCH * OUT_MAX];
};

/* Sum over outputs and samples of coef * y, all in double: its gradient by y is coef. */
static double value_at(const struct setting *s)
{
	static double out[BATCH * OUT_MAX];
	double sum = 0;

	t_ref_forward(&(struct t_ref){ &s->net, s->wd, s->x, BATCH, true, 0, 0, NULL }, out);
	for (size_t i = 0; i < (size_t)BATCH * s->net.out_n; i++)
		sum += s->coef[i] * out[i];
	return sum;
}

/* Central difference by weight i, and how far the one-sided ones are apart: large at a kink. */
static double difference(struct setting *s, size_t i, double *bend)
{
	const double keep = s->wd[i], h = 1e-5, mid = value_at(s);
	double up, down;

	s->wd[i] = keep + h;
	up = value_at(s);
	s->wd[i] = keep - h;
	down = value_at(s);
	s->wd[i] = keep;
	*bend = fabs(up + down - 2 * mid) / h;
	return (up - down) / (2 * h);
}

/* Random inputs and coefficients, and the gradient by the layers. */
static void differentiate(struct setting *s, uint64_t seed, const struct hn_kernels *kern)
{
	struct hn_run run;
	struct hn_rng rng;

	hn_rng_seed(&rng, seed);
	ck_assert_uint_le(s->net.n_weights, W_MAX);
	hn_net_init(&s->net, 3, s->w);
	for (size_t i = 0; i < s->net.n_weights; i++)
		s->wd[i] = (double)s->w[i];
	for (size_t i = 0; i < X_MAX; i++)
		s->x[i] = (float)hn_rng_normal(&rng);
	ck_assert_int_eq(hn_run_init(&run, &s->net, BATCH, HN_RUN_TRAIN, &arena), HN_OK);
	run.kern = kern;
	hn_run_load(&run, s->x, NULL, BATCH);
	hn_run_forward(&run, s->w);
	memset(run.dy, 0, s->net.out_n * run.lanes * sizeof(float));
	for (size_t j = 0; j < BATCH; j++)
		for (size_t c = 0; c < s->net.out_n; c++) {
			run.dy[c * run.lanes + j] = (float)hn_rng_normal(&rng);
			s->coef[j * s->net.out_n + c] = (double)run.dy[c * run.lanes + j];
		}
	hn_run_backward(&run, s->w, s->g);
	hn_arena_reset(&arena, 0);
}

START_TEST(gradients_equal_central_differences_in_double)
{
	static struct setting s;
	const char *text = examples[_i].text;
	int fits = 0;

	for (int place = 0; place < PLACES; place++) {
		double worst = 0;
		size_t tested = 0;

		if (!net_around(text, place, &s.net))
			continue;
		fits++;
		differentiate(&s, 100 + (uint64_t)place, hn_kernels_best());
		for (size_t i = 0; i < s.net.n_weights; i++) {
			double bend;
			const double d = difference(&s, i, &bend);

			if (bend > 1e-2)
				continue;                /* a kink between the two points */
			worst = fmax(worst, fabs(d - (double)s.g[i]) / (1 + fabs(d)));
			tested++;
		}
		ck_assert_msg(worst < 2e-5, "%s, place %d: off by %g", text, place, worst);
		ck_assert_uint_ge(tested, s.net.n_weights - s.net.n_weights / 20);
	}
	ck_assert_int_ge(fits, 3);
}
END_TEST

START_TEST(gradients_have_the_same_bits_at_every_level_with_fused_multiply_add)
{
	static struct setting a, b;

	for (int place = 0; place < PLACES; place++) {
		if (!net_around(examples[_i].text, place, &a.net))
			continue;
		b.net = a.net;
		for (size_t k = 2; hn_kernels_at(k); k++) {
			differentiate(&a, 200 + (uint64_t)place, hn_kernels_at(1));
			differentiate(&b, 200 + (uint64_t)place, hn_kernels_at(k));
			ck_assert_msg(memcmp(a.g, b.g, a.net.n_weights * sizeof *a.g) == 0, "%s, place %d, %s",
			              examples[_i].text, place, hn_kernels_at(k)->name);
		}
	}
}
END_TEST

/* A batch in one go, sample by sample, and at every level: the same outputs. */
START_TEST(outputs_do_not_depend_on_batch_or_level)
{
	struct hn_net net;
	static float w[W_MAX], x[X_MAX], all[256 * BATCH], one[256];
	struct hn_rng rng;

	ck_assert(net_around(examples[_i].text, 1, &net));
	hn_rng_seed(&rng, 4);
	hn_net_init(&net, 8, w);
	for (size_t i = 0; i < X_MAX; i++)
		x[i] = (float)hn_rng_normal(&rng);
	ck_assert_int_eq(hn_predict(&(struct hn_predict){ &net, w }, x, BATCH, all, &arena), HN_OK);
	for (uint32_t j = 0; j < BATCH; j++) {
		ck_assert_int_eq(hn_predict(&(struct hn_predict){ &net, w }, x + j * hn_size(net.in), 1,
		                 one, &arena), HN_OK);
		ck_assert_mem_eq(one, all + j * net.out_n, net.out_n * sizeof *one);
	}
	for (size_t k = 0; hn_kernels_at(k); k++) {
		struct hn_run run;

		ck_assert_int_eq(hn_run_init(&run, &net, BATCH, 0, &arena), HN_OK);
		run.kern = hn_kernels_at(k);
		hn_run_load(&run, x, NULL, BATCH);
		hn_run_forward(&run, w);
		for (uint32_t j = 0; j < BATCH; j++)
			for (uint32_t c = 0; c < net.out_n; c++)
				ck_assert_double_eq_tol((double)hn_run_out(&run)[c * run.lanes + j],
				                        (double)all[j * net.out_n + c], 1e-5);
		hn_arena_reset(&arena, 0);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("layer");
	TCase *t = tcase_create("layer");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_layer_has_an_example_and_a_number_of_its_own);
	tcase_add_test(t, every_layer_loss_and_optimiser_is_in_the_documentation);
	tcase_add_loop_test(t, gradients_equal_central_differences_in_double, 0, N_EXAMPLES);
	tcase_add_loop_test(t, gradients_have_the_same_bits_at_every_level_with_fused_multiply_add, 0,
	                    N_EXAMPLES);
	tcase_add_loop_test(t, outputs_do_not_depend_on_batch_or_level, 0, N_EXAMPLES);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return t_run(suite());
}
