/* check_hd_ram.c - slots in RAM: activation without the flash, and the flash later, whenever the
 * power goes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_ram.h"
#include "t_hd_gateway.h"
#include "t_run.h"

enum { SEED = 20261123, SLOT_MAX = 4096, LONG = 1000000 };

static const struct t_image_spec small = { 4, 2, { { HD_OP_DENSE, 8 }, { HD_OP_DENSE, 3 } } };
static const struct t_geometry geometries[] = {
	{ 1, 128, 512, 0xff }, { 2, 256, 512, 0x00 }, { 4, 1024, 1024, 0xff },
	{ 8, 128, 1024, 0x00 }, { 16, 512, 512, 0xff }, { 32, 4096, 4096, 0x00 }
};
enum { N_GEOMETRIES = sizeof geometries / sizeof *geometries };

static struct t_package v1, v2, v3;
static struct t_flash flash, start;
static struct t_pair pair;
static struct hd_ram ram;
static uint32_t a[SLOT_MAX / 4], b[SLOT_MAX / 4];

static void boot(void)
{
	memset(a, 0xa5, sizeof a);       /* RAM holds anything */
	memset(b, 0x5a, sizeof b);
	ck_assert_int_eq(hd_ram_init(&ram, &flash.port, (uint8_t *)a, (uint8_t *)b), HD_OK);
	pair.cfg.flash = &ram.port;
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
}

/* Version 1 in service, as a device with plain flash has left it. */
static void power_on(const struct t_geometry *g)
{
	t_package_build(&v1, &small, 1, 2);
	t_package_nudge(&v2, &v1, 2, 3, SEED);
	t_package_nudge(&v3, &v2, 3, 3, SEED);
	t_package_delta(&v3, &v2);
	t_flash_init(&flash, g, SEED);
	t_flash_init(&start, g, SEED);
	ck_assert_int_eq(t_pair_init(&pair, &flash, SEED), HD_OK);
	ck_assert(t_put_in_service(&pair, &v1));
	t_flash_copy(&start, &flash);
	boot();
	ck_assert(t_serves(&pair, &v1));
}

static void power_off(void)
{
	t_flash_done(&flash);
	t_flash_done(&start);
}

static void write_all(void)
{
	for (int i = 0; i < 1000 && hd_ram_work(&ram, LONG); i++)
		continue;
	ck_assert_uint_eq(ram.n, 0);
}

START_TEST(a_package_is_activated_without_the_flash_and_kept_before_it_is_confirmed)
{
	uint32_t ops;

	power_on(&geometries[_i]);
	ops = flash.ops;
	pair.idle_us = 0;                /* the next inference is always due */
	ck_assert(t_install(&pair, &v2));
	ck_assert(t_serves(&pair, &v2));
	ck_assert_uint_eq(flash.ops, ops);
	t_order(&pair, HD_CONFIRM, 2);
	t_pair_settle(&pair);
	ck_assert_uint_eq(pair.dev.slots.floor, 1);      /* it waits */
	ck_assert(!hd_ram_work(&ram, 0));
	ck_assert_uint_eq(flash.ops, ops);
	write_all();
	pair.idle_us = LONG;
	ck_assert(t_confirm(&pair, 2));
	boot();
	ck_assert(t_serves(&pair, &v2));
	ck_assert_uint_eq(pair.dev.slots.floor, 2);
	ck_assert(t_install(&pair, &v3));                /* a delta, from RAM to RAM */
	ck_assert(t_serves(&pair, &v3));
	write_all();
	ck_assert(t_confirm(&pair, 3));
	boot();
	ck_assert(t_serves(&pair, &v3));
	ck_assert_uint_eq(flash.broken_rules, 0);
	power_off();
}
END_TEST

START_TEST(what_was_not_written_is_gone_after_a_power_cut_and_comes_again)
{
	power_on(&geometries[_i]);
	ck_assert(t_install(&pair, &v2));
	boot();
	ck_assert(t_serves(&pair, &v1));
	ck_assert_uint_eq(pair.report.state, HD_IDLE);
	ck_assert(t_install(&pair, &v2));
	write_all();
	ck_assert(t_confirm(&pair, 2));
	ck_assert(t_serves(&pair, &v2));
	power_off();
}
END_TEST

/* One whole swap, in RAM and then in flash.  True when the planned cut happened. */
static bool run_until_cut(uint32_t op, enum t_cut how, volatile uint32_t *promised)
{
	jmp_buf power;

	if (setjmp(power) != 0)
		return true;
	t_flash_plan(&flash, &power, op, how);
	boot();
	ck_assert(t_install(&pair, &v2));
	write_all();
	ck_assert(t_confirm(&pair, 2));
	*promised = 2;
	flash.power = NULL;
	return false;
}

START_TEST(power_is_cut_at_every_flash_operation)
{
	volatile uint32_t promised, cuts = 0;

	power_on(&geometries[_i]);
	for (enum t_cut how = T_CUT_BEFORE; how < T_CUTS; how++) {
		volatile bool more = true;

		for (volatile uint32_t op = 0; more; op++) {
			promised = 1;
			t_flash_copy(&flash, &start);
			more = run_until_cut(op, how, &promised);
			t_flash_power_up(&flash);
			boot();
			ck_assert(t_serves(&pair, &v1) || t_serves(&pair, &v2));
			ck_assert_uint_ge(pair.dev.slots.floor, promised);
			ck_assert(t_install(&pair, &v2));
			write_all();
			ck_assert(t_confirm(&pair, 2));
			boot();
			ck_assert(t_serves(&pair, &v2));
			ck_assert_uint_eq(pair.dev.slots.floor, 2);
			ck_assert_uint_eq(flash.broken_rules, 0);
			cuts += more;
		}
	}
	printf("hd_ram: unit %2u sector %4u: %u cuts\n", (unsigned)geometries[_i].unit,
	       (unsigned)geometries[_i].sector, (unsigned)cuts);
	ck_assert_uint_gt(cuts, 30);
	power_off();
}
END_TEST

START_TEST(a_flash_that_fails_once_is_written_again)
{
	power_on(&geometries[2]);
	ck_assert(t_install(&pair, &v2));
	flash.fail_at = flash.ops + (uint32_t)_i;
	flash.fail_n = 1;
	write_all();
	ck_assert_uint_eq(flash.faults, 1);
	ck_assert(!ram.failed);
	ck_assert(t_confirm(&pair, 2));
	boot();
	ck_assert(t_serves(&pair, &v2));
	ck_assert_uint_eq(flash.broken_rules, 0);
	power_off();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hd_ram");
	TCase *t = tcase_create("hd_ram");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_package_is_activated_without_the_flash_and_kept_before_it_is_confirmed, 0,
	                    N_GEOMETRIES);
	tcase_add_loop_test(t, what_was_not_written_is_gone_after_a_power_cut_and_comes_again, 0,
	                    N_GEOMETRIES);
	tcase_add_loop_test(t, power_is_cut_at_every_flash_operation, 0, N_GEOMETRIES);
	tcase_add_loop_test(t, a_flash_that_fails_once_is_written_again, 0, 10);
	suite_add_tcase(s, t);
	return t_run(s);
}
