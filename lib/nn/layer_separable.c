/* separable FILTERSxKERNEL [stride N] [dilation N] [same]: a short form of "dwconv1d KERNEL ...,
 * conv1d FILTERSx1".  Source: Chollet 2017, arXiv:1610.02357. */
#include "hn_conv.h"

extern const struct hn_layer_type hn_layer_separable, hn_layer_dwconv1d, hn_layer_conv1d;

static bool separable_part(const struct hn_layer *l, unsigned i, struct hn_layer *out)
{
	*out = *l;
	if (i == 0) {
		out->type = &hn_layer_dwconv1d;
		out->n_args = 1;
		out->arg[0] = l->arg[1];
	} else {
		out->type = &hn_layer_conv1d;
		out->arg[1] = 1;
		for (unsigned k = 0; hn_conv_options[k].name; k++)
			out->opt[k] = hn_conv_options[k].normal;
	}
	return i < 2;
}

const struct hn_layer_type hn_layer_separable = {
	.name = "separable", .id = 18,
	.usage = "separable FILTERSxKERNEL [stride N] [dilation N] [same]",
	.args_min = 2, .args_max = 2, .options = hn_conv_options, .part = separable_part,
};
