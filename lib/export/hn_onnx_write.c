/* A net as .onnx, opset 13.  Convolutions and pools of ONNX want (batch, channels, frames), our
 * windows are (batch, frames, channels): a Transpose stands where the two meet.
 *
 * int8 (QDQ): constants are int8 and int32 behind DequantizeLinear, and each value that the device
 * rounds passes QuantizeLinear and DequantizeLinear.  Input and output are int8. */
#include "hn_export_parts.h"

#include <stdio.h>
#include <string.h>
#include "hn_onnx.h"
#include "hn_pb.h"

enum { TEXT_MAX = 64, INPUTS_MAX = 4, ATTRS_MAX = 4, INTS_MAX = 4 };

enum layout { FRAMES_FIRST, CHANNELS_FIRST, FLAT };      /* (N, len, ch), (N, ch, len), (N, n) */

struct onx {
	struct hn_pb_writer w;
	const struct hn_export *x;
	struct hn_image_walk image;
	struct hn_err *err;
	bool int8;
	unsigned n_values, n_constants, n_nodes;
	char now[TEXT_MAX];             /* the present value                                  */
	enum layout layout;
	struct hn_shape shape;
};

/* --- parts of a graph ----------------------------------------------------------------------- */

struct attr { const char *name; int64_t v[INTS_MAX]; unsigned n; bool list; float f; };

struct node {
	const char *op, *name;
	const char *in[INPUTS_MAX];
	unsigned n_in;
	const char *out;
	struct attr attr[ATTRS_MAX];
	unsigned n_attrs;
};

static void put_attr(struct onx *t, const struct attr *a)
{
	const size_t mark = hn_pb_begin(&t->w, ONNX_NODE_ATTRIBUTE);

	hn_pb_text(&t->w, ONNX_ATTR_NAME, a->name);
	if (a->n == 0)
		hn_pb_f32(&t->w, ONNX_ATTR_F, a->f);
	for (unsigned i = 0; i < a->n; i++)
		hn_pb_int(&t->w, a->list ? ONNX_ATTR_INTS : ONNX_ATTR_I, a->v[i]);
	hn_pb_int(&t->w, ONNX_ATTR_TYPE,
	          a->n == 0 ? ONNX_IS_FLOAT : a->list ? ONNX_IS_INTS : ONNX_IS_INT);
	hn_pb_end(&t->w, mark);
}

static void put_node(struct onx *t, const struct node *n)
{
	const size_t mark = hn_pb_begin(&t->w, ONNX_GRAPH_NODE);
	char name[TEXT_MAX + 16];

	for (unsigned i = 0; i < n->n_in; i++)
		hn_pb_text(&t->w, ONNX_NODE_INPUT, n->in[i]);
	hn_pb_text(&t->w, ONNX_NODE_OUTPUT, n->out);
	(void)snprintf(name, sizeof name, "%u %s", ++t->n_nodes, n->name ? n->name : n->op);
	hn_pb_text(&t->w, ONNX_NODE_NAME, name);
	hn_pb_text(&t->w, ONNX_NODE_OP, n->op);
	for (unsigned i = 0; i < n->n_attrs; i++)
		put_attr(t, &n->attr[i]);
	hn_pb_end(&t->w, mark);
}

struct constant { uint8_t type; int64_t dim[3]; unsigned rank; size_t bytes; };

/* Writes its name; the bytes are the caller's to fill (NULL when counting). */
static uint8_t *put_constant(struct onx *t, const struct constant *c, char name[TEXT_MAX])
{
	const size_t mark = hn_pb_begin(&t->w, ONNX_GRAPH_CONSTANT);
	uint8_t *p;

	(void)snprintf(name, TEXT_MAX, "c%u", ++t->n_constants);
	for (unsigned i = 0; i < c->rank; i++)
		hn_pb_int(&t->w, ONNX_TENSOR_DIMS, c->dim[i]);
	hn_pb_int(&t->w, ONNX_TENSOR_TYPE, c->type);
	hn_pb_text(&t->w, ONNX_TENSOR_NAME, name);
	p = hn_pb_room(&t->w, ONNX_TENSOR_RAW, c->bytes);
	if (p)
		memset(p, 0, c->bytes);
	hn_pb_end(&t->w, mark);
	/* the end moved everything up by the bytes of its length; the room is still the last part */
	return p ? t->w.p + t->w.len - c->bytes : NULL;
}

