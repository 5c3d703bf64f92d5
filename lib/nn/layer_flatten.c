/* flatten: (len, ch) to (1, len * ch).  The numbers stay where they are. */
#include "hn_layer.h"

#include <string.h>

extern const struct hn_layer_type hn_layer_flatten;

static hn_status flatten_shape(struct hn_layer *l, struct hn_err *err)
{
	(void)err;
	l->out = (struct hn_shape){ 1, (uint16_t)hn_size(l->in) };
	return HN_OK;
}

static void flatten_forward(const struct hn_pass *p)
{
	if (p->y != p->x)
		memcpy(p->y, p->x, hn_size(p->l->in) * p->lanes * sizeof *p->y);
}

static void flatten_backward(const struct hn_pass *p)
{
	if (p->dx && p->dx != p->dy)
		memcpy(p->dx, p->dy, hn_size(p->l->in) * p->lanes * sizeof *p->dx);
}

const struct hn_layer_type hn_layer_flatten = {
	.name = "flatten", .id = 7, .usage = "flatten", .in_place = true, .only_shape = true,
	.same_grid = true,
	.shape = flatten_shape, .forward = flatten_forward, .backward = flatten_backward,
};
