/* hn_query.h - which of the recent windows are worth a label.
 *
 * A bounded reservoir of windows (features, margin, time) and a table of strategies that choose
 * among them.  Pure and deterministic; the caller owns the memory. */
#ifndef HN_QUERY_H
#define HN_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hn_arena.h"
#include "hn_rng.h"
#include "hn_status.h"

enum { HN_QUERY_DIM_MAX = 256, HN_QUERY_CAP_MAX = 1024 };

struct hn_query_item {
	int64_t event_us;        /* end of the window                                           */
	int     stream;
	int     margin;          /* 0..255, -1 = unknown                                        */
	bool    asked;           /* offered or labelled already                                 */
};

struct hn_query {                /* fields are private                                          */
	struct hn_query_item *item;      /* (cap,)                                              */
	float  *x;                       /* (cap, dim) features                                 */
	double *near;                    /* (cap,) work: distance to the nearest chosen one     */
	double *weight;                  /* (dim,) work: 1 / variance of each feature           */
	size_t  cap, dim, len;
	uint64_t seen;                   /* items since the last clear                          */
	struct hn_rng rng;
};

size_t hn_query_need(size_t cap, size_t dim);
hn_status hn_query_init(struct hn_query *q, size_t cap, size_t dim, struct hn_arena *a);

/* Keep a uniform sample of everything since the last clear (reservoir).  x (dim,) finite, any
 * units: distances are in standard deviations of what is kept.  Returns the slot or -1: not
 * kept. */
int hn_query_add(struct hn_query *q, const struct hn_query_item *item, const float *x);

/* Learned later: the margin of the item that ends in [t0, t1] of a stream. */
void hn_query_margin(struct hn_query *q, int stream, int64_t t0_us, int64_t t1_us, int margin);

/* The windows of a stream that end in [t0, t1] have a label: do not ask again. */
void hn_query_known(struct hn_query *q, int stream, int64_t t0_us, int64_t t1_us);

/* Forget what ended before `t_us`. */
void hn_query_expire(struct hn_query *q, int64_t t_us);

void hn_query_clear(struct hn_query *q);

struct hn_query_how {
	const char *name, *help;
	/* Choose the next item among those not asked; near (len,) holds the squared distance of each
	 * to the nearest item asked so far (infinite: none).  -1: nothing left. */
	int (*next)(struct hn_query *q);
};
extern const struct hn_query_how *const hn_query_hows[]; /* mixed, uncertain, diverse, random     */
const struct hn_query_how *hn_query_how_find(const char *name);  /* NULL: no such strategy       */

/* Choose up to n items and mark them asked.  pick (n,) gets slots; returns how many. */
int hn_query_pick(struct hn_query *q, const struct hn_query_how *how, int n, int *pick);
const struct hn_query_item *hn_query_at(const struct hn_query *q, int slot);
#endif
