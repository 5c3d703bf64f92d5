/* relu6: y = min(max(x, 0), 6). */
#include "hn_layer.h"

#include "hd_image.h"

extern const struct hn_layer_type hn_layer_relu6;

static void relu6_forward(const struct hn_pass *p)
{
	p->kern->bound(p->x, p->y, 6.0f, hn_size(p->l->in) * p->lanes);
}

static void relu6_backward(const struct hn_pass *p)
{
	if (p->dx)
		p->kern->bound_back(p->y, p->dy, p->dx, 6.0f, hn_size(p->l->in) * p->lanes);
}

static double relu6_value(const struct hn_layer *l, double x)
{
	(void)l;
	return x > 6 ? 6 : x > 0 ? x : 0;
}

const struct hn_layer_type hn_layer_relu6 = {
	.name = "relu6", .id = 5, .usage = "relu6",
	.in_place = true, .keeps_y = true, .rectifies = true, .op = HD_OP_LUT,
	.shape = hn_layer_same_shape, .forward = relu6_forward, .backward = relu6_backward,
	.image_bytes = hn_lut_bytes, .quantise = hn_lut_quantise, .value = relu6_value,
	.clamp = true, .clamp_hi = 6.0,
};
