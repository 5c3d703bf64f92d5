/* check_hd_verify.c - a firmware that trusts a signature: Ed25519 by libsodium behind the hook. */
#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "t_hd_gateway.h"
#include "t_run.h"

enum { SEED = 20261124 };

static const struct t_image_spec small = { 4, 2, { { HD_OP_DENSE, 8 }, { HD_OP_DENSE, 3 } } };
static const struct t_geometry geometry = { 8, 1024, 1024, 0xff };
static struct t_package v1;
static struct t_flash flash;
static struct t_pair pair;
static uint8_t public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];
static uint8_t body[HD_PACKAGE_HEADER + crypto_sign_BYTES];
static unsigned asked;
static uint8_t known_id;

static bool verify(void *ctx, const uint8_t *header, const uint8_t *more, size_t n)
{
	(void)ctx;
	asked++;
	return n == crypto_sign_BYTES && header[HD_AT_KEY_ID] == known_id
		&& crypto_sign_verify_detached(more, header, HD_PACKAGE_SIGNED, public_key) == 0;
}

static void setup(void)
{
	uint8_t seed[crypto_sign_SEEDBYTES] = { 42 };

	crypto_sign_seed_keypair(public_key, secret_key, seed);
	t_package_build(&v1, &small, 1, 2);
	t_flash_init(&flash, &geometry, SEED);
	ck_assert_int_eq(t_pair_init(&pair, &flash, SEED), HD_OK);
	pair.cfg.verify = verify;
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	ck_assert(t_hello(&pair));
	asked = 0;
	known_id = v1.head.key_id;
	memcpy(body, v1.header, HD_PACKAGE_HEADER);
	crypto_sign_detached(body + HD_PACKAGE_HEADER, NULL, v1.header, HD_PACKAGE_SIGNED, secret_key);
}

static void teardown(void)
{
	t_flash_done(&flash);
}

START_TEST(a_signed_package_is_taken)
{
	ck_assert_int_eq(t_command(&pair, HD_BEGIN, body, sizeof body), HD_OK);
	for (uint32_t at = 0; at < v1.len; at += pair.hello.grain * 4u) {
		t_chunk(&pair, &v1, at);
		t_pair_settle(&pair);
	}
	ck_assert_int_eq(t_command_order(&pair, HD_ACTIVATE, 1), HD_OK);
	t_pair_settle(&pair);
	ck_assert_uint_eq(pair.report.state, HD_TRIAL);
	ck_assert(t_serves(&pair, &v1));
	ck_assert_uint_eq(asked, 1);
}
END_TEST

START_TEST(any_bit_of_what_is_signed_or_of_the_signature_counts)
{
	for (size_t i = 0; i < sizeof body; i++) {
		if (i >= HD_PACKAGE_SIGNED && i < HD_PACKAGE_HEADER)
			continue;        /* the MAC is not asked for, the CRC is another test's */
		body[i] ^= (uint8_t)(1 << i % 8);
		ck_assert_int_ne(t_command(&pair, HD_BEGIN, body, sizeof body), HD_OK);
		body[i] ^= (uint8_t)(1 << i % 8);
	}
	body[HD_PACKAGE_HEADER + 5] ^= 1;
	ck_assert_int_eq(t_command(&pair, HD_BEGIN, body, sizeof body), HD_EAUTH);
	ck_assert_uint_ge(asked, crypto_sign_BYTES);
}
END_TEST

/* The number of a key is the hook's business: it may know several, or none of the MAC's. */
START_TEST(the_hook_decides_which_numbers_of_keys_it_knows)
{
	v1.head.key_id = known_id = 200;
	t_package_sign(&v1);
	memcpy(body, v1.header, HD_PACKAGE_HEADER);
	crypto_sign_detached(body + HD_PACKAGE_HEADER, NULL, v1.header, HD_PACKAGE_SIGNED, secret_key);
	known_id = 201;
	ck_assert_int_eq(t_command(&pair, HD_BEGIN, body, sizeof body), HD_EAUTH);
	known_id = 200;
	ck_assert_int_eq(t_command(&pair, HD_BEGIN, body, sizeof body), HD_OK);
	pair.cfg.verify = NULL;                 /* without it the number is that of the MAC's key */
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	ck_assert(t_hello(&pair));
	ck_assert_int_eq(t_command(&pair, HD_BEGIN, body, HD_PACKAGE_HEADER), HD_EAUTH);
}
END_TEST

START_TEST(a_mac_alone_is_not_enough_and_a_signature_is_nothing_to_others)
{
	ck_assert_int_eq(t_command(&pair, HD_BEGIN, v1.header, HD_PACKAGE_HEADER), HD_EAUTH);
	pair.cfg.verify = NULL;
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	ck_assert(t_hello(&pair));
	ck_assert_int_eq(t_command(&pair, HD_BEGIN, body, sizeof body), HD_EFORMAT);
	ck_assert_int_eq(t_command(&pair, HD_BEGIN, body, HD_PACKAGE_HEADER), HD_OK);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hd_verify");
	TCase *t = tcase_create("hd_verify");

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_signed_package_is_taken);
	tcase_add_test(t, any_bit_of_what_is_signed_or_of_the_signature_counts);
	tcase_add_test(t, the_hook_decides_which_numbers_of_keys_it_knows);
	tcase_add_test(t, a_mac_alone_is_not_enough_and_a_signature_is_nothing_to_others);
	suite_add_tcase(s, t);
	return t_run(s);
}
