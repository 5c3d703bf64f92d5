/* hn_block.h - many frames of one stream as few bytes.
 *
 *   u8 format (1) | u8 flags | varint channels | varint frames | columns | u32 CRC-32C
 *
 * Columns: event time, ingest time minus event time, then the raw values of each channel, then the
 * quality flags (one byte for the whole block when all are equal: flags bit 0, else a column a
 * channel).  A column is the word `mode`, then
 *   mode 3      constant: one value
 *   mode k<=2   k start values, then the k-th differences in groups of 64: u8 width, packed bits.
 * Values are zig-zag varints; differences wrap modulo 2^64 (2^32 for raw values), so every integer
 * comes back exactly.  Timestamps stand once for all channels.  Integers are little-endian.
 * The writer takes for each column the k that needs the fewest bits.
 *
 * Source of delta + zig-zag + group width: Lemire & Boytsov 2015, "Decoding billions of integers
 * per second through vectorization", sec. 2 and 4 (binary packing). */
#ifndef HN_BLOCK_H
#define HN_BLOCK_H

#include <stddef.h>
#include <stdint.h>
#include "hn_frame.h"

enum { HN_BLOCK_FRAMES_MAX = 4096, HN_BLOCK_FORMAT = 1 };

struct hn_block {                /* arrays are the caller's                                    */
	uint32_t n, cap;         /* frames held, frames that fit; cap <= HN_BLOCK_FRAMES_MAX   */
	uint16_t n_channels;
	size_t   cells;          /* room of raw and quality in values; >= cap * n_channels     */
	int64_t *event_us, *ingest_us;   /* (cap,)                                             */
	int32_t *raw;            /* (n, n_channels)                                            */
	uint8_t *quality;        /* (n, n_channels)                                            */
};

/* Most bytes that `n` frames of `n_channels` can take. */
size_t hn_block_bound(uint32_t n, uint16_t n_channels);

/* Append a frame.  HN_EFULL; HN_EINVAL: other number of channels (the first frame decides). */
hn_status hn_block_push(struct hn_block *b, const struct hn_frame *f);

/* Frame `i` < n into `f`; its stream becomes 0. */
void hn_block_frame(const struct hn_block *b, uint32_t i, struct hn_frame *f);

/* Order of event time, stable: order (n,) gets the indices.  Cost: O(n) when already in order. */
void hn_block_sort(const struct hn_block *b, uint32_t *order);

/* Encode the frames in `order` (n,) (NULL = as they stand) into out (cap,).
 * Errors: HN_EINVAL (no frame), HN_EFULL (cap below hn_block_bound). */
hn_status hn_block_write(const struct hn_block *b, const uint32_t *order, uint8_t *out, size_t cap,
                         size_t *len);

/* The CRC is right and the head makes sense.  Any bytes are safe. */
hn_status hn_block_check(const uint8_t *p, size_t len);

/* Decode; b's arrays are filled and n, n_channels set.  Any bytes are safe.
 * Errors: HN_EFORMAT (CRC, or columns that do not parse), HN_EFULL (larger than b's arrays).  On
 * failure b->n is 0. */
hn_status hn_block_read(const uint8_t *p, size_t len, struct hn_block *b);

/* The CRC-32C that the block ends with; 0 when it is too short. */
uint32_t hn_block_crc(const uint8_t *p, size_t len);
#endif
