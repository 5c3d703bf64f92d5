#include "hn_fake.h"

#include <stdbool.h>

#define MAGIC 12582912.0f        /* 1.5 * 2^23: adding it leaves no bits below 1 */

static float nearest(float v, float low, float high)
{
	v = v < low ? low : v;
	v = v > high ? high : v;
	return (v + MAGIC) - MAGIC;
}

void hn_fake_round(const struct hn_fake_grid *g, float *v, size_t n)
{
	const float inverse = 1.0f / g->scale, low = g->low, high = g->high, scale = g->scale;

	for (size_t i = 0; i < n; i++)
		v[i] = scale * nearest(v[i] * inverse, low, high);
}

void hn_fake_hold(const struct hn_fake_grid *g, const float *y, float *dy, size_t n)
{
	const float low = g->scale * g->low, high = g->scale * g->high;

	for (size_t i = 0; i < n; i++) {
		const bool up = y[i] >= high && dy[i] < 0, down = y[i] <= low && dy[i] > 0;

		dy[i] = up || down ? 0 : dy[i];
	}
}

void hn_fake_round_each(float *step, float most, const float *w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const float s = step[i] > 0 ? step[i] : 1.0f, r = s * nearest(w[i] / s, -most, most);

		step[i] = step[i] > 0 ? r : w[i];
	}
}
