#include <check.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "t_must.h"
#include "t_run.h"

static const struct { int64_t us; const char *text; } dates[] = {
	{ 0, "1970-01-01T00:00:00.000000Z" },
	{ -1, "1969-12-31T23:59:59.999999Z" },
	{ 1795352707123456, "2026-11-22T13:05:07.123456Z" },
	{ 951782400000000, "2000-02-29T00:00:00.000000Z" },
	{ 4107542400000000, "2100-03-01T00:00:00.000000Z" },
	{ -2203891200000001, "1900-02-28T23:59:59.999999Z" },
	{ -62167219200000000, "0000-01-01T00:00:00.000000Z" },
	{ 253402300799999999, "9999-12-31T23:59:59.999999Z" },
};

START_TEST(a_date_is_written_and_read_back)
{
	char out[28];
	int64_t us = 0;

	clock_format(dates[_i].us, out, sizeof out);
	ck_assert_str_eq(out, dates[_i].text);
	ck_assert_int_eq(clock_parse(out, &us), 0);
	ck_assert_int_eq(us, dates[_i].us);
}
END_TEST

START_TEST(every_day_of_four_centuries_agrees_with_gmtime)
{
	char out[28], want[28];

	for (int64_t d = -141427; d < 146097; d++) {     /* from 1582 to 2370 */
		const time_t t = d * 86400 + (d & 0xffff);
		struct tm tm;

		T_MUST(gmtime_r(&t, &tm) &&
		       strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.000000Z", &tm) > 0, "day %lld",
		       (long long)d);
		clock_format((int64_t)t * 1000000, out, sizeof out);
		ck_assert_str_eq(out, want);
	}
}
END_TEST

START_TEST(dates_beyond_four_digits_are_clamped_and_stay_inside_the_buffer)
{
	char out[28];

	clock_format(INT64_MAX, out, sizeof out);
	ck_assert_int_eq(memcmp(out, "9999-12-31T", 11), 0);
	clock_format(INT64_MIN, out, sizeof out);
	ck_assert_int_eq(memcmp(out, "0000-01-01T", 11), 0);
	ck_assert_uint_eq(strlen(out), 27);
}
END_TEST

static const struct { const char *text; int64_t us; } good[] = {
	{ "2026-11-22t13:05:07z", 1795352707000000 },
	{ "2026-11-22 13:05:07", 1795352707000000 },
	{ "2026-11-22T15:05:07+02:00", 1795352707000000 },
	{ "2026-11-22T12:35:07-00:30", 1795352707000000 },
	{ "2026-11-22T13:05:07.5Z", 1795352707500000 },
	{ "2026-11-22T13:05:07.123456789Z", 1795352707123456 },
	{ "2016-12-31T23:59:60Z", 1483228800000000 },
	{ "0", 0 },
	{ "1795352707", 1795352707000000 },
	{ "1795352707.25", 1795352707250000 },
	{ "1795352707123", 1795352707123000 },
	{ "1795352707123.5", 1795352707123500 },
	{ "1795352707123456", 1795352707123456 },
	{ "1795352707123456789", 1795352707123456 },
	{ "-1.5", -1500000 },
};

START_TEST(a_date_or_a_number_of_any_unit_is_read)
{
	int64_t us = 0;

	ck_assert_int_eq(clock_parse(good[_i].text, &us), 0);
	ck_assert_msg(us == good[_i].us, "%s: %lld", good[_i].text, (long long)us);
}
END_TEST

static const char *const bad[] = {
	"", "-", "x", "12x", "1.", ".5", "1e9", " 1", "0x10", "99999999999999999999", "2026-11-22",
	"2026-11-22T13:05", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z",
	"1900-02-29T00:00:00Z", "2026-11-31T00:00:00Z", "2026-11-22T24:00:00Z",
	"2026-11-22T23:60:00Z", "2026-11-22T23:59:61Z", "2026-11-22T13:05:07.Z",
	"2026-11-22T13:05:07Zx", "2026-11-22T13:05:07+24:00", "2026-11-22T13:05:07+0100",
	"26-11-22T13:05:07Z", "2026/11/22T13:05:07Z", "nan", "inf",
};

START_TEST(what_is_neither_is_refused_and_changes_nothing)
{
	int64_t us = 42;

	ck_assert_msg(clock_parse(bad[_i], &us) == -1, "accepted: '%s'", bad[_i]);
	ck_assert_int_eq(us, 42);
}
END_TEST

START_TEST(a_virtual_clock_stands_until_real_time_returns)
{
	int64_t before;

	clock_set_virtual(5000000);
	ck_assert_int_eq(clock_now_us(), 5000000);
	ck_assert_int_eq(clock_mono_us(), 5000000);
	clock_set_virtual(-7);
	before = clock_mono_us();
	ck_assert_int_ge(clock_mono_us(), before);
	ck_assert_int_gt(clock_now_us(), 1600000000000000);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
	Suite *s = suite_create("clock");
	TCase *t = tcase_create("clock");

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_date_is_written_and_read_back, 0, COUNT(dates));
	tcase_add_test(t, every_day_of_four_centuries_agrees_with_gmtime);
	tcase_add_test(t, dates_beyond_four_digits_are_clamped_and_stay_inside_the_buffer);
	tcase_add_loop_test(t, a_date_or_a_number_of_any_unit_is_read, 0, COUNT(good));
	tcase_add_loop_test(t, what_is_neither_is_refused_and_changes_nothing, 0, COUNT(bad));
	tcase_add_test(t, a_virtual_clock_stands_until_real_time_returns);
	return t_run(s);
}
