/* tanh: y = tanh(x); its int8 form is a table with the fixed grid 1/128 (TFLite). */
#include "hn_layer.h"

#include <math.h>
#include "hd_image.h"

extern const struct hn_layer_type hn_layer_tanh;

static void tanh_forward(const struct hn_pass *p)
{
	p->kern->tanh(p->x, p->y, hn_size(p->l->in) * p->lanes);
}

static void tanh_backward(const struct hn_pass *p)
{
	if (p->dx)
		p->kern->tanh_back(p->y, p->dy, p->dx, hn_size(p->l->in) * p->lanes);
}

static double tanh_value(const struct hn_layer *l, double x)
{
	(void)l;
	return tanh(x);
}

const struct hn_layer_type hn_layer_tanh = {
	.name = "tanh", .id = 3, .usage = "tanh",
	.in_place = true, .keeps_y = true, .op = HD_OP_LUT,
	.shape = hn_layer_same_shape, .forward = tanh_forward, .backward = tanh_backward,
	.image_bytes = hn_lut_bytes, .quantise = hn_lut_quantise, .value = tanh_value,
	.out_lo = -1.0, .out_hi = 127.0 / 128.0,
};
