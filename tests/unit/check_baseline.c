/* check_baseline.c - the false-alarm budget holds on streams with memory, seasons and coarse
 * steps. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "hn_baseline.h"
#include "hn_drift.h"
#include "hn_rng.h"
#include "t_must.h"
#include "t_run.h"

enum { SEED = 20261122, DAY = 1440, MONTH = 30 * DAY, LEARN = 28 * DAY, RUN = 400000 };

static struct hn_rng rng;

/* One sample a minute. */
struct stream { const char *name; double phi, season, step; uint16_t bins; };
static const struct stream streams[] = {
	{ "independent", 0.0, 0.0, 0.0, 0 },
	{ "ar(1) 0.5", 0.5, 0.0, 0.0, 0 },
	{ "ar(1) 0.9", 0.9, 0.0, 0.0, 0 },
	{ "ar(1) 0.99", 0.99, 0.0, 0.0, 0 },
	{ "daily season, amplitude 6.7 sd", 0.0, 6.7, 0.0, 48 },
	{ "daily season and ar(1) 0.9", 0.9, 3.0, 0.0, 48 },
	{ "quantised to 1 sd", 0.0, 0.0, 1.0, 0 },
	{ "quantised, ar(1) 0.5", 0.5, 0.0, 0.5, 0 },
};
enum { STREAMS = sizeof streams / sizeof streams[0] };

struct source { const struct stream *s; double ar; long t; };

static double next(struct source *g, double shift)
{
	const struct stream *s = g->s;
	const double day = (double)(g->t++ % DAY) / DAY;
	double x;

	g->ar = s->phi * g->ar + sqrt(1.0 - s->phi * s->phi) * hn_rng_normal(&rng);
	x = g->ar + s->season * sin(2.0 * M_PI * day) + shift;
	return s->step > 0.0 ? s->step * round(x / s->step) : x;
}

static double phase(const struct source *g)
{
	return (double)(g->t % DAY) / DAY;
}

struct watch { struct hn_baseline base; _Alignas(16) unsigned char cusum[HN_DRIFT_STATE_MAX]; };

static void learn(struct watch *w, struct source *g, double unit, double origin)
{
	const struct hn_baseline_cfg cfg = { .learn = LEARN, .bins = g->s->bins,
		.step = unit * g->s->step };
	const struct hn_detector *d = hn_detector_find("cusum");
	struct hn_drift_params p = d->defaults;
	double z;

	ck_assert_int_eq(hn_baseline_init(&w->base, &cfg), HN_OK);
	while (!hn_baseline_armed(&w->base)) {
		const double ph = phase(g);

		T_MUST(hn_baseline_step(&w->base, origin + unit * next(g, 0.0), ph, &z) == HN_EDATA,
		       "%s: not while it learns", g->s->name);
	}
	p.arl = (double)MONTH / hn_baseline_pace(&w->base);
	p.k = 0.25 + 2.0 * hn_baseline_slack(&w->base);
	ck_assert_int_eq(d->init(w->cusum, &p), HN_OK);
}

static int watch(struct watch *w, struct source *g, double shift, long n, long *first)
{
	const struct hn_detector *d = hn_detector_find("cusum");
	int alarms = 0;

	for (long i = 0; i < n; i++) {
		const double ph = phase(g);
		double z, score;

		if (hn_baseline_step(&w->base, next(g, shift), ph, &z) != HN_OK)
			continue;
		T_MUST(d->step(w->cusum, z, &score) == HN_OK, "%s: %g", g->s->name, z);
		if (score >= 1.0 && alarms++ == 0)
			*first = i;
	}
	return alarms;
}

START_TEST(false_alarms_stay_within_twice_the_budget)
{
	struct source g = { .s = &streams[_i] };
	const double months = (double)RUN / MONTH;
	struct watch w;
	long first = 0;
	int alarms;

	hn_rng_seed(&rng, SEED);
	learn(&w, &g, 1.0, 0.0);
	alarms = watch(&w, &g, 0.0, RUN, &first);
	printf("%-32s %.2f alarms a month of 1 (%d in %.1f months)\n", g.s->name, alarms / months, alarms,
	       months);
	ck_assert_msg(alarms <= 2.0 * months, "%s: %d alarms", g.s->name, alarms);
}
END_TEST

START_TEST(a_lasting_shift_is_found)
{
	struct source g = { .s = &streams[_i] };
	struct watch w;
	long first = -1;

	hn_rng_seed(&rng, SEED);
	learn(&w, &g, 1.0, 0.0);
	(void)watch(&w, &g, 0.0, 1000, &first);
	first = -1;
	ck_assert_msg(watch(&w, &g, 3.0, 14 * DAY, &first) > 0, "%s: missed", g.s->name);
	printf("%-32s shift of 3 sd found after %ld min\n", g.s->name, first + 1);
}
END_TEST

