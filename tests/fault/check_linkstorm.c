/* check_linkstorm.c - the short form of make linkstorm: each fault a few times, and some bytes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "storm.h"
#include "t_run.h"

enum { ROUNDS = 6, STRIDE = 185, SLOW_US = 1500000 };

static void must_pass(const struct storm_spec *s)
{
	struct storm_result r;

	storm_run(s, &r);
	ck_assert_msg(storm_passed(&r), "seed %llu faults %x cut %s at %u: %s, %.2f of the clean time",
	              (unsigned long long)s->seed, (unsigned)s->faults, storm_cut_names[s->cut],
	              (unsigned)s->at_byte, r.broken[0] ? r.broken : r.done ? "late" : "never",
	              storm_ratio(&r));
}

START_TEST(a_swap_is_done_soon_after_a_storm)
{
	for (uint64_t round = 0; round < ROUNDS; round++) {
		const struct storm_spec s = storm_draw((uint64_t)_i + STORM_FAULTS * (1 + round));

		ck_assert(s.faults >> _i & 1);
		must_pass(&s);
	}
}
END_TEST

START_TEST(a_device_or_gateway_that_goes_at_any_byte_is_survived)
{
	struct storm_spec s = { .seed = 7, .baud = 115200, .latency_us = 1000 };
	struct storm_result clean;
	uint32_t n;

	storm_run(&s, &clean);
	ck_assert(storm_passed(&clean));
	s.cut = (enum storm_cut)_i;
	n = storm_is_down(s.cut) ? clean.down_bytes : clean.up_bytes;
	ck_assert_uint_gt(n, 5000);
	for (s.at_byte = 0; s.at_byte < n; s.at_byte += STRIDE)
		must_pass(&s);
}
END_TEST

/* Of the order of a broker in another country, or worse. */
START_TEST(a_line_with_a_round_trip_of_three_seconds_is_served)
{
	struct storm_spec s = { .seed = 4, .baud = 115200, .latency_us = SLOW_US };
	struct storm_result r;

	storm_run(&s, &r);
	ck_assert(storm_passed(&r));
	ck_assert_uint_eq(r.refusals, 0);
}
END_TEST

/* The harness itself: a line that nothing passes fails the test. */
START_TEST(a_line_that_never_heals_does_not_pass)
{
	struct storm_spec s = { .seed = 4, .baud = 115200, .faults = 1u << STORM_FRAME_LOST, .level = 1000,
		.storm_us = 1000000, .cut = STORM_CUT_DEVICE_DOWN, .at_byte = UINT32_MAX - 1 };
	struct storm_result r;

	storm_run(&s, &r);
	ck_assert(!storm_passed(&r));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("linkstorm");
	TCase *t = tcase_create("linkstorm");

	printf("linkstorm: seeds %d to %d\n", STORM_FAULTS, (ROUNDS + 1) * STORM_FAULTS - 1);
	fflush(stdout);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, a_swap_is_done_soon_after_a_storm, 0, STORM_FAULTS);
	tcase_add_loop_test(t, a_device_or_gateway_that_goes_at_any_byte_is_survived, 1, STORM_CUTS);
	tcase_add_test(t, a_line_with_a_round_trip_of_three_seconds_is_served);
	tcase_add_test(t, a_line_that_never_heals_does_not_pass);
	suite_add_tcase(s, t);
	return t_run(s);
}
