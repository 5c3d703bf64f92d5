/* Operators that become layers without weights, and scalings by constants. */
#include "hn_import_walk.h"

#include <math.h>
#include <string.h>

/* --- one number at a time ------------------------------------------------------------------- */

hn_status walk_act(struct walk *w, uint8_t op)
{
	struct val v = w->val[w->n->out[0]];
	hn_status rc;

	if (op == HN_G_UNKNOWN)
		return HN_OK;
	if (op != HN_G_RELU && op != HN_G_RELU6)
		return walk_refuse(w, "an activation that no layer has");
	rc = walk_layer(w, op == HN_G_RELU ? "relu" : "relu6");
	if (!rc)
		walk_result(w, &v);
	return rc;
}

static hn_status unary(struct walk *w, const char *text)
{
	struct val v;
	hn_status rc = walk_value(w, 0, &v);

	if (!rc)
		rc = walk_layer(w, "%s", text);
	if (!rc)
		walk_result(w, &v);
	return rc;
}

static hn_status op_named(struct walk *w)
{
	switch (w->n->op) {
	case HN_G_RELU: return unary(w, "relu");
	case HN_G_RELU6: return unary(w, "relu6");
	case HN_G_TANH: return unary(w, "tanh");
	default: return unary(w, "sigmoid");
	}
}

static hn_status op_leaky(struct walk *w)
{
	struct val v;
	hn_status rc = walk_value(w, 0, &v);

	if (!rc && !(w->n->alpha > 0 && w->n->alpha < 1))
		return walk_refuse(w, "slope %g, only 0 to 1 can be read", (double)w->n->alpha);
	if (!rc)
		rc = walk_layer(w, "leaky_relu %.9g", (double)w->n->alpha);
	if (!rc)
		walk_result(w, &v);
	return rc;
}

static float bound(const struct walk *w, unsigned i, float normal)
{
	return walk_is_constant(w, i) ? hn_gtensor_f32(&w->g->tensor[w->n->in[i]], 0) : normal;
}

static hn_status op_clip(struct walk *w)
{
	const float lo = bound(w, 1, w->n->alpha), hi = bound(w, 2, w->n->beta);

	if (lo == 0.0f && hi == 6.0f)
		return unary(w, "relu6");
	if (lo == 0.0f && hi > 3e38f)
		return unary(w, "relu");
	return walk_refuse(w, "bounds %g and %g; only 0 and 6, or 0 alone can be read", (double)lo,
	                   (double)hi);
}

/* The loss of a classifier contains it, and the device takes the largest output. */
static hn_status op_softmax(struct walk *w)
{
	struct val v;
	hn_status rc = walk_value(w, 0, &v);

	if (rc)
		return rc;
	if (v.rank == 0)
		return walk_refuse(w, "a value without axes");
	if (v.len > 1 && v.axis[w->n->axis < 0 ? v.rank - 1 : w->n->axis % v.rank] != AX_CH)
		return walk_refuse(w, "not over the channels");
	if (w->task != HN_CLASSIFY && w->n->other)
		return walk_refuse(w, "no layer does this; behind a classifier it is left out");
	if (w->task != HN_CLASSIFY)
		rc = walk_layer(w, "softmax");
	walk_result(w, &v);
	w->ended = w->task == HN_CLASSIFY;
	return rc;
}

/* --- pools ---------------------------------------------------------------------------------- */

/* All frames at once: the axis of the frames goes, or stays as 1. */
static hn_status pool_all(struct walk *w, struct val *v, const char *name)
{
	const int at = walk_axis(v, AX_LEN);
	hn_status rc;

	if (v->mixed || (at < 0 && v->len > 1))
		return walk_refuse(w, "frames and channels are one row here");
	rc = v->len > 1 && strcmp(name, "maxpool") == 0 ? walk_layer(w, "maxpool %u", v->len)
	                                                : walk_layer(w, "globalavgpool");
	if (at >= 0)
		v->axis[at] = AX_ONE;
	v->len = 1;
	return rc;
}

static hn_status op_global(struct walk *w)
{
	struct val v;
	hn_status rc = walk_value(w, 0, &v);

	if (!rc)
		rc = pool_all(w, &v, w->n->op == HN_G_GLOBAL_MAX ? "maxpool" : "globalavgpool");
	if (!rc)
		walk_result(w, &v);
	return rc;
}

