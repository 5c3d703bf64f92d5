#include "label_ring.h"

#include <assert.h>
#include <stdlib.h>

hn_status label_ring_init(struct label_ring *r)
{
	*r = (struct label_ring){ .slot = calloc(LABEL_RING_MAX, sizeof r->slot[0]) };
	return r->slot ? HN_OK : HN_ENOMEM;
}

void label_ring_done(struct label_ring *r)
{
	free(r->slot);
	*r = (struct label_ring){ .slot = NULL };
}

static struct label_at *at(const struct label_ring *r, uint32_t i)
{
	return &r->slot[(r->head + i) % LABEL_RING_MAX];
}

void label_ring_pop(struct label_ring *r)
{
	assert(r->len > 0);
	r->head = (r->head + 1) % LABEL_RING_MAX;
	r->len--;
}

bool label_ring_push(struct label_ring *r, struct label_at x, struct label_at *lost)
{
	bool full = r->len == LABEL_RING_MAX;

	if (full) {
		*lost = *at(r, 0);
		label_ring_pop(r);
	}
	if (r->len > 0 && x.t_us < at(r, r->len - 1)->t_us)
		r->unordered = true;
	*at(r, r->len++) = x;
	return full;
}

const struct label_at *label_ring_oldest(const struct label_ring *r)
{
	return r->len > 0 ? at(r, 0) : NULL;
}

static const struct label_at *find_any(const struct label_ring *r, int64_t t_us)
{
	for (uint32_t i = r->len; i-- > 0;)
		if (at(r, i)->t_us == t_us)
			return at(r, i);
	return NULL;
}

const struct label_at *label_ring_find(const struct label_ring *r, int64_t t_us)
{
	uint32_t lo = 0, hi = r->len;

	if (r->unordered)
		return find_any(r, t_us);
	while (lo < hi) {                       /* the first one after t_us */
		uint32_t mid = lo + (hi - lo) / 2;

		if (at(r, mid)->t_us <= t_us)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 && at(r, lo - 1)->t_us == t_us ? at(r, lo - 1) : NULL;
}
