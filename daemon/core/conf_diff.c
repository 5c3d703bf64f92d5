/* Old against new configuration: lists are compared place by place, because everything at run time
 * holds indexes. */
#include "conf.h"

#include "conf_value.h"

enum { AT_MAX = 96 };

struct differ { FILE *out; int restarts; };

static void differs(struct differ *d, const struct conf_row *r, const char *at, const char *tail)
{
	(void)fprintf(d->out, "%s%s%s\n", at, r->key, tail);
	if (!(r->flags & CONF_RELOAD))
		d->restarts++;
}

/* All members except lists. */
static void compare_members(struct differ *d, const struct conf_row *rows, const void *a,
                            const void *b, const char *at)
{
	for (const struct conf_row *r = rows; r->key; r++)
		if (r->type != CONF_LIST && !conf_value_equal(r, a, b))
			differs(d, r, at, "");
}

static bool same_members(const struct conf_row *rows, const void *a, const void *b)
{
	for (const struct conf_row *r = rows; r->key; r++)
		if (r->type != CONF_LIST && !conf_value_equal(r, a, b))
			return false;
	return true;
}

/* A list inside an item counts as one setting; there is none inside it. */
static bool same_list(const struct conf_row *r, const void *a, const void *b)
{
	const unsigned char *x = conf_member_const(r, a), *y = conf_member_const(r, b);
	const int n = conf_count_get(r, a);

	if (n != conf_count_get(r, b))
		return false;
	for (int i = 0; i < n; i++)
		if (!same_members(r->item, x + (size_t)i * conf_item_size(r),
		                  y + (size_t)i * conf_item_size(r)))
			return false;
	return true;
}

static void compare_settings(struct differ *d, const struct conf_row *rows, const void *a,
                             const void *b, const char *at)
{
	for (const struct conf_row *r = rows; r->key; r++) {
		const unsigned char *x = a, *y = b;

		if (r->type == CONF_LIST && !same_list(r, a, b))
			differs(d, r, at, "");
		if (r->type == CONF_DRIVER && conf_value_equal(r, a, b))
			compare_members(d, conf_driver_list()[*(const int *)conf_member_const(r, a)]->rows,
			                x + r->off_count, y + r->off_count, at);
	}
}

static void compare_list(struct differ *d, const struct conf_row *r, const struct conf *old,
                         const struct conf *fresh)
{
	const struct conf_row *name = conf_row_find(r->item, "name");
	const char *a = conf_member_const(r, old), *b = conf_member_const(r, fresh);
	const int n = conf_count_get(r, old), m = conf_count_get(r, fresh);
	char at[AT_MAX];

	for (int i = 0; i < n && i < m; i++) {
		(void)snprintf(at, sizeof at, "%s[%s].", r->key, (const char *)conf_member_const(name, a));
		compare_members(d, r->item, a, b, at);
		compare_settings(d, r->item, a, b, at);
		a += conf_item_size(r);
		b += conf_item_size(r);
	}
	if (n != m)
		differs(d, r, "", n < m ? " (longer)" : " (shorter)");
}

int conf_diff(const struct conf *old, const struct conf *fresh, FILE *out)
{
	struct differ d = { .out = out };

	compare_members(&d, conf_rows, old, fresh, "");
	for (const struct conf_row *r = conf_rows; r->key; r++)
		if (r->type == CONF_LIST)
			compare_list(&d, r, old, fresh);
	return d.restarts;
}
