/* hn_onnx_write.h - private to the .onnx writer: a graph that grows node by node. */
#ifndef HN_ONNX_WRITE_H
#define HN_ONNX_WRITE_H

#include "hn_export_parts.h"
#include "hn_pb.h"

enum { ONX_TEXT_MAX = 64, ONX_INPUTS_MAX = 4, ONX_ATTRS_MAX = 5, ONX_INTS_MAX = 4 };

enum onx_layout { FRAMES_FIRST, CHANNELS_FIRST, FLAT };  /* (N, len, ch), (N, ch, len), (N, n) */

struct onx {
	struct hn_pb_writer w;
	const struct hn_export *x;
	struct hn_image_walk image;
	struct hn_err *err;
	bool int8;
	unsigned n_values, n_constants, n_nodes;
	char now[ONX_TEXT_MAX];             /* the present value                                  */
	enum onx_layout layout;
	struct hn_shape shape;
	struct onx_kept { char name[ONX_TEXT_MAX]; enum onx_layout layout; } kept[HN_NET_LAYERS_MAX + 1];
};

struct onx_attr { const char *name; int64_t v[ONX_INTS_MAX]; unsigned n; bool list; float f; };

struct onx_node {
	const char *op, *name;
	const char *in[ONX_INPUTS_MAX];
	unsigned n_in;
	const char *out;
	bool last_only;                  /* its second output, not the first                   */
	struct onx_attr attr[ONX_ATTRS_MAX];
	unsigned n_attrs;
};

struct onx_constant { uint8_t type; int64_t dim[3]; unsigned rank; size_t bytes; };

/* An int8 or int32 constant with a scale for each of its `out` channels; the float form
 * gets a name. */
struct onx_scaled { struct onx_constant c; size_t out; const float *scale; };

/* --- hn_onnx_write.c ------------------------------------------------------------------------ */

void onx_put_node(struct onx *t, const struct onx_node *n);

/* Writes its name; the bytes are the caller's to fill (NULL when counting). */
uint8_t *onx_put_constant(struct onx *t, const struct onx_constant *c, char name[ONX_TEXT_MAX]);
void onx_put_f32(struct onx *t, float v, char name[ONX_TEXT_MAX]);
uint8_t *onx_put_scaled(struct onx *t, const struct onx_scaled *s, char name[ONX_TEXT_MAX]);

/* The node's output becomes the present value. */
void onx_step(struct onx *t, struct onx_node *n);

/* The present value in another layout. */
void onx_turn(struct onx *t, enum onx_layout to);

/* Value g of the calibration, as the device rounds it. */
void onx_round_to(struct onx *t, unsigned g);

/* To int8 numbers on a grid, or back; nothing in a float file. */
void onx_grid(struct onx *t, struct hn_grid g, bool back);

/* --- hn_onnx_layers.c ----------------------------------------------------------------------- */

hn_status onx_put_layer(struct onx *t, unsigned i);
#endif
