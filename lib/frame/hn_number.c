#include "hn_number.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

static size_t digits(const char *text, size_t at, size_t len)
{
	size_t n = 0;

	while (at + n < len && text[at + n] >= '0' && text[at + n] <= '9')
		n++;
	return n;
}

static size_t sign(const char *text, size_t at, size_t len)
{
	return at < len && (text[at] == '+' || text[at] == '-') ? 1 : 0;
}

static bool is_word(const char *text)
{
	return strcasecmp(text, "nan") == 0 || strcasecmp(text, "inf") == 0
	    || strcasecmp(text, "infinity") == 0;
}

static bool is_decimal(const char *text, size_t len)
{
	size_t at = sign(text, 0, len), whole, part = 0, n;

	whole = digits(text, at, len);
	at += whole;
	if (at < len && text[at] == '.') {
		part = digits(text, at + 1, len);
		at += 1 + part;
	}
	if (whole + part == 0)
		return false;
	if (at < len && (text[at] == 'e' || text[at] == 'E')) {
		at += 1 + sign(text, at + 1, len);
		n = digits(text, at, len);
		if (n == 0)
			return false;
		at += n;
	}
	return at == len;
}

bool hn_number(const char *text, size_t len, double *v)
{
	char *end;
	double x;

	if (!is_decimal(text, len) && !is_word(text + sign(text, 0, len)))
		return false;
	x = strtod(text, &end);
	if (end != text + len)          /* a 0 inside the text */
		return false;
	*v = x;
	return true;
}

bool hn_number_int(const char *text, size_t len, int64_t *v)
{
	size_t at = sign(text, 0, len), n = digits(text, at, len);
	long long x;

	if (n == 0 || at + n != len)
		return false;
	errno = 0;
	x = strtoll(text, NULL, 10);
	if (errno == ERANGE)
		return false;
	*v = x;
	return true;
}