static void put_f32(struct onx *t, float v, char name[TEXT_MAX])
{
	uint8_t *p = put_constant(t, &(struct constant){ ONNX_FLOAT, { 0 }, 0, sizeof v }, name);

	if (p)
		memcpy(p, &v, sizeof v);
}

static void put_i8(struct onx *t, int8_t v, char name[TEXT_MAX])
{
	uint8_t *p = put_constant(t, &(struct constant){ ONNX_INT8, { 0 }, 0, 1 }, name);

	if (p)
		*p = (uint8_t)v;
}

/* The node's output becomes the present value. */
static void step(struct onx *t, struct node *n)
{
	char out[TEXT_MAX], in[TEXT_MAX];

	(void)snprintf(out, sizeof out, "v%u", ++t->n_values);
	memcpy(in, t->now, sizeof in);
	n->in[0] = in;
	n->n_in = n->n_in ? n->n_in : 1;
	n->out = out;
	put_node(t, n);
	memcpy(t->now, out, sizeof out);
}

/* --- layouts -------------------------------------------------------------------------------- */

static void transpose(struct onx *t, enum layout to)
{
	step(t, &(struct node){ .op = "Transpose", .n_attrs = 1,
	                        .attr = { { .name = "perm", .v = { 0, 2, 1 }, .n = 3, .list = true } } });
	t->layout = to;
}

static void flatten(struct onx *t)
{
	if (t->layout == CHANNELS_FIRST)
		transpose(t, FRAMES_FIRST);
	if (t->layout == FRAMES_FIRST)
		step(t, &(struct node){ .op = "Flatten", .n_attrs = 1,
		                        .attr = { { .name = "axis", .v = { 1 }, .n = 1 } } });
	t->layout = FLAT;
}

/* The value as (N, ch, len). */
static void channels_first(struct onx *t)
{
	const int64_t dim[] = { 0, t->shape.ch, t->shape.len };  /* 0: as it is */
	char shape[TEXT_MAX];
	uint8_t *p;

	if (t->layout == FRAMES_FIRST)
		transpose(t, CHANNELS_FIRST);
	if (t->layout == CHANNELS_FIRST)
		return;
	p = put_constant(t, &(struct constant){ ONNX_INT64, { 3 }, 1, sizeof dim }, shape);
	if (p)
		memcpy(p, dim, sizeof dim);
	step(t, &(struct node){ .op = "Reshape", .in = { NULL, shape }, .n_in = 2 });
	t->layout = CHANNELS_FIRST;
}

/* --- int8 ----------------------------------------------------------------------------------- */

static void quantise(struct onx *t, unsigned g, bool back)
{
	static const char *const ops[] = { "QuantizeLinear", "DequantizeLinear" };
	char scale[TEXT_MAX], zp[TEXT_MAX];

	if (!t->int8)
		return;
	put_f32(t, t->x->calib->grid[g].scale, scale);
	put_i8(t, t->x->calib->grid[g].zp, zp);
	step(t, &(struct node){ .op = ops[back], .in = { NULL, scale, zp }, .n_in = 3 });
}

/* Value g of the calibration, as the device rounds it. */
static void round_to(struct onx *t, unsigned g)
{
	quantise(t, g, false);
	quantise(t, g, true);
}

/* An int8 or int32 constant with a scale for each of its `out` channels; the float form
 * gets a name. */
struct scaled { struct constant c; size_t out; const float *scale; };

