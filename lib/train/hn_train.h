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

/* Rate over the run: constant, or constant for the first 30 % of the steps and then half a cosine
 * down to 5 % (Loshchilov & Hutter 2017, arXiv:1608.03983, one cycle). */
enum hn_schedule { HN_CONSTANT = 0, HN_COSINE = 1 };

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
	float    weight_decay;   /* adamw: w -= lr weight_decay w; adam, sgd: part of the gradient; 0 */
	float    momentum;       /* sgd, [0, 1); 0.9                                          */
	bool     nesterov;       /* sgd; false                                                */
	float    delta;          /* huber: errors from here on count linearly; 1              */
	float    smoothing;      /* label smoothing [0, 1); 0                                 */
	float    clip_norm;      /* largest gradient norm, 0 = no limit                       */
	float    min_delta;      /* improvement of the held-back loss that counts; 1e-4       */
	uint32_t batch;          /* 32                                                        */
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
};

/* What the bytes are for; the parts add up to total. */
struct hn_plan {
	size_t weights;          /* present, best and last safe ones, and the gradient        */
	size_t moments;          /* state of the optimiser, present and last safe             */
	size_t activations;      /* buffers of one batch                                      */
	size_t order;            /* order of the samples                                      */
	size_t total;
};
hn_status hn_train_plan(const struct hn_train_cfg *cfg, const struct hn_data *data,
                        struct hn_plan *plan, struct hn_err *err);

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

/* Loss and score of given weights on a set; buffers from `arena`, given back. */
struct hn_score { double loss, accuracy; /* accuracy NAN unless classify */ };
hn_status hn_evaluate(const struct hn_train_cfg *cfg, const float *weights,
                      const struct hn_set *set, struct hn_arena *arena, struct hn_score *score);
#endif
