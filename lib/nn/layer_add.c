/* add K: the output of the layer before plus that of K items further back in the list (the input of
 * the net when that is before the first): y_i = y_(i-1) + y_(i-1-K).  Both have the same shape. */
#include "hn_layer.h"

#include <string.h>

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

const struct hn_layer_type hn_layer_add = {
	.name = "add", .id = 13, .usage = "add ITEMS_BACK", .args_min = 1, .args_max = 1,
	.in_place = true, .two_inputs = true,
	.shape = hn_layer_same_shape, .forward = add_forward, .backward = add_backward,
};
