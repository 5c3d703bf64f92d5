/* conf_diag.h - the errors of one configuration file: collected, sorted by place, printed with the
 * source line and a caret. */
#ifndef CONF_DIAG_H
#define CONF_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* More errors are counted only. */
enum { CONF_ERRORS_MAX = 50, CONF_SECRETS_MAX = 64, CONF_SAY_MAX = 256 };

/* Where something stands: line and column from 0, in characters; len characters of that line.
 * `last` is the line where it ends. */
struct conf_place { uint32_t line, col, len, last; };

struct conf_error {
	struct conf_place at;
	int  order;                              /* of arrival, for a stable sort              */
	char what[CONF_SAY_MAX], hint[CONF_SAY_MAX];
};

struct conf_diag {
	const char *file;
	const char *text;                        /* (len,) the file's bytes                    */
	size_t len;
	int n_errors;                            /* all, also those not kept                   */
	struct conf_error error[CONF_ERRORS_MAX];
	int n_secrets;
	struct conf_place secret[CONF_SECRETS_MAX];      /* masked wherever a line is shown    */
};

/* Add an error; `hint` (may be "") goes behind the caret. */
void conf_diag_add(struct conf_diag *d, const struct conf_place *at, const char *hint,
                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Never show what stands at `at`. */
void conf_diag_secret(struct conf_diag *d, const struct conf_place *at);

void conf_diag_print(struct conf_diag *d, FILE *out);

/* The candidate nearest to `word`: one of its letters, or up to a third, differ (insert, delete,
 * replace, swap of neighbours).  best == NULL: none is near. */
struct conf_near { const char *word, *best; size_t distance; };
void conf_near_init(struct conf_near *n, const char *word);
void conf_near_try(struct conf_near *n, const char *candidate);
#endif
