/* hn_gate.h - the decision to promote: champion against challenger on held-back labelled windows.
 *
 * Pure; the counts come from the training job, made with the int8 images as the devices run
 * them. */
#ifndef HN_GATE_H
#define HN_GATE_H

#include <stdbool.h>
#include <stdint.h>

/* Held-back windows of one regime. */
struct hn_gate_set { int n, champion, challenger, both; };       /* champion.. = right answers    */

struct hn_gate_input {
	bool has_champion;
	struct hn_gate_set recent, kept;         /* the new regime; the regimes before            */
	int float_right, int8_right;             /* challenger, all held-back windows             */
	int majority;                            /* windows of the most frequent class            */
};

struct hn_gate_cfg {
	int    windows_min;      /* held-back windows needed to decide                          */
	double gain_min;         /* challenger - champion on the recent set, share of windows   */
	double forget_max;       /* loss allowed on the kept set                                */
	double int8_loss_max;    /* float accuracy - int8 accuracy                              */
};

enum { HN_GATE_REASONS = 6, HN_GATE_TEXT = 160 };

struct hn_gate_result {
	bool   pass;
	int    n_reasons;
	char   reason[HN_GATE_REASONS][HN_GATE_TEXT];    /* sentences; the first one sums up     */
	double champion, challenger;     /* accuracy on the recent set (all windows when it is empty) */
	double gain, forget, int8_loss;
	double p;                        /* chance of such a gain without a difference (mid-p)   */
};

/* Counts that cannot be (negative, more right than n, both > either) fail with a reason. */
void hn_gate_decide(const struct hn_gate_input *in, const struct hn_gate_cfg *cfg,
                    struct hn_gate_result *out);
#endif
