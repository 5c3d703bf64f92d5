/* A .tflite file as a graph.  Every position comes from the file: hn_fb checks each of them. */
#include "hn_graph.h"

#include <string.h>
#include "hn_fb.h"
#include "hn_tflite.h"

struct reader {
	struct hn_fb b;
	struct hn_graph *g;
	struct hn_fb_span codes, tensors, buffers, ops;
	struct hn_err *err;
};

static struct hn_text text_at(const struct hn_fb *b, uint32_t table, unsigned id)
{
	const struct hn_fb_span s = hn_fb_span(b, table, id, 1);

	return (struct hn_text){ s.n ? b->p + s.at : NULL, s.n };
}

/* --- tensors -------------------------------------------------------------------------------- */

static uint8_t element_of(int8_t type)
{
	switch (type) {
	case TFL_FLOAT32: return HN_EL_F32;
	case TFL_INT8: return HN_EL_I8;
	case TFL_INT32: return HN_EL_I32;
	case TFL_INT64: return HN_EL_I64;
	default: return HN_EL_OTHER;
	}
}

static hn_status read_shape(struct reader *r, uint32_t table, struct hn_gtensor *t)
{
	const struct hn_fb_span s = hn_fb_span(&r->b, table, TFL_TENSOR_SHAPE, 4);

	if (s.n > HN_GRAPH_RANK_MAX)
		return hn_fail(r->err, HN_EFORMAT, "import: tensor '%.*s' has %u dimensions, at most %d",
		               HN_TEXT(t->name), s.n, HN_GRAPH_RANK_MAX);
	t->rank = (uint8_t)s.n;
	for (uint32_t i = 0; i < s.n; i++)
		t->dim[i] = hn_fb_i32_at(&r->b, s, i);
	return HN_OK;
}

/* Bytes of a constant.  They must be as many as the shape says. */
static hn_status read_data(struct reader *r, uint32_t table, struct hn_gtensor *t)
{
	const uint32_t n = (uint32_t)hn_fb_i32(&r->b, table, TFL_TENSOR_BUFFER, 0);
	const struct hn_fb_span s = hn_fb_span(&r->b, hn_fb_element(&r->b, r->buffers, n), 0, 1);

	if (n == 0 || s.n == 0)
		return HN_OK;
	t->count = hn_gtensor_count(t);
	if (hn_element_bytes(t->element) == 0)
		return HN_OK;                    /* told when an operator uses it */
	if (t->count == 0 || s.n != t->count * hn_element_bytes(t->element))
		return hn_fail(r->err, HN_EFORMAT, "import: tensor '%.*s': %u bytes do not fit its shape",
		               HN_TEXT(t->name), s.n);
	t->data = r->b.p + s.at;
	return HN_OK;
}

static hn_status read_grid(struct reader *r, uint32_t table, struct hn_gtensor *t)
{
	const uint32_t grid = hn_fb_sub(&r->b, table, TFL_TENSOR_GRID);
	const struct hn_fb_span scale = hn_fb_span(&r->b, grid, TFL_GRID_SCALE, 4);
	const struct hn_fb_span zero = hn_fb_span(&r->b, grid, TFL_GRID_ZERO, 8);
	const int32_t axis = hn_fb_i32(&r->b, grid, TFL_GRID_DIM, 0);

	if (scale.n == 0)
		return HN_OK;
	if ((zero.n && zero.n != scale.n) || (scale.n > 1 && (axis < 0 || axis >= t->rank ||
	    t->dim[axis] != (int32_t)scale.n)))
		return hn_fail(r->err, HN_EFORMAT, "import: tensor '%.*s': %u scales, %u zero points",
		               HN_TEXT(t->name), scale.n, zero.n);
	t->scale = r->b.p + scale.at;
	t->n_scales = scale.n;
	t->zp = zero.n ? r->b.p + zero.at : NULL;
	t->zp_bytes = 8;
	t->axis = (uint8_t)axis;
	return HN_OK;
}

static hn_status read_tensors(struct reader *r)
{
	hn_status rc = HN_OK;

	if (r->tensors.n == 0 || r->tensors.n > HN_GRAPH_TENSORS_MAX)
		return hn_fail(r->err, HN_EFORMAT, "import: %u tensors, 1 to %d can be read", r->tensors.n,
		               HN_GRAPH_TENSORS_MAX);
	for (uint32_t i = 0; i < r->tensors.n && !rc; i++) {
		const uint32_t table = hn_fb_element(&r->b, r->tensors, i);
		struct hn_gtensor *t = &r->g->tensor[i];

		*t = (struct hn_gtensor){ .name = text_at(&r->b, table, TFL_TENSOR_NAME),
			.element = element_of(hn_fb_i8(&r->b, table, TFL_TENSOR_TYPE, 0)) };
		rc = read_shape(r, table, t);
		if (!rc)
			rc = read_grid(r, table, t);
		if (!rc)
			rc = read_data(r, table, t);
	}
	r->g->n_tensors = r->tensors.n;
	return rc;
}

/* --- operators ------------------------------------------------------------------------------ */