static uint8_t *put_scaled(struct onx *t, const struct scaled *s, char name[TEXT_MAX])
{
	char q[TEXT_MAX], scale[TEXT_MAX], zero[TEXT_MAX];
	const size_t zero_bytes = s->out * (s->c.type == ONNX_INT8 ? 1 : 4);
	uint8_t *p;

	p = put_constant(t, &(struct constant){ ONNX_FLOAT, { (int64_t)s->out }, 1, 4 * s->out }, scale);
	if (p)
		memcpy(p, s->scale, 4 * s->out);
	(void)put_constant(t, &(struct constant){ s->c.type, { (int64_t)s->out }, 1, zero_bytes }, zero);
	(void)snprintf(name, TEXT_MAX, "d%u", t->n_constants);
	(void)snprintf(q, sizeof q, "c%u", t->n_constants + 1);
	put_node(t, &(struct node){ .op = "DequantizeLinear", .in = { q, scale, zero }, .n_in = 3,
	         .out = name, .n_attrs = 1, .attr = { { .name = "axis", .v = { 0 }, .n = 1 } } });
	return put_constant(t, &s->c, q);
}

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

static hn_status put_weights8(struct onx *t, unsigned i, const struct constant *shape,
                              const struct order *o, char name[2][TEXT_MAX])
{
	const struct hn_product8 p = hn_product8_of(&t->image.layer, o->kernel * o->ch);
	const struct hn_layer *l = &t->x->net->layer[i];
	struct scaled w = { *shape, o->out, NULL }, b = { { ONNX_INT32, { (int64_t)o->out }, 1,
		4 * o->out }, o->out, NULL };
	struct order bytes = *o;
	float scale[2][1024];
	uint8_t *to;
	hn_status rc = HN_OK;

	if (o->out > 1024)
		return hn_fail(t->err, HN_EINVAL, "export: layer %u '%s': more than 1024 channels", i + 1,
		               l->text);
	for (size_t k = 0; k < o->out && !rc; k++) {
		rc = hn_product8_scale(&t->image, i, k, &scale[0][k], t->err);
		scale[1][k] = rc ? 0 : t->x->calib->grid[i].scale * scale[0][k];
	}
	w.scale = scale[0];
	w.c.type = ONNX_INT8;
	w.c.bytes = o->out * o->kernel * o->ch;
	bytes.size = 1;
	to = rc ? NULL : put_scaled(t, &w, name[0]);
	if (to)
		reorder(&bytes, p.w, to);
	b.scale = scale[1];
	to = rc ? NULL : put_scaled(t, &b, name[1]);
	if (to)
		memcpy(to, p.bias, 4 * o->out);
	return rc;
}

/* Weights and bias of layer i; `shape` lacks only type and bytes. */
static hn_status put_weights(struct onx *t, unsigned i, const struct constant *shape,
                             const struct order *o, char name[2][TEXT_MAX])
{
	const float *w = t->x->weights + t->x->net->layer[i].w_at;
	const size_t n = o->out * o->kernel * o->ch;
	struct constant c = *shape;
	uint8_t *to;

	if (t->int8)
		return put_weights8(t, i, shape, o, name);
	c.type = ONNX_FLOAT;
	c.bytes = 4 * n;
	to = put_constant(t, &c, name[0]);
	if (to)
		reorder(o, (const uint8_t *)w, to);
	to = put_constant(t, &(struct constant){ ONNX_FLOAT, { (int64_t)o->out }, 1, 4 * o->out },
	                  name[1]);
	if (to)
		memcpy(to, w + n, 4 * o->out);
	return HN_OK;
}

static hn_status put_dense(struct onx *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	const struct order o = { l->out.ch, 1, hn_size(l->in), 4 };
	const struct constant shape = { .dim = { (int64_t)o.out, (int64_t)o.ch }, .rank = 2 };
	char name[2][TEXT_MAX];
	hn_status rc;

	flatten(t);
	rc = put_weights(t, i, &shape, &o, name);
	if (rc)
		return rc;
	step(t, &(struct node){ .op = "Gemm", .name = l->text, .in = { NULL, name[0], name[1] }, .n_in = 3,
	                        .n_attrs = 1, .attr = { { .name = "transB", .v = { 1 }, .n = 1 } } });
	return HN_OK;
}

