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

/* What dense and conv1d share.  The constants of `row` weights an output channel, as above. */
uint32_t hd_product_check(const struct hd_layer *l, uint32_t row, uint32_t room);

/* The inputs of one output frame: `runs` stretches of n numbers, `step` apart from x.  Their
 * weights lie one behind the other, from `first` in each `row`. */
struct hd_taps {
	const int8_t *x;
	uint32_t runs, n, step, first, row;
};

/* One output frame y (out_ch,).  Returns the end of the constants. */
const uint8_t *hd_product_run(const struct hd_layer *l, const struct hd_taps *t, int8_t *y);

extern const struct hd_op_row hd_dense, hd_lut, hd_conv1d, hd_max_pool, hd_avg_pool;

/* Row of an op number, or NULL.  For loops over all: hd_ops[0 .. hd_n_ops). */
const struct hd_op_row *hd_op_find(uint8_t op);

extern const struct hd_op_row *const hd_ops[];
extern const uint8_t hd_n_ops;
#endif
