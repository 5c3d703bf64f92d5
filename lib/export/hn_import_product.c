/* Operators that become layers with a window or weights: convolution, product, pool, gru. */
#include "hn_import_walk.h"

#include <stdio.h>
#include <string.h>

/* --- windows -------------------------------------------------------------------------------- */

/* One axis of a window, along the frames. */
struct span { int32_t kernel, stride, dilation, front; bool same; uint16_t out; };

/* Which of the two spatial axes holds the frames: the longer one, else the one with a window. */
static int frames_axis(const struct val *v, unsigned first, const int32_t *kernel)
{
	const int len = walk_axis(v, AX_LEN);
	const unsigned n = v->rank - 2u;

	if (len >= 0)
		return len - (int)first;
	for (unsigned i = 0; i < n; i++)
		if (i < 2 && kernel[i] > 1)
			return (int)i;
	return (int)n - 1;
}

/* Check what is not along the frames, and pick what is. */
static hn_status window(const struct walk *w, struct val *v, const int32_t *kernel, struct span *s)
{
	const struct hn_gnode *n = w->n;
	const unsigned axes = v->rank - 2u, first = w->g->channels_last ? 1 : 2;
	const unsigned ch = w->g->channels_last ? v->rank - 1u : 1;
	int at;

	if (v->rank < 3 || v->rank > 4 || v->mixed || v->axis[0] != AX_BATCH ||
	    (v->axis[ch] != AX_CH && v->ch > 1))
		return walk_refuse(w, "its input is not (batch, channels, frames) of some order");
	at = frames_axis(v, first, kernel);
	if (at < 0 || at >= (int)axes)
		return walk_refuse(w, "the frames are not where it looks for them");
	for (unsigned i = 0; i < axes; i++)
		if ((int)i != at && (kernel[i] != 1 || walk_size(v, first + i) != 1))
			return walk_refuse(w, "a window over two axes");
	*s = (struct span){ .kernel = kernel[at], .stride = n->stride[at], .dilation = n->dilation[at],
		.front = n->pad[at] };
	if (s->kernel < 1 || s->stride < 1 || s->dilation < 1 || s->kernel > 4096 ||
	    s->stride > 4096 || s->dilation > 4096)
		return walk_refuse(w, "kernel %d, stride %d, dilation %d", s->kernel, s->stride,
		                   s->dilation);
	return HN_OK;
}

/* Frames of the output, and whether the padding is that of "same". */
static hn_status padding(const struct walk *w, const struct val *v, struct span *s, int32_t back)
{
	const int32_t reach = (s->kernel - 1) * s->dilation + 1, len = v->len;
	const int32_t same_out = (len + s->stride - 1) / s->stride;
	const int32_t over = (same_out - 1) * s->stride + reach - len;
	const int32_t same_front = over > 0 ? over / 2 : 0;
	int64_t total = (int64_t)len + s->front + back - reach;

	if (w->n->pad_mode == HN_PAD_NONE) {
		s->front = 0;
		total = (int64_t)len - reach;
	}
	if (w->n->pad_mode == HN_PAD_SAME) {
		s->front = same_front;
		total = (int64_t)(same_out - 1) * s->stride;
	}
	if (s->front < 0 || back < 0 || total < 0 || w->n->ceil)
		return walk_refuse(w, "a padding that no layer has");
	s->out = (uint16_t)(total / s->stride + 1);
	s->same = s->front > 0 || s->out != (len - reach) / s->stride + 1 || len < reach;
	if (s->same && (s->front != same_front || s->out != same_out))
		return walk_refuse(w, "pads %d frames in front and %d behind; none or \"same\" (%d in front, "
		                   "%d frames out) can be read", s->front, back, same_front, same_out);
	return HN_OK;
}

