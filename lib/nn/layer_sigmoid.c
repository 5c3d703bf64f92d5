/* sigmoid: y = 1 / (1 + exp(-x)); its int8 form is a table with the fixed grid 1/256 (TFLite). */
#include "hn_layer.h"

#include <math.h>
#include "hd_image.h"

extern const struct hn_layer_type hn_layer_sigmoid;

static void sigmoid_forward(const struct hn_pass *p)
{
	p->kern->sigmoid(p->x, p->y, hn_size(p->l->in) * p->lanes);
}

static void sigmoid_backward(const struct hn_pass *p)
{
	if (p->dx)
		p->kern->sigmoid_back(p->y, p->dy, p->dx, hn_size(p->l->in) * p->lanes);
}

static double sigmoid_value(const struct hn_layer *l, double x)
{
	(void)l;
	return 1.0 / (1.0 + exp(-x));
}

const struct hn_layer_type hn_layer_sigmoid = {
	.name = "sigmoid", .id = 4, .usage = "sigmoid",
	.in_place = true, .keeps_y = true, .op = HD_OP_LUT,
	.shape = hn_layer_same_shape, .forward = sigmoid_forward, .backward = sigmoid_backward,
	.image_bytes = hn_lut_bytes, .quantise = hn_lut_quantise, .value = sigmoid_value,
	.out_lo = 0.0, .out_hi = 255.0 / 256.0,
};
