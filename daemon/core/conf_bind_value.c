#include "conf_bind_value.h"

#include <string.h>

#include "conf_hint.h"
#include "conf_value.h"

struct joined { char text[HN_NET_TEXT_MAX]; };

/* The elements of a list with ", " between them. */
static bool join(const struct conf_doc *doc, struct conf_diag *diag, const struct conf_row *r,
                 const struct conf_node *n, struct joined *out)
{
	const size_t cap = sizeof out->text;
	size_t at = 0;

	out->text[0] = '\0';
	for (int c = n->first; c >= 0; c = doc->node[c].next) {
		const struct conf_node *e = &doc->node[c];
		int k;

		if (e->kind != CONF_SCALAR) {
			conf_complain(diag, e, r, "expected a text");
			return false;
		}
		k = snprintf(out->text + at, cap - at, "%s%s", at ? ", " : "", e->text);
		at += (size_t)k;
		if (at >= cap) {
			conf_complain(diag, n, r, "the list is too long");
			return false;
		}
	}
	return true;
}

void conf_bind_value(const struct conf_doc *doc, struct conf_diag *diag, const struct conf_row *r,
                     void *base, const struct conf_node *n)
{
	struct joined joined;
	char why[CONF_WHY_MAX];
	const char *text = n->text;
	const bool number = r->type != CONF_TEXT && r->type != CONF_ENUM && r->type != CONF_TIME &&
	                    r->type != CONF_SIZE;

	if (r->flags & CONF_SECRET)
		conf_diag_secret(diag, &n->at);
	if (n->kind == CONF_SEQ && r->flags & CONF_JOIN) {
		if (!join(doc, diag, r, n, &joined))
			return;
		text = joined.text;
	} else if (n->kind != CONF_SCALAR) {
		conf_complain(diag, n, r, n->kind == CONF_SEQ ? "expected one value, not a list"
		                                              : "expected one value, not settings");
		return;
	} else if (n->empty) {
		conf_complain(diag, n, r, "a value is missing");
		return;
	} else if (number && !n->plain) {
		conf_complain(diag, n, r, "leave the quotes away");
		return;
	}
	if (!conf_value_set(r, base, text, why))
		conf_complain(diag, n, r, why);
}

static void bind_text_of(struct conf_diag *diag, const struct conf_row *r, void *base,
                         const struct conf_node *n)
{
	const size_t size = conf_item_size(r);
	int *count = conf_count(r, base);
	char why[CONF_WHY_MAX], *list = conf_member(r, base);

	if (n->kind == CONF_BAD)
		return;
	if (n->kind != CONF_SCALAR || n->empty) {
		conf_complain(diag, n, r, "expected a text");
		return;
	}
	if (*count == r->max_items) {
		(void)snprintf(why, sizeof why, "at most %d are possible", r->max_items);
		conf_complain(diag, n, r, why);
		return;
	}
	if (!conf_text_check(n->text, size, CONF_REQUIRED, why)) {
		conf_complain(diag, n, r, why);
		return;
	}
	for (int i = 0; i < *count; i++)
		if (strcmp(list + (size_t)i * size, n->text) == 0) {
			conf_complain(diag, n, r, "it is in the list already");
			return;
		}
	memcpy(list + (size_t)(*count)++ * size, n->text, strlen(n->text) + 1);
}

void conf_bind_texts(const struct conf_doc *doc, struct conf_diag *diag, const struct conf_row *r,
                     void *base, const struct conf_node *n)
{
	if (n->kind == CONF_SEQ)
		for (int c = n->first; c >= 0; c = doc->node[c].next)
			bind_text_of(diag, r, base, &doc->node[c]);
	else if (!n->empty)
		bind_text_of(diag, r, base, n);
}
