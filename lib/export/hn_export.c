#include "hn_export_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "hd_check.h"

static const char *const format_names[] = { "onnx", "tflite" };

hn_status hn_format_find(const char *name, enum hn_format *format)
{
	for (unsigned i = 0; i < sizeof format_names / sizeof *format_names; i++)
		if (strcmp(name, format_names[i]) == 0) {
			*format = (enum hn_format)i;
			return HN_OK;
		}
	return HN_ENOENT;
}

hn_status hn_export_write(const struct hn_export *x, struct hn_bytes out, size_t *len,
                          struct hn_err *err)
{
	return x->format == HN_FORMAT_ONNX ? hn_onnx_write(x, out, len, err)
	                                   : hn_tflite_write(x, out, len, err);
}

/* --- geometry ------------------------------------------------------------------------------- */

static struct hn_window pool_taps(const struct hn_layer *l)
{
	struct hn_window t = { .kernel = l->in.len, .dilation = 1 };

	if (l->n_args)
		t.kernel = (int32_t)l->arg[0];
	t.stride = l->n_args && l->opt[0] > 0 ? (int32_t)l->opt[0] : t.kernel;
	return t;
}

struct hn_window hn_window_of(const struct hn_layer *l)
{
	struct hn_window t = { .kernel = 1, .stride = 1, .dilation = 1 };
	int32_t over;

	if (strstr(l->type->name, "pool"))
		return pool_taps(l);
	t.kernel = (int32_t)l->arg[strcmp(l->type->name, "dwconv1d") == 0 ? 0 : 1];
	t.stride = (int32_t)l->opt[0];
	t.dilation = (int32_t)l->opt[1];
	t.same = l->opt[2] > 0;
	over = (l->out.len - 1) * t.stride + (t.kernel - 1) * t.dilation + 1 - l->in.len;
	if (t.same && over > 0) {
		t.pad_front = over / 2;
		t.pad_back = over - t.pad_front;
	}
	return t;
}

/* --- the image beside the net --------------------------------------------------------------- */

hn_status hn_image_start(struct hn_image_walk *w, const struct hn_export *x, struct hn_err *err)
{
	*w = (struct hn_image_walk){ .x = x };
	if (!x->image)
		return HN_OK;
	if (!x->calib || hd_net_check(&w->net, x->image, x->image_len) != HD_OK)
		return hn_fail(err, HN_EINVAL, "export: the int8 image does not open");
	w->next = hn_quant_copies_input(x->net);         /* the image's first layer is none of the net */
	return HN_OK;
}

hn_status hn_image_next(struct hn_image_walk *w, unsigned i, struct hn_err *err)
{
	const struct hn_layer *l = &w->x->net->layer[i];

	if (!w->x->image)
		return HN_OK;
	w->layer = hd_net_layer(&w->net, w->next);
	if (w->next == w->net.n_layers || !hn_image_is_row(l, w->layer))
		return hn_fail(err, HN_EINVAL, "export: layer %u '%s' is not in the int8 image", l->number,
		               l->text);
	w->constants = w->x->image + w->layer->constants;
	w->next++;
	return HN_OK;
}

struct hn_product8 hn_product8_of(const struct hn_image_walk *w, size_t row)
{
	struct hn_product8 p = { .row = row, .out = w->layer->out_ch, .bias = w->constants + 4 };

	p.mult = p.bias + 4 * p.out;
	p.shift = p.mult + 4 * p.out;
	p.w = p.shift + ((p.out + 3) & ~(size_t)3);
	return p;
}

/* The multiplier has more bits than a float: the float that it was made from is found again. */
hn_status hn_product8_scale(const struct hn_image_walk *w, unsigned i, size_t o, float *scale,
                            struct hn_err *err)
{
	const struct hn_layer *l = &w->x->net->layer[i];
	const struct hn_product8 p = hn_product8_of(w, 0);
	const double in = (double)w->x->calib->grid[i].scale;
	const double out = (double)w->x->calib->grid[i + 1].scale;
	const int32_t want = (int32_t)hd_get32(p.mult + 4 * o);
	const float s = want ? (float)(ldexp(want, (int8_t)p.shift[o] - 31) * out / in) : 1e-30f;
	int32_t mult;
	int8_t shift;

	hn_quant_mult(in * (double)s / out, &mult, &shift);
	if (mult != want || shift != (int8_t)p.shift[o])
		return hn_fail(err, HN_ENUMERIC, "export: layer %u '%s': channel %zu of the int8 image is "
		               "not on these grids", l->number, l->text, o);
	*scale = s;
	return HN_OK;
}

/* --- the note ------------------------------------------------------------------------------- */

static size_t append_list(char *out, size_t cap, const char *name, const float *v, unsigned n)
{
	size_t at = (size_t)snprintf(out, cap, "\n%s=", name);

	for (unsigned i = 0; i < n && at < cap; i++)
		at += (size_t)snprintf(out + at, cap - at, "%s%.9g", i ? " " : "", (double)v[i]);
	return at;
}

/* 256 numbers of at most 17 characters: below HN_NOTE_MAX. */
size_t hn_note_text(const struct hn_export *x, char *out, size_t cap)
{
	size_t at = (size_t)snprintf(out, cap, "task=%s", hn_task_name(x->net->task));

	if (x->scaler && at < cap)
		at += append_list(out + at, cap - at, "mean", x->scaler->mean, x->scaler->n_ch);
	if (x->scaler && at < cap)
		at += append_list(out + at, cap - at, "std", x->scaler->std, x->scaler->n_ch);
	return at < cap ? at : cap - 1;
}
