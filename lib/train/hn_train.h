/* hn_train.h - the fit loop: mini-batches, early stopping on held-back data, numerical guard.
 *
 * Use:  fill a config (start from hn_train_defaults), ask hn_train_need for the exact number of
 * bytes, hand in an arena of that size, run.  Nothing is allocated inside; the peak of the arena
 * equals the need to the byte.  Same net, data, config and CPU level: same bits, also when the run
 * is cut off and goes on from a checkpoint. */
#ifndef HN_TRAIN_H
#define HN_TRAIN_H

#include <stdbool.h>
#include "hn_arena.h"
#include "hn_health.h"
#include "hn_fake.h"
#include "hn_kernel.h"
#include "hn_loss.h"
#include "hn_net.h"
#include "hn_optim.h"

enum { HN_TRAIN_BATCH_MAX = 1024, HN_TRAIN_TRIES_MAX = 8 };

/* Labelled samples, borrowed.  x is already scaled (hn_model.h: hn_scaler). */
struct hn_set {
	uint32_t n;
	const float   *x;        /* (n, in_len * in_ch)                                       */
	const int32_t *label;    /* (n,) classify: 0 .. out_n - 1; otherwise NULL             */
	const float   *target;   /* (n, out_n) regress, forecast; NULL for classify, autoencode */
	const float   *weight;   /* (n,) >= 0, or NULL = all 1                                */
};

struct hn_data { struct hn_set train, valid; };  /* valid.n == 0: no early stopping          */

/* Rate over the run: hn_schedule.c. */
enum hn_schedule { HN_CONSTANT = 0, HN_COSINE = 1, HN_STEP = 2, HN_PLATEAU = 3, HN_SCHEDULES };
const char *hn_schedule_name(enum hn_schedule s);

/* Which weights a run changes.  HN_SCALER is an update without a fit: a run refuses it. */
enum hn_update {
	HN_FULL = 0, HN_LAST = 1, HN_BIASES = 2, HN_SPARSE = 3, HN_SCALER = 4, HN_UPDATES
};
const char *hn_update_name(enum hn_update u);

struct hn_train_cfg {
	const struct hn_net *net;
	const struct hn_loss_type *loss;         /* hn_loss_of(task) by default               */
	const struct hn_optim_type *optim;       /* adamw by default                          */
	const struct hn_kernels *kern;           /* NULL = best of this CPU                   */
	const float *start;      /* (n_weights,) champion's weights to begin from; NULL = fresh */
	const float *class_weight;       /* (out_n,) > 0 or NULL                              */
	uint64_t seed;           /* initial weights and order of the samples                  */
	float    lr;             /* 1e-3                                                      */
	enum hn_schedule schedule;       /* HN_CONSTANT                                        */
	float    decay;          /* factor of HN_STEP and HN_PLATEAU, (0, 1]; 0.5              */
	uint32_t decay_epochs;   /* epochs from one of their steps to the next; 10            */
	uint32_t warmup;         /* steps over which the rate rises from 0; 0                 */
	float    ema;            /* exponential average of the weights: share that a step keeps,
	                            [0, 1); it is what is evaluated and returned; 0 = none    */
	enum hn_update update;   /* HN_FULL; all others need `start`                          */
	uint32_t last_layers;    /* HN_LAST: layers with weights that are trained; 1          */
	float    anchor;         /* pull towards `start`: w -= lr anchor (w - start); 0       */
	float    sparse;         /* HN_SPARSE: loss of one grid step away from `start`         */
	const float *grid;       /* HN_SPARSE: (n_weights,) grid step of each weight, 0 = free */
	float    weight_decay;   /* adamw: w -= lr weight_decay w; adam, sgd: part of the gradient; 0 */
	float    momentum;       /* sgd, [0, 1); 0.9                                          */
	bool     nesterov;       /* sgd; false                                                */
	float    delta;          /* huber: errors from here on count linearly; 1              */
	float    smoothing;      /* label smoothing [0, 1); 0                                 */
	float    clip_norm;      /* largest gradient norm, 0 = no limit                       */
	float    min_delta;      /* improvement of the held-back loss that counts; 1e-4       */
	uint32_t batch;          /* 32                                                        */
	uint32_t micro;          /* samples that pass at once, their gradients added up; 0 = batch */
	bool     recompute;      /* keep few outputs, compute the others again in backward    */
	uint32_t epochs;         /* 100                                                       */
	uint32_t patience;       /* epochs without improvement before the end, 0 = never; 10  */
	const struct hn_fake *fake;      /* train for int8: what rounds (hn_quant.h); NULL = float */
	bool     in_order;       /* do not shuffle (comparisons with other programs)          */
};

void hn_train_defaults(struct hn_train_cfg *cfg, const struct hn_net *net);

/* One finished epoch. */
struct hn_epoch {
	uint32_t epoch, epochs;          /* 1-based; planned                                   */
	double   train_loss;             /* mean over the epoch, weights changing              */
	double   valid_loss;             /* NAN without held-back data                         */
	double   valid_score;            /* classify: accuracy 0..1; otherwise NAN             */
	double   grad_norm_max, lr;
	uint32_t best_epoch, rollbacks;
	const struct hn_health *health;  /* of this epoch                                      */
};

