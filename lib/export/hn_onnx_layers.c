/* Layers as nodes of .onnx. */
#include "hn_onnx_write.h"

#include <string.h>
#include "hn_onnx.h"

/* --- products ------------------------------------------------------------------------------- */

/* From [out][kernel][ch] to [out][ch][kernel], elements of `size` bytes. */
struct order { size_t out, kernel, ch, size; };

static void reorder(const struct order *o, const uint8_t *from, uint8_t *to)
{
	for (size_t k = 0; k < o->out; k++)
		for (size_t j = 0; j < o->kernel; j++)
			for (size_t c = 0; c < o->ch; c++)
				memcpy(to + ((k * o->ch + c) * o->kernel + j) * o->size,
				       from + ((k * o->kernel + j) * o->ch + c) * o->size, o->size);
}

static hn_status put_weights8(struct onx *t, unsigned i, const struct onx_constant *shape,
                              const struct order *o, char name[2][ONX_TEXT_MAX])
{
	const struct hn_product8 p = hn_product8_of(&t->image, o->kernel * o->ch);
	const struct hn_layer *l = &t->x->net->layer[i];
	struct onx_scaled w = { *shape, o->out, NULL }, b = { { ONNX_INT32, { (int64_t)o->out }, 1,
		4 * o->out }, o->out, NULL };
	struct order bytes = *o;
	float scale[2][1024];
	uint8_t *to;
	hn_status rc = HN_OK;

	if (o->out > 1024)
		return hn_fail(t->err, HN_EINVAL, "export: layer %u '%s': more than 1024 channels",
		               l->number, l->text);
	for (size_t k = 0; k < o->out && !rc; k++) {
		rc = hn_product8_scale(&t->image, i, k, &scale[0][k], t->err);
		scale[1][k] = rc ? 0 : t->x->calib->grid[i].scale * scale[0][k];
	}
	w.scale = scale[0];
	w.c.type = ONNX_INT8;
	w.c.bytes = o->out * o->kernel * o->ch;
	bytes.size = 1;
	to = rc ? NULL : onx_put_scaled(t, &w, name[0]);
	if (to)
		reorder(&bytes, p.w, to);
	b.scale = scale[1];
	to = rc ? NULL : onx_put_scaled(t, &b, name[1]);
	if (to)
		memcpy(to, p.bias, 4 * o->out);
	return rc;
}

/* Weights and bias of layer i; `shape` lacks only type and bytes. */
static hn_status put_weights(struct onx *t, unsigned i, const struct onx_constant *shape,
                             const struct order *o, char name[2][ONX_TEXT_MAX])
{
	const float *w = t->x->weights + t->x->net->layer[i].w_at;
	const size_t n = o->out * o->kernel * o->ch;
	struct onx_constant c = *shape;
	uint8_t *to;

	if (t->int8)
		return put_weights8(t, i, shape, o, name);
	c.type = ONNX_FLOAT;
	c.bytes = 4 * n;
	to = onx_put_constant(t, &c, name[0]);
	if (to)
		reorder(o, (const uint8_t *)w, to);
	to = onx_put_constant(t, &(struct onx_constant){ ONNX_FLOAT, { (int64_t)o->out }, 1, 4 * o->out },
	                  name[1]);
	if (to)
		memcpy(to, w + n, 4 * o->out);
	return HN_OK;
}

static hn_status put_dense(struct onx *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	const struct order o = { l->out.ch, 1, hn_size(l->in), 4 };
	const struct onx_constant shape = { .dim = { (int64_t)o.out, (int64_t)o.ch }, .rank = 2 };
	char name[2][ONX_TEXT_MAX];
	hn_status rc;

	onx_turn(t, FLAT);
	rc = put_weights(t, i, &shape, &o, name);
	if (rc)
		return rc;
	onx_step(t, &(struct onx_node){ .op = "Gemm", .name = l->text, .n_in = 3,
	         .in = { NULL, name[0], name[1] }, .n_attrs = 1,
	         .attr = { { .name = "transB", .v = { 1 }, .n = 1 } } });
	return HN_OK;
}

