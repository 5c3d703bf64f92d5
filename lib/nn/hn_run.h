/* hn_run.h - buffers for one batch through a net, and the passes over them.
 *
 * Inside a run the batch is the last axis, (len, ch, lanes): every kernel works on whole vectors
 * of samples, nothing else is padded, and the order of every sum is the same at every vector
 * width.  Lanes = batch rounded up to HN_LANES; unused lanes hold zeros on input. */
#ifndef HN_RUN_H
#define HN_RUN_H

#include <stdbool.h>
#include "hn_again.h"
#include "hn_arena.h"
#include "hn_fake.h"
#include "hn_kernel.h"
#include "hn_net.h"

enum {
	HN_RUN_TRAIN = 1,                /* buffers for backward                               */
	HN_RUN_KEEP = 2,                 /* every layer keeps its output: none works in place  */
	HN_RUN_FAKE = 4,                 /* buffer for rounded weights; set run->fake          */
	HN_RUN_AGAIN = 8                 /* with TRAIN: backward computes outputs again       */
};

struct hn_run {
	const struct hn_net *net;
	const struct hn_kernels *kern;
	uint32_t batch;                  /* samples a pass, at most                            */
	uint32_t lanes;                  /* batch rounded up to HN_LANES                       */
	uint32_t n;                      /* samples in the present batch                       */
	unsigned flags;
	bool     learning;               /* this pass is a step of training; hn_run_init: HN_RUN_TRAIN */
	uint64_t seed, step;             /* of the training run: choose what dropout drops     */
	uint32_t first;                  /* place of the first loaded sample in the step's batch */
	float   *x;                      /* (in, lanes) input                                  */
	float   *y[HN_NET_LAYERS_MAX];   /* (out, lanes) of each layer; in-place layers share  */
	float   *x_rows;                 /* (lanes, in) the same as rows, padded: for the first layer */
	float   *rows;                   /* (lanes, widest input) padded rows, for backward     */
	float   *grad[2];                /* (widest, lanes) two gradients in turn              */
	float   *dy;                     /* (out_n, lanes) gradient of the loss: input of backward */
	float   *target;                 /* (out_n, lanes) for regression losses               */
	const struct hn_fake *fake;      /* NULL after init: nothing is rounded                */
	float   *rounded;                /* (n_weights,) what backward sees, too               */
	float   *side[HN_NET_LAYERS_MAX];/* (out, lanes) gradient of y[i] from a later add, or NULL */
	float   *keep[HN_NET_LAYERS_MAX];/* what each layer keeps for itself: hn_layer.h, `keep` */
	struct hn_again again;           /* segments, HN_RUN_AGAIN only                       */
	/* After each layer of a forward pass, when its output is sure to be there; or NULL. */
	void   (*seen)(void *ctx, unsigned layer);
	void    *seen_ctx;
};

/* Take all buffers from `arena` (which may be dry).  batch 1..1024.  Kernels: the best of this
 * CPU; run->kern may be replaced afterwards.  Errors: HN_EINVAL, HN_ENOMEM. */
hn_status hn_run_init(struct hn_run *run, const struct hn_net *net, uint32_t batch, unsigned flags,
                      struct hn_arena *arena);

/* Load `n` samples: sample i is row order[i] (or first + i when order is NULL) of x (., in). */
void hn_run_load(struct hn_run *run, const float *x, const uint32_t *order, uint32_t n);

/* The same for targets (., out_n); for autoencode the input itself is the target: not needed. */
void hn_run_load_target(struct hn_run *run, const float *t, const uint32_t *order, uint32_t n);

/* Outputs into run->y[last], (out_n, lanes). */
void hn_run_forward(struct hn_run *run, const float *weights);

/* After hn_run_forward with `learning`: the state in `weights` follows the batch. */
void hn_run_track(const struct hn_run *run, float *weights);

/* From run->dy back through all layers; gradients of all weights overwrite grad (n_weights,). */
void hn_run_backward(struct hn_run *run, const float *weights, float *grad);

/* Multiply-adds of one sample that backward repeats. */
uint64_t hn_run_again_macs(const struct hn_run *run);

/* Outputs of the net (lanes apart); valid until the next pass. */
const float *hn_run_out(const struct hn_run *run);

/* Float outputs of `n` samples: x (n, in) scaled -> out (n, out_n).
 * Takes its buffers from `arena` and gives them back.  Errors: HN_ENOMEM. */
struct hn_predict { const struct hn_net *net; const float *weights; };
hn_status hn_predict(const struct hn_predict *p, const float *x, uint32_t n, float *out,
                     struct hn_arena *arena);
#endif