static const struct known { int32_t code; uint8_t op; const char *name; } known[] = {
	{ TFL_ADD, HN_G_ADD, "ADD" }, { TFL_AVERAGE_POOL_2D, HN_G_AVG_POOL, "AVERAGE_POOL_2D" },
	{ TFL_CONV_2D, HN_G_CONV, "CONV_2D" },
	{ TFL_DEPTHWISE_CONV_2D, HN_G_DEPTHWISE, "DEPTHWISE_CONV_2D" },
	{ TFL_DEQUANTIZE, HN_G_DEQUANTISE, "DEQUANTIZE" },
	{ TFL_FULLY_CONNECTED, HN_G_DENSE, "FULLY_CONNECTED" },
	{ TFL_LOGISTIC, HN_G_SIGMOID, "LOGISTIC" }, { TFL_MAX_POOL_2D, HN_G_MAX_POOL, "MAX_POOL_2D" },
	{ TFL_MUL, HN_G_MUL, "MUL" }, { TFL_RELU, HN_G_RELU, "RELU" }, { TFL_RELU6, HN_G_RELU6, "RELU6" },
	{ TFL_RESHAPE, HN_G_RESHAPE, "RESHAPE" }, { TFL_SOFTMAX, HN_G_SOFTMAX, "SOFTMAX" },
	{ TFL_TANH, HN_G_TANH, "TANH" }, { TFL_PAD, HN_G_PAD, "PAD" },
	{ TFL_TRANSPOSE, HN_G_TRANSPOSE, "TRANSPOSE" },
	{ TFL_MEAN, HN_G_MEAN, "MEAN" }, { TFL_REDUCE_MAX, HN_G_MAX, "REDUCE_MAX" },
	{ TFL_SUB, HN_G_SUB, "SUB" }, { TFL_DIV, HN_G_DIV, "DIV" },
	{ TFL_SQUEEZE, HN_G_SQUEEZE, "SQUEEZE" }, { TFL_EXPAND_DIMS, HN_G_UNSQUEEZE, "EXPAND_DIMS" },
	{ TFL_LEAKY_RELU, HN_G_LEAKY, "LEAKY_RELU" }, { TFL_QUANTIZE, HN_G_QUANTISE, "QUANTIZE" },
};

static void read_code(const struct reader *r, uint32_t table, struct hn_gnode *n)
{
	const uint32_t code = hn_fb_element(&r->b, r->codes,
		(uint32_t)hn_fb_i32(&r->b, table, TFL_OP_CODE, 0));
	const int32_t old = hn_fb_i8(&r->b, code, TFL_CODE_OLD, 0);
	const int32_t fresh = hn_fb_i32(&r->b, code, TFL_CODE_BUILTIN, 0);
	const int32_t is = fresh > old ? fresh : old;

	n->kind = text_at(&r->b, code, TFL_CODE_CUSTOM);
	if (n->kind.len == 0)
		n->kind = (struct hn_text){ (const uint8_t *)"unknown operator", 16 };
	for (size_t i = 0; code && i < sizeof known / sizeof *known; i++)
		if (known[i].code == is) {
			n->op = known[i].op;
			n->kind = (struct hn_text){ (const uint8_t *)known[i].name, strlen(known[i].name) };
		}
}

/* A list of tensors; -1 stands for none.  Returns their number, -1: one that is not there. */
static int read_indices(const struct reader *r, uint32_t table, unsigned id, int16_t *to,
                        unsigned max)
{
	const struct hn_fb_span s = hn_fb_span(&r->b, table, id, 4);

	if (s.n > max)
		return -1;
	for (uint32_t i = 0; i < s.n; i++) {
		const int32_t t = hn_fb_i32_at(&r->b, s, i);

		if (t < -1 || t >= (int32_t)r->g->n_tensors)
			return -1;
		to[i] = (int16_t)t;
	}
	return (int)s.n;
}

static uint8_t act_of(int8_t a)
{
	switch (a) {
	case TFL_ACT_NONE: return HN_G_UNKNOWN;
	case TFL_ACT_RELU: return HN_G_RELU;
	case TFL_ACT_RELU6: return HN_G_RELU6;
	default: return HN_G_CONSTANT;           /* none that a layer can have */
	}
}

static void read_window(const struct hn_fb *b, uint32_t o, struct hn_gnode *n)
{
	const bool pool = n->op == HN_G_MAX_POOL || n->op == HN_G_AVG_POOL;
	const unsigned act = pool ? TFL_POOL_ACT : n->op == HN_G_CONV ? TFL_CONV_ACT : TFL_DW_ACT;

	n->pad_mode = hn_fb_i8(b, o, TFL_CONV_PAD, 0) == TFL_SAME ? HN_PAD_SAME : HN_PAD_NONE;
	n->stride[0] = hn_fb_i32(b, o, TFL_CONV_STRIDE_H, 1);
	n->stride[1] = hn_fb_i32(b, o, TFL_CONV_STRIDE_W, 1);
	n->dilation[0] = n->dilation[1] = 1;
	if (pool) {
		n->kernel[0] = hn_fb_i32(b, o, TFL_POOL_H, 1);
		n->kernel[1] = hn_fb_i32(b, o, TFL_POOL_W, 1);
		n->n_axes = 2;
	} else {
		n->dilation[0] = hn_fb_i32(b, o, act + 2, 1);
		n->dilation[1] = hn_fb_i32(b, o, act + 1, 1);
	}
	n->act = act_of(hn_fb_i8(b, o, act, 0));
}

