/* hn_optim.h - optimisers: one file each, one row in hn_optims[]. */
#ifndef HN_OPTIM_H
#define HN_OPTIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hn_kernel.h"

/* Weights [at, at + n) of the vector, and what the step did with them: `change` and `norm` are sums
 * of squares of the change and of the weights after it, out. */
struct hn_optim_part { uint32_t at, n; double change, norm; };

struct hn_optim_step {
	const struct hn_kernels *kern;
	struct hn_optim_part *part;      /* (n_parts,) weights that take the step                   */
	unsigned n_parts;
	uint64_t step;           /* 1 for the first                                           */
	float    lr, weight_decay;       /* added to the gradient, or decoupled: see the row  */
	float    momentum;       /* sgd: [0, 1)                                               */
	bool     nesterov;       /* sgd: look ahead                                           */
	float    scale;          /* the gradient is multiplied by this first (clipping)       */
	size_t   n;              /* of the whole vector                                       */
	const float *g;          /* (n,)                                                      */
	float   *w;              /* (n,)                                                      */
	float   *state;          /* (n_state, n) zeroed before the first step                 */
};

struct hn_optim_type {
	const char *name;
	uint8_t n_state;         /* floats of state a weight                                  */
	void (*step)(const struct hn_optim_step *s);
};

extern const struct hn_optim_type *const hn_optims[];    /* NULL-terminated */

/* NULL when there is no such optimiser. */
const struct hn_optim_type *hn_optim_find(const char *name);
#endif
