/* Detectors against recorded runs of river 0.24.2: the same alarms at the same samples, the same
 * statistic in between. */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hn_drift.h"
#include "t_run.h"

enum { VALUES_MAX = 20000 };

static double values[VALUES_MAX];
static char dir[400];
static json_t *golden;

/* A recorded name begins with this prefix -> our row. */
static const struct family { const char *prefix, *row; int runs; } families[] = {
	{ "PH_", "page_hinkley", 14 * 4 + 10 },
	{ "DDM_", "ddm", 10 * 2 },
	{ "HDDM_A_", "hddm_a", 10 * 2 },
};
enum { FAMILIES = sizeof families / sizeof families[0] };

static int read_stream(const char *name)
{
	char path[512], line[64];
	int n = -1;                      /* the header line */
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/streams/%s.csv", dir, name);
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "cannot open %s", path);
	while (n < VALUES_MAX && fgets(line, sizeof line, f)) {
		if (n >= 0)
			values[n] = strtod(line, NULL);
		n++;
	}
	(void)fclose(f);
	return n;
}

static double number(const json_t *params, const char *key, double def)
{
	const json_t *v = json_object_get(params, key);

	return json_is_number(v) ? json_number_value(v) : def;
}

static struct hn_drift_params params_of(const struct hn_detector *d, const json_t *given)
{
	struct hn_drift_params p = d->defaults;
	const char *mode = json_string_value(json_object_get(given, "mode"));

	p.threshold = number(given, "threshold", number(given, "drift_threshold", p.threshold));
	p.k = number(given, "delta", p.k);
	p.alpha = number(given, "alpha", p.alpha);
	p.min_n = (int)number(given, "min_instances", number(given, "warm_start", p.min_n));
	p.confidence = number(given, "drift_confidence", p.confidence);
	if (mode)
		p.side = strcmp(mode, "up") == 0 ? HN_UP : strcmp(mode, "down") == 0 ? HN_DOWN : p.side;
	if (json_is_true(json_object_get(given, "two_sided_test")))
		p.side = HN_BOTH_SIDES;
	return p;
}

/* The score that river's recorded state implies; NAN = not recorded for this detector. */
static double implied(const struct hn_detector *d, const struct hn_drift_params *p,
                      const json_t *st)
{
	const double n = number(st, "n", 0.0);

	if (strcmp(d->name, "page_hinkley") == 0) {
		const double up = number(st, "sum_increase", 0.0) - number(st, "min_increase", 0.0);
		const double down = number(st, "max_decrease", 0.0) - number(st, "sum_decrease", 0.0);

		if (n < p->min_n)
			return 0.0;
		return fmax(0.0, fmax(p->side == HN_DOWN ? 0.0 : up, p->side == HN_UP ? 0.0 : down))
		     / p->threshold;
	}
	if (strcmp(d->name, "ddm") == 0) {
		const double rate = number(st, "p", 0.0), s_min = number(st, "s_min", 0.0);

		if (n <= p->min_n || s_min <= 0.0)
			return (double)NAN;
		return (rate + sqrt(rate * (1.0 - rate) / n) - number(st, "p_min", 0.0))
		     / (p->threshold * s_min);
	}
	return (double)NAN;
}

static void compare_state(const struct hn_detector *d, const struct hn_drift_params *p,
                          const json_t *run, int i, double score)
{
	char key[16];
	const json_t *st;
	double want;

	if (i % 500 != 499 || score >= 1.0)
		return;
	(void)snprintf(key, sizeof key, "%d", i);
	st = json_object_get(json_object_get(run, "state"), key);
	ck_assert(json_is_object(st));
	want = implied(d, p, st);
	if (isfinite(want) && want < 1.0)
		ck_assert_msg(fabs(score - want) <= 1e-9 * fmax(1.0, want), "%s: sample %d: %.17g, river %.17g",
		              d->name, i, score, want);
}

static void compare_run(const struct hn_detector *d, const char *what, const json_t *run, int n)
{
	static _Alignas(max_align_t) unsigned char state[HN_DRIFT_STATE_MAX];
	const struct hn_drift_params p = params_of(d, json_object_get(run, "params"));
	const json_t *want = json_object_get(run, "drift");
	size_t found = 0;

	ck_assert_int_eq(d->init(state, &p), HN_OK);
	for (int i = 0; i < n; i++) {
		double score = -1.0;

		ck_assert_int_eq(d->step(state, values[i], &score), HN_OK);
		compare_state(d, &p, run, i, score);
		if (score < 1.0)
			continue;
		ck_assert_msg(found < json_array_size(want), "%s: alarm %d too many", what, i);
		ck_assert_int_eq((int)json_integer_value(json_array_get(want, found)), i);
		found++;
	}
	ck_assert_msg(found == json_array_size(want), "%s: %zu of %zu alarms", what, found,
	              json_array_size(want));
}

START_TEST(every_recorded_run_of_river_is_reproduced)
{
	const struct family *fam = &families[_i];
	const struct hn_detector *d = hn_detector_find(fam->row);
	const char *stream, *name;
	json_t *runs, *run;
	int done = 0;

	ck_assert_ptr_nonnull(d);
	json_object_foreach(json_object_get(golden, "streams"), stream, runs) {
		const int n = read_stream(stream);

		json_object_foreach(runs, name, run) {
			char what[100];

			if (strncmp(name, fam->prefix, strlen(fam->prefix)) != 0)
				continue;
			(void)snprintf(what, sizeof what, "%s on %s", name, stream);
			compare_run(d, what, run, n);
			done++;
		}
	}
	ck_assert_int_eq(done, fam->runs);
}
END_TEST

int main(void)
{
	const char *data = getenv("HONED_DATA");
	Suite *s = suite_create("golden drift");
	TCase *t = tcase_create("river");
	char path[512];
	int failed;

	(void)snprintf(dir, sizeof dir, "%s/drift_goldens", data ? data : "../shared/data");
	(void)snprintf(path, sizeof path, "%s/river_expected.json", dir);
	golden = json_load_file(path, 0, NULL);
	if (!golden) {
		printf("skipped: no %s (set HONED_DATA)\n", path);
		suite_add_tcase(s, t);
		srunner_free(srunner_create(s));
		return 0;
	}
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, every_recorded_run_of_river_is_reproduced, 0, FAMILIES);
	suite_add_tcase(s, t);
	failed = t_run(s);
	json_decref(golden);
	return failed != 0;
}