static hn_status put_conv1d(struct onx *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	const struct hn_taps g = hn_taps_of(l);
	const struct order o = { l->out.ch, (size_t)g.kernel, l->in.ch, 4 };
	const struct constant shape = { .dim = { (int64_t)o.out, (int64_t)o.ch, g.kernel }, .rank = 3 };
	struct node n = { .op = "Conv", .name = l->text, .n_in = 3, .n_attrs = 4, .attr = {
		{ .name = "kernel_shape", .v = { g.kernel }, .n = 1, .list = true },
		{ .name = "strides", .v = { g.stride }, .n = 1, .list = true },
		{ .name = "dilations", .v = { g.dilation }, .n = 1, .list = true },
		{ .name = "pads", .v = { g.pad_front, g.pad_back }, .n = 2, .list = true } } };
	char name[2][TEXT_MAX];
	hn_status rc;

	channels_first(t);
	rc = put_weights(t, i, &shape, &o, name);
	n.in[1] = name[0];
	n.in[2] = name[1];
	if (!rc)
		step(t, &n);
	return rc;
}

/* --- other layers --------------------------------------------------------------------------- */

static hn_status put_pool(struct onx *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	const struct hn_taps g = hn_taps_of(l);
	struct node n = { .op = "AveragePool", .name = l->text, .n_attrs = 2, .attr = {
		{ .name = "kernel_shape", .v = { g.kernel }, .n = 1, .list = true },
		{ .name = "strides", .v = { g.stride }, .n = 1, .list = true } } };

	channels_first(t);
	if (strcmp(l->type->name, "maxpool") == 0)
		n.op = "MaxPool";
	if (l->n_args == 0) {
		n.op = "GlobalAveragePool";
		n.n_attrs = 0;
	}
	step(t, &n);
	return HN_OK;
}

static hn_status put_flatten(struct onx *t, unsigned i)
{
	(void)i;
	flatten(t);
	return HN_OK;
}

static hn_status put_relu6(struct onx *t, unsigned i)
{
	char lo[TEXT_MAX], hi[TEXT_MAX];

	put_f32(t, 0, lo);
	put_f32(t, 6, hi);
	step(t, &(struct node){ .op = "Clip", .name = t->x->net->layer[i].text, .in = { NULL, lo, hi },
	                        .n_in = 3 });
	return HN_OK;
}

static hn_status put_leaky_relu(struct onx *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];

	step(t, &(struct node){ .op = "LeakyRelu", .name = l->text, .n_attrs = 1,
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
			step(t, &(struct node){ .op = ops[k][1], .name = l->text });
	return HN_OK;
}

static const struct writer {
	const char *layer;
	hn_status (*put)(struct onx *t, unsigned i);
} rows[] = {
	{ "dense", put_dense }, { "conv1d", put_conv1d }, { "maxpool", put_pool },
	{ "avgpool", put_pool }, { "globalavgpool", put_pool }, { "flatten", put_flatten },
	{ "relu", put_named }, { "relu6", put_relu6 }, { "leaky_relu", put_leaky_relu },
	{ "tanh", put_named }, { "sigmoid", put_named },
};

static hn_status put_layer(struct onx *t, unsigned i)
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
			round_to(t, i + 1);
		return rc;
	}
	return hn_fail(t->err, HN_EINVAL, "export: layer %u '%s': .onnx has no such operator", i + 1,
	               l->text);
}

/* --- the file ------------------------------------------------------------------------------- */

static void put_dim(struct onx *t, const char *name, int64_t v)
{
	const size_t mark = hn_pb_begin(&t->w, ONNX_SHAPE_DIM);

	if (name)
		hn_pb_text(&t->w, ONNX_DIM_NAME, name);
	else
		hn_pb_int(&t->w, ONNX_DIM_VALUE, v);
	hn_pb_end(&t->w, mark);
}