/* MEAN or MAX over axes: those of the frames, and any that are 1. */
static hn_status op_reduce(struct walk *w)
{
	int32_t axes[HN_GRAPH_LIST_MAX];
	const int n = walk_list(w, 1, axes);
	bool goes[HN_GRAPH_RANK_MAX] = { false }, frames = false;
	struct val v, to;
	hn_status rc = walk_value(w, 0, &v);

	for (int i = 0; i < n && !rc; i++) {
		const int32_t a = axes[i] < 0 ? axes[i] + v.rank : axes[i];

		if (a < 0 || a >= v.rank || v.axis[a] == AX_BATCH || v.axis[a] == AX_FLAT ||
		    (v.axis[a] == AX_CH && v.ch > 1))
			return walk_refuse(w, "only frames can be put together");
		goes[a] = true;
		frames = frames || v.axis[a] == AX_LEN || (v.len == 1 && v.axis[a] == AX_ONE);
	}
	if (!rc && (n < 1 || !frames))
		return walk_refuse(w, "its axes are not those of the frames");
	if (!rc)
		rc = pool_all(w, &v, w->n->op == HN_G_MAX ? "maxpool" : "globalavgpool");
	if (rc)
		return rc;
	to = v;
	for (unsigned i = to.rank = 0; i < v.rank; i++)
		if (w->n->keep_dims || !goes[i])
			to.axis[to.rank++] = v.axis[i];
	walk_result(w, &to);
	return HN_OK;
}

/* --- scaling by constants ------------------------------------------------------------------- */

/* y = mul[c] x + add[c], for each channel c or for all. */
struct affine { const struct hn_gtensor *mul, *add; float mul1, add1; };

static double part(const struct hn_gtensor *t, float one, size_t c)
{
	return t ? (double)hn_gtensor_f32(t, t->count == 1 ? 0 : (uint32_t)c) : (double)one;
}

/* Before the first layer it belongs to the scaler: z = (x - mean) / std. */
static hn_status scale_input(struct walk *w, const struct affine *a, const struct val *v)
{
	for (unsigned c = 0; c < v->ch; c++) {
		const double mul = part(a->mul, a->mul1, c), add = part(a->add, a->add1, c);
		const double std = (double)w->scaler.std[c];
		const double to = std / mul, mean = (double)w->scaler.mean[c] - add * to;

		if (!(to > 0 && to < 1e30) || !(fabs(mean) < 1e30))
			return walk_refuse(w, "channel %u of the input is scaled by %g", c, mul);
		w->scaler.std[c] = (float)to;
		w->scaler.mean[c] = (float)mean;
	}
	return HN_OK;
}

/* Behind a product it goes into its weights and biases. */
static hn_status scale_product(struct walk *w, const struct affine *a)
{
	float *weight = w->w + w->product_at;
	const size_t row = w->product_row, out = w->product_out;

	for (size_t c = 0; c < out; c++) {
		const double mul = part(a->mul, a->mul1, c), add = part(a->add, a->add1, c);

		for (size_t i = 0; i < row; i++)
			weight[c * row + i] = (float)((double)weight[c * row + i] * mul);
		weight[row * out + c] = (float)((double)weight[row * out + c] * mul + add);
	}
	return HN_OK;
}

/* Elsewhere it is a depthwise convolution of its own, with one tap. */
static hn_status scale_alone(struct walk *w, const struct affine *a, const struct val *v)
{
	const size_t first = w->n_w;
	hn_status rc = v->mixed ? walk_refuse(w, "scales values whose channels are mixed with frames")
	                        : walk_layer(w, "dwconv1d 1");

	for (size_t c = 0; c < v->ch && !rc; c++)
		rc = walk_put(w, (float)part(a->mul, a->mul1, c));
	for (size_t c = 0; c < v->ch && !rc; c++)
		rc = walk_put(w, (float)part(a->add, a->add1, c));
	w->product = w->n_layers - 1;
	w->product_at = first;
	w->product_row = 1;
	w->product_out = v->ch;
	return rc;
}

/* What was there before a scaling that has gone into it is there no more. */
static void forget(struct walk *w)
{
	for (uint32_t i = 0; i < w->g->n_tensors; i++)
		if (w->val[i].layer == w->n_layers - 1)
			w->val[i].known = false;
}

static hn_status apply(struct walk *w, const struct affine *a, struct val *v)
{
	const bool product = w->product >= 0 && w->product == w->n_layers - 1;
	hn_status rc;

	if (product || (w->n_layers == 0 && v->ch <= 128)) {
		forget(w);
		rc = product ? scale_product(w, a) : scale_input(w, a, v);
	} else {
		rc = scale_alone(w, a, v);
	}
	if (!rc)
		walk_result(w, v);
	return rc ? rc : walk_act(w, w->n->act);
}

/* A constant that is one number, or one for each channel along the channels' axis. */
static hn_status by_channel(const struct walk *w, const struct hn_gtensor *t, const struct val *v)
{
	if (t->count == 1)
		return HN_OK;
	if (t->count != v->ch || v->mixed)
		return walk_refuse(w, "constant '%.*s' has %u elements for %u channels", HN_TEXT(t->name),
		                   t->count, v->ch);
	for (unsigned i = 0; i < t->rank; i++) {
		const int axis = (int)v->rank - (int)t->rank + (int)i;

		if (t->dim[i] > 1 && (axis < 0 || (v->axis[axis] != AX_CH && v->axis[axis] != AX_FLAT) ||
		    (v->axis[axis] == AX_FLAT && v->len > 1)))
			return walk_refuse(w, "constant '%.*s' does not lie along the channels",
			                   HN_TEXT(t->name));
	}
	return HN_OK;
}

