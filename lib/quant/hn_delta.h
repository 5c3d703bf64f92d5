/* hn_delta.h - the patch that makes one payload from another: the other end of hd_delta.h.
 *
 * Nothing about the layout of an image is known here.  O(n), no allocation. */
#ifndef HN_DELTA_H
#define HN_DELTA_H

#include <stddef.h>
#include <stdint.h>
#include "hn_status.h"

/* Bytes that hn_delta_write would write; `base` and `next` (len,). */
size_t hn_delta_size(const uint8_t *base, const uint8_t *next, size_t len);

/* Write the patch to out (cap,).  Errors: HN_ENOMEM (more than cap; `out` holds a part). */
hn_status hn_delta_write(const uint8_t *base, const uint8_t *next, size_t len, uint8_t *out,
                         size_t cap, size_t *n);
#endif
