/* hd_delta.h - a payload as differences from another one of the same layout.
 *
 * Trained weights change by small steps on the same grid, most of them not at all.  The patch is a
 * stream of bits, the lowest of each byte first, that holds numbers of two kinds, by turns:
 *
 *   run     bytes that are as in the base
 *   value   difference of the next byte from the base's at the same place, which wraps and is not
 *           0: -1, 1, -2, 2, .. are 0, 1, 2, 3, ..
 *
 * A number (Rice 1971) is q ones, a zero and the k low bits of q << k | low, highest bit first;
 * sixteen ones without a zero are followed by all 32 bits instead.  Each kind has a mean m, 0 to
 * begin: k is how often m must be halved, rounded down, to be at most 26; after a number v of that
 * kind m is m + v - m / 16, rounded up.  The stream ends with the last byte of the result; what is
 * left of its last byte is zero.
 *
 * Source of the code: Rice and Plaunt 1971, "Adaptive variable-length coding"; Golomb 1966; of the
 * parameter from a mean: Weinberger, Seroussi and Sapiro 2000, "LOCO-I", section III-B. */
#ifndef HD_DELTA_H
#define HD_DELTA_H

#include "hd_types.h"

enum {
	HD_DELTA_ESCAPE = 16,            /* ones that say: 32 bits with the number follow      */
	HD_DELTA_RUN = 0, HD_DELTA_VALUE = 1
};

/* The decoder's state; zero to begin. */
struct hd_delta {
	uint32_t at;             /* bytes of the result so far                             */
	uint32_t used;           /* bytes of the piece that are taken                      */
	uint32_t copy, add;      /* bytes that come from the base, and what is added       */
	uint32_t mean[2];        /* of runs and of values, times 16                        */
	uint32_t value;          /* the number that is being read                          */
	uint32_t bits;           /* not yet read of a byte, below a 1                      */
	uint32_t low;            /* low bits to come + 1; 0 = still ones                   */
	uint32_t kind;           /* HD_DELTA_RUN or HD_DELTA_VALUE                         */
};

/* Go on with a piece of the patch, from piece[d->used], until `room` bytes of the result are
 * written or the piece is used up.  `base` is read at [d->at, d->at + room).  Returns the number
 * of bytes written.  Any bytes will do: a wrong patch gives a wrong result, nothing else. */
uint32_t hd_delta_run(struct hd_delta *d, const uint8_t *base, const uint8_t *piece, uint32_t n,
                      uint8_t *out, uint32_t room);

/* The parameter that a mean says. */
static inline unsigned hd_delta_k(uint32_t mean)
{
	unsigned k = 0;

	while (mean >> k > 26)
		k++;
	return k;
}
#endif
