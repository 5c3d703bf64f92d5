/* Narrower ranges than all that was seen: by a share at each end, or by the least error.
 * Source of the second: Banner et al. 2019, arXiv:1810.05723 (which range clips best), by search in
 * place of their formula: it assumes a distribution. */
#include "hn_calib.h"

#include <math.h>

enum { BINS = HN_CALIB_BINS, STRIDES = 6 };

struct hn_grid hn_calib_grid(double lo, double hi)
{
	const double a = fmin(lo, 0), b = fmax(hi, 0);
	double scale = (b - a) / 255.0;
	struct hn_grid g;

	/* A tensor that is always zero still needs a grid. */
	scale = fmax(scale, 1e-6);
	g.scale = (float)scale;
	g.zp = (int8_t)fmax(-128, fmin(127, round(-128.0 - a / (double)g.scale)));
	return g;
}

/* Bins [first, last] of `all`. */
static struct hn_range part(struct hn_range all, int first, int last)
{
	const double width = (all.hi - all.lo) / BINS;

	return (struct hn_range){ all.lo + width * first, all.lo + width * (last + 1) };
}

struct hn_range hn_range_percentile(struct hn_range all, const uint32_t *bins, double tail)
{
	double total = 0, below = 0, above = 0;
	int first = 0, last = BINS - 1;

	for (int i = 0; i < BINS; i++)
		total += bins[i];
	while (first < last && below + bins[first] <= tail * total)
		below += bins[first++];
	while (last > first && above + bins[last] <= tail * total)
		above += bins[last--];
	return part(all, first, last);
}

/* Sum of squared errors on the grid of bins [first, last].  Inside a bin the values are spread: a
 * grid finer than the bins has the error of its steps. */
static double error_of(struct hn_range all, const uint32_t *bins, int first, int last)
{
	const double width = (all.hi - all.lo) / BINS;
	const struct hn_range r = part(all, first, last);
	const struct hn_grid g = hn_calib_grid(r.lo, r.hi);
	const double scale = (double)g.scale, lo = scale * (-128 - g.zp), hi = scale * (127 - g.zp);
	double sum = 0;

	for (int i = 0; i < BINS; i++) {
		const double v = all.lo + width * (i + 0.5);
		const double e = v < lo ? lo - v : v > hi ? v - hi : 0;

		if (bins[i])
			sum += bins[i] * (e * e + scale * scale / 12);
	}
	return sum;
}

struct search { struct hn_range all; const uint32_t *bins; int first, last; double best; };

/* True when moving one end by `by` bins lessens the error; then it is moved. */
static bool move(struct search *s, bool upper, int by)
{
	const int first = s->first + (upper ? 0 : by), last = s->last + (upper ? by : 0);
	double e;

	if (first < 0 || last > BINS - 1 || first >= last)
		return false;
	e = error_of(s->all, s->bins, first, last);
	if (!(e < s->best))
		return false;
	s->best = e;
	s->first = first;
	s->last = last;
	return true;
}

/* Both ends move inwards or back by strides that halve from a quarter of the range, as long as the
 * error falls. */
struct hn_range hn_range_mse(struct hn_range all, const uint32_t *bins)
{
	struct search s = { all, bins, 0, BINS - 1, error_of(all, bins, 0, BINS - 1) };

	for (int stride = BINS / 4; stride >= 1; stride /= 2) {
		bool moved = true;

		for (int tries = 0; moved && tries < STRIDES; tries++) {
			moved = move(&s, false, stride);
			moved |= move(&s, false, -stride);
			moved |= move(&s, true, -stride);
			moved |= move(&s, true, stride);
		}
	}
	return part(all, s.first, s.last);
}
