/* Walks the tree with an explicit stack: a frame is one mapping or one list that is being read.  A
 * nested mapping ("train:") is no struct of its own: its keys are the dotted keys of its item. */
#include "conf_bind.h"

#include <assert.h>
#include <string.h>

#include "conf_bind_value.h"
#include "conf_hint.h"
#include "conf_value.h"

enum { KEY_MAX = 64, PATH_MAX_BYTES = 96, STACK_MAX = CONF_DEPTH_MAX + 1 };

/* What the keys of an item may be: its rows, and its driver's. */
struct scope {
	const struct conf_row *rows, *driver_rows;       /* driver_rows: NULL = none           */
	unsigned char *base, *settings;
	bool seen[CONF_ROWS_MAX], driver_seen[CONF_ROWS_MAX];    /* by row                     */
	bool lenient;                                    /* driver unknown: judge no key       */
};

struct frame {
	int node, child;                 /* what is read, its next child or -1                 */
	struct scope *scope;             /* of the item around us                              */
	const struct conf_row *list;     /* node is a list: its row                            */
	bool is_item;                    /* node is an item (or the root)                      */
	char prefix[KEY_MAX + 1];           /* "" or "train."                                     */
	char path[PATH_MAX_BYTES];       /* "streams[0].channels", for messages                */
};

struct binder {
	struct conf_doc  *doc;
	struct conf_diag *diag;
	struct frame stack[STACK_MAX];
	struct scope scope[STACK_MAX];   /* scope[i] belongs to the item of stack[i]           */
	int depth;
};

static struct conf_node *node_at(const struct binder *b, int i)
{
	return &b->doc->node[i];
}

static struct frame *top(struct binder *b)
{
	return &b->stack[b->depth - 1];
}

static struct frame *push(struct binder *b, int node)
{
	struct frame *f;

	assert(b->depth < STACK_MAX);    /* the tree is not deeper */
	f = &b->stack[b->depth++];
	*f = (struct frame){ .node = node, .child = node_at(b, node)->first };
	return f;
}

static const char *where(const struct frame *f, char *out, size_t cap)
{
	if (f->path[0])
		(void)snprintf(out, cap, " in '%s'", f->path);
	else
		(void)snprintf(out, cap, "%s", "");
	return out;
}

static void bind_list(struct binder *b, const struct conf_row *r, int node)
{
	const struct frame *f = top(b);
	const struct conf_node *n = node_at(b, node);
	struct frame *fresh;

	if (n->empty)                    /* "devices:" with nothing under it: as if it were absent */
		return;
	if (n->kind != CONF_SEQ) {
		conf_complain(b->diag, n, r, "expected a list: start each item with '- '");
		return;
	}
	fresh = push(b, node);
	fresh->list = r;
	fresh->scope = f->scope;
	(void)snprintf(fresh->path, sizeof fresh->path, "%.60s%s%s", f->path, f->path[0] ? "." : "",
	               r->key);
}

static void bind_row(struct binder *b, const struct conf_row *r, void *base, int node)
{
	const struct conf_node *n = node_at(b, node);

	if (n->kind == CONF_BAD || r->type == CONF_DRIVER)       /* driver: see open_item */
		return;
	if (r->type == CONF_LIST)
		bind_list(b, r, node);
	else if (r->type == CONF_TEXTS)
		conf_bind_texts(b->doc, b->diag, r, base, n);
	else
		conf_bind_value(b->doc, b->diag, r, base, n);
}

static void see(struct scope *s, const struct conf_row *r)
{
	for (size_t i = 0; s->rows[i].key; i++)
		if (r == &s->rows[i])
			s->seen[i] = true;
	for (size_t i = 0; s->driver_rows && s->driver_rows[i].key; i++)
		if (r == &s->driver_rows[i])
			s->driver_seen[i] = true;
}

static void unknown_key(struct binder *b, const struct frame *f, const struct conf_node *n)
{
	char hint[CONF_SAY_MAX], in[PATH_MAX_BYTES + 8];
	const struct conf_keys keys = { f->scope->rows, f->scope->driver_rows, f->prefix };
	const struct conf_row *meant;

	if (f->scope->lenient)
		return;
	meant = conf_hint_unknown(&keys, n->key, hint);
	if (meant && meant->flags & CONF_SECRET)
		conf_diag_secret(b->diag, &n->at);
	if (meant)                       /* one error is enough: it is not missing as well */
		see(f->scope, meant);
	conf_diag_add(b->diag, &n->key_at, hint, "unknown key '%.60s'%s", n->key,
	              where(f, in, sizeof in));
}