/* x - t = x + (-t), x / t = (1 / t) x */
static void invert(const struct walk *w, const struct hn_gtensor *t, uint8_t *to)
{
	for (uint32_t i = 0; i < t->count; i++) {
		const float v = hn_gtensor_f32(t, i), r = w->n->op == HN_G_SUB ? -v : 1.0f / v;

		memcpy(to + 4 * i, &r, sizeof r);
	}
}

/* Two values: the last one and one from further back. */
static hn_status join(struct walk *w)
{
	struct val v[2];
	unsigned back;
	hn_status rc;

	if (w->n->op != HN_G_ADD || w->n->n_in != 2 || w->n->in[0] < 0 || w->n->in[1] < 0)
		return walk_refuse(w, "joins two values; only their sum can be read");
	back = w->val[w->n->in[0]].layer == w->n_layers - 1;
	rc = walk_value(w, !back, &v[0]);
	v[1] = w->val[w->n->in[back]];
	if (rc)
		return rc;
	if (!v[1].known || v[1].layer == v[0].layer || v[0].len != v[1].len || v[0].ch != v[1].ch ||
	    v[0].mixed != v[1].mixed || v[0].rank != v[1].rank ||
	    memcmp(v[0].axis, v[1].axis, v[0].rank) != 0)
		return walk_refuse(w, "adds two values that are not of the same shape and order");
	rc = walk_layer(w, "add %d", v[0].layer - v[1].layer);
	if (rc)
		return rc;
	walk_result(w, &v[0]);
	return walk_act(w, w->n->act);
}

static hn_status op_arithmetic(struct walk *w)
{
	const unsigned k = walk_is_constant(w, 0) ? 0 : 1;
	const struct hn_gtensor *t = NULL;
	uint8_t bytes[4 * 1024];
	struct hn_gtensor inverse = { .element = HN_EL_F32, .data = bytes };
	struct affine a = { NULL, NULL, 1, 0 };
	struct val v;
	hn_status rc;

	if (!walk_is_constant(w, k))
		return join(w);
	rc = walk_value(w, 1 - k, &v);
	if (!rc)
		rc = walk_constant(w, k, 0, &t);
	if (!rc)
		rc = by_channel(w, t, &v);
	if (rc)
		return rc;
	if (w->n->op == HN_G_SUB || w->n->op == HN_G_DIV) {
		if (k == 0 || t->count > 1024)
			return walk_refuse(w, "only a value less, or by, up to 1024 constants can be read");
		invert(w, t, bytes);
		inverse.count = t->count;
		t = &inverse;
	}
	*(w->n->op == HN_G_ADD || w->n->op == HN_G_SUB ? &a.add : &a.mul) = t;
	return apply(w, &a, &v);
}

/* y = (x - mean) / sqrt(var + eps) * scale + shift */
static hn_status op_batch_norm(struct walk *w)
{
	static const char *const names[] = { "scale", "shift", "mean", "variance" };
	const struct hn_gtensor *t[4];
	uint8_t mul[4 * 1024], add[4 * 1024];
	struct hn_gtensor m = { .element = HN_EL_F32, .data = mul }, b = { .element = HN_EL_F32,
		.data = add };
	const struct affine a = { &m, &b, 1, 0 };
	struct val v;
	hn_status rc = walk_value(w, 0, &v);

	for (unsigned i = 0; i < 4 && !rc; i++)
		rc = walk_constant(w, i + 1, v.ch, &t[i]);
	if (rc)
		return rc;
	if (v.ch > 1024 || v.mixed)
		return walk_refuse(w, "%s of %u channels", names[0], v.ch);
	for (uint32_t c = 0; c < v.ch; c++) {
		const double var = (double)hn_gtensor_f32(t[3], c) + (double)w->n->eps;
		const float k = (float)((double)hn_gtensor_f32(t[0], c) / sqrt(var));
		const float s = hn_gtensor_f32(t[1], c) - hn_gtensor_f32(t[2], c) * k;

		if (!isfinite(k) || !isfinite(s))
			return walk_refuse(w, "%s of channel %u is %g", names[3], c, var);
		memcpy(mul + 4 * c, &k, sizeof k);
		memcpy(add + 4 * c, &s, sizeof s);
	}
	m.count = b.count = v.ch;
	return apply(w, &a, &v);
}

walk_fn walk_layer_op(uint8_t op)
{
	switch (op) {
	case HN_G_RELU: case HN_G_RELU6: case HN_G_TANH: case HN_G_SIGMOID: return op_named;
	case HN_G_LEAKY: return op_leaky;
	case HN_G_CLIP: return op_clip;
	case HN_G_SOFTMAX: return op_softmax;
	case HN_G_GLOBAL_AVG: case HN_G_GLOBAL_MAX: return op_global;
	case HN_G_MEAN: case HN_G_MAX: return op_reduce;
	case HN_G_ADD: case HN_G_SUB: case HN_G_MUL: case HN_G_DIV: return op_arithmetic;
	case HN_G_BATCH_NORM: return op_batch_norm;
	default: return NULL;
	}
}
