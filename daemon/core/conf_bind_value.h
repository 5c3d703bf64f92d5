/* conf_bind_value.h - a node becomes the value of a scalar row, or a list of texts. */
#ifndef CONF_BIND_VALUE_H
#define CONF_BIND_VALUE_H

#include "conf.h"
#include "conf_doc.h"

/* Store node `n` into the member of `r` in the struct at `base`; what is wrong goes to `diag`. */
void conf_bind_value(const struct conf_doc *doc, struct conf_diag *diag, const struct conf_row *r,
                     void *base, const struct conf_node *n);
void conf_bind_texts(const struct conf_doc *doc, struct conf_diag *diag, const struct conf_row *r,
                     void *base, const struct conf_node *n);
#endif
