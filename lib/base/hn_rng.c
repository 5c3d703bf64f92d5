#include "hn_rng.h"

#include <assert.h>
#include <math.h>

static uint64_t rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

void hn_rng_seed(struct hn_rng *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15u;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		r->s[i] = z ^ z >> 31;
	}
}

uint64_t hn_rng_u64(struct hn_rng *r)
{
	uint64_t *s = r->s;
	const uint64_t out = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return out;
}

uint32_t hn_rng_below(struct hn_rng *r, uint32_t n)
{
	const uint32_t limit = (UINT32_MAX - n + 1) % n;     /* 2^32 mod n: values below it are biased */
	uint32_t x;

	assert(n >= 1);
	do {
		x = (uint32_t)(hn_rng_u64(r) >> 32);
	} while (x < limit);
	return x % n;
}

double hn_rng_unit(struct hn_rng *r)
{
	return (double)(hn_rng_u64(r) >> 11) * 0x1p-53;
}

double hn_rng_normal(struct hn_rng *r)
{
	double u, v, q;

	do {
		u = 2.0 * hn_rng_unit(r) - 1.0;
		v = 2.0 * hn_rng_unit(r) - 1.0;
		q = u * u + v * v;
	} while (q >= 1.0 || q == 0.0);
	return u * sqrt(-2.0 * log(q) / q);
}
