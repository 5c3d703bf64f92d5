/* hn_layer.h - what a layer must provide: one file layer_<name>.c, one row in hn_layers[]. */
#ifndef HN_LAYER_H
#define HN_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include "hn_kernel.h"
#include "hn_net.h"
#include "hn_rng.h"

/* One batch through one layer.  Tensors are (len, ch, lanes): the batch is the last axis. */
struct hn_pass {
	const struct hn_layer   *l;
	const struct hn_kernels *kern;
	size_t lanes;
	size_t n;                /* samples in the batch; the lanes behind them are padding   */
	const float *w;          /* (n_w,) weights                                            */
	const float *x;          /* (in, lanes) input                                         */
	const float *x2;         /* (in, lanes) second input of a layer with two              */
	float *y;                /* (out, lanes) output; == x for an in-place layer           */
	float *keep;             /* (keep,) what the row's `keep` asked for                   */
	bool train;              /* `keep` is that of a training run: backward follows        */
	bool learning;           /* a step of training: dropout, statistics of the batch      */
	uint64_t key;            /* random bits of this layer and step                        */
	size_t first;            /* place of lane 0 in the batch of the step                  */
	/* backward only */
	const float *dy;         /* (out, lanes)                                              */
	float *dx;               /* (in, lanes); NULL for the first layer; == dy when in place */
	float *dx2;              /* (in, lanes) is added to; NULL for the input of the net    */
	float *g;                /* (n_w,) gradient, overwritten; zero where l->n_state       */
	const float *rows;       /* (lanes, in) the input as rows when `want_rows`            */
	size_t ld_rows;          /* floats from one row to the next                           */
};

/* One layer's int8 form: hn_quant.c fills it, the row's `quantise` writes the constants. */
struct hn_layer_q {
	const struct hn_layer *l;
	const float *w;
	double  in_scale, in2_scale, out_scale;  /* in2: second input of a layer with two     */
	int8_t  in_zp, in2_zp, out_zp, act_min, act_max;
	const uint8_t *frozen;   /* constants of this layer in an image whose weight scales are to be
	                            used again, or NULL                                        */
	uint8_t *out;            /* (image_bytes,) constants, zeroed, 4-byte aligned          */
};

/* A word behind the numbers of a layer's text: "stride 2", or "same" alone (value 1). */
struct hn_option { const char *name; bool number; double normal; };

struct hn_layer_type {
	const char *name;
	uint8_t id;              /* permanent                                                 */
	const char *usage;       /* "dense N": shown in errors                                */
	uint8_t args_min, args_max;
	const struct hn_option *options;         /* ends with a NULL name; NULL = none         */
	bool in_place;           /* y may overwrite x                                         */
	bool two_inputs;         /* reads the output of l->from as well; arg[0] counts back to it */
	bool keeps_y;            /* backward reads y: the next layer may not overwrite it     */
	bool only_shape;         /* numbers stay as they are: int8 needs nothing              */
	bool same_grid;          /* int8: the output has the grid of the input                */
	bool bounds;             /* int8: a clamp behind it becomes its bounds                */
	bool want_rows;          /* backward reads rows                                       */
	bool draws;              /* reads the pass's key                                      */
	bool rectifies;          /* the layer before it is initialised by He's rule           */
	uint8_t biases;          /* biases of each output channel; they lie behind all other weights */
	bool product;            /* w [out.ch][row], then b [out.ch]: a norm behind it folds in */
	bool vanishes;           /* y = x outside training                                    */
	uint8_t op;              /* enum hd_op of the int8 form, 0 = none                     */

