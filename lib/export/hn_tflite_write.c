/* A net as .tflite.  Sequences are images of height 1, [1, 1, frames, channels]; a bound behind a
 * product or pool is its fused activation, as in the device's image.
 *
 * Offsets point forward, so a list stands before its items: the file is written twice, the first
 * time only to count them.
 *
 * int8 dense layers are written as CONV_2D with a window of one: its weights have a scale for each
 * channel everywhere, those of FULLY_CONNECTED only in newer runtimes. */
#include "hn_export_parts.h"

#include <string.h>
#include "hn_fb.h"
#include "hn_tflite.h"

enum { CODES_MAX = 16, RANK_MAX = 4, OP_INPUTS_MAX = 3, OPTIONS_MAX = 6 };

struct shape { uint8_t rank; int32_t dim[RANK_MAX]; };

struct code { uint8_t builtin, version; };

struct tfl {
	struct hn_fb_writer w;
	const struct hn_export *x;
	struct hn_image_walk image;
	struct hn_err *err;
	bool int8;
	uint32_t tensors, buffers, ops, codes;   /* vectors of offsets, which point forward    */
	struct code code[CODES_MAX];
	unsigned n_tensors, n_buffers, n_ops, n_codes;
	int32_t in, now;                 /* tensors: input of the net, present value           */
	struct shape shape;              /* of the present value                               */
};

/* --- tensors -------------------------------------------------------------------------------- */

struct spec {
	const char *name;
	uint8_t type;
	struct shape shape;
	const void *data;                /* (bytes,) of a constant, NULL = a value             */
	size_t bytes;
	const float *scale;              /* (n_scales,)                                        */
	size_t n_scales;
	int8_t zp;
};

static size_t elements(const struct shape *s)
{
	size_t n = 1;

	for (unsigned i = 0; i < s->rank; i++)
		n *= (size_t)s->dim[i];
	return n;
}

/* Buffer 0 is the empty one of all values. */
static uint32_t put_buffer(struct tfl *t, const void *data, size_t bytes)
{
	const uint32_t table = hn_fb_table(&t->w, &(struct hn_fb_value){ 0, 0 }, data ? 1 : 0);

	if (data)
		hn_fb_link(&t->w, table, 0,
		           hn_fb_vector(&t->w, &(struct hn_fb_array){ data, bytes, 1, 16 }));
	hn_fb_link_at(&t->w, t->buffers, t->n_buffers, table);
	return t->n_buffers++;
}

static void put_grid(struct tfl *t, uint32_t tensor, const struct spec *s)
{
	static const struct hn_fb_value fields[] = { { TFL_GRID_SCALE, 0 }, { TFL_GRID_ZERO, 0 } };
	const uint32_t grid = hn_fb_table(&t->w, fields, 2);
	const struct hn_fb_array scales = { s->scale, s->n_scales, 4, 4 };
	const struct hn_fb_array zeros = { NULL, s->n_scales, 8, 8 };
	uint32_t at;
	uint8_t *p;

	hn_fb_link(&t->w, tensor, TFL_TENSOR_GRID, grid);
	hn_fb_link(&t->w, grid, TFL_GRID_SCALE, hn_fb_vector(&t->w, &scales));
	at = hn_fb_vector(&t->w, &zeros);
	hn_fb_link(&t->w, grid, TFL_GRID_ZERO, at);
	p = hn_fb_at(&t->w, at, 0);
	if (p && s->n_scales == 1)
		memset(p, s->zp < 0 ? 0xff : 0, 8);      /* the sign of an i64 */
	if (p && s->n_scales == 1)
		p[0] = (uint8_t)s->zp;
}

