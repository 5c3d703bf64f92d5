/* check_drift.c - contract of every row of the detector table, and of the novelty score. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hn_drift.h"
#include "hn_episode.h"
#include "hn_novelty.h"
#include "hn_rng.h"
#include "t_must.h"
#include "t_run.h"

enum { SEED = 42, DIM = 4, CAP = 128 };

static _Alignas(16) unsigned char mem[HN_DRIFT_STATE_MAX], copy[HN_DRIFT_STATE_MAX];
static struct hn_rng rng;

/* Ordinary: N(0, 1) or 20 % errors.  Changed: 3 sd more, or 80 % errors. */
static double sample(const struct hn_detector *d, bool changed)
{
	if (d->kind == HN_DRIFT_ERROR)
		return hn_rng_unit(&rng) < (changed ? 0.8 : 0.2) ? 1.0 : 0.0;
	return hn_rng_normal(&rng) + (changed ? 3.0 : 0.0);
}

static void start(const struct hn_detector *d)
{
	hn_rng_seed(&rng, SEED);
	ck_assert_uint_le(d->state_size, sizeof mem);
	memset(mem, 0, sizeof mem);
	ck_assert_int_eq(d->init(mem, &d->defaults), HN_OK);
}

/* Largest score of n samples. */
static double run(const struct hn_detector *d, int n, bool changed)
{
	double peak = 0.0;

	for (int i = 0; i < n; i++) {
		double score = -1.0;

		T_MUST(d->step(mem, sample(d, changed), &score) == HN_OK, "%s", d->name);
		T_MUST(score >= 0.0 && isfinite(score), "%s: score %g", d->name, score);
		peak = fmax(peak, score);
	}
	return peak;
}

/* Over many runs: ddm has no false-alarm promise and is unlucky in one of five. */
START_TEST(stationary_is_quiet_and_a_step_is_found)
{
	const struct hn_detector *d = hn_detectors[_i];
	enum { RUNS = 100 };
	int quiet = 0, found = 0;

	for (int k = 0; k < RUNS; k++) {
		start(d);
		hn_rng_seed(&rng, SEED + (uint64_t)k);
		quiet += run(d, 500, false) < 1.0;
		found += run(d, 60, true) >= 1.0;
	}
	printf("%-14s quiet in %d, step found within 60 in %d of %d runs\n", d->name, quiet, found, RUNS);
	ck_assert_msg(quiet >= 75, "%s: quiet in %d runs", d->name, quiet);
	ck_assert_msg(found >= 90, "%s: found in %d runs", d->name, found);
}
END_TEST

START_TEST(what_is_not_a_number_leaves_the_state_as_it_was)
{
	const struct hn_detector *d = hn_detectors[_i];
	double score = -1.0;

	start(d);
	(void)run(d, 50, false);
	memcpy(copy, mem, sizeof mem);
	ck_assert_int_eq(d->step(mem, (double)NAN, &score), HN_ENUMERIC);
	ck_assert_int_eq(d->step(mem, -(double)INFINITY, &score), HN_ENUMERIC);
	if (d->kind == HN_DRIFT_ERROR)
		ck_assert_int_eq(d->step(mem, 1.5, &score), HN_ERANGE);
	ck_assert_mem_eq(copy, mem, sizeof mem);
	ck_assert(score == -1.0);
}
END_TEST

START_TEST(a_copied_state_goes_on_identically)
{
	const struct hn_detector *d = hn_detectors[_i];

	start(d);
	(void)run(d, 77, false);
	memcpy(copy, mem, sizeof mem);
	for (int i = 0; i < 300; i++) {
		const double x = sample(d, i > 150);
		double a = -1.0, b = -2.0;

		ck_assert_int_eq(d->step(mem, x, &a), HN_OK);
		ck_assert_int_eq(d->step(copy, x, &b), HN_OK);
		ck_assert(a == b);
	}
	ck_assert_mem_eq(mem, copy, d->state_size);
}
END_TEST

START_TEST(impossible_parameters_are_refused)
{
	const struct hn_detector *d = hn_detectors[_i];
	const struct hn_drift_params bad = { .arl = (double)NAN, .threshold = -1.0, .k = -1.0,
		.clip = -1.0, .alpha = 2.0, .confidence = 2.0, .p0 = 2.0, .min_n = -1 };

	memset(mem, 0xa5, sizeof mem);
	memcpy(copy, mem, sizeof mem);
	ck_assert_int_eq(d->init(mem, &bad), HN_ERANGE);
	ck_assert_mem_eq(mem, copy, sizeof mem);
}
END_TEST

