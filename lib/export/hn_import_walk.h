/* hn_import_walk.h - private to the import: the state of following a graph. */
#ifndef HN_IMPORT_WALK_H
#define HN_IMPORT_WALK_H

#include "hn_graph.h"
#include "hn_import.h"

/* What an axis of a value means. */
enum { AX_BATCH = 'B', AX_LEN = 'L', AX_CH = 'C', AX_ONE = '1', AX_FLAT = 'F' };

/* A value of the graph: which layer made it, and what its axes are.  AX_FLAT is an input that the
 * file sees as one row, frame after frame. */
struct val {
	bool known;
	bool mixed;              /* the file has channels before frames here, we frames before
	                            channels: (from_len, from_ch); only dense can undo that      */
	uint8_t rank, axis[HN_GRAPH_RANK_MAX];
	int16_t layer;           /* -1 = the input                                             */
	int16_t lost;            /* node + 1 that no layer does, when not known; 0 = none      */
	uint16_t len, ch, from_len, from_ch;
};

struct walk {
	const struct hn_graph *g;
	struct hn_err *err;
	const struct hn_gnode *n;        /* present node                                       */
	struct val *val;                 /* (n_tensors,)                                       */
	char text[HN_NET_LAYERS_MAX][HN_LAYER_TEXT_MAX];
	int n_layers;
	float *w;                        /* (w_cap,)                                           */
	size_t n_w, w_cap;
	int product;                     /* layer that is a product, when it is the last; -1    */
	size_t product_at, product_row, product_out;
	bool has_grid[HN_NET_LAYERS_MAX + 1];
	struct hn_grid grid[HN_NET_LAYERS_MAX + 1];
	struct hn_scaler scaler;
	enum hn_task task;
	bool ended;                      /* a softmax was left out: nothing may follow          */
};

/* --- hn_import_walk.c ----------------------------------------------------------------------- */

/* HN_EFORMAT, naming the present node. */
hn_status walk_refuse(const struct walk *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The same for a value that is not known because of a node before. */
hn_status walk_lost(const struct walk *w, const struct val *v);

/* Input i of the present node as the value of the last layer.  Errors: HN_EFORMAT. */
hn_status walk_value(const struct walk *w, unsigned i, struct val *v);

/* Input i as a constant of this many elements (0 = any). */
hn_status walk_constant(const struct walk *w, unsigned i, size_t count,
                        const struct hn_gtensor **t);
bool walk_is_constant(const struct walk *w, unsigned i);

/* Numbers of input i, or of the node's list when there is no such input, at most 8; -1: neither. */
int walk_list(const struct walk *w, unsigned i, int32_t *out);

/* Add a layer; its weights are those that are put afterwards. */
hn_status walk_layer(struct walk *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
hn_status walk_put(struct walk *w, float v);

/* The present node's first output is v, made by the last layer. */
void walk_result(struct walk *w, const struct val *v);
void walk_grid(struct walk *w, const struct val *v, float scale, int64_t zp);

/* Index of the axis that means this; -1 = none. */
int walk_axis(const struct val *v, uint8_t meaning);
size_t walk_size(const struct val *v, unsigned axis);    /* 1 for the batch */

/* --- hn_import_shape.c, hn_import_ops.c ----------------------------------------------------- */

typedef hn_status (*walk_fn)(struct walk *w);
walk_fn walk_shape_op(uint8_t op);       /* NULL: not one of these */
walk_fn walk_layer_op(uint8_t op);
walk_fn walk_product_op(uint8_t op);
/* relu or relu6 behind a node that fuses it. */
hn_status walk_act(struct walk *w, uint8_t op);
#endif
