/* Adam in the form that PyTorch computes, and AdamW, which takes the weight decay out of g:
 *   adam: g += decay w                adamw: w -= lr decay w
 *   m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
 *   w -= lr m_hat / (sqrt(v_hat) + eps),  m_hat = m / (1 - b1^t),  v_hat = v / (1 - b2^t)
 * Sources: Kingma & Ba 2015, arXiv:1412.6980; Loshchilov & Hutter 2019, arXiv:1711.05101. */
#include "hn_optim.h"

#include <math.h>

extern const struct hn_optim_type hn_optim_adam, hn_optim_adamw;

static const double beta1 = 0.9, beta2 = 0.999;
static const float eps = 1e-8f;

static void step(const struct hn_optim_step *s, float l2, float decay)
{
	const double t = (double)s->step;
	struct hn_adam_args a = {
		.plain = s->scale >= 1.0f && !(l2 > 0), .g_scale = s->scale, .l2 = l2,
		.decay = 1.0f - s->lr * decay,
		.b1 = (float)beta1, .b2 = (float)beta2, .eps = eps,
		.c1 = (float)(1.0 - beta1), .c2 = (float)(1.0 - beta2),
		.rate = (float)((double)s->lr / (1.0 - pow(beta1, t))),
		.v_norm = (float)(1.0 / sqrt(1.0 - pow(beta2, t))) };

	for (unsigned i = 0; i < s->n_parts; i++) {
		struct hn_optim_part *p = &s->part[i];

		a.n = p->n;
		a.w = s->w + p->at;
		a.m = s->state + p->at;
		a.v = a.m + s->n;
		a.g = s->g + p->at;
		a.change = &p->change;
		a.norm = &p->norm;
		s->kern->adam(&a);
	}
}

static void adam_step(const struct hn_optim_step *s)
{
	step(s, s->weight_decay, 0);
}

static void adamw_step(const struct hn_optim_step *s)
{
	step(s, 0, s->weight_decay);
}

const struct hn_optim_type hn_optim_adam = { .name = "adam", .n_state = 2, .step = adam_step };
const struct hn_optim_type hn_optim_adamw = { .name = "adamw", .n_state = 2, .step = adamw_step };
