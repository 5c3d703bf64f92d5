/* hn_place.h - where in an image and in the arena everything lies. */
#ifndef HN_PLACE_H
#define HN_PLACE_H

#include <stdint.h>
#include "hn_status.h"

/* Complete the header and the layer table of an image that has: in the header in_ch, n_layers,
 * rq_mode; in each row op, keep, shape, p and q.  Fills in where outputs and constants lie, the
 * size of the arena, `needs` and the architecture hash.  `image` is 4-byte aligned.
 *
 * An output lies at the other end of the arena than the input of its layer, a lut and a softmax
 * work in place, a kept output moves its end inwards until an add puts its own there: the arena is
 * as small as such a scheme has it.
 * Returns the bytes up to the last constant; 0 when a shape cannot be, or an add finds nothing
 * kept, or too much is. */
uint32_t hn_image_place(uint8_t *image);
#endif
