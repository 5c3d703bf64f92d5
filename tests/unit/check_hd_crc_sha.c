/* check_hd_crc_sha.c - checksums and hashes against published vectors and libsodium. */
#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_crc32c.h"
#include "hd_sha256.h"
#include "hn_rng.h"
#include "t_run.h"

enum { SEED = 20240601, MESSAGES = 100000, LEN_MAX = 400 };

static void to_hex(const uint8_t *p, size_t n, char *out)
{
	sodium_bin2hex(out, 2 * n + 1, p, n);
}

START_TEST(crc_equals_the_vectors_of_rfc_3720)
{
	static const struct { int first, step; uint32_t crc; } row[] = {
		{ 0, 0, 0x8a9136aa }, { 0xff, 0, 0x62a8ab43 }, { 0, 1, 0x46dd794e }, { 31, -1, 0x113fdb5c }
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		uint8_t m[32];

		for (int k = 0; k < 32; k++)
			m[k] = (uint8_t)(row[i].first + k * row[i].step);
		ck_assert_uint_eq(hd_crc32c(0, m, sizeof m), row[i].crc);
	}
	ck_assert_uint_eq(hd_crc32c(0, (const uint8_t *)"123456789", 9), 0xe3069283);
	ck_assert_uint_eq(hd_crc32c(0, NULL, 0), 0);
}
END_TEST

static uint32_t crc_bit_by_bit(const uint8_t *p, size_t n)
{
	uint32_t c = 0xffffffff;

	for (size_t i = 0; i < n; i++)
		for (int b = 0; b < 8; b++) {
			uint32_t x = (c ^ (uint32_t)(p[i] >> b)) & 1;

			c = c >> 1 ^ (x ? 0x82f63b78u : 0);
		}
	return ~c;
}

START_TEST(crc_equals_the_definition_and_can_be_continued)
{
	uint8_t m[LEN_MAX];
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED);
	for (int i = 0; i < 1000; i++) {
		uint32_t n = hn_rng_below(&rng, LEN_MAX), cut = hn_rng_below(&rng, n + 1);

		for (uint32_t k = 0; k < n; k++)
			m[k] = (uint8_t)hn_rng_u64(&rng);
		ck_assert_uint_eq(hd_crc32c(0, m, n), crc_bit_by_bit(m, n));
		ck_assert_uint_eq(hd_crc32c(hd_crc32c(0, m, cut), m + cut, n - cut), hd_crc32c(0, m, n));
	}
}
END_TEST

START_TEST(sha256_equals_the_examples_of_fips_180)
{
	static const struct { const char *text, *digest; } row[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct hd_sha256 s;
		uint8_t digest[32];
		char hex[65];

		hd_sha256_init(&s);
		hd_sha256_add(&s, (const uint8_t *)row[i].text, strlen(row[i].text));
		hd_sha256_end(&s, digest);
		to_hex(digest, 32, hex);
		ck_assert_str_eq(hex, row[i].digest);
	}
}
END_TEST

START_TEST(sha256_of_a_million_letters_is_right)
{
	static uint8_t a[1000];
	struct hd_sha256 s;
	uint8_t digest[32];
	char hex[65];

	memset(a, 'a', sizeof a);
	hd_sha256_init(&s);
	for (int i = 0; i < 1000; i++)
		hd_sha256_add(&s, a, sizeof a);
	hd_sha256_end(&s, digest);
	to_hex(digest, 32, hex);
	ck_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

START_TEST(hashes_equal_libsodium_on_random_messages)
{
	uint8_t m[LEN_MAX], key[32], mine[32], theirs[32];
	struct hd_sha256 s;
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED);
	for (int i = 0; i < MESSAGES; i++) {
		uint32_t n = hn_rng_below(&rng, LEN_MAX), cut = hn_rng_below(&rng, n + 1);

		for (uint32_t k = 0; k < n; k++)
			m[k] = (uint8_t)hn_rng_u64(&rng);
		for (int k = 0; k < 32; k++)
			key[k] = (uint8_t)hn_rng_u64(&rng);
		hd_sha256_init(&s);
		hd_sha256_add(&s, m, cut);
		hd_sha256_add(&s, m + cut, n - cut);
		hd_sha256_end(&s, mine);
		crypto_hash_sha256(theirs, m, n);
		ck_assert_mem_eq(mine, theirs, 32);
		hd_hmac(key, m, n, mine);
		crypto_auth_hmacsha256(theirs, m, n, key);
		ck_assert_mem_eq(mine, theirs, 32);
	}
	printf("hd_sha256, hd_hmac: %d random messages equal libsodium, seed %d\n", MESSAGES, SEED);
}
END_TEST

START_TEST(equal_finds_a_difference_in_every_bit)
{
	uint8_t a[32] = { 5 }, b[32] = { 5 };

	ck_assert(hd_equal(a, b, sizeof a));
	for (int i = 0; i < 256; i++) {
		b[i / 8] ^= (uint8_t)(1 << i % 8);
		ck_assert(!hd_equal(a, b, sizeof a));
		b[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	ck_assert(hd_equal(a, b, 0));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hd_crc_sha");
	TCase *t = tcase_create("hd_crc_sha");

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	tcase_set_timeout(t, 60);
	tcase_add_test(t, crc_equals_the_vectors_of_rfc_3720);
	tcase_add_test(t, crc_equals_the_definition_and_can_be_continued);
	tcase_add_test(t, sha256_equals_the_examples_of_fips_180);
	tcase_add_test(t, sha256_of_a_million_letters_is_right);
	tcase_add_test(t, hashes_equal_libsodium_on_random_messages);
	tcase_add_test(t, equal_finds_a_difference_in_every_bit);
	suite_add_tcase(s, t);
	return t_run(s);
}