/* --- members ---------------------------------------------------------------------------------- */

static bool is_group(const struct conf_row *rows, const char *full)
{
	const size_t n = strlen(full);

	for (const struct conf_row *r = rows; r && r->key; r++)
		if (strncmp(r->key, full, n) == 0 && r->key[n] == '.')
			return true;
	return false;
}

static void bind_group(struct binder *b, int node, const char *full)
{
	const struct frame *f = top(b);
	const struct conf_node *n = node_at(b, node);
	struct frame *fresh;

	if (n->empty || n->kind == CONF_BAD)
		return;
	if (n->kind != CONF_MAP) {
		conf_diag_add(b->diag, &n->at, "", "'%s' takes settings of its own, one a line", full);
		return;
	}
	fresh = push(b, node);
	fresh->scope = f->scope;
	(void)snprintf(fresh->prefix, sizeof fresh->prefix, "%s.", full);
	(void)snprintf(fresh->path, sizeof fresh->path, "%.60s%s%.30s", f->path,
	               f->path[0] ? "." : "", n->key);
}

static void bind_member(struct binder *b, int node)
{
	struct frame *f = top(b);
	struct scope *s = f->scope;
	const struct conf_node *n = node_at(b, node);
	const struct conf_row *r = NULL, *d = NULL;
	char full[KEY_MAX];
	const int len = snprintf(full, sizeof full, "%s%s", f->prefix, n->key);

	if (len < (int)sizeof full && !strchr(n->key, '.')) {
		r = conf_row_find(s->rows, full);
		d = !r && s->driver_rows ? conf_row_find(s->driver_rows, full) : NULL;
	}
	if (r) {
		see(s, r);
		bind_row(b, r, s->base, node);
	} else if (d) {
		see(s, d);
		bind_row(b, d, s->settings, node);
	} else if (n->key[0] && (is_group(s->rows, full) || is_group(s->driver_rows, full))) {
		bind_group(b, node, full);
	} else {
		unknown_key(b, f, n);
	}
}

/* --- items ------------------------------------------------------------------------------------ */

/* An item's driver is known before its other keys are read, wherever `type` stands. */
static void find_driver(struct binder *b, struct frame *f)
{
	const struct conf_driver *const *list = conf_driver_list();
	struct scope *s = f->scope;
	const struct conf_row *r = s->rows;
	const struct conf_node *n;
	char why[CONF_WHY_MAX];
	int c;

	while (r->key && r->type != CONF_DRIVER)
		r++;
	if (!r->key)
		return;
	s->lenient = true;
	*(int *)conf_member(r, s->base) = -1;
	c = conf_doc_child(b->doc, f->node, r->key);
	if (c < 0)
		return;                  /* reported as missing */
	n = node_at(b, c);
	for (int i = 0; n->kind == CONF_SCALAR && list[i]; i++)
		if (strcmp(list[i]->name, n->text) == 0) {
			*(int *)conf_member(r, s->base) = i;
			s->driver_rows = list[i]->rows;
			s->settings = s->base + r->off_count;
			s->lenient = false;
			conf_value_defaults(s->driver_rows, s->settings);
			return;
		}
	(void)snprintf(why, sizeof why, "unknown type '%.40s'",
	               n->kind == CONF_SCALAR ? n->text : "...");
	if (n->kind != CONF_BAD)
		conf_complain(b->diag, n, r, n->empty ? "a value is missing" : why);
}

/* A plain scalar in place of an item is its name. */
static void name_item(struct binder *b, struct frame *f, const struct conf_node *n)
{
	const struct conf_row *r = conf_row_find(f->scope->rows, "name");

	see(f->scope, r);
	conf_bind_value(b->doc, b->diag, r, f->scope->base, n);
}

static void open_item(struct binder *b, int node)
{
	struct frame *list = top(b), *f;
	const struct conf_row *r = list->list;
	const int count = *conf_count(r, list->scope->base);
	const size_t size = conf_item_size(r);
	struct conf_node *n = node_at(b, node);
	char why[CONF_WHY_MAX];

	if (n->kind == CONF_BAD)
		return;
	if (n->kind == CONF_SEQ || n->empty) {
		conf_complain(b->diag, n, r, "expected an item: '- name: ...'");
		return;
	}
	if (count == r->max_items) {
		(void)snprintf(why, sizeof why, "at most %d are possible", r->max_items);
		conf_complain(b->diag, n, r, why);
		list->child = -1;
		return;
	}
	f = push(b, node);
	f->is_item = true;
	f->scope = &b->scope[b->depth - 1];
	*f->scope = (struct scope){ .rows = r->item };
	f->scope->base = (unsigned char *)conf_member(r, list->scope->base) + (size_t)count * size;
	(void)snprintf(f->path, sizeof f->path, "%.80s[%d]", list->path, count);
	conf_value_defaults(r->item, f->scope->base);
	find_driver(b, f);
	n->item = f->scope->base;
	if (n->kind == CONF_SCALAR)
		name_item(b, f, n);
}

