#include "conf_value.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf_diag.h"

struct unit { const char *suffix; double factor; };

/* Small to large; the last that divides a value evenly writes it. */
static const struct unit time_units[] = {
	{ "us", 1e-6 }, { "ms", 1e-3 }, { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 },
	{ NULL, 0 }
};
static const struct unit size_units[] = {
	{ "", 1 }, { "B", 1 }, { "KB", 1024 }, { "MB", 1048576 }, { "GB", 1073741824 },
	{ "TB", 1099511627776 }, { NULL, 0 }
};

__attribute__((format(printf, 2, 3)))
static bool no(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, CONF_WHY_MAX, fmt, ap);
	va_end(ap);
	return false;
}

static size_t digits(const char *s)
{
	return strspn(s, "0123456789");
}

/* A decimal number at the start of `s`, no other notation of strtod; bytes used, 0 = none. */
static size_t number(const char *s, double *out)
{
	const size_t sign = s[0] == '-' || s[0] == '+';
	const size_t whole = digits(s + sign);
	size_t n = sign + whole, part = 0, e;
	char buf[64];

	if (s[n] == '.') {
		part = digits(s + n + 1);
		n += 1 + part;
	}
	if (whole + part == 0)
		return 0;
	if (s[n] == 'e' || s[n] == 'E') {
		e = s[n + 1] == '-' || s[n + 1] == '+' ? 2 : 1;
		if (digits(s + n + e))
			n += e + digits(s + n + e);
	}
	if (n >= sizeof buf)
		return 0;
	memcpy(buf, s, n);
	buf[n] = '\0';
	*out = strtod(buf, NULL);
	return isfinite(*out) ? n : 0;
}

static const struct unit *unit_find(const struct unit *u, const char *suffix)
{
	for (; u->suffix; u++)
		if (strcmp(u->suffix, suffix) == 0)
			return u;
	return NULL;
}

static void with_unit(const struct unit *u, double v, char *out, size_t cap)
{
	const struct unit *best = u;

	for (; u->suffix; u++)
		if (v > 0 && fabs(v / u->factor - nearbyint(v / u->factor)) < 1e-9 &&
		    v / u->factor > 0.5)
			best = u;
	(void)snprintf(out, cap, "%.12g%s", v / best->factor, best->suffix);
}

void conf_time_text(double s, char *out, size_t cap)
{
	if (s > 0)
		with_unit(time_units, s, out, cap);
	else
		(void)snprintf(out, cap, "0s");
}

void conf_size_text(double bytes, char *out, size_t cap)
{
	with_unit(size_units, bytes, out, cap);
}

static bool parse_time(const char *v, double *x, char *why)
{
	const size_t n = number(v, x);
	const struct unit *u;

	if (!n)
		return no(why, "expected a time such as 30s or 5min, got '%.40s'", v);
	if (!v[n])
		return no(why, "'%.40s' needs a unit: us, ms, s, min, h or d", v);
	if (strcmp(v + n, "m") == 0)
		return no(why, "'%.40s': write min for minutes, ms for milliseconds", v);
	u = unit_find(time_units, v + n);
	if (!u)
		return no(why, "'%.40s': '%.20s' is no unit of time: us, ms, s, min, h or d", v, v + n);
	*x *= u->factor;
	return true;
}

static bool parse_size(const char *v, double *x, char *why)
{
	const size_t n = number(v, x);
	const struct unit *u;

	if (!n)
		return no(why, "expected a size such as 64MB, got '%.40s'", v);
	u = unit_find(size_units, v + n);
	if (!u)
		return no(why, "'%.40s': '%.20s' is no unit of size: B, KB, MB, GB or TB", v, v + n);
	*x *= u->factor;
	if (*x < nearbyint(*x) || *x > nearbyint(*x))
		return no(why, "'%.40s' is not a whole number of bytes", v);
	return true;
}

