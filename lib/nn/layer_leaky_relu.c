/* leaky_relu [SLOPE]: y = x where x >= 0, SLOPE x below; SLOPE 0.01 unless given. */
#include "hn_layer.h"

#include "hd_image.h"

extern const struct hn_layer_type hn_layer_leaky_relu;

static hn_status leaky_relu_shape(struct hn_layer *l, struct hn_err *err)
{
	if (l->n_args == 0)
		l->arg[0] = 0.01;
	if (!(l->arg[0] > 0 && l->arg[0] < 1))
		return hn_fail(err, HN_ERANGE, "the slope must lie between 0 and 1");
	return hn_layer_same_shape(l, err);
}

static void leaky_relu_forward(const struct hn_pass *p)
{
	p->kern->leaky(p->x, p->y, (float)p->l->arg[0], hn_size(p->l->in) * p->lanes);
}

static void leaky_relu_backward(const struct hn_pass *p)
{
	if (p->dx)
		p->kern->leaky_back(p->y, p->dy, p->dx, (float)p->l->arg[0],
		                    hn_size(p->l->in) * p->lanes);
}

static double leaky_relu_value(const struct hn_layer *l, double x)
{
	return x > 0 ? x : l->arg[0] * x;
}

const struct hn_layer_type hn_layer_leaky_relu = {
	.name = "leaky_relu", .id = 6, .usage = "leaky_relu [SLOPE]", .args_max = 1,
	.in_place = true, .keeps_y = true, .rectifies = true, .op = HD_OP_LUT,
	.shape = leaky_relu_shape, .forward = leaky_relu_forward, .backward = leaky_relu_backward,
	.image_bytes = hn_lut_bytes, .quantise = hn_lut_quantise, .value = leaky_relu_value,
};
