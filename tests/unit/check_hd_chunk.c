/* check_hd_chunk.c - how the bytes of a package arrive: in any order and any size, on any unit. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "t_hd_gateway.h"
#include "t_run.h"

enum { SEED = 20240610 };

static const struct t_geometry geometry = { 8, 1024, 4096, 0xff };
static const struct t_image_spec spec = { 8, 3, { { HD_OP_DENSE, 24 }, { HD_OP_LUT, 0 },
                                                  { HD_OP_DENSE, 4 } } };
static struct t_flash flash;
static struct t_pair pair;
static struct t_package v1;

static void setup(void)
{
	t_flash_init(&flash, &geometry, SEED);
	t_package_build(&v1, &spec, 1, 4);
	ck_assert_int_eq(t_pair_init(&pair, &flash, SEED), HD_OK);
}

static void teardown(void)
{
	ck_assert_uint_eq(flash.broken_rules, 0);
	t_flash_done(&flash);
}

START_TEST(chunks_in_any_order_and_twice_give_the_same_flash)
{
	uint32_t chunk, n;
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED + (uint64_t)_i);
	ck_assert(t_hello(&pair));
	chunk = pair.hello.grain * 4u;
	n = (v1.len + chunk - 1) / chunk;
	ck_assert_uint_ge(n, 4);
	ck_assert_int_eq(t_begin(&pair, &v1), HD_OK);
	for (int i = 0; i < 1000 && pair.report.next < v1.len; i++) {
		t_chunk(&pair, &v1, hn_rng_below(&rng, n) * chunk);
		t_pair_settle(&pair);
		ck_assert_uint_eq(pair.last.error, HD_OK);
	}
	ck_assert_uint_eq(pair.report.next, v1.len);
	ck_assert_uint_eq(pair.report.bitmap, 0);
	ck_assert_int_eq(t_command_order(&pair, HD_ACTIVATE, 1), HD_OK);
	ck_assert_uint_eq(pair.report.state, HD_TRIAL);
	ck_assert(t_serves(&pair, &v1));
}
END_TEST

START_TEST(bytes_behind_the_payload_stay_erased)
{
	uint32_t at;

	t_package_build(&v1, &spec, 1, 2);       /* an image and vectors that end inside a unit */
	ck_assert_uint_ne(v1.len % geometry.unit, 0);
	ck_assert(t_put_in_service(&pair, &v1));
	at = hd_slots_payload_at(&flash.port, 0);
	for (uint32_t i = at + v1.len; i < flash.port.slot_at[0] + geometry.slot_bytes; i++)
		ck_assert_int_eq(flash.mem[i], geometry.erased);
}
END_TEST

START_TEST(chunks_that_do_not_fit_are_refused)
{
	uint8_t body[HD_BODY_MAX];
	uint32_t chunk;

	ck_assert(t_hello(&pair));
	chunk = pair.hello.grain * 4u;
	memset(body, 0, sizeof body);
	ck_assert_int_eq(t_command(&pair, HD_CHUNK, body, 4 + chunk), HD_ESTATE);
	ck_assert_int_eq(t_begin(&pair, &v1), HD_OK);
	ck_assert_int_eq(t_command(&pair, HD_CHUNK, body, 4), HD_EFORMAT);
	ck_assert_int_eq(t_command(&pair, HD_CHUNK, body, 4 + chunk - 4), HD_EFORMAT);   /* short */
	ck_assert_int_eq(t_command(&pair, HD_CHUNK, body, 4 + chunk + 4), HD_EFORMAT);   /* long */
	hd_put32(body, 4);                               /* not a multiple */
	ck_assert_int_eq(t_command(&pair, HD_CHUNK, body, 4 + chunk), HD_EFORMAT);
	hd_put32(body, v1.len);                          /* outside */
	ck_assert_int_eq(t_command(&pair, HD_CHUNK, body, 4 + chunk), HD_EFORMAT);
	hd_put32(body, 0xfffffff8);
	ck_assert_int_eq(t_command(&pair, HD_CHUNK, body, 4 + chunk), HD_EFORMAT);
	hd_put32(body, 0);                               /* longer than any */
	ck_assert_int_eq(t_command(&pair, HD_CHUNK, body, 4 + HD_CHUNK_MAX + 4), HD_EFORMAT);
	ck_assert_uint_eq(pair.report.next, 0);
	ck_assert_int_eq(t_command_order(&pair, HD_ACTIVATE, 1), HD_ESTATE);
}
END_TEST

static const uint32_t units[] = { 1, 2, 4, 8, 16, 32 };
enum { UNITS = sizeof units / sizeof units[0] };

/* Chunks of one to as many grains as fit, some twice, some over what is there in part. */
START_TEST(chunks_of_any_number_of_grains_give_the_same_flash)
{
	uint8_t body[HD_BODY_MAX];
	uint32_t grain, most, at, n;
	struct hn_rng rng;
	const struct t_geometry other = { units[_i % UNITS], 1024, 4096, 0xff };

	t_flash_done(&flash);
	t_flash_init(&flash, &other, SEED);
	ck_assert_int_eq(t_pair_init(&pair, &flash, SEED + (uint64_t)_i), HD_OK);
	hn_rng_seed(&rng, SEED + (uint64_t)_i);
	ck_assert(t_hello(&pair));
	grain = pair.hello.grain * 4u;
	most = HD_CHUNK_MAX / grain;
	ck_assert_int_eq(t_begin(&pair, &v1), HD_OK);
	for (int i = 0; i < 400 && pair.report.next < v1.len; i++) {
		at = pair.report.next / grain * grain + hn_rng_below(&rng, 12) * grain;
		n = (1 + hn_rng_below(&rng, most)) * grain;
		if (at >= v1.len)
			continue;
		n = n < v1.len - at ? n : v1.len - at;
		hd_put32(body, at);
		memcpy(body + HD_CHUNK_HEAD, v1.payload + at, n);
		ck_assert_int_eq(t_command(&pair, HD_CHUNK, body, HD_CHUNK_HEAD + n), HD_OK);
	}
	ck_assert_uint_eq(pair.report.next, v1.len);
	ck_assert_uint_eq(flash.broken_rules, 0);
	ck_assert_int_eq(t_command_order(&pair, HD_ACTIVATE, 1), HD_OK);
	ck_assert(t_serves(&pair, &v1));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hd_chunk");
	TCase *t = tcase_create("hd_chunk");

	printf("hd_chunk: seed %d\n", SEED);
	fflush(stdout);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, chunks_in_any_order_and_twice_give_the_same_flash, 0, 10);
	tcase_add_test(t, bytes_behind_the_payload_stay_erased);
	tcase_add_test(t, chunks_that_do_not_fit_are_refused);
	tcase_add_loop_test(t, chunks_of_any_number_of_grains_give_the_same_flash, 0, 4 * UNITS);
	suite_add_tcase(s, t);
	return t_run(s);
}
