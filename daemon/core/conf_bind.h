/* conf_bind.h - the tree of a file meets the rows: values go into a struct conf, errors
 * elsewhere. */
#ifndef CONF_BIND_H
#define CONF_BIND_H

#include "conf.h"
#include "conf_doc.h"

/* Fill `c` (defaults already set) from the tree. */
void conf_bind(struct conf_doc *doc, struct conf *c, struct conf_diag *diag);

/* Expand items whose CONF_RANGE name stands for several: `count` items from `items[0]` on, at most
 * `room`.  Returns their number, or -1 and `why` (CONF_WHY_MAX). */
int conf_range_expand(void *items, size_t size, size_t name_off, int room, char *why);

/* Rules between settings, and what follows from the settings (streams of a model's devices, hop).
 * Needs the tree for the places of errors. */
void conf_check(const struct conf_doc *doc, struct conf *c, struct conf_diag *diag);
#endif
