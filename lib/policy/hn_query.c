/* hn_query.c - reservoir and strategies.  Sources: Lewis & Gale 1994 (uncertainty sampling);
 * Gonzalez 1985 and Sener & Savarese 2018 (farthest-first traversal, k-center). */
#include "hn_query.h"

#include <math.h>
#include <string.h>

enum { MARGIN_FULL = 255, MARGIN_UNKNOWN = 96 };         /* unknown counts as rather uncertain    */

size_t hn_query_need(size_t cap, size_t dim)
{
	struct hn_arena a;

	hn_arena_init(&a, NULL, 0);
	(void)hn_arena_take(&a, cap * sizeof(struct hn_query_item));
	(void)hn_arena_take(&a, cap * dim * sizeof(float));
	(void)hn_arena_take(&a, cap * sizeof(double));
	(void)hn_arena_take(&a, dim * sizeof(double));
	return a.peak;
}

hn_status hn_query_init(struct hn_query *q, size_t cap, size_t dim, struct hn_arena *a)
{
	if (cap < 1 || cap > HN_QUERY_CAP_MAX || dim < 1 || dim > HN_QUERY_DIM_MAX)
		return HN_ERANGE;
	struct hn_query fresh = { .cap = cap, .dim = dim };

	fresh.item = hn_arena_take(a, cap * sizeof *fresh.item);
	fresh.x = hn_arena_take(a, cap * dim * sizeof *fresh.x);
	fresh.near = hn_arena_take(a, cap * sizeof *fresh.near);
	fresh.weight = hn_arena_take(a, dim * sizeof *fresh.weight);
	if (!fresh.item || !fresh.x || !fresh.near || !fresh.weight)
		return HN_ENOMEM;
	hn_rng_seed(&fresh.rng, 1);
	*q = fresh;
	return HN_OK;
}

void hn_query_clear(struct hn_query *q)
{
	q->len = 0;
	q->seen = 0;
}

int hn_query_add(struct hn_query *q, const struct hn_query_item *item, const float *x)
{
	size_t slot = q->len;

	for (size_t i = 0; i < q->dim; i++)
		if (!isfinite(x[i]))
			return -1;
	q->seen += q->seen < UINT32_MAX;
	if (q->len < q->cap)
		q->len++;
	else
		slot = hn_rng_below(&q->rng, (uint32_t)q->seen);
	if (slot >= q->cap)
		return -1;
	q->item[slot] = *item;
	memcpy(q->x + slot * q->dim, x, q->dim * sizeof *x);
	return (int)slot;
}

static bool inside(const struct hn_query_item *i, int stream, int64_t t0_us, int64_t t1_us)
{
	return i->stream == stream && i->event_us >= t0_us && i->event_us <= t1_us;
}

void hn_query_margin(struct hn_query *q, int stream, int64_t t0_us, int64_t t1_us, int margin)
{
	for (size_t i = 0; i < q->len; i++) {
		struct hn_query_item *it = &q->item[i];

		if (inside(it, stream, t0_us, t1_us) && (it->margin < 0 || margin < it->margin))
			it->margin = margin;
	}
}

void hn_query_known(struct hn_query *q, int stream, int64_t t0_us, int64_t t1_us)
{
	for (size_t i = 0; i < q->len; i++)
		if (inside(&q->item[i], stream, t0_us, t1_us))
			q->item[i].asked = true;
}

void hn_query_expire(struct hn_query *q, int64_t t_us)
{
	size_t k = 0;

	for (size_t i = 0; i < q->len; i++) {
		if (q->item[i].event_us < t_us)
			continue;
		q->item[k] = q->item[i];
		memmove(q->x + k * q->dim, q->x + i * q->dim, q->dim * sizeof *q->x);
		k++;
	}
	q->len = k;
	if (q->seen > k)                 /* what is left is the sample of what is left */
		q->seen = k;
}

/* --- strategies ------------------------------------------------------------------------------- */

static double doubt(const struct hn_query_item *it)      /* 0 = certain, 1 = not at all           */
{
	const int m = it->margin < 0 ? MARGIN_UNKNOWN : it->margin;

	return 1.0 - (double)(m < MARGIN_FULL ? m : MARGIN_FULL) / MARGIN_FULL;
}

