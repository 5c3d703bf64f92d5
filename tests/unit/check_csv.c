/* hn_csv, hn_lines and hn_number: text in any pieces to fields and numbers. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hn_csv.h"
#include "hn_lines.h"
#include "hn_number.h"
#include "hn_rng.h"
#include "t_run.h"

/* Expected: fields joined with '|', or NULL for HN_EFORMAT. */
static const struct { const char *line, *fields; } splits[] = {
	{ "a,b,c", "a|b|c" },
	{ "", "" },
	{ ",", "|" },
	{ "a,", "a|" },
	{ " a , b\t,c ", "a|b|c" },
	{ "\"a,b\",c", "a,b|c" },
	{ "\"say \"\"x\"\"\",1", "say \"x\"|1" },
	{ " \"q\" ,2", "q|2" },
	{ "\"\"", "" },
	{ "a b,c\"d", "a b|c\"d" },
	{ "\"open", NULL },
	{ "\"open\"\"", NULL },
	{ "\"x\"y,1", NULL },
};

START_TEST(a_line_is_split_into_its_fields)
{
	char line[64], joined[64] = "", *field[8];
	size_t n = 0;
	hn_status rc;

	(void)snprintf(line, sizeof line, "%s", splits[_i].line);
	rc = hn_csv_split(line, strlen(line), field, 8, &n);
	ck_assert_int_eq(rc, splits[_i].fields ? HN_OK : HN_EFORMAT);
	if (rc)
		return;
	for (size_t i = 0; i < n; i++) {
		size_t at = strlen(joined);

		(void)snprintf(joined + at, sizeof joined - at, "%s%s", i ? "|" : "", field[i]);
	}
	ck_assert_str_eq(joined, splits[_i].fields);
}
END_TEST

START_TEST(more_fields_than_room_are_counted_but_not_written)
{
	char line[] = "1,2,3,4,5", *field[3] = { NULL, NULL, line };
	size_t n;

	ck_assert_int_eq(hn_csv_split(line, strlen(line), field, 2, &n), HN_OK);
	ck_assert_uint_eq(n, 5);
	ck_assert_str_eq(field[1], "2");
	ck_assert_ptr_eq(field[2], line);
}
END_TEST

START_TEST(a_zero_byte_in_a_line_is_refused)
{
	char line[] = { 'a', ',', '\0', 'b', '\0' }, *field[4];
	size_t n;

	ck_assert_int_eq(hn_csv_split(line, 4, field, 4, &n), HN_EFORMAT);
}
END_TEST

static const struct { const char *text; int kind; double v; } numbers[] = {
	{ "1", 1, 1 }, { "-2.5", 1, -2.5 }, { "+3.", 1, 3 }, { ".5", 1, 0.5 }, { "1e3", 1, 1000 },
	{ "1E-2", 1, 0.01 }, { "1e999", 2, 1 }, { "-1e999", 2, -1 }, { "inf", 2, 1 },
	{ "-Infinity", 2, -1 }, { "NaN", 3, 0 }, { "-nan", 3, 0 },
	{ "", 0, 0 }, { "-", 0, 0 }, { ".", 0, 0 }, { "1e", 0, 0 }, { "1e+", 0, 0 }, { "0x10", 0, 0 },
	{ "nan(7)", 0, 0 }, { "1 2", 0, 0 }, { "1.2.3", 0, 0 }, { "e5", 0, 0 }, { "1,5", 0, 0 },
	{ "infinit", 0, 0 }, { "--1", 0, 0 },
};

START_TEST(only_decimal_numbers_are_numbers)
{
	double v = 77;
	bool ok = hn_number(numbers[_i].text, strlen(numbers[_i].text), &v);

	ck_assert_msg(ok == (numbers[_i].kind != 0), "'%s'", numbers[_i].text);
	if (numbers[_i].kind == 0)
		ck_assert_double_eq(v, 77);
	else if (numbers[_i].kind == 1)
		ck_assert_double_eq(v, numbers[_i].v);
	else if (numbers[_i].kind == 2)
		ck_assert(isinf(v) && (v > 0) == (numbers[_i].v > 0));
	else
		ck_assert_double_nan(v);
	if (numbers[_i].kind == 0)
		ck_assert_double_nan(hn_csv_number(numbers[_i].text));
}
END_TEST

