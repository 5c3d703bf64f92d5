/* Random nets: whatever their layers, what is promised of every net holds. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hn_layer.h"
#include "hn_rng.h"
#include "hn_run.h"
#include "t_must.h"
#include "t_nets.h"
#include "t_ref.h"
#include "t_run.h"

enum { NETS = 300, LAYERS = 24, W_MAX = 4000, X_MAX = 36 * T_REF_N, OUT_MAX = 256, TRIED = 20 };

static struct hn_arena arena;
static struct t_random r;
static float w[W_MAX], x[X_MAX], folded_w[W_MAX];
static double wd[W_MAX], coef[OUT_MAX * T_REF_N];
static uint64_t nets = NETS;             /* or what HONED_NETS says                            */
static uint32_t n;                       /* samples                                            */
static double least;                     /* variance that a norm of the last reference had     */

/* A norm of a channel that hardly changes makes numbers of rounding errors. */
#define LEAST 1e-3

/* Net, weights, inputs and coefficients of one seed. */
static void make(uint64_t seed)
{
	struct hn_rng g;

	t_random_net(seed, (struct t_limits){ LAYERS, W_MAX }, &r, w);
	hn_rng_seed(&g, seed + 1000000);
	n = 1 + hn_rng_below(&g, T_REF_N);
	for (size_t i = 0; i < n * hn_size(r.net.in); i++)
		x[i] = (float)hn_rng_normal(&g);
	for (size_t i = 0; i < (size_t)n * r.net.out_n; i++)
		coef[i] = hn_rng_normal(&g);
	for (uint32_t i = 0; i < r.net.n_weights; i++)
		wd[i] = (double)w[i];
}

static void setup(void)
{
	arena = t_arena(16 << 20);
}

static void teardown(void)
{
	t_arena_free(&arena);
}

/* A run with the batch loaded and passed forward. */
static void forward(struct hn_run *run, const struct hn_kernels *kern, unsigned flags,
                    bool learning)
{
	ck_assert_int_eq(hn_run_init(run, &r.net, n, flags, &arena), HN_OK);
	run->kern = kern;
	run->learning = learning;
	run->seed = 7;
	run->step = 11;
	hn_run_load(run, x, NULL, n);
	hn_run_forward(run, w);
}

static double reference(bool learning, double *out)
{
	double sum = 0;

	least = 1;
	t_ref_forward(&(struct t_ref){ &r.net, wd, x, n, learning, 7, 11, &least }, out);
	for (size_t i = 0; i < (size_t)n * r.net.out_n; i++)
		sum += coef[i] * out[i];
	return sum;
}

START_TEST(outputs_are_those_of_the_definition)
{
	static double out[OUT_MAX * T_REF_N];
	double worst = 0;
	int skipped = 0;

	for (uint64_t seed = 1; seed <= nets; seed++)
		for (int learning = 0; learning < 2; learning++) {
			struct hn_run run;

			make(seed);
			forward(&run, hn_kernels_best(), HN_RUN_TRAIN, learning);
			(void)reference(learning, out);
			skipped += least < LEAST;
			for (uint32_t j = 0; least >= LEAST && j < n; j++)
				for (size_t c = 0; c < r.net.out_n; c++) {
					const double want = out[j * r.net.out_n + c];
					const double off = fabs((double)hn_run_out(&run)[c * run.lanes + j] - want);

					T_MUST(off < 1e-5 * (1 + fabs(want)), "seed %d, (%u, %u) %s: off by %g",
					       (int)seed, r.net.in.len, r.net.in.ch, r.text, off);
					worst = fmax(worst, off);
				}
			hn_arena_reset(&arena, 0);
		}
	printf("random_net: %d nets, seeds from 1; %d of %d passes skipped; outputs off by %.1e at most\n",
	       (int)nets, skipped, 2 * (int)nets, worst);
	ck_assert_int_lt(skipped, (int)nets / 3);
}
END_TEST

/* Central difference by weight i; `bend`: how far the one-sided ones are apart. */
static double difference(size_t i, bool learning, double *bend)
{
	static double out[OUT_MAX * T_REF_N];
	const double keep = wd[i], h = 1e-6, mid = reference(learning, out);
	double up, down;

	wd[i] = keep + h;
	up = reference(learning, out);
	wd[i] = keep - h;
	down = reference(learning, out);
	wd[i] = keep;
	*bend = fabs(up + down - 2 * mid) / h;
	return (up - down) / (2 * h);
}

/* Weight i is not trained. */
static bool is_state(uint32_t i)
{
	for (unsigned k = 0; k < r.net.n_layers; k++) {
		const uint32_t end = r.net.layer[k].w_at + r.net.layer[k].n_w;

		if (i < end)
			return i >= end - r.net.layer[k].n_state;
	}
	return false;
}

