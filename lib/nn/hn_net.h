/* hn_net.h - a network as a bounded list of layers, written as text: "dense 32, relu, dense 4".
 *
 * A net is a plain value: shapes and sizes only, no weights, no memory.  Its weights are one float
 * vector, layer after layer; inside a layer in the order that its file documents (dense: the
 * matrix [out][in], then the bias [out]).  Nothing in that vector depends on the CPU.  Some layers
 * end with state (n_state), which training carries along but does not train. */
#ifndef HN_NET_H
#define HN_NET_H

#include <stddef.h>
#include <stdint.h>
#include "hn_status.h"

enum {
	HN_NET_LAYERS_MAX = 24,
	HN_NET_VALUES_MAX = 16384,       /* elements of one tensor between two layers, one sample */
	HN_NET_WEIGHTS_MAX = 1 << 20,
	HN_LAYER_ARGS_MAX = 4, HN_LAYER_OPTS_MAX = 4,
	HN_LAYER_TEXT_MAX = 48,
	HN_NET_OUT_MAX = 256             /* outputs, the limit of hd_image                       */
};

/* Permanent, stored in model blobs. */
enum hn_task { HN_CLASSIFY = 0, HN_REGRESS = 1, HN_AUTOENCODE = 2, HN_FORECAST = 3 };

struct hn_shape { uint16_t len, ch; };   /* (frames, channels); a plain vector is (1, n)    */

struct hn_layer_type;                    /* a row of hn_layers[]: hn_layer.h                 */

struct hn_layer {
	const struct hn_layer_type *type;
	struct hn_shape in, out;
	double   arg[HN_LAYER_ARGS_MAX]; /* numbers of the text, meaning by type              */
	uint8_t  n_args;
	double   opt[HN_LAYER_OPTS_MAX]; /* by the type's option list                          */
	uint32_t w_at, n_w;              /* first weight and number of weights                */
	uint32_t n_state;                /* the last of them are state, not trained           */
	uint8_t  from;                   /* second input: 0 the net's, k the output of layer[k - 1] */
	uint8_t  number;                 /* item of the text, from 1; a short form is many layers */
	char     text[HN_LAYER_TEXT_MAX];/* the item as written, for messages                 */
};

struct hn_net {
	enum hn_task task;
	uint8_t  n_layers;
	struct hn_shape in;
	uint16_t out_n;                  /* outputs = len * ch of the last layer              */
	uint32_t n_weights;
	struct hn_layer layer[HN_NET_LAYERS_MAX];
};

/* What the net must fit: input shape and task.  out_n: classes or targets, 0 = whatever the last
 * layer gives; for autoencode the output must have in_len * in_ch values. */
struct hn_net_io { enum hn_task task; uint16_t in_len, in_ch, out_n; };

/* Parse `text`, with or without [ ] around it, at most 511 characters.  A final "softmax" of a
 * classifier is accepted and dropped: the loss contains it.
 * Errors: HN_EFORMAT (syntax, unknown layer), HN_ERANGE (shapes, limits); `err` names the
 * layer's number, its text and both shapes. */
hn_status hn_net_parse(struct hn_net *net, const char *text, const struct hn_net_io *io,
                       struct hn_err *err);

/* Fresh weights (n_weights,): uniform, He for layers before a rectifier, Glorot otherwise; bias
 * zero.  Same seed, same bits on every machine.
 * Source: He et al. 2015, arXiv:1502.01852; Glorot & Bengio 2010, AISTATS. */
void hn_net_init(const struct hn_net *net, uint64_t seed, float *weights);

/* The net as it is outside training, without dropout and batch_norm: a batch_norm goes into the
 * weights of the product before it, or becomes a depthwise convolution with one tap where there is
 * none or where a later layer also reads that product.  Same outputs, up to rounding.
 * w (n_weights,) of `net`; folded_w (net->n_weights,) gets the first folded->n_weights; both NULL:
 * only the net.  Errors: HN_ENUMERIC (a folded weight is not finite; the layer is named), HN_ERANGE
 * (nothing but dropout). */
hn_status hn_net_fold(const struct hn_net *net, const float *w, struct hn_net *folded,
                      float *folded_w, struct hn_err *err);

/* Change w (net->n_weights,) so that its fold is folded_w (folded->n_weights,), up to rounding.
 * The statistics in w stay: training may go on from there. */
void hn_net_unfold(const struct hn_net *net, const struct hn_net *folded, const float *folded_w,
                   float *w);

/* Multiply-adds of one forward pass of one sample; a training step costs about three times it. */
uint64_t hn_net_macs(const struct hn_net *net);

/* Name of a task ("classify") and back; hn_task.h has the rest.
 *  hn_task_find returns HN_ENOENT for an unknown name. */
const char *hn_task_name(enum hn_task task);
hn_status hn_task_find(const char *name, enum hn_task *task);
#endif
