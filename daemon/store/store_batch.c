#include "store_batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* One frame in memory: this head, raw (n,), quality (n,), padding to 8 bytes. */
struct packed {
	size_t next;             /* 0 = last */
	int64_t event_us, ingest_us;
	uint16_t n;
};

enum { ALIGN = 8, FIRST = ALIGN };       /* offset 0 is never a frame */

static size_t packed_size(uint16_t n)
{
	const size_t bytes = sizeof(struct packed) + n * (sizeof(int32_t) + 1);

	return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

hn_status store_batch_init(struct store_batch *b, uint32_t n_max, uint16_t channels_max)
{
	*b = (struct store_batch){ .n_max = n_max, .used = FIRST };
	b->cap = FIRST + (size_t)n_max * packed_size(channels_max);
	b->mem = malloc(b->cap);
	return b->mem ? HN_OK : HN_ENOMEM;
}

void store_batch_done(struct store_batch *b)
{
	free(b->mem);
	b->mem = NULL;
}

void store_batch_clear(struct store_batch *b)
{
	b->used = FIRST;
	b->n = 0;
	memset(b->of, 0, sizeof b->of);
}

bool store_batch_room(const struct store_batch *b, uint16_t n_channels)
{
	return b->n < b->n_max && packed_size(n_channels) <= b->cap - b->used;
}

hn_status store_batch_push(struct store_batch *b, const struct hn_frame *f)
{
	const struct packed head = { 0, f->event_us, f->ingest_us, f->n };
	const size_t size = packed_size(f->n), at = b->used;

	assert(f->stream >= 0 && f->stream < CONF_STREAMS_MAX && f->n <= HN_CHANNELS_MAX);
	if (!store_batch_room(b, f->n))
		return HN_EFULL;
	memcpy(b->mem + at, &head, sizeof head);
	memcpy(b->mem + at + sizeof head, f->raw, f->n * sizeof f->raw[0]);
	memcpy(b->mem + at + sizeof head + f->n * sizeof f->raw[0], f->quality, f->n);
	if (b->of[f->stream].n == 0)
		b->of[f->stream].head = at;
	else
		memcpy(b->mem + b->of[f->stream].tail, &at, sizeof at);  /* `next` comes first */
	b->of[f->stream].tail = at;
	b->of[f->stream].n++;
	b->used += size;
	b->n++;
	return HN_OK;
}

bool store_batch_next(const struct store_batch *b, int stream, size_t *at, struct hn_frame *f)
{
	struct packed head;

	if (*at == SIZE_MAX || b->of[stream].n == 0)
		return false;
	if (*at == 0)
		*at = b->of[stream].head;
	memcpy(&head, b->mem + *at, sizeof head);
	f->stream = stream;
	f->event_us = head.event_us;
	f->ingest_us = head.ingest_us;
	f->n = head.n;
	memcpy(f->raw, b->mem + *at + sizeof head, head.n * sizeof f->raw[0]);
	memcpy(f->quality, b->mem + *at + sizeof head + head.n * sizeof f->raw[0], head.n);
	*at = head.next ? head.next : SIZE_MAX;
	return true;
}
