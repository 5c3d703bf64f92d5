/* Which layers of a net appear in its image, and which outputs an add needs to find there. */
#include "hn_quant.h"

#include "hd_image.h"
#include "hn_layer.h"

/* Tensors: 0 is the input of the net, k the output of layer k - 1. */

static bool is_add(const struct hn_net *net, unsigned i)
{
	return net->layer[i].type->two_inputs;
}

static bool read_by_an_add(const struct hn_net *net, unsigned tensor)
{
	for (unsigned i = tensor; i < net->n_layers; i++)
		if (is_add(net, i) && net->layer[i].from == tensor)
			return true;
	return false;
}

bool hn_quant_fused(const struct hn_net *net, unsigned i)
{
	if (i == 0 || i >= net->n_layers)
		return false;
	/* What lies between the two must not be needed elsewhere. */
	return net->layer[i].type->clamp && net->layer[i - 1].type->bounds && !read_by_an_add(net, i);
}

bool hn_quant_skips(const struct hn_net *net, unsigned i)
{
	return hn_quant_fused(net, i) || net->layer[i].type->only_shape;
}

/* The tensor as it lies in the image: that of a layer which appears there, or the input. */
static unsigned place_of(const struct hn_net *net, unsigned tensor)
{
	while (tensor > 0 && hn_quant_skips(net, tensor - 1))
		tensor--;
	return tensor;
}

unsigned hn_quant_readers(const struct hn_net *net, unsigned tensor)
{
	unsigned n = 0;

	for (unsigned i = tensor; i < net->n_layers; i++)
		n += is_add(net, i) && place_of(net, net->layer[i].from) == tensor;
	return n;
}

bool hn_quant_copies_input(const struct hn_net *net)
{
	return hn_quant_readers(net, 0) > 0;
}

struct kept { unsigned tensor[HD_KEPT_MAX], n; };

/* Does the add that makes tensor t, if one does, find what it reads? */
static bool takes(const struct hn_net *net, unsigned t, struct kept *k)
{
	if (t == 0 || !is_add(net, t - 1))
		return true;
	return k->n > 0 && k->tensor[--k->n] == place_of(net, net->layer[t - 1].from);
}

/* Can tensor t be kept, if it must be? */
static bool keeps(const struct hn_net *net, unsigned t, struct kept *k)
{
	const unsigned readers = hn_quant_readers(net, t);

	if (readers == 0)
		return true;
	if (readers > 1 || k->n == HD_KEPT_MAX)
		return false;
	k->tensor[k->n++] = t;
	return true;
}

/* Each add takes the output that was kept last, and an output is taken once. */
unsigned hn_quant_unordered(const struct hn_net *net)
{
	struct kept k = { .n = 0 };

	for (unsigned t = 0; t <= net->n_layers; t++) {
		if (t > 0 && hn_quant_skips(net, t - 1))
			continue;
		if (!takes(net, t, &k) || !keeps(net, t, &k))
			return t > 0 ? t : 1;
	}
	return 0;
}
