/* hn_probation.h - after a rollout: is the new version as good in service as the gate said?
 *
 * Labelled predictions of the new version against the accuracy to keep; rolls back only when the
 * drop is larger than allowed and too large for chance. */
#ifndef HN_PROBATION_H
#define HN_PROBATION_H

#include <stdbool.h>
#include <stdint.h>

enum hn_probation_verdict { HN_PROBATION_WATCH, HN_PROBATION_KEEP, HN_PROBATION_ROLL_BACK };

struct hn_probation_cfg {
	double watch_s;          /* length of the watch; 0: no probation                         */
	double loss_max;         /* drop of labelled accuracy that rolls back                    */
	int    labels_min;       /* labelled predictions before a roll back; 0: 8                */
	const char *served;      /* "windows are normal"; NULL: "labelled predictions are right" */
};

struct hn_probation {            /* plain memory                                                 */
	int64_t start_us;
	/* Accuracy of the former champion just before the rollout, in the present regime: the new
	 * version must not be worse.  share = right_before / n_before; n_before 0 = unknown, then the
	 * gate's figure is used. */
	int32_t n_before, right_before;
	double  gate_accuracy;
	int32_t n, right;        /* labelled predictions of the new version                      */
};

void hn_probation_start(struct hn_probation *p, int n_before, int right_before,
                        double gate_accuracy, int64_t now_us);
void hn_probation_label(struct hn_probation *p, bool right);
enum hn_probation_verdict hn_probation_decide(const struct hn_probation *p,
                                              const struct hn_probation_cfg *cfg, int64_t now_us,
                                              char reason[160]);
#endif
