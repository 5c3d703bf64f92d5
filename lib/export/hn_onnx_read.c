/* An .onnx file as a graph.  Tensors are known by name; every length comes from the file, and hn_pb
 * checks each of them. */
#include "hn_onnx_attr.h"

#include <string.h>
#include "hn_onnx.h"

struct reader {
	struct hn_graph *g;
	struct hn_arena *arena;
	struct hn_err *err;
};

static struct hn_text text_of(struct hn_pb b)
{
	return (struct hn_text){ b.p, b.len };
}

static bool same_text(struct hn_text a, struct hn_text b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* Index of the tensor of this name, made when there is none; -1 for no name, -2 when full. */
static int tensor_of(struct reader *r, struct hn_text name)
{
	struct hn_graph *g = r->g;

	if (name.len == 0)
		return -1;
	for (uint32_t i = 0; i < g->n_tensors; i++)
		if (same_text(g->tensor[i].name, name))
			return (int)i;
	if (g->n_tensors == HN_GRAPH_TENSORS_MAX)
		return -2;
	g->tensor[g->n_tensors] = (struct hn_gtensor){ .name = name };
	return (int)g->n_tensors++;
}

/* --- tensors -------------------------------------------------------------------------------- */

static uint8_t element_of(uint64_t type)
{
	switch (type) {
	case ONNX_FLOAT: return HN_EL_F32;
	case ONNX_INT8: return HN_EL_I8;
	case ONNX_INT32: return HN_EL_I32;
	case ONNX_INT64: return HN_EL_I64;
	default: return HN_EL_OTHER;
	}
}

/* Numbers that the file packs as varints, as bytes of the element. */
static hn_status unpack(struct reader *r, struct hn_gtensor *t, struct hn_pb packed)
{
	const size_t bytes = hn_element_bytes(t->element);
	uint8_t *to = hn_arena_take(r->arena, packed.len * bytes + 1);
	size_t n = 0;
	int64_t v;

	if (!to)
		return hn_fail(r->err, HN_ENOMEM, "import: no memory for tensor '%.*s'", HN_TEXT(t->name));
	for (; hn_pb_packed(&packed, &v) > 0; n++)
		for (size_t b = 0; b < bytes; b++)
			to[n * bytes + b] = (uint8_t)((uint64_t)v >> (8 * b));
	t->data = to;
	t->count = (uint32_t)n;
	return HN_OK;
}

static hn_status refuse_tensor(const struct reader *r, const struct hn_gtensor *t, const char *why)
{
	return hn_fail(r->err, HN_EFORMAT, "import: tensor '%.*s' %s", HN_TEXT(t->name), why);
}

/* What a TensorProto may hold. */
struct parts { struct hn_pb floats, int32s, int64s, raw; bool elsewhere; };

static bool read_parts(struct hn_pb m, struct hn_gtensor *t, struct parts *p)
{
	struct hn_onnx_list dims = { t->dim, &t->rank, HN_GRAPH_RANK_MAX };
	struct hn_pb_item i;
	int more;

	while ((more = hn_pb_next(&m, &i)) > 0) {
		switch (i.field) {
		case ONNX_TENSOR_DIMS:
			if (!hn_onnx_numbers(&dims, &i))
				return false;
			break;
		case ONNX_TENSOR_TYPE: t->element = element_of(i.v); break;
		case ONNX_TENSOR_FLOATS: p->floats = i.bytes; break;
		case ONNX_TENSOR_INT32S: p->int32s = i.bytes; break;
		case ONNX_TENSOR_INT64S: p->int64s = i.bytes; break;
		case ONNX_TENSOR_NAME: t->name = text_of(i.bytes); break;
		case ONNX_TENSOR_RAW: p->raw = i.bytes; break;
		case ONNX_TENSOR_PLACE: p->elsewhere = i.v != 0; break;
		default: break;
		}
	}
	return more == 0;
}

/* A TensorProto; the name is that of the caller when it has none. */
static hn_status read_tensor(struct reader *r, struct hn_pb m, struct hn_gtensor *t)
{
	struct parts p = { .elsewhere = false };
	struct hn_pb plain;
	hn_status rc = HN_OK;

	if (!read_parts(m, t, &p))
		return refuse_tensor(r, t, "is malformed, or has too many dimensions");
	if (p.elsewhere)
		return refuse_tensor(r, t, "lies in another file");
	if (hn_element_bytes(t->element) == 0)
		return HN_OK;                    /* told when an operator uses it */
	plain = p.raw.len ? p.raw : p.floats;
	if (plain.len && (p.raw.len || t->element == HN_EL_F32)) {
		t->data = plain.p;
		t->count = (uint32_t)(plain.len / hn_element_bytes(t->element));
	} else {
		rc = unpack(r, t, t->element == HN_EL_I64 ? p.int64s : p.int32s);
	}
	if (!rc && (t->count == 0 || t->count != hn_gtensor_count(t)))
		return refuse_tensor(r, t, "does not hold as many numbers as its shape says");
	return rc;
}

static hn_status read_constant(struct reader *r, struct hn_pb m)
{
	struct hn_gtensor t = { .rank = 0 };
	hn_status rc = read_tensor(r, m, &t);
	int at;

	if (rc)
		return rc;
	at = tensor_of(r, t.name);
	if (at < 0)
		return hn_fail(r->err, HN_EFORMAT, "import: a constant without a name, or too many");
	r->g->tensor[at] = t;
	return HN_OK;
}

/* --- values --------------------------------------------------------------------------------- */

/* The bytes of field `id`, or an empty message. */
static struct hn_pb inner(struct hn_pb m, uint32_t id)
{
	struct hn_pb_item i;

	while (hn_pb_next(&m, &i) > 0)
		if (i.field == id && i.kind == HN_PB_BYTES)
			return i.bytes;
	return (struct hn_pb){ NULL, 0 };
}

static bool read_dims(struct hn_pb shape, struct hn_gtensor *t)
{
	struct hn_pb_item i, d;

	t->rank = 0;
	while (hn_pb_next(&shape, &i) > 0) {
		struct hn_pb dim = i.bytes;

		if (i.field != ONNX_SHAPE_DIM || i.kind != HN_PB_BYTES)
			continue;
		if (t->rank == HN_GRAPH_RANK_MAX)
			return false;
		t->dim[t->rank] = -1;            /* a name stands for any */
		while (hn_pb_next(&dim, &d) > 0)
			if (d.field == ONNX_DIM_VALUE && d.kind == HN_PB_VARINT && d.v <= HN_GRAPH_FILE_MAX)
				t->dim[t->rank] = (int32_t)d.v;
		t->rank++;
	}
	return true;
}

/* Input or output of the graph; -1: malformed. */
static int read_value(struct reader *r, struct hn_pb m)
{
	const struct hn_pb tensor = inner(inner(m, ONNX_VALUE_TYPE), ONNX_TYPE_TENSOR);
	const int at = tensor_of(r, text_of(inner(m, ONNX_VALUE_NAME)));
	struct hn_pb rest = tensor;
	struct hn_pb_item i;

	if (at < 0 || r->g->tensor[at].data)     /* old files list constants among the inputs */
		return at;
	if (!read_dims(inner(tensor, ONNX_TYPE_SHAPE), &r->g->tensor[at]))
		return -1;
	while (hn_pb_next(&rest, &i) > 0)
		if (i.field == ONNX_TYPE_ELEMENT && i.kind == HN_PB_VARINT)
			r->g->tensor[at].element = element_of(i.v);
	return at;
}

/* --- nodes ---------------------------------------------------------------------------------- */

static const struct known { const char *name; uint8_t op; } known[] = {
	{ "Conv", HN_G_CONV }, { "Gemm", HN_G_DENSE }, { "MatMul", HN_G_MATMUL },
	{ "MaxPool", HN_G_MAX_POOL }, { "AveragePool", HN_G_AVG_POOL },
	{ "GlobalAveragePool", HN_G_GLOBAL_AVG }, { "GlobalMaxPool", HN_G_GLOBAL_MAX },
	{ "ReduceMean", HN_G_MEAN }, { "ReduceMax", HN_G_MAX }, { "Relu", HN_G_RELU },
	{ "Clip", HN_G_CLIP }, { "LeakyRelu", HN_G_LEAKY }, { "Tanh", HN_G_TANH },
	{ "Sigmoid", HN_G_SIGMOID }, { "Softmax", HN_G_SOFTMAX }, { "LogSoftmax", HN_G_SOFTMAX },
	{ "Add", HN_G_ADD }, { "Sub", HN_G_SUB }, { "Mul", HN_G_MUL }, { "Div", HN_G_DIV },
	{ "BatchNormalization", HN_G_BATCH_NORM }, { "GRU", HN_G_GRU }, { "Flatten", HN_G_FLATTEN },
	{ "Reshape", HN_G_RESHAPE }, { "Squeeze", HN_G_SQUEEZE }, { "Unsqueeze", HN_G_UNSQUEEZE },
	{ "Transpose", HN_G_TRANSPOSE }, { "Gather", HN_G_GATHER }, { "Identity", HN_G_SAME },
	{ "Dropout", HN_G_SAME }, { "Cast", HN_G_SAME }, { "QuantizeLinear", HN_G_QUANTISE },
	{ "DequantizeLinear", HN_G_DEQUANTISE }, { "Constant", HN_G_CONSTANT },
	{ "Pad", HN_G_PAD }, { "Expand", HN_G_EXPAND },
};

static hn_status refuse_node(const struct reader *r, const struct hn_gnode *n, const char *why)
{
	return hn_fail(r->err, HN_EFORMAT, "import: node '%.*s' (%.*s): %s", HN_TEXT(n->name),
	               HN_TEXT(n->kind), why);
}

/* The constant that a node of this kind holds is its output. */
static hn_status constant_node(struct reader *r, const struct hn_gnode *n, struct hn_pb tensor)
{
	struct hn_gtensor *t = n->out[0] < 0 ? NULL : &r->g->tensor[n->out[0]];
	struct hn_text name;
	hn_status rc;

	if (!t || tensor.len == 0)
		return HN_OK;                    /* told when an operator uses it */
	name = t->name;
	*t = (struct hn_gtensor){ .name = name };
	rc = read_tensor(r, tensor, t);
	t->name = name;
	return rc;
}

static hn_status read_io(struct reader *r, struct hn_gnode *n, const struct hn_pb_item *i,
                         uint8_t *outs)
{
	const int at = tensor_of(r, text_of(i->bytes));

	if (at < -1)
		return refuse_node(r, n, "the file has too many tensors");
	if (i->field == ONNX_NODE_INPUT) {
		if (n->n_in == HN_GRAPH_IN_MAX)
			return refuse_node(r, n, "too many inputs");
		n->in[n->n_in++] = (int16_t)at;
	} else if (*outs < 3) {
		n->out[(*outs)++] = (int16_t)at;
	}
	return HN_OK;
}

static hn_status read_attrs(struct reader *r, struct hn_gnode *n, struct hn_pb m)
{
	struct hn_pb_item i;

	while (hn_pb_next(&m, &i) > 0) {
		struct hn_onnx_attr a = { .n = 0 };

		if (i.field != ONNX_NODE_ATTRIBUTE)
			continue;
		if (!hn_onnx_attr_read(i.bytes, &a) || !hn_onnx_attr_take(n, &a))
			return refuse_node(r, n, "an attribute that cannot be read");
		if (n->op == HN_G_CONSTANT && hn_text_is(a.name, "value") &&
		    constant_node(r, n, a.tensor))
			return HN_EFORMAT;
	}
	return HN_OK;
}

static hn_status read_node(struct reader *r, struct hn_pb m)
{
	struct hn_gnode *n = &r->g->node[r->g->n_nodes];
	struct hn_pb rest = m;
	struct hn_pb_item i;
	uint8_t outs = 0;
	hn_status rc = HN_OK;
	int more = 0;

	if (r->g->n_nodes == HN_GRAPH_NODES_MAX)
		return hn_fail(r->err, HN_EFORMAT, "import: more than %d nodes", HN_GRAPH_NODES_MAX);
	*n = (struct hn_gnode){ .alpha = 1, .beta = 1, .eps = 1e-5f, .group = 1, .keep_dims = true,
		.stride = { 1, 1 }, .dilation = { 1, 1 }, .out = { -1, -1, -1 } };
	while (!rc && (more = hn_pb_next(&rest, &i)) > 0) {
		if (i.field == ONNX_NODE_INPUT || i.field == ONNX_NODE_OUTPUT)
			rc = read_io(r, n, &i, &outs);
		else if (i.field == ONNX_NODE_NAME)
			n->name = text_of(i.bytes);
		else if (i.field == ONNX_NODE_OP)
			n->kind = text_of(i.bytes);
	}
	if (more < 0 || outs == 0)
		return refuse_node(r, n, "malformed");
	for (size_t k = 0; k < sizeof known / sizeof *known; k++)
		if (hn_text_is(n->kind, known[k].name))
			n->op = known[k].op;
	if (n->op == HN_G_CLIP) {
		n->alpha = -3.4e38f;
		n->beta = 3.4e38f;
	}
	if (n->op == HN_G_SOFTMAX)
		n->axis = -1;
	n->other = hn_text_is(n->kind, "LogSoftmax");
	if (n->op == HN_G_LEAKY)
		n->alpha = 0.01f;
	if (n->name.len == 0 && n->out[0] >= 0)
		n->name = r->g->tensor[n->out[0]].name;
	r->g->n_nodes++;
	return rc ? rc : read_attrs(r, n, m);
}

/* --- the file ------------------------------------------------------------------------------- */

static bool all_zero(const struct hn_gtensor *t)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (hn_gtensor_f32(t, i) != 0.0f)
			return false;
	return true;
}

