/* Memory of a training run. */
#include "hn_fit.h"

#include <string.h>

/* The arena's fill after each part, for the plan. */
struct marks { size_t weights, moments, activations; };

static void *take(struct hn_fit *f, struct hn_arena *a, size_t bytes)
{
	void *p = hn_arena_take(a, bytes);

	f->full |= !p && !hn_arena_dry(a);
	return p;
}

static float *take_floats(struct hn_fit *f, struct hn_arena *a, size_t n)
{
	return take(f, a, n * sizeof(float));
}

/* Floats that a checkpoint holds. */
static float *keep(struct hn_fit *f, struct hn_arena *a, size_t n)
{
	float *v = take_floats(f, a, n);

	f->kept[f->n_kept++] = (struct hn_kept){ v, n };
	return v;
}

static void take_weights(struct hn_fit *f, struct hn_arena *a)
{
	const size_t n_w = f->n_w;

	f->w = keep(f, a, n_w);
	f->best = keep(f, a, n_w);
	f->safe = keep(f, a, n_w);
	f->ema = f->cfg->ema > 0 ? keep(f, a, n_w) : NULL;
	f->safe_ema = f->cfg->ema > 0 ? keep(f, a, n_w) : NULL;
	f->alive = keep(f, a, hn_fit_units(f->cfg->net));
	f->g = take_floats(f, a, n_w);
	f->part = f->micro < f->cfg->batch ? take_floats(f, a, n_w) : NULL;
}

static hn_status take_batch(struct hn_fit *f, struct hn_arena *a)
{
	const struct hn_train_cfg *c = f->cfg;
	const unsigned flags = HN_RUN_TRAIN | (c->fake ? HN_RUN_FAKE : 0u) |
	                       (c->recompute ? HN_RUN_AGAIN : 0u);
	const hn_status rc = hn_run_init(&f->run, c->net, f->micro, flags, a);

	if (rc)
		return rc;
	f->run.fake = c->fake;
	f->run.seen = hn_fit_watch_units;
	f->run.seen_ctx = f;
	if (c->kern)
		f->run.kern = c->kern;
	f->share = take_floats(f, a, f->run.lanes);
	f->loss = take_floats(f, a, f->run.lanes);
	f->work = take_floats(f, a, (size_t)c->net->out_n * f->run.lanes);
	f->label = take(f, a, f->run.lanes * sizeof *f->label);
	return HN_OK;
}

static hn_status take_all(struct hn_fit *f, struct hn_arena *a, struct marks *m)
{
	const size_t n_s = f->n_w * f->cfg->optim->n_state;
	hn_status rc;

	take_weights(f, a);
	m->weights = a->used;
	f->state = keep(f, a, n_s);
	f->safe_state = keep(f, a, n_s);
	m->moments = a->used;
	rc = take_batch(f, a);
	m->activations = a->used;
	f->order = take(f, a, f->data->train.n * sizeof *f->order);
	if (rc)
		return rc;
	return f->full ? HN_ENOMEM : HN_OK;
}

static hn_status init(struct hn_fit *f, struct hn_arena *a, struct marks *m, struct hn_err *err)
{
	const struct hn_train_cfg *c = f->cfg;
	hn_status rc = hn_fit_check_cfg(c, err);

	if (rc)
		return rc;
	f->n_w = c->net->n_weights;
	f->s.lr = (double)c->lr;
	f->micro = c->micro && c->micro < c->batch ? c->micro : c->batch;
	hn_fit_choose(f);
	rc = take_all(f, a, m);
	return rc ? hn_fail(err, rc, "training: %s", hn_status_text(rc)) : HN_OK;
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
	                          .order = dry.peak - m.activations, .total = dry.peak,
	                          .again_macs = hn_run_again_macs(&f.run) };
	return HN_OK;
}

bool hn_train_smaller(struct hn_train_cfg *c)
{
	const uint32_t micro = c->micro && c->micro < c->batch ? c->micro : c->batch;

	if (micro > HN_LANES)
		c->micro = (micro / 2 + HN_LANES - 1) / HN_LANES * HN_LANES;
	else if (!c->recompute)
		c->micro = c->batch;
	else
		return false;
	c->recompute |= micro <= HN_LANES;
	return true;
}

hn_status hn_train_shrink(struct hn_train_cfg *cfg, const struct hn_data *data, size_t budget,
                          size_t *least, struct hn_err *err)
{
	struct hn_train_cfg c = *cfg;
	size_t smallest = SIZE_MAX;

	c.micro = c.batch;
	c.recompute = false;
	do {
		struct hn_plan plan;
		const hn_status rc = hn_fit_plan(&c, data, &plan, err);

		if (rc)
			return rc;
		if (plan.total <= budget) {
			*cfg = c;
			return HN_OK;
		}
		smallest = plan.total < smallest ? plan.total : smallest;
	} while (hn_train_smaller(&c));
	*least = smallest;
	return hn_fail(err, HN_ENOMEM, "training needs %zu bytes at least, %zu are allowed", smallest,
	               budget);
}
