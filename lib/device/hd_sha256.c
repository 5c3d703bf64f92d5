/* SHA-256 with a 16-word rolling message schedule (FIPS 180-4, section 6.2) and HMAC (RFC 2104).
 * Written for size: one loop of 64 rounds, bytes are absorbed one at a time. */
#include "hd_sha256.h"

static const uint32_t round_constant[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static uint32_t ror(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

/* Word i of the schedule; w holds the last 16. */
static uint32_t schedule(uint32_t w[16], const uint8_t *block, int i)
{
	uint32_t a, b;

	if (i < 16) {
		const uint8_t *p = block + 4 * i;

		w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	} else {
		/* The first sixteen rounds have filled w. */
		a = w[(i + 1) & 15];     /* cppcheck-suppress uninitvar */
		b = w[(i + 14) & 15];
		w[i & 15] += w[(i + 9) & 15] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3)
			+ (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
	}
	return w[i & 15];
}

static void absorb(struct hd_sha256 *s)
{
	uint32_t w[16], v[8], t, u;
	int i, j;

	for (i = 0; i < 8; i++)
		v[i] = s->h[i];
	for (i = 0; i < 64; i++) {
		t = v[7] + (ror(v[4], 6) ^ ror(v[4], 11) ^ ror(v[4], 25))
			+ (v[6] ^ (v[4] & (v[5] ^ v[6]))) + round_constant[i] + schedule(w, s->block, i);
		u = (ror(v[0], 2) ^ ror(v[0], 13) ^ ror(v[0], 22))
			+ ((v[0] & v[1]) | (v[2] & (v[0] | v[1])));
		for (j = 7; j > 0; j--)
			v[j] = v[j - 1];
		v[4] += t;
		v[0] = t + u;
	}
	for (i = 0; i < 8; i++)
		s->h[i] += v[i];
}

void hd_sha256_init(struct hd_sha256 *s)
{
	static const uint32_t start[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
	};
	int i;

	for (i = 0; i < 8; i++)
		s->h[i] = start[i];
	s->n = 0;
}

void hd_sha256_add(struct hd_sha256 *s, const uint8_t *p, size_t n)
{
	for (; n > 0; n--) {
		s->block[s->n++ & 63] = *p++;
		if ((s->n & 63) == 0)
			absorb(s);
	}
}

void hd_sha256_end(struct hd_sha256 *s, uint8_t digest[32])
{
	static const uint8_t pad[2] = { 0x80, 0 };
	uint32_t bits = s->n << 3, top = s->n >> 29;
	uint8_t length[8];
	int i;

	hd_sha256_add(s, pad, 1);
	while ((s->n & 63) != 56)
		hd_sha256_add(s, pad + 1, 1);
	for (i = 0; i < 4; i++) {
		length[i] = (uint8_t)(top >> (24 - 8 * i));
		length[4 + i] = (uint8_t)(bits >> (24 - 8 * i));
	}
	hd_sha256_add(s, length, sizeof length);
	for (i = 0; i < 32; i++)
		digest[i] = (uint8_t)(s->h[i >> 2] >> (24 - 8 * (i & 3)));
}

/* Begin a hash with the key, padded to one block and xored with `pad`. */
static void begin_keyed(struct hd_sha256 *s, const uint8_t key[32], uint8_t pad)
{
	int i;

	hd_sha256_init(s);
	for (i = 0; i < 64; i++) {
		uint8_t b = (uint8_t)((i < 32 ? key[i] : 0) ^ pad);

		hd_sha256_add(s, &b, 1);
	}
}

void hd_hmac(const uint8_t key[32], const uint8_t *p, size_t n, uint8_t mac[32])
{
	struct hd_sha256 s;

	begin_keyed(&s, key, 0x36);
	hd_sha256_add(&s, p, n);
	hd_sha256_end(&s, mac);
	begin_keyed(&s, key, 0x5c);
	hd_sha256_add(&s, mac, 32);
	hd_sha256_end(&s, mac);
}

bool hd_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint8_t difference = 0;

	for (; n > 0; n--)
		difference |= (uint8_t)(*a++ ^ *b++);
	return difference == 0;
}
