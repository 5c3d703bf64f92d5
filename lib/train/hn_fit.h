/* hn_fit.h - state of one training run; private to lib/train. */
#ifndef HN_FIT_H
#define HN_FIT_H

#include "hn_rng.h"
#include "hn_run.h"
#include "hn_train.h"

struct hn_fit {
	const struct hn_train_cfg *cfg;
	const struct hn_data *data;
	struct hn_run run;
	struct hn_rng rng;
	size_t    n_w;
	float    *w, *g;                 /* (n_w,) present weights and gradient                */
	float    *state;                 /* (n_state, n_w) of the optimiser                    */
	float    *best, *safe;           /* (n_w,) best on held-back data; at the epoch's start */
	float    *safe_state;            /* (n_state, n_w) at the epoch's start                */
	uint32_t *order;                 /* (train.n,)                                         */
	float    *share, *loss, *work;   /* (lanes,), (lanes,), (2 + out_n, lanes)             */
	int32_t  *label;                 /* (batch,)                                           */
	uint64_t  step, safe_step, samples;
	double    lr, norm_max;
};

/* Check the config and take all buffers from `arena` (which may be dry). */
hn_status hn_fit_init(struct hn_fit *f, const struct hn_train_cfg *cfg, const struct hn_data *data,
                      struct hn_arena *arena, struct hn_err *err);

/* Bytes by purpose, filled by hn_fit_init's code. */
hn_status hn_fit_plan(const struct hn_train_cfg *cfg, const struct hn_data *data,
                      struct hn_plan *plan, struct hn_err *err);

/* Every number of the data: finite, in range, enough of it. */
hn_status hn_fit_check(const struct hn_train_cfg *cfg, const struct hn_data *data,
                       struct hn_err *err);

/* Loss (and accuracy) of weights `w` over `set`. */
struct hn_score hn_fit_score(struct hn_fit *f, const float *w, const struct hn_set *set);

/* One epoch over the training set in the present order; mean loss, or NaN when it diverged: then
 * f->run and f->g still hold the batch that did. */
double hn_fit_epoch(struct hn_fit *f);

/* Name the layer whose outputs or gradients are not finite. */
hn_status hn_fit_blame(const struct hn_fit *f, struct hn_err *err);
#endif