static hn_status put_window(struct onx *t, unsigned i, const struct order *o, int64_t groups)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	const struct hn_window g = hn_window_of(l);
	const struct onx_constant shape = { .dim = { (int64_t)o->out, (int64_t)o->ch, g.kernel },
		.rank = 3 };
	struct onx_node n = { .op = "Conv", .name = l->text, .n_in = 3, .n_attrs = 5, .attr = {
		{ .name = "kernel_shape", .v = { g.kernel }, .n = 1, .list = true },
		{ .name = "strides", .v = { g.stride }, .n = 1, .list = true },
		{ .name = "dilations", .v = { g.dilation }, .n = 1, .list = true },
		{ .name = "pads", .v = { g.pad_front, g.pad_back }, .n = 2, .list = true },
		{ .name = "group", .v = { groups }, .n = 1 } } };
	char name[2][ONX_TEXT_MAX];
	hn_status rc;

	onx_turn(t, CHANNELS_FIRST);
	rc = put_weights(t, i, &shape, o, name);
	n.in[1] = name[0];
	n.in[2] = name[1];
	if (!rc)
		onx_step(t, &n);
	return rc;
}

static hn_status put_conv1d(struct onx *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];

	return put_window(t, i, &(struct order){ l->out.ch, (size_t)l->arg[1], l->in.ch, 4 }, 1);
}

static hn_status put_dwconv1d(struct onx *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];

	return put_window(t, i, &(struct order){ l->out.ch, (size_t)l->arg[0], 1, 4 }, l->in.ch);
}

/* --- other layers --------------------------------------------------------------------------- */

/* The device rounds halves of a mean away from zero, in its own numbers; ONNX to even ones.  So
 * they are read without their zero point and a little too large: by less than what lies between a
 * half and the next mean, 1 / n. */
static void put_mean(struct onx *t, struct onx_node *n, struct hn_grid g, int32_t frames)
{
	const struct hn_grid plain = { g.scale, 0 };
	const struct hn_grid larger = { g.scale * (1.0f + 1.0f / (512.0f * (float)frames)), 0 };

	onx_grid(t, g, false);
	onx_grid(t, larger, true);
	onx_step(t, n);
	onx_grid(t, plain, false);
	onx_grid(t, g, true);
}

static hn_status put_pool(struct onx *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	const struct hn_window g = hn_window_of(l);
	struct onx_node n = { .op = "AveragePool", .name = l->text, .n_attrs = 2, .attr = {
		{ .name = "kernel_shape", .v = { g.kernel }, .n = 1, .list = true },
		{ .name = "strides", .v = { g.stride }, .n = 1, .list = true } } };
	const bool largest = strcmp(l->type->name, "maxpool") == 0;

	onx_turn(t, CHANNELS_FIRST);
	if (largest)
		n.op = "MaxPool";
	if (l->n_args == 0) {
		n.op = "GlobalAveragePool";
		n.n_attrs = 0;
	}
	if (largest || !t->int8)
		onx_step(t, &n);
	else
		put_mean(t, &n, t->x->calib->grid[i], g.kernel);
	return HN_OK;
}

static hn_status put_flatten(struct onx *t, unsigned i)
{
	(void)i;
	onx_turn(t, FLAT);
	return HN_OK;
}

static hn_status put_relu6(struct onx *t, unsigned i)
{
	char lo[ONX_TEXT_MAX], hi[ONX_TEXT_MAX];

	onx_put_f32(t, 0, lo);
	onx_put_f32(t, 6, hi);
	onx_step(t, &(struct onx_node){ .op = "Clip", .name = t->x->net->layer[i].text,
	         .in = { NULL, lo, hi }, .n_in = 3 });
	return HN_OK;
}

static hn_status put_leaky_relu(struct onx *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];

	onx_step(t, &(struct onx_node){ .op = "LeakyRelu", .name = l->text, .n_attrs = 1,
	                        .attr = { { .name = "alpha", .f = (float)l->arg[0] } } });
	return HN_OK;
}

static hn_status put_named(struct onx *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	static const char *const ops[][2] = { { "relu", "Relu" }, { "tanh", "Tanh" },
		{ "sigmoid", "Sigmoid" } };

	for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
		if (strcmp(ops[k][0], l->type->name) == 0)
			onx_step(t, &(struct onx_node){ .op = ops[k][1], .name = l->text });
	return HN_OK;
}

/* Both values in the layout of the earlier one. */
static hn_status put_add(struct onx *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	const struct onx_kept *k = &t->kept[l->from];

	onx_turn(t, k->layout);
	onx_step(t, &(struct onx_node){ .op = "Add", .name = l->text, .in = { NULL, k->name },
	         .n_in = 2 });
	return HN_OK;
}

static hn_status put_softmax(struct onx *t, unsigned i)
{
	const int64_t axis = t->layout == FRAMES_FIRST ? 2 : 1;

	if (t->layout == FLAT && t->shape.len > 1)
		onx_turn(t, CHANNELS_FIRST);
	onx_step(t, &(struct onx_node){ .op = "Softmax", .name = t->x->net->layer[i].text, .n_attrs = 1,
	         .attr = { { .name = "axis", .v = { axis }, .n = 1 } } });
	return HN_OK;
}

