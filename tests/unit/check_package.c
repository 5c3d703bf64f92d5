/* Keys and the package that the gateway makes, against the device library that reads it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hd_check.h"
#include "hd_sha256.h"
#include "hn_package.h"
#include "hn_seed.h"
#include "t_hd_package.h"
#include "t_run.h"

static uint8_t image[T_IMAGE_MAX] __attribute__((aligned(4)));
static uint8_t arena[T_IMAGE_MAX] __attribute__((aligned(4)));
static uint8_t payload[T_PAYLOAD_MAX] __attribute__((aligned(4)));

static struct hn_package_spec spec_of(uint32_t version)
{
	const struct t_image_spec net = { 4, 3, { { HD_OP_DENSE, 20 }, { HD_OP_LUT, 0 },
	                                          { HD_OP_DENSE, 5 } } };
	struct hn_package_spec s = { .image = image, .version = version, .model_version = 7,
	                             .key_id = 2 };

	s.image_len = t_image_build(&net, 5, image);
	memcpy(s.uid, t_uid, HD_UID_LEN);
	memcpy(s.key, t_key, HD_KEY_LEN);
	return s;
}

START_TEST(what_the_gateway_makes_the_device_library_accepts)
{
	const struct hn_package_spec s = spec_of(9);
	struct hn_package_out out = { .payload = payload, .cap = sizeof payload, .arena = arena,
	                              .arena_cap = sizeof arena };
	struct hd_package p;
	struct hd_sha256 h;
	uint8_t digest[32];

	ck_assert_int_eq(hn_package_build(&s, &out), HN_OK);
	ck_assert_uint_eq(out.len, hn_package_payload_size(&s));
	ck_assert_int_eq(hd_package_read(&p, out.header), HD_OK);
	ck_assert_int_eq(hd_package_auth(out.header, t_key), HD_OK);
	ck_assert_uint_eq(p.version, 9);
	ck_assert_uint_eq(p.model_version, 7);
	ck_assert_uint_eq(p.key_id, 2);
	ck_assert_uint_eq(p.n_vectors, HN_VECTORS);
	ck_assert_uint_eq(p.payload_len, out.len);
	hd_sha256_init(&h);
	hd_sha256_add(&h, payload, out.len);
	hd_sha256_end(&h, digest);
	ck_assert_mem_eq(digest, p.digest, sizeof digest);
}
END_TEST

START_TEST(the_vectors_are_the_images_own_answers_and_hold_the_edges)
{
	const struct hn_package_spec s = spec_of(1);
	struct hn_package_out out = { .payload = payload, .cap = sizeof payload, .arena = arena,
	                              .arena_cap = sizeof arena };
	struct hd_net net;
	int8_t again[256];
	bool low = false, high = false;

	ck_assert_int_eq(hn_package_build(&s, &out), HN_OK);
	ck_assert_int_eq(hd_net_check(&net, image, s.image_len), HD_OK);
	for (int v = 0; v < HN_VECTORS; v++) {
		const int8_t *in = (const int8_t *)payload + s.image_len + (size_t)v * (12 + 5);

		hd_net_run(&net, in, arena, again);
		ck_assert_mem_eq(again, in + 12, 5);
		for (int i = 0; v == 0 && i < 12; i++) {
			low |= in[i] == -128;
			high |= in[i] == 127;
		}
	}
	ck_assert(low && high);
}
END_TEST

START_TEST(too_little_memory_and_a_broken_image_are_errors)
{
	struct hn_package_spec s = spec_of(1);
	struct hn_package_out out = { .payload = payload, .cap = 10, .arena = arena,
	                              .arena_cap = sizeof arena };

	ck_assert_int_eq(hn_package_build(&s, &out), HN_ENOMEM);
	out.cap = sizeof payload;
	out.arena_cap = 1;
	ck_assert_int_eq(hn_package_build(&s, &out), HN_ENOMEM);
	out.arena_cap = sizeof arena;
	image[0] ^= 1;
	ck_assert_int_eq(hn_package_build(&s, &out), HN_EFORMAT);
	ck_assert_uint_eq(hn_package_payload_size(&s), 0);
}
END_TEST

START_TEST(a_device_key_depends_on_master_and_uid)
{
	uint8_t master[32] = { 1 }, uid[8] = { 2 }, a[32], b[32];

	hn_device_key(master, uid, a);
	hn_device_key(master, uid, b);
	ck_assert_mem_eq(a, b, 32);
	uid[7] = 1;
	hn_device_key(master, uid, b);
	ck_assert_mem_ne(a, b, 32);
	uid[7] = 0;
	master[31] = 1;
	hn_device_key(master, uid, b);
	ck_assert_mem_ne(a, b, 32);
}
END_TEST

START_TEST(a_key_file_is_bytes_or_digits_and_nothing_else)
{
	char text[80];
	uint8_t key[32], raw[32];

	memset(text, 'a', 64);
	memcpy(text + 64, " \n", 2);
	ck_assert_int_eq(hn_key_read(text, 66, key), HN_OK);
	ck_assert_uint_eq(key[31], 0xaa);
	ck_assert_int_eq(hn_key_read(text, 64, key), HN_OK);
	ck_assert_int_eq(hn_key_read(text, 63, key), HN_EFORMAT);
	text[10] = 'g';
	ck_assert_int_eq(hn_key_read(text, 64, key), HN_EFORMAT);
	memset(raw, 0x0a, sizeof raw);
	ck_assert_int_eq(hn_key_read((const char *)raw, 32, key), HN_OK);
	ck_assert_mem_eq(raw, key, 32);
	ck_assert_int_eq(hn_key_read("", 0, key), HN_EFORMAT);
	ck_assert_int_eq(hn_key_read("   \n", 4, key), HN_EFORMAT);
}
END_TEST

/* The key of RFC 8410, section 10.3. */
static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
	"MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
	"-----END PRIVATE KEY-----\n";

