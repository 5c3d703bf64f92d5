/* hn_number.h - text to a number, the same for every text format that comes in.
 *
 * Decimal only: strtod alone would also take "0x1p3" and "nan(7)".  The process stays in the "C"
 * locale, so the decimal point is a point. */
#ifndef HN_NUMBER_H
#define HN_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* [+-]digits[.digits][e[+-]digits], or nan, inf, infinity in any case with an optional sign.  All
 * of text (len,) must be the number and text[len] must be readable and 0.  Too large becomes
 * infinite.  False: not a number, *v is untouched. */
bool hn_number(const char *text, size_t len, double *v);

/* [+-]digits within int64_t; text[len] is 0. */
bool hn_number_int(const char *text, size_t len, int64_t *v);
#endif
