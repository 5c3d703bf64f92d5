/* Operators that only move numbers: what the axes mean is followed through them. */
#include "hn_import_walk.h"

#include <string.h>

/* Axes that have more than one element, without the batch; returns their number. */
static unsigned long_axes(const struct val *v, uint8_t *meaning, size_t *size)
{
	unsigned n = 0;

	for (unsigned i = 0; i < v->rank; i++)
		if (v->axis[i] != AX_BATCH && walk_size(v, i) > 1) {
			meaning[n] = v->axis[i];
			size[n++] = walk_size(v, i);
		}
	return n;
}

/* One row of everything: a layer, unless it is one already. */
static hn_status flatten(struct walk *w, struct val *v)
{
	hn_status rc = walk_layer(w, "flatten");

	v->mixed = walk_axis(v, AX_CH) < walk_axis(v, AX_LEN);
	v->from_len = v->len;
	v->from_ch = v->ch;
	v->ch = (uint16_t)(v->len * v->ch);
	v->len = 1;
	return rc;
}

/* The dimensions that a Reshape asks for: 0 copies (ONNX), -1 is what is left. */
static bool resolve(const struct walk *w, const struct val *v, int32_t *dim, int n)
{
	const int64_t total = (int64_t)v->len * v->ch;
	int64_t known = 1;
	int open = 0;

	if (n < 1 || n > HN_GRAPH_RANK_MAX || v->rank < 1 || v->axis[0] != AX_BATCH)
		return false;
	for (int i = 1; i < n; i++) {
		if (dim[i] == 0 && !w->g->channels_last && i < v->rank)
			dim[i] = (int32_t)walk_size(v, (unsigned)i);
		if (dim[i] == -1)
			open = open ? -1 : i;
		else if (dim[i] < 1 || dim[i] > total)
			return false;
		else
			known *= dim[i];
		if (open < 0 || known > total)
			return false;
	}
	if (open)
		dim[open] = (int32_t)(total / known);
	return known * (open ? dim[open] : 1) == total;
}

/* Give the axes of v the sizes dim[1..n): the batch stays the first. */
static hn_status reshape(struct walk *w, struct val *v, int32_t *dim, int n)
{
	uint8_t old[HN_GRAPH_RANK_MAX], fresh[2] = { AX_CH, AX_CH };
	size_t size[HN_GRAPH_RANK_MAX], want[HN_GRAPH_RANK_MAX] = { 0 };
	unsigned n_old = long_axes(v, old, size), n_new = 0;
	hn_status rc = HN_OK;

	if (!resolve(w, v, dim, n))
		return walk_refuse(w, "a shape that (%u, %u) cannot take", v->len, v->ch);
	for (int i = 1; i < n; i++)
		if (dim[i] > 1 && n_new < HN_GRAPH_RANK_MAX)
			want[n_new++] = (size_t)dim[i];
	if (n_old == 2 && n_new == 1) {
		rc = flatten(w, v);
	} else if (n_old == 1 && old[0] == AX_FLAT && n_new == 2 && want[0] == v->len) {
		fresh[0] = AX_LEN;
	} else if (n_old != n_new || (n_new && memcmp(size, want, n_new * sizeof *want) != 0)) {
		return walk_refuse(w, "frames and channels get lost in its shape");
	} else {
		memcpy(fresh, old, n_new < 2 ? n_new : 2);
	}
	v->rank = (uint8_t)n;
	n_new = 0;
	for (int i = 1; i < n; i++)
		v->axis[i] = dim[i] > 1 ? fresh[n_new++ & 1] : AX_ONE;
	return rc;
}

static hn_status op_reshape(struct walk *w)
{
	int32_t dim[HN_GRAPH_LIST_MAX];
	const int n = walk_list(w, 1, dim);
	struct val v;
	hn_status rc = walk_value(w, 0, &v);

	if (!rc && n < 0)
		return walk_refuse(w, "its shape is not a constant");
	if (!rc)
		rc = reshape(w, &v, dim, n);
	if (!rc)
		walk_result(w, &v);
	return rc;
}

static hn_status op_flatten(struct walk *w)
{
	int32_t dim[2] = { 1, -1 };
	struct val v;
	hn_status rc = walk_value(w, 0, &v);

	if (!rc && w->n->axis > 1 && (size_t)w->n->axis < v.rank)
		return walk_refuse(w, "flattens from axis %d on, only 1 can be read", w->n->axis);
	if (!rc)
		rc = reshape(w, &v, dim, 2);
	if (!rc)
		walk_result(w, &v);
	return rc;
}

static bool asked(const int32_t *axes, int n, unsigned at, unsigned rank)
{
	for (int i = 0; i < n; i++)
		if (axes[i] == (int32_t)at || axes[i] == (int32_t)at - (int32_t)rank)
			return true;
	return false;
}