START_TEST(every_row_is_found_by_its_name_and_names_its_source)
{
	const struct hn_detector *d = hn_detectors[_i];

	ck_assert_ptr_eq(hn_detector_find(d->name), d);
	ck_assert(strlen(d->source) > 10 && strlen(d->help) > 10);
	ck_assert_ptr_null(hn_detector_find("no_such_detector"));
}
END_TEST

START_TEST(an_alarm_is_followed_by_a_new_start)
{
	const struct hn_detector *d = hn_detectors[_i];
	double score = 0.0;

	start(d);
	(void)run(d, 500, false);
	for (int i = 0; score < 1.0; i++) {
		ck_assert_int_lt(i, 1000);
		ck_assert_int_eq(d->step(mem, sample(d, true), &score), HN_OK);
	}
	ck_assert_int_eq(d->step(mem, 0.0, &score), HN_OK);
	ck_assert_msg(score < 1.0, "%s", d->name);
}
END_TEST

/* --- budgets ---------------------------------------------------------------------------------- */

START_TEST(cusum_threshold_gives_the_mean_time_between_false_alarms)
{
	const struct hn_detector *d = hn_detector_find("cusum");
	struct hn_drift_params p = d->defaults;
	const int n = 1000000;
	int alarms = 0;

	p.arl = 2000.0;
	ck_assert_int_eq(d->init(mem, &p), HN_OK);
	hn_rng_seed(&rng, SEED);
	for (int i = 0; i < n; i++) {
		double score = 0.0;

		T_MUST(d->step(mem, hn_rng_normal(&rng), &score) == HN_OK, "sample %d", i);
		alarms += score >= 1.0;
	}
	printf("cusum: %d alarms in %d samples, budget %d\n", alarms, n, (int)(n / p.arl));
	ck_assert_int_le(alarms, (int)(1.25 * n / p.arl));
	ck_assert_int_ge(alarms, (int)(0.75 * n / p.arl));
	/* The textbook's k = 0.5, h = 5 is 938 samples, one-sided (Siegmund's formula). */
	ck_assert(fabs(hn_cusum_arl(5.0, 0.5) - 938.0) < 1.0);
}
END_TEST

START_TEST(bernoulli_keeps_its_budget_at_every_error_rate)
{
	static const double rates[] = { 0.02, 0.1, 0.3 };
	const struct hn_detector *d = hn_detector_find("bernoulli");
	struct hn_drift_params p = d->defaults;
	const int n = 200000;
	int alarms = 0;

	p.arl = 1000.0;
	p.p0 = rates[_i];
	ck_assert_int_eq(d->init(mem, &p), HN_OK);
	hn_rng_seed(&rng, SEED);
	for (int i = 0; i < n; i++) {
		double score = 0.0;

		T_MUST(d->step(mem, hn_rng_unit(&rng) < rates[_i] ? 1.0 : 0.0, &score) == HN_OK,
		       "sample %d", i);
		alarms += score >= 1.0;
	}
	printf("bernoulli %g: %d alarms in %d, budget %d\n", rates[_i], alarms, n, (int)(n / p.arl));
	ck_assert_int_le(alarms, (int)(n / p.arl));
}
END_TEST

/* --- novelty ---------------------------------------------------------------------------------- */

static struct hn_novelty *novelty;
static const float floors[DIM] = { 1e-3f, 1e-3f, 1e-3f, 1e-3f };

static void novelty_setup(void)
{
	novelty = malloc(hn_novelty_size(CAP, DIM));
	ck_assert_ptr_nonnull(novelty);
	ck_assert_int_eq(hn_novelty_init(novelty, CAP, DIM, 1), HN_OK);
	hn_rng_seed(&rng, SEED);
}

static void novelty_teardown(void)
{
	free(novelty);
}

/* A machine that stays in one of three states for 10 to 19 blocks. */
static void machine(float *x, double shift, double unit, double origin)
{
	static int left, state;
	static const double at[3][DIM] = { { 0, 0, 5, 1 }, { 8, 2, -3, 1 }, { -6, 9, 0, 1 } };

	if (left-- <= 0) {
		left = 9 + (int)hn_rng_below(&rng, 10);
		state = (int)hn_rng_below(&rng, 3);
	}
	for (int k = 0; k < DIM; k++)
		x[k] = (float)(origin + unit * (at[state][k] + (k == 3 ? 0.0 : hn_rng_normal(&rng))
		                                + (k < 2 ? shift : 0.0)));
}

