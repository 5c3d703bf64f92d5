/* add K: the output of the layer before plus that of K items further back in the list (the input of
 * the net when that is before the first): y_i = y_(i-1) + y_(i-1-K).  Both have the same shape. */
#include "hn_layer.h"

#include <math.h>
#include <string.h>
#include "hd_image.h"

extern const struct hn_layer_type hn_layer_add;

static void add_forward(const struct hn_pass *p)
{
	p->kern->add(p->x, p->x2, p->y, hn_size(p->l->in) * p->lanes);
}

static void add_backward(const struct hn_pass *p)
{
	const size_t n = hn_size(p->l->in) * p->lanes;

	if (p->dx2)
		p->kern->add(p->dx2, p->dy, p->dx2, n);
	if (p->dx && p->dx != p->dy)
		memcpy(p->dx, p->dy, n * sizeof *p->dx);
}

enum { LEFT_SHIFT = 20, BYTES = 24 };    /* lib/device/hd_add.c */

static size_t add_image_bytes(const struct hn_layer *l)
{
	(void)l;
	return BYTES;
}

/* Both terms in steps of half of 2^-20 of the coarser one.  Source: TFLite, ADD for int8. */
static hn_status add_quantise(const struct hn_layer_q *q)
{
	const double twice = 2 * fmax(q->in_scale, q->in2_scale);
	const double by[] = { q->in_scale / twice, q->in2_scale / twice,
	                      twice / ((1 << LEFT_SHIFT) * q->out_scale) };
	const int8_t head[] = { q->in_zp, q->in2_zp, q->out_zp, 0, q->act_min, q->act_max };

	memcpy(q->out, head, sizeof head);
	for (int i = 0; i < 3; i++) {
		int32_t mult;
		int8_t shift;

		hn_quant_mult(by[i], &mult, &shift);
		if (shift > 0)
			return HN_ENUMERIC;
		hd_put32(q->out + 8 + 4 * i, (uint32_t)mult);
		q->out[20 + i] = (uint8_t)shift;
	}
	return HN_OK;
}

const struct hn_layer_type hn_layer_add = {
	.name = "add", .id = 13, .usage = "add ITEMS_BACK", .args_min = 1, .args_max = 1,
	.in_place = true, .two_inputs = true, .op = HD_OP_ADD, .bounds = true,
	.shape = hn_layer_same_shape, .forward = add_forward, .backward = add_backward,
	.image_bytes = add_image_bytes, .quantise = add_quantise,
};
