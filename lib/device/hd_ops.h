/* hd_ops.h - the kinds of layer.  A layer is one file with its row and one line in hd_ops.c. */
#ifndef HD_OPS_H
#define HD_OPS_H

#include "hd_image.h"

struct hd_op_row {
	uint8_t op;              /* enum hd_op                                                 */
	bool in_place;           /* the output may overwrite the input                         */
	uint8_t work;            /* bytes of l->work for each output channel, a multiple of 4  */
	const char *name;
	/* Check the shape and `room` bytes of constants at l->constants (4-byte aligned).  Returns
	 * the bytes that the constants take, a multiple of 4; 0 when something is out of range. */
	uint32_t (*check)(const struct hd_layer *l, uint32_t room);
	/* x (in_len, in_ch) to y (out_len, out_ch).  Returns the end of its constants. */
	const uint8_t *(*run)(const struct hd_layer *l, const int8_t *x, int8_t *y);
};

/* 0 in a firmware whose HD_OP_ROWS (hd_ops.c) have neither add nor gru: nothing is kept for later
 * layers, and none has work of its own. */
#ifndef HD_KEEPS
#define HD_KEEPS 1
#endif

/* May hd_rq have these? */
bool hd_scale_ok(uint32_t mult, int shift);

/* The layers of a net in their order, and where in the arena their outputs lie. */
struct hd_walk {
	struct hd_layer l;       /* the present one; `constants` is the caller's to advance        */
	const struct hd_op_row *op;
	bool last;               /* its output is the caller's: `at` means nothing                 */
	uint32_t at, kept_at, work_at;       /* output, l.kept and l.work in the arena             */
	bool tight;              /* what came so far does not fit into the arena                   */
	/* private */
	const uint8_t *row;
	uint32_t arena, low, high;           /* bytes at the two ends that hold kept outputs       */
	uint32_t held;           /* of the values at `at`; 0 when they are kept, or the caller's   */
	uint16_t kept[HD_KEPT_MAX];          /* size << 1 | lies at the high end                   */
	uint8_t left, n_kept;
	bool up;                 /* the values at `at` lie at the high end                         */
};

/* n_layers >= 1 */
void hd_walk_begin(struct hd_walk *w, const struct hd_net *n);

/* The next layer; there must be one.  False when its row cannot be: unknown kind, reserved bytes, a
 * kept output that is not there. */
bool hd_walk_next(struct hd_walk *w);

/* What dense, conv1d and gru share.  The constants of `row` weights for each of l->out_ch. */
uint32_t hd_product_check(const struct hd_layer *l, uint32_t row, uint32_t room);

/* The inputs of one output frame: `runs` stretches of n numbers, `step` apart from x; `each` more
 * for each output channel.  Their weights lie one behind the other, from `first` in each `row`. */
struct hd_taps {
	const int8_t *x;
	uint32_t runs, n, step, each, first, row;
};

/* One output frame y (out_ch,).  Returns the end of the constants. */
const uint8_t *hd_product_run(const struct hd_layer *l, const struct hd_taps *t, int8_t *y);

extern const struct hd_op_row hd_dense, hd_lut, hd_conv1d, hd_dwconv1d, hd_max_pool, hd_avg_pool,
	hd_add, hd_gru, hd_softmax;

/* A firmware that will never get some kinds of layer names those that it takes, and the linker
 * leaves out the rest: -DHD_OP_ROWS='&hd_dense, &hd_lut'.  Images with others are refused.
 *
 * Row of an op number, or NULL.  For loops over all: hd_ops[0 .. hd_n_ops). */
const struct hd_op_row *hd_op_find(uint8_t op);

extern const struct hd_op_row *const hd_ops[];
extern const uint8_t hd_n_ops;
#endif
