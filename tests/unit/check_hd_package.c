/* check_hd_package.c - the package header: it comes back, and each refusal has its code. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "hd_crc32c.h"
#include "hd_image.h"
#include "hd_package.h"
#include "t_hd_package.h"
#include "t_run.h"

static const struct t_image_spec spec = { 4, 2, { { HD_OP_DENSE, 3 } } };
static struct t_package package;

static void reseal_crc(uint8_t *raw)
{
	hd_put32(raw + 124, hd_crc32c(0, raw, 124));
}

START_TEST(a_header_comes_back_field_by_field)
{
	struct hd_package p;

	t_package_build(&package, &spec, 7, 3);
	ck_assert_int_eq(hd_package_read(&p, package.header), HD_OK);
	ck_assert_uint_eq(p.patch_len, 0);
	ck_assert_uint_eq(p.arena, package.head.arena);
	ck_assert_uint_eq(p.ops, 1u << HD_OP_DENSE | HD_NEEDS_TWICE);
	ck_assert_uint_eq(p.key_id, 1);
	ck_assert_mem_eq(p.uid, t_uid, sizeof p.uid);
	ck_assert_uint_eq(p.arch, package.head.arch);
	ck_assert_uint_eq(p.version, 7);
	ck_assert_uint_eq(p.model_version, 70);
	ck_assert_uint_eq(p.image_len, package.head.image_len);
	ck_assert_uint_eq(p.payload_len, package.len);
	ck_assert_uint_eq(p.n_vectors, 3);
	ck_assert_uint_eq(p.vector_len, 11);
	ck_assert_mem_eq(p.digest, package.head.digest, sizeof p.digest);
	ck_assert_mem_eq(p.mac, package.header + HD_AT_MAC, sizeof p.mac);
	ck_assert_int_eq(hd_package_auth(package.header, t_key), HD_OK);
}
END_TEST

START_TEST(a_flipped_bit_anywhere_is_refused)
{
	t_package_build(&package, &spec, 7, 3);
	for (int bit = 0; bit < 8 * HD_PACKAGE_HEADER; bit++) {
		uint8_t raw[HD_PACKAGE_HEADER];
		struct hd_package p;

		memcpy(raw, package.header, sizeof raw);
		raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(hd_package_read(&p, raw), HD_EFORMAT);
		if (bit < 8 * HD_AT_CRC)       /* signed bytes and the MAC itself */
			ck_assert_int_eq(hd_package_auth(raw, t_key), HD_EAUTH);
	}
}
END_TEST

START_TEST(another_key_does_not_authenticate)
{
	t_package_build(&package, &spec, 7, 3);
	for (int i = 0; i < HD_KEY_LEN; i++) {
		uint8_t key[HD_KEY_LEN];

		memcpy(key, t_key, sizeof key);
		key[i] ^= 1;
		ck_assert_int_eq(hd_package_auth(package.header, key), HD_EAUTH);
	}
}
END_TEST

/* Fields that are wrong although CRC and MAC are right. */
static const struct { const char *what; int at, size; uint32_t value; } wrong[] = {
	{ "magic", 0, 4, 0x12345678 },
	{ "image length 0", 68, 4, 0 }, { "image length odd", 68, 4, 122 },
	{ "image longer than the payload", 68, 4, 0xfffffffc },
	{ "one vector more", 5, 1, 4 }, { "too many vectors", 5, 1, 17 },
	{ "vector length", 6, 2, 12 }, { "payload longer", 72, 4, 0xffffffff },
	{ "payload 0", 72, 4, 0 },
};

START_TEST(lengths_that_do_not_add_up_are_refused)
{
	struct hd_package p, untouched;
	uint8_t v[4];

	t_package_build(&package, &spec, 7, 3);
	memset(&p, 0x77, sizeof p);
	untouched = p;
	hd_put32(v, wrong[_i].value);
	memcpy(package.header + wrong[_i].at, v, (size_t)wrong[_i].size);
	reseal_crc(package.header);
	ck_assert_msg(hd_package_read(&p, package.header) == HD_EFORMAT, "%s", wrong[_i].what);
	ck_assert_mem_eq(&p, &untouched, sizeof p);
}
END_TEST

START_TEST(a_sum_that_wraps_around_is_refused)
{
	struct hd_package p;

	t_package_build(&package, &spec, 7, 0);
	hd_put32(package.header + 68, 0xfffffff8);
	package.header[5] = 2;
	hd_put16(package.header + 6, 8);
	hd_put32(package.header + 72, 8);        /* 0xfffffff8 + 16 = 8 modulo 2^32 */
	reseal_crc(package.header);
	ck_assert_int_eq(hd_package_read(&p, package.header), HD_EFORMAT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hd_package");
	TCase *t = tcase_create("hd_package");

	tcase_add_test(t, a_header_comes_back_field_by_field);
	tcase_add_test(t, a_flipped_bit_anywhere_is_refused);
	tcase_add_test(t, another_key_does_not_authenticate);
	tcase_add_loop_test(t, lengths_that_do_not_add_up_are_refused, 0, sizeof wrong / sizeof wrong[0]);
	tcase_add_test(t, a_sum_that_wraps_around_is_refused);
	suite_add_tcase(s, t);
	return t_run(s);
}
