/* hd_delta.h - a payload as differences from another one of the same layout.
 *
 * Trained weights change by small steps on the same grid, most of them not at all.  The patch is a
 * stream of bits, the lowest of each byte first, that holds numbers.  A number with parameter k
 * (Rice 1971) is q ones, a zero and the k low bits of q << k | low, highest bit first; sixteen ones
 * without a zero are followed by all 32 bits instead.  The numbers form segments, one behind the
 * other until the result is complete; what is left of the last byte is zero:
 *
 *   head    k = 10: value parameter in bits 0..4, run parameter in bits 5..8, width in bit 9
 *   count   k = 8:  units in this segment; a unit is 1 byte, or 4 when bit 9 of the head is set
 *   then, when the run parameter is 15, a value for each unit, else again and again until the
 *   segment is full:
 *   run     units that are as in the base; no value follows when they fill the segment
 *   value   difference of the next unit from the base's at the same place, as a little-endian
 *           integer that wraps: 0, -1, 1, -2, .. are 0, 1, 2, 3, ..; behind a run it is not 0, and
 *           counts from -1 = 0
 *
 * Source of the code: Rice and Plaunt 1971, "Adaptive variable-length coding"; Golomb 1966. */
#ifndef HD_DELTA_H
#define HD_DELTA_H

#include "hd_types.h"

enum {
	HD_DELTA_ESCAPE = 16,            /* ones that say: 32 bits follow                    */
	HD_DELTA_NO_RUNS = 15, HD_DELTA_WIDE = 1 << 9, HD_DELTA_HEAD_K = 10, HD_DELTA_COUNT_K = 8
};

/* The decoder's state; zero to begin. */
struct hd_delta {
	uint32_t at;             /* bytes of the result so far                             */
	uint32_t used;           /* bytes of the piece that are taken                      */
	uint32_t copy, add;      /* bytes that come from the base, and what is added       */
	uint32_t units;          /* left in this segment                                   */
	uint32_t value;          /* the number that is being read                          */
	uint8_t  k[4];           /* parameter of each kind of number                       */
	uint8_t  kind, bits, byte, width;        /* bits: not yet read of `byte`           */
	uint8_t  low;            /* low bits to come + 1; 0 = still ones                   */
};

/* Go on with a piece of the patch, from piece[d->used], until `room` bytes of the result are
 * written or the piece is used up.  `base` is read at [d->at, d->at + room).  Returns the number
 * of bytes written.  Any bytes will do: a wrong patch gives a wrong result, nothing else. */
uint32_t hd_delta_run(struct hd_delta *d, const uint8_t *base, const uint8_t *piece, uint32_t n,
                      uint8_t *out, uint32_t room);
#endif