START_TEST(unit_and_origin_do_not_matter)
{
	struct source a = { .s = &streams[_i] }, b = { .s = &streams[_i] };
	struct watch wa, wb;

	hn_rng_seed(&rng, SEED);
	learn(&wa, &a, 1.0, 0.0);
	hn_rng_seed(&rng, SEED);
	learn(&wb, &b, 1024.0, -4096.0);         /* powers of two: the same rounding */
	for (int i = 0; i < 5000; i++) {
		const double ph = phase(&a), x = next(&a, 0.0);
		double za = -9.0, zb = -9.0;
		const hn_status ra = hn_baseline_step(&wa.base, x, ph, &za);

		T_MUST(hn_baseline_step(&wb.base, 1024.0 * x - 4096.0, ph, &zb) == ra, "step %d", i);
		T_MUST(fabs(za - zb) <= 1e-6 * fmax(1.0, fabs(za)), "%s: %.12g and %.12g", a.s->name, za,
		       zb);
	}
}
END_TEST

START_TEST(a_copied_baseline_goes_on_identically_and_bad_values_change_nothing)
{
	struct source g = { .s = &streams[_i] };
	struct watch w, copy;

	hn_rng_seed(&rng, SEED);
	learn(&w, &g, 1.0, 0.0);
	memcpy(&copy, &w, sizeof w);
	for (int i = 0; i < 3000; i++) {
		const double ph = phase(&g), x = next(&g, 0.0);
		double za = -9.0, zb = -9.0;

		T_MUST(hn_baseline_step(&w.base, (double)NAN, ph, &za) == HN_ENUMERIC, "step %d", i);
		T_MUST(hn_baseline_step(&w.base, x, -1.0, &za) == HN_ENUMERIC, "step %d", i);
		T_MUST(hn_baseline_step(&w.base, x, ph, &za) == hn_baseline_step(&copy.base, x, ph, &zb),
		       "step %d", i);
		T_MUST(za == zb, "step %d: %g and %g", i, za, zb);
	}
}
END_TEST

START_TEST(memory_decides_between_prewhitening_and_blocks)
{
	struct source g = { .s = &streams[2] }, slow = { .s = &streams[3] };
	struct watch w;

	hn_rng_seed(&rng, SEED);
	learn(&w, &g, 1.0, 0.0);
	ck_assert_uint_eq(hn_baseline_pace(&w.base), 1);
	ck_assert(fabs(w.base.phi - 0.9) < 0.02);
	learn(&w, &slow, 1.0, 0.0);
	ck_assert_uint_ge(hn_baseline_pace(&w.base), 200);
	ck_assert(hn_baseline_slack(&w.base) > 0.05);
	hn_baseline_rearm(&w.base);
	ck_assert(!hn_baseline_armed(&w.base));
}
END_TEST

START_TEST(a_constant_stream_that_moves_one_step_is_seen)
{
	const struct hn_baseline_cfg cfg = { .learn = 64, .step = 0.5 };
	struct hn_baseline b;
	double z = 0.0;

	ck_assert_int_eq(hn_baseline_init(&b, &cfg), HN_OK);
	for (int i = 0; i < 64; i++)
		ck_assert_int_eq(hn_baseline_step(&b, 20.0, 0.0, &z), HN_EDATA);
	ck_assert_int_eq(hn_baseline_step(&b, 20.0, 0.0, &z), HN_OK);
	ck_assert(z == 0.0);
	ck_assert_int_eq(hn_baseline_step(&b, 20.5, 0.0, &z), HN_OK);
	ck_assert(fabs(z - sqrt(12.0)) < 1e-9);
}
END_TEST

START_TEST(impossible_settings_are_refused)
{
	const struct hn_baseline_cfg bad[] = {
		{ .learn = 15 }, { .learn = 100, .bins = HN_BASELINE_BINS + 1 }, { .learn = 100, .step = -1.0 },
		{ .learn = 100, .step = (double)NAN } };
	struct hn_baseline b;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_int_eq(hn_baseline_init(&b, &bad[i]), HN_ERANGE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("baseline");
	TCase *t = tcase_create("streams");

	printf("seed %d\n", SEED);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, false_alarms_stay_within_twice_the_budget, 0, STREAMS);
	tcase_add_loop_test(t, a_lasting_shift_is_found, 0, STREAMS);
	tcase_add_loop_test(t, unit_and_origin_do_not_matter, 0, STREAMS);
	tcase_add_loop_test(t, a_copied_baseline_goes_on_identically_and_bad_values_change_nothing, 0,
	                    STREAMS);
	tcase_add_test(t, memory_decides_between_prewhitening_and_blocks);
	tcase_add_test(t, a_constant_stream_that_moves_one_step_is_seen);
	tcase_add_test(t, impossible_settings_are_refused);
	suite_add_tcase(s, t);
	return t_run(s);
}