static void backward(struct hn_run *run, float *g)
{
	memset(run->dy, 0, r.net.out_n * run->lanes * sizeof *run->dy);
	for (uint32_t j = 0; j < n; j++)
		for (size_t c = 0; c < r.net.out_n; c++)
			run->dy[c * run->lanes + j] = (float)coef[j * r.net.out_n + c];
	hn_run_backward(run, w, g);
}

START_TEST(gradients_are_those_of_the_definition)
{
	static float g[W_MAX];
	double worst = 0;
	size_t tested = 0, bent = 0;

	for (uint64_t seed = 1; seed <= nets; seed++) {
		struct hn_run run;
		struct hn_rng pick;
		double scale = 0;

		make(seed);
		forward(&run, hn_kernels_best(), HN_RUN_TRAIN, seed % 4 != 0);
		backward(&run, g);
		for (uint32_t i = 0; i < r.net.n_weights; i++)
			scale = fmax(scale, fabs((double)g[i]));
		hn_rng_seed(&pick, seed);
		for (int k = 0; k < TRIED && r.net.n_weights; k++) {
			const uint32_t i = hn_rng_below(&pick, r.net.n_weights);
			double bend, d, off;

			if (is_state(i)) {
				ck_assert(g[i] == 0);
				continue;
			}
			d = difference(i, seed % 4 != 0, &bend);
			if (least < LEAST)
				break;
			tested++;
			bent += bend > 2e-5 * (1 + scale);
			if (bend > 2e-5 * (1 + scale))
				continue;                /* a kink between the two points */
			off = fabs(d - (double)g[i]) / (1 + scale);
			T_MUST(off < 2e-5, "seed %d, (%u, %u), %u samples, %s: weight %u: %g, difference %g",
			       (int)seed, r.net.in.len, r.net.in.ch, n, r.text, i, (double)g[i], d);
			worst = fmax(worst, off);
		}
		hn_arena_reset(&arena, 0);
	}
	printf("random_net: %zu gradients, %zu at kinks, off by %.1e at most\n", tested, bent, worst);
	ck_assert_uint_lt(bent, tested / 50);
}
END_TEST

/* Dry and real take the same code; every byte of every run is in the plan. */
START_TEST(the_plan_of_a_run_is_its_peak)
{
	static const unsigned some[] = { 0, HN_RUN_TRAIN, HN_RUN_KEEP, HN_RUN_TRAIN | HN_RUN_KEEP,
		HN_RUN_TRAIN | HN_RUN_AGAIN };

	for (uint64_t seed = 1; seed <= nets; seed++)
		for (size_t k = 0; k < sizeof some / sizeof *some; k++) {
			const unsigned flags = some[k];
			struct hn_arena dry;
			struct hn_run run;

			make(seed);
			hn_arena_init(&dry, NULL, 0);
			ck_assert_int_eq(hn_run_init(&run, &r.net, n, flags, &dry), HN_OK);
			arena.peak = arena.used = 0;
			forward(&run, hn_kernels_best(), flags, flags & HN_RUN_TRAIN);
			T_MUST(arena.peak == dry.peak, "seed %d: %s", (int)seed, r.text);
			hn_arena_reset(&arena, 0);
			arena.cap = dry.peak - 1;
			T_MUST(hn_run_init(&run, &r.net, n, flags, &arena) == HN_ENOMEM, "%s", r.text);
			arena.cap = 16 << 20;
			ck_assert_uint_eq(arena.used, 0);
		}
}
END_TEST

/* Working in place, the batch around a sample and the level change nothing. */
START_TEST(outputs_depend_on_nothing_but_weights_and_input)
{
	static float one[OUT_MAX];

	for (uint64_t seed = 1; seed <= nets; seed++) {
		struct hn_run in_place, kept;
		const size_t in = hn_size((make(seed), r.net.in));

		forward(&in_place, hn_kernels_best(), 0, false);
		forward(&kept, hn_kernels_best(), HN_RUN_KEEP | HN_RUN_TRAIN, false);
		T_MUST(memcmp(hn_run_out(&in_place), hn_run_out(&kept),
		              r.net.out_n * kept.lanes * sizeof(float)) == 0, "seed %d: %s", (int)seed, r.text);
		for (uint32_t j = 0; j < n; j++) {
			ck_assert_int_eq(hn_predict(&(struct hn_predict){ &r.net, w }, x + j * in, 1, one,
			                 &arena), HN_OK);
			for (size_t c = 0; c < r.net.out_n; c++)
				T_MUST(memcmp(&one[c], &hn_run_out(&kept)[c * kept.lanes + j], sizeof *one) == 0,
				       "seed %d, sample %u: %s", (int)seed, j, r.text);
		}
		hn_arena_reset(&arena, 0);
	}
}
END_TEST

