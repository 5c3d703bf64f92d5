/* Stochastic gradient descent with momentum, in torch's form (dampening 0):
 *   g += decay w;  m = momentum m + g;  w -= lr m, or lr (g + momentum m) with nesterov
 * Sources: Polyak 1964; Sutskever et al. 2013, "On the importance of initialization and
 * momentum in deep learning". */
#include "hn_optim.h"

extern const struct hn_optim_type hn_optim_sgd;

static void sgd_step(const struct hn_optim_step *s)
{
	struct hn_sgd_args a = {
		.g_scale = s->scale,
		.l2 = s->weight_decay, .momentum = s->momentum, .rate = s->lr,
		.by_m = s->nesterov ? s->momentum : 1, .by_g = s->nesterov ? 1 : 0 };

	for (unsigned i = 0; i < s->n_parts; i++) {
		struct hn_optim_part *p = &s->part[i];

		a.n = p->n;
		a.w = s->w + p->at;
		a.m = s->state + p->at;
		a.g = s->g + p->at;
		a.change = &p->change;
		a.norm = &p->norm;
		s->kern->sgd(&a);
	}
}

const struct hn_optim_type hn_optim_sgd = { .name = "sgd", .n_state = 1, .step = sgd_step };
