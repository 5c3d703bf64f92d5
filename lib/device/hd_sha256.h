/* hd_sha256.h - SHA-256 (FIPS 180-4) and HMAC-SHA256 (RFC 2104), incremental. */
#ifndef HD_SHA256_H
#define HD_SHA256_H

#include "hd_types.h"

struct hd_sha256 {
	uint32_t h[8];
	uint32_t n;              /* bytes so far, < 2^29 */
	uint32_t w[16];          /* the block, then the message schedule */
};

void hd_sha256_init(struct hd_sha256 *s);
void hd_sha256_add(struct hd_sha256 *s, const uint8_t *p, size_t n);
void hd_sha256_end(struct hd_sha256 *s, uint8_t digest[32]);

/* HMAC-SHA256 of `n` bytes under a 32-byte key. */
void hd_hmac(const uint8_t key[32], const uint8_t *p, size_t n, uint8_t mac[32]);

/* Are these the first `len` bytes of that HMAC?  Time depends on n and len only. */
bool hd_signed(const uint8_t key[32], const uint8_t *p, size_t n, const uint8_t *tag, size_t len);

/* Equal?  Time depends on n only. */
bool hd_equal(const uint8_t *a, const uint8_t *b, size_t n);
#endif