/* Return false to stop: hn_train_run then keeps the best weights and reports HN_STOP_ABORT. */
typedef bool (*hn_progress)(void *ctx, const struct hn_epoch *e);

enum hn_stop { HN_STOP_EPOCHS = 0, HN_STOP_PATIENCE = 1, HN_STOP_ABORT = 2 };

/* A run in progress, for hn_checkpoint_write. */
struct hn_fit;

/* After every optimiser step.  Return false to stop at once: as for hn_progress. */
typedef bool (*hn_after_step)(void *ctx, const struct hn_fit *fit, uint64_t step);

struct hn_train_result {
	const float *weights;    /* (n_weights,) best on held-back data, last without any; in the arena */
	enum hn_stop stop;
	uint32_t epochs, best_epoch, rollbacks;
	uint64_t steps, samples; /* optimiser steps, samples seen                             */
	double   train_loss, valid_loss, valid_score;    /* of the weights returned           */
	double   grad_norm_max, lr;                      /* lr at the end                     */
	struct hn_health health;         /* of the last epoch, and what was ever wrong         */
};

/* What the bytes are for; the parts add up to total. */
struct hn_plan {
	size_t weights;          /* present, best and last safe ones, and the gradient        */
	size_t moments;          /* state of the optimiser, present and last safe             */
	size_t activations;      /* buffers of one (micro-)batch                              */
	size_t order;            /* order of the samples                                      */
	size_t total;
	uint64_t again_macs;     /* multiply-adds of a sample that recomputing adds to 3 x forward */
};
hn_status hn_train_plan(const struct hn_train_cfg *cfg, const struct hn_data *data,
                        struct hn_plan *plan, struct hn_err *err);

/* The next choice that may need less memory: half of the micro-batch in whole HN_LANES, down to
 * HN_LANES; then the same once more from the batch on with `recompute`.  false: there is none. */
bool hn_train_smaller(struct hn_train_cfg *cfg);

/* The first of these choices whose plan fits into `budget` bytes, into cfg->micro and
 * cfg->recompute.  The gradient of micro-batches is that of the batch up to rounding, except for
 * layers that look at the batch as a whole (batch_norm sees the micro-batch); that of recomputed
 * outputs has the same bits.
 * Errors: HN_ENOMEM, *least is then the smallest budget that would do; as hn_train_plan. */
hn_status hn_train_shrink(struct hn_train_cfg *cfg, const struct hn_data *data, size_t budget,
                          size_t *least, struct hn_err *err);

/* Exact bytes that hn_train_run takes from its arena.  Only the sizes of `data` are read.
 * Errors as hn_train_run for the config. */
hn_status hn_train_need(const struct hn_train_cfg *cfg, const struct hn_data *data, size_t *bytes,
                        struct hn_err *err);

/* A checkpoint is one stream of bytes (hn_checkpoint.c has the layout), read and written in parts
 * and in order: `get` fills n bytes, `put` takes them; false when it cannot. */
typedef bool (*hn_get)(void *ctx, void *bytes, size_t n);
typedef bool (*hn_put)(void *ctx, const void *bytes, size_t n);

/* What became of the checkpoint that a run was given: HN_OK and the steps that are done already; or
 * why it is refused, HN_EFORMAT (damaged) or HN_ESTATE (of another net, config or data): then
 * the run begins anew. */
struct hn_resume { hn_status rc; uint64_t step; uint32_t epoch; const char *why; };

struct hn_train_job {
	const struct hn_train_cfg *cfg;
	const struct hn_data *data;
	struct hn_arena *arena;
	hn_progress progress;    /* may be NULL, as all that follow                           */
	void *ctx;               /* for all of them                                           */
	hn_after_step after_step;
	hn_get resume;           /* bytes of a checkpoint to go on from                       */
	void (*resumed)(void *ctx, const struct hn_resume *r);
};

/* Train.  Errors, each with a sentence:
 *   HN_EINVAL   config: net, batch, rate, loss that does not fit the task
 *   HN_EDATA    no samples, one class only
 *   HN_ERANGE   label or sample weight out of range
 *   HN_ENUMERIC input not finite; or training diverged HN_TRAIN_TRIES_MAX times (layer named)
 *   HN_ENOMEM   arena smaller than hn_train_need */
hn_status hn_train_run(const struct hn_train_job *job, struct hn_train_result *res,
                       struct hn_err *err);

/* From after_step: all that a run needs to go on to the same bits, to `put`.  The reader takes
 * nothing on trust but memory that it owns.  Errors: HN_EIO (put returned false). */
hn_status hn_checkpoint_write(const struct hn_fit *fit, hn_put put, void *ctx);

/* SHA-256 over all that a run's result depends on. */
void hn_train_digest(const struct hn_train_cfg *cfg, const struct hn_data *data, uint8_t out[32]);

/* Loss and score of given weights on a set; buffers from `arena`, given back. */
struct hn_score { double loss, accuracy; /* accuracy NAN unless classify */ };
hn_status hn_evaluate(const struct hn_train_cfg *cfg, const float *weights,
                      const struct hn_set *set, struct hn_arena *arena, struct hn_score *score);
#endif
