#include "conf_doc.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
	struct conf_doc  *doc;
	struct conf_diag *diag;
	int  open[CONF_DEPTH_MAX], depth;        /* mappings and sequences around us           */
	const char *key;                         /* of the value that comes next               */
	struct conf_place key_at;
	int  n_documents;
	bool stop, no_memory;
};

static struct conf_place place_of(const yaml_event_t *e)
{
	const yaml_mark_t *a = &e->start_mark, *b = &e->end_mark;
	const bool one_line = a->line == b->line && b->column > a->column;

	return (struct conf_place){
		.line = (uint32_t)a->line, .col = (uint32_t)a->column, .last = (uint32_t)b->line,
		.len = one_line ? (uint32_t)(b->column - a->column) : 1
	};
}

/* An error after which the rest of the file cannot be understood. */
static void give_up(struct reader *r, const struct conf_place *at, const char *what)
{
	conf_diag_add(r->diag, at, "", "%s", what);
	r->stop = true;
}

/* Copy into the text arena.  Twice the file's length always holds it: see conf_doc_read. */
static const char *keep(struct conf_doc *doc, const unsigned char *s, size_t n)
{
	char *at = doc->text + doc->text_len;

	if (n >= doc->text_cap - doc->text_len)
		return NULL;
	memcpy(at, s, n);
	at[n] = '\0';
	doc->text_len += n + 1;
	return at;
}

int conf_doc_child(const struct conf_doc *doc, int node, const char *key)
{
	int c = doc->node[node].kind == CONF_MAP ? doc->node[node].first : -1;

	while (c >= 0 && strcmp(doc->node[c].key, key) != 0)
		c = doc->node[c].next;
	return c;
}

/* Hang a new node into the open mapping or sequence; -1 when it cannot be. */
static int add_node(struct reader *r, const struct conf_place *at)
{
	struct conf_doc *doc = r->doc;
	const int parent = r->depth ? r->open[r->depth - 1] : -1, me = doc->n;
	struct conf_node *n, *up;

	if (me == CONF_NODES_MAX) {
		give_up(r, at, "the file is too large: more than 20000 settings");
		return -1;
	}
	n = &doc->node[me];
	*n = (struct conf_node){ .first = -1, .last = -1, .next = -1, .at = *at };
	n->key = r->key;
	n->key_at = r->key_at;
	r->key = NULL;
	doc->n++;
	if (parent < 0)
		return me;
	up = &doc->node[parent];
	if (up->last >= 0)
		doc->node[up->last].next = me;
	else
		up->first = me;
	up->last = me;
	up->n++;
	return me;
}

static bool key_is_next(const struct reader *r)
{
	return r->depth && !r->key && r->doc->node[r->open[r->depth - 1]].kind == CONF_MAP;
}

static void on_key(struct reader *r, const yaml_event_t *e)
{
	const int map = r->open[r->depth - 1];
	int twin;

	r->key_at = place_of(e);
	r->key = keep(r->doc, e->data.scalar.value, e->data.scalar.length);
	if (!r->key || r->doc->node[map].n == CONF_KEYS_MAX) {
		give_up(r, &r->key_at, "too many keys in one place");
		return;
	}
	if (strlen(r->key) != e->data.scalar.length) {
		give_up(r, &r->key_at, "a key cannot hold a zero byte");
		return;
	}
	twin = conf_doc_child(r->doc, map, r->key);
	if (twin >= 0)
		conf_diag_add(r->diag, &r->key_at, "", "key '%.60s' is given twice, first on line %lu",
		              r->key, (unsigned long)r->doc->node[twin].key_at.line + 1);
}

static void refuse(struct reader *r, const struct conf_place *at, const void *anchor,
                   const void *tag)
{
	if (anchor)
		conf_diag_add(r->diag, at, "write the settings out", "anchors (&name) are not supported");
	if (tag)
		conf_diag_add(r->diag, at, "leave it away", "tags (!name) are not supported");
}

static bool means_nothing(const char *s)
{
	return !s[0] || strcmp(s, "~") == 0 || strcmp(s, "null") == 0;
}

static void on_scalar(struct reader *r, const yaml_event_t *e)
{
	const struct conf_place at = place_of(e);
	struct conf_node *n;
	int me;

	refuse(r, &at, e->data.scalar.anchor, e->data.scalar.tag);
	if (key_is_next(r)) {
		on_key(r, e);
		return;
	}
	me = add_node(r, &at);
	if (me < 0)
		return;
	n = &r->doc->node[me];
	n->kind = CONF_SCALAR;
	n->text = keep(r->doc, e->data.scalar.value, e->data.scalar.length);
	n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (!n->text || strlen(n->text) != e->data.scalar.length) {
		conf_diag_add(r->diag, &at, "", "a value cannot hold a zero byte");
		n->kind = CONF_BAD;
		return;
	}
	n->empty = n->plain && means_nothing(n->text);
}

