/* relu: y = max(x, 0). */
#include "hn_layer.h"

#include "hd_image.h"

extern const struct hn_layer_type hn_layer_relu;

static void relu_forward(const struct hn_pass *p)
{
	p->kern->relu(p->x, p->y, hn_size(p->l->in) * p->lanes);
}

static void relu_backward(const struct hn_pass *p)
{
	if (p->dx)
		p->kern->relu_back(p->y, p->dy, p->dx, hn_size(p->l->in) * p->lanes);
}

static double relu_value(const struct hn_layer *l, double x)
{
	(void)l;
	return x > 0 ? x : 0;
}

const struct hn_layer_type hn_layer_relu = {
	.name = "relu", .id = 2, .usage = "relu",
	.in_place = true, .keeps_y = true, .rectifies = true, .op = HD_OP_LUT,
	.shape = hn_layer_same_shape, .forward = relu_forward, .backward = relu_backward,
	.image_bytes = hn_lut_bytes, .quantise = hn_lut_quantise, .value = relu_value,
	.clamp = true, .clamp_hi = HN_NO_CLAMP,
};
