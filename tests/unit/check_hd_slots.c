/* check_hd_slots.c - the journal and the slots without a power cut; those are in check_powercut. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "hd_slots.h"
#include "t_hd_flash.h"
#include "t_hd_package.h"
#include "t_run.h"

enum { SEED = 20240605 };

static const struct t_image_spec spec = { 4, 2, { { HD_OP_DENSE, 3 } } };
static const struct t_geometry geometries[] = {
	{ 1, 128, 512, 0xff }, { 4, 256, 512, 0xff }, { 32, 128, 512, 0x00 }, { 8, 4096, 4096, 0x00 },
	{ 2, 1024, 2048, 0xff }, { 16, 512, 512, 0xff },
};
enum { N_GEOMETRIES = sizeof geometries / sizeof geometries[0] };

static struct t_flash flash;
static struct t_package package[2];

static void setup(void)
{
	t_flash_init(&flash, &geometries[1], SEED);
	t_package_build(&package[0], &spec, 1, 2);
	t_package_build(&package[1], &spec, 2, 2);
}

static void teardown(void)
{
	t_flash_done(&flash);
}

/* Straight into the memory, as a completed transfer leaves it. */
static void fill(uint8_t slot)
{
	memcpy(flash.mem + flash.port.slot_at[slot], package[slot].header, HD_PACKAGE_HEADER);
	memcpy(flash.mem + hd_slots_payload_at(&flash.port, slot), package[slot].payload,
	       package[slot].len);
}

static void note(struct hd_slots *s, uint8_t kind, uint8_t slot, uint16_t boots, uint32_t floor)
{
	ck_assert_int_eq(hd_slots_note(s, kind | (uint32_t)slot << 8 | (uint32_t)boots << 16, floor),
	                 HD_OK);
}

static void boot(struct hd_slots *s)
{
	ck_assert_int_eq(hd_slots_boot(s, &flash.port), HD_OK);
}

START_TEST(a_new_device_is_empty_and_nothing_is_written)
{
	struct hd_slots s;

	boot(&s);
	ck_assert_uint_eq(s.kind, HD_REC_EMPTY);
	ck_assert_uint_eq(s.active, HD_SLOT_NONE);
	ck_assert_uint_eq(s.floor, 0);
	ck_assert_uint_eq(flash.ops, 0);
}
END_TEST

static void port_edit(struct hd_flash *f, int i)
{
	switch (i) {
	case 0: f->unit = 3; break;
	case 1: f->unit = 64; break;
	case 2: f->unit = 0; break;
	case 3: f->sector = 300; break;
	case 4: f->sector = 32; break;           /* fewer than four records */
	case 5: f->slot_bytes += 4; break;
	case 6: f->slot_at[1] = f->slot_at[0]; break;
	case 7: f->slot_at[1] -= f->sector; break;
	case 8: f->journal_at = f->slot_at[0]; break;
	case 9: f->slot_at[0] = f->sector; break;
	case 10: f->slot_at[0] += 4; break;
	case 11: f->slot_bytes = 0; break;
	}
}

START_TEST(a_geometry_that_cannot_work_is_refused)
{
	ck_assert(hd_flash_ok(&flash.port));
	port_edit(&flash.port, _i);
	ck_assert(!hd_flash_ok(&flash.port));
}
END_TEST

START_TEST(the_last_note_is_the_state_after_every_reset_in_every_geometry)
{
	struct hd_slots s, again;
	struct hn_rng rng;

	t_flash_done(&flash);
	t_flash_init(&flash, &geometries[_i], SEED);
	hn_rng_seed(&rng, SEED);
	boot(&s);
	for (uint32_t i = 1; i < 300; i++) {
		uint8_t kind = hn_rng_below(&rng, 2) ? HD_REC_EMPTY : HD_REC_REVERTED;

		note(&s, kind, HD_SLOT_NONE, (uint16_t)i, i);
		if (hn_rng_below(&rng, 3) == 0) {
			boot(&again);
			ck_assert_uint_eq(again.kind, kind);
			ck_assert_uint_eq(again.floor, i);
			ck_assert_uint_eq(again.boots, i);
			ck_assert_uint_ge(again.seq, s.seq);
			s = again;
		}
	}
	ck_assert_uint_eq(flash.broken_rules, 0);
	ck_assert_uint_gt(flash.erases, 10);
}
END_TEST

START_TEST(a_settled_journal_is_not_written_at_boot)
{
	struct hd_slots s;
	uint32_t ops;

	boot(&s);
	note(&s, HD_REC_REVERTED, HD_SLOT_NONE, 0, 3);
	note(&s, HD_REC_EMPTY, HD_SLOT_NONE, 0, 3);
	boot(&s);                        /* says it once more */
	ops = flash.ops;
	for (int i = 0; i < 5; i++)
		boot(&s);
	ck_assert_uint_eq(flash.ops, ops);
	ck_assert_uint_eq(s.floor, 3);
}
END_TEST