/* Returns its index. */
static int32_t put_tensor(struct tfl *t, const struct spec *s)
{
	const uint32_t buffer = s->data ? put_buffer(t, s->data, s->bytes) : 0;
	const struct hn_fb_value fields[] = { { TFL_TENSOR_SHAPE, 0 }, { TFL_TENSOR_TYPE, s->type },
		{ TFL_TENSOR_BUFFER, buffer }, { TFL_TENSOR_NAME, 0 }, { TFL_TENSOR_GRID, 0 } };
	const uint32_t table = hn_fb_table(&t->w, fields, s->n_scales ? 5 : 4);

	hn_fb_link(&t->w, table, TFL_TENSOR_SHAPE,
	           hn_fb_vector(&t->w, &(struct hn_fb_array){ s->shape.dim, s->shape.rank, 4, 4 }));
	hn_fb_link(&t->w, table, TFL_TENSOR_NAME, hn_fb_string(&t->w, s->name));
	if (s->n_scales)
		put_grid(t, table, s);
	hn_fb_link_at(&t->w, t->tensors, t->n_tensors, table);
	return (int32_t)t->n_tensors++;
}

/* A value between two operators: float, or int8 on the grid of tensor `g` of the calibration. */
static int32_t put_value(struct tfl *t, const char *name, struct shape shape, unsigned g)
{
	struct spec s = { .name = name, .type = TFL_FLOAT32, .shape = shape };

	if (t->int8) {
		s.type = TFL_INT8;
		s.scale = &t->x->calib->grid[g].scale;
		s.n_scales = 1;
		s.zp = t->x->calib->grid[g].zp;
	}
	return put_tensor(t, &s);
}

/* --- operators ------------------------------------------------------------------------------ */

struct op {
	struct code code;
	int32_t in[OP_INPUTS_MAX];
	unsigned n_in;
	int32_t out;
	uint8_t kind;                    /* of the options, 0 = none                           */
	struct hn_fb_value option[OPTIONS_MAX];
	unsigned n_options;
	const struct shape *to;          /* of a RESHAPE                                       */
};

static uint32_t code_index(struct tfl *t, struct code c)
{
	for (unsigned i = 0; i < t->n_codes; i++)
		if (t->code[i].builtin == c.builtin && t->code[i].version == c.version)
			return i;
	t->code[t->n_codes] = c;
	return t->n_codes++;
}

static void put_op(struct tfl *t, const struct op *o)
{
	const struct hn_fb_value fields[] = { { TFL_OP_CODE, code_index(t, o->code) }, { TFL_OP_IN, 0 },
		{ TFL_OP_OUT, 0 }, { TFL_OP_KIND, o->kind }, { TFL_OP_OPTIONS, 0 } };
	const uint32_t table = hn_fb_table(&t->w, fields, o->kind ? 5 : 3);
	uint32_t options;

	hn_fb_link(&t->w, table, TFL_OP_IN,
	           hn_fb_vector(&t->w, &(struct hn_fb_array){ o->in, o->n_in, 4, 4 }));
	hn_fb_link(&t->w, table, TFL_OP_OUT,
	           hn_fb_vector(&t->w, &(struct hn_fb_array){ &o->out, 1, 4, 4 }));
	if (o->kind) {
		options = hn_fb_table(&t->w, o->option, o->n_options);
		hn_fb_link(&t->w, table, TFL_OP_OPTIONS, options);
		if (o->to)
			hn_fb_link(&t->w, options, 0, hn_fb_vector(&t->w,
			           &(struct hn_fb_array){ o->to->dim, o->to->rank, 4, 4 }));
	}
	hn_fb_link_at(&t->w, t->ops, t->n_ops++, table);
	t->now = o->out;
}

static bool same_shape(const struct shape *a, const struct shape *b)
{
	return a->rank == b->rank && memcmp(a->dim, b->dim, a->rank * sizeof *a->dim) == 0;
}

/* The present value in another shape; g its grid. */
static void reshape(struct tfl *t, struct shape to, unsigned g)
{
	const struct spec shape = { .name = "shape", .type = TFL_INT32, .shape = { 1, { to.rank } },
		.data = to.dim, .bytes = to.rank * sizeof *to.dim };
	struct op o = { .code = { TFL_RESHAPE, 1 }, .n_in = 2, .kind = TFL_RESHAPE_OPTIONS,
		.n_options = 1, .to = &to };

	if (same_shape(&t->shape, &to))
		return;
	o.in[0] = t->now;
	o.in[1] = put_tensor(t, &shape);
	o.out = put_value(t, "reshaped", to, g);
	t->shape = to;
	put_op(t, &o);
}

