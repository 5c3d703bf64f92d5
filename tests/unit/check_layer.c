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

/* Sum over outputs and samples of coef * y: its gradient with respect to y is coef. */
static double weighted_out(const struct hn_run *run, const float *coef)
{
	const float *y = hn_run_out(run);
	double sum = 0;

	for (size_t c = 0; c < run->net->out_n; c++)
		for (size_t j = 0; j < run->n; j++)
			sum += (double)coef[c * run->lanes + j] * (double)y[c * run->lanes + j];
	return sum;
}

enum { PLACES = 5, BATCH = 9, W_MAX = 1024, X_MAX = IN_LEN * IN_CH * BATCH };

struct setting { struct hn_run run; float w[W_MAX], g[W_MAX], x[X_MAX], coef[256 * HN_LANES]; };

static double value_at(struct setting *s)
{
	hn_run_load(&s->run, s->x, NULL, BATCH);
	hn_run_forward(&s->run, s->w);
	return weighted_out(&s->run, s->coef);
}

/* Central difference by weight i, and how far the one-sided ones are apart: large at a kink. */
static double difference(struct setting *s, size_t i, double *bend)
{
	const float keep = s->w[i], h = 4e-3f;
	double up, mid, down;

	mid = value_at(s);
	s->w[i] = keep + h;
	up = value_at(s);
	s->w[i] = keep - h;
	down = value_at(s);
	s->w[i] = keep;
	*bend = fabs(up + down - 2 * mid) / (double)h;
	return (up - down) / (2 * (double)h);
}

