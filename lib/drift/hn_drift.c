#include "hn_drift.h"

#include <math.h>
#include <string.h>

#include "hn_drift_rows.h"

const struct hn_detector *const hn_detectors[] = {
	&hn_drift_page_hinkley,
	&hn_drift_cusum,
	&hn_drift_ddm,
	&hn_drift_hddm_a,
	&hn_drift_bernoulli,
	NULL,
};

const struct hn_detector *hn_detector_find(const char *name)
{
	for (const struct hn_detector *const *d = hn_detectors; *d; d++)
		if (strcmp((*d)->name, name) == 0)
			return *d;
	return NULL;
}

double hn_drift_score(bool alarm, double statistic, double threshold)
{
	const double s = threshold > 0.0 ? fmax(0.0, statistic) / threshold : 0.0;

	return alarm ? fmax(s, 1.0) : fmin(s, nextafter(1.0, 0.0));
}

void hn_drift_mean_add(struct hn_drift_mean *m, double x)
{
	m->n += 1.0;
	m->mean += 1.0 / m->n * (x - m->mean);
}

double hn_cusum_arl(double h, double k)
{
	const double b = 2.0 * k * (h + 1.166);

	return (exp(b) - b - 1.0) / (2.0 * k * k);
}

double hn_cusum_threshold(double arl, double k)
{
	double low = 0.0, high = 1.0;

	while (hn_cusum_arl(high, k) < arl && high < 1e6)
		high *= 2.0;
	for (int i = 0; i < 60; i++) {
		const double mid = 0.5 * (low + high);

		if (hn_cusum_arl(mid, k) < arl)
			low = mid;
		else
			high = mid;
	}
	return 0.5 * (low + high);
}
