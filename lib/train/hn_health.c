/* Gradient norms, dead units and update-to-weight ratios by layer, and what they mean.
 *
 * The limits compare the gradient of one weight (root mean square) with that of the layer where it
 * is largest, a layer's gradient with its weights, and a step with the weights.  The reference nets
 * stay within them (tests/unit/check_train_kinds.c).
 * Sources: Glorot & Bengio 2010, AISTATS, section 4 (gradients by layer); Pascanu et al. 2013,
 * arXiv:1211.5063 (vanishing, exploding); Lu et al. 2019, arXiv:1903.06733 (dying relu). */
#include "hn_fit.h"

#include <math.h>
#include <stdio.h>
#include "hn_layer.h"

static const double vanishing = 1e-4, exploding = 100, restless = 0.1, dead = 0.5;

/* --- every step ------------------------------------------------------------------------------- */

static bool has_units(const struct hn_layer *l)
{
	return l->type->clamp;
}

size_t hn_fit_units(const struct hn_net *net)
{
	size_t n = 0;

	for (unsigned i = 0; i < net->n_layers; i++)
		n += has_units(&net->layer[i]) ? net->layer[i].out.ch : 0;
	return n;
}

/* Was channel c above 0 for any sample and frame? */
static bool lives(const struct hn_run *run, unsigned layer, size_t c)
{
	const struct hn_layer *l = &run->net->layer[layer];

	for (size_t t = 0; t < l->out.len; t++) {
		const float *y = run->y[layer] + (t * l->out.ch + c) * run->lanes;

		for (size_t j = 0; j < run->n; j++)
			if (y[j] > 0)
				return true;
	}
	return false;
}

/* Only units that have been silent so far are looked at: soon there are few or none. */
void hn_fit_watch_units(void *ctx, unsigned layer)
{
	struct hn_fit *f = ctx;
	const struct hn_layer *l = f->cfg->net->layer;
	float *alive = f->alive;

	if (f->silent == 0 || !f->run.learning || !has_units(&l[layer]))
		return;
	for (unsigned i = 0; i < layer; i++)
		alive += has_units(&l[i]) ? l[i].out.ch : 0;
	for (size_t c = 0; c < l[layer].out.ch; c++)
		if (alive[c] == 0 && lives(&f->run, layer, c)) {
			alive[c] = 1;
			f->silent--;
		}
}

void hn_fit_count_silent(struct hn_fit *f)
{
	const size_t n = hn_fit_units(f->cfg->net);

	f->silent = 0;
	for (size_t i = 0; i < n; i++)
		f->silent += f->alive[i] == 0;
}

void hn_fit_watch_step(struct hn_fit *f)
{
	for (unsigned i = 0; i < f->n_parts; i++) {
		const struct hn_optim_part *p = &f->part_of[i];
		const unsigned layer = f->layer_of[i];

		f->s.grad_sum[layer] += sqrt(f->grad_sq[i]);
		if (p->norm > 0)
			f->s.ratio_sum[layer] += sqrt(p->change / p->norm);
	}
	f->s.watched++;
}

/* --- at the end of an epoch ------------------------------------------------------------------- */

static unsigned bit(bool on, enum hn_ill ill)
{
	return on ? 1u << ill : 0;
}

static double weight_norm(const struct hn_fit *f, const struct hn_layer *l)
{
	return sqrt(f->run.kern->sum_sq(f->w + l->w_at, l->n_w));
}

/* Root mean square gradient of one weight. */
static double rms(const struct hn_layer_health *h, const struct hn_layer *l)
{
	return l->n_w ? h->gradient / sqrt((double)l->n_w) : 0;
}

static void count_dead(const struct hn_fit *f, struct hn_health *h)
{
	const float *alive = f->alive;

	for (unsigned i = 0; i < h->n_layers; i++) {
		const struct hn_layer *l = &f->cfg->net->layer[i];
		const uint32_t n = has_units(l) ? l->out.ch : 0;

		h->layer[i].units = n;
		for (uint32_t c = 0; c < n; c++)
			h->layer[i].dead += alive[c] == 0;
		alive += n;
	}
}

static unsigned ills(const struct hn_fit *f, const struct hn_layer_health *h, unsigned i,
                     double top)
{
	const struct hn_layer *l = &f->cfg->net->layer[i];

	return bit(l->n_w && rms(h, l) < vanishing * top, HN_VANISHING) |
	       bit(l->n_w && h->gradient > exploding * fmax(weight_norm(f, l), 1e-3), HN_EXPLODING) |
	       bit(h->units && h->dead >= dead * h->units, HN_DEAD) |
	       bit(h->ratio > restless, HN_RESTLESS);
}

void hn_fit_judge(struct hn_fit *f)
{
	struct hn_health *h = &f->health;
	const double n = f->s.watched ? f->s.watched : 1;
	double top = 0;

	*h = (struct hn_health){ .n_layers = f->cfg->net->n_layers };
	for (unsigned i = 0; i < h->n_layers; i++) {
		h->layer[i].gradient = f->s.grad_sum[i] / n;
		h->layer[i].ratio = f->s.ratio_sum[i] / n;
		top = fmax(top, rms(&h->layer[i], &f->cfg->net->layer[i]));
	}
	count_dead(f, h);
	for (unsigned i = 0; i < h->n_layers; i++) {
		h->layer[i].ill = ills(f, &h->layer[i], i, top);
		f->s.ever[i] |= (uint8_t)h->layer[i].ill;
		h->layer[i].ever = f->s.ever[i];
	}
}

/* --- words ------------------------------------------------------------------------------------ */

static const char *const names[] = { "vanishing", "exploding", "dead", "restless" };
_Static_assert(sizeof names / sizeof *names == HN_ILLS, "one name each");

const char *hn_ill_name(enum hn_ill ill)
{
	return (unsigned)ill < HN_ILLS ? names[ill] : "unknown";
}

void hn_health_text(const struct hn_net *net, const struct hn_health *h, unsigned layer,
                    enum hn_ill ill, char *out, size_t cap)
{
	const struct hn_layer_health *l = &h->layer[layer];
	const char *text = net->layer[layer].text;
	const unsigned number = net->layer[layer].number;

	switch (ill) {
	case HN_VANISHING:
		(void)snprintf(out, cap, "layer %u '%s': vanishing gradient, norm %.2g; use relu instead of "
		               "sigmoid or tanh before it, or fewer layers", number, text, l->gradient);
		break;
	case HN_EXPLODING:
		(void)snprintf(out, cap, "layer %u '%s': exploding gradient, norm %.2g; set train.clip, or "
		               "lower train.rate", number, text, l->gradient);
		break;
	case HN_DEAD:
		(void)snprintf(out, cap, "layer %u '%s': %u of %u units never answer; lower train.rate, or "
		               "use leaky_relu", number, text, l->dead, l->units);
		break;
	case HN_RESTLESS:
		(void)snprintf(out, cap, "layer %u '%s': a step changes %.0f %% of its weights; lower "
		               "train.rate", number, text, 100 * l->ratio);
		break;
	case HN_ILLS:
		break;
	}
}
