/* One optimiser step over what this update kind trains.
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

static void add_part(struct hn_fit *f, unsigned layer, uint32_t at, uint32_t n)
{
	if (n == 0)
		return;
	f->layer_of[f->n_parts] = (uint8_t)layer;
	f->part_of[f->n_parts++] = (struct hn_optim_part){ .at = at, .n = n };
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
			add_part(f, i, l->w_at + l->n_w - l->n_state - b, b);
		else
			add_part(f, i, l->w_at, l->n_w - l->n_state);
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

/* What follows the optimiser's own step on weights [at, at + n). */
static void settle(const struct hn_fit *f, size_t at, size_t n, float rate)
{
	const struct hn_train_cfg *c = f->cfg;

	if (c->anchor > 0)
		pull(f, at, n, rate * c->anchor);
	if (c->update == HN_SPARSE)
		shrink(f, at, n, rate * c->sparse);
	if (f->ema)
		average(f, at, n, ema_share(f));
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

/* Sums of squares of the gradient by part; the norm over all. */
static double norms(struct hn_fit *f)
{
	double sum = 0;

	for (unsigned i = 0; i < f->n_parts; i++) {
		const struct hn_optim_part *q = &f->part_of[i];

		f->grad_sq[i] = f->run.kern->sum_sq(f->g + q->at, q->n);
		sum += f->grad_sq[i];
	}
	return sqrt(sum);
}

bool hn_fit_update(struct hn_fit *f)
{
	const struct hn_train_cfg *c = f->cfg;
	const double norm = norms(f);
	struct hn_optim_step s = { .kern = f->run.kern, .part = f->part_of, .n_parts = f->n_parts,
		.step = f->s.step + 1, .lr = (float)hn_fit_rate(f), .weight_decay = c->weight_decay,
		.momentum = c->momentum, .nesterov = c->nesterov, .scale = 1, .n = f->n_w, .g = f->g,
		.w = f->w, .state = f->state };

	if (!isfinite(norm))
		return false;
	f->s.norm_max = fmax(f->s.norm_max, norm);
	if (c->clip_norm > 0 && norm > (double)c->clip_norm)
		s.scale = (float)((double)c->clip_norm / norm);
	c->optim->step(&s);
	for (unsigned i = 0; i < f->n_parts; i++) {
		if (!isfinite(f->part_of[i].norm))
			return false;
		settle(f, f->part_of[i].at, f->part_of[i].n, s.lr);
	}
	copy_state(f);
	hn_fit_watch_step(f);
	f->s.step++;
	return true;
}
