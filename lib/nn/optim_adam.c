/* Adam with decoupled weight decay, in the form that PyTorch computes:
 *   w -= lr decay w;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
 *   w -= lr m_hat / (sqrt(v_hat) + eps),  m_hat = m / (1 - b1^t),  v_hat = v / (1 - b2^t)
 * Sources: Kingma & Ba 2015, arXiv:1412.6980; Loshchilov & Hutter 2019, arXiv:1711.05101. */
#include "hn_optim.h"

#include <math.h>

extern const struct hn_optim_type hn_optim_adam;

static const double beta1 = 0.9, beta2 = 0.999;
static const float eps = 1e-8f;

static void adam_step(const struct hn_optim_step *s)
{
	const double t = (double)s->step;

	s->kern->adam(&(struct hn_adam_args){
		.n = s->n, .w = s->w, .m = s->state, .v = s->state + s->stride, .g = s->g,
		.g_scale = s->scale, .decay = 1.0f - s->lr * s->weight_decay,
		.b1 = (float)beta1, .b2 = (float)beta2, .eps = eps,
		.c1 = (float)(1.0 - beta1), .c2 = (float)(1.0 - beta2),
		.rate = (float)((double)s->lr / (1.0 - pow(beta1, t))),
		.v_norm = (float)(1.0 / sqrt(1.0 - pow(beta2, t))) });
}

const struct hn_optim_type hn_optim_adam = { .name = "adam", .n_state = 2, .step = adam_step };
