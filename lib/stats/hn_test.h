/* hn_test.h - small statistical tests and the distributions behind them. */
#ifndef HN_TEST_H
#define HN_TEST_H

#include <stddef.h>
#include "hn_status.h"

/* Standard normal: P(Z <= z); inverse for 0 < p < 1 (NAN outside).
 * Source of the start of the inverse: Abramowitz & Stegun 26.2.23; then Halley steps on erfc. */
double hn_normal_cdf(double z);
double hn_normal_quantile(double p);

/* P(X >= k) of a binomial (n, p), exact by summation.  k <= 0: 1, k > n: 0. */
double hn_binomial_tail(int k, int n, double p);

/* Two-sided exact sign test of `wins` against `losses`, mid-p: P(more extreme) + P(as extreme) / 2
 * at each end, at most 1.  On the discordant pairs of two classifiers this is McNemar's mid-p test.
 * Source: Fagerland, Lydersen & Laake 2013, doi:10.1186/1471-2288-13-91. */
double hn_sign_midp(int wins, int losses);

/* One-sided: chance of `wins` or more out of wins + losses by luck, mid-p. */
double hn_sign_midp_greater(int wins, int losses);

/* Limits of a share k / n: Wilson's interval at z standard deviations; n >= 1.
 * Source: Wilson 1927; Brown, Cai & DasGupta 2001. */
void hn_wilson(int k, int n, double z, double *low, double *high);

/* Welch's t and its degrees of freedom from moments.  HN_EDATA: fewer than 2 samples or no
 * spread. */
struct hn_moments;
hn_status hn_welch(const struct hn_moments *a, const struct hn_moments *b, double *t, double *df);

/* Largest distance of the two empirical distributions (Kolmogorov-Smirnov); sorts both. */
double hn_ks_distance(double *a, size_t n_a, double *b, size_t n_b);

/* Asymptotic two-sided p of that distance, Stephens' correction.  Source: Stephens 1970. */
double hn_ks_p(double d, size_t n_a, size_t n_b);

/* Area between the two empirical distributions (Wasserstein-1); sorts both; n >= 1. */
double hn_wasserstein(double *a, size_t n_a, double *b, size_t n_b);
#endif