START_TEST(levels_with_fused_multiply_add_give_the_same_bits)
{
	static float g[2][W_MAX];
	size_t levels = 0;

	while (hn_kernels_at(levels))
		levels++;
	for (uint64_t seed = 1; seed <= nets && levels > 2; seed++) {
		struct hn_run run[2];

		make(seed);
		for (size_t k = 0; k < 2; k++) {
			forward(&run[k], hn_kernels_at(1 + k), HN_RUN_TRAIN, true);
			backward(&run[k], g[k]);
		}
		T_MUST(memcmp(hn_run_out(&run[0]), hn_run_out(&run[1]),
		              r.net.out_n * run[0].lanes * sizeof(float)) == 0, "seed %d: %s", (int)seed, r.text);
		T_MUST(memcmp(g[0], g[1], r.net.n_weights * sizeof *g[0]) == 0, "seed %d: %s", (int)seed,
		       r.text);
		hn_arena_reset(&arena, 0);
	}
}
END_TEST

/* Weights follow the batch, too: statistics of batch_norm, once. */
START_TEST(outputs_that_are_computed_again_give_the_same_bits_in_less_memory)
{
	static float g[2][W_MAX], tracked[2][W_MAX];
	size_t less = 0;

	for (uint64_t seed = 1; seed <= nets; seed++) {
		size_t bytes[2];

		make(seed);
		for (size_t k = 0; k < 2; k++) {
			const size_t mark = arena.used;
			struct hn_run run;

			forward(&run, hn_kernels_best(), HN_RUN_TRAIN | (k ? HN_RUN_AGAIN : 0), true);
			backward(&run, g[k]);
			memcpy(tracked[k], w, r.net.n_weights * sizeof *w);
			hn_run_track(&run, tracked[k]);
			bytes[k] = arena.used - mark;
		}
		hn_arena_reset(&arena, 0);
		T_MUST(memcmp(g[0], g[1], r.net.n_weights * sizeof *g[0]) == 0, "seed %d: %s", (int)seed,
		       r.text);
		T_MUST(memcmp(tracked[0], tracked[1], r.net.n_weights * sizeof *w) == 0, "seed %d: %s",
		       (int)seed, r.text);
		T_MUST(bytes[1] <= bytes[0], "seed %d: %s: %zu, %zu bytes", (int)seed, r.text, bytes[1],
		       bytes[0]);
		less += bytes[1] < bytes[0];
	}
	ck_assert_uint_gt(less, nets / 2);
}
END_TEST

START_TEST(the_folded_net_gives_the_same_outputs)
{
	static float a[OUT_MAX * T_REF_N], b[OUT_MAX * T_REF_N];
	size_t folded = 0;

	for (uint64_t seed = 1; seed <= nets; seed++) {
		struct hn_net to;
		hn_status rc;

		make(seed);
		rc = hn_net_fold(&r.net, w, &to, folded_w, NULL);
		if (rc == HN_ERANGE)
			continue;                /* nothing but dropout */
		ck_assert_int_eq(rc, HN_OK);
		folded += to.n_layers != r.net.n_layers;
		ck_assert_int_eq(hn_predict(&(struct hn_predict){ &r.net, w }, x, n, a, &arena), HN_OK);
		ck_assert_int_eq(hn_predict(&(struct hn_predict){ &to, folded_w }, x, n, b, &arena), HN_OK);
		for (size_t i = 0; i < (size_t)n * r.net.out_n; i++)
			T_MUST(fabs((double)a[i] - (double)b[i]) < 1e-4 * (1 + fabs((double)a[i])),
			       "seed %d: %s: %g, %g", (int)seed, r.text, (double)a[i], (double)b[i]);
	}
	ck_assert_uint_gt(folded, nets / 5);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("random_net");
	TCase *t = tcase_create("random_net");

	tcase_set_timeout(t, 600);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, outputs_are_those_of_the_definition);
	tcase_add_test(t, gradients_are_those_of_the_definition);
	tcase_add_test(t, the_plan_of_a_run_is_its_peak);
	tcase_add_test(t, outputs_depend_on_nothing_but_weights_and_input);
	tcase_add_test(t, levels_with_fused_multiply_add_give_the_same_bits);
	tcase_add_test(t, outputs_that_are_computed_again_give_the_same_bits_in_less_memory);
	tcase_add_test(t, the_folded_net_gives_the_same_outputs);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	const char *more = getenv("HONED_NETS");

	if (more)
		nets = strtoull(more, NULL, 10);
	return t_run(suite());
}
