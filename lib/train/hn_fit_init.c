/* Memory of a training run. */
#include "hn_fit.h"

#include <string.h>

/* The arena's fill after each part, for the plan. */
struct marks { size_t weights, moments, activations; };

/* Floats that a checkpoint holds. */
static float *keep(struct hn_fit *f, struct hn_arena *a, size_t n)
{
	float *v = hn_arena_take(a, n * sizeof *v);

	f->kept[f->n_kept++] = (struct hn_kept){ v, n };
	return v;
}

static hn_status take_all(struct hn_fit *f, struct hn_arena *a, struct marks *m)
{
	const struct hn_train_cfg *c = f->cfg;
	const size_t n_w = f->n_w, n_s = n_w * c->optim->n_state;
	hn_status rc;

	f->w = keep(f, a, n_w);
	f->best = keep(f, a, n_w);
	f->safe = keep(f, a, n_w);
	f->g = hn_arena_take(a, n_w * sizeof *f->g);
	m->weights = a->used;
	f->state = keep(f, a, n_s);
	f->safe_state = keep(f, a, n_s);
	m->moments = a->used;
	rc = hn_run_init(&f->run, c->net, c->batch, HN_RUN_TRAIN | (c->fake ? HN_RUN_FAKE : 0u), a);
	if (rc)
		return rc;
	f->share = hn_arena_take(a, f->run.lanes * sizeof *f->share);
	f->loss = hn_arena_take(a, f->run.lanes * sizeof *f->loss);
	f->work = hn_arena_take(a, (2 + (size_t)c->net->out_n) * f->run.lanes * sizeof *f->work);
	f->label = hn_arena_take(a, c->batch * sizeof *f->label);
	m->activations = a->used;
	f->order = hn_arena_take(a, f->data->train.n * sizeof *f->order);
	if (!hn_arena_dry(a) && (!f->w || !f->g || !f->best || !f->safe || !f->state ||
	    !f->safe_state || !f->share || !f->loss || !f->work || !f->label || !f->order))
		return HN_ENOMEM;
	return HN_OK;
}

static hn_status init(struct hn_fit *f, struct hn_arena *a, struct marks *m, struct hn_err *err)
{
	hn_status rc = hn_fit_check_cfg(f->cfg, err);

	if (rc)
		return rc;
	f->n_w = f->cfg->net->n_weights;
	f->s.lr = (double)f->cfg->lr;
	rc = take_all(f, a, m);
	if (rc)
		return hn_fail(err, rc, "training: %s", hn_status_text(rc));
	f->run.fake = f->cfg->fake;
	if (f->cfg->kern)
		f->run.kern = f->cfg->kern;
	return HN_OK;
}

hn_status hn_fit_init(struct hn_fit *f, const struct hn_train_cfg *cfg, const struct hn_data *data,
                      struct hn_arena *arena, struct hn_err *err)
{
	struct marks m = { 0, 0, 0 };

	*f = (struct hn_fit){ .cfg = cfg, .data = data };
	return init(f, arena, &m, err);
}

hn_status hn_fit_plan(const struct hn_train_cfg *cfg, const struct hn_data *data,
                      struct hn_plan *plan, struct hn_err *err)
{
	struct hn_fit f = { .cfg = cfg, .data = data };
	struct hn_arena dry;
	struct marks m = { 0, 0, 0 };
	hn_status rc;

	hn_arena_init(&dry, NULL, 0);
	rc = init(&f, &dry, &m, err);
	if (rc)
		return rc;
	*plan = (struct hn_plan){ .weights = m.weights, .moments = m.moments - m.weights,
	                          .activations = m.activations - m.moments,
	                          .order = dry.peak - m.activations, .total = dry.peak };
	return HN_OK;
}
