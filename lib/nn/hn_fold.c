/* The net as it is outside training: see hn_net_fold. */
#include "hn_net.h"

#include <math.h>
#include <string.h>
#include "hn_layer.h"

extern const struct hn_layer_type hn_layer_dwconv1d;

struct fold {
	const struct hn_net *net;
	const float *w;
	struct hn_net *to;
	float *to_w;
	uint8_t map[HN_NET_LAYERS_MAX + 1];      /* tensor of net: the one of `to`; 0 = input       */
};

/* Does a layer behind i also read the tensor of `to` that layer i reads? */
static bool read_again(const struct fold *f, unsigned i)
{
	for (unsigned k = i + 1; k < f->net->n_layers; k++) {
		const struct hn_layer *l = &f->net->layer[k];

		if (l->type->two_inputs && l->from <= i && f->map[l->from] == f->map[i])
			return true;
	}
	return false;
}

/* y = scale x + offset, channel by channel, into the weights of the last layer. */
static hn_status scale_rows(const struct fold *f, const struct hn_layer *line)
{
	const struct hn_layer *last = &f->to->layer[f->to->n_layers - 1];
	const size_t out = last->out.ch, row = last->n_w / out - 1;
	float *w = f->to_w + last->w_at, *bias = w + out * row;
	bool finite = true;

	for (size_t c = 0; c < out; c++) {
		double by[2];

		line->type->line(line, f->w + line->w_at, c, by);
		for (size_t i = 0; i < row; i++) {
			w[c * row + i] = (float)(by[0] * (double)w[c * row + i]);
			finite &= isfinite(w[c * row + i]) != 0;
		}
		bias[c] = (float)(by[0] * (double)bias[c] + by[1]);
		finite &= isfinite(bias[c]) != 0;
	}
	return finite ? HN_OK : HN_ENUMERIC;
}

/* A depthwise convolution with one tap, w = 1 and b = 0. */
static hn_status append_identity(struct fold *f, const struct hn_layer *l, struct hn_err *err)
{
	struct hn_layer one = *l;
	hn_status rc;

	one.type = &hn_layer_dwconv1d;
	one.n_args = 1;
	one.arg[0] = 1;
	for (unsigned k = 0; one.type->options[k].name; k++)
		one.opt[k] = one.type->options[k].normal;
	one.n_state = 0;
	rc = hn_net_append(f->to, &one, err);
	for (size_t c = 0; !rc && f->to_w && c < one.out.ch; c++) {
		f->to_w[one.w_at + c] = 1;
		f->to_w[one.w_at + one.out.ch + c] = 0;
	}
	return rc;
}

static hn_status fold_line(struct fold *f, unsigned i, struct hn_err *err)
{
	const struct hn_layer *l = &f->net->layer[i];
	const struct hn_layer *last = f->to->n_layers ? &f->to->layer[f->to->n_layers - 1] : NULL;
	hn_status rc = HN_OK;

	if (!last || !last->type->product || read_again(f, i))
		rc = append_identity(f, l, err);
	if (!rc && f->to_w) {
		rc = scale_rows(f, l);
		if (rc)
			(void)hn_fail(err, rc, "layer %u '%s': folded weights are not finite", l->number,
			              l->text);
	}
	return rc;
}

static hn_status copy_layer(struct fold *f, unsigned i, struct hn_err *err)
{
	struct hn_layer l = f->net->layer[i];
	const uint32_t from = l.w_at;
	hn_status rc;

	l.from = f->map[l.from];
	rc = hn_net_append(f->to, &l, err);
	if (!rc && f->to_w)
		memcpy(f->to_w + l.w_at, f->w + from, l.n_w * sizeof *f->w);
	return rc;
}

hn_status hn_net_fold(const struct hn_net *net, const float *w, struct hn_net *folded,
                      float *folded_w, struct hn_err *err)
{
	struct hn_net to = { .task = net->task, .in = net->in, .out_n = net->out_n };
	struct fold f = { .net = net, .w = w, .to = &to, .to_w = folded_w };
	hn_status rc = HN_OK;

	for (unsigned i = 0; i < net->n_layers && !rc; i++) {
		const struct hn_layer_type *t = net->layer[i].type;

		if (t->line)
			rc = fold_line(&f, i, err);
		else if (!t->vanishes)
			rc = copy_layer(&f, i, err);
		f.map[i + 1] = to.n_layers;
	}
	if (!rc && to.n_layers == 0)
		rc = hn_fail(err, HN_ERANGE, "network: without dropout there is no layer");
	if (!rc)
		*folded = to;
	return rc;
}

/* The convolution that stands for a norm, or the norm that became part of a product. */
static void set_norm(const struct hn_layer *norm, const struct hn_layer *stands, const float *from,
                     float *w)
{
	for (size_t c = 0; c < norm->out.ch; c++) {
		const double line[2] = { stands ? (double)from[c] : 1.0,
		                         stands ? (double)from[norm->out.ch + c] : 0.0 };

		norm->type->set_line(norm, w, c, line);
	}
}

void hn_net_unfold(const struct hn_net *net, const struct hn_net *folded, const float *folded_w,
                   float *w)
{
	unsigned k = 0;

	for (unsigned i = 0; i < net->n_layers; i++) {
		const struct hn_layer *l = &net->layer[i];
		const struct hn_layer *to = k < folded->n_layers ? &folded->layer[k] : NULL;
		const bool same = to && to->number == l->number &&
		                  (to->type == l->type || (l->type->line && to->type == &hn_layer_dwconv1d));

		if (l->type->line)
			set_norm(l, same ? to : NULL, folded_w + (same ? to->w_at : 0), w + l->w_at);
		else if (same)
			memcpy(w + l->w_at, folded_w + to->w_at, l->n_w * sizeof *w);
		k += same;
	}
}
