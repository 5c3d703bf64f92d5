/* hn_csv.h - one line of comma-separated values (RFC 4180, but a record never spans lines).
 *
 * Blanks around a field that is not quoted do not belong to it. */
#ifndef HN_CSV_H
#define HN_CSV_H

#include <stddef.h>
#include <stdint.h>
#include "hn_status.h"

enum hn_csv_unit { HN_CSV_S, HN_CSV_MS, HN_CSV_US, HN_CSV_NS };

/* Split line (len,) in place; line[len] must be 0.  field[0..min(*n, max)) get 0-terminated texts;
 * *n is the number of fields, which may exceed max.  Errors: HN_EFORMAT (a quote that is not
 * closed, text after a closing quote, a 0 byte); the line is spoiled then. */
hn_status hn_csv_split(char *line, size_t len, char **field, size_t max, size_t *n);

/* Value of a field; NaN when it is empty or not a number. */
double hn_csv_number(const char *text);

/* A time written as a number of `unit` since 1970, to us: an integer exactly (ns rounded down), a
 * fraction to the nearest double.  Errors: HN_EFORMAT,
 * HN_ERANGE (before 1970 or after 9999). */
hn_status hn_csv_time(const char *text, enum hn_csv_unit unit, int64_t *us);

/* The same for a number that is already an integer. */
hn_status hn_csv_time_int(int64_t t, enum hn_csv_unit unit, int64_t *us);
#endif
