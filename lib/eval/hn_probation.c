#include "hn_probation.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "hn_test.h"

enum { LABELS_MIN = 8 };
static const double chance_max = 0.05;   /* a drop that luck gives more often is no drop          */

void hn_probation_start(struct hn_probation *p, int n_before, int right_before,
                        double gate_accuracy, int64_t now_us)
{
	*p = (struct hn_probation){ .start_us = now_us, .n_before = n_before > 0 ? n_before : 0,
		.right_before = right_before, .gate_accuracy = gate_accuracy };
}

void hn_probation_label(struct hn_probation *p, bool right)
{
	p->n++;
	p->right += right;
}

/* Accuracy to keep: what the former champion reached on labels of the same regime; without enough
 * of them, what the gate measured. */
static double wanted(const struct hn_probation *p, int labels_min)
{
	return p->n_before >= labels_min ? (double)p->right_before / p->n_before : p->gate_accuracy;
}

/* Chance of at most `right` of n when each is right with probability `rate`. */
static double chance(int right, int n, double rate)
{
	return 1.0 - hn_binomial_tail(right + 1, n, fmin(fmax(rate, 0.0), 1.0));
}

static const char *served(const struct hn_probation_cfg *cfg)
{
	return cfg->served ? cfg->served : "labelled predictions are right";
}

enum hn_probation_verdict hn_probation_decide(const struct hn_probation *p,
                                              const struct hn_probation_cfg *cfg, int64_t now_us,
                                              char reason[160])
{
	const int labels_min = cfg->labels_min > 0 ? cfg->labels_min : LABELS_MIN;
	const double rate = wanted(p, labels_min);
	const double now = p->n > 0 ? (double)p->right / p->n : 0.0;

	if (p->n >= labels_min && isfinite(rate) && now < rate - cfg->loss_max
	    && chance(p->right, p->n, rate - cfg->loss_max) < chance_max) {
		(void)snprintf(reason, 160, "%.1f %% of %d %s, %.1f %% were expected",
		               100.0 * now, (int)p->n, served(cfg), 100.0 * rate);
		return HN_PROBATION_ROLL_BACK;
	}
	if (((double)now_us - (double)p->start_us) * 1e-6 >= cfg->watch_s) {
		if (p->n > 0)
			(void)snprintf(reason, 160, "probation over: %.1f %% of %d %s",
			               100.0 * now, (int)p->n, served(cfg));
		else
			(void)snprintf(reason, 160, "probation over, nothing was judged");
		return HN_PROBATION_KEEP;
	}
	(void)snprintf(reason, 160, "on probation, %d judged so far", (int)p->n);
	return HN_PROBATION_WATCH;
}
