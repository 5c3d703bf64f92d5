/* hn_drift_rows.h - the rows of hn_detectors[], and what they share. */
#ifndef HN_DRIFT_ROWS_H
#define HN_DRIFT_ROWS_H

#include "hn_drift.h"

extern const struct hn_detector hn_drift_page_hinkley, hn_drift_cusum, hn_drift_ddm,
	hn_drift_hddm_a, hn_drift_bernoulli;

/* Ratio of statistic to threshold as a score that agrees with the exact comparison `alarm`:
 * rounding of the quotient must not decide. */
double hn_drift_score(bool alarm, double statistic, double threshold);

/* Running mean in the order of operations of river.stats.Mean, which decides the last bits. */
struct hn_drift_mean { double n, mean; };
void hn_drift_mean_add(struct hn_drift_mean *m, double x);
#endif
