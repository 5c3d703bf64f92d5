/* dropout P: in training each number becomes 0 with probability P and is divided by 1 - P
 * otherwise; else the identity.
 *
 * Which ones follows from a hash of (seed, step, layer, value, sample), so backward, a repeated
 * pass and a resumed run find the same without keeping them.
 * Source: Srivastava et al. 2014, "Dropout", JMLR 15; the inverted form. */
#include "hn_layer.h"

#include <string.h>

extern const struct hn_layer_type hn_layer_dropout;

static hn_status dropout_shape(struct hn_layer *l, struct hn_err *err)
{
	if (!(l->arg[0] >= 0 && l->arg[0] <= 0.95))
		return hn_fail(err, HN_ERANGE, "the probability must lie between 0 and 0.95");
	return hn_layer_same_shape(l, err);
}

static void apply(const struct hn_pass *p, const float *from, float *to)
{
	const size_t n = hn_size(p->l->in);

	if (p->learning)
		p->kern->drop(&(struct hn_drop_args){
			.rows = n, .lanes = p->lanes, .first = p->first, .key = p->key,
			.share = (float)p->l->arg[0], .x = from, .y = to });
	else if (to != from)
		memcpy(to, from, n * p->lanes * sizeof *to);
}

static void dropout_forward(const struct hn_pass *p)
{
	apply(p, p->x, p->y);
}

static void dropout_backward(const struct hn_pass *p)
{
	if (p->dx)
		apply(p, p->dy, p->dx);
}

const struct hn_layer_type hn_layer_dropout = {
	.name = "dropout", .id = 15, .usage = "dropout PROBABILITY", .args_min = 1, .args_max = 1,
	.in_place = true, .vanishes = true, .draws = true,
	.shape = dropout_shape, .forward = dropout_forward, .backward = dropout_backward,
};
