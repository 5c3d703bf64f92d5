#include "hn_train.h"

#include <math.h>
#include <string.h>
#include "hn_fit.h"

void hn_train_defaults(struct hn_train_cfg *cfg, const struct hn_net *net)
{
	*cfg = (struct hn_train_cfg){
		.net = net, .loss = hn_loss_of(net->task), .optim = hn_optim_find("adam"), .seed = 1,
		.lr = 1e-3f, .min_delta = 1e-4f, .batch = 32, .epochs = 100, .patience = 10 };
}

hn_status hn_train_plan(const struct hn_train_cfg *cfg, const struct hn_data *data,
                        struct hn_plan *plan, struct hn_err *err)
{
	return hn_fit_plan(cfg, data, plan, err);
}

hn_status hn_train_need(const struct hn_train_cfg *cfg, const struct hn_data *data, size_t *bytes,
                        struct hn_err *err)
{
	struct hn_plan plan;
	const hn_status rc = hn_fit_plan(cfg, data, &plan, err);

	if (!rc)
		*bytes = plan.total;
	return rc;
}

/* Fisher-Yates.  Two indices from one draw by multiplication; their bias is below n / 2^32. */
static void shuffle(struct hn_fit *f)
{
	uint64_t bits = 0;

	for (uint32_t i = f->data->train.n; i > 1; i--) {
		uint32_t j, t;

		bits = i & 1 ? bits >> 32 : hn_rng_u64(&f->rng);
		j = (uint32_t)((bits & UINT32_MAX) * i >> 32);
		t = f->order[i - 1];
		f->order[i - 1] = f->order[j];
		f->order[j] = t;
	}
}

static void copy(float *to, const float *from, size_t n)
{
	memcpy(to, from, n * sizeof *to);
}

static void save(struct hn_fit *f)
{
	copy(f->safe, f->w, f->n_w);
	copy(f->safe_state, f->state, f->n_w * f->cfg->optim->n_state);
	f->safe_step = f->step;
}

static void roll_back(struct hn_fit *f)
{
	copy(f->w, f->safe, f->n_w);
	copy(f->state, f->safe_state, f->n_w * f->cfg->optim->n_state);
	f->step = f->safe_step;
	f->lr /= 2;
}

/* One epoch that ends with finite numbers: retried from its start at half the rate. */
static hn_status safe_epoch(struct hn_fit *f, struct hn_epoch *e, struct hn_err *err)
{
	const bool held = f->data->valid.n > 0;

	save(f);
	if (!f->cfg->in_order)
		shuffle(f);
	for (;;) {
		struct hn_score s = { (double)NAN, (double)NAN };

		e->train_loss = hn_fit_epoch(f);
		if (held && isfinite(e->train_loss))
			s = hn_fit_score(f, f->w, &f->data->valid);
		e->valid_loss = s.loss;
		e->valid_score = s.accuracy;
		if (isfinite(e->train_loss) && (!held || isfinite(s.loss)))
			break;
		if (e->rollbacks == HN_TRAIN_TRIES_MAX)
			return hn_fit_blame(f, err);
		roll_back(f);
		e->rollbacks++;
	}
	e->lr = f->lr;
	e->grad_norm_max = f->norm_max;
	return HN_OK;
}

/* The weights of this epoch are the best so far. */
static void keep(struct hn_fit *f, const struct hn_epoch *e, struct hn_train_result *r)
{
	copy(f->best, f->w, f->n_w);
	r->best_epoch = e->epoch;
	r->train_loss = e->train_loss;
	r->valid_loss = e->valid_loss;
	r->valid_score = e->valid_score;
}

static void begin(struct hn_fit *f, struct hn_train_result *r)
{
	const struct hn_train_cfg *c = f->cfg;
	struct hn_score s = { (double)NAN, (double)NAN };

	if (c->start)
		copy(f->w, c->start, f->n_w);
	else
		hn_net_init(c->net, c->seed, f->w);
	hn_rng_seed(&f->rng, c->seed ^ 0x6f72646572u);   /* "order": apart from the weights' draws */
	for (uint32_t i = 0; i < f->data->train.n; i++)
		f->order[i] = i;
	if (f->data->valid.n)
		s = hn_fit_score(f, f->w, &f->data->valid);
	/* The starting point is the one to beat: a champion may already be the best there is. */
	keep(f, &(struct hn_epoch){ .train_loss = (double)NAN, .valid_loss = s.loss,
	                            .valid_score = s.accuracy }, r);
	if (!isfinite(r->valid_loss))
		r->valid_loss = (double)INFINITY;
}

static hn_status loop(struct hn_fit *f, const struct hn_train_job *job, struct hn_train_result *r,
                      struct hn_err *err)
{
	const struct hn_train_cfg *c = f->cfg;
	struct hn_epoch e = { .epochs = c->epochs };
	const bool held = f->data->valid.n > 0;

	r->stop = HN_STOP_EPOCHS;
	while (e.epoch < c->epochs) {
		hn_status rc;

		e.epoch++;
		rc = safe_epoch(f, &e, err);
		if (rc)
			return rc;
		if (!held || e.valid_loss < r->valid_loss - (double)c->min_delta)
			keep(f, &e, r);
		e.best_epoch = r->best_epoch;
		if (job->progress && !job->progress(job->ctx, &e)) {
			r->stop = HN_STOP_ABORT;
			break;
		}
		if (held && c->patience && e.epoch - r->best_epoch >= c->patience) {
			r->stop = HN_STOP_PATIENCE;
			break;
		}
	}
	r->epochs = e.epoch;
	r->rollbacks = e.rollbacks;
	return HN_OK;
}

hn_status hn_train_run(const struct hn_train_job *job, struct hn_train_result *res,
                       struct hn_err *err)
{
	struct hn_train_result r = { 0 };
	const size_t mark = job->arena->used;
	struct hn_fit f;
	hn_status rc;

	rc = hn_fit_init(&f, job->cfg, job->data, job->arena, err);
	if (!rc)
		rc = hn_fit_check(job->cfg, job->data, err);
	if (rc)
		goto out;
	begin(&f, &r);
	rc = loop(&f, job, &r, err);
	if (rc)
		goto out;
	r.weights = f.best;
	r.steps = f.step;
	r.samples = f.samples;
	r.grad_norm_max = f.norm_max;
	r.lr = f.lr;
	*res = r;
out:
	if (rc)
		hn_arena_reset(job->arena, mark);
	return rc;
}

hn_status hn_evaluate(const struct hn_train_cfg *cfg, const float *weights,
                      const struct hn_set *set, struct hn_arena *arena, struct hn_score *score)
{
	const struct hn_data data = { .train = *set };
	const size_t mark = arena->used;
	struct hn_fit f;
	hn_status rc;

	if (set->n == 0)
		return HN_EDATA;
	rc = hn_fit_init(&f, cfg, &data, arena, NULL);
	if (!rc && !hn_arena_dry(arena))
		*score = hn_fit_score(&f, weights, set);
	hn_arena_reset(arena, mark);
	return rc;
}
