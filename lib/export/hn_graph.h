/* hn_graph.h - a file as operators and tensors, whatever its format: what hn_tflite_read.c and
 * hn_onnx_read.c make, and hn_import.c turns into layers.  Names and constants borrow the file. */
#ifndef HN_GRAPH_H
#define HN_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hn_arena.h"
#include "hn_status.h"

enum { HN_GRAPH_NODES_MAX = 512, HN_GRAPH_TENSORS_MAX = 2048, HN_GRAPH_RANK_MAX = 6,
	HN_GRAPH_IN_MAX = 8, HN_GRAPH_LIST_MAX = 8, HN_GRAPH_FILE_MAX = 16 << 20 };

struct hn_text { const uint8_t *p; size_t len; };        /* not ended by a zero */

/* For "%.*s"; at most 40 characters of it. */
#define HN_TEXT(t) ((t).len < 40 ? (int)(t).len : 40), ((t).len ? (const char *)(t).p : "")

enum hn_element { HN_EL_NONE, HN_EL_F32, HN_EL_I8, HN_EL_I32, HN_EL_I64, HN_EL_OTHER };

struct hn_gtensor {
	struct hn_text name;
	uint8_t element;                 /* enum hn_element                                    */
	uint8_t rank;
	int32_t dim[HN_GRAPH_RANK_MAX];  /* -1 = any                                           */
	const uint8_t *data;             /* (count elements,) little-endian, NULL = a value    */
	uint32_t count;
	/* int8 and int32: real = scale[c] * (q - zp[c]), c along `axis` when n_scales > 1 */
	const uint8_t *scale;            /* (n_scales,) f32                                    */
	uint32_t n_scales;
	const uint8_t *zp;               /* (n_scales,) of zp_bytes each, NULL = 0             */
	uint8_t zp_bytes, axis;
};

enum hn_gop {
	HN_G_UNKNOWN, HN_G_CONV, HN_G_DEPTHWISE, HN_G_DENSE, HN_G_MATMUL, HN_G_MAX_POOL, HN_G_AVG_POOL,
	HN_G_GLOBAL_AVG, HN_G_GLOBAL_MAX, HN_G_MEAN, HN_G_MAX, HN_G_RELU, HN_G_RELU6, HN_G_CLIP,
	HN_G_LEAKY, HN_G_TANH, HN_G_SIGMOID, HN_G_SOFTMAX, HN_G_ADD, HN_G_SUB, HN_G_MUL, HN_G_DIV,
	HN_G_BATCH_NORM, HN_G_GRU, HN_G_FLATTEN, HN_G_RESHAPE, HN_G_SQUEEZE, HN_G_UNSQUEEZE,
	HN_G_TRANSPOSE, HN_G_GATHER, HN_G_SAME, HN_G_QUANTISE, HN_G_DEQUANTISE, HN_G_CONSTANT,
	HN_G_PAD, HN_G_EXPAND
};

enum hn_gpad { HN_PAD_GIVEN, HN_PAD_SAME, HN_PAD_NONE };

struct hn_gnode {
	uint8_t op, act;                 /* enum hn_gop; fused activation: 0 or an hn_gop       */
	struct hn_text kind, name;       /* for messages: "Conv", "conv1/Conv"                 */
	int16_t in[HN_GRAPH_IN_MAX], out[3];     /* tensors, -1 = none                         */
	uint8_t n_in;
	uint8_t pad_mode;                /* enum hn_gpad                                       */
	int32_t kernel[2], stride[2], dilation[2], pad[4];       /* pad: begin, end of each axis */
	uint8_t n_axes;                  /* of kernel; 0 = not given                           */
	int32_t group, axis;
	bool trans_a, trans_b, keep_dims, ceil, before_reset, batch_first, other;
	float alpha, beta;               /* also lowest and highest of a CLIP                  */
	float eps;
	int32_t list[HN_GRAPH_LIST_MAX]; /* permutation, axes or shape                         */
	uint8_t n_list;
};

struct hn_graph {
	struct hn_gtensor *tensor;       /* (n_tensors,)                                       */
	struct hn_gnode *node;           /* (n_nodes,) in an order in which they can be run    */
	uint32_t n_tensors, n_nodes;
	int16_t in, out;
	bool channels_last;              /* of convolutions and pools, and their weights       */
	struct hn_text note;             /* what we wrote about the net, or empty              */
};

/* Room for a graph.  Errors: HN_ENOMEM. */
hn_status hn_graph_take(struct hn_graph *g, struct hn_arena *arena);

hn_status hn_tflite_read(struct hn_graph *g, struct hn_text file, struct hn_err *err);
/* `arena`: for lists of numbers that the file packs. */
hn_status hn_onnx_read(struct hn_graph *g, struct hn_text file, struct hn_arena *arena,
                       struct hn_err *err);

bool hn_text_is(struct hn_text t, const char *word);

/* Number of elements by the dimensions; 0 when one is open, negative or the product too large. */
uint32_t hn_gtensor_count(const struct hn_gtensor *t);

/* Element i of a constant (i < count) as a real number, and as an integer. */
float hn_gtensor_f32(const struct hn_gtensor *t, uint32_t i);
int64_t hn_gtensor_int(const struct hn_gtensor *t, uint32_t i);
/* Scale and zero point of a value that has one for all. */
bool hn_gtensor_grid(const struct hn_gtensor *t, float *scale, int64_t *zp);

/* Bytes of an element, 0 = not readable. */
size_t hn_element_bytes(uint8_t element);
#endif
