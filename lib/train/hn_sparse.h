/* hn_sparse.h - a fine-tune that moves few weights off the champion's int8 grid, so that the delta
 * to a device stays within a budget of bytes. */
#ifndef HN_SPARSE_H
#define HN_SPARSE_H

#include "hn_train.h"

struct hn_sparse_job {
	struct hn_train_job job;         /* cfg: update HN_SPARSE, start, grid; its `sparse` is chosen
	                                    here; no `resume`: a search begins anew           */
	/* Bytes of the update that these weights make; ctx is the job's. */
	double (*cost)(void *ctx, const float *weights);
	double budget;
	unsigned runs_max;               /* at least 1                                         */
};

struct hn_sparse_result {
	struct hn_train_result fit;      /* of the smallest penalty that fits                  */
	double   penalty, cost;
	unsigned runs;
	bool     stopped;                /* a hook ended the search                            */
};

/* Bytes that hn_train_sparse takes. */
hn_status hn_train_sparse_need(const struct hn_train_cfg *cfg, const struct hn_data *data,
                               size_t *bytes, struct hn_err *err);

/* Search.  Errors: as hn_train_run; HN_EDATA when no run fits the budget. */
hn_status hn_train_sparse(const struct hn_sparse_job *s, struct hn_sparse_result *res,
                          struct hn_err *err);
#endif
