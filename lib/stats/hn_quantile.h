/* hn_quantile.h - quantiles: exact of a small sample, estimated of a stream. */
#ifndef HN_QUANTILE_H
#define HN_QUANTILE_H

#include <stddef.h>
#include "hn_status.h"

/* Sort x (n,) upwards, in place: heapsort, O(n log n) always, no recursion. */
void hn_sort(double *x, size_t n);

/* Quantile q in [0, 1] of sorted x (n,), n >= 1, linear between order statistics.
 * Source: Hyndman & Fan 1996, definition 7. */
double hn_quantile_sorted(const double *x, size_t n, double q);

/* Median of x (n,), n >= 1; sorts x. */
double hn_median(double *x, size_t n);

/* One quantile of a stream in constant memory (P-square).
 * Source: Jain & Chlamtac 1985, CACM 28(10), box 1. */
struct hn_p2 {
	double q;                /* in (0, 1) */
	double n;                /* samples so far */
	double height[5], pos[5];
};

hn_status hn_p2_init(struct hn_p2 *p, double q);         /* HN_ERANGE */
hn_status hn_p2_add(struct hn_p2 *p, double x);          /* HN_ENUMERIC: nothing is updated */
double hn_p2_value(const struct hn_p2 *p);               /* NAN when empty */
#endif
