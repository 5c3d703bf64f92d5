#include "hn_csv.h"

#include <math.h>
#include <string.h>
#include "hn_number.h"

static const int64_t time_us_max = INT64_C(253402300800) * 1000000 - 1;      /* end of 9999 */

/* One unit in us = num / den. */
static const struct { int64_t num, den; } units[] = {
	[HN_CSV_S] = { 1000000, 1 }, [HN_CSV_MS] = { 1000, 1 },
	[HN_CSV_US] = { 1, 1 },      [HN_CSV_NS] = { 1, 1000 },
};

static char *skip_blanks(char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

/* p is behind the opening quote; doubled quotes are undone in place.  Returns the place behind the
 * closing quote, NULL when there is none. */
static char *quoted(char *p, const char *end, char **field)
{
	char *w = p;

	*field = p;
	while (p < end) {
		if (*p == '"' && (p + 1 == end || p[1] != '"')) {
			*w = '\0';
			return p + 1;
		}
		if (*p == '"')
			p++;
		*w++ = *p++;
	}
	return NULL;
}

static char *plain(char *p, char *end, char **field)
{
	char *comma = memchr(p, ',', (size_t)(end - p));
	char *stop = comma ? comma : end, *last = stop;

	while (last > p && (last[-1] == ' ' || last[-1] == '\t'))
		last--;
	*field = p;
	if (last < stop)
		*last = '\0';
	return stop;
}

hn_status hn_csv_split(char *line, size_t len, char **field, size_t max, size_t *n)
{
	char *p = line, *end = line + len, *one;
	size_t count = 0;

	if (memchr(line, '\0', len))
		return HN_EFORMAT;
	for (;;) {
		p = skip_blanks(p, end);
		if (p < end && *p == '"') {
			p = quoted(p + 1, end, &one);
			p = p ? skip_blanks(p, end) : NULL;
		} else {
			p = plain(p, end, &one);
		}
		if (!p || (p < end && *p != ','))
			return HN_EFORMAT;
		if (count < max)
			field[count] = one;
		count++;
		if (p == end)
			break;
		*p++ = '\0';
	}
	*n = count;
	return HN_OK;
}

double hn_csv_number(const char *text)
{
	double v = (double)NAN;

	(void)hn_number(text, strlen(text), &v);        /* not a number: stays NaN */
	return v;
}

hn_status hn_csv_time_int(int64_t t, enum hn_csv_unit unit, int64_t *us)
{
	if (t < 0 || t / units[unit].den > time_us_max / units[unit].num)
		return HN_ERANGE;
	*us = t / units[unit].den * units[unit].num;
	return HN_OK;
}

hn_status hn_csv_time(const char *text, enum hn_csv_unit unit, int64_t *us)
{
	size_t len = strlen(text);
	int64_t whole;
	double t;

	if (hn_number_int(text, len, &whole))           /* exact: a double has 53 bits */
		return hn_csv_time_int(whole, unit, us);
	if (!hn_number(text, len, &t))
		return HN_EFORMAT;
	t = round(t * (double)units[unit].num / (double)units[unit].den);
	if (!(t >= 0 && t <= (double)time_us_max))
		return HN_ERANGE;
	*us = (int64_t)t;
	return HN_OK;
}
