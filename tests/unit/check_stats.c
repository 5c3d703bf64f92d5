/* check_stats.c - moments, quantiles and tests against closed forms and recorded values of
 * scipy. */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "hn_moments.h"
#include "hn_quantile.h"
#include "hn_rng.h"
#include "hn_test.h"
#include "t_run.h"

enum { SEED = 20261122, N = 5000 };

static double x[N], y[N];
static json_t *golden;
static char golden_path[512];

static void near(double got, double want, double rel, const char *what)
{
	ck_assert_msg(fabs(got - want) <= rel * fmax(1e-9, fabs(want)), "%s: %.15g, wanted %.15g", what,
	              got, want);
}

START_TEST(moments_of_parts_merge_to_the_moments_of_the_whole)
{
	struct hn_moments all = { 0 }, a = { 0 }, b = { 0 };
	struct hn_rng r;

	hn_rng_seed(&r, SEED);
	for (int i = 0; i < N; i++) {
		const double v = 1e6 + hn_rng_normal(&r);

		ck_assert_int_eq(hn_moments_add(&all, v), HN_OK);
		ck_assert_int_eq(hn_moments_add(i % 3 ? &a : &b, v), HN_OK);
	}
	ck_assert_int_eq(hn_moments_add(&all, (double)NAN), HN_ENUMERIC);
	hn_moments_merge(&a, &b);
	near(a.mean, all.mean, 1e-14, "mean");
	near(hn_moments_var(&a), hn_moments_var(&all), 1e-9, "variance");
	near(hn_moments_sd(&all), 1.0, 0.05, "sd");
	ck_assert(a.min == all.min && a.max == all.max && a.n == all.n);
}
END_TEST

START_TEST(heapsort_sorts_and_quantiles_interpolate)
{
	struct hn_rng r;

	hn_rng_seed(&r, SEED);
	for (int i = 0; i < N; i++)
		x[i] = floor(1000.0 * hn_rng_unit(&r));          /* with ties */
	hn_sort(x, N);
	for (int i = 1; i < N; i++)
		ck_assert(x[i - 1] <= x[i]);
	double five[] = { 5, 1, 4, 2, 3 };

	ck_assert(hn_median(five, 5) == 3.0);
	ck_assert(hn_quantile_sorted(five, 5, 0.0) == 1.0 && hn_quantile_sorted(five, 5, 1.0) == 5.0);
	near(hn_quantile_sorted(five, 5, 0.1), 1.4, 1e-12, "0.1 quantile");
}
END_TEST

START_TEST(p_square_follows_the_true_quantile)
{
	static const double qs[] = { 0.1, 0.5, 0.95 };
	struct hn_rng r;
	struct hn_p2 p;

	ck_assert_int_eq(hn_p2_init(&p, 1.0), HN_ERANGE);
	ck_assert_int_eq(hn_p2_init(&p, qs[_i]), HN_OK);
	ck_assert(isnan(hn_p2_value(&p)));
	hn_rng_seed(&r, SEED);
	for (int i = 0; i < 100000; i++)
		ck_assert_int_eq(hn_p2_add(&p, hn_rng_normal(&r)), HN_OK);
	ck_assert_int_eq(hn_p2_add(&p, (double)INFINITY), HN_ENUMERIC);
	ck_assert_msg(fabs(hn_p2_value(&p) - hn_normal_quantile(qs[_i])) < 0.03, "%g: %g", qs[_i],
	              hn_p2_value(&p));
}
END_TEST

START_TEST(normal_quantile_inverts_the_distribution)
{
	for (double z = -8.0; z <= 8.0; z += 0.25)
		ck_assert_msg(fabs(hn_normal_quantile(hn_normal_cdf(z)) - z) < (z > 6.0 ? 0.05 : 1e-7), "z = %g",
		              z);
	near(hn_normal_quantile(0.975), 1.959963984540054, 1e-9, "0.975");
	ck_assert(isnan(hn_normal_quantile(0.0)) && isnan(hn_normal_quantile(1.5)));
}
END_TEST

START_TEST(binomial_and_sign_tests_agree_with_exact_fractions)
{
	near(hn_binomial_tail(3, 5, 0.5), 16.0 / 32.0, 1e-12, "tail");
	near(hn_binomial_tail(5, 5, 0.1), 1e-5, 1e-9, "tail");
	ck_assert(hn_binomial_tail(0, 5, 0.1) == 1.0 && hn_binomial_tail(6, 5, 0.9) == 0.0);
	ck_assert(hn_binomial_tail(1, 4, 0.0) == 0.0 && hn_binomial_tail(4, 4, 1.0) == 1.0);
	/* 8 of 8: 1/256 each side, half of it in mid-p. */
	near(hn_sign_midp_greater(8, 0), 0.5 / 256.0, 1e-9, "8:0");
	near(hn_sign_midp(8, 0), 1.0 / 256.0, 1e-9, "8:0 two-sided");
	near(hn_sign_midp(2, 5), 2.0 * (1.0 + 7.0 + 0.5 * 21.0) / 128.0, 1e-9, "2:5");
	ck_assert(hn_sign_midp(3, 3) == 1.0 && hn_sign_midp(0, 0) == 1.0);
	ck_assert(hn_sign_midp(2, 5) == hn_sign_midp(5, 2));
}
END_TEST