static struct shape as_image(struct hn_shape s)
{
	return (struct shape){ 4, { 1, 1, s.len, s.ch } };
}

static struct shape as_vector(struct hn_shape s)
{
	return (struct shape){ 2, { 1, s.len * s.ch } };
}

/* Activation that layer i applies by itself; then the layer behind it is left out. */
static uint8_t fused(const struct tfl *t, unsigned i)
{
	const struct hn_net *net = t->x->net;

	if (!hn_quant_fused(net, i + 1))
		return TFL_ACT_NONE;
	return strcmp(net->layer[i + 1].type->name, "relu") == 0 ? TFL_ACT_RELU : TFL_ACT_RELU6;
}

/* --- layers --------------------------------------------------------------------------------- */

/* Weights and bias of layer i behind the input of `o`; w8 and w32 have the same shape. */
static hn_status put_weights(struct tfl *t, unsigned i, struct shape shape, struct op *o)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	const size_t n = elements(&shape), out = l->out.ch;
	const float *w = t->x->weights + l->w_at;
	struct spec ws = { .name = "weights", .type = TFL_FLOAT32, .shape = shape, .data = w,
		.bytes = 4 * n };
	struct spec bs = { .name = "bias", .type = TFL_FLOAT32, .shape = { 1, { (int32_t)out } },
		.data = w + n, .bytes = 4 * out };
	float scale[2][1024];
	struct hn_product8 p;
	hn_status rc = HN_OK;

	if (t->int8 && out > 1024)
		return hn_fail(t->err, HN_EINVAL, "export: layer %u '%s': more than 1024 channels", i + 1,
		               l->text);
	if (t->int8) {
		p = hn_product8_of(&t->image.layer, n / out);
		for (size_t k = 0; k < out && !rc; k++) {
			rc = hn_product8_scale(&t->image, i, k, &scale[0][k], t->err);
			scale[1][k] = rc ? 0 : t->x->calib->grid[i].scale * scale[0][k];
		}
		ws = (struct spec){ "weights", TFL_INT8, shape, p.w, n, scale[0], out, 0 };
		bs = (struct spec){ "bias", TFL_INT32, bs.shape, p.bias, 4 * out, scale[1], out, 0 };
	}
	o->n_in = 3;
	o->in[1] = put_tensor(t, &ws);
	o->in[2] = put_tensor(t, &bs);
	return rc;
}

static hn_status put_conv(struct tfl *t, unsigned i, const struct hn_taps *g, struct hn_shape in)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	struct op o = { .code = { TFL_CONV_2D, t->int8 ? 3 : g->dilation > 1 ? 2 : 1 },
		.kind = TFL_CONV2D_OPTIONS, .n_options = 6, .option = {
		{ TFL_CONV_PAD, g->same ? TFL_SAME : TFL_VALID }, { TFL_CONV_STRIDE_W, (uint32_t)g->stride },
		{ TFL_CONV_STRIDE_H, 1 }, { TFL_CONV_ACT, fused(t, i) },
		{ TFL_CONV_DILATION_W, (uint32_t)g->dilation }, { TFL_CONV_DILATION_H, 1 } } };
	hn_status rc;

	reshape(t, as_image(in), i);
	o.in[0] = t->now;
	rc = put_weights(t, i, (struct shape){ 4, { l->out.ch, 1, g->kernel, in.ch } }, &o);
	t->shape = as_image(l->out);
	o.out = put_value(t, l->text, t->shape, i + 1);
	put_op(t, &o);
	return rc;
}

static hn_status put_conv1d(struct tfl *t, unsigned i)
{
	const struct hn_taps g = hn_taps_of(&t->x->net->layer[i]);

	return put_conv(t, i, &g, t->x->net->layer[i].in);
}

