/* conf_value.h - one setting: from text to its member and back, and what it expects in words. */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "conf.h"

enum { CONF_WHY_MAX = 160 };

/* Store `text` into the member of `r` in the struct at `base`.  False: nothing is stored and `why`
 * (CONF_WHY_MAX bytes) says why.  Not for CONF_LIST, CONF_TEXTS, CONF_DRIVER. */
bool conf_value_set(const struct conf_row *r, void *base, const char *text, char *why);

/* Check one name (CONF_NAME) or text of fewer than `size` bytes. */
bool conf_text_check(const char *text, size_t size, unsigned flags, char *why);

/* Store the defaults of `rows` (ended by key == NULL) into the zeroed struct at `base`. */
void conf_value_defaults(const struct conf_row *rows, void *base);

/* "whole number 1..65535, default 0" into out. */
void conf_row_expect(const struct conf_row *r, char *out, size_t cap);

/* "10min": a time in its largest whole unit; "64MB": a size. */
void conf_time_text(double s, char *out, size_t cap);
void conf_size_text(double bytes, char *out, size_t cap);

/* Are the two members equal?  Not for CONF_LIST. */
bool conf_value_equal(const struct conf_row *r, const void *a, const void *b);

/* Row of `rows` by its key, or NULL. */
const struct conf_row *conf_row_find(const struct conf_row *rows, const char *key);

/* Member of `r` in the struct at `base`. */
static inline void *conf_member(const struct conf_row *r, void *base)
{
	return (unsigned char *)base + r->off;
}

static inline const void *conf_member_const(const struct conf_row *r, const void *base)
{
	return (const unsigned char *)base + r->off;
}

static inline int *conf_count(const struct conf_row *r, void *base)
{
	return (int *)(void *)((unsigned char *)base + r->off_count);
}

static inline int conf_count_get(const struct conf_row *r, const void *base)
{
	return *(const int *)(const void *)((const unsigned char *)base + r->off_count);
}

/* Bytes of one item of a CONF_LIST or CONF_TEXTS. */
static inline size_t conf_item_size(const struct conf_row *r)
{
	return r->size / (size_t)r->max_items;
}
#endif
