#include "hn_onnx_attr.h"

#include <string.h>
#include "hn_onnx.h"

static bool add_number(struct hn_onnx_list *l, int64_t v)
{
	if (*l->n >= l->max)
		return false;
	l->v[(*l->n)++] = v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
	return true;
}

bool hn_onnx_numbers(struct hn_onnx_list *l, const struct hn_pb_item *i)
{
	struct hn_pb rest = i->bytes;
	int64_t v;
	int more;

	if (i->kind == HN_PB_VARINT)
		return add_number(l, (int64_t)i->v);
	if (i->kind != HN_PB_BYTES)
		return false;
	while ((more = hn_pb_packed(&rest, &v)) > 0)
		if (!add_number(l, v))
			return false;
	return more == 0;
}

bool hn_onnx_attr_read(struct hn_pb m, struct hn_onnx_attr *a)
{
	struct hn_onnx_list ints = { a->ints, &a->n, HN_ONNX_INTS_MAX };
	struct hn_pb_item i;
	uint32_t bits;
	int more;

	while ((more = hn_pb_next(&m, &i)) > 0) {
		bits = (uint32_t)i.v;
		switch (i.field) {
		case ONNX_ATTR_NAME: a->name = (struct hn_text){ i.bytes.p, i.bytes.len }; break;
		case ONNX_ATTR_F: memcpy(&a->f, &bits, sizeof bits); break;
		case ONNX_ATTR_I: a->i = (int64_t)i.v; break;
		case ONNX_ATTR_S: a->s = (struct hn_text){ i.bytes.p, i.bytes.len }; break;
		case ONNX_ATTR_T: a->tensor = i.bytes; break;
		case ONNX_ATTR_INTS:
			if (!hn_onnx_numbers(&ints, &i))
				return false;
			break;
		default: break;
		}
	}
	return more == 0;
}

static int32_t small(int64_t v)
{
	return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
}

/* One or two numbers of a window. */
static bool take_window(struct hn_gnode *n, const struct hn_onnx_attr *a, int32_t to[2])
{
	if (a->n < 1 || a->n > 2 || (n->n_axes && n->n_axes != a->n))
		return false;
	n->n_axes = a->n;
	memcpy(to, a->ints, a->n * sizeof *to);
	return true;
}

static bool take_pads(struct hn_gnode *n, const struct hn_onnx_attr *a)
{
	if (a->n > 4 || a->n % 2)
		return false;
	memcpy(n->pad, a->ints, a->n * sizeof *n->pad);
	return true;
}

static bool take_list(struct hn_gnode *n, const struct hn_onnx_attr *a)
{
	memcpy(n->list, a->ints, a->n * sizeof *n->list);
	n->n_list = a->n;
	return true;
}

/* Numbers and switches; false: not one of these. */
static bool take_number(struct hn_gnode *n, const struct hn_onnx_attr *a)
{
	if (hn_text_is(a->name, "alpha") || hn_text_is(a->name, "min"))
		n->alpha = a->f;
	else if (hn_text_is(a->name, "beta") || hn_text_is(a->name, "max"))
		n->beta = a->f;
	else if (hn_text_is(a->name, "epsilon"))
		n->eps = a->f;
	else if (hn_text_is(a->name, "transA"))
		n->trans_a = a->i != 0;
	else if (hn_text_is(a->name, "transB"))
		n->trans_b = a->i != 0;
	else if (hn_text_is(a->name, "group"))
		n->group = small(a->i);
	else if (hn_text_is(a->name, "axis"))
		n->axis = small(a->i);
	else if (hn_text_is(a->name, "keepdims"))
		n->keep_dims = a->i != 0;
	else if (hn_text_is(a->name, "ceil_mode"))
		n->ceil = a->i != 0;
	else if (hn_text_is(a->name, "linear_before_reset"))
		n->before_reset = a->i != 0;
	else if (hn_text_is(a->name, "layout"))
		n->batch_first = a->i != 0;
	else
		return false;
	return true;
}

bool hn_onnx_attr_take(struct hn_gnode *n, const struct hn_onnx_attr *a)
{
	if (take_number(n, a))
		return true;
	if (hn_text_is(a->name, "kernel_shape"))
		return take_window(n, a, n->kernel);
	if (hn_text_is(a->name, "strides"))
		return take_window(n, a, n->stride);
	if (hn_text_is(a->name, "dilations"))
		return take_window(n, a, n->dilation);
	if (hn_text_is(a->name, "pads"))
		return take_pads(n, a);
	if (hn_text_is(a->name, "perm") || hn_text_is(a->name, "axes"))
		return take_list(n, a);
	if (hn_text_is(a->name, "auto_pad"))
		n->pad_mode = hn_text_is(a->s, "NOTSET") ? HN_PAD_GIVEN
		            : hn_text_is(a->s, "VALID") ? HN_PAD_NONE
		            : hn_text_is(a->s, "SAME_UPPER") ? HN_PAD_SAME : 3;
	if (hn_text_is(a->name, "direction") && !hn_text_is(a->s, "forward"))
		n->other = true;
	if (hn_text_is(a->name, "activations") || hn_text_is(a->name, "clip"))
		n->other = true;
	return n->pad_mode <= HN_PAD_NONE;
}
