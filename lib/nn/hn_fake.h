/* hn_fake.h - a float net that rounds where its int8 image will ("fake quantisation").
 *
 * A run that is given one sees rounded weights and hands on rounded values; the gradients pass
 * straight through the rounding, but push no value out of its grid.  lib/quant makes it:
 * hn_fake_init in hn_quant.h.
 * Source: Jacob et al. 2018, arXiv:1712.05877, section 3; Bengio et al. 2013, arXiv:1308.3432. */
#ifndef HN_FAKE_H
#define HN_FAKE_H

#include "hn_net.h"

struct hn_quant_cfg;             /* hn_quant.h */
struct hn_calib;

struct hn_fake {
	/* Input, output of each layer: multiples of scale in low..high steps; scale 0 = as it is. */
	struct hn_fake_grid { float scale, low, high; } grid[HN_NET_LAYERS_MAX + 1];
	/* out (n_weights,) = w (n_weights,) rounded. */
	void (*weights)(const struct hn_fake *f, const float *w, float *out);
	const struct hn_quant_cfg *cfg;
	const struct hn_calib *calib;
	unsigned first, last;            /* layers [first, last) whose weights are rounded       */
};

/* v (n,) to its grid; to the nearest step, halves to even. */
void hn_fake_round(const struct hn_fake_grid *g, float *v, size_t n);

/* Gradients dy (n,) of values y (n,) that hn_fake_round left: one that pushes a value further
 * beyond the end of the grid where it is held becomes zero. */
void hn_fake_hold(const struct hn_fake_grid *g, const float *y, float *dy, size_t n);

/* w (n,), each with a step of its own and -most..most of them; step (n,) becomes the result.  What
 * has the step 0 stays as it is. */
void hn_fake_round_each(float *step, float most, const float *w, size_t n);
#endif