	/* A short form: part `i` of the layers that it stands for (type, arg, opt), false behind the
	 * last.  All that follows is then unused.  NULL = a layer of its own. */
	bool (*part)(const struct hn_layer *l, unsigned i, struct hn_layer *out);
	/* From l->in and l->arg set l->out, l->n_w and l->n_state.  `err` needs only the reason. */
	hn_status (*shape)(struct hn_layer *l, struct hn_err *err);
	/* w (n_w,): gain 2 for He, 1 for Glorot.  NULL when there are no weights. */
	void (*init)(const struct hn_layer *l, double gain, struct hn_rng *rng, float *w);
	uint64_t (*macs)(const struct hn_layer *l);      /* NULL = 0 */
	/* Floats of a buffer of its own, kept from forward to backward; `train`: backward may follow.
	 * NULL = 0. */
	size_t (*keep)(const struct hn_layer *l, size_t lanes, bool train);
	void (*forward)(const struct hn_pass *p);
	void (*backward)(const struct hn_pass *p);
	/* After a forward pass of a step of training: the state in w (n_w,) follows the batch. */
	void (*track)(const struct hn_pass *p, float *w);
	/* Layers that outside training are y = scale x + offset, channel by channel: that of c. */
	void (*line)(const struct hn_layer *l, const float *w, size_t c, double scale_offset[2]);
	void (*set_line)(const struct hn_layer *l, float *w, size_t c, const double scale_offset[2]);
	/* Bytes of the constants, a multiple of 4; 0 when the image cannot hold this one. */
	size_t (*image_bytes)(const struct hn_layer *l);
	/* Fields p and q of the image's layer table, p + (q << 16).  NULL = 0. */
	uint32_t (*image_pq)(const struct hn_layer *l);
	/* Errors: HN_ENUMERIC when a constant cannot be represented. */
	hn_status (*quantise)(const struct hn_layer_q *q);
	/* step (n_w,): int8 step of each weight, 0 where it is not rounded to int8 (biases).  NULL
	 * without weights.  q->out is not used. */
	void (*steps)(const struct hn_layer_q *q, float *step);
	/* Element-wise layers: y = f(x), for tables. */
	double (*value)(const struct hn_layer *l, double x);
	double out_lo, out_hi;   /* fixed int8 range of a bounded function, else 0, 0         */
	/* y = min(max(x, 0), clamp_hi): int8 fuses it into a layer before it that has bounds. */
	bool   clamp;
	double clamp_hi;
};

#define HN_NO_CLAMP 3.4e38

/* For element-wise layers. */
hn_status hn_layer_same_shape(struct hn_layer *l, struct hn_err *err);
size_t hn_lut_bytes(const struct hn_layer *l);
hn_status hn_lut_quantise(const struct hn_layer_q *q);

/* Products, `row` weights for each output channel; w [out][row], then the bias [out]. */
size_t hn_product_bytes(size_t row, size_t out);
hn_status hn_product_quantise(const struct hn_layer_q *q, size_t row);

/* int8 scale of each output channel, step (out,); what hn_product_quantise uses. */
void hn_product_steps(const struct hn_layer_q *q, size_t row, float *step);

/* The same for layers with several matrices: rows [image_row, image_row + n) of an image block with
 * `out` rows in all; its first four bytes are the caller's. */
struct hn_rows_q {
	const float *w, *bias;   /* (n, row), (n,)                                            */
	size_t  row, n, out, image_row;
	double  in_scale, out_scale;
	const uint8_t *frozen;   /* the block in the frozen image, or NULL                    */
};
hn_status hn_rows_quantise(const struct hn_rows_q *q, uint8_t *block);
void hn_rows_steps(const struct hn_rows_q *q, float *step);

/* The int8 form of a gru: layer_gru_int8.c. */
size_t hn_gru_bytes(const struct hn_layer *l);
uint32_t hn_gru_pq(const struct hn_layer *l);
hn_status hn_gru_quantise(const struct hn_layer_q *q);
void hn_gru_steps(const struct hn_layer_q *q, float *step);

/* That of softmax: layer_softmax_int8.c. */
size_t hn_softmax_bytes(const struct hn_layer *l);
hn_status hn_softmax_quantise(const struct hn_layer_q *q);

/* m = mult * 2^(shift - 31), mult in [2^30, 2^31) or 0.  Source: TFLite QuantizeMultiplier. */
void hn_quant_mult(double m, int32_t *mult, int8_t *shift);

extern const struct hn_layer_type *const hn_layers[];    /* NULL-terminated */

/* Shapes of a layer behind the last of `net`, which it joins; l: type, arg, opt, text, number,
 * from.  Errors as hn_net_parse. */
hn_status hn_net_append(struct hn_net *net, struct hn_layer *l, struct hn_err *err);

/* NULL when there is no such layer. */
const struct hn_layer_type *hn_layer_find(const char *name, size_t len);

static inline size_t hn_size(struct hn_shape s)
{
	return (size_t)s.len * s.ch;
}
#endif