/* Item with the largest value of `worth` that was not asked; ties go to the newest in time. */
static int best(const struct hn_query *q, double (*worth)(const struct hn_query *q, size_t i))
{
	double top = -1.0;
	int found = -1;

	for (size_t i = 0; i < q->len; i++) {
		const double w = q->item[i].asked ? -1.0 : worth(q, i);

		if (w < 0.0 || w < top)
			continue;
		if (w == top && q->item[i].event_us <= q->item[found].event_us)
			continue;
		top = w;
		found = (int)i;
	}
	return found;
}

static double worth_doubt(const struct hn_query *q, size_t i)
{
	return doubt(&q->item[i]);
}

/* Nothing chosen yet: begin with the newest. */
static double worth_far(const struct hn_query *q, size_t i)
{
	return isfinite(q->near[i]) ? q->near[i] : 1.0;
}

/* Far from what is known, twice as much when the answer is in doubt. */
static double worth_mixed(const struct hn_query *q, size_t i)
{
	return sqrt(worth_far(q, i)) * (1.0 + doubt(&q->item[i]));
}

static int next_uncertain(struct hn_query *q) { return best(q, worth_doubt); }
static int next_diverse(struct hn_query *q) { return best(q, worth_far); }
static int next_mixed(struct hn_query *q) { return best(q, worth_mixed); }

static int next_random(struct hn_query *q)
{
	uint32_t left = 0, k;

	for (size_t i = 0; i < q->len; i++)
		left += !q->item[i].asked;
	if (left == 0)
		return -1;
	k = hn_rng_below(&q->rng, left);
	for (size_t i = 0; i < q->len; i++)
		if (!q->item[i].asked && k-- == 0)
			return (int)i;
	return -1;
}

static const struct hn_query_how mixed = {
	"mixed", "far from what is known, and in doubt", next_mixed
};
static const struct hn_query_how uncertain = { "uncertain", "smallest margin", next_uncertain };
static const struct hn_query_how diverse = {
	"diverse", "farthest from what is known", next_diverse
};
static const struct hn_query_how at_random = { "random", "any", next_random };

const struct hn_query_how *const hn_query_hows[] = {
	&mixed, &uncertain, &diverse, &at_random, NULL
};

const struct hn_query_how *hn_query_how_find(const char *name)
{
	for (const struct hn_query_how *const *h = hn_query_hows; *h; h++)
		if (strcmp((*h)->name, name) == 0)
			return *h;
	return NULL;
}

/* --- choosing --------------------------------------------------------------------------------- */

static void draw_near(struct hn_query *q, size_t chosen)
{
	const float *c = q->x + chosen * q->dim;

	for (size_t i = 0; i < q->len; i++) {
		const float *x = q->x + i * q->dim;
		double d = 0.0;

		for (size_t k = 0; k < q->dim; k++)
			d += q->weight[k] * ((double)x[k] - (double)c[k]) * ((double)x[k] - (double)c[k]);
		q->near[i] = fmin(q->near[i], d);
	}
}

/* A feature that never changes tells nothing: weight 0.  Divided by dim: one unit = one sd in
 * rms. */
static void weigh(struct hn_query *q)
{
	const double n = (double)q->len;

	for (size_t k = 0; k < q->dim; k++) {
		double mean = 0.0, var = 0.0;

		for (size_t i = 0; i < q->len; i++)
			mean += (double)q->x[i * q->dim + k] / n;
		for (size_t i = 0; i < q->len; i++) {
			const double d = (double)q->x[i * q->dim + k] - mean;

			var += d * d / n;
		}
		q->weight[k] = var > 0.0 ? 1.0 / (var * (double)q->dim) : 0.0;
	}
}

int hn_query_pick(struct hn_query *q, const struct hn_query_how *how, int n, int *pick)
{
	int got = 0;

	weigh(q);
	for (size_t i = 0; i < q->len; i++)
		q->near[i] = (double)INFINITY;
	for (size_t i = 0; i < q->len; i++)
		if (q->item[i].asked)
			draw_near(q, i);
	while (got < n) {
		const int slot = how->next(q);

		if (slot < 0)
			break;
		q->item[slot].asked = true;
		draw_near(q, (size_t)slot);
		pick[got++] = slot;
	}
	return got;
}

const struct hn_query_item *hn_query_at(const struct hn_query *q, int slot)
{
	return &q->item[slot];
}