static hn_status op_squeeze(struct walk *w)
{
	int32_t axes[HN_GRAPH_LIST_MAX];
	const int n = walk_list(w, 1, axes);
	struct val v, to;
	hn_status rc = walk_value(w, 0, &v);

	if (rc)
		return rc;
	if (n < 1)                       /* then a batch of one goes, too */
		return walk_refuse(w, "it does not say which axes");
	to = v;
	to.rank = 0;
	for (unsigned i = 0; i < v.rank; i++) {
		const bool goes = asked(axes, n, i, v.rank);

		if (goes && (v.axis[i] == AX_BATCH || walk_size(&v, i) > 1))
			return walk_refuse(w, "takes away an axis that is not 1");
		if (!goes)
			to.axis[to.rank++] = v.axis[i];
	}
	walk_result(w, &to);
	return HN_OK;
}

static hn_status op_unsqueeze(struct walk *w)
{
	int32_t axes[HN_GRAPH_LIST_MAX];
	const int n = walk_list(w, 1, axes);
	struct val v, to;
	unsigned from = 0;
	hn_status rc = walk_value(w, 0, &v);

	if (rc)
		return rc;
	if (n < 1 || v.rank + n > HN_GRAPH_RANK_MAX)
		return walk_refuse(w, "its axes cannot be read");
	to = v;
	to.rank = (uint8_t)(v.rank + n);
	for (unsigned i = 0; i < to.rank; i++) {
		if (asked(axes, n, i, to.rank))
			to.axis[i] = AX_ONE;
		else if (from < v.rank)
			to.axis[i] = v.axis[from++];
		else
			return walk_refuse(w, "its axes cannot be read");
	}
	if (from != v.rank)
		return walk_refuse(w, "its axes cannot be read");
	walk_result(w, &to);
	return HN_OK;
}

static hn_status op_transpose(struct walk *w)
{
	int32_t perm[HN_GRAPH_LIST_MAX];
	const int n = walk_list(w, 1, perm);
	unsigned seen = 0;
	struct val v, to;
	hn_status rc = walk_value(w, 0, &v);

	if (rc)
		return rc;
	to = v;
	for (unsigned i = 0; i < v.rank; i++) {
		const int32_t from = n < 0 ? (int32_t)(v.rank - 1 - i) : i < (unsigned)n ? perm[i] : -1;

		if (from < 0 || from >= v.rank || seen >> from & 1)
			return walk_refuse(w, "not a permutation of the axes");
		seen |= 1u << from;
		to.axis[i] = v.axis[from];
	}
	walk_result(w, &to);
	return HN_OK;
}

static hn_status op_same(struct walk *w)
{
	struct val v;
	const hn_status rc = walk_value(w, 0, &v);

	if (!rc)
		walk_result(w, &v);
	return rc;
}

/* A padding of nothing, as PyTorch writes it before a pool. */
static hn_status op_pad(struct walk *w)
{
	const struct hn_gtensor *t = NULL;
	hn_status rc = walk_constant(w, 1, 0, &t);

	for (uint32_t i = 0; !rc && i < t->count; i++)
		if (hn_gtensor_int(t, i) != 0 || t->element == HN_EL_F32)
			return walk_refuse(w, "only the padding of a convolution can be read");
	return rc ? rc : op_same(w);
}

/* A value that has a grid is read on a coarser or finer one: for the layer behind, as before a mean
 * (hn_onnx_layers.c).  Its own grid stays. */
static bool read_otherwise(const struct walk *w, const struct val *v, float scale)
{
	return w->has_grid[v->layer + 1] && w->grid[v->layer + 1].scale != scale;
}

/* The grid of a value is the int8 side's: the output's of a QUANTIZE, the input's of the other. */
static hn_status op_grid(struct walk *w)
{
	const bool quantise = w->n->op == HN_G_QUANTISE;
	const int side = quantise ? w->n->out[0] : w->n->in[0];
	float scale = 0;
	int64_t zp = 0;
	bool has = hn_gtensor_grid(&w->g->tensor[side < 0 ? 0 : side], &scale, &zp);
	struct val v;
	hn_status rc = walk_value(w, 0, &v);

	if (!rc && !w->g->channels_last && walk_is_constant(w, 1)) {
		const struct hn_gtensor *s = &w->g->tensor[w->n->in[1]];

		has = s->count == 1 && s->element == HN_EL_F32 && (w->n->n_in < 3 || walk_is_constant(w, 2));
		scale = has ? hn_gtensor_f32(s, 0) : 0;
		zp = has && w->n->n_in > 2 ? hn_gtensor_int(&w->g->tensor[w->n->in[2]], 0) : 0;
	}
	if (rc)
		return rc;
	if (has && (quantise || !read_otherwise(w, &v, scale)))
		walk_grid(w, &v, scale, zp);
	walk_result(w, &v);
	return HN_OK;
}

walk_fn walk_shape_op(uint8_t op)
{
	switch (op) {
	case HN_G_RESHAPE: return op_reshape;
	case HN_G_FLATTEN: return op_flatten;
	case HN_G_SQUEEZE: return op_squeeze;
	case HN_G_UNSQUEEZE: return op_unsqueeze;
	case HN_G_TRANSPOSE: return op_transpose;
	case HN_G_SAME: return op_same;
	case HN_G_PAD: return op_pad;
	case HN_G_QUANTISE: case HN_G_DEQUANTISE: return op_grid;
	default: return NULL;
	}
}
