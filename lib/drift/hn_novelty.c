#include "hn_novelty.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "hn_drift.h"
#include "hn_quantile.h"

enum { GAP_SHARE = 16 };                 /* neighbours in time: nearer than 1/16 of all blocks  */

static const double d_min = 1e-3;        /* rms distances below are equal: their log says nothing */
static const double spread_min = 0.1;    /* 10 % of a distance                                  */
static const double slack_base = 1.5;    /* finds distances of about twice the usual ones       */

static float *scale_of(struct hn_novelty *v)
{
	return (float *)(void *)v->data;
}

static float *place_of(struct hn_novelty *v, uint32_t i)
{
	return scale_of(v) + v->dim + (size_t)i * v->dim;
}

static uint32_t *when_of(struct hn_novelty *v)
{
	return (uint32_t *)(void *)place_of(v, v->cap);
}

static const float *scale_in(const struct hn_novelty *v)
{
	return (const float *)(const void *)v->data;
}

static const float *place_in(const struct hn_novelty *v, uint32_t i)
{
	return scale_in(v) + v->dim + (size_t)i * v->dim;
}

static const uint32_t *when_in(const struct hn_novelty *v)
{
	return (const uint32_t *)(const void *)place_in(v, v->cap);
}

size_t hn_novelty_size(uint32_t cap, uint32_t dim)
{
	if (cap < HN_NOVELTY_MIN || cap > HN_NOVELTY_CAP || dim < 1 || dim > HN_NOVELTY_DIM)
		return 0;
	return (sizeof(struct hn_novelty) + dim * sizeof(float)
	      + (size_t)cap * (dim * sizeof(float) + sizeof(uint32_t)) + 7) & ~(size_t)7;
}

hn_status hn_novelty_init(struct hn_novelty *v, uint32_t cap, uint32_t dim, uint64_t seed)
{
	const size_t size = hn_novelty_size(cap, dim);

	if (size == 0)
		return HN_ERANGE;
	memset(v, 0, size);
	v->cap = cap;
	v->dim = dim;
	hn_rng_seed(&v->rng, seed);
	return HN_OK;
}

void hn_novelty_clear(struct hn_novelty *v)
{
	v->n = v->seen = 0;
	v->frozen = false;
}