START_TEST(wilson_interval_holds_the_share_and_stays_inside_0_and_1)
{
	double low, high;

	hn_wilson(0, 10, 1.96, &low, &high);
	ck_assert(low == 0.0 && high > 0.2 && high < 0.35);
	hn_wilson(81, 263, 1.959963984540054, &low, &high);       /* Newcombe 1998, table I */
	ck_assert(fabs(low - 0.2553) < 5e-5 && fabs(high - 0.3662) < 5e-5);
}
END_TEST

static size_t fill(const json_t *list, double *out)
{
	const size_t n = json_array_size(list);

	ck_assert_uint_le(n, N);
	for (size_t i = 0; i < n; i++)
		out[i] = json_number_value(json_array_get(list, i));
	return n;
}

static double want(const json_t *pair, const char *group, const char *key)
{
	const json_t *o = group ? json_object_get(pair, group) : pair;

	ck_assert(json_is_number(json_object_get(o, key)));
	return json_number_value(json_object_get(o, key));
}

static struct hn_moments moments(const double *v, size_t n)
{
	struct hn_moments m = { 0 };

	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(hn_moments_add(&m, v[i]), HN_OK);
	return m;
}

START_TEST(statistics_of_two_samples_agree_with_scipy)
{
	const char *name;
	json_t *pair;
	int pairs = 0;

	json_object_foreach(json_object_get(golden, "pairs"), name, pair) {
		const size_t n = fill(json_object_get(pair, "ref"), x), m = fill(json_object_get(pair, "cur"), y);
		const struct hn_moments a = moments(x, n), b = moments(y, m);
		double t, df;

		near(a.mean, want(pair, "moments", "mean_ref"), 1e-9, name);
		near(hn_moments_var(&b), want(pair, "moments", "var1_cur"), 1e-9, name);
		if (hn_welch(&a, &b, &t, &df) == HN_OK)
			near(t, want(pair, "welch_t", "t"), 1e-9, name);
		near(hn_ks_distance(x, n, y, m), want(pair, "ks_asymp", "stat"), 1e-9, name);
		near(hn_wasserstein(x, n, y, m), want(pair, NULL, "wasserstein_1"), 1e-9, name);
		near(hn_median(x, n), want(pair, "moments", "median_ref"), 1e-12, name);
		pairs++;
	}
	ck_assert_int_ge(pairs, 10);
}
END_TEST

START_TEST(kolmogorov_p_is_near_the_exact_one)
{
	const char *name;
	json_t *pair;

	json_object_foreach(json_object_get(golden, "pairs"), name, pair) {
		const size_t n = json_array_size(json_object_get(pair, "ref"));
		const size_t m = json_array_size(json_object_get(pair, "cur"));
		const double p = hn_ks_p(want(pair, "ks_exact", "stat"), n, m);

		ck_assert_msg(fabs(p - want(pair, "ks_exact", "p")) < 0.05, "%s: %g", name, p);
	}
}
END_TEST

int main(void)
{
	const char *data = getenv("HONED_DATA");
	Suite *s = suite_create("stats");
	TCase *t = tcase_create("own"), *g = tcase_create("scipy");
	int failed;

	printf("seed %d\n", SEED);
	tcase_add_test(t, moments_of_parts_merge_to_the_moments_of_the_whole);
	tcase_add_test(t, heapsort_sorts_and_quantiles_interpolate);
	tcase_add_loop_test(t, p_square_follows_the_true_quantile, 0, 3);
	tcase_add_test(t, normal_quantile_inverts_the_distribution);
	tcase_add_test(t, binomial_and_sign_tests_agree_with_exact_fractions);
	tcase_add_test(t, wilson_interval_holds_the_share_and_stays_inside_0_and_1);
	suite_add_tcase(s, t);
	(void)snprintf(golden_path, sizeof golden_path, "%s/drift_goldens/stats_expected.json",
	               data ? data : "../shared/data");
	golden = json_load_file(golden_path, 0, NULL);
	if (golden) {
		tcase_add_test(g, statistics_of_two_samples_agree_with_scipy);
		tcase_add_test(g, kolmogorov_p_is_near_the_exact_one);
	} else {
		printf("skipped: no %s (set HONED_DATA)\n", golden_path);
	}
	suite_add_tcase(s, g);
	failed = t_run(s);
	json_decref(golden);
	return failed != 0;
}