static hn_status put_dense(struct tfl *t, unsigned i)
{
	static const struct hn_taps one = { .kernel = 1, .stride = 1, .dilation = 1 };
	const struct hn_layer *l = &t->x->net->layer[i];
	const int32_t in = (int32_t)hn_size(l->in);
	struct op o = { .code = { TFL_FULLY_CONNECTED, 1 }, .kind = TFL_DENSE_OPTIONS, .n_options = 1,
		.option = { { 0, fused(t, i) } } };
	hn_status rc;

	if (t->int8)
		return put_conv(t, i, &one, (struct hn_shape){ 1, (uint16_t)in });
	reshape(t, as_vector(l->in), i);
	o.in[0] = t->now;
	rc = put_weights(t, i, (struct shape){ 2, { l->out.ch, in } }, &o);
	t->shape = as_vector(l->out);
	o.out = put_value(t, l->text, t->shape, i + 1);
	put_op(t, &o);
	return rc;
}

static hn_status put_pool(struct tfl *t, unsigned i)
{
	const struct hn_layer *l = &t->x->net->layer[i];
	const struct hn_taps g = hn_taps_of(l);
	struct op o = { .code = { TFL_AVERAGE_POOL_2D, t->int8 ? 2 : 1 }, .n_in = 1,
		.kind = TFL_POOL_OPTIONS, .n_options = 6, .option = {
		{ TFL_POOL_PAD, TFL_VALID }, { TFL_POOL_STRIDE_W, (uint32_t)g.stride },
		{ TFL_POOL_STRIDE_H, 1 }, { TFL_POOL_W, (uint32_t)g.kernel }, { TFL_POOL_H, 1 },
		{ TFL_POOL_ACT, fused(t, i) } } };

	if (strcmp(l->type->name, "maxpool") == 0)
		o.code.builtin = TFL_MAX_POOL_2D;
	reshape(t, as_image(l->in), i);
	o.in[0] = t->now;
	t->shape = as_image(l->out);
	o.out = put_value(t, l->text, t->shape, i + 1);
	put_op(t, &o);
	return HN_OK;
}

static hn_status put_flatten(struct tfl *t, unsigned i)
{
	reshape(t, as_vector(t->x->net->layer[i].in), i);
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
	struct op o = { .n_in = 1, .in = { t->now } };

	for (size_t k = 0; k < sizeof unary / sizeof *unary; k++)
		if (strcmp(unary[k].layer, l->type->name) == 0)
			o.code = (struct code){ unary[k].builtin, t->int8 ? unary[k].version8 : 1 };
	if (o.code.builtin == TFL_LEAKY_RELU) {
		const float slope = (float)l->arg[0];

		o.kind = TFL_LEAKY_OPTIONS;
		o.n_options = 1;
		memcpy(&o.option[0].bits, &slope, sizeof slope);
	}
	o.out = put_value(t, l->text, t->shape, i + 1);
	put_op(t, &o);
	return HN_OK;
}

static const struct writer {
	const char *layer;
	hn_status (*put)(struct tfl *t, unsigned i);
} rows[] = {
	{ "dense", put_dense }, { "conv1d", put_conv1d }, { "maxpool", put_pool },
	{ "avgpool", put_pool }, { "globalavgpool", put_pool }, { "flatten", put_flatten },
	{ "relu", put_unary }, { "relu6", put_unary }, { "leaky_relu", put_unary },
	{ "tanh", put_unary }, { "sigmoid", put_unary },
};

static hn_status put_layer(struct tfl *t, unsigned i)
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
	return hn_fail(t->err, HN_EINVAL, "export: layer %u '%s': .tflite has no such operator", i + 1,
	               l->text);
}

/* --- the file ------------------------------------------------------------------------------- */

/* Room for n offsets, which link_at fills in. */
static uint32_t put_list(struct tfl *t, uint32_t table, uint8_t id, unsigned n)
{
	const uint32_t v = hn_fb_vector(&t->w, &(struct hn_fb_array){ NULL, n, 4, 4 });

	hn_fb_link(&t->w, table, id, v);
	return v;
}

static void put_codes(struct tfl *t)
{
	for (unsigned i = 0; i < t->n_codes; i++) {
		const struct hn_fb_value fields[] = { { TFL_CODE_OLD, t->code[i].builtin },
			{ TFL_CODE_VERSION, t->code[i].version }, { TFL_CODE_BUILTIN, t->code[i].builtin } };

		hn_fb_link_at(&t->w, t->codes, i, hn_fb_table(&t->w, fields, 3));
	}
}

