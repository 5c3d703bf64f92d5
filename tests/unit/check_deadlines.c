/* check_deadlines.c - a swap costs no inference, the short form of tests/bench/deadlines.c. */
#include <check.h>
#include <stdlib.h>
#include "deadline_rig.h"
#include "t_run.h"

enum { SWAPS_MIN = 25, SEED = 5 };

START_TEST(no_inference_is_missed_or_wrong_while_packages_come_and_go)
{
	struct rig_tally t;

	deadline_rig_run(&rig_parts[_i], SWAPS_MIN, 0, SEED, &t);
	ck_assert_uint_eq(t.missed, 0);
	ck_assert_uint_eq(t.firmware_missed, 0);
	ck_assert_uint_eq(t.wrong, 0);
	ck_assert_uint_eq(t.astray, 0);
	ck_assert_uint_gt(t.due, 10 * SWAPS_MIN);
	ck_assert_uint_gt(t.erases, SWAPS_MIN);
}
END_TEST

START_TEST(a_port_that_hides_its_erases_misses_inferences_and_both_counts_say_so)
{
	struct rig_part blind = rig_parts[_i];
	struct rig_tally t;

	blind.hides_erases = true;
	deadline_rig_run(&blind, SWAPS_MIN, 0, SEED, &t);
	ck_assert_uint_gt(t.missed, 0);
	ck_assert_uint_eq(t.missed, t.firmware_missed);
	ck_assert_uint_eq(t.wrong, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("deadlines");
	TCase *t = tcase_create("deadlines");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, no_inference_is_missed_or_wrong_while_packages_come_and_go, 0,
	                    (int)rig_n_parts);
	tcase_add_loop_test(t, a_port_that_hides_its_erases_misses_inferences_and_both_counts_say_so, 0,
	                    (int)rig_n_parts);
	suite_add_tcase(s, t);
	return t_run(s);
}