static bool parse_plain(const struct conf_row *r, const char *v, double *x, char *why)
{
	const char *kind = r->type == CONF_INT ? "a whole number" : "a number";
	const size_t n = number(v, x);

	if (!n || v[n])
		return no(why, "expected %s, got '%.40s'", kind, v);
	if (r->type == CONF_INT && (*x < nearbyint(*x) || *x > nearbyint(*x)))
		return no(why, "expected a whole number, got '%.40s'", v);
	return true;
}

static bool bounded(const struct conf_row *r)
{
	return r->min < 0 || r->min > 0 || r->max < 0 || r->max > 0;
}

static void number_text(const struct conf_row *r, double v, char *out, size_t cap)
{
	if (r->type == CONF_TIME)
		conf_time_text(v, out, cap);
	else if (r->type == CONF_SIZE)
		conf_size_text(v, out, cap);
	else
		(void)snprintf(out, cap, r->type == CONF_INT ? "%.0f" : "%g", v);
}

static void range_text(const struct conf_row *r, char *out, size_t cap)
{
	char lo[40], hi[40];

	number_text(r, r->min, lo, sizeof lo);
	number_text(r, r->max, hi, sizeof hi);
	(void)snprintf(out, cap, "%s..%s", lo, hi);
}

static bool set_number(const struct conf_row *r, void *at, const char *v, char *why)
{
	char range[100];
	double x = 0;
	bool ok;

	if (r->type == CONF_TIME)
		ok = parse_time(v, &x, why);
	else if (r->type == CONF_SIZE)
		ok = parse_size(v, &x, why);
	else
		ok = parse_plain(r, v, &x, why);
	if (!ok)
		return false;
	range_text(r, range, sizeof range);
	if (bounded(r) && (x < r->min || x > r->max))
		return no(why, "%.40s is outside %s", v, range);
	if (r->type != CONF_INT)
		*(double *)at = x;
	else if (r->size == sizeof(int64_t) && fabs(x) <= 9007199254740992.0)
		*(int64_t *)at = (int64_t)x;
	else if (r->size == sizeof(int) && fabs(x) <= 2147483647.0)
		*(int *)at = (int)x;
	else
		return no(why, "%.40s is too large", v);
	return true;
}

static bool set_enum(const struct conf_row *r, void *at, const char *v, char *why)
{
	for (int i = 0; r->choices[i]; i++)
		if (strcmp(v, r->choices[i]) == 0) {
			*(int *)at = i;
			return true;
		}
	return no(why, "'%.40s' is not one of the allowed words", v);
}

