/* check_powercut.c - power is cut before, inside and after every flash operation of a swap, and
 * once more during the recovery.
 *
 * After each cut the device must, at the next boot and without help,
 *   I1  hold its active package bit for bit,
 *   I2  not run a version below its floor,
 *   I3  serve inference,
 *   I5  still hold the old package while the new one is not confirmed,
 *   I6  answer exactly as the old or the new network;
 * and then I4 the transfer completes, programming no unit twice between erases. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "t_hd_gateway.h"
#include "t_run.h"

enum { SEED = 20240603, INSIDE_DRAWS = 2 };

static const struct t_image_spec small = { 4, 2, { { HD_OP_DENSE, 4 }, { HD_OP_DENSE, 3 } } };
static struct t_package old_package, new_package;

static const uint32_t units[] = { 1, 4, 8, 16, 32 }, sectors[] = { 256, 1024, 4096 };
enum { N_UNITS = 5, N_SECTORS = 3, N_GEOMETRIES = N_UNITS * N_SECTORS * 2 };

static struct t_geometry geometry(int i)
{
	uint32_t sector = sectors[i / N_UNITS % N_SECTORS];

	return (struct t_geometry){ .unit = units[i % N_UNITS], .sector = sector,
		.slot_bytes = sector < 512 ? 512 : sector,
		.erased = i < N_UNITS * N_SECTORS ? 0xff : 0x00 };
}

struct bench {
	struct t_flash start, flash;     /* start: version 1 confirmed, running                  */
	struct t_pair *pair;
	unsigned cuts, second;
};

static bool holds(const struct t_pair *p, uint8_t slot, const struct t_package *k)
{
	const struct hd_flash *f = &p->flash->port;

	return memcmp(p->flash->mem + f->slot_at[slot], k->header, HD_PACKAGE_HEADER) == 0
		&& memcmp(p->flash->mem + hd_slots_payload_at(f, slot), k->payload, k->len) == 0;
}

static void check_invariants(struct t_pair *p)
{
	const struct hd_slots *s = &p->dev.slots;
	const struct t_package *active;

	ck_assert_msg(s->active <= 1, "I3: no image after boot");
	active = holds(p, s->active, &new_package) ? &new_package : &old_package;
	ck_assert_msg(holds(p, s->active, active), "I1: active slot is torn");
	ck_assert_msg(s->floor >= 1 && active->head.version >= s->floor, "I2: below the floor");
	ck_assert_msg(t_serves(p, active), "I3, I6: wrong outputs");
	if (s->floor < new_package.head.version)
		ck_assert_msg(holds(p, 0, &old_package), "I5: the way back is gone");
}

/* The whole swap, from whatever state the flash is in. */
static void swap(struct t_pair *p)
{
	ck_assert_msg(t_install(p, &new_package), "I4: the transfer does not complete");
	ck_assert_msg(t_serves(p, &new_package), "I6: wrong outputs after the swap");
	ck_assert_msg(t_confirm(p, new_package.head.version), "I4: no confirmation");
	t_pair_settle(p);                /* the erase ahead of time */
}

static void power_up(struct t_pair *p)
{
	t_flash_power_up(p->flash);
	ck_assert_int_eq(t_pair_boot(p), HD_OK);
	check_invariants(p);
}

static void bench_init(struct bench *b, const struct t_geometry *g)
{
	*b = (struct bench){ .pair = malloc(sizeof *b->pair) };
	t_flash_init(&b->start, g, SEED);
	t_flash_init(&b->flash, g, SEED + 1);
	ck_assert_int_eq(t_pair_init(b->pair, &b->start, SEED), HD_OK);
	ck_assert(t_install(b->pair, &old_package));
	ck_assert(t_confirm(b->pair, 1));
	ck_assert_uint_eq(b->start.broken_rules, 0);
	b->pair->flash = &b->flash;
	b->pair->cfg.flash = &b->flash.port;
}

static void bench_done(struct bench *b)
{
	t_flash_done(&b->start);
	t_flash_done(&b->flash);
	free(b->pair);
}

/* From power up to the end of the swap; true when the planned cut happened. */
static bool run_until_cut(struct bench *b, uint32_t op, enum t_cut how, bool full_check)
{
	jmp_buf power;

	if (setjmp(power) != 0)
		return true;
	t_flash_power_up(&b->flash);
	t_flash_plan(&b->flash, &power, op, how);
	ck_assert_int_eq(t_pair_boot(b->pair), HD_OK);
	if (full_check)
		check_invariants(b->pair);
	swap(b->pair);
	b->flash.power = NULL;
	return false;
}

