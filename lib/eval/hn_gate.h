/* hn_gate.h - the decision to promote: champion against challenger on held-back windows, by right
 * answers or by errors.
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
	double champion, challenger;     /* accuracy, or skill, on the recent set (all windows when it
	                                  * is empty)                                            */
	double gain, forget, int8_loss;
	double p;                        /* chance of such a gain without a difference (mid-p)   */
};

/* The same for a task whose answers are measured: mean errors of the windows, in one unit.  `plain`
 * is the error of an answer that needs no network.  The share that stands for the accuracy is the
 * skill, 1 - error / plain: 1 is perfect, 0 no better than that answer.
 * Source: Murphy 1988, Monthly Weather Review 116, 2417-2424; here with absolute errors. */
struct hn_gate_errors {
	int    n, wins, losses;          /* windows that the challenger, the champion does better */
	double champion, challenger, plain;
};
struct hn_gate_measures {
	bool has_champion;
	const char *plain_name;          /* "the mean of each channel"                            */
	struct hn_gate_errors recent, kept;
	double float_error, int8_error, plain;   /* challenger, all held-back windows             */
};

void hn_gate_measure(const struct hn_gate_measures *in, const struct hn_gate_cfg *cfg,
                     struct hn_gate_result *out);

/* Counts that cannot be (negative, more right than n, both > either) fail with a reason. */
void hn_gate_decide(const struct hn_gate_input *in, const struct hn_gate_cfg *cfg,
                    struct hn_gate_result *out);
#endif
