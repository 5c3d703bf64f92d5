/* Stochastic gradient descent with momentum, in torch's form (dampening 0):
 *   g += decay w;  m = momentum m + g;  w -= lr m, or lr (g + momentum m) with nesterov
 * Sources: Polyak 1964; Sutskever et al. 2013, "On the importance of initialization and
 * momentum in deep learning". */
#include "hn_optim.h"

extern const struct hn_optim_type hn_optim_sgd;

static void sgd_step(const struct hn_optim_step *s)
{
	s->kern->sgd(&(struct hn_sgd_args){
		.n = s->n, .w = s->w, .m = s->state, .g = s->g, .g_scale = s->scale,
		.l2 = s->weight_decay, .momentum = s->momentum, .rate = s->lr,
		.by_m = s->nesterov ? s->momentum : 1, .by_g = s->nesterov ? 1 : 0 });
}

const struct hn_optim_type hn_optim_sgd = { .name = "sgd", .n_state = 1, .step = sgd_step };
