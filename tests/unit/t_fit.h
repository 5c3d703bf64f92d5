/* t_fit.h - one training run on two moons, to be varied: what its tests share. */
#ifndef T_FIT_H
#define T_FIT_H

#include "hn_train.h"

enum { T_FIT_N = 240, T_FIT_SEED = 31, T_FIT_WEIGHTS = 80000, T_FIT_EPOCHS = 64 };

/* What a run left. */
struct t_outcome {
	hn_status rc;
	struct hn_err err;
	struct hn_train_result res;
	size_t need, peak;
	float weights[T_FIT_WEIGHTS];
	double rate[T_FIT_EPOCHS], loss[T_FIT_EPOCHS];   /* by epoch */
};

/* The run: half of the samples train, half are held back. */
struct t_fit {
	float   x[2 * T_FIT_N * 2];
	int32_t label[2 * T_FIT_N];
	struct hn_net net;
	struct hn_train_cfg cfg;
	struct hn_data data;
};
extern struct t_fit t_fit;

void t_fit_make(void);                   /* a fixture: moons and a small net                */
void t_fit_use(const char *net);         /* another net, and the settings as they begin     */
void t_fit_run(struct t_outcome *o);
#endif
