/* hn_tflite_write.h - private to the .tflite writer: a graph that grows operator by operator. */
#ifndef HN_TFLITE_WRITE_H
#define HN_TFLITE_WRITE_H

#include "hn_export_parts.h"
#include "hn_fb.h"

enum { TFL_CODES_MAX = 16, TFL_RANK_MAX = 4, TFL_OP_INPUTS_MAX = 3, TFL_OPTIONS_MAX = 7 };

struct tfl_shape { uint8_t rank; int32_t dim[TFL_RANK_MAX]; };

struct tfl_code { uint8_t builtin, version; };

struct tfl {
	struct hn_fb_writer w;
	const struct hn_export *x;
	struct hn_image_walk image;
	struct hn_err *err;
	bool int8;
	uint32_t tensors, buffers, ops, codes;   /* vectors of offsets, which point forward    */
	uint32_t data;                   /* vector of the last buffer                          */
	struct tfl_code code[TFL_CODES_MAX];
	unsigned n_tensors, n_buffers, n_ops, n_codes;
	int32_t in, now;                 /* tensors: input of the net, present value           */
	struct tfl_shape shape;              /* of the present value                               */
	struct { int32_t tensor; struct tfl_shape shape; } kept[HN_NET_LAYERS_MAX + 1];
};

struct tfl_spec {
	const char *name;
	uint8_t type;
	struct tfl_shape shape;
	const void *data;                /* (bytes,) of a constant, NULL = a value             */
	size_t bytes;
	const float *scale;              /* (n_scales,)                                        */
	size_t n_scales;
	int8_t zp;
	uint8_t axis;                    /* along which the scales lie, when there are many    */
};

struct tfl_op {
	struct tfl_code code;
	int32_t in[TFL_OP_INPUTS_MAX];
	unsigned n_in;
	int32_t out;
	uint8_t kind;                    /* of the options, 0 = none                           */
	struct hn_fb_value option[TFL_OPTIONS_MAX];
	unsigned n_options;
	const struct tfl_shape *to;          /* of a RESHAPE                                       */
};

/* --- hn_tflite_write.c ---------------------------------------------------------------------- */

/* Returns its index. */
int32_t tfl_put_tensor(struct tfl *t, const struct tfl_spec *s);

/* A value between two operators: float, or int8 on the grid of tensor `g` of the calibration. */
int32_t tfl_put_value(struct tfl *t, const char *name, struct tfl_shape shape, unsigned g);

/* Its output becomes the present value. */
void tfl_put_op(struct tfl *t, const struct tfl_op *o);

/* The present value in another shape; g its grid. */
void tfl_reshape(struct tfl *t, struct tfl_shape to, unsigned g);
struct tfl_shape tfl_as_image(struct hn_shape s);
struct tfl_shape tfl_as_vector(struct hn_shape s);
size_t tfl_elements(const struct tfl_shape *s);

/* --- hn_tflite_layers.c --------------------------------------------------------------------- */

hn_status tfl_put_layer(struct tfl *t, unsigned i);
#endif
