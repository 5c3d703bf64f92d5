#include "hn_arena.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

void hn_arena_init(struct hn_arena *a, void *mem, size_t cap)
{
	assert(((uintptr_t)mem & (HN_ARENA_ALIGN - 1)) == 0);
	*a = (struct hn_arena){ .mem = mem, .cap = cap };
}

bool hn_arena_dry(const struct hn_arena *a)
{
	return a->mem == NULL;
}

void *hn_arena_take(struct hn_arena *a, size_t n)
{
	const size_t mask = HN_ARENA_ALIGN - 1;
	unsigned char *p;

	if (n > SIZE_MAX - mask - a->used)
		return NULL;
	n = (n + mask) & ~mask;
	if (a->mem && n > a->cap - a->used)
		return NULL;
	p = a->mem ? a->mem + a->used : NULL;
	a->used += n;
	if (a->used > a->peak)
		a->peak = a->used;
	if (p)
		memset(p, 0, n);
	return p;
}

void hn_arena_reset(struct hn_arena *a, size_t mark)
{
	assert(mark <= a->used);
	a->used = mark;
}