static const struct {
	const char *text;
	enum hn_csv_unit unit;
	hn_status rc;
	int64_t us;
} times[] = {
	{ "0", HN_CSV_S, HN_OK, 0 },
	{ "1700000000", HN_CSV_S, HN_OK, INT64_C(1700000000000000) },
	{ "1700000000.25", HN_CSV_S, HN_OK, INT64_C(1700000000250000) },
	{ "1.7e9", HN_CSV_S, HN_OK, INT64_C(1700000000000000) },
	{ "1700000000123", HN_CSV_MS, HN_OK, INT64_C(1700000000123000) },
	{ "1700000000123456", HN_CSV_US, HN_OK, INT64_C(1700000000123456) },
	{ "1700000000123456999", HN_CSV_NS, HN_OK, INT64_C(1700000000123456) },
	{ "253402300799", HN_CSV_S, HN_OK, INT64_C(253402300799000000) },
	{ "253402300800", HN_CSV_S, HN_ERANGE, 0 },
	{ "9223372036854775807", HN_CSV_S, HN_ERANGE, 0 },
	{ "999999999999999999999", HN_CSV_NS, HN_ERANGE, 0 },
	{ "-1", HN_CSV_S, HN_ERANGE, 0 },
	{ "1e300", HN_CSV_S, HN_ERANGE, 0 },
	{ "nan", HN_CSV_S, HN_ERANGE, 0 },
	{ "", HN_CSV_S, HN_EFORMAT, 0 },
	{ "noon", HN_CSV_S, HN_EFORMAT, 0 },
};

START_TEST(times_in_all_units_become_microseconds)
{
	int64_t us = -7;

	ck_assert_int_eq(hn_csv_time(times[_i].text, times[_i].unit, &us), times[_i].rc);
	ck_assert_int_eq(us, times[_i].rc ? -7 : times[_i].us);
}
END_TEST

/* Feed `text` in pieces of 1..7 bytes; the lines joined with '|' to out. */
static void feed(const char *text, size_t cap, uint64_t seed, char *out, struct hn_lines *l)
{
	char *buf = malloc(cap), *line;
	size_t left = strlen(text), len;
	struct hn_rng rng;

	*out = '\0';
	hn_rng_seed(&rng, seed);
	hn_lines_init(l, buf, cap);
	while (left > 0) {
		size_t n = 1 + hn_rng_below(&rng, 7), room;
		char *to = hn_lines_room(l, &room);

		ck_assert_uint_ge(room, 1);
		n = n < left ? n : left;
		n = n < room ? n : room;
		memcpy(to, text, n);
		hn_lines_add(l, n);
		text += n;
		left -= n;
		while (hn_lines_next(l, &line, &len)) {
			ck_assert_uint_eq(strlen(line), len);
			(void)strncat(strncat(out, line, len), "|", 2);
		}
	}
	if (hn_lines_last(l, &line, &len))
		(void)strncat(strncat(out, line, len), "!", 2);
	free(buf);
}

START_TEST(lines_come_out_whole_however_the_bytes_come_in)
{
	struct hn_lines l;
	char out[256];

	feed("one\ntwo\r\n\nfour is long\nlast", 32, (uint64_t)_i, out, &l);
	ck_assert_str_eq(out, "one|two||four is long|last!");
	ck_assert_uint_eq(l.n, 5);
	ck_assert_uint_eq(l.too_long, 0);
}
END_TEST

START_TEST(a_line_that_is_too_long_costs_only_itself)
{
	struct hn_lines l;
	char out[256];

	feed("ab\n0123456789012345678901234567890123456789\ncd\nxxxxxxxxxxxxxxxxxxxxxxx", 10,
	     (uint64_t)_i, out, &l);
	ck_assert_str_eq(out, "ab|cd|");
	ck_assert_uint_eq(l.too_long, 2);
	ck_assert_uint_eq(l.n, 3);
}
END_TEST

START_TEST(the_longest_line_still_fits)
{
	struct hn_lines l;
	char out[256];

	feed("12345678\n123456789", 10, (uint64_t)_i, out, &l);
	ck_assert_str_eq(out, "12345678|123456789!");
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
	Suite *s = suite_create("csv");
	TCase *t = tcase_create("csv");

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, a_line_is_split_into_its_fields, 0, COUNT(splits));
	tcase_add_test(t, more_fields_than_room_are_counted_but_not_written);
	tcase_add_test(t, a_zero_byte_in_a_line_is_refused);
	tcase_add_loop_test(t, only_decimal_numbers_are_numbers, 0, COUNT(numbers));
	tcase_add_loop_test(t, times_in_all_units_become_microseconds, 0, COUNT(times));
	tcase_add_loop_test(t, lines_come_out_whole_however_the_bytes_come_in, 0, 20);
	tcase_add_loop_test(t, a_line_that_is_too_long_costs_only_itself, 0, 20);
	tcase_add_loop_test(t, the_longest_line_still_fits, 0, 5);
	return t_run(s);
}
