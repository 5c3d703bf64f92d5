/* hn_metrics.h - confusion matrix and what follows from it. */
#ifndef HN_METRICS_H
#define HN_METRICS_H

#include <stdint.h>
#include "hn_status.h"

enum { HN_METRICS_CLASSES = 32 };

struct hn_confusion {
	int n_classes;
	uint32_t count[HN_METRICS_CLASSES][HN_METRICS_CLASSES];  /* [truth][answer]              */
};

/* Errors: HN_ERANGE (n_classes not in 2..HN_METRICS_CLASSES). */
hn_status hn_confusion_init(struct hn_confusion *c, int n_classes);

/* Errors: HN_ERANGE, nothing is counted. */
hn_status hn_confusion_add(struct hn_confusion *c, int truth, int answer);

uint32_t hn_confusion_n(const struct hn_confusion *c);
double hn_confusion_accuracy(const struct hn_confusion *c);      /* NAN when empty               */
double hn_confusion_recall(const struct hn_confusion *c, int k); /* NAN when k never was true    */
double hn_confusion_precision(const struct hn_confusion *c, int k); /* NAN when never answered    */

/* Mean F1 of the classes that occur as truth or answer; NAN when empty.
 * Source: Sokolova & Lapalme 2009, sec. 2 (macro averaging), F1 = 2tp / (2tp + fp + fn). */
double hn_confusion_macro_f1(const struct hn_confusion *c);

/* Share of the most frequent true class: what always answering it would reach. */
double hn_confusion_majority(const struct hn_confusion *c);
#endif
