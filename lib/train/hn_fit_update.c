/* One optimiser step over what this update kind trains, in pieces that stay in the first cache.
 *
 * Decoupled from the optimiser, as its weight decay is:
 *   anchor   w -= rate anchor (w - start)
 *   sparse   soft threshold of (w - start) by rate sparse / grid step: the proximal step of
 *            sparse * sum |w - start| / step, the number of int8 steps moved
 * Source: Parikh & Boyd 2014, "Proximal algorithms", sections 1.2 and 6.5.2. */
#include "hn_fit.h"

#include <math.h>
#include <string.h>
#include "hn_layer.h"

/* --- what is trained -------------------------------------------------------------------------- */

static void add_span(struct hn_fit *f, unsigned layer, uint32_t at, uint32_t n)
{
	if (n)
		f->span[f->n_spans++] = (struct hn_trained){ at, n, layer };
}

void hn_fit_choose(struct hn_fit *f)
{
	const struct hn_net *net = f->cfg->net;
	uint32_t left = f->cfg->update == HN_LAST ? f->cfg->last_layers : UINT32_MAX;

	for (unsigned i = net->n_layers; i-- > 0 && left > 0;) {
		const struct hn_layer *l = &net->layer[i];
		const uint32_t b = (uint32_t)l->type->biases * l->out.ch;

		if (l->n_w == 0)
			continue;
		left--;
		if (f->cfg->update == HN_BIASES)
			add_span(f, i, l->w_at + l->n_w - l->n_state - b, b);
		else
			add_span(f, i, l->w_at, l->n_w - l->n_state);
	}
}

/* --- the step --------------------------------------------------------------------------------- */

static void pull(const struct hn_fit *f, size_t at, size_t n, float by)
{
	const float *start = f->cfg->start + at;
	float *w = f->w + at;

	for (size_t i = 0; i < n; i++)
		w[i] -= by * (w[i] - start[i]);
}

static void shrink(const struct hn_fit *f, size_t at, size_t n, float by)
{
	const float *start = f->cfg->start + at, *step = f->cfg->grid + at;
	float *w = f->w + at;

	for (size_t i = 0; i < n; i++) {
		const float d = w[i] - start[i], limit = step[i] > 0 ? by / step[i] : 0;

		w[i] = fabsf(d) <= limit ? start[i] : w[i] - copysignf(limit, d);
	}
}

static void average(const struct hn_fit *f, size_t at, size_t n, float keep)
{
	const float *w = f->w + at;
	float *ema = f->ema + at;

	for (size_t i = 0; i < n; i++)
		ema[i] = keep * ema[i] + (1 - keep) * w[i];
}

/* The average forgets its beginning fast: (1 + t) / (10 + t), until the config's share is below. */
static float ema_share(const struct hn_fit *f)
{
	const double t = (double)f->s.step;

	return (float)fmin((double)f->cfg->ema, (1 + t) / (10 + t));
}

static void piece(struct hn_fit *f, const struct hn_optim_step *all, size_t at, size_t n,
                  double moved[2])
{
	const struct hn_train_cfg *c = f->cfg;
	struct hn_optim_step s = *all;

	memcpy(f->was, f->w + at, n * sizeof *f->was);
	s.n = n;
	s.g = f->g + at;
	s.w = f->w + at;
	s.state = f->state + at;
	c->optim->step(&s);
	if (c->anchor > 0)
		pull(f, at, n, s.lr * c->anchor);
	if (c->update == HN_SPARSE)
		shrink(f, at, n, s.lr * c->sparse);
	if (f->ema)
		average(f, at, n, ema_share(f));
	s.kern->moved(f->w + at, f->was, n, moved);
}

/* State is an average already. */
static void copy_state(const struct hn_fit *f)
{
	for (unsigned i = 0; f->ema && i < f->cfg->net->n_layers; i++) {
		const struct hn_layer *l = &f->cfg->net->layer[i];
		const uint32_t at = l->w_at + l->n_w - l->n_state;

		memcpy(f->ema + at, f->w + at, l->n_state * sizeof *f->w);
	}
}

/* Gradient norms by layer into `moved`; the norm over all. */
static double norms(const struct hn_fit *f, struct hn_moved *moved)
{
	double sum = 0;

	for (unsigned i = 0; i < f->n_spans; i++) {
		const double sq = f->run.kern->sum_sq(f->g + f->span[i].at, f->span[i].n);

		moved[f->span[i].layer].g += sq;
		sum += sq;
	}
	return sqrt(sum);
}

bool hn_fit_update(struct hn_fit *f)
{
	const struct hn_train_cfg *c = f->cfg;
	struct hn_moved moved[HN_NET_LAYERS_MAX] = { { 0, 0, 0 } };
	const double norm = norms(f, moved);
	struct hn_optim_step s = { .kern = f->run.kern, .step = f->s.step + 1, .stride = f->n_w,
		.lr = (float)hn_fit_rate(f), .weight_decay = c->weight_decay, .scale = 1,
		.momentum = c->momentum, .nesterov = c->nesterov };

	if (!isfinite(norm))
		return false;
	f->s.norm_max = fmax(f->s.norm_max, norm);
	if (c->clip_norm > 0 && norm > (double)c->clip_norm)
		s.scale = (float)((double)c->clip_norm / norm);
	for (unsigned i = 0; i < f->n_spans; i++) {
		const struct hn_trained *q = &f->span[i];
		double by[2] = { 0, 0 };

		for (uint32_t at = 0; at < q->n; at += HN_FIT_PIECE)
			piece(f, &s, q->at + at, q->n - at < HN_FIT_PIECE ? q->n - at : HN_FIT_PIECE, by);
		moved[q->layer].by += by[0];
		moved[q->layer].w += by[1];
	}
	copy_state(f);
	hn_fit_watch_step(f, moved);
	f->s.step++;
	return true;
}
