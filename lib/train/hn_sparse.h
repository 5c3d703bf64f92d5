/* hn_sparse.h - a fine-tune that moves few weights off the champion's int8 grid, so that the delta
 * to a device stays within a budget of bytes. */
#ifndef HN_SPARSE_H
#define HN_SPARSE_H

#include "hn_train.h"

struct hn_sparse_job {
	struct hn_train_job job;         /* cfg: update HN_SPARSE, start, grid; its `sparse` is chosen
	                                    here; `resume`: of the run that was cut off       */
	/* Bytes of the update that these weights make; ctx is the job's. */
	double (*cost)(void *ctx, const float *weights);
	double budget;
	unsigned runs_max;               /* at least 1                                         */
	float *kept;                     /* (n_weights,) of the smallest penalty that fits     */
};

/* Where the search stands, and its result.  A search that was cut off goes on from what stood here
 * during the run that was cut off, and from `kept`. */

struct hn_sparse_result {
	struct hn_train_result fit;      /* of the smallest penalty that fits; weights: kept   */
	double   over, fits;             /* penalties: the largest that costs too much, the smallest
	                                    that fits; 0 = none yet                           */
	double   penalty, cost;
	unsigned runs;
	bool     stopped;                /* a hook ended the search                            */
};

/* Could the search stand so?  For numbers from a file. */
bool hn_sparse_plausible(const struct hn_sparse_job *s, const struct hn_sparse_result *r);

/* Search on from *res, zeroes at the beginning.  It takes from its arena what hn_train_run does.
 * Errors: as hn_train_run; HN_EDATA when no run fits the budget. */
hn_status hn_train_sparse(const struct hn_sparse_job *s, struct hn_sparse_result *res,
                          struct hn_err *err);
#endif