/* Zeros stay zeros whatever shape they get: the initial state of a GRU, as PyTorch writes it. */
static void expand_zeros(struct hn_graph *g)
{
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		struct hn_gnode *n = &g->node[i];
		const struct hn_gtensor *from = n->n_in && n->in[0] >= 0 ? &g->tensor[n->in[0]] : NULL;
		struct hn_gtensor *to = n->out[0] < 0 ? NULL : &g->tensor[n->out[0]];
		struct hn_text name;

		if (n->op != HN_G_EXPAND || !from || !from->data || !to || !all_zero(from))
			continue;
		name = to->name;
		*to = *from;
		to->name = name;
		n->op = HN_G_CONSTANT;
	}
}

/* A DequantizeLinear of a constant is a constant with scales. */
static void scale_constants(struct hn_graph *g)
{
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		struct hn_gnode *n = &g->node[i];
		const struct hn_gtensor *q = n->in[0] < 0 ? NULL : &g->tensor[n->in[0]];
		const struct hn_gtensor *s = n->n_in < 2 || n->in[1] < 0 ? NULL : &g->tensor[n->in[1]];
		const struct hn_gtensor *z = n->n_in < 3 || n->in[2] < 0 ? NULL : &g->tensor[n->in[2]];
		struct hn_gtensor *to = n->out[0] < 0 ? NULL : &g->tensor[n->out[0]];
		const int32_t axis = q && n->axis < 0 ? n->axis + q->rank : n->axis;

		if (n->op != HN_G_DEQUANTISE || !q || !q->data || !s || !s->data || !to ||
		    s->element != HN_EL_F32 || q->element == HN_EL_F32 || (z && (!z->data ||
		    z->count != s->count)) || (s->count > 1 && (axis < 0 || axis >= q->rank ||
		    q->dim[axis] != (int32_t)s->count)))
			continue;
		*to = (struct hn_gtensor){ .name = to->name, .element = q->element, .rank = q->rank,
			.data = q->data, .count = q->count, .scale = s->data, .n_scales = s->count,
			.zp = z ? z->data : NULL, .axis = s->count > 1 ? (uint8_t)axis : 0,
			.zp_bytes = z ? (uint8_t)hn_element_bytes(z->element) : 0 };
		memcpy(to->dim, q->dim, sizeof to->dim);
		n->op = HN_G_CONSTANT;
	}
}

