#include "hn_metrics.h"

#include <math.h>

hn_status hn_confusion_init(struct hn_confusion *c, int n_classes)
{
	if (n_classes < 2 || n_classes > HN_METRICS_CLASSES)
		return HN_ERANGE;
	*c = (struct hn_confusion){ .n_classes = n_classes };
	return HN_OK;
}

hn_status hn_confusion_add(struct hn_confusion *c, int truth, int answer)
{
	if (truth < 0 || truth >= c->n_classes || answer < 0 || answer >= c->n_classes)
		return HN_ERANGE;
	c->count[truth][answer]++;
	return HN_OK;
}

static uint32_t row(const struct hn_confusion *c, int k)
{
	uint32_t n = 0;

	for (int i = 0; i < c->n_classes; i++)
		n += c->count[k][i];
	return n;
}

static uint32_t column(const struct hn_confusion *c, int k)
{
	uint32_t n = 0;

	for (int i = 0; i < c->n_classes; i++)
		n += c->count[i][k];
	return n;
}

uint32_t hn_confusion_n(const struct hn_confusion *c)
{
	uint32_t n = 0;

	for (int i = 0; i < c->n_classes; i++)
		n += row(c, i);
	return n;
}

static double ratio(double a, double b)
{
	return b > 0.0 ? a / b : (double)NAN;
}

double hn_confusion_accuracy(const struct hn_confusion *c)
{
	uint32_t right = 0;

	for (int i = 0; i < c->n_classes; i++)
		right += c->count[i][i];
	return ratio(right, hn_confusion_n(c));
}

double hn_confusion_recall(const struct hn_confusion *c, int k)
{
	return ratio(c->count[k][k], row(c, k));
}

double hn_confusion_precision(const struct hn_confusion *c, int k)
{
	return ratio(c->count[k][k], column(c, k));
}

double hn_confusion_macro_f1(const struct hn_confusion *c)
{
	double sum = 0.0;
	int classes = 0;

	for (int k = 0; k < c->n_classes; k++) {
		const double both = (double)row(c, k) + (double)column(c, k);

		if (both == 0.0)
			continue;
		sum += 2.0 * c->count[k][k] / both;
		classes++;
	}
	return ratio(sum, classes);
}

double hn_confusion_majority(const struct hn_confusion *c)
{
	uint32_t most = 0;

	for (int k = 0; k < c->n_classes; k++)
		most = row(c, k) > most ? row(c, k) : most;
	return ratio(most, hn_confusion_n(c));
}
