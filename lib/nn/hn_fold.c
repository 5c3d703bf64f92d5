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

/* --- and back --------------------------------------------------------------------------------- */

struct unfold {
	const struct hn_net *net, *to;
	const float *to_w;
	float *w;
};

/* Layer i of net is layer k of the folded net, as itself or as a convolution in its place. */
static bool stands(const struct hn_net *net, unsigned i, const struct hn_net *folded, unsigned k)
{
	const struct hn_layer *l = &net->layer[i], *to = &folded->layer[k];

	return k < folded->n_layers && to->number == l->number &&
	       (to->type == l->type || (l->type->line && to->type == &hn_layer_dwconv1d));
}

/* Channel c of all norms behind layer i of net that went into layer k of the folded net, as one. */
static void norms_behind(const struct unfold *f, unsigned i, unsigned k, size_t c, double line[2])
{
	line[0] = 1;
	line[1] = 0;
	for (i++; i < f->net->n_layers && !stands(f->net, i, f->to, k + 1); i++) {
		const struct hn_layer *l = &f->net->layer[i];
		double one[2];

		if (!l->type->line)
			continue;                /* dropout */
		l->type->line(l, f->w + l->w_at, c, one);
		line[0] *= one[0];
		line[1] = line[1] * one[0] + one[1];
	}
}

/* A channel that its norms switch off cannot be found again: they let it pass from now on. */
static void open_norms(const struct unfold *f, unsigned i, unsigned k, size_t c)
{
	for (i++; i < f->net->n_layers && !stands(f->net, i, f->to, k + 1); i++) {
		const struct hn_layer *l = &f->net->layer[i];

		if (l->type->line)
			l->type->set_line(l, f->w + l->w_at, c, (const double[2]){ 1, 0 });
	}
}

/* Weights of layer i so that with the norms behind it they are those of folded layer k. */
static void unfold_layer(const struct unfold *f, unsigned i, unsigned k)
{
	const double least = 1e-6;
	const struct hn_layer *l = &f->net->layer[i], *to = &f->to->layer[k];
	const size_t out = to->out.ch, row = to->n_w / out - 1;
	const float *from = f->to_w + to->w_at, *bias = from + out * row;
	float *w = f->w + l->w_at;

	for (size_t c = 0; c < out; c++) {
		double by[2];

		norms_behind(f, i, k, c, by);
		if (fabs(by[0]) < least) {
			open_norms(f, i, k, c);
			norms_behind(f, i, k, c, by);
		}
		if (l->type->line)
			l->type->set_line(l, w, c, (const double[2]){ (double)from[c] / by[0],
			                  ((double)bias[c] - by[1]) / by[0] });
		for (size_t j = 0; !l->type->line && j < row; j++)
			w[c * row + j] = (float)((double)from[c * row + j] / by[0]);
		if (!l->type->line)
			w[out * row + c] = (float)(((double)bias[c] - by[1]) / by[0]);
	}
}

void hn_net_unfold(const struct hn_net *net, const struct hn_net *folded, const float *folded_w,
                   float *w)
{
	const struct unfold f = { net, folded, folded_w, w };
	unsigned k = 0;

	for (unsigned i = 0; i < net->n_layers; i++) {
		if (!stands(net, i, folded, k))
			continue;
		if (folded->layer[k].type->product)
			unfold_layer(&f, i, k);
		else if (net->layer[i].n_w)
			memcpy(w + net->layer[i].w_at, folded_w + folded->layer[k].w_at,
			       net->layer[i].n_w * sizeof *w);
		k++;
	}
}
