#include "hn_test.h"

#include <math.h>

#include "hn_moments.h"
#include "hn_quantile.h"

double hn_normal_cdf(double z)
{
	return 0.5 * erfc(-z * M_SQRT1_2);
}

/* Upper half, p in [0.5, 1): start by Abramowitz & Stegun 26.2.23, then Halley steps. */
static double upper_quantile(double q /* 1 - p, in (0, 0.5] */)
{
	const double t = sqrt(-2.0 * log(q));
	double z = t - (2.515517 + t * (0.802853 + t * 0.010328))
	             / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)));

	for (int i = 0; i < 3; i++) {
		const double e = q - 0.5 * erfc(z * M_SQRT1_2);
		const double u = e * sqrt(2.0 * M_PI) * exp(0.5 * z * z);

		z -= u / (1.0 + 0.5 * z * u);
	}
	return z;
}

double hn_normal_quantile(double p)
{
	if (!(p > 0.0 && p < 1.0))
		return (double)NAN;
	return p >= 0.5 ? upper_quantile(1.0 - p) : -upper_quantile(p);
}

/* log of n choose k; 0 <= k <= n. */
static double log_choose(double n, double k)
{
	return lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0);
}

static double binomial_point(int k, int n, double p)
{
	if (p <= 0.0)
		return k == 0 ? 1.0 : 0.0;
	if (p >= 1.0)
		return k == n ? 1.0 : 0.0;
	return exp(log_choose(n, k) + k * log(p) + (n - k) * log1p(-p));
}

double hn_binomial_tail(int k, int n, double p)
{
	double sum = 0.0;

	if (k <= 0)
		return 1.0;
	for (int i = n; i >= k; i--)             /* small terms first */
		sum += binomial_point(i, n, p);
	return fmin(sum, 1.0);
}

double hn_sign_midp_greater(int wins, int losses)
{
	const int n = wins + losses;

	if (n <= 0)
		return 1.0;
	return hn_binomial_tail(wins, n, 0.5) - 0.5 * binomial_point(wins, n, 0.5);
}

double hn_sign_midp(int wins, int losses)
{
	const int more = wins > losses ? wins : losses;

	if (wins == losses)
		return 1.0;
	return fmin(1.0, 2.0 * hn_sign_midp_greater(more, wins + losses - more));
}

void hn_wilson(int k, int n, double z, double *low, double *high)
{
	const double nn = n, p = k / nn, z2 = z * z;
	const double mid = (p + z2 / (2.0 * nn)) / (1.0 + z2 / nn);
	const double half = z / (1.0 + z2 / nn) * sqrt(p * (1.0 - p) / nn + z2 / (4.0 * nn * nn));

	*low = fmax(0.0, mid - half);
	*high = fmin(1.0, mid + half);
}

hn_status hn_welch(const struct hn_moments *a, const struct hn_moments *b, double *t, double *df)
{
	const double va = hn_moments_var(a) / a->n, vb = hn_moments_var(b) / b->n;

	if (a->n < 2.0 || b->n < 2.0 || !(va + vb > 0.0))
		return HN_EDATA;
	*t = (a->mean - b->mean) / sqrt(va + vb);
	*df = (va + vb) * (va + vb) / (va * va / (a->n - 1.0) + vb * vb / (b->n - 1.0));
	return HN_OK;
}

double hn_ks_distance(double *a, size_t n_a, double *b, size_t n_b)
{
	double d = 0.0;
	size_t i = 0, j = 0;

	hn_sort(a, n_a);
	hn_sort(b, n_b);
	while (i < n_a && j < n_b) {
		const double x = fmin(a[i], b[j]);

		while (i < n_a && a[i] <= x)
			i++;
		while (j < n_b && b[j] <= x)
			j++;
		d = fmax(d, fabs((double)i / (double)n_a - (double)j / (double)n_b));
	}
	return d;
}

double hn_ks_p(double d, size_t n_a, size_t n_b)
{
	const double ne = (double)n_a * (double)n_b / (double)(n_a + n_b);
	const double l = (sqrt(ne) + 0.12 + 0.11 / sqrt(ne)) * d;
	double sum = 0.0, sign = 1.0;

	if (l < 0.2)                     /* the series needs many terms there; p > 1 - 1e-12 */
		return 1.0;
	for (int k = 1; k <= 100; k++) {
		const double term = exp(-2.0 * k * k * l * l);

		sum += sign * term;
		sign = -sign;
		if (term < 1e-16)
			break;
	}
	return fmin(1.0, fmax(0.0, 2.0 * sum));
}

double hn_wasserstein(double *a, size_t n_a, double *b, size_t n_b)
{
	double area = 0.0, last;
	size_t i = 0, j = 0;

	hn_sort(a, n_a);
	hn_sort(b, n_b);
	last = fmin(a[0], b[0]);
	while (i < n_a || j < n_b) {
		const double x = j >= n_b || (i < n_a && a[i] <= b[j]) ? a[i] : b[j];

		area += (x - last) * fabs((double)i / (double)n_a - (double)j / (double)n_b);
		last = x;
		if (j >= n_b || (i < n_a && a[i] <= b[j]))
			i++;
		else
			j++;
	}
	return area;
}
