/* "S{01..16}_DR" stands for S01_DR to S16_DR; zeros in front of the first number are kept. */
#include "conf_bind.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "conf_value.h"

static const char *const form = "a range is written {01..16}, one in a name";

struct range { int from, to, width; size_t open, close; };

/* Up to 6 digits; characters used, 0 = none. */
static size_t whole(const char *s, int *out)
{
	const size_t n = strspn(s, "0123456789");

	if (n == 0 || n > 6)
		return 0;
	*out = (int)strtol(s, NULL, 10);
	return n;
}

/* The range between the braces at `open`; false: not of the form. */
static bool parse(const char *name, struct range *r)
{
	size_t at = r->open + 1, n;

	n = whole(name + at, &r->from);
	if (!n || strncmp(name + at + n, "..", 2) != 0)
		return false;
	r->width = name[at] == '0' ? (int)n : 0;
	at += n + 2;
	n = whole(name + at, &r->to);
	if (!n || name[at + n] != '}')
		return false;
	r->close = at + n;
	return !strpbrk(name + r->close + 1, "{}");
}

static int fail(char *why, const char *text)
{
	(void)snprintf(why, CONF_WHY_MAX, "%s", text);
	return -1;
}

int conf_range_expand(void *items, size_t size, size_t name_off, int room, char *why)
{
	char pattern[HN_NAME_MAX], *item = items;
	struct range r = { .open = 0 };
	int n, k;

	memcpy(pattern, item + name_off, sizeof pattern);
	r.open = strcspn(pattern, "{}");
	if (!pattern[r.open])
		return 1;
	if (pattern[r.open] != '{' || !parse(pattern, &r))
		return fail(why, form);
	n = r.to - r.from + 1;
	if (n < 1)
		return fail(why, "the range runs downwards");
	if (n > room)
		return fail(why, "the range stands for more items than are possible");
	for (int i = 0; i < n; i++) {
		if (i)
			memcpy(item + (size_t)i * size, item, size);
		k = snprintf(item + (size_t)i * size + name_off, HN_NAME_MAX, "%.*s%0*d%s",
		             (int)r.open, pattern, r.width, r.from + i, pattern + r.close + 1);
		assert(k < HN_NAME_MAX);         /* the braces and dots are gone */
		(void)k;
	}
	return n;
}
