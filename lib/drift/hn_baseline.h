/* hn_baseline.h - what a channel usually does: level, season, spread and memory.
 *
 * Turns values into nearly independent residuals of mean 0 and sd 1, so that a detector's
 * false-alarm budget holds although the stream has a daily cycle and remembers its past:
 *
 *   learn/2 values:  mean of each bin of the season (linear in between)
 *   learn/2 values:  of what remains: mean, variance, correlation phi with the value before
 *   then frozen:     phi <= 0.95:  z = (r[t] - phi r[t-1]) / sd of the innovations
 *                    phi >  0.95:  z = mean of a block of r / its sd; no output inside the block
 *                    (prewhitening would shrink a lasting shift to sqrt((1 - phi) / (1 + phi)))
 *
 * Plain memory; the caller feeds values of good quality only. */
#ifndef HN_BASELINE_H
#define HN_BASELINE_H

#include <stdbool.h>
#include <stdint.h>
#include "hn_status.h"

enum { HN_BASELINE_BINS = 48 };

struct hn_baseline_cfg {
	uint32_t learn;          /* values to learn from, >= 16                                 */
	uint16_t bins;           /* of the season, 0 = none, <= HN_BASELINE_BINS                */
	double   step;           /* [u] resolution of the values; the least sd is step / sqrt(12) */
};

struct hn_baseline {             /* fields are private                                          */
	struct hn_baseline_cfg cfg;
	uint32_t n;              /* values learned so far                                       */
	bool     armed, has_last;
	double   first;          /* first value: subtracted, so that sums do not lose digits    */
	double   last;           /* residual before                                             */
	double   sum, sum2, lag; /* of the residuals of the second half                         */
	uint32_t pairs;
	double   mean, sd, phi;  /* of the residuals, after learning                            */
	double   out_sd;         /* sd of an innovation or of a block mean                      */
	uint32_t block, block_n; /* length (0 = prewhitening) and values in the open block      */
	double   block_sum;
	double   bin[HN_BASELINE_BINS];          /* sums, then means                            */
	uint32_t bin_n[HN_BASELINE_BINS];
};

/* Errors: HN_ERANGE. */
hn_status hn_baseline_init(struct hn_baseline *b, const struct hn_baseline_cfg *cfg);

/* One value at `phase` in [0, 1) of the season.
 * HN_OK: *z is the residual [sd].  HN_EDATA: still learning or inside a block, *z is untouched.
 * HN_ENUMERIC: nothing happened. */
hn_status hn_baseline_step(struct hn_baseline *b, double x, double phase, double *z);

/* The stream was interrupted: the next value has no predecessor. */
void hn_baseline_break(struct hn_baseline *b);

/* Forget everything and learn again. */
void hn_baseline_rearm(struct hn_baseline *b);

bool hn_baseline_armed(const struct hn_baseline *b);

/* Values for one z: 1, or the length of a block. */
uint32_t hn_baseline_pace(const struct hn_baseline *b);

/* Standard error of the mean of z, because the level was learned from few values [sd].  A chart
 * adds about twice this to its slack, else it alarms for ever on a constant error. */
double hn_baseline_slack(const struct hn_baseline *b);
#endif
