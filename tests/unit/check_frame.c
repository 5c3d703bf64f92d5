/* check_frame.c - physical values and raw integers. */
#include <check.h>
#include <math.h>
#include <stdint.h>

#include "hn_frame.h"
#include "t_run.h"

static const struct { double value; enum hn_quality quality; int32_t raw; } rows[] = {
	{ 20.0, HN_NOT_EVALUATED, 0 },
	{ 20.014, HN_NOT_EVALUATED, 1 },
	{ 19.994, HN_NOT_EVALUATED, -1 },
	{ 20.0 + 21474836.47, HN_NOT_EVALUATED, INT32_MAX },
	{ 20.0 - 21474836.48, HN_NOT_EVALUATED, INT32_MIN },
	{ 20.0 + 21474836.49, HN_FAIL, 0 },
	{ 20.0 - 21474836.50, HN_FAIL, 0 },
	{ 1e300, HN_FAIL, 0 },
	{ (double)INFINITY, HN_FAIL, 0 },
	{ -(double)INFINITY, HN_FAIL, 0 },
	{ (double)NAN, HN_MISSING, 0 },
};

START_TEST(a_value_becomes_its_raw_integer_or_a_flag)
{
	const struct hn_channel c = { .scale = 0.01, .offset = 20.0 };
	struct hn_frame f = { .n = 2 };

	hn_frame_set(&f, 1, &c, rows[_i].value);
	ck_assert_int_eq(f.quality[1], rows[_i].quality);
	ck_assert_int_eq(f.raw[1], rows[_i].raw);
	if (rows[_i].quality == HN_NOT_EVALUATED)
		ck_assert_double_eq_tol(hn_frame_value(&f, 1, &c), rows[_i].value, 0.005);
	else
		ck_assert_double_nan(hn_frame_value(&f, 1, &c));
}
END_TEST

START_TEST(every_raw_integer_comes_back_from_its_value)
{
	const struct hn_channel c = { .scale = 0.1, .offset = -3.7 };
	const int32_t raws[] = { 0, 1, -1, 12345, -98765, INT32_MAX, INT32_MIN };
	struct hn_frame f = { .n = 1 };

	for (unsigned i = 0; i < sizeof raws / sizeof raws[0]; i++) {
		f.raw[0] = raws[i];
		f.quality[0] = HN_GOOD;
		hn_frame_set(&f, 0, &c, hn_frame_value(&f, 0, &c));
		ck_assert_int_eq(f.raw[0], raws[i]);
	}
}
END_TEST

START_TEST(a_scale_that_makes_no_number_is_a_failed_value)
{
	const struct hn_channel c = { .scale = 0.0, .offset = 1.0 };
	struct hn_frame f = { .n = 1 };

	hn_frame_set(&f, 0, &c, 1.0);
	ck_assert_int_eq(f.quality[0], HN_FAIL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("frame");
	TCase *t = tcase_create("frame");

	tcase_add_loop_test(t, a_value_becomes_its_raw_integer_or_a_flag, 0,
	                    (int)(sizeof rows / sizeof rows[0]));
	tcase_add_test(t, every_raw_integer_comes_back_from_its_value);
	tcase_add_test(t, a_scale_that_makes_no_number_is_a_failed_value);
	suite_add_tcase(s, t);
	return t_run(s);
}