static int alarms(int n, double shift, double unit, double origin)
{
	const double k = hn_novelty_slack(novelty), h = hn_novelty_threshold(novelty, 1e6);
	double s = 0.0;
	int found = 0;

	for (int i = 0; i < n; i++) {
		float x[DIM];
		double z;

		machine(x, shift, unit, origin);
		ck_assert_int_eq(hn_novelty_step(novelty, x, &z, NULL), HN_OK);
		s = fmax(0.0, s + fmin(z, HN_NOVELTY_CLIP) - k);
		if (s >= h) {
			found++;
			s = 0.0;
		}
	}
	return found;
}

static void learn(int n, double unit, double origin)
{
	for (int i = 0; i < n; i++) {
		float x[DIM];

		machine(x, 0.0, unit, origin);
		ck_assert_int_eq(hn_novelty_learn(novelty, x), HN_OK);
	}
	ck_assert_int_eq(hn_novelty_freeze(novelty, floors), HN_OK);
}

START_TEST(novelty_is_quiet_between_known_states_and_finds_a_shift_in_any_of_them)
{
	learn(CAP * 3, 1.0, 0.0);
	ck_assert_int_eq(alarms(20000, 0.0, 1.0, 0.0), 0);
	ck_assert_int_ge(alarms(60, 5.0, 1.0, 0.0), 1);
}
END_TEST

START_TEST(novelty_does_not_depend_on_unit_and_origin)
{
	float x[DIM], y[DIM];
	struct hn_novelty *other = malloc(hn_novelty_size(CAP, DIM));
	double a, b;

	ck_assert_ptr_nonnull(other);
	ck_assert_int_eq(hn_novelty_init(other, CAP, DIM, 1), HN_OK);
	for (int i = 0; i < CAP + 100; i++) {
		machine(x, i < CAP ? 0.0 : 2.0, 1.0, 0.0);
		for (int k = 0; k < DIM; k++)
			y[k] = 64.0f * x[k] - 1024.0f;
		if (i < CAP) {
			ck_assert_int_eq(hn_novelty_learn(novelty, x), HN_OK);
			ck_assert_int_eq(hn_novelty_learn(other, y), HN_OK);
			continue;
		}
		if (i == CAP) {
			ck_assert_int_eq(hn_novelty_freeze(novelty, floors), HN_OK);
			ck_assert_int_eq(hn_novelty_freeze(other, floors), HN_OK);
		}
		ck_assert_int_eq(hn_novelty_step(novelty, x, &a, NULL), HN_OK);
		ck_assert_int_eq(hn_novelty_step(other, y, &b, NULL), HN_OK);
		ck_assert_msg(fabs(a - b) < 1e-2 * fmax(1.0, fabs(a)), "%g and %g", a, b);
	}
	free(other);
}
END_TEST

START_TEST(novelty_names_the_dimensions_that_moved)
{
	float x[DIM] = { 0, 0, 5, 1 }, rest[DIM];
	double z;

	learn(CAP, 1.0, 0.0);
	x[3] = 2.0f;                             /* was constant */
	ck_assert_int_eq(hn_novelty_step(novelty, x, &z, rest), HN_OK);
	ck_assert(z > 4.0);
	ck_assert(fabsf(rest[3]) > 100.0f && fabsf(rest[0]) < 3.0f);
}
END_TEST

START_TEST(novelty_refuses_what_it_cannot_use)
{
	float x[DIM] = { 0, 0, (float)NAN, 0 };
	double z = -7.0;

	ck_assert_uint_eq(hn_novelty_size(CAP, HN_NOVELTY_DIM + 1), 0);
	ck_assert_uint_eq(hn_novelty_size(HN_NOVELTY_CAP + 1, 1), 0);
	ck_assert_int_eq(hn_novelty_learn(novelty, x), HN_ENUMERIC);
	ck_assert_int_eq(hn_novelty_freeze(novelty, floors), HN_EDATA);
	ck_assert_int_eq(hn_novelty_step(novelty, x, &z, NULL), HN_ESTATE);
	learn(CAP, 1.0, 0.0);
	ck_assert_int_eq(hn_novelty_step(novelty, x, &z, NULL), HN_ENUMERIC);
	x[2] = 0.0f;
	ck_assert_int_eq(hn_novelty_learn(novelty, x), HN_ESTATE);
	ck_assert(z == -7.0);
}
END_TEST

/* --- verdict and episode ---------------------------------------------------------------------- */

static const struct { struct hn_signs signs; enum hn_verdict_kind kind; } verdicts[] = {
	{ { .calm = true }, HN_STEADY },
	{ { .input = true }, HN_DATA_DRIFT },
	{ { .margin = true }, HN_DATA_DRIFT },
	{ { .errors = true }, HN_CONCEPT_DRIFT },
	{ { .errors = true, .margin = true }, HN_CONCEPT_DRIFT },
	{ { .input = true, .errors = true }, HN_DATA_DRIFT },
	{ { .fault = HN_FAULT_STUCK, .input = true }, HN_SENSOR_FAULT },
	{ { .fault = HN_FAULT_RANGE, .errors = true }, HN_SENSOR_FAULT },
};

