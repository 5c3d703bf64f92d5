#include "hn_seed.h"

#include <string.h>
#include "hn_package.h"

static const char pem_begin[] = "-----BEGIN PRIVATE KEY-----";

/* What stands before the seed in an Ed25519 key of PKCS #8.  Source: RFC 8410, section 7. */
static const uint8_t der_head[] = { 0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b,
	0x65, 0x70, 0x04, 0x22, 0x04, 0x20 };
enum { DER_LEN = sizeof der_head + HN_SEED_LEN };

/* Value of a base64 digit, -1: none. */
static int digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* base64 up to the first '-' or '=', line ends left out.  Bytes written, at most cap; -1: more, or
 * a character that does not belong there. */
static int base64(const char *text, size_t n, uint8_t *out, int cap)
{
	uint32_t bits = 0;
	int have = 0, len = 0;

	for (size_t i = 0; i < n && text[i] != '-' && text[i] != '='; i++) {
		const int d = digit(text[i]);

		if (text[i] == '\n' || text[i] == '\r')
			continue;
		if (d < 0)
			return -1;
		bits = bits << 6 | (uint32_t)d;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (len == cap)
			return -1;
		out[len++] = (uint8_t)(bits >> have);
	}
	return len;
}

hn_status hn_seed_read(const char *bytes, size_t n, uint8_t seed[HN_SEED_LEN])
{
	const size_t head = sizeof pem_begin - 1;
	uint8_t der[DER_LEN];

	if (n < head || memcmp(bytes, pem_begin, head) != 0)
		return hn_key_read(bytes, n, seed);
	if (base64(bytes + head, n - head, der, DER_LEN) != DER_LEN ||
	    memcmp(der, der_head, sizeof der_head) != 0)
		return HN_EFORMAT;
	memcpy(seed, der + sizeof der_head, HN_SEED_LEN);
	return HN_OK;
}
