/* hn_rng.h - small deterministic random generator; same seed, same bits, on every machine.
 *
 * Source: Blackman & Vigna 2018, "Scrambled linear pseudorandom number generators" (xoshiro256**),
 * seeded by splitmix64. */
#ifndef HN_RNG_H
#define HN_RNG_H

#include <stdint.h>

struct hn_rng { uint64_t s[4]; };

void hn_rng_seed(struct hn_rng *r, uint64_t seed);
uint64_t hn_rng_u64(struct hn_rng *r);
uint32_t hn_rng_below(struct hn_rng *r, uint32_t n);  /* uniform in [0, n), unbiased; n >= 1 */
double hn_rng_unit(struct hn_rng *r);                 /* uniform in [0, 1) */
double hn_rng_normal(struct hn_rng *r);               /* N(0, 1), polar method */
#endif