static void recover(struct bench *b)
{
	power_up(b->pair);
	swap(b->pair);
	check_invariants(b->pair);
	power_up(b->pair);
	ck_assert_uint_eq(b->pair->dev.slots.floor, 2);
	ck_assert_uint_eq(b->flash.broken_rules, 0);
}

/* Cut once after `op` operations; false when there are fewer. */
static bool cut_once(struct bench *b, uint32_t op, enum t_cut how)
{
	t_flash_copy(&b->flash, &b->start);
	if (!run_until_cut(b, op, how, false))
		return false;
	recover(b);
	b->cuts++;
	return true;
}

START_TEST(one_cut_at_every_flash_operation)
{
	struct t_geometry g = geometry(_i);
	struct bench b;

	bench_init(&b, &g);
	for (enum t_cut how = T_CUT_BEFORE; how < T_CUTS; how++) {
		int draws = how == T_CUT_INSIDE ? INSIDE_DRAWS : 1;

		for (uint32_t op = 0, more = 1; more; op++)
			for (int d = 0; d < draws; d++)
				more = cut_once(&b, op, how);
	}
	printf("powercut: unit %2u sector %4u erased %02x: %u cuts, seed %d\n", (unsigned)g.unit,
	       (unsigned)g.sector, g.erased, b.cuts, SEED);
	ck_assert_uint_gt(b.cuts, 60);
	bench_done(&b);
}
END_TEST

/* Two cuts, drawn ways; false when there are fewer than `first` operations.  `*again`: there were
 * `second` operations in the recovery. */
static bool cut_twice(struct bench *b, struct hn_rng *rng, uint32_t first, uint32_t second,
                      bool *again)
{
	t_flash_copy(&b->flash, &b->start);
	if (!run_until_cut(b, first, (enum t_cut)hn_rng_below(rng, T_CUTS), false))
		return false;
	*again = run_until_cut(b, second, (enum t_cut)hn_rng_below(rng, T_CUTS), true);
	b->second += *again;
	if (*again)
		recover(b);
	ck_assert_uint_eq(b->flash.broken_rules, 0);
	return true;
}

static const struct { struct t_geometry g; int draws; } twice[] = {
	{ { 32, 512, 512, 0xff }, 8 }, { { 32, 512, 512, 0x00 }, 8 },
	{ { 16, 256, 512, 0xff }, 2 }, { { 8, 1024, 1024, 0x00 }, 1 }
};

/* Every pair (first, second). */
START_TEST(a_second_cut_at_every_operation_of_the_recovery)
{
	const struct t_geometry *g = &twice[_i].g;
	struct hn_rng rng;
	struct bench b;
	bool more = true;

	hn_rng_seed(&rng, SEED);
	bench_init(&b, g);
	for (uint32_t first = 0; more; first++) {
		bool again = true;

		for (uint32_t second = 0; again && more; second++)
			for (int d = 0; d < twice[_i].draws && again && more; d++)
				more = cut_twice(&b, &rng, first, second, &again);
	}
	printf("powercut: unit %2u sector %4u erased %02x: %u second cuts, seed %d\n",
	       (unsigned)g->unit, (unsigned)g->sector, g->erased, b.second, SEED);
	ck_assert_uint_gt(b.second, 1000);
	bench_done(&b);
}
END_TEST

/* Cut after cut, at random early operations, until one run gets through or twenty did not. */
START_TEST(cuts_that_never_stop_wear_out_nothing)
{
	struct t_geometry g = geometry(_i);
	struct hn_rng rng;
	struct bench b;

	hn_rng_seed(&rng, SEED + (uint64_t)_i);
	bench_init(&b, &g);
	for (int round = 0; round < 20; round++) {
		bool cut = true;

		t_flash_copy(&b.flash, &b.start);
		for (int i = 0; i < 20 && cut; i++) {
			cut = run_until_cut(&b, hn_rng_below(&rng, 16), (enum t_cut)hn_rng_below(&rng, T_CUTS),
			                    true);
			b.cuts += cut;
		}
		recover(&b);
	}
	ck_assert_uint_gt(b.cuts, 100);
	bench_done(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("powercut");
	TCase *t = tcase_create("powercut");

	t_package_build(&old_package, &small, 1, 4);
	t_package_build(&new_package, &small, 2, 4);
	printf("powercut: payload %u bytes\n", (unsigned)new_package.len);
	fflush(stdout);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, one_cut_at_every_flash_operation, 0, N_GEOMETRIES);
	tcase_add_loop_test(t, a_second_cut_at_every_operation_of_the_recovery, 0, 4);
	tcase_add_loop_test(t, cuts_that_never_stop_wear_out_nothing, 0, N_GEOMETRIES);
	suite_add_tcase(s, t);
	return t_run(s);
}