static hn_status span_of(const struct walk *w, struct val *v, const int32_t *kernel, struct span *s)
{
	const unsigned axes = w->n->n_axes ? w->n->n_axes : 1;
	hn_status rc = window(w, v, kernel, s);
	int at;

	if (rc)
		return rc;
	at = frames_axis(v, w->g->channels_last ? 1 : 2, kernel);
	return padding(w, v, s, w->n->pad[(unsigned)at + axes < 4 ? (unsigned)at + axes : 3]);
}

/* --- pools ---------------------------------------------------------------------------------- */

static hn_status op_pool(struct walk *w)
{
	const char *name = w->n->op == HN_G_MAX_POOL ? "maxpool" : "avgpool";
	struct val v;
	struct span s = { .kernel = 1, .stride = 1, .dilation = 1 };
	hn_status rc = walk_value(w, 0, &v);

	if (!rc && (w->n->n_axes == 0 || (unsigned)w->n->n_axes + 2 != v.rank))
		return walk_refuse(w, "a window of %u axes", w->n->n_axes);
	if (!rc)
		rc = span_of(w, &v, w->n->kernel, &s);
	if (!rc && (s.same || s.dilation != 1))
		return walk_refuse(w, "pools do not pad here");
	if (!rc)
		rc = walk_layer(w, s.stride == s.kernel ? "%s %d" : "%s %d stride %d", name, s.kernel,
		                s.stride);
	if (rc)
		return rc;
	v.len = s.out;
	walk_result(w, &v);
	return walk_act(w, w->n->act);
}

/* --- weights -------------------------------------------------------------------------------- */

/* Where weight (o, j, c) of output o, tap j, channel c stands: o * out + j * tap + c * ch. */
struct order { size_t out, tap, ch; };

struct product { const struct hn_gtensor *w, *b; size_t out, taps, ch; struct order at; };

static hn_status put_product(struct walk *w, const struct product *p)
{
	const size_t first = w->n_w;
	hn_status rc = HN_OK;

	for (size_t o = 0; o < p->out && !rc; o++)
		for (size_t j = 0; j < p->taps && !rc; j++)
			for (size_t c = 0; c < p->ch && !rc; c++)
				rc = walk_put(w, w->n->alpha * hn_gtensor_f32(p->w, (uint32_t)(o * p->at.out +
				              j * p->at.tap + c * p->at.ch)));
	for (size_t o = 0; o < p->out && !rc; o++)
		rc = walk_put(w, p->b ? w->n->beta * hn_gtensor_f32(p->b, p->b->count == 1 ? 0 : (uint32_t)o)
		                      : 0);
	w->product = w->n_layers - 1;
	w->product_at = first;
	w->product_row = p->taps * p->ch;
	w->product_out = p->out;
	return rc;
}

/* The bias, when there is one: one number, or one for each output. */
static hn_status bias(const struct walk *w, struct product *p)
{
	const bool there = w->n->n_in > 2 && w->n->in[2] >= 0;
	hn_status rc = there ? walk_constant(w, 2, 0, &p->b) : HN_OK;

	if (!rc && p->b && p->b->count != p->out && p->b->count != 1)
		return walk_refuse(w, "%u biases for %zu outputs", p->b->count, p->out);
	return rc;
}

/* One filter for each channel: (1, taps, ch) with the channels last, else (ch, 1, taps). */
static hn_status depth_weights(const struct walk *w, const struct val *v, struct product *p)
{
	const unsigned at = w->g->channels_last ? v->rank - 1u : 0;

	if (p->w->dim[at] != v->ch || p->w->count != v->ch * p->taps)
		return walk_refuse(w, "%u weights for %u channels; only one filter each can be read",
		                   p->w->count, v->ch);
	p->out = v->ch;
	p->ch = 1;
	p->at = w->g->channels_last ? (struct order){ 1, v->ch, 0 } : (struct order){ p->taps, 1, 0 };
	return HN_OK;
}

