/* conf_hint.h - what to tell the person whose setting is wrong. */
#ifndef CONF_HINT_H
#define CONF_HINT_H

#include "conf.h"
#include "conf_doc.h"

/* "(whole number 1..9, default 1)", after "did you mean 'near'?" when `near` is not NULL; into out
 * (CONF_SAY_MAX bytes). */
void conf_hint_row(const struct conf_row *r, const char *near, char *out);

/* The keys that are possible in one place: those of the rows, and the driver's rows or NULL, that
 * begin with `prefix`. */
struct conf_keys { const struct conf_row *rows, *driver_rows; const char *prefix; };

/* Help for an unknown key into hint (CONF_SAY_MAX bytes).  Returns the row that was probably meant,
 * or NULL. */
const struct conf_row *conf_hint_unknown(const struct conf_keys *k, const char *key, char *hint);

/* The value of `r` in node `n` is wrong: `why` says how. */
void conf_complain(struct conf_diag *diag, const struct conf_node *n, const struct conf_row *r,
                   const char *why);
#endif
