/* conf_doc.h - a YAML file as a bounded tree of nodes with their places.
 *
 * What we do not take (anchors, aliases, tags, second documents, duplicate keys) is an error with
 * its place; everything else is left to the rows. */
#ifndef CONF_DOC_H
#define CONF_DOC_H

#include "conf_diag.h"
#include "hn_status.h"

enum {
	CONF_FILE_MAX = 1 << 20, CONF_DEPTH_MAX = 16, CONF_NODES_MAX = 20000,
	CONF_KEYS_MAX = 256      /* of one mapping: looking for duplicates stays cheap         */
};

enum conf_kind { CONF_SCALAR, CONF_MAP, CONF_SEQ, CONF_BAD /* already complained about */ };

struct conf_node {
	enum conf_kind kind;
	bool  plain;                     /* scalar without quotes                              */
	bool  empty;                     /* plain and nothing, ~ or null                       */
	int   first, last, next, n;      /* children, -1 = none; next sibling                  */
	const char *key;                 /* in a mapping, else NULL                            */
	const char *text;                /* scalar                                             */
	struct conf_place key_at, at;
	const void *item;                /* set when it was read as an item of a list ...      */
	int   n_items;                   /* ... or as so many                                  */
};

struct conf_doc {
	struct conf_node *node;          /* (n,) of CONF_NODES_MAX; node[0] is the root        */
	int   n;
	char *text;                      /* (text_cap,) keys and scalars                       */
	size_t text_len, text_cap;
	bool  complete;                  /* false: a syntax error ended it early               */
};

/* Read `diag->text`.  Errors in the file go to `diag`; HN_ENOMEM is the only failure. */
hn_status conf_doc_read(struct conf_doc *doc, struct conf_diag *diag);
void conf_doc_done(struct conf_doc *doc);

/* Child of mapping `node` by key, or -1. */
int conf_doc_child(const struct conf_doc *doc, int node, const char *key);
#endif
