/* One batch, one epoch, one evaluation. */
#include "hn_fit.h"

#include <math.h>
#include <string.h>
#include "hn_layer.h"

/* Samples order[0..n) of `set` (order NULL: the first n) into the run. */
static void load(struct hn_fit *f, const struct hn_set *set, const uint32_t *order, uint32_t n)
{
	const struct hn_net *net = f->cfg->net;

	if (net->task == HN_REGRESS || net->task == HN_FORECAST)
		hn_run_load_target(&f->run, set->target, order, n);
	hn_run_load(&f->run, set->x, order, n);
	if (net->task != HN_CLASSIFY)
		return;
	for (uint32_t i = 0; i < n; i++)
		f->label[i] = set->label[order ? order[i] : i];
	memset(f->label + n, 0, (f->run.lanes - n) * sizeof *f->label);
}

/* Weight of sample i of `set`. */
static float weight_of(const struct hn_fit *f, const struct hn_set *set, uint32_t i)
{
	const float *by_class = f->cfg->class_weight;
	const float w = set->weight ? set->weight[i] : 1.0f;

	return by_class ? w * by_class[set->label[i]] : w;
}

/* Sum of the weights of samples order[0..n). */
static double weigh(const struct hn_fit *f, const struct hn_set *set, const uint32_t *order,
                    uint32_t n)
{
	double sum = 0;

	if (!set->weight && !f->cfg->class_weight)
		return n;
	for (uint32_t i = 0; i < n; i++)
		sum += (double)weight_of(f, set, order ? order[i] : i);
	return sum;
}

/* (out_n, lanes) targets of the loaded batch; NULL: it has labels. */
static const float *target_of(const struct hn_fit *f)
{
	const enum hn_task task = f->cfg->net->task;

	return task == HN_AUTOENCODE ? f->run.x : task == HN_CLASSIFY ? NULL : f->run.target;
}

/* share[i] = weight of sample i over `sum`; lanes behind the n samples get 0. */
static void load_shares(struct hn_fit *f, const struct hn_set *set, const uint32_t *order,
                        double sum)
{
	const bool even = !set->weight && !f->cfg->class_weight;

	memset(f->share, 0, f->run.lanes * sizeof *f->share);
	for (uint32_t i = 0; even && i < f->run.n; i++)
		f->share[i] = 1.0f / (float)sum;
	for (uint32_t i = 0; !even && i < f->run.n; i++)
		f->share[i] = (float)((double)weight_of(f, set, order ? order[i] : i) / sum);
}

/* Loss of the loaded batch, weighted by the shares; with its gradient when `dy`. */
static double batch_loss(struct hn_fit *f, float *dy)
{
	const struct hn_run *run = &f->run;
	const struct hn_net *net = f->cfg->net;
	double sum = 0;

	f->cfg->loss->run(&(struct hn_loss_pass){
		.kern = run->kern, .n = run->n, .lanes = run->lanes, .out_n = net->out_n,
		.y = hn_run_out(run), .target = target_of(f),
		.label = f->label, .share = f->share, .smoothing = f->cfg->smoothing,
		.class_weight = f->cfg->class_weight, .delta = f->cfg->delta,
		.loss = f->loss, .work = f->work, .dy = dy });
	for (uint32_t i = 0; i < run->n; i++)
		sum += (double)f->share[i] * (double)f->loss[i];
	return sum;
}

/* Samples of the loaded batch whose largest output is their label. */
static uint32_t batch_hits(const struct hn_fit *f)
{
	const float *y = hn_run_out(&f->run);
	const size_t lanes = f->run.lanes;
	uint32_t hits = 0;

	for (uint32_t i = 0; i < f->run.n; i++) {
		size_t top = 0;

		for (size_t c = 1; c < f->cfg->net->out_n; c++)
			if (y[c * lanes + i] > y[top * lanes + i])
				top = c;
		hits += top == (size_t)f->label[i];
	}
	return hits;
}

struct hn_score hn_fit_score(struct hn_fit *f, const float *w, const struct hn_set *set)
{
	const struct hn_net *net = f->cfg->net;
	const size_t in = hn_size(net->in);
	double loss = 0, sum = 0;
	uint32_t hits = 0;

	f->run.learning = false;
	for (uint32_t at = 0; at < set->n; at += f->run.batch) {
		const uint32_t n = set->n - at < f->run.batch ? set->n - at : f->run.batch;
		const struct hn_set part = {
			.n = n, .x = set->x + at * in, .label = set->label ? set->label + at : NULL,
			.target = set->target ? set->target + (size_t)at * net->out_n : NULL,
			.weight = set->weight ? set->weight + at : NULL };
		double weight;

		load(f, &part, NULL, n);
		weight = weigh(f, &part, NULL, n);
		load_shares(f, &part, NULL, weight > 0 ? weight : 1);
		hn_run_forward(&f->run, w);
		loss += weight * batch_loss(f, NULL);
		sum += weight;
		if (net->task == HN_CLASSIFY)
			hits += batch_hits(f);
	}
	return (struct hn_score){ loss / sum,
		net->task == HN_CLASSIFY ? (double)hits / set->n : (double)NAN };
}