START_TEST(the_charts_that_fired_decide_the_verdict)
{
	ck_assert_int_eq(hn_verdict_of(&verdicts[_i].signs), verdicts[_i].kind);
}
END_TEST

START_TEST(an_episode_alarms_once_and_ends_when_quiet_or_rearmed)
{
	const struct hn_signs bad = { .input = true }, good = { .calm = true };
	const struct hn_signs restless = { .calm = false };
	struct hn_episode e = { .open = false };
	int opened = 0;

	for (int i = 0; i < 100; i++)            /* the chart restarts after each of its alarms */
		opened += hn_episode_step(&e, i % 3 ? &good : &bad, 50, i) == HN_EPISODE_OPENED;
	ck_assert_int_eq(opened, 1);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(hn_episode_step(&e, &restless, 50, i), HN_EPISODE_NONE);
	for (int i = 0; i < 49; i++)
		ck_assert_int_eq(hn_episode_step(&e, &good, 50, 500 + i), HN_EPISODE_NONE);
	ck_assert_int_eq(hn_episode_step(&e, &good, 50, 777), HN_EPISODE_CLOSED);
	ck_assert(!e.open && e.closed_us == 777);
	ck_assert_int_eq(hn_episode_rearm(&e, 800), HN_EPISODE_NONE);
	ck_assert_int_eq(hn_episode_step(&e, &bad, 50, 900), HN_EPISODE_OPENED);
	ck_assert_int_eq(hn_episode_rearm(&e, 1000), HN_EPISODE_CLOSED);
}
END_TEST

START_TEST(drift_found_after_a_fault_changes_the_episode_once)
{
	const struct hn_signs fault = { .fault = HN_FAULT_STUCK }, drift = { .input = true };
	struct hn_episode e = { .open = false };

	ck_assert_int_eq(hn_episode_step(&e, &fault, 9, 1), HN_EPISODE_OPENED);
	ck_assert_int_eq(hn_episode_step(&e, &drift, 9, 2), HN_EPISODE_CHANGED);
	ck_assert_int_eq(hn_episode_step(&e, &drift, 9, 3), HN_EPISODE_NONE);
	ck_assert_int_eq(hn_episode_step(&e, &fault, 9, 4), HN_EPISODE_NONE);
	ck_assert_int_eq(e.kind, HN_DATA_DRIFT);
}
END_TEST

int main(void)
{
	int n = 0;
	Suite *s = suite_create("drift");
	TCase *t = tcase_create("contract"), *b = tcase_create("budget"), *v = tcase_create("novelty"),
	      *e = tcase_create("episode");

	printf("seed %d\n", SEED);
	while (hn_detectors[n])
		n++;
	tcase_add_loop_test(t, stationary_is_quiet_and_a_step_is_found, 0, n);
	tcase_add_loop_test(t, what_is_not_a_number_leaves_the_state_as_it_was, 0, n);
	tcase_add_loop_test(t, a_copied_state_goes_on_identically, 0, n);
	tcase_add_loop_test(t, impossible_parameters_are_refused, 0, n);
	tcase_add_loop_test(t, every_row_is_found_by_its_name_and_names_its_source, 0, n);
	tcase_add_loop_test(t, an_alarm_is_followed_by_a_new_start, 0, n);
	tcase_add_test(b, cusum_threshold_gives_the_mean_time_between_false_alarms);
	tcase_add_loop_test(b, bernoulli_keeps_its_budget_at_every_error_rate, 0, 3);
	tcase_add_checked_fixture(v, novelty_setup, novelty_teardown);
	tcase_add_test(v, novelty_is_quiet_between_known_states_and_finds_a_shift_in_any_of_them);
	tcase_add_test(v, novelty_does_not_depend_on_unit_and_origin);
	tcase_add_test(v, novelty_names_the_dimensions_that_moved);
	tcase_add_test(v, novelty_refuses_what_it_cannot_use);
	tcase_add_loop_test(e, the_charts_that_fired_decide_the_verdict, 0,
	                    (int)(sizeof verdicts / sizeof verdicts[0]));
	tcase_add_test(e, an_episode_alarms_once_and_ends_when_quiet_or_rearmed);
	tcase_add_test(e, drift_found_after_a_fault_changes_the_episode_once);
	tcase_set_timeout(b, 30);
	suite_add_tcase(s, t);
	suite_add_tcase(s, b);
	suite_add_tcase(s, v);
	suite_add_tcase(s, e);
	return t_run(s);
}