START_TEST(a_trial_has_as_many_boots_as_it_was_given_and_then_goes_back)
{
	struct hd_slots s;

	fill(0);
	fill(1);
	boot(&s);
	note(&s, HD_REC_CONFIRMED, 0, 0, 1);
	note(&s, HD_REC_TRIAL, 1, 3, 1);
	ck_assert_uint_eq(s.other, 0);
	for (unsigned left = 3; left > 0; left--) {
		boot(&s);
		ck_assert_uint_eq(s.kind, HD_REC_TRIAL);
		ck_assert_uint_eq(s.active, 1);
		ck_assert_uint_eq(s.other, 0);
		ck_assert_uint_eq(s.boots, left - 1);
		ck_assert(!s.fell_back);
	}
	boot(&s);
	ck_assert_uint_eq(s.kind, HD_REC_REVERTED);
	ck_assert_uint_eq(s.active, 0);
	ck_assert_uint_eq(s.floor, 1);
	ck_assert(s.fell_back);
	boot(&s);
	ck_assert(!s.fell_back);
	ck_assert_uint_eq(s.active, 0);
}
END_TEST

START_TEST(a_damaged_slot_is_never_active)
{
	struct hd_slots s;

	fill(0);
	fill(1);
	boot(&s);
	note(&s, HD_REC_CONFIRMED, 0, 0, 1);
	note(&s, HD_REC_TRIAL, 1, 3, 1);
	flash.mem[hd_slots_payload_at(&flash.port, 1) + 50] ^= 1;
	boot(&s);                        /* the trial ends at once */
	ck_assert_uint_eq(s.kind, HD_REC_REVERTED);
	ck_assert_uint_eq(s.active, 0);
	flash.mem[flash.port.slot_at[0] + 20] ^= 1;
	boot(&s);
	ck_assert_uint_eq(s.active, HD_SLOT_NONE);
	ck_assert_uint_eq(s.floor, 1);
}
END_TEST

START_TEST(a_first_trial_goes_back_to_nothing)
{
	struct hd_slots s;

	fill(0);
	boot(&s);
	note(&s, HD_REC_TRIAL, 0, 0, 0);
	boot(&s);
	ck_assert_uint_eq(s.kind, HD_REC_REVERTED);
	ck_assert_uint_eq(s.active, HD_SLOT_NONE);
}
END_TEST

START_TEST(a_package_longer_than_the_slot_does_not_count)
{
	struct hd_package p;
	struct hd_slots s;

	fill(0);
	boot(&s);
	ck_assert_int_eq(hd_slots_header(&s, 0, &p), HD_OK);
	ck_assert_int_eq(hd_slots_header(&s, 1, &p), HD_EFORMAT);
	package[0].head.image_len = 4000;
	package[0].head.payload_len = 4000 + 2u * package[0].head.vector_len;
	t_package_sign(&package[0]);
	fill(0);
	ck_assert_int_eq(hd_slots_header(&s, 0, &p), HD_EFORMAT);
}
END_TEST

START_TEST(one_worn_place_is_passed_over_and_two_are_an_error)
{
	struct hd_slots s, again;

	boot(&s);
	note(&s, HD_REC_EMPTY, HD_SLOT_NONE, 0, 1);
	flash.fail_at = flash.ops;
	flash.fail_n = 1;
	note(&s, HD_REC_REVERTED, HD_SLOT_NONE, 0, 2);
	ck_assert_uint_eq(flash.faults, 1);
	boot(&again);
	ck_assert_uint_eq(again.floor, 2);
	s = again;
	flash.fail_at = flash.ops;
	flash.fail_n = 2;
	ck_assert_int_eq(hd_slots_note(&s, HD_REC_EMPTY | HD_SLOT_NONE << 8, 3), HD_EFLASH);
	ck_assert_uint_eq(s.floor, 2);
	note(&s, HD_REC_EMPTY, HD_SLOT_NONE, 0, 3);
}
END_TEST

START_TEST(a_journal_of_noise_is_a_new_device)
{
	struct hn_rng rng;
	struct hd_slots s;

	hn_rng_seed(&rng, SEED);
	for (uint32_t i = 0; i < 2 * flash.port.sector; i++)
		flash.mem[i] = (uint8_t)hn_rng_u64(&rng);
	memset(flash.mark, 1, 2 * flash.port.sector);
	boot(&s);
	ck_assert_uint_eq(s.kind, HD_REC_EMPTY);
	note(&s, HD_REC_EMPTY, HD_SLOT_NONE, 0, 9);
	boot(&s);
	ck_assert_uint_eq(s.floor, 9);
	ck_assert_uint_eq(flash.broken_rules, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hd_slots");
	TCase *t = tcase_create("hd_slots");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_new_device_is_empty_and_nothing_is_written);
	tcase_add_loop_test(t, a_geometry_that_cannot_work_is_refused, 0, 12);
	tcase_add_loop_test(t, the_last_note_is_the_state_after_every_reset_in_every_geometry, 0,
	                    N_GEOMETRIES);
	tcase_add_test(t, a_settled_journal_is_not_written_at_boot);
	tcase_add_test(t, a_trial_has_as_many_boots_as_it_was_given_and_then_goes_back);
	tcase_add_test(t, a_damaged_slot_is_never_active);
	tcase_add_test(t, a_first_trial_goes_back_to_nothing);
	tcase_add_test(t, a_package_longer_than_the_slot_does_not_count);
	tcase_add_test(t, one_worn_place_is_passed_over_and_two_are_an_error);
	tcase_add_test(t, a_journal_of_noise_is_a_new_device);
	suite_add_tcase(s, t);
	return t_run(s);
}