static hn_status conv_weights(const struct walk *w, const struct val *v, struct product *p,
                              int32_t kernel[2])
{
	const unsigned first = w->g->channels_last ? 1 : 2, n = v->rank - 2u;
	hn_status rc = walk_constant(w, 1, 0, &p->w);

	if (rc)
		return rc;
	if (p->w->rank != v->rank || v->rank < 3 || v->rank > 4)
		return walk_refuse(w, "weights of %u axes for an input of %u", p->w->rank, v->rank);
	for (unsigned i = 0; i < n; i++)
		kernel[i] = p->w->dim[first + i];
	p->out = (size_t)p->w->dim[0];
	p->ch = (size_t)p->w->dim[w->g->channels_last ? n + 1 : 1];
	p->taps = (size_t)kernel[0] * (size_t)(n > 1 ? kernel[1] : 1);
	p->at = w->g->channels_last ? (struct order){ p->taps * p->ch, p->ch, 1 }
	                            : (struct order){ p->taps * p->ch, 1, p->taps };
	return HN_OK;
}

static hn_status conv_layer(struct walk *w, const struct span *s, size_t out, bool deep)
{
	char options[32];
	int at = 0;

	options[0] = '\0';
	if (s->stride > 1)
		at += snprintf(options, sizeof options, " stride %d", s->stride);
	if (s->dilation > 1)
		(void)snprintf(options + at, sizeof options - (size_t)at, " dilation %d", s->dilation);
	if (deep)
		return walk_layer(w, "dwconv1d %d%s%s", s->kernel, options, s->same ? " same" : "");
	return walk_layer(w, "conv1d %zux%d%s%s", out, s->kernel, options, s->same ? " same" : "");
}

static hn_status op_conv(struct walk *w)
{
	struct product p = { .b = NULL };
	int32_t kernel[2] = { 1, 1 };
	struct val v;
	struct span s = { .kernel = 1, .stride = 1, .dilation = 1 };
	bool deep;
	hn_status rc = walk_value(w, 0, &v);

	if (!rc)
		rc = conv_weights(w, &v, &p, kernel);
	if (!rc)
		rc = span_of(w, &v, kernel, &s);
	deep = !rc && (w->n->op == HN_G_DEPTHWISE || (w->n->group > 1 && w->n->group == v.ch));
	if (deep)
		rc = depth_weights(w, &v, &p);
	else if (!rc && (w->n->group != 1 || p.ch != v.ch))
		return walk_refuse(w, "%d groups, %zu channels for %u", w->n->group, p.ch, v.ch);
	if (!rc)
		rc = bias(w, &p);
	if (!rc)
		rc = conv_layer(w, &s, p.out, deep);
	if (rc)
		return rc;
	rc = put_product(w, &p);
	v.len = s.out;
	v.ch = (uint16_t)p.out;
	v.axis[w->g->channels_last ? v.rank - 1 : 1] = AX_CH;
	walk_result(w, &v);
	return rc ? rc : walk_act(w, w->n->act);
}

/* --- dense ---------------------------------------------------------------------------------- */

/* The product over the last axis of a sequence is a convolution with a window of one. */
static hn_status dense_frames(struct walk *w, struct val *v, const struct product *p)
{
	hn_status rc = walk_layer(w, "conv1d %zux1", p->out);

	if (!rc)
		rc = put_product(w, p);
	v->ch = (uint16_t)p->out;
	return rc;
}

/* Behind a flatten that had channels before frames, our inputs stand in another order. */
static hn_status dense_all(struct walk *w, struct val *v, const struct product *whole)
{
	struct product p = *whole;
	hn_status rc = walk_layer(w, "dense %zu", p.out);

	if (v->mixed) {
		p.taps = v->from_len;
		p.ch = v->from_ch;
		p.at.tap = whole->at.ch;
		p.at.ch = whole->at.ch * v->from_len;
	}
	if (!rc)
		rc = put_product(w, &p);
	for (unsigned i = 0; i < v->rank; i++)
		if (v->axis[i] == AX_FLAT || v->axis[i] == AX_LEN)
			v->axis[i] = v->axis[i] == AX_FLAT ? AX_CH : AX_ONE;
	v->axis[v->rank - 1] = AX_CH;
	v->ch = (uint16_t)p.out;
	v->len = 1;
	v->mixed = false;
	return rc;
}