START_TEST(gradients_equal_central_differences)
{
	static struct setting s;
	const char *text = examples[_i].text;
	const struct hn_layer_type *type = hn_layer_find(examples[_i].layer, strlen(examples[_i].layer));
	int fits = 0;

	for (int place = 0; place < PLACES; place++) {
		struct hn_net net;
		struct hn_rng rng;
		double worst = 0;
		int tested = 0;

		if (!net_around(text, place, &net))
			continue;
		fits++;
		hn_rng_seed(&rng, 100 + (uint64_t)place);
		ck_assert_uint_le(net.n_weights, W_MAX);
		hn_net_init(&net, 3, s.w);
		for (size_t i = 0; i < X_MAX; i++)
			s.x[i] = (float)hn_rng_normal(&rng);
		ck_assert_int_eq(hn_run_init(&s.run, &net, BATCH, HN_RUN_TRAIN, &arena), HN_OK);
		memset(s.coef, 0, sizeof s.coef);
		for (size_t c = 0; c < net.out_n; c++)
			for (size_t j = 0; j < BATCH; j++)
				s.coef[c * s.run.lanes + j] = (float)hn_rng_normal(&rng);
		(void)value_at(&s);
		memcpy(s.run.dy, s.coef, net.out_n * s.run.lanes * sizeof(float));
		hn_run_backward(&s.run, s.w, s.g);
		for (size_t i = 0; i < net.n_weights; i++) {
			double bend;
			const double d = difference(&s, i, &bend);

			if (bend > (type->kinks ? 2e-3 : 0.5))
				continue;                /* a kink between the two points */
			worst = fmax(worst, fabs(d - (double)s.g[i]) / (1 + fabs(d)));
			tested++;
		}
		ck_assert_msg(worst < 2e-3, "%s, place %d: off by %g", text, place, worst);
		ck_assert_int_ge(tested, (int)net.n_weights / 2);
		hn_arena_reset(&arena, 0);
	}
	ck_assert_int_ge(fits, 3);
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

enum { OUT = 5, LANES = HN_LANES, USED = 11 };

struct loss_setting {
	float y[OUT * LANES], t[OUT * LANES], dy[OUT * LANES], share[LANES], loss[LANES];
	float work[(OUT + 2) * LANES], smoothing;
	int32_t label[LANES];
	bool weighted, by_label;         /* classes have weights; no targets                       */
};

#define DELTA 0.75
static const float class_weight[OUT] = { 0.5f, 1, 2, 3, 0.25f };

static void run_loss(const struct hn_loss_type *l, struct loss_setting *s, float *dy)
{
	l->run(&(struct hn_loss_pass){ .kern = hn_kernels_best(), .n = USED, .lanes = LANES,
	       .out_n = OUT, .y = s->y, .target = s->by_label ? NULL : s->t, .label = s->label,
	       .share = s->share, .smoothing = s->smoothing, .loss = s->loss, .work = s->work, .dy = dy,
	       .class_weight = s->weighted ? class_weight : NULL, .delta = (float)DELTA });
}

/* The same losses, from their definitions, in double: one term of the mean over outputs ... */
static double mse_term(double y, double t)
{
	return (y - t) * (y - t);
}

static double huber_term(double y, double t)
{
	const double d = fabs(y - t);

	return d <= DELTA ? d * d / 2 : DELTA * (d - DELTA / 2);
}

static double binary_term(double y, double t)
{
	return -t * log(1 / (1 + exp(-y))) - (1 - t) * log(1 - 1 / (1 + exp(-y)));
}

static double mean_term(const struct loss_setting *s, size_t j, double (*term)(double, double))
{
	double sum = 0;

	for (size_t c = 0; c < OUT; c++) {
		const double t = s->by_label ? (int32_t)c == s->label[j] : (double)s->t[c * LANES + j];

		sum += term((double)s->y[c * LANES + j], t) / OUT;
	}
	return sum;
}

/* ... and torch's CrossEntropyLoss(weight, label_smoothing), divided by the weight of the label. */
static double cross_entropy(const struct loss_setting *s, size_t j)
{
	const double even = (double)s->smoothing / OUT;
	double sum = 0, loss = 0;

	for (size_t c = 0; c < OUT; c++)
		sum += exp((double)s->y[c * LANES + j]);
	for (size_t c = 0; c < OUT; c++) {
		const double v = s->weighted ? (double)class_weight[c] : 1;
		const double of = s->weighted ? (double)class_weight[s->label[j]] : 1;
		const double t = (1 - (double)s->smoothing) * ((int32_t)c == s->label[j]) + even * v / of;

		loss -= t * ((double)s->y[c * LANES + j] - log(sum));
	}
	return loss;
}

static const struct { const char *name; double (*term)(double, double); } references[] = {
	{ "cross_entropy", NULL }, { "mse", mse_term }, { "huber", huber_term },
	{ "binary_cross_entropy", binary_term },
};

static double reference(const struct hn_loss_type *l, const struct loss_setting *s, size_t j)
{
	for (size_t i = 0; i < sizeof references / sizeof *references; i++)
		if (strcmp(references[i].name, l->name) == 0)
			return references[i].term ? mean_term(s, j, references[i].term)
			                          : cross_entropy(s, j);
	ck_abort_msg("no reference for the loss %s", l->name);
	return 0;
}

static void fill_loss(const struct hn_loss_type *l, struct loss_setting *s, float smoothing)
{
	struct hn_rng rng;

	hn_rng_seed(&rng, 21);
	*s = (struct loss_setting){ .smoothing = smoothing };
	for (size_t i = 0; i < OUT * LANES; i++) {
		s->y[i] = (float)(2 * hn_rng_normal(&rng));
		s->t[i] = (float)hn_rng_normal(&rng);
		if (l->target_hi > l->target_lo)
			s->t[i] = (float)hn_rng_unit(&rng);
	}
	for (size_t j = 0; j < USED; j++) {
		s->share[j] = (float)hn_rng_unit(&rng) / USED;
		s->label[j] = (int32_t)hn_rng_below(&rng, OUT);
	}
}

/* Bits of the case: smoothing, class weights, labels instead of targets. */
START_TEST(losses_and_their_gradients_follow_the_definition)
{
	for (int k = 0; hn_losses[k]; k++) {
		struct loss_setting s;

		fill_loss(hn_losses[k], &s, _i & 1 ? 0.1f : 0);
		s.weighted = _i & 2;
		s.by_label = _i & 4 || !hn_losses[k]->targets;
		if (s.by_label && !hn_losses[k]->labels)
			continue;
		run_loss(hn_losses[k], &s, s.dy);
		for (size_t j = 0; j < USED; j++)
			ck_assert_double_eq_tol((double)s.loss[j], reference(hn_losses[k], &s, j), 2e-6);
		for (size_t c = 0; c < OUT; c++)
			for (size_t j = 0; j < LANES; j++) {
				const size_t i = c * LANES + j;
				const float keep = s.y[i];
				double up, down, d;

				s.y[i] = keep + 1e-3f;
				up = j < USED ? reference(hn_losses[k], &s, j) : 0;
				s.y[i] = keep - 1e-3f;
				down = j < USED ? reference(hn_losses[k], &s, j) : 0;
				s.y[i] = keep;
				d = (double)s.share[j] * (up - down) / 2e-3;
				ck_assert_msg(fabs(d - (double)s.dy[i]) < 2e-4, "%s: %g, %g",
				              hn_losses[k]->name, d, (double)s.dy[i]);
			}
	}
}
END_TEST

START_TEST(a_loss_without_gradient_is_the_same_loss)
{
	for (int k = 0; hn_losses[k]; k++) {
		struct loss_setting a, b;

		fill_loss(hn_losses[k], &a, 0.1f);
		b = a;
		run_loss(hn_losses[k], &a, a.dy);
		run_loss(hn_losses[k], &b, NULL);
		ck_assert_mem_eq(a.loss, b.loss, sizeof a.loss);
	}
}
END_TEST

START_TEST(a_nan_output_gives_a_nan_loss)
{
	for (int k = 0; hn_losses[k]; k++)
		for (size_t c = 0; c < OUT; c++) {
			struct loss_setting s;

			fill_loss(hn_losses[k], &s, 0);
			s.y[c * LANES + 3] = NAN;
			run_loss(hn_losses[k], &s, s.dy);
			ck_assert_msg(isnan(s.loss[3]), "%s, output %zu", hn_losses[k]->name, c);
			ck_assert(!isnan(s.loss[2]));
		}
}
END_TEST

/* The optimisers written out in double, as PyTorch documents them. */
struct reference { double w, m, v, decay, momentum; bool nesterov; };

static const double rate = 0.01;

static void ref_adam(struct reference *r, double g, int t)
{
	r->m = 0.9 * r->m + 0.1 * g;
	r->v = 0.999 * r->v + 0.001 * g * g;
	r->w -= rate * (r->m / (1 - pow(0.9, t))) / (sqrt(r->v / (1 - pow(0.999, t))) + 1e-8);
}

static void ref_adam_l2(struct reference *r, double g, int t)
{
	ref_adam(r, g + r->decay * r->w, t);
}

static void ref_adamw(struct reference *r, double g, int t)
{
	r->w -= rate * r->decay * r->w;
	ref_adam(r, g, t);
}

static void ref_sgd(struct reference *r, double g, int t)
{
	g += r->decay * r->w;
	r->m = t > 1 ? r->momentum * r->m + g : g;
	r->w -= rate * (r->nesterov ? g + r->momentum * r->m : r->m);
}

static const struct {
	const char *name;
	void (*step)(struct reference *, double, int);
} optims[] = {
	{ "adam", ref_adam_l2 }, { "adamw", ref_adamw }, { "sgd", ref_sgd },
};

/* Bits of the case: decay and a smaller momentum, nesterov. */
START_TEST(optimisers_follow_a_double_reference_for_1000_steps)
{
	enum { P = 37, N = sizeof optims / sizeof *optims };

	for (size_t k = 0; hn_optims[k]; k++) {
		const double decay = _i & 1 ? 0.05 : 0, momentum = _i & 1 ? 0.5 : 0.9;
		float w[P], g[P], state[2 * P] = { 0 };
		struct reference r[P];
		struct hn_rng rng;
		size_t ref = 0;

		while (ref < N && strcmp(optims[ref].name, hn_optims[k]->name) != 0)
			ref++;
		ck_assert_msg(ref < N, "no reference for the optimiser %s", hn_optims[k]->name);
		ck_assert_uint_le(hn_optims[k]->n_state, 2);
		hn_rng_seed(&rng, 5);
		for (int i = 0; i < P; i++) {
			w[i] = (float)hn_rng_normal(&rng);
			r[i] = (struct reference){ (double)w[i], 0, 0, decay, momentum, _i & 2 };
		}
		for (int t = 1; t <= 1000; t++) {
			for (int i = 0; i < P; i++) {
				g[i] = (float)(r[i].w + 0.1 * hn_rng_normal(&rng));
				optims[ref].step(&r[i], (double)g[i], t);
				g[i] *= 4;               /* what clipping would take back                      */
			}
			hn_optims[k]->step(&(struct hn_optim_step){
				.kern = hn_kernels_best(), .n = P, .step = (uint64_t)t, .lr = (float)rate,
				.weight_decay = (float)decay, .momentum = (float)momentum, .nesterov = _i & 2,
				.scale = 0.25f, .g = g, .w = w, .state = state, .stride = P });
			for (int i = 0; i < P; i++)
				ck_assert_msg(fabs((double)w[i] - r[i].w) < 2e-5, "%s, step %d: %g, %g",
				              hn_optims[k]->name, t, (double)w[i], r[i].w);
		}
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
	tcase_add_loop_test(t, gradients_equal_central_differences, 0, N_EXAMPLES);
	tcase_add_loop_test(t, outputs_do_not_depend_on_batch_or_level, 0, N_EXAMPLES);
	tcase_add_loop_test(t, losses_and_their_gradients_follow_the_definition, 0, 8);
	tcase_add_test(t, a_loss_without_gradient_is_the_same_loss);
	tcase_add_test(t, a_nan_output_gives_a_nan_loss);
	tcase_add_loop_test(t, optimisers_follow_a_double_reference_for_1000_steps, 0, 4);
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
