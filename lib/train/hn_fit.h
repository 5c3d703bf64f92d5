/* hn_fit.h - state of one training run; private to lib/train. */
#ifndef HN_FIT_H
#define HN_FIT_H

#include "hn_rng.h"
#include "hn_run.h"
#include "hn_train.h"

/* Where a run stands: every number that changes and is no array.  hn_checkpoint.c lists them once
 * more; a new one belongs there, too. */
struct hn_stand {
	uint32_t epoch;                  /* 1-based present one, 0 before the first            */
	uint32_t at;                     /* samples of it that are done                        */
	uint32_t best_epoch, rollbacks;
	uint64_t step, safe_step, samples;
	struct hn_rng rng;               /* at the epoch's start: its order follows from it    */
	double   lr, norm_max;           /* rate that roll backs halve; largest gradient norm  */
	double   loss_sum, weight_sum;   /* of the epoch so far                                */
	double   grad_sum[HN_NET_LAYERS_MAX], ratio_sum[HN_NET_LAYERS_MAX];      /* hn_health.c */
	uint32_t watched;                /* steps in these sums                                */
	uint32_t drops, plateau_wait;    /* HN_PLATEAU                                         */
	double   plateau_best;
	uint8_t  ever[HN_NET_LAYERS_MAX];        /* what ailed each layer in any epoch        */
	double   train_loss, valid_loss, valid_score;    /* of the best weights                */
};

enum { HN_FIT_KEPT_MAX = 8 };

struct hn_fit {
	const struct hn_train_cfg *cfg;
	const struct hn_data *data;
	const struct hn_train_job *job;  /* NULL when there are no hooks                       */
	struct hn_run run;
	struct hn_stand s;
	size_t    n_w;
	float    *w, *g;                 /* (n_w,) present weights and gradient                */
	float    *state;                 /* (n_state, n_w) of the optimiser                    */
	float    *best, *safe;           /* (n_w,) best on held-back data; at the epoch's start */
	float    *safe_state;            /* (n_state, n_w) at the epoch's start                */
	float    *ema, *safe_ema;        /* (n_w,) average of w, at the epoch's start; or NULL */
	float    *part;                  /* (n_w,) gradient of a micro-batch, or NULL          */
	float    *alive;                 /* (units,) 1: it answered in this epoch              */
	size_t    silent;                /* units that have not answered in this epoch         */
	struct hn_optim_part part_of[HN_NET_LAYERS_MAX];         /* weights that are trained   */
	uint8_t   layer_of[HN_NET_LAYERS_MAX];   /* of each part                               */
	double    grad_sq[HN_NET_LAYERS_MAX];    /* of each part, this step                    */
	unsigned  n_parts;
	uint32_t  micro;                 /* samples that pass at once                          */
	struct hn_health health;
	uint32_t *order;                 /* (train.n,)                                         */
	float    *share, *loss, *work;   /* (lanes,), (lanes,), (out_n, lanes)                 */
	int32_t  *label;                 /* (lanes,) 0 behind the batch                        */
	struct hn_kept { float *v; size_t n; } kept[HN_FIT_KEPT_MAX];    /* what a checkpoint holds */
	unsigned  n_kept;
	uint8_t   digest[32];            /* of all that the result depends on                  */
	bool      full;                  /* the arena is too small                             */
	bool      left;                  /* after_step said: no more                           */
};

/* Check the config and take all buffers from `arena` (which may be dry). */
hn_status hn_fit_init(struct hn_fit *f, const struct hn_train_cfg *cfg, const struct hn_data *data,
                      struct hn_arena *arena, struct hn_err *err);

/* Bytes by purpose, filled by hn_fit_init's code. */
hn_status hn_fit_plan(const struct hn_train_cfg *cfg, const struct hn_data *data,
                      struct hn_plan *plan, struct hn_err *err);

/* The config, and every number of the data: finite, in range, enough of it. */
hn_status hn_fit_check_cfg(const struct hn_train_cfg *cfg, struct hn_err *err);
hn_status hn_fit_check(const struct hn_train_cfg *cfg, const struct hn_data *data,
                       struct hn_err *err);

/* Loss (and accuracy) of weights `w` over `set`. */
struct hn_score hn_fit_score(struct hn_fit *f, const float *w, const struct hn_set *set);

/* The present epoch from f->s.at to its end, or until f->left; false when it diverged: then f->run
 * and f->g still hold the batch that did. */
bool hn_fit_epoch(struct hn_fit *f);

/* One optimiser step with the gradient f->g; false when gradient or new weights are not finite. */
bool hn_fit_update(struct hn_fit *f);

/* The weights that are evaluated and returned. */
static inline const float *hn_fit_weights(const struct hn_fit *f)
{
	return f->ema ? f->ema : f->w;
}

/* Spans by the update kind. */
void hn_fit_choose(struct hn_fit *f);

/* Rate of the next step; an epoch's loss for HN_PLATEAU. */
double hn_fit_rate(const struct hn_fit *f);
void hn_fit_watch_plateau(struct hn_fit *f, double loss);

/* Units that may die; what batch and step showed; the verdict of an epoch into f->health. */
size_t hn_fit_units(const struct hn_net *net);
void hn_fit_watch_units(void *fit, unsigned layer);
void hn_fit_count_silent(struct hn_fit *f);
void hn_fit_watch_step(struct hn_fit *f);
void hn_fit_judge(struct hn_fit *f);

/* Name the layer whose outputs or gradients are not finite. */
hn_status hn_fit_blame(struct hn_fit *f, struct hn_err *err);

/* SHA-256 over config and data into f->digest. */
void hn_fit_digest(struct hn_fit *f);

/* All kept arrays and f->s from a checkpoint.  On an error they hold anything. */
hn_status hn_checkpoint_read(struct hn_fit *f, hn_get get, void *ctx, struct hn_err *err);
#endif