static hn_status op_dense(struct walk *w)
{
	struct product p = { .taps = 1 };
	const bool rows = w->n->op == HN_G_DENSE && w->n->trans_b;
	struct val v;
	size_t all;
	hn_status rc = walk_value(w, 0, &v);

	if (!rc)
		rc = walk_constant(w, 1, 0, &p.w);
	if (rc)
		return rc;
	if (p.w->rank != 2 || w->n->trans_a || v.rank < 1)
		return walk_refuse(w, "weights of %u axes, or a turned input", p.w->rank);
	p.out = (size_t)p.w->dim[!rows];
	p.ch = (size_t)p.w->dim[rows];
	p.at = rows ? (struct order){ p.ch, 0, 1 } : (struct order){ 1, 0, p.out };
	rc = bias(w, &p);
	if (rc)
		return rc;
	all = (size_t)v.len * v.ch;
	if (v.len > 1 && v.axis[v.rank - 1] == AX_CH && p.ch == v.ch)
		rc = dense_frames(w, &v, &p);
	else if (p.ch == all && (walk_axis(&v, AX_LEN) <= walk_axis(&v, AX_CH) || v.len == 1 || v.ch == 1))
		rc = dense_all(w, &v, &p);
	else
		return walk_refuse(w, "weights for %zu inputs, there are %zu", p.ch, all);
	walk_result(w, &v);
	return rc ? rc : walk_act(w, w->n->act);
}

/* --- gru ------------------------------------------------------------------------------------ */

static bool used(const struct walk *w, int16_t tensor)
{
	if (tensor < 0)
		return false;
	for (uint32_t i = 0; i < w->g->n_nodes; i++)
		for (unsigned k = 0; k < w->g->node[i].n_in; k++)
			if (w->g->node[i].in[k] == tensor)
				return true;
	return w->g->out == tensor;
}

/* Blocks of n rows in the file's order z, r, n to ours r, z, n. */
static hn_status put_gates(struct walk *w, const struct hn_gtensor *t, size_t block, size_t from)
{
	static const uint8_t order[] = { 1, 0, 2 };
	hn_status rc = HN_OK;

	for (unsigned g = 0; g < 3; g++)
		for (size_t i = 0; i < block && !rc; i++)
			rc = walk_put(w, t ? hn_gtensor_f32(t, (uint32_t)(from + order[g] * block + i)) : 0);
	return rc;
}

static hn_status gru_input(const struct walk *w, struct val *v)
{
	const unsigned seq = w->n->batch_first, batch = !seq;
	hn_status rc = walk_value(w, 0, v);

	if (!rc && (v->rank != 3 || v->mixed || v->axis[batch] != AX_BATCH ||
	    (v->axis[seq] != AX_LEN && v->len > 1) || (v->axis[2] != AX_CH && v->ch > 1)))
		return walk_refuse(w, "its input is not (frames, batch, channels)");
	if (!rc && (!w->n->before_reset || w->n->other))
		return walk_refuse(w, "only forward, with linear_before_reset = 1 and the usual activations");
	return rc;
}

/* The initial state has to be zero. */
static hn_status gru_state(const struct walk *w)
{
	const struct hn_gtensor *t = NULL;
	hn_status rc;

	if (w->n->n_in <= 5 || w->n->in[5] < 0)
		return HN_OK;
	rc = walk_constant(w, 5, 0, &t);
	for (uint32_t i = 0; !rc && i < t->count; i++)
		if (hn_gtensor_f32(t, i) != 0.0f)
			return walk_refuse(w, "the initial state is not zero");
	return rc;
}

