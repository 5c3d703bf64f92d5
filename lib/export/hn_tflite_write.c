/* A net as .tflite.  Sequences are images of height 1, [1, 1, frames, channels]; a bound behind a
 * product or pool is its fused activation, as in the device's image.
 *
 * Offsets point forward, so a list stands before its items: the file is written twice, the first
 * time only to count them.
 *
 * int8 dense layers are written as CONV_2D with a window of one: its weights have a scale for each
 * channel everywhere, those of FULLY_CONNECTED only in newer runtimes. */
#include "hn_tflite_write.h"

#include <string.h>
#include "hn_tflite.h"

/* --- tensors -------------------------------------------------------------------------------- */

size_t tfl_elements(const struct tfl_shape *s)
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

	if (data) {
		t->data = hn_fb_vector(&t->w, &(struct hn_fb_array){ data, bytes, 1, 16 });
		hn_fb_link(&t->w, table, 0, t->data);
	}
	hn_fb_link_at(&t->w, t->buffers, t->n_buffers, table);
	return t->n_buffers++;
}

static void put_grid(struct tfl *t, uint32_t tensor, const struct tfl_spec *s)
{
	const struct hn_fb_value fields[] = { { TFL_GRID_SCALE, 0 }, { TFL_GRID_ZERO, 0 },
		{ TFL_GRID_DIM, s->axis } };
	const uint32_t grid = hn_fb_table(&t->w, fields, 3);
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

int32_t tfl_put_tensor(struct tfl *t, const struct tfl_spec *s)
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

int32_t tfl_put_value(struct tfl *t, const char *name, struct tfl_shape shape, unsigned g)
{
	struct tfl_spec s = { .name = name, .type = TFL_FLOAT32, .shape = shape };

	if (t->int8) {
		s.type = TFL_INT8;
		s.scale = &t->x->calib->grid[g].scale;
		s.n_scales = 1;
		s.zp = t->x->calib->grid[g].zp;
	}
	return tfl_put_tensor(t, &s);
}

/* --- operators ------------------------------------------------------------------------------ */

static uint32_t code_index(struct tfl *t, struct tfl_code c)
{
	for (unsigned i = 0; i < t->n_codes; i++)
		if (t->code[i].builtin == c.builtin && t->code[i].version == c.version)
			return i;
	t->code[t->n_codes] = c;
	return t->n_codes++;
}

void tfl_put_op(struct tfl *t, const struct tfl_op *o)
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

static bool same_shape(const struct tfl_shape *a, const struct tfl_shape *b)
{
	return a->rank == b->rank && memcmp(a->dim, b->dim, a->rank * sizeof *a->dim) == 0;
}

void tfl_reshape(struct tfl *t, struct tfl_shape to, unsigned g)
{
	const struct tfl_spec shape = { .name = "shape", .type = TFL_INT32, .shape = { 1, { to.rank } },
		.data = to.dim, .bytes = to.rank * sizeof *to.dim };
	struct tfl_op o = { .code = { TFL_RESHAPE, 1 }, .n_in = 2, .kind = TFL_RESHAPE_OPTIONS,
		.n_options = 1, .to = &to };

	if (same_shape(&t->shape, &to))
		return;
	o.in[0] = t->now;
	o.in[1] = tfl_put_tensor(t, &shape);
	o.out = tfl_put_value(t, "reshaped", to, g);
	t->shape = to;
	tfl_put_op(t, &o);
}

struct tfl_shape tfl_as_image(struct hn_shape s)
{
	return (struct tfl_shape){ 4, { 1, 1, s.len, s.ch } };
}

struct tfl_shape tfl_as_vector(struct hn_shape s)
{
	return (struct tfl_shape){ 2, { 1, s.len * s.ch } };
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

	t->shape = in.len > 1 ? (struct tfl_shape){ 3, { 1, in.len, in.ch } } : tfl_as_vector(in);
	t->in = t->now = tfl_put_value(t, "input", t->shape, 0);
}

static hn_status put_model(struct tfl *t, const struct tfl *count)
{
	const uint32_t graph = put_frame(t, count);
	hn_status rc = hn_image_start(&t->image, t->x, t->err);

	(void)put_buffer(t, NULL, 0);
	put_input(t);
	for (unsigned i = 0; i < t->x->net->n_layers && !rc; i++) {
		t->kept[i].tensor = t->now;
		t->kept[i].shape = t->shape;
		rc = tfl_put_layer(t, i);
	}
	if (rc)
		return rc;
	tfl_reshape(t, (struct tfl_shape){ 2, { 1, t->x->net->out_n } }, t->x->net->n_layers);
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
