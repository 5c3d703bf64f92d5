/* SHA-256 (FIPS 180-4, section 6.2) and HMAC (RFC 2104), written for size: bytes go one at a time
 * straight into the words of the message schedule, which rolls on by a word each round. */
#include "hd_sha256.h"
#include <string.h>

static const uint32_t constant[64 + 8] = {      /* of the rounds; then the first hash value */
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
};

enum { FLIP = 3 };       /* byte i of the message is byte i ^ FLIP of w: words are big-endian */

static uint32_t ror(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static void absorb(struct hd_sha256 *s)
{
	const uint32_t *k = constant;
	uint32_t v[8], *w = s->w, x, y;
	int j;

	memcpy(v, s->h, sizeof v);
	do {
		uint32_t a = v[0], e = v[4];

		y = v[7] + ror(ror(ror(e, 14) ^ e, 5) ^ e, 6) + *k++ + w[0] + (v[6] ^ (e & (v[5] ^ v[6])));
		for (j = 7; j > 0; j--)
			v[j] = v[j - 1];
		v[4] += y;
		v[0] = y + ror(ror(ror(a, 9) ^ a, 11) ^ a, 2) + ((a & v[2]) | (v[3] & (a | v[2])));
		x = w[1];
		y = w[14];
		x = w[0] + w[9] + (ror(ror(x, 11) ^ x, 7) ^ x >> 3) + (ror(ror(y, 2) ^ y, 17) ^ y >> 10);
		for (j = 0; j < 15; j++)
			w[j] = w[j + 1];
		w[15] = x;
	} while (k != constant + 64);
	for (j = 0; j < 8; j++)
		s->h[j] += v[j];
}

void hd_sha256_init(struct hd_sha256 *s)
{
	memcpy(s->h, constant + 64, sizeof s->h);
	s->n = 0;
}

void hd_sha256_add(struct hd_sha256 *s, const uint8_t *p, size_t n)
{
	for (; n > 0; n--) {
		((uint8_t *)s->w)[(s->n++ & 63) ^ FLIP] = *p++;
		if ((s->n & 63) == 0)
			absorb(s);
	}
}

void hd_sha256_end(struct hd_sha256 *s, uint8_t digest[32])
{
	uint32_t n = s->n, i;
	uint8_t pad = 0x80;

	do {
		hd_sha256_add(s, &pad, 1);
		pad = 0;
	} while ((s->n & 63) != 56);
	s->w[14] = n >> 29;
	s->w[15] = n << 3;
	absorb(s);
	for (i = 0; i < 32; i++)
		digest[i] = ((uint8_t *)s->h)[i ^ FLIP];
}

void hd_hmac(const uint8_t key[32], const uint8_t *p, size_t n, uint8_t mac[32])
{
	struct hd_sha256 s;
	uint8_t pad = 0x36, b;
	int i;

	do {                             /* inner, then outer */
		hd_sha256_init(&s);
		for (i = 0; i < 64; i++) {
			b = (uint8_t)((i < 32 ? key[i] : 0) ^ pad);
			hd_sha256_add(&s, &b, 1);
		}
		hd_sha256_add(&s, p, n);
		hd_sha256_end(&s, mac);
		p = mac;
		n = 32;
		pad ^= 0x36 ^ 0x5c;
	} while (pad != 0x36);
}

bool hd_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint8_t difference = 0;

	for (; n > 0; n--)
		difference |= (uint8_t)(*a++ ^ *b++);
	return difference == 0;
}

bool hd_signed(const uint8_t key[32], const uint8_t *p, size_t n, const uint8_t *tag, size_t len)
{
	uint8_t mac[32];

	hd_hmac(key, p, n, mac);
	return hd_equal(mac, tag, len);
}
