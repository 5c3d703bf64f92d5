#include "t_fit.h"

#include <check.h>
#include <string.h>

#include "t_nets.h"

struct t_fit t_fit;

static bool note(void *ctx, const struct hn_epoch *e)
{
	struct t_outcome *o = ctx;

	if (e->epoch <= T_FIT_EPOCHS) {
		o->rate[e->epoch - 1] = e->lr;
		o->loss[e->epoch - 1] = e->valid_loss;
	}
	return true;
}

void t_fit_run(struct t_outcome *o)
{
	struct hn_train_job job = { .cfg = &t_fit.cfg, .data = &t_fit.data, .progress = note, .ctx = o };
	struct hn_arena a;

	memset(o, 0, sizeof *o);
	o->rc = hn_train_need(&t_fit.cfg, &t_fit.data, &o->need, &o->err);
	if (o->rc)
		return;
	a = t_arena(o->need);
	job.arena = &a;
	o->rc = hn_train_run(&job, &o->res, &o->err);
	o->peak = a.peak;
	if (!o->rc)
		memcpy(o->weights, o->res.weights, t_fit.net.n_weights * sizeof(float));
	t_arena_free(&a);
}

void t_fit_use(const char *text)
{
	t_fit.net = t_net(text, HN_CLASSIFY, 2, 2);
	ck_assert_uint_le(t_fit.net.n_weights, T_FIT_WEIGHTS);
	hn_train_defaults(&t_fit.cfg, &t_fit.net);
	t_fit.cfg.patience = 0;
	t_fit.cfg.epochs = 6;
	t_fit.cfg.batch = 24;
	t_fit.cfg.lr = 0.01f;
}

void t_fit_make(void)
{
	t_points(T_MOONS, T_FIT_SEED, 2 * T_FIT_N, t_fit.x, t_fit.label);
	t_fit.data = (struct hn_data){
		.train = { .n = T_FIT_N, .x = t_fit.x, .label = t_fit.label },
		.valid = { .n = T_FIT_N, .x = t_fit.x + 2 * T_FIT_N, .label = t_fit.label + T_FIT_N } };
	t_fit_use("dense 16, relu, dense 8, tanh, dense 2");
}
