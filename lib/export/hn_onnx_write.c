/* A net as .onnx, opset 13.  Convolutions and pools of ONNX want (batch, channels, frames), our
 * windows are (batch, frames, channels): a Transpose stands where the two meet.
 *
 * int8 (QDQ): constants are int8 and int32 behind DequantizeLinear, and each value that the device
 * rounds passes QuantizeLinear and DequantizeLinear.  Input and output are int8. */
#include "hn_onnx_write.h"

#include <stdio.h>
#include <string.h>
#include "hn_onnx.h"

/* --- parts of a graph ----------------------------------------------------------------------- */

static void put_attr(struct onx *t, const struct onx_attr *a)
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

void onx_put_node(struct onx *t, const struct onx_node *n)
{
	const size_t mark = hn_pb_begin(&t->w, ONNX_GRAPH_NODE);
	char name[ONX_TEXT_MAX + 16];

	for (unsigned i = 0; i < n->n_in; i++)
		hn_pb_text(&t->w, ONNX_NODE_INPUT, n->in[i]);
	if (n->last_only)
		hn_pb_text(&t->w, ONNX_NODE_OUTPUT, "");
	hn_pb_text(&t->w, ONNX_NODE_OUTPUT, n->out);
	(void)snprintf(name, sizeof name, "%u %s", ++t->n_nodes, n->name ? n->name : n->op);
	hn_pb_text(&t->w, ONNX_NODE_NAME, name);
	hn_pb_text(&t->w, ONNX_NODE_OP, n->op);
	for (unsigned i = 0; i < n->n_attrs; i++)
		put_attr(t, &n->attr[i]);
	hn_pb_end(&t->w, mark);
}

uint8_t *onx_put_constant(struct onx *t, const struct onx_constant *c, char name[ONX_TEXT_MAX])
{
	const size_t mark = hn_pb_begin(&t->w, ONNX_GRAPH_CONSTANT);
	uint8_t *p;

	(void)snprintf(name, ONX_TEXT_MAX, "c%u", ++t->n_constants);
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

void onx_put_f32(struct onx *t, float v, char name[ONX_TEXT_MAX])
{
	uint8_t *p = onx_put_constant(t, &(struct onx_constant){ ONNX_FLOAT, { 0 }, 0, sizeof v }, name);

	if (p)
		memcpy(p, &v, sizeof v);
}

static void put_i8(struct onx *t, int8_t v, char name[ONX_TEXT_MAX])
{
	uint8_t *p = onx_put_constant(t, &(struct onx_constant){ ONNX_INT8, { 0 }, 0, 1 }, name);

	if (p)
		*p = (uint8_t)v;
}

void onx_step(struct onx *t, struct onx_node *n)
{
	char out[ONX_TEXT_MAX], in[ONX_TEXT_MAX];

	(void)snprintf(out, sizeof out, "v%u", ++t->n_values);
	memcpy(in, t->now, sizeof in);
	n->in[0] = in;
	n->n_in = n->n_in ? n->n_in : 1;
	n->out = out;
	onx_put_node(t, n);
	memcpy(t->now, out, sizeof out);
}

/* --- layouts -------------------------------------------------------------------------------- */

static void turn_axes(struct onx *t)
{
	onx_step(t, &(struct onx_node){ .op = "Transpose", .n_attrs = 1,
	         .attr = { { .name = "perm", .v = { 0, 2, 1 }, .n = 3, .list = true } } });
}

/* From one row to three axes; 0: as it is. */
static void fold_row(struct onx *t, int64_t first, int64_t second)
{
	const int64_t dim[] = { 0, first, second };
	char shape[ONX_TEXT_MAX];
	uint8_t *p = onx_put_constant(t, &(struct onx_constant){ ONNX_INT64, { 3 }, 1, sizeof dim },
	                              shape);

	if (p)
		memcpy(p, dim, sizeof dim);
	onx_step(t, &(struct onx_node){ .op = "Reshape", .in = { NULL, shape }, .n_in = 2 });
}

void onx_turn(struct onx *t, enum onx_layout to)
{
	const struct hn_shape s = t->shape;
	const bool unfold = t->layout == FLAT && to != FLAT;
	const bool one = to == CHANNELS_FIRST && s.len == 1;     /* no need to turn it */

	if (unfold)
		fold_row(t, one ? s.ch : s.len, one ? 1 : s.ch);
	if (unfold ? to == CHANNELS_FIRST && !one
	           : t->layout != to && (to != FLAT || t->layout == CHANNELS_FIRST))
		turn_axes(t);
	if (t->layout != FLAT && to == FLAT)
		onx_step(t, &(struct onx_node){ .op = "Flatten", .n_attrs = 1,
		         .attr = { { .name = "axis", .v = { 1 }, .n = 1 } } });
	t->layout = to;
}

/* --- int8 ----------------------------------------------------------------------------------- */

void onx_grid(struct onx *t, struct hn_grid g, bool back)
{
	static const char *const ops[] = { "QuantizeLinear", "DequantizeLinear" };
	char scale[ONX_TEXT_MAX], zp[ONX_TEXT_MAX];

	if (!t->int8)
		return;
	onx_put_f32(t, g.scale, scale);
	put_i8(t, g.zp, zp);
	onx_step(t, &(struct onx_node){ .op = ops[back], .in = { NULL, scale, zp }, .n_in = 3 });
}

static void quantise(struct onx *t, unsigned g, bool back)
{
	onx_grid(t, t->int8 ? t->x->calib->grid[g] : (struct hn_grid){ 1, 0 }, back);
}

void onx_round_to(struct onx *t, unsigned g)
{
	quantise(t, g, false);
	quantise(t, g, true);
}

uint8_t *onx_put_scaled(struct onx *t, const struct onx_scaled *s, char name[ONX_TEXT_MAX])
{
	char q[ONX_TEXT_MAX], scale[ONX_TEXT_MAX], zero[ONX_TEXT_MAX];
	const size_t zero_bytes = s->out * (s->c.type == ONNX_INT8 ? 1 : 4);
	uint8_t *p;

	p = onx_put_constant(t, &(struct onx_constant){ ONNX_FLOAT, { (int64_t)s->out }, 1,
	                     4 * s->out }, scale);
	if (p)
		memcpy(p, s->scale, 4 * s->out);
	(void)onx_put_constant(t, &(struct onx_constant){ s->c.type, { (int64_t)s->out }, 1,
	                       zero_bytes }, zero);
	(void)snprintf(name, ONX_TEXT_MAX, "d%u", t->n_constants);
	(void)snprintf(q, sizeof q, "c%u", t->n_constants + 1);
	onx_put_node(t, &(struct onx_node){ .op = "DequantizeLinear", .in = { q, scale, zero }, .n_in = 3,
	         .out = name, .n_attrs = 1, .attr = { { .name = "axis", .v = { 0 }, .n = 1 } } });
	return onx_put_constant(t, &s->c, q);
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

	onx_turn(t, FLAT);
	quantise(t, net->n_layers, false);
	onx_put_node(t, &(struct onx_node){ .op = "Identity", .in = { t->now }, .n_in = 1,
	             .out = "output" });
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
	for (unsigned i = 0; i < net->n_layers && !rc; i++) {
		memcpy(t->kept[i].name, t->now, sizeof t->now);
		t->kept[i].layout = t->layout;
		rc = onx_put_layer(t, i);
	}
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
