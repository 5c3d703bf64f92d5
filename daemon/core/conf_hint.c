#include "conf_hint.h"

#include <string.h>

#include "conf_value.h"

enum { KEY_MAX = 64 };

void conf_hint_row(const struct conf_row *r, const char *near, char *out)
{
	char expect[CONF_SAY_MAX - 64];

	conf_row_expect(r, expect, sizeof expect);
	if (near)
		(void)snprintf(out, CONF_SAY_MAX, "did you mean '%s'?   (%s)", near, expect);
	else
		(void)snprintf(out, CONF_SAY_MAX, "(%s)", expect);
}

void conf_complain(struct conf_diag *diag, const struct conf_node *n, const struct conf_row *r,
                   const char *why)
{
	char hint[CONF_SAY_MAX];
	struct conf_near near;

	conf_near_init(&near, n->kind == CONF_SCALAR ? n->text : "");
	if (r->type == CONF_ENUM)
		for (int i = 0; r->choices[i]; i++)
			conf_near_try(&near, r->choices[i]);
	for (int i = 0; r->type == CONF_DRIVER && conf_driver_list()[i]; i++)
		conf_near_try(&near, conf_driver_list()[i]->name);
	conf_hint_row(r, near.best, hint);
	conf_diag_add(diag, &n->at, hint, "%s: %s", r->key,
	              r->flags & CONF_SECRET ? "not valid" : why);
}

/* Offer the segment after `prefix` of each key as a candidate. */
static void try_rows(struct conf_near *near, const struct conf_row *rows, const char *prefix,
                     char (*store)[KEY_MAX])
{
	const size_t n = strlen(prefix);
	const char *had = near->best;

	for (const struct conf_row *r = rows; r && r->key; r++) {
		const size_t len = strlen(r->key) > n ? strcspn(r->key + n, ".") : 0;
		char segment[KEY_MAX];

		if (!len || strncmp(r->key, prefix, n) != 0 || len >= sizeof segment)
			continue;
		memcpy(segment, r->key + n, len);
		segment[len] = '\0';
		conf_near_try(near, segment);
		if (near->best != had) {         /* nearer than all before: keep the copy */
			memcpy(*store, segment, sizeof segment);
			near->best = had = *store;
		}
	}
}

/* A row of the whole file whose last word is `key`: "port" belongs under "status". */
static const struct conf_row *row_elsewhere(const char *key)
{
	for (const struct conf_row *r = conf_rows; r->key; r++) {
		const char *dot = strrchr(r->key, '.');

		if (dot && strcmp(dot + 1, key) == 0)
			return r;
	}
	return NULL;
}

const struct conf_row *conf_hint_unknown(const struct conf_keys *k, const char *key, char *hint)
{
	const struct conf_row *r = NULL, *other = row_elsewhere(key);
	char full[2 * KEY_MAX], store[KEY_MAX];
	struct conf_near near;

	hint[0] = '\0';
	conf_near_init(&near, key);
	try_rows(&near, k->rows, k->prefix, &store);
	try_rows(&near, k->driver_rows, k->prefix, &store);
	if (near.best) {
		(void)snprintf(full, sizeof full, "%s%s", k->prefix, near.best);
		r = conf_row_find(k->rows, full);
		if (!r && k->driver_rows)
			r = conf_row_find(k->driver_rows, full);
	}
	if (r)
		conf_hint_row(r, near.best, hint);
	else if (near.best)
		(void)snprintf(hint, CONF_SAY_MAX, "did you mean '%s'?", near.best);
	else if (strchr(key, '.') && conf_row_find(k->rows, key))
		(void)snprintf(hint, CONF_SAY_MAX, "write it nested: '%.*s:' and '%s:' under it",
		               (int)strcspn(key, "."), key, key + strcspn(key, ".") + 1);
	else if (other)
		(void)snprintf(hint, CONF_SAY_MAX, "did you mean '%s'?", other->key);
	return r;
}