static bool finite_all(const float *x, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

/* Vitter 1985, algorithm R. */
hn_status hn_novelty_learn(struct hn_novelty *v, const float *x)
{
	uint32_t slot = v->n;

	if (v->frozen)
		return HN_ESTATE;
	if (!finite_all(x, v->dim))
		return HN_ENUMERIC;
	if (v->seen == UINT32_MAX)
		return HN_OK;
	v->seen++;
	if (v->n < v->cap) {
		v->n++;
	} else {
		slot = hn_rng_below(&v->rng, v->seen);
		if (slot >= v->cap)
			return HN_OK;
	}
	memcpy(place_of(v, slot), x, v->dim * sizeof *x);
	when_of(v)[slot] = v->seen;
	return HN_OK;
}

/* Squared distance in standard deviations, or anything above `stop` once it is passed.  Eight sums
 * side by side: no addition waits for the one before. */
static float distance2(const float *a, const float *b, const float *scale, uint32_t dim, float stop)
{
	float lane[8] = { 0 }, sum = 0.0f;
	uint32_t i = 0;

	while (i + 8 <= dim) {
		for (uint32_t k = 0; k < 8; k++) {
			const float d = (a[i + k] - b[i + k]) * scale[i + k];

			lane[k] += d * d;
		}
		i += 8;
		if (i % 32 != 0)
			continue;
		sum = ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
		if (sum >= stop)
			return sum;
	}
	sum = ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
	for (; i < dim; i++) {
		const float d = (a[i] - b[i]) * scale[i];

		sum += d * d;
	}
	return sum;
}

/* Nearest reference block to x, leaving out those seen within `gap` of time `when` (gap 0:
 * none). */
static float nearest(const struct hn_novelty *v, const float *x, uint32_t when, uint32_t gap,
                     uint32_t *which)
{
	const uint32_t *t = when_in(v);
	float best = INFINITY;

	*which = 0;
	for (uint32_t i = 0; i < v->n; i++) {
		const uint32_t apart = t[i] > when ? t[i] - when : when - t[i];
		float d;

		if (gap && apart < gap)
			continue;
		d = distance2(x, place_in(v, i), scale_in(v), v->dim, best);
		if (d < best) {
			best = d;
			*which = i;
		}
	}
	return best;
}

static double log_rms(const struct hn_novelty *v, float d2)
{
	return log(fmax(sqrt((double)d2 / v->dim), d_min));
}

static void set_scale(struct hn_novelty *v, const float *floor_sd)
{
	for (uint32_t k = 0; k < v->dim; k++) {
		double mean = 0.0, m2 = 0.0;

		for (uint32_t i = 0; i < v->n; i++)
			mean += (double)place_in(v, i)[k] / v->n;
		for (uint32_t i = 0; i < v->n; i++) {
			const double d = (double)place_in(v, i)[k] - mean;

			m2 += d * d;
		}
		const double sd = fmax(sqrt(m2 / (v->n - 1.0)), fmax((double)floor_sd[k], 1e-30));

		scale_of(v)[k] = (float)(1.0 / sd);
	}
}

/* Order of the blocks in time: insertion of indices, once a freeze. */
static void time_order(const struct hn_novelty *v, uint16_t *order)
{
	const uint32_t *t = when_in(v);

	for (uint32_t i = 0; i < v->n; i++) {
		uint32_t k = i;

		for (; k > 0 && t[order[k - 1]] > t[i]; k--)
			order[k] = order[k - 1];
		order[k] = (uint16_t)i;
	}
}

static void calibrate(struct hn_novelty *v, const double *log_d)
{
	double work[HN_NOVELTY_CAP], s = 0.0;
	uint16_t order[HN_NOVELTY_CAP];
	const double k = hn_novelty_slack(v);

	memcpy(work, log_d, v->n * sizeof *work);
	v->median = hn_median(work, v->n);
	for (uint32_t i = 0; i < v->n; i++)
		work[i] = fabs(log_d[i] - v->median);
	/* Robust, because a state seen once only is far from all the others: 1.4826 MAD = sd. */
	v->spread = fmax(1.4826 * hn_median(work, v->n), spread_min);
	time_order(v, order);
	v->peak = 0.0;
	for (uint32_t i = 0; i < v->n; i++) {
		const double z = (log_d[order[i]] - v->median) / v->spread;

		s = fmax(0.0, s + fmin(z, HN_NOVELTY_CLIP) - k);
		v->peak = fmax(v->peak, s);
	}
}

/* The median of n values is uncertain by about 1.25 spread / sqrt(n). */
double hn_novelty_slack(const struct hn_novelty *v)
{
	return slack_base + (v->n ? 2.0 / sqrt(v->n) : 0.0);
}

double hn_novelty_threshold(const struct hn_novelty *v, double arl)
{
	return 2.0 * fmax(hn_cusum_threshold(fmax(arl, 2.0), hn_novelty_slack(v)), v->peak);
}

hn_status hn_novelty_freeze(struct hn_novelty *v, const float *floor_sd)
{
	double log_d[HN_NOVELTY_CAP];
	const uint32_t gap = v->seen / GAP_SHARE > 0 ? v->seen / GAP_SHARE : 1;
	uint32_t which;

	assert(v->cap <= HN_NOVELTY_CAP);
	if (v->n < HN_NOVELTY_MIN)
		return HN_EDATA;
	set_scale(v, floor_sd);
	for (uint32_t i = 0; i < v->n; i++)
		log_d[i] = log_rms(v, nearest(v, place_in(v, i), when_in(v)[i], gap, &which));
	calibrate(v, log_d);
	v->frozen = true;
	return HN_OK;
}

hn_status hn_novelty_step(const struct hn_novelty *v, const float *x, double *z, float *rest)
{
	uint32_t which;

	if (!v->frozen)
		return HN_ESTATE;
	if (!finite_all(x, v->dim))
		return HN_ENUMERIC;
	*z = (log_rms(v, nearest(v, x, 0, 0, &which)) - v->median) / v->spread;
	if (!rest)
		return HN_OK;
	for (uint32_t k = 0; k < v->dim; k++)
		rest[k] = (x[k] - place_in(v, which)[k]) * scale_in(v)[k];
	return HN_OK;
}