static void on_alias(struct reader *r, const yaml_event_t *e)
{
	const struct conf_place at = place_of(e);
	int me;

	conf_diag_add(r->diag, &at, "write the settings out", "aliases (*name) are not supported");
	if (key_is_next(r)) {
		r->stop = true;
		return;
	}
	me = add_node(r, &at);
	if (me >= 0)
		r->doc->node[me].kind = CONF_BAD;
}

static void on_open(struct reader *r, const yaml_event_t *e, enum conf_kind kind)
{
	struct conf_place at = place_of(e);
	int me;

	at.len = 1;
	if (kind == CONF_MAP)
		refuse(r, &at, e->data.mapping_start.anchor, e->data.mapping_start.tag);
	else
		refuse(r, &at, e->data.sequence_start.anchor, e->data.sequence_start.tag);
	if (key_is_next(r)) {
		give_up(r, &at, "a key must be a plain word");
		return;
	}
	if (r->depth == CONF_DEPTH_MAX) {
		give_up(r, &at, "nested deeper than 16 levels");
		return;
	}
	me = add_node(r, &at);
	if (me < 0)
		return;
	r->doc->node[me].kind = kind;
	r->open[r->depth++] = me;
}

static void on_event(struct reader *r, const yaml_event_t *e)
{
	const struct conf_place at = place_of(e);

	switch (e->type) {
	case YAML_SCALAR_EVENT:
		on_scalar(r, e);
		break;
	case YAML_ALIAS_EVENT:
		on_alias(r, e);
		break;
	case YAML_MAPPING_START_EVENT:
		on_open(r, e, CONF_MAP);
		break;
	case YAML_SEQUENCE_START_EVENT:
		on_open(r, e, CONF_SEQ);
		break;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		r->depth--;
		break;
	case YAML_DOCUMENT_START_EVENT:
		if (r->n_documents++)
			give_up(r, &at, "a second document (---) is not supported");
		break;
	default:
		break;
	}
}

/* Line and column of a byte; the decoder's errors know nothing else. */
static struct conf_place place_of_byte(const struct conf_diag *d, size_t offset)
{
	struct conf_place at = { .len = 1 };

	for (size_t i = 0; i < offset && i < d->len; i++) {
		if (d->text[i] == '\n') {
			at.line++;
			at.col = 0;
		} else if (((unsigned char)d->text[i] & 0xc0) != 0x80) {
			at.col++;
		}
	}
	at.last = at.line;
	return at;
}

static void on_syntax_error(struct reader *r, const yaml_parser_t *p)
{
	struct conf_place at = { .line = (uint32_t)p->problem_mark.line, .len = 1,
	                         .col = (uint32_t)p->problem_mark.column,
	                         .last = (uint32_t)p->problem_mark.line };
	const char *hint = "";

	r->stop = true;
	if (p->error == YAML_MEMORY_ERROR || !p->problem) {      /* some paths do not set `error` */
		r->no_memory = true;
		return;
	}
	if (p->error == YAML_READER_ERROR)
		at = place_of_byte(r->diag, p->problem_offset);
	if (strstr(p->problem, "cannot start any token"))
		hint = "is it a tab? Indent with spaces; put quotes around a value that begins so";
	if (p->context)
		conf_diag_add(r->diag, &at, hint, "%s %s (line %lu)", p->problem, p->context,
		              (unsigned long)p->context_mark.line + 1);
	else
		conf_diag_add(r->diag, &at, hint, "%s", p->problem);
}

static void read_events(struct reader *r)
{
	yaml_parser_t p;
	yaml_event_t e;
	bool end = false;

	if (!yaml_parser_initialize(&p)) {
		r->no_memory = true;
		return;
	}
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)r->diag->text, r->diag->len);
	while (!end && !r->stop) {
		if (!yaml_parser_parse(&p, &e)) {
			on_syntax_error(r, &p);
			break;
		}
		on_event(r, &e);
		end = e.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&p);
	r->doc->complete = end;
}

hn_status conf_doc_read(struct conf_doc *doc, struct conf_diag *diag)
{
	struct reader r = { .doc = doc, .diag = diag };

	/* An escape of two bytes may become three, an empty scalar takes its final 0. */
	*doc = (struct conf_doc){ .text_cap = 2 * diag->len + 2 * CONF_NODES_MAX };
	doc->text = malloc(doc->text_cap);
	doc->node = calloc(CONF_NODES_MAX, sizeof doc->node[0]);
	if (doc->text && doc->node)
		read_events(&r);
	else
		r.no_memory = true;
	if (!r.no_memory)
		return HN_OK;
	conf_doc_done(doc);
	return HN_ENOMEM;
}

void conf_doc_done(struct conf_doc *doc)
{
	free(doc->text);
	free(doc->node);
	*doc = (struct conf_doc){ 0 };
}
