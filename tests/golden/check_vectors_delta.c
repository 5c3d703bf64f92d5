/* The committed delta, applied by a decoder that knows docs/package-format.md only. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "hd_package.h"
#include "hd_sha256.h"
#include "t_run.h"
#include "t_vectors.h"

#define DIR "tests/golden/vectors"

enum { PAYLOAD_MAX = 4096 };

static size_t hex(const char *file, const char *name, uint8_t *out, size_t cap)
{
	return t_vectors_hex(DIR, file, name, out, cap);
}

struct reader { const uint8_t *p; size_t n, bit; };

static uint32_t read_bit(struct reader *r)
{
	const size_t at = r->bit / 8;

	ck_assert_uint_lt(at, r->n);
	return r->p[at] >> r->bit++ % 8 & 1;
}

static uint32_t read_number(struct reader *r, unsigned k)
{
	uint32_t v = 0;

	while (v < 16 && read_bit(r))
		v++;
	if (v == 16) {
		v = 0;
		k = 32;
	}
	while (k-- > 0)
		v = v << 1 | read_bit(r);
	return v;
}

/* The next number of a kind whose mean is `mean`. */
static uint32_t read_kind(struct reader *r, uint32_t *mean)
{
	unsigned k = 0;
	uint32_t v;

	while (*mean >> k > 26)
		k++;
	v = read_number(r, k);
	*mean = *mean + v - *mean / 16;
	return v;
}

/* A run and a value at a time, until `len` bytes are made. */
static void apply(struct reader *r, uint8_t *p, size_t len)
{
	uint32_t runs = 0, values = 0, v;

	for (size_t at = 0; at < len; at++) {
		at += read_kind(r, &runs);
		if (at == len)
			break;
		ck_assert_uint_lt(at, len);
		v = read_kind(r, &values) + 1;
		p[at] = (uint8_t)(p[at] + (v & 1 ? ~(v >> 1) : v >> 1));
	}
}

START_TEST(the_patch_in_the_file_makes_the_payload_from_the_base)
{
	static uint8_t payload[PAYLOAD_MAX], result[PAYLOAD_MAX], patch[PAYLOAD_MAX];
	uint8_t header[HD_PACKAGE_HEADER], base[HD_PACKAGE_HEADER], digest[HD_DIGEST_LEN];
	const size_t len = hex("package.txt", "payload", payload, sizeof payload);
	struct reader r = { .p = patch, .n = hex("delta.txt", "patch", patch, sizeof patch) };
	struct hd_sha256 hash;

	ck_assert_uint_eq(hex("delta.txt", "header", header, sizeof header), sizeof header);
	ck_assert_uint_eq(hex("package.txt", "header", base, sizeof base), sizeof base);
	ck_assert_mem_eq(header + HD_AT_BASE, base + HD_AT_DIGEST, HD_BASE_LEN);
	ck_assert_uint_ne(hd_get32(header + HD_AT_PATCH_LEN), 0);
	ck_assert_uint_eq(hd_get32(header + HD_AT_PATCH_LEN), r.n);
	apply(&r, payload, len);
	ck_assert_uint_eq((r.bit + 7) / 8, r.n);
	ck_assert_uint_eq(hex("delta.txt", "payload", result, sizeof result), len);
	ck_assert_mem_eq(payload, result, len);
	hd_sha256_init(&hash);
	hd_sha256_add(&hash, payload, len);
	hd_sha256_end(&hash, digest);
	ck_assert_mem_eq(digest, header + HD_AT_DIGEST, sizeof digest);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vectors_delta");
	TCase *t = tcase_create("vectors_delta");

	tcase_add_test(t, the_patch_in_the_file_makes_the_payload_from_the_base);
	suite_add_tcase(s, t);
	return t_run(s);
}