static void gru_result(struct walk *w, const struct val *v, bool all)
{
	static const uint8_t axes[2][2][4] = {
		{ { AX_ONE, AX_BATCH, AX_CH, 0 }, { AX_BATCH, AX_ONE, AX_CH, 0 } },
		{ { AX_LEN, AX_ONE, AX_BATCH, AX_CH }, { AX_BATCH, AX_LEN, AX_ONE, AX_CH } } };
	const int16_t out = w->n->out[!all];
	struct val to = *v;

	to.rank = all ? 4 : 3;
	memcpy(to.axis, axes[all][w->n->batch_first], 4);
	to.known = true;
	to.layer = (int16_t)(w->n_layers - 1);
	w->val[out] = to;
}

static hn_status op_gru(struct walk *w)
{
	const struct hn_gtensor *x = NULL, *h = NULL, *b = NULL;
	const bool all = used(w, w->n->out[0]);
	size_t n = 0;
	struct val v;
	hn_status rc = gru_input(w, &v);

	if (!rc)
		rc = walk_constant(w, 2, 0, &h);
	if (!rc && (h->rank != 3 || h->dim[0] != 1 || h->dim[2] < 1 || h->dim[1] != 3 * h->dim[2]))
		return walk_refuse(w, "weights of another shape than (1, 3 units, units)");
	n = rc ? 0 : (size_t)h->dim[2];
	if (!rc)
		rc = walk_constant(w, 1, 3 * n * v.ch, &x);
	if (!rc && w->n->n_in > 3 && w->n->in[3] >= 0)
		rc = walk_constant(w, 3, 6 * n, &b);
	if (!rc)
		rc = gru_state(w);
	if (!rc && (all ? w->n->out[0] : w->n->out[1]) < 0)
		return walk_refuse(w, "nothing uses its outputs");
	if (!rc)
		rc = walk_layer(w, all ? "gru %zu seq" : "gru %zu", n);
	if (!rc)
		rc = put_gates(w, x, n * v.ch, 0);
	if (!rc)
		rc = put_gates(w, h, n * n, 0);
	if (!rc)
		rc = put_gates(w, b, n, 0);
	if (!rc)
		rc = put_gates(w, b, n, 3 * n);
	if (rc)
		return rc;
	v.ch = (uint16_t)n;
	v.len = all ? v.len : 1;
	gru_result(w, &v, all);
	return HN_OK;
}

/* The last frame of a gru's output: its last state. */
static hn_status op_gather(struct walk *w)
{
	const struct hn_gtensor *t = NULL;
	struct val v, to;
	int64_t index;
	int axis;
	char *seq;
	hn_status rc = walk_value(w, 0, &v);

	if (!rc)
		rc = walk_constant(w, 1, 1, &t);
	if (rc)
		return rc;
	axis = w->n->axis < 0 ? w->n->axis + v.rank : w->n->axis;
	index = hn_gtensor_int(t, 0);
	seq = w->n_layers ? strstr(w->text[w->n_layers - 1], " seq") : NULL;
	if (axis < 0 || axis >= v.rank || t->element == HN_EL_F32 || (v.axis[axis] != AX_ONE &&
	    (v.axis[axis] != AX_LEN || !seq || (index != -1 && index != v.len - 1))))
		return walk_refuse(w, "only the last frame behind a GRU can be taken");
	if (seq && v.axis[axis] == AX_LEN) {
		*seq = '\0';
		v.len = 1;
	}
	to = v;
	to.rank = 0;
	for (int i = 0; i < v.rank; i++)
		if (i != axis || t->rank > 0)
			to.axis[to.rank++] = i == axis ? AX_ONE : v.axis[i];
	walk_result(w, &to);
	return HN_OK;
}

walk_fn walk_product_op(uint8_t op)
{
	switch (op) {
	case HN_G_CONV: case HN_G_DEPTHWISE: return op_conv;
	case HN_G_DENSE: case HN_G_MATMUL: return op_dense;
	case HN_G_MAX_POOL: case HN_G_AVG_POOL: return op_pool;
	case HN_G_GRU: return op_gru;
	case HN_G_GATHER: return op_gather;
	default: return NULL;
	}
}
