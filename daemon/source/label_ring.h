/* label_ring.h - the newest labels of a replayed file, by event time; the oldest gives way. */
#ifndef LABEL_RING_H
#define LABEL_RING_H

#include <stdbool.h>
#include <stdint.h>
#include "hn_status.h"

enum { LABEL_RING_MAX = 65536 };         /* a power of two                                     */

struct label_at { int64_t t_us; double value; };

struct label_ring {                      /* private: use the functions                         */
	struct label_at *slot;           /* (LABEL_RING_MAX,) or NULL                          */
	uint32_t head, len;              /* index of the oldest                                */
	bool unordered;                  /* a time went back: searched one by one              */
};

hn_status label_ring_init(struct label_ring *r);         /* Errors: HN_ENOMEM                */
void label_ring_done(struct label_ring *r);

/* Append.  When full the oldest goes to *lost and true is returned. */
bool label_ring_push(struct label_ring *r, struct label_at x, struct label_at *lost);

/* The oldest, NULL when empty; valid until the next push. */
const struct label_at *label_ring_oldest(const struct label_ring *r);
void label_ring_pop(struct label_ring *r);               /* drop the oldest                    */

/* The label at exactly this time (the newest of several); NULL = none. */
const struct label_at *label_ring_find(const struct label_ring *r, int64_t t_us);
#endif
