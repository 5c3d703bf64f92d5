/* softmax: over the channels of each frame, y_c = exp(x_c - max) / sum_k exp(x_k - max). */
#include "hn_layer.h"

#include "hd_image.h"

extern const struct hn_layer_type hn_layer_softmax;

enum { WORK = 2 };               /* largest input and sum of each lane                        */

static size_t softmax_keep(const struct hn_layer *l, size_t lanes, bool train)
{
	(void)l;
	(void)train;
	return WORK * lanes;
}

static void softmax_forward(const struct hn_pass *p)
{
	const size_t frame = p->l->in.ch * p->lanes;

	for (size_t t = 0; t < p->l->in.len; t++)
		p->kern->softmax(p->x + t * frame, (size_t[2]){ p->l->in.ch, p->lanes }, p->y + t * frame,
		                 p->keep, p->keep + p->lanes);
}

static void softmax_backward(const struct hn_pass *p)
{
	const size_t frame = p->l->in.ch * p->lanes;

	for (size_t t = 0; p->dx && t < p->l->in.len; t++)
		p->kern->softmax_back(p->y + t * frame, p->dy + t * frame, p->dx + t * frame,
		                      (size_t[2]){ p->l->in.ch, p->lanes });
}

const struct hn_layer_type hn_layer_softmax = {
	.name = "softmax", .id = 14, .usage = "softmax", .in_place = true, .keeps_y = true,
	.shape = hn_layer_same_shape, .keep = softmax_keep,
	.forward = softmax_forward, .backward = softmax_backward,
	.op = HD_OP_SOFTMAX, .image_bytes = hn_softmax_bytes, .quantise = hn_softmax_quantise,
	.out_lo = 0.0, .out_hi = 255.0 / 256.0,
};
