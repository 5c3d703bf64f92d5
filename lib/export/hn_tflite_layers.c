/* Layers as operators of .tflite. */
#include "hn_tflite_write.h"

#include <string.h>
#include "hn_tflite.h"

/* Activation that layer i applies by itself; then the layer behind it is left out. */
static uint8_t fused(const struct tfl *t, unsigned i)
{
	const struct hn_net *net = t->x->net;

	if (!hn_quant_fused(net, i + 1))
		return TFL_ACT_NONE;
	return strcmp(net->layer[i + 1].type->name, "relu") == 0 ? TFL_ACT_RELU : TFL_ACT_RELU6;
}

/* [ch][kernel] to [kernel][ch], elements of `size` bytes. */
static void turn(uint8_t *to, const uint8_t *from, const size_t n[2], size_t size)
{
	for (size_t c = 0; c < n[0]; c++)
		for (size_t j = 0; j < n[1]; j++)
			memcpy(to + (j * n[0] + c) * size, from + (c * n[1] + j) * size, size);
}

/* Scales of the weights and of the biases. */
static hn_status find_scales(struct tfl *t, unsigned i, float scale[2][1024])
{
	const struct hn_layer *l = &t->x->net->layer[i];
	hn_status rc = HN_OK;

	if (l->out.ch > 1024)
		return hn_fail(t->err, HN_EINVAL, "export: layer %u '%s': more than 1024 channels",
		               l->number, l->text);
	for (size_t k = 0; k < l->out.ch && !rc; k++) {
		rc = hn_product8_scale(&t->image, i, k, &scale[0][k], t->err);
		scale[1][k] = rc ? 0 : t->x->calib->grid[i].scale * scale[0][k];
	}
	return rc;
}

/* Weights and bias of layer i behind the input of `o`.  The last axis of a depthwise convolution's
 * weights is the channel. */
static hn_status put_weights(struct tfl *t, unsigned i, struct tfl_shape shape, struct tfl_op *o)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	const bool deep = o->code.builtin == TFL_DEPTHWISE_CONV_2D;
	const size_t n = tfl_elements(&shape), out = l->out.ch, row[] = { out, n / out };
	const float *w = t->x->weights + l->w_at;
	struct tfl_spec ws = { .name = "weights", .type = TFL_FLOAT32, .shape = shape, .data = w,
		.bytes = 4 * n };
	struct tfl_spec bs = { .name = "bias", .type = TFL_FLOAT32, .shape = { 1, { (int32_t)out } },
		.data = w + n, .bytes = 4 * out };
	float scale[2][1024];
	struct hn_product8 p;
	hn_status rc = t->int8 ? find_scales(t, i, scale) : HN_OK;
	uint8_t *to;

	if (t->int8) {
		p = hn_product8_of(&t->image, n / out);
		ws = (struct tfl_spec){ "weights", TFL_INT8, shape, p.w, n, scale[0], out, 0, 0 };
		bs = (struct tfl_spec){ "bias", TFL_INT32, bs.shape, p.bias, 4 * out, scale[1], out, 0, 0 };
	}
	ws.axis = deep ? 3 : 0;
	o->n_in = 3;
	o->in[1] = tfl_put_tensor(t, &ws);
	to = deep ? hn_fb_at(&t->w, t->data, 0) : NULL;
	if (to)
		turn(to, ws.data, row, ws.bytes / n);
	o->in[2] = tfl_put_tensor(t, &bs);
	return rc;
}

static hn_status put_conv(struct tfl *t, unsigned i, const struct hn_window *g, struct hn_shape in)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	struct tfl_op o = { .code = { TFL_CONV_2D, t->int8 ? 3 : g->dilation > 1 ? 2 : 1 },
		.kind = TFL_CONV2D_OPTIONS, .n_options = 6, .option = {
		{ TFL_CONV_PAD, g->same ? TFL_SAME : TFL_VALID }, { TFL_CONV_STRIDE_W, (uint32_t)g->stride },
		{ TFL_CONV_STRIDE_H, 1 }, { TFL_CONV_ACT, fused(t, i) },
		{ TFL_CONV_DILATION_W, (uint32_t)g->dilation }, { TFL_CONV_DILATION_H, 1 } } };
	hn_status rc;

	tfl_reshape(t, tfl_as_image(in), i);
	o.in[0] = t->now;
	rc = put_weights(t, i, (struct tfl_shape){ 4, { l->out.ch, 1, g->kernel, in.ch } }, &o);
	t->shape = tfl_as_image(l->out);
	o.out = tfl_put_value(t, l->text, t->shape, i + 1);
	tfl_put_op(t, &o);
	return rc;
}

