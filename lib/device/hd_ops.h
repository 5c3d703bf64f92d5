/* hd_ops.h - the kinds of layer.  A layer is one file with its row and one line in hd_ops.c. */
#ifndef HD_OPS_H
#define HD_OPS_H

#include "hd_image.h"

struct hd_op_row {
	uint8_t op;              /* enum hd_op                                                 */
	bool in_place;           /* the output may overwrite the input                         */
	const char *name;
	/* Check the shape and `room` bytes of constants at l->constants (4-byte aligned).  Returns
	 * the bytes that the constants take, a multiple of 4; 0 when something is out of range. */
	uint32_t (*check)(const struct hd_layer *l, uint32_t room);
	/* x (in_len, in_ch) to y (out_len, out_ch).  Returns the end of its constants. */
	const uint8_t *(*run)(const struct hd_layer *l, const int8_t *x, int8_t *y);
};

/* May hd_rq have these? */
bool hd_scale_ok(uint32_t mult, int shift);

extern const struct hd_op_row hd_dense, hd_lut;

/* Row of an op number, or NULL.  For loops over all: hd_ops[0 .. hd_n_ops). */
const struct hd_op_row *hd_op_find(uint8_t op);

extern const struct hd_op_row *const hd_ops[];
extern const uint8_t hd_n_ops;
#endif
