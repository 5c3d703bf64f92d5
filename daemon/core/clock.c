#include "clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static _Atomic int64_t virtual_us = -1;

static int64_t read_us(clockid_t id)
{
	const int64_t fixed = atomic_load(&virtual_us);
	struct timespec t;

	if (fixed >= 0)
		return fixed;
	(void)clock_gettime(id, &t);     /* cannot fail for these two clocks */
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
	return read_us(CLOCK_REALTIME);
}

int64_t clock_mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

void clock_set_virtual(int64_t us)
{
	atomic_store(&virtual_us, us < 0 ? -1 : us);
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar, and back: years start in
 * March, so that the leap day is the last one. */
static int64_t days_of(int64_t y, int m, int d)
{
	int64_t era, doy, yoe;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void date_of(int64_t days, int *y, int *m, int *d)
{
	int64_t era, doe, yoe, doy, mp;

	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*d = (int)(doy - (153 * mp + 2) / 5 + 1);
	*m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*y = (int)(yoe + era * 400 + (*m <= 2));
}

enum { DAY_S = 86400, DAY_YEAR_0 = -719528, DAY_YEAR_9999 = 2932896 };

void clock_format(int64_t us, char *out, size_t cap)
{
	int64_t s = us / 1000000, days;
	int micro = (int)(us % 1000000), y, m, d, t;

	if (micro < 0) {
		micro += 1000000;
		s--;
	}
	days = (s >= 0 ? s : s - (DAY_S - 1)) / DAY_S;
	t = (int)(s - days * DAY_S);
	if (days < DAY_YEAR_0)           /* four digits hold the years 0 to 9999 */
		days = DAY_YEAR_0;
	if (days > DAY_YEAR_9999)
		days = DAY_YEAR_9999;
	date_of(days, &y, &m, &d);
	(void)snprintf(out, cap, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", y, m, d, t / 3600,
	               t / 60 % 60, t % 60, micro);
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Exactly `n` digits at *p, advanced past them. */
static bool digits(const char **p, int n, int *out)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if (!digit(**p))
			return false;
		v = v * 10 + (*(*p)++ - '0');
	}
	*out = v;
	return true;
}

static bool one_of(const char **p, const char *set)
{
	for (; *set; set++)
		if (**p == *set) {
			(*p)++;
			return true;
		}
	return false;
}

/* ".123456789": microseconds, further digits are cut off.  No point: 0. */
static bool fraction(const char **p, int64_t *us)
{
	int64_t unit = 100000;

	*us = 0;
	if (!one_of(p, "."))
		return true;
	if (!digit(**p))
		return false;
	for (; digit(**p); (*p)++, unit /= 10)
		*us += (**p - '0') * unit;
	return true;
}

static bool zone(const char **p, int *offset_s)
{
	const bool minus = **p == '-';
	int h, m;

	*offset_s = 0;
	if (!**p || one_of(p, "Zz"))
		return true;
	if (!one_of(p, "+-") || !digits(p, 2, &h) || !one_of(p, ":") || !digits(p, 2, &m))
		return false;
	*offset_s = (minus ? -60 : 60) * (h * 60 + m);
	return h <= 23 && m <= 59;
}

static bool date_ok(int y, int m, int d)
{
	static const int len[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	const bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);

	return m >= 1 && m <= 12 && d >= 1 && d <= len[m - 1] + (m == 2 && leap);
}

static bool parse_date(const char *p, int64_t *us)
{
	int y, mo, d, h, mi, s, off;
	int64_t frac;

	if (!digits(&p, 4, &y) || !one_of(&p, "-") || !digits(&p, 2, &mo) || !one_of(&p, "-") ||
	    !digits(&p, 2, &d) || !one_of(&p, "Tt ") || !date_ok(y, mo, d))
		return false;
	if (!digits(&p, 2, &h) || !one_of(&p, ":") || !digits(&p, 2, &mi) || !one_of(&p, ":") ||
	    !digits(&p, 2, &s) || h > 23 || mi > 59 || s > 60)   /* 60: a leap second */
		return false;
	if (!fraction(&p, &frac) || !zone(&p, &off) || *p)
		return false;
	*us = (days_of(y, mo, d) * DAY_S + h * 3600 + mi * 60 + s - off) * 1000000 + frac;
	return true;
}

/* The unit follows from the size: seconds reach 1e11 in the year 5138, milliseconds passed 1e11 in
 * 1973; the same gap separates us and ns. */
static bool parse_number(const char *p, int64_t *us)
{
	const bool minus = one_of(&p, "-");
	int64_t v = 0, frac;
	int n = 0;

	for (; digit(*p); p++, n++) {
		if (v > (INT64_MAX - (*p - '0')) / 10)
			return false;
		v = v * 10 + (*p - '0');
	}
	if (n == 0 || !fraction(&p, &frac) || *p)
		return false;
	if (v < 100000000000)
		v = v * 1000000 + frac;
	else if (v < 100000000000000)
		v = v * 1000 + frac / 1000;
	else if (v >= 100000000000000000)
		v /= 1000;
	*us = minus ? -v : v;
	return true;
}

int clock_parse(const char *text, int64_t *us)
{
	return parse_date(text, us) || parse_number(text, us) ? 0 : -1;
}
