/* Losses against their definitions and optimisers against PyTorch's formulas, in double. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "hn_loss.h"
#include "hn_optim.h"
#include "hn_rng.h"
#include "t_run.h"

enum { OUT = 5, LANES = HN_LANES, USED = 11 };

struct loss_setting {
	float y[OUT * LANES], t[OUT * LANES], dy[OUT * LANES], share[LANES], loss[LANES];
	float work[OUT * LANES], smoothing;
	int32_t label[LANES];
	const struct hn_kernels *kern;   /* NULL: the best                                         */
	bool weighted, by_label;         /* classes have weights; no targets                       */
};

#define DELTA 0.75
static const float class_weight[OUT] = { 0.5f, 1, 2, 3, 0.25f };

static void run_loss(const struct hn_loss_type *l, struct loss_setting *s, float *dy)
{
	l->run(&(struct hn_loss_pass){ .kern = s->kern ? s->kern : hn_kernels_best(),
	       .n = USED, .lanes = LANES,
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

/* The sums of squares that a step reports of a part. */
static void expect_did(const struct hn_optim_part *p, const struct reference *r, const double *was)
{
	double change = 0, norm = 0;

	for (uint32_t i = p->at; i < p->at + p->n; i++) {
		change += (r[i].w - was[i]) * (r[i].w - was[i]);
		norm += r[i].w * r[i].w;
	}
	ck_assert_double_eq_tol(sqrt(p->change), sqrt(change), 1e-5 + 1e-3 * sqrt(change));
	ck_assert_double_eq_tol(sqrt(p->norm), sqrt(norm), 1e-4);
}

/* Bits of the case: decay and a smaller momentum, nesterov, nothing was clipped. */
START_TEST(optimisers_follow_a_double_reference_for_1000_steps)
{
	enum { P = 37, N = sizeof optims / sizeof *optims };

	for (size_t k = 0; hn_optims[k]; k++) {
		const double decay = _i & 1 ? 0.05 : 0, momentum = _i & 1 ? 0.5 : 0.9;
		float w[P], g[P], state[2 * P] = { 0 };
		double was[P];
		struct hn_optim_part parts[] = { { .n = 20 }, { .at = 20, .n = P - 20 } };
		struct reference r[P];
		struct hn_rng rng;
		size_t ref = N - 1;

		while (ref > 0 && strcmp(optims[ref].name, hn_optims[k]->name) != 0)
			ref--;
		ck_assert_msg(strcmp(optims[ref].name, hn_optims[k]->name) == 0,
		              "no reference for the optimiser %s", hn_optims[k]->name);
		ck_assert_uint_le(hn_optims[k]->n_state, 2);
		hn_rng_seed(&rng, 5);
		for (int i = 0; i < P; i++) {
			w[i] = (float)hn_rng_normal(&rng);
			r[i] = (struct reference){ (double)w[i], 0, 0, decay, momentum, _i & 2 };
		}
		for (int t = 1; t <= 1000; t++) {
			for (int i = 0; i < P; i++) {
				g[i] = (float)(r[i].w + 0.1 * hn_rng_normal(&rng));
				was[i] = r[i].w;
				optims[ref].step(&r[i], (double)g[i], t);
				g[i] *= _i & 4 ? 1 : 4;  /* what clipping would take back                      */
			}
			hn_optims[k]->step(&(struct hn_optim_step){
				.kern = hn_kernels_best(), .part = parts, .n_parts = 2, .n = P,
				.step = (uint64_t)t, .lr = (float)rate, .weight_decay = (float)decay,
				.momentum = (float)momentum, .nesterov = _i & 2,
				.scale = _i & 4 ? 1 : 0.25f, .g = g, .w = w, .state = state });
			expect_did(&parts[0], r, was);
			expect_did(&parts[1], r, was);
			for (int i = 0; i < P; i++)
				ck_assert_msg(fabs((double)w[i] - r[i].w) < 2e-5, "%s, step %d: %g, %g",
				              hn_optims[k]->name, t, (double)w[i], r[i].w);
		}
	}
}
END_TEST

/* Every loss, then every optimiser, into one array: what a level of the CPU computes. */
static size_t compute(const struct hn_kernels *kern, float *out)
{
	enum { P = 101 };
	struct loss_setting s;
	float *const begin = out;

	for (int k = 0; hn_losses[k]; k++, out += OUT * LANES + LANES) {
		fill_loss(hn_losses[k], &s, 0.1f);
		s.kern = kern;
		run_loss(hn_losses[k], &s, s.dy);
		memcpy(out, s.dy, sizeof s.dy);
		memcpy(out + OUT * LANES, s.loss, sizeof s.loss);
	}
	for (int k = 0; hn_optims[k]; k++, out += 3 * P) {
		struct hn_optim_part part[] = { { 1, 40, 0, 0 }, { 41, 60, 0, 0 } };
		float g[P], *w = out;
		struct hn_rng rng;

		hn_rng_seed(&rng, 3);
		memset(out, 0, 3 * P * sizeof *out);
		for (int i = 0; i < P; i++)
			g[i] = (float)hn_rng_normal(&rng);
		for (uint64_t t = 1; t < 4; t++)
			hn_optims[k]->step(&(struct hn_optim_step){
				.kern = kern, .part = part, .n_parts = 2, .n = P, .step = t, .lr = 0.1f,
				.weight_decay = 0.1f, .momentum = 0.9f, .scale = 1, .g = g, .w = w, .state = w + P });
		ck_assert(w[0] == 0 && w[1] != 0);
	}
	return (size_t)(out - begin);
}

START_TEST(levels_with_fused_multiply_add_give_the_same_bits)
{
	static float a[4096], b[4096];
	size_t n;

	if (!hn_kernels_at(2))
		return;
	n = compute(hn_kernels_at(1), a);
	ck_assert_uint_le(n, 4096);
	ck_assert_uint_eq(compute(hn_kernels_at(2), b), n);
	ck_assert_mem_eq(a, b, n * sizeof *a);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("loss");
	TCase *t = tcase_create("loss");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, losses_and_their_gradients_follow_the_definition, 0, 8);
	tcase_add_test(t, a_loss_without_gradient_is_the_same_loss);
	tcase_add_test(t, a_nan_output_gives_a_nan_loss);
	tcase_add_loop_test(t, optimisers_follow_a_double_reference_for_1000_steps, 0, 8);
	tcase_add_test(t, levels_with_fused_multiply_add_give_the_same_bits);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return t_run(suite());
}