bool conf_text_check(const char *v, size_t size, unsigned flags, char *why)
{
	static const char name_set[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";

	if (strlen(v) >= size)
		return no(why, "'%.40s%s' is longer than %zu bytes", v, strlen(v) > 40 ? "..." : "",
		          size - 1);
	for (const char *c = v; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return no(why, "a text cannot hold control characters");
	if (flags & (CONF_NAME | CONF_REQUIRED) && !v[0])
		return no(why, "it cannot be empty");
	if (flags & CONF_NAME && v[strspn(v, name_set)])
		return no(why, "'%.40s' is not a name: letters, digits, '_', '-' and '.' only", v);
	return true;
}

bool conf_value_set(const struct conf_row *r, void *base, const char *v, char *why)
{
	void *at = conf_member(r, base);

	switch (r->type) {
	case CONF_BOOL:
		if (strcmp(v, "true") != 0 && strcmp(v, "false") != 0)
			return no(why, "expected true or false, got '%.40s'", v);
		*(bool *)at = v[0] == 't';
		return true;
	case CONF_TEXT:
		if (!conf_text_check(v, r->size, r->flags, why))
			return false;
		memset(at, 0, r->size);
		memcpy(at, v, strlen(v));
		return true;
	case CONF_ENUM:
		return set_enum(r, at, v, why);
	case CONF_INT: case CONF_REAL: case CONF_TIME: case CONF_SIZE:
		return set_number(r, at, v, why);
	case CONF_TEXTS: case CONF_LIST: case CONF_DRIVER:
		break;
	}
	return no(why, "a single value is not possible here");
}

void conf_value_defaults(const struct conf_row *rows, void *base)
{
	char why[CONF_WHY_MAX];

	for (const struct conf_row *r = rows; r->key; r++) {
		if (!r->def || r->flags & CONF_REQUIRED || r->type == CONF_TEXTS)
			continue;
		if (!conf_value_set(r, base, r->def, why)) {
			(void)fprintf(stderr, "row %s: its own default is invalid: %s\n", r->key, why);
			abort();         /* our bug; check_conf tries every row */
		}
	}
}

bool conf_value_equal(const struct conf_row *r, const void *a, const void *b)
{
	const size_t item = r->type == CONF_TEXTS ? conf_item_size(r) : 0;
	const char *x = conf_member_const(r, a), *y = conf_member_const(r, b);

	if (r->type == CONF_TEXT)
		return strcmp(x, y) == 0;
	if (r->type != CONF_TEXTS)       /* a double is equal only when its bits are: no NaN, no -0 */
		return memcmp(x, y, r->size) == 0;
	if (conf_count_get(r, a) != conf_count_get(r, b))
		return false;
	for (int i = 0; i < conf_count_get(r, a); i++)
		if (strcmp(x + (size_t)i * item, y + (size_t)i * item) != 0)
			return false;
	return true;
}

const struct conf_row *conf_row_find(const struct conf_row *rows, const char *key)
{
	for (const struct conf_row *r = rows; r->key; r++)
		if (strcmp(r->key, key) == 0)
			return r;
	return NULL;
}

/* --- in words --------------------------------------------------------------------------------- */

static size_t say(char *out, size_t cap, size_t at, const char *text)
{
	const int n = snprintf(out + at, cap - at, "%s", text);

	return at + (size_t)n < cap ? at + (size_t)n : cap - 1;
}

static size_t say_kind(const struct conf_row *r, char *out, size_t cap)
{
	static const char *const kind[] = {
		[CONF_BOOL] = "true or false", [CONF_INT] = "whole number", [CONF_REAL] = "number",
		[CONF_TIME] = "time such as 30s or 5min", [CONF_SIZE] = "size such as 64MB",
		[CONF_TEXT] = "text", [CONF_ENUM] = "one of", [CONF_TEXTS] = "list of texts",
		[CONF_LIST] = "list of items", [CONF_DRIVER] = "one of"
	};
	const struct conf_driver *const *d = conf_driver_list();
	size_t at = say(out, cap, 0, r->type == CONF_TEXT && r->flags & CONF_NAME ? "name"
	                                                                          : kind[r->type]);

	for (int i = 0; r->type == CONF_ENUM && r->choices[i]; i++)
		at = say(out, cap, say(out, cap, at, i ? ", " : " "), r->choices[i]);
	for (int i = 0; r->type == CONF_DRIVER && d[i]; i++)
		at = say(out, cap, say(out, cap, at, i ? ", " : " "), d[i]->name);
	return at;
}

void conf_row_expect(const struct conf_row *r, char *out, size_t cap)
{
	const bool is_number = r->type == CONF_INT || r->type == CONF_REAL ||
	                       r->type == CONF_TIME || r->type == CONF_SIZE;
	const char *sep = r->type == CONF_ENUM || r->type == CONF_DRIVER ? ";" : ",";
	size_t at = say_kind(r, out, cap);
	char range[100];

	if (is_number && bounded(r)) {
		range_text(r, range, sizeof range);
		at = say(out, cap, at, r->type == CONF_TIME || r->type == CONF_SIZE ? ", " : " ");
		at = say(out, cap, at, range);
	}
	if ((r->type == CONF_INT || r->type == CONF_REAL) && r->unit && r->unit[0])
		at = say(out, cap, say(out, cap, at, " "), r->unit);
	if (r->flags & CONF_REQUIRED) {
		(void)say(out, cap, say(out, cap, at, sep), " required");
	} else if (r->def && r->type != CONF_TEXTS) {
		at = say(out, cap, say(out, cap, at, sep), " default ");
		(void)say(out, cap, at, r->def[0] ? r->def : "\"\"");
	}
}