/* Input or output of the graph: (N, len, ch), or (N, ch) for one frame. */
static void put_value(struct onx *t, unsigned field, const char *name, struct hn_shape s)
{
	const size_t value = hn_pb_begin(&t->w, field);
	size_t type, tensor, shape;

	hn_pb_text(&t->w, ONNX_VALUE_NAME, name);
	type = hn_pb_begin(&t->w, ONNX_VALUE_TYPE);
	tensor = hn_pb_begin(&t->w, ONNX_TYPE_TENSOR);
	hn_pb_int(&t->w, ONNX_TYPE_ELEMENT, t->int8 ? ONNX_INT8 : ONNX_FLOAT);
	shape = hn_pb_begin(&t->w, ONNX_TYPE_SHAPE);
	put_dim(t, "N", 0);
	if (s.len > 1)
		put_dim(t, NULL, s.len);
	put_dim(t, NULL, s.ch);
	hn_pb_end(&t->w, shape);
	hn_pb_end(&t->w, tensor);
	hn_pb_end(&t->w, type);
	hn_pb_end(&t->w, value);
}

/* The last value under the name that the graph's output has. */
static void put_output(struct onx *t)
{
	const struct hn_net *net = t->x->net;

	flatten(t);
	quantise(t, net->n_layers, false);
	put_node(t, &(struct node){ .op = "Identity", .in = { t->now }, .n_in = 1, .out = "output" });
	put_value(t, ONNX_GRAPH_OUTPUT, "output", (struct hn_shape){ 1, net->out_n });
}

static hn_status put_graph(struct onx *t)
{
	const struct hn_net *net = t->x->net;
	const size_t mark = hn_pb_begin(&t->w, ONNX_MODEL_GRAPH);
	hn_status rc = hn_image_start(&t->image, t->x, t->err);

	(void)snprintf(t->now, sizeof t->now, "input");
	t->shape = net->in;
	t->layout = net->in.len > 1 ? FRAMES_FIRST : FLAT;
	quantise(t, 0, true);
	for (unsigned i = 0; i < net->n_layers && !rc; i++)
		rc = put_layer(t, i);
	hn_pb_text(&t->w, ONNX_GRAPH_NAME, "main");
	put_value(t, ONNX_GRAPH_INPUT, "input", net->in);
	put_output(t);
	hn_pb_end(&t->w, mark);
	return rc;
}

static void put_head(struct onx *t)
{
	char note[HN_NOTE_MAX];
	size_t mark;

	hn_pb_int(&t->w, ONNX_MODEL_IR, 8);
	hn_pb_text(&t->w, ONNX_MODEL_PRODUCER, "honed");
	mark = hn_pb_begin(&t->w, ONNX_MODEL_OPSET);
	hn_pb_text(&t->w, ONNX_OPSET_DOMAIN, "");
	hn_pb_int(&t->w, ONNX_OPSET_VERSION, 13);
	hn_pb_end(&t->w, mark);
	(void)hn_note_text(t->x, note, sizeof note);
	mark = hn_pb_begin(&t->w, ONNX_MODEL_META);
	hn_pb_text(&t->w, ONNX_META_KEY, HN_ONNX_NOTE);
	hn_pb_text(&t->w, ONNX_META_VALUE, note);
	hn_pb_end(&t->w, mark);
}

hn_status hn_onnx_write(const struct hn_export *x, struct hn_bytes out, size_t *len,
                        struct hn_err *err)
{
	struct onx t = { .w = { .p = out.p, .cap = out.cap }, .x = x, .err = err, .int8 = x->image };
	hn_status rc;

	put_head(&t);
	rc = put_graph(&t);
	if (!rc && t.w.full)
		rc = hn_fail(err, HN_ENOMEM, "export: more than %zu bytes", out.cap);
	if (!rc)
		*len = t.w.len;
	return rc;
}