/* Model, its only graph, and all lists, as long as `count` says. */
static uint32_t put_frame(struct tfl *t, const struct tfl *count)
{
	static const struct hn_fb_value model_fields[] = { { TFL_MODEL_VERSION, 3 },
		{ TFL_MODEL_CODES, 0 }, { TFL_MODEL_GRAPHS, 0 }, { TFL_MODEL_TEXT, 0 },
		{ TFL_MODEL_BUFFERS, 0 } };
	static const struct hn_fb_value graph_fields[] = { { TFL_GRAPH_TENSORS, 0 },
		{ TFL_GRAPH_INPUTS, 0 }, { TFL_GRAPH_OUTPUTS, 0 }, { TFL_GRAPH_OPS, 0 },
		{ TFL_GRAPH_NAME, 0 } };
	uint32_t model, graphs, graph;
	char note[HN_NOTE_MAX];

	hn_fb_begin(&t->w, HN_TFLITE_MARK);
	model = hn_fb_table(&t->w, model_fields, 5);
	hn_fb_root(&t->w, model);
	(void)hn_note_text(t->x, note, sizeof note);
	t->codes = put_list(t, model, TFL_MODEL_CODES, count->n_codes);
	graphs = put_list(t, model, TFL_MODEL_GRAPHS, 1);
	t->buffers = put_list(t, model, TFL_MODEL_BUFFERS, count->n_buffers);
	hn_fb_link(&t->w, model, TFL_MODEL_TEXT, hn_fb_string(&t->w, note));
	graph = hn_fb_table(&t->w, graph_fields, 5);
	hn_fb_link_at(&t->w, graphs, 0, graph);
	t->tensors = put_list(t, graph, TFL_GRAPH_TENSORS, count->n_tensors);
	t->ops = put_list(t, graph, TFL_GRAPH_OPS, count->n_ops);
	hn_fb_link(&t->w, graph, TFL_GRAPH_NAME, hn_fb_string(&t->w, "main"));
	return graph;
}

static void put_input(struct tfl *t)
{
	const struct hn_shape in = t->x->net->in;

	t->shape = in.len > 1 ? (struct shape){ 3, { 1, in.len, in.ch } } : as_vector(in);
	t->in = t->now = put_value(t, "input", t->shape, 0);
}

static hn_status put_model(struct tfl *t, const struct tfl *count)
{
	const uint32_t graph = put_frame(t, count);
	hn_status rc = hn_image_start(&t->image, t->x, t->err);

	(void)put_buffer(t, NULL, 0);
	put_input(t);
	for (unsigned i = 0; i < t->x->net->n_layers && !rc; i++)
		rc = put_layer(t, i);
	if (rc)
		return rc;
	reshape(t, (struct shape){ 2, { 1, t->x->net->out_n } }, t->x->net->n_layers);
	hn_fb_link(&t->w, graph, TFL_GRAPH_INPUTS,
	           hn_fb_vector(&t->w, &(struct hn_fb_array){ &t->in, 1, 4, 4 }));
	hn_fb_link(&t->w, graph, TFL_GRAPH_OUTPUTS,
	           hn_fb_vector(&t->w, &(struct hn_fb_array){ &t->now, 1, 4, 4 }));
	put_codes(t);
	return HN_OK;
}

hn_status hn_tflite_write(const struct hn_export *x, struct hn_bytes out, size_t *len,
                          struct hn_err *err)
{
	const struct tfl none = { .n_tensors = 0 };
	struct tfl count = { .x = x, .err = err, .int8 = x->image };
	struct tfl t = { .w = { .p = out.p, .cap = out.cap }, .x = x, .err = err, .int8 = x->image };
	hn_status rc = put_model(&count, &none);

	if (rc)
		return rc;
	if (!out.p)
		t.w.cap = 0;
	else
		memset(out.p, 0, out.cap);
	rc = put_model(&t, &count);
	if (!rc && t.w.full)
		rc = hn_fail(err, HN_ENOMEM, "export: more than %zu bytes", out.cap);
	if (!rc)
		*len = t.w.len;
	return rc;
}