static void read_options(const struct reader *r, uint32_t table, struct hn_gnode *n)
{
	const uint32_t o = hn_fb_sub(&r->b, table, TFL_OP_OPTIONS);
	struct hn_fb_span s = { 0, 0 };

	switch (n->op) {
	case HN_G_CONV: case HN_G_DEPTHWISE: case HN_G_MAX_POOL: case HN_G_AVG_POOL:
		read_window(&r->b, o, n);
		break;
	case HN_G_DENSE: case HN_G_ADD: case HN_G_MUL: case HN_G_SUB: case HN_G_DIV:
		n->act = act_of(hn_fb_i8(&r->b, o, 0, 0));
		n->trans_b = true;               /* weights (out, in) */
		break;
	case HN_G_SOFTMAX:
		n->axis = -1;
		break;
	case HN_G_LEAKY:
		n->alpha = hn_fb_f32(&r->b, o, 0, 0);
		break;
	case HN_G_MEAN: case HN_G_MAX:
		n->keep_dims = hn_fb_i8(&r->b, o, 0, 0) != 0;
		break;
	case HN_G_RESHAPE: case HN_G_SQUEEZE:
		s = hn_fb_span(&r->b, o, 0, 4);
		for (n->n_list = 0; n->n_list < s.n && n->n_list < HN_GRAPH_LIST_MAX; n->n_list++)
			n->list[n->n_list] = hn_fb_i32_at(&r->b, s, n->n_list);
		break;
	default:
		break;
	}
}

static hn_status read_ops(struct reader *r)
{
	if (r->ops.n > HN_GRAPH_NODES_MAX)
		return hn_fail(r->err, HN_EFORMAT, "import: %u operators, at most %d", r->ops.n,
		               HN_GRAPH_NODES_MAX);
	for (uint32_t i = 0; i < r->ops.n; i++) {
		const uint32_t table = hn_fb_element(&r->b, r->ops, i);
		struct hn_gnode *n = &r->g->node[i];
		int ins;

		*n = (struct hn_gnode){ .alpha = 1, .beta = 1, .group = 1, .out = { -1, -1, -1 } };
		read_code(r, table, n);
		ins = read_indices(r, table, TFL_OP_IN, n->in, HN_GRAPH_IN_MAX);
		if (ins < 0 || read_indices(r, table, TFL_OP_OUT, n->out, 3) < 1 || n->out[0] < 0)
			return hn_fail(r->err, HN_EFORMAT, "import: operator %u (%.*s): tensors that are not "
			               "there, or too many", i, HN_TEXT(n->kind));
		n->n_in = (uint8_t)ins;
		n->name = r->g->tensor[n->out[0]].name;
		read_options(r, table, n);
	}
	r->g->n_nodes = r->ops.n;
	return HN_OK;
}

hn_status hn_tflite_read(struct hn_graph *g, struct hn_text file, struct hn_err *err)
{
	struct reader r = { .b = { file.p, file.len }, .g = g, .err = err };
	const uint32_t model = hn_fb_open(&r.b, HN_TFLITE_MARK);
	const struct hn_fb_span graphs = hn_fb_span(&r.b, model, TFL_MODEL_GRAPHS, 4);
	const uint32_t graph = hn_fb_element(&r.b, graphs, 0);
	hn_status rc;

	if (graph == 0)
		return hn_fail(err, HN_EFORMAT, "import: not a .tflite file, or cut off");
	if (graphs.n > 1)
		return hn_fail(err, HN_EFORMAT, "import: %u subgraphs; loops and branches cannot be read",
		               graphs.n);
	r.codes = hn_fb_span(&r.b, model, TFL_MODEL_CODES, 4);
	r.buffers = hn_fb_span(&r.b, model, TFL_MODEL_BUFFERS, 4);
	r.tensors = hn_fb_span(&r.b, graph, TFL_GRAPH_TENSORS, 4);
	r.ops = hn_fb_span(&r.b, graph, TFL_GRAPH_OPS, 4);
	g->channels_last = true;
	g->note = text_at(&r.b, model, TFL_MODEL_TEXT);
	rc = read_tensors(&r);
	if (!rc)
		rc = read_ops(&r);
	if (!rc && (read_indices(&r, graph, TFL_GRAPH_INPUTS, &g->in, 1) != 1 || g->in < 0 ||
	            read_indices(&r, graph, TFL_GRAPH_OUTPUTS, &g->out, 1) != 1 || g->out < 0))
		return hn_fail(err, HN_EFORMAT, "import: the file needs one input and one output");
	return rc;
}
