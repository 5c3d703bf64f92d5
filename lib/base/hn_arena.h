/* hn_arena.h - bump allocator over memory that the caller provides.
 *
 * lib/ never calls malloc: a module states its need, the caller hands in an arena.  A "dry" arena
 * (mem == NULL) only counts, so that a plan and the real run execute the same code and agree to
 * the byte. */
#ifndef HN_ARENA_H
#define HN_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include "hn_status.h"

enum { HN_ARENA_ALIGN = 64 };    /* every block starts on a cache line */

struct hn_arena {
	unsigned char *mem;      /* (cap,) 64-byte aligned, borrowed; NULL = counting only */
	size_t cap, used, peak;
};

/* Use `mem` (cap,), aligned to HN_ARENA_ALIGN.  mem == NULL counts without memory. */
void hn_arena_init(struct hn_arena *a, void *mem, size_t cap);

/* `n` bytes, zeroed, aligned to HN_ARENA_ALIGN.  NULL when full (or counting: then `used` and
 * `peak` still grow and NULL means nothing). */
void *hn_arena_take(struct hn_arena *a, size_t n);

/* Give back everything taken since `mark` (a former value of `used`). */
void hn_arena_reset(struct hn_arena *a, size_t mark);

/* True when the arena only counts. */
bool hn_arena_dry(const struct hn_arena *a);
#endif
