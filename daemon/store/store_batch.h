/* store_batch.h - frames of all streams that wait for one commit, packed, in order of arrival a
 * stream.  Private to store*.c; the caller locks. */
#ifndef STORE_BATCH_H
#define STORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "conf.h"
#include "hn_frame.h"

struct store_batch {
	unsigned char *mem;      /* (cap,) owned; pages that were never used cost no memory    */
	size_t   cap, used;
	uint32_t n, n_max;       /* frames                                                     */
	struct { size_t head, tail; uint32_t n; } of[CONF_STREAMS_MAX];
};

/* Room for n_max frames of the widest stream.  Errors: HN_ENOMEM. */
hn_status store_batch_init(struct store_batch *b, uint32_t n_max, uint16_t channels_max);
void store_batch_done(struct store_batch *b);
void store_batch_clear(struct store_batch *b);

/* Would a frame of so many channels be taken? */
bool store_batch_room(const struct store_batch *b, uint16_t n_channels);

/* HN_EFULL. */
hn_status store_batch_push(struct store_batch *b, const struct hn_frame *f);

/* Visit the frames of `stream`: start with *at = 0; false at the end. */
bool store_batch_next(const struct store_batch *b, int stream, size_t *at, struct hn_frame *f);
#endif
