#include "hn_layer.h"

#include <string.h>

extern const struct hn_layer_type hn_layer_dense, hn_layer_relu, hn_layer_tanh, hn_layer_sigmoid,
	hn_layer_relu6, hn_layer_leaky_relu, hn_layer_flatten, hn_layer_conv1d, hn_layer_maxpool,
	hn_layer_avgpool, hn_layer_globalavgpool, hn_layer_gru, hn_layer_add, hn_layer_dwconv1d,
	hn_layer_separable, hn_layer_batch_norm, hn_layer_dropout, hn_layer_softmax;

const struct hn_layer_type *const hn_layers[] = {
	&hn_layer_dense,
	&hn_layer_relu,
	&hn_layer_tanh,
	&hn_layer_sigmoid,
	&hn_layer_relu6,
	&hn_layer_leaky_relu,
	&hn_layer_flatten,
	&hn_layer_conv1d,
	&hn_layer_maxpool,
	&hn_layer_avgpool,
	&hn_layer_globalavgpool,
	&hn_layer_gru,
	&hn_layer_add,
	&hn_layer_dwconv1d,
	&hn_layer_separable,
	&hn_layer_batch_norm,
	&hn_layer_dropout,
	&hn_layer_softmax,
	NULL
};

const struct hn_layer_type *hn_layer_find(const char *name, size_t len)
{
	for (size_t i = 0; hn_layers[i]; i++)
		if (strlen(hn_layers[i]->name) == len && memcmp(hn_layers[i]->name, name, len) == 0)
			return hn_layers[i];
	return NULL;
}
