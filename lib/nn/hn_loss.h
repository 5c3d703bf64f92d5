/* hn_loss.h - losses: one file each, one row in hn_losses[]. */
#ifndef HN_LOSS_H
#define HN_LOSS_H

#include <stdbool.h>
#include <stddef.h>
#include "hn_kernel.h"
#include "hn_net.h"

/* One batch.  Arrays are (out_n, lanes) with the batch last; lanes >= n hold share 0. */
struct hn_loss_pass {
	const struct hn_kernels *kern;
	uint32_t n, lanes, out_n;
	const float   *y;        /* (out_n, lanes) outputs of the net                         */
	const float   *target;   /* (out_n, lanes) or NULL                                    */
	const int32_t *label;    /* (lanes,) 0 behind n; or NULL                              */
	const float   *share;    /* (lanes,) weight of each sample / sum of weights in the batch; the
	                            weight of its class is part of it                          */
	const float   *class_weight;     /* (out_n,) > 0 or NULL: the smoothed share of a label */
	float smoothing;         /* cross_entropy: [0, 1)                                      */
	float delta;             /* huber: where it becomes linear, > 0                        */
	float *loss;             /* (lanes,) loss of each sample, not weighted                */
	float *work;             /* (out_n, lanes)                                            */
	float *dy;               /* (out_n, lanes) gradient of sum(share * loss); NULL = not wanted */
};

struct hn_loss_type {
	const char *name;
	bool labels, targets;    /* can be computed from a label (class), from a target; or either */
	bool smooths;            /* knows label smoothing                                     */
	float target_lo, target_hi;      /* allowed targets; 0, 0 = any                        */
	void (*run)(const struct hn_loss_pass *p);
};

extern const struct hn_loss_type *const hn_losses[];     /* NULL-terminated */

/* NULL when there is no such loss. */
const struct hn_loss_type *hn_loss_find(const char *name);

/* The loss that a task uses unless told otherwise: cross_entropy for classify, mse else. */
const struct hn_loss_type *hn_loss_of(enum hn_task task);
#endif
