/* hn_moments.h - running mean, variance and extremes of a stream. */
#ifndef HN_MOMENTS_H
#define HN_MOMENTS_H

#include "hn_status.h"

/* Source: Welford 1962; Pebay 2008, SAND2008-6212, eqs. 1.1-1.5 (pairwise merge). */
struct hn_moments { double n, mean, m2, min, max; };     /* zero = empty */

/* Errors: HN_ENUMERIC (nothing is updated). */
hn_status hn_moments_add(struct hn_moments *m, double x);

/* m becomes the moments of both samples together. */
void hn_moments_merge(struct hn_moments *m, const struct hn_moments *other);

double hn_moments_var(const struct hn_moments *m);       /* unbiased; 0 when n < 2 */
double hn_moments_sd(const struct hn_moments *m);
#endif