/* Interpreters want the same stride along both axes; of height 1 there is only one row anyway. */
static hn_status put_dwconv1d(struct tfl *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	const struct hn_window g = hn_window_of(l);
	struct tfl_op o = { .code = { TFL_DEPTHWISE_CONV_2D, t->int8 ? 3 : g.dilation > 1 ? 2 : 1 },
		.kind = TFL_DEPTHWISE_OPTIONS, .n_options = 7, .option = {
		{ TFL_DW_PAD, g.same ? TFL_SAME : TFL_VALID }, { TFL_DW_STRIDE_W, (uint32_t)g.stride },
		{ TFL_DW_STRIDE_H, (uint32_t)g.stride }, { TFL_DW_MULTIPLIER, 1 }, { TFL_DW_ACT, fused(t, i) },
		{ TFL_DW_DILATION_W, (uint32_t)g.dilation }, { TFL_DW_DILATION_H, 1 } } };
	hn_status rc;

	tfl_reshape(t, tfl_as_image(l->in), i);
	o.in[0] = t->now;
	rc = put_weights(t, i, (struct tfl_shape){ 4, { 1, 1, g.kernel, l->in.ch } }, &o);
	t->shape = tfl_as_image(l->out);
	o.out = tfl_put_value(t, l->text, t->shape, i + 1);
	tfl_put_op(t, &o);
	return rc;
}

static hn_status put_add(struct tfl *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	struct tfl_op o = { .code = { TFL_ADD, t->int8 ? 2 : 1 }, .n_in = 2, .kind = TFL_ADD_OPTIONS,
		.n_options = 1, .option = { { 0, fused(t, i) } } };

	tfl_reshape(t, t->kept[l->from].shape, i);
	o.in[0] = t->now;
	o.in[1] = t->kept[l->from].tensor;
	o.out = tfl_put_value(t, l->text, t->shape, i + 1);
	tfl_put_op(t, &o);
	return HN_OK;
}

/* Over the last axis, which is the channels except behind a flatten of the file's own making. */
static hn_status put_softmax(struct tfl *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	const float beta = 1;
	struct tfl_op o = { .code = { TFL_SOFTMAX, t->int8 ? 2 : 1 }, .n_in = 1,
		.kind = TFL_SOFTMAX_OPTIONS, .n_options = 1 };

	memcpy(&o.option[0].bits, &beta, sizeof beta);
	tfl_reshape(t, l->in.len > 1 ? tfl_as_image(l->in) : tfl_as_vector(l->in), i);
	o.in[0] = t->now;
	o.out = tfl_put_value(t, l->text, t->shape, i + 1);
	tfl_put_op(t, &o);
	return HN_OK;
}

static hn_status put_conv1d(struct tfl *t, unsigned i)
{
	const struct hn_window g = hn_window_of(&t->x->net->layer[i]);

	return put_conv(t, i, &g, t->x->net->layer[i].in);
}

static hn_status put_dense(struct tfl *t, unsigned i)
{
	static const struct hn_window one = { .kernel = 1, .stride = 1, .dilation = 1 };
	const struct hn_layer *l = &t->x->net->layer[i];
	const int32_t in = (int32_t)hn_size(l->in);
	struct tfl_op o = { .code = { TFL_FULLY_CONNECTED, 1 }, .kind = TFL_DENSE_OPTIONS, .n_options = 1,
		.option = { { 0, fused(t, i) } } };
	hn_status rc;

	if (t->int8)
		return put_conv(t, i, &one, (struct hn_shape){ 1, (uint16_t)in });
	tfl_reshape(t, tfl_as_vector(l->in), i);
	o.in[0] = t->now;
	rc = put_weights(t, i, (struct tfl_shape){ 2, { l->out.ch, in } }, &o);
	t->shape = tfl_as_vector(l->out);
	o.out = tfl_put_value(t, l->text, t->shape, i + 1);
	tfl_put_op(t, &o);
	return rc;
}

