#include "hn_quantile.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static void sift(double *x, size_t root, size_t n)
{
	const double top = x[root];

	for (;;) {
		size_t child = 2 * root + 1;

		if (child >= n)
			break;
		if (child + 1 < n && x[child + 1] > x[child])
			child++;
		if (x[child] <= top)
			break;
		x[root] = x[child];
		root = child;
	}
	x[root] = top;
}

void hn_sort(double *x, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift(x, i, n);
	for (size_t end = n; end-- > 1;) {
		const double t = x[0];

		x[0] = x[end];
		x[end] = t;
		sift(x, 0, end);
	}
}

double hn_quantile_sorted(const double *x, size_t n, double q)
{
	assert(n >= 1);
	const double at = fmin(fmax(q, 0.0), 1.0) * (double)(n - 1);
	const size_t i = (size_t)at;

	if (i + 1 >= n)
		return x[n - 1];
	return x[i] + (at - (double)i) * (x[i + 1] - x[i]);
}

double hn_median(double *x, size_t n)
{
	hn_sort(x, n);
	return hn_quantile_sorted(x, n, 0.5);
}

hn_status hn_p2_init(struct hn_p2 *p, double q)
{
	if (!(q > 0.0 && q < 1.0))
		return HN_ERANGE;
	*p = (struct hn_p2){ .q = q };
	return HN_OK;
}

static double p2_parabolic(const struct hn_p2 *p, int i, double s)
{
	const double *h = p->height, *n = p->pos;

	return h[i] + s / (n[i + 1] - n[i - 1])
	     * ((n[i] - n[i - 1] + s) * (h[i + 1] - h[i]) / (n[i + 1] - n[i])
	      + (n[i + 1] - n[i] - s) * (h[i] - h[i - 1]) / (n[i] - n[i - 1]));
}

static void p2_adjust(struct hn_p2 *p, int i)
{
	const double share[5] = { 0.0, p->q / 2.0, p->q, (1.0 + p->q) / 2.0, 1.0 };
	const double d = 1.0 + (p->n - 1.0) * share[i] - p->pos[i];
	double h;

	if (!((d >= 1.0 && p->pos[i + 1] - p->pos[i] > 1.0)
	   || (d <= -1.0 && p->pos[i - 1] - p->pos[i] < -1.0)))
		return;
	const double s = d > 0.0 ? 1.0 : -1.0;
	const int j = d > 0.0 ? i + 1 : i - 1;

	h = p2_parabolic(p, i, s);
	if (!(p->height[i - 1] < h && h < p->height[i + 1]))     /* then linear keeps the order */
		h = p->height[i] + s * (p->height[j] - p->height[i]) / (p->pos[j] - p->pos[i]);
	p->height[i] = h;
	p->pos[i] += s;
}

hn_status hn_p2_add(struct hn_p2 *p, double x)
{
	int k = 0;

	if (!isfinite(x))
		return HN_ENUMERIC;
	if (p->n < 5.0) {
		p->height[(int)p->n] = x;
		p->n += 1.0;
		if (p->n == 5.0)
			hn_sort(p->height, 5);
		for (int i = 0; i < 5; i++)
			p->pos[i] = i + 1.0;
		return HN_OK;
	}
	if (x < p->height[0])
		p->height[0] = x;
	if (x > p->height[4])
		p->height[4] = x;
	while (k < 3 && x >= p->height[k + 1])
		k++;
	for (int i = k + 1; i < 5; i++)
		p->pos[i] += 1.0;
	p->n += 1.0;
	for (int i = 1; i <= 3; i++)
		p2_adjust(p, i);
	return HN_OK;
}

double hn_p2_value(const struct hn_p2 *p)
{
	double few[5];

	if (p->n == 0.0)
		return (double)NAN;
	if (p->n >= 5.0)
		return p->height[2];
	memcpy(few, p->height, sizeof few);
	hn_sort(few, (size_t)p->n);
	return hn_quantile_sorted(few, (size_t)p->n, p->q);
}