static void missing(struct binder *b, const struct frame *f, const struct conf_row *rows,
                    const bool *seen)
{
	char hint[CONF_SAY_MAX], in[PATH_MAX_BYTES + 8];

	for (const struct conf_row *r = rows; r && r->key; r++) {
		if (!(r->flags & CONF_REQUIRED) || seen[r - rows])
			continue;
		conf_hint_row(r, NULL, hint);
		conf_diag_add(b->diag, &node_at(b, f->node)->at, hint, "'%s' is missing%s", r->key,
		              where(f, in, sizeof in));
	}
}

/* Line of the item that holds the struct at `p`. */
static unsigned long line_of(const struct binder *b, const unsigned char *p, size_t size)
{
	for (int i = 0; i < b->doc->n; i++) {
		const struct conf_node *n = node_at(b, i);
		const unsigned char *at = n->item;

		if (at && p >= at && p < at + (size_t)n->n_items * size)
			return (unsigned long)n->at.line + 1;
	}
	return 0;
}

/* Names of items [from, to) must not be among those before them. */
static void twins(struct binder *b, const struct conf_row *list, unsigned char *items, int from,
                  int to)
{
	const size_t size = conf_item_size(list), off = conf_row_find(list->item, "name")->off;
	const int node = b->stack[b->depth - 1].node;
	const int name = conf_doc_child(b->doc, node, "name");
	const struct conf_node *n = node_at(b, name >= 0 ? name : node);

	for (int i = from; i < to; i++) {
		const char *mine = (const char *)items + (size_t)i * size + off;

		for (int k = 0; k < i && mine[0]; k++) {
			const unsigned char *other = items + (size_t)k * size;

			if (strcmp(mine, (const char *)other + off) != 0)
				continue;
			conf_diag_add(b->diag, &n->at, "", "duplicate name '%s', first on line %lu",
			              mine, line_of(b, other, size));
			return;
		}
	}
}

/* The item is read: several by its range, no name twice, nothing missing. */
static void close_item(struct binder *b)
{
	const struct frame *f = top(b), *list = f - 1;
	const struct conf_row *r = list->list, *name = conf_row_find(r->item, "name");
	struct conf_node *n = node_at(b, f->node);
	int *count = conf_count(r, list->scope->base), copies = 1;
	char why[CONF_WHY_MAX];

	if (b->doc->complete) {
		missing(b, f, f->scope->rows, f->scope->seen);
		missing(b, f, f->scope->driver_rows, f->scope->driver_seen);
	}
	if (name->flags & CONF_RANGE)
		copies = conf_range_expand(f->scope->base, conf_item_size(r), name->off,
		                           r->max_items - *count, why);
	if (copies < 0) {
		const int at = conf_doc_child(b->doc, f->node, "name");

		conf_complain(b->diag, at >= 0 ? node_at(b, at) : n, name, why);
		copies = 1;
	}
	n->n_items = copies;
	twins(b, r, conf_member(r, list->scope->base), *count, *count + copies);
	*count += copies;
}

static void step(struct binder *b)
{
	struct frame *f = top(b);
	const int c = f->child;

	if (c >= 0) {
		f->child = node_at(b, c)->next;
		if (f->list)
			open_item(b, c);
		else
			bind_member(b, c);
		return;
	}
	if (f->is_item && b->depth > 1)
		close_item(b);
	b->depth--;
}

void conf_bind(struct conf_doc *doc, struct conf *c, struct conf_diag *diag)
{
	struct binder b = { .doc = doc, .diag = diag };
	struct frame *f;

	if (!doc->n || doc->node[0].empty || doc->node[0].kind == CONF_BAD)
		return;
	if (doc->node[0].kind != CONF_MAP) {
		conf_diag_add(diag, &doc->node[0].at, "start with a section such as 'store:'",
		              "expected settings, one 'key: value' a line");
		return;
	}
	b.scope[0] = (struct scope){ .rows = conf_rows, .base = (unsigned char *)c };
	f = push(&b, 0);
	f->is_item = true;
	f->scope = &b.scope[0];
	while (b.depth)
		step(&b);
}