static hn_status put_pool(struct tfl *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	const struct hn_window g = hn_window_of(l);
	struct tfl_op o = { .code = { TFL_AVERAGE_POOL_2D, t->int8 ? 2 : 1 }, .n_in = 1,
		.kind = TFL_POOL_OPTIONS, .n_options = 6, .option = {
		{ TFL_POOL_PAD, TFL_VALID }, { TFL_POOL_STRIDE_W, (uint32_t)g.stride },
		{ TFL_POOL_STRIDE_H, 1 }, { TFL_POOL_W, (uint32_t)g.kernel }, { TFL_POOL_H, 1 },
		{ TFL_POOL_ACT, fused(t, i) } } };

	if (strcmp(l->type->name, "maxpool") == 0)
		o.code.builtin = TFL_MAX_POOL_2D;
	tfl_reshape(t, tfl_as_image(l->in), i);
	o.in[0] = t->now;
	t->shape = tfl_as_image(l->out);
	o.out = tfl_put_value(t, l->text, t->shape, i + 1);
	tfl_put_op(t, &o);
	return HN_OK;
}

static hn_status put_flatten(struct tfl *t, unsigned i)
{
	tfl_reshape(t, tfl_as_vector(t->x->net->layer[i].in), i);
	return HN_OK;
}

/* Operators that look at one number at a time. */
static const struct unary { const char *layer; uint8_t builtin, version8; } unary[] = {
	{ "relu", TFL_RELU, 2 }, { "relu6", TFL_RELU6, 2 }, { "tanh", TFL_TANH, 2 },
	{ "sigmoid", TFL_LOGISTIC, 2 }, { "leaky_relu", TFL_LEAKY_RELU, 2 },
};

static hn_status put_unary(struct tfl *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	struct tfl_op o = { .n_in = 1, .in = { t->now } };

	for (size_t k = 0; k < sizeof unary / sizeof *unary; k++)
		if (strcmp(unary[k].layer, l->type->name) == 0)
			o.code = (struct tfl_code){ unary[k].builtin, t->int8 ? unary[k].version8 : 1 };
	if (o.code.builtin == TFL_LEAKY_RELU) {
		const float slope = (float)l->arg[0];

		o.kind = TFL_LEAKY_OPTIONS;
		o.n_options = 1;
		memcpy(&o.option[0].bits, &slope, sizeof slope);
	}
	o.out = tfl_put_value(t, l->text, t->shape, i + 1);
	tfl_put_op(t, &o);
	return HN_OK;
}

static const struct writer {
	const char *layer;
	hn_status (*put)(struct tfl *t, unsigned i);
} rows[] = {
	{ "dense", put_dense }, { "conv1d", put_conv1d }, { "maxpool", put_pool },
	{ "avgpool", put_pool }, { "globalavgpool", put_pool }, { "flatten", put_flatten },
	{ "relu", put_unary }, { "relu6", put_unary }, { "leaky_relu", put_unary },
	{ "tanh", put_unary }, { "sigmoid", put_unary }, { "dwconv1d", put_dwconv1d },
	{ "add", put_add }, { "softmax", put_softmax },
};

hn_status tfl_put_layer(struct tfl *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	hn_status rc;

	if (hn_quant_fused(t->x->net, i))
		return HN_OK;
	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
		if (strcmp(rows[k].layer, l->type->name) != 0)
			continue;
		rc = l->type->only_shape ? HN_OK : hn_image_next(&t->image, i, t->err);
		return rc ? rc : rows[k].put(t, i);
	}
	return hn_fail(t->err, HN_EINVAL, "export: layer %u '%s': .tflite has no such operator",
	               l->number, l->text);
}

