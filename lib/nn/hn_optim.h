/* hn_optim.h - optimisers: one file each, one row in hn_optims[]. */
#ifndef HN_OPTIM_H
#define HN_OPTIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hn_kernel.h"

struct hn_optim_step {
	const struct hn_kernels *kern;
	size_t   n;
	uint64_t step;           /* 1 for the first                                           */
	float    lr, weight_decay;       /* added to the gradient, or decoupled: see the row  */
	float    momentum;       /* sgd: [0, 1)                                               */
	bool     nesterov;       /* sgd: look ahead                                           */
	float    scale;          /* the gradient is multiplied by this first (clipping)       */
	const float *g;          /* (n,)                                                      */
	float   *w;              /* (n,)                                                      */
	float   *state;          /* (n_state, n) zeroed before the first step                 */
	size_t   stride;         /* floats from one state of a weight to its next: n, or more for a
	                            part of a longer vector                                    */
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