static hn_status read_ends(struct reader *r, struct hn_pb m)
{
	struct hn_pb_item i;
	int at;

	while (hn_pb_next(&m, &i) > 0) {
		if (i.field != ONNX_GRAPH_INPUT && i.field != ONNX_GRAPH_OUTPUT)
			continue;
		at = read_value(r, i.bytes);
		if (at < 0)
			return hn_fail(r->err, HN_EFORMAT, "import: an input or output that cannot be read");
		if (r->g->tensor[at].data)
			continue;
		if (i.field == ONNX_GRAPH_INPUT && r->g->in >= 0)
			return hn_fail(r->err, HN_EFORMAT, "import: more than one input, '%.*s'",
			               HN_TEXT(r->g->tensor[at].name));
		if (i.field == ONNX_GRAPH_INPUT)
			r->g->in = (int16_t)at;
		else if (r->g->out < 0)
			r->g->out = (int16_t)at; /* the first of several */
	}
	return HN_OK;
}

static hn_status read_graph(struct reader *r, struct hn_pb m)
{
	struct hn_pb rest = m;
	struct hn_pb_item i;
	hn_status rc = HN_OK;
	int more = 0;

	while (!rc && (more = hn_pb_next(&rest, &i)) > 0)
		if (i.field == ONNX_GRAPH_CONSTANT)
			rc = read_constant(r, i.bytes);
	rest = m;
	while (!rc && (more = hn_pb_next(&rest, &i)) > 0)
		if (i.field == ONNX_GRAPH_NODE)
			rc = read_node(r, i.bytes);
	if (!rc && more < 0)
		return hn_fail(r->err, HN_EFORMAT, "import: the graph is malformed or cut off");
	if (!rc)
		rc = read_ends(r, m);
	if (!rc && (r->g->in < 0 || r->g->out < 0))
		return hn_fail(r->err, HN_EFORMAT, "import: the file needs an input and an output");
	scale_constants(r->g);
	expand_zeros(r->g);
	return rc;
}

hn_status hn_onnx_read(struct hn_graph *g, struct hn_text file, struct hn_arena *arena,
                       struct hn_err *err)
{
	struct reader r = { .g = g, .arena = arena, .err = err };
	struct hn_pb m = { file.p, file.len }, graph = { NULL, 0 };
	struct hn_pb_item i;
	int more;

	while ((more = hn_pb_next(&m, &i)) > 0) {
		if (i.field == ONNX_MODEL_GRAPH && i.kind == HN_PB_BYTES)
			graph = i.bytes;
		if (i.field == ONNX_MODEL_META &&
		    hn_text_is(text_of(inner(i.bytes, ONNX_META_KEY)), HN_ONNX_NOTE))
			g->note = text_of(inner(i.bytes, ONNX_META_VALUE));
	}
	if (more < 0 || graph.len == 0)
		return hn_fail(err, HN_EFORMAT, "import: neither .tflite nor .onnx, or cut off");
	return read_graph(&r, graph);
}