START_TEST(the_seed_of_a_pem_is_found_and_a_damaged_one_is_none)
{
	static const uint8_t want[HN_SEED_LEN] = { 0xd4, 0xee, 0x72, 0xdb, 0xf9, 0x13, 0x58, 0x4a, 0xd5,
		0xb6, 0xd8, 0xf1, 0xf7, 0x69, 0xf8, 0xad, 0x3a, 0xfe, 0x7c, 0x28, 0xcb, 0xf1, 0xd4, 0xfb,
		0xe0, 0x97, 0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42 };
	const size_t end = 28 + 64;             /* of the base64 */
	uint8_t seed[HN_SEED_LEN];
	char text[sizeof pem];

	ck_assert_int_eq(hn_seed_read(pem, sizeof pem - 1, seed), HN_OK);
	ck_assert_mem_eq(seed, want, sizeof want);
	for (size_t n = 0; n < end; n++)
		ck_assert_int_eq(hn_seed_read(pem, n, seed), HN_EFORMAT);
	for (size_t i = 0; i < 28 + 21; i++) {  /* its head, and what says that it is Ed25519 */
		memcpy(text, pem, sizeof pem);
		text[i] = text[i] == '#' ? '!' : '#';
		ck_assert_int_eq(hn_seed_read(text, sizeof pem - 1, seed), HN_EFORMAT);
	}
	memcpy(text, pem, sizeof pem);
	memcpy(text + end, "AAAA", 4);          /* too long */
	ck_assert_int_eq(hn_seed_read(text, end + 4, seed), HN_EFORMAT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("package");
	TCase *t = tcase_create("package");

	tcase_add_test(t, what_the_gateway_makes_the_device_library_accepts);
	tcase_add_test(t, the_vectors_are_the_images_own_answers_and_hold_the_edges);
	tcase_add_test(t, too_little_memory_and_a_broken_image_are_errors);
	tcase_add_test(t, a_device_key_depends_on_master_and_uid);
	tcase_add_test(t, a_key_file_is_bytes_or_digits_and_nothing_else);
	tcase_add_test(t, the_seed_of_a_pem_is_found_and_a_damaged_one_is_none);
	suite_add_tcase(s, t);
	return t_run(s);
}
