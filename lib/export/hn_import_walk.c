/* What following a graph shares: values, constants, layers, and errors that name the node. */
#include "hn_import_walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

hn_status walk_refuse(const struct walk *w, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof why, fmt, ap);       /* cut at the end, by intent */
	va_end(ap);
	return hn_fail(w->err, HN_EFORMAT, "import: node '%.*s' (%.*s): %s", HN_TEXT(w->n->name),
	               HN_TEXT(w->n->kind), why);
}

static const struct hn_gtensor *input(const struct walk *w, unsigned i)
{
	return i < w->n->n_in && w->n->in[i] >= 0 ? &w->g->tensor[w->n->in[i]] : NULL;
}

bool walk_is_constant(const struct walk *w, unsigned i)
{
	const struct hn_gtensor *t = input(w, i);

	return t && t->data && t->count > 0;
}

hn_status walk_lost(const struct walk *w, const struct val *v)
{
	const struct hn_gnode *n = &w->g->node[v->lost - 1];

	return hn_fail(w->err, HN_EFORMAT, "import: node '%.*s' (%.*s): no layer does this",
	               HN_TEXT(n->name), HN_TEXT(n->kind));
}

hn_status walk_value(const struct walk *w, unsigned i, struct val *v)
{
	const struct hn_gtensor *t = input(w, i);

	if (!t)
		return walk_refuse(w, "input %u is missing", i);
	*v = w->val[w->n->in[i]];
	if (!v->known && v->lost)
		return walk_lost(w, v);
	if (!v->known)
		return walk_refuse(w, "input '%.*s' is not made by an operator that can be read",
		                   HN_TEXT(t->name));
	if (v->layer != w->n_layers - 1)
		return walk_refuse(w, "input '%.*s' comes from further back: branches cannot be read",
		                   HN_TEXT(t->name));
	if (w->ended)
		return walk_refuse(w, "it follows the softmax of a classifier");
	return HN_OK;
}

hn_status walk_constant(const struct walk *w, unsigned i, size_t count,
                        const struct hn_gtensor **t)
{
	if (!walk_is_constant(w, i))
		return walk_refuse(w, "input %u has to be a constant", i);
	*t = input(w, i);
	if (count && (*t)->count != count)
		return walk_refuse(w, "constant '%.*s' has %u elements, %zu are needed",
		                   HN_TEXT((*t)->name), (*t)->count, count);
	return HN_OK;
}

int walk_list(const struct walk *w, unsigned i, int32_t *out)
{
	const struct hn_gtensor *t = input(w, i);

	if (!t && w->n->n_list) {
		memcpy(out, w->n->list, w->n->n_list * sizeof *out);
		return w->n->n_list;
	}
	if (!t || !walk_is_constant(w, i) || t->element == HN_EL_F32 || t->count > HN_GRAPH_LIST_MAX)
		return -1;
	for (uint32_t k = 0; k < t->count; k++) {
		const int64_t v = hn_gtensor_int(t, k);

		out[k] = v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
	}
	return (int)t->count;
}

hn_status walk_layer(struct walk *w, const char *fmt, ...)
{
	va_list ap;

	if (w->n_layers == HN_NET_LAYERS_MAX)
		return walk_refuse(w, "the net has more than %d layers", HN_NET_LAYERS_MAX);
	va_start(ap, fmt);
	(void)vsnprintf(w->text[w->n_layers], HN_LAYER_TEXT_MAX, fmt, ap);
	va_end(ap);
	w->n_layers++;
	w->product = -1;
	return HN_OK;
}

hn_status walk_put(struct walk *w, float v)
{
	if (w->n_w == w->w_cap)
		return walk_refuse(w, "the net has more than %zu weights", w->w_cap);
	w->w[w->n_w++] = v;
	return HN_OK;
}

void walk_result(struct walk *w, const struct val *v)
{
	const int16_t out = w->n->out[0];
	float scale;
	int64_t zp;

	if (out < 0)
		return;
	w->val[out] = *v;
	w->val[out].known = true;
	w->val[out].layer = (int16_t)(w->n_layers - 1);
	if (hn_gtensor_grid(&w->g->tensor[out], &scale, &zp))
		walk_grid(w, &w->val[out], scale, zp);
}

void walk_grid(struct walk *w, const struct val *v, float scale, int64_t zp)
{
	if (!(scale > 0 && scale < 1e30f) || zp < -128 || zp > 127)
		return;                          /* as if there were none: then the net is float */
	w->grid[v->layer + 1] = (struct hn_grid){ scale, (int8_t)zp };
	w->has_grid[v->layer + 1] = true;
}

int walk_axis(const struct val *v, uint8_t meaning)
{
	for (int i = 0; i < v->rank; i++)
		if (v->axis[i] == meaning)
			return i;
	return -1;
}

size_t walk_size(const struct val *v, unsigned axis)
{
	switch (v->axis[axis]) {
	case AX_LEN: return v->len;
	case AX_CH: return v->ch;
	case AX_FLAT: return (size_t)v->len * v->ch;
	default: return 1;
	}
}