/* Loss and gradient of n samples, parts of a batch whose weights add up to `sum`. */
static double pass(struct hn_fit *f, const uint32_t *order, uint32_t n, double sum, float *g)
{
	const struct hn_set *set = &f->data->train;
	double loss;

	load(f, set, order, n);
	load_shares(f, set, order, sum);
	hn_run_forward(&f->run, f->w);
	loss = batch_loss(f, f->run.dy);
	hn_run_backward(&f->run, f->w, g);
	if (f->cfg->update != HN_SPARSE) /* its statistics would move every folded weight */
		hn_run_track(&f->run, f->w);
	return loss;
}

/* Samples [at, at + n) of the present order; false when a number was not finite. */
static bool one_step(struct hn_fit *f, uint32_t n)
{
	const uint32_t *order = f->order + f->s.at;
	const double sum = weigh(f, &f->data->train, order, n);
	double loss = 0;

	if (!(sum > 0))
		return true;
	f->run.learning = true;
	f->run.seed = f->cfg->seed;
	f->run.step = f->s.step;
	for (uint32_t at = 0; at < n; at += f->micro) {
		const uint32_t k = n - at < f->micro ? n - at : f->micro;

		f->run.first = at;
		loss += pass(f, order + at, k, sum, at ? f->part : f->g);
		for (size_t i = 0; at && i < f->n_w; i++)
			f->g[i] += f->part[i];
	}
	if (!isfinite(loss) || !hn_fit_update(f))
		return false;
	f->s.loss_sum += sum * loss;
	f->s.weight_sum += sum;
	f->s.samples += n;
	return true;
}

bool hn_fit_epoch(struct hn_fit *f)
{
	const uint32_t all = f->data->train.n, batch = f->cfg->batch;

	while (f->s.at < all && !f->left) {
		const uint32_t n = all - f->s.at < batch ? all - f->s.at : batch;

		if (!one_step(f, n))
			return false;
		f->s.at += n;
		if (f->job && f->job->after_step)
			f->left = !f->job->after_step(f->job->ctx, f, f->s.step);
	}
	return true;
}

/* Largest magnitude of v (n,); infinite when one is not finite. */
static double largest(const float *v, size_t n)
{
	double top = 0;

	for (size_t i = 0; i < n; i++) {
		if (!isfinite(v[i]))
			return (double)INFINITY;
		top = fmax(top, fabs((double)v[i]));
	}
	return top;
}

enum { NOWHERE = HN_NET_LAYERS_MAX };

/* First layer whose outputs are not finite; layers behind it are not looked at. */
struct search { const struct hn_run *run; unsigned layer; };

static void look(void *ctx, unsigned layer)
{
	struct search *s = ctx;
	const struct hn_run *run = s->run;

	if (s->layer == NOWHERE &&
	    isinf(largest(run->y[layer], hn_size(run->net->layer[layer].out) * run->lanes)))
		s->layer = layer;
}

/* The batch passes once more, because a run need not keep its outputs. */
static unsigned find_layer(struct hn_fit *f)
{
	struct search s = { &f->run, NOWHERE };

	if (isinf(largest(f->w, f->n_w)))
		return NOWHERE;
	f->run.seen = look;
	f->run.seen_ctx = &s;
	hn_run_forward(&f->run, f->w);
	f->run.seen = hn_fit_watch_units;
	f->run.seen_ctx = f;
	return s.layer;
}

hn_status hn_fit_blame(struct hn_fit *f, struct hn_err *err)
{
	const struct hn_net *net = f->cfg->net;
	unsigned worst = find_layer(f);
	double top = 0;

	if (worst != NOWHERE)
		return hn_fail(err, HN_ENUMERIC, "layer %u '%s': outputs are not finite after %d tries "
		               "at falling rates; the rate is now %g", net->layer[worst].number,
		               net->layer[worst].text, HN_TRAIN_TRIES_MAX, f->s.lr);
	worst = 0;
	for (unsigned i = 0; i < net->n_layers; i++) {
		const double m = largest(f->g + net->layer[i].w_at, net->layer[i].n_w);

		if (m > top) {
			top = m;
			worst = i;
		}
	}
	return hn_fail(err, HN_ENUMERIC, "layer %u '%s': gradients are too large after %d tries at "
	               "falling rates; the rate is now %g", net->layer[worst].number,
	               net->layer[worst].text, HN_TRAIN_TRIES_MAX, f->s.lr);
}
