#include "hn_moments.h"

#include <math.h>

hn_status hn_moments_add(struct hn_moments *m, double x)
{
	if (!isfinite(x))
		return HN_ENUMERIC;
	const double d = x - m->mean;

	if (m->n == 0.0) {
		m->min = m->max = x;
	} else {
		m->min = fmin(m->min, x);
		m->max = fmax(m->max, x);
	}
	m->n += 1.0;
	m->mean += d / m->n;
	m->m2 += d * (x - m->mean);
	return HN_OK;
}

void hn_moments_merge(struct hn_moments *m, const struct hn_moments *other)
{
	if (other->n == 0.0)
		return;
	if (m->n == 0.0) {
		*m = *other;
		return;
	}
	const double n = m->n + other->n, d = other->mean - m->mean;

	m->m2 += other->m2 + d * d * m->n * other->n / n;
	m->mean += d * other->n / n;
	m->n = n;
	m->min = fmin(m->min, other->min);
	m->max = fmax(m->max, other->max);
}

double hn_moments_var(const struct hn_moments *m)
{
	return m->n < 2.0 ? 0.0 : m->m2 / (m->n - 1.0);
}

double hn_moments_sd(const struct hn_moments *m)
{
	return sqrt(hn_moments_var(m));
}