/* --- gru ------------------------------------------------------------------------------------ */

/* `rows` rows of `row` weights in gates r, z, n to the order of ONNX, z, r, n. */
static uint8_t *put_gates(uint8_t *to, const float *from, size_t bytes)
{
	static const size_t order[] = { 1, 0, 2 };

	for (unsigned g = 0; to && g < 3; g++)
		memcpy(to + g * bytes, (const uint8_t *)from + order[g] * bytes, bytes);
	return to ? to + 3 * bytes : NULL;
}

static void move_axis(struct onx *t, const char *op, int64_t axis)
{
	char axes[ONX_TEXT_MAX];
	uint8_t *p = onx_put_constant(t, &(struct onx_constant){ ONNX_INT64, { 1 }, 1, 8 }, axes);

	if (p)
		memcpy(p, &axis, sizeof axis);
	onx_step(t, &(struct onx_node){ .op = op, .in = { NULL, axes }, .n_in = 2 });
}

static void swap_batch(struct onx *t)
{
	onx_step(t, &(struct onx_node){ .op = "Transpose", .n_attrs = 1,
	         .attr = { { .name = "perm", .v = { 1, 0, 2 }, .n = 3, .list = true } } });
}

/* Frames, batch, channels; the weights of an int8 net stay float: there is no operator for less. */
static hn_status put_gru(struct onx *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	const size_t n = l->out.ch, ch = l->in.ch;
	const float *w = t->x->weights + l->w_at;
	const int64_t rows = (int64_t)(3 * n);
	struct onx_node g = { .op = "GRU", .name = l->text, .n_in = 4, .n_attrs = 2, .attr = {
		{ .name = "hidden_size", .v = { (int64_t)n }, .n = 1 },
		{ .name = "linear_before_reset", .v = { 1 }, .n = 1 } } };
	char name[3][ONX_TEXT_MAX];

	onx_turn(t, FRAMES_FIRST);
	swap_batch(t);
	(void)put_gates(onx_put_constant(t, &(struct onx_constant){ ONNX_FLOAT, { 1, rows, (int64_t)ch },
	                3, 12 * n * ch }, name[0]), w, 4 * n * ch);
	(void)put_gates(onx_put_constant(t, &(struct onx_constant){ ONNX_FLOAT, { 1, rows, (int64_t)n },
	                3, 12 * n * n }, name[1]), w + 3 * n * ch, 4 * n * n);
	w += 3 * n * (ch + n);
	(void)put_gates(put_gates(onx_put_constant(t, &(struct onx_constant){ ONNX_FLOAT,
	                { 1, 2 * rows }, 2, 24 * n }, name[2]), w, 4 * n), w + 3 * n, 4 * n);
	for (unsigned k = 0; k < 3; k++)
		g.in[k + 1] = name[k];
	g.last_only = l->opt[0] <= 0;
	onx_step(t, &g);
	move_axis(t, "Squeeze", g.last_only ? 0 : 1);
	if (!g.last_only)
		swap_batch(t);
	t->layout = g.last_only ? FLAT : FRAMES_FIRST;
	return HN_OK;
}

static const struct writer {
	const char *layer;
	hn_status (*put)(struct onx *t, unsigned i);
} rows[] = {
	{ "dense", put_dense }, { "conv1d", put_conv1d }, { "maxpool", put_pool },
	{ "avgpool", put_pool }, { "globalavgpool", put_pool }, { "flatten", put_flatten },
	{ "relu", put_named }, { "relu6", put_relu6 }, { "leaky_relu", put_leaky_relu },
	{ "tanh", put_named }, { "sigmoid", put_named }, { "dwconv1d", put_dwconv1d },
	{ "add", put_add }, { "softmax", put_softmax }, { "gru", put_gru },
};

hn_status onx_put_layer(struct onx *t, unsigned i)
{
	const struct hn_net *net = t->x->net;
	const struct hn_layer *l = &net->layer[i];
	hn_status rc = HN_OK;

	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
		if (strcmp(rows[k].layer, l->type->name) != 0)
			continue;
		if (!hn_quant_skips(net, i))
			rc = hn_image_next(&t->image, i, t->err);
		if (!rc)
			rc = rows[k].put(t, i);
		t->shape = l->out;
		/* a bound that the device fuses is rounded once, behind it */
		if (!rc && !l->type->only_shape && !hn_quant_fused(net, i + 1))
			onx_round_to(t, i + 1);
		return rc;
	}
	return hn_fail(t->err, HN_EINVAL, "export: layer %u '%s': .onnx has no such operator",
	               l->number, l->text);
}

