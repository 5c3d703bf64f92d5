#include "hn_train.h"

#include <math.h>
#include <string.h>
#include "hn_fit.h"

void hn_train_defaults(struct hn_train_cfg *cfg, const struct hn_net *net)
{
	*cfg = (struct hn_train_cfg){
		.net = net, .loss = hn_loss_of(net->task), .optim = hn_optim_find("adamw"), .seed = 1,
		.lr = 1e-3f, .decay = 0.5f, .decay_epochs = 10, .momentum = 0.9f, .delta = 1.0f,
		.min_delta = 1e-4f, .batch = 32, .epochs = 100, .patience = 10, .last_layers = 1 };
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

/* Fisher-Yates from the order of the data.  Two indices from one draw by multiplication; their bias
 * is below n / 2^32. */
static void shuffle(struct hn_fit *f)
{
	struct hn_rng rng = f->s.rng;
	uint64_t bits = 0;

	for (uint32_t i = 0; i < f->data->train.n; i++)
		f->order[i] = i;
	for (uint32_t i = f->data->train.n; i > 1 && !f->cfg->in_order; i--) {
		uint32_t j, t;

		bits = i & 1 ? bits >> 32 : hn_rng_u64(&rng);
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
	if (f->ema)
		copy(f->safe_ema, f->ema, f->n_w);
	f->s.safe_step = f->s.step;
}

/* To the start of the epoch. */
static void rewind_epoch(struct hn_fit *f)
{
	f->s.at = 0;
	f->s.loss_sum = f->s.weight_sum = 0;
	f->s.watched = 0;
	memset(f->s.grad_sum, 0, sizeof f->s.grad_sum);
	memset(f->s.ratio_sum, 0, sizeof f->s.ratio_sum);
	memset(f->alive, 0, hn_fit_units(f->cfg->net) * sizeof *f->alive);
	hn_fit_count_silent(f);
}

static void roll_back(struct hn_fit *f)
{
	copy(f->w, f->safe, f->n_w);
	copy(f->state, f->safe_state, f->n_w * f->cfg->optim->n_state);
	if (f->ema)
		copy(f->ema, f->safe_ema, f->n_w);
	f->s.step = f->s.safe_step;
	f->s.lr /= 2;
	f->s.rollbacks++;
	rewind_epoch(f);
}

static void next_epoch(struct hn_fit *f)
{
	f->s.epoch++;
	hn_rng_seed(&f->s.rng, f->cfg->seed ^ 0x6f72646572u ^ (uint64_t)f->s.epoch << 40);
	rewind_epoch(f);
	save(f);
	shuffle(f);
}

/* The rest of the epoch, to finite numbers: retried from its start at half the rate. */
static hn_status safe_epoch(struct hn_fit *f, struct hn_epoch *e, struct hn_err *err)
{
	const bool held = f->data->valid.n > 0;

	for (;;) {
		struct hn_score s = { (double)NAN, (double)NAN };
		bool finite = hn_fit_epoch(f);

		if (f->left)
			return HN_OK;
		e->train_loss = f->s.loss_sum / f->s.weight_sum;
		if (held && finite)
			s = hn_fit_score(f, hn_fit_weights(f), &f->data->valid);
		e->valid_loss = s.loss;
		e->valid_score = s.accuracy;
		if (finite && isfinite(e->train_loss) && (!held || isfinite(s.loss)))
			break;
		if (f->s.rollbacks == HN_TRAIN_TRIES_MAX)
			return hn_fit_blame(f, err);
		roll_back(f);
	}
	hn_fit_judge(f);
	hn_fit_watch_plateau(f, held ? e->valid_loss : e->train_loss);
	e->epoch = f->s.epoch;
	e->health = &f->health;
	e->rollbacks = f->s.rollbacks;
	e->lr = hn_fit_rate(f);
	e->grad_norm_max = f->s.norm_max;
	return HN_OK;
}

/* The weights of this epoch are the best so far. */
static void keep(struct hn_fit *f, const struct hn_epoch *e)
{
	copy(f->best, hn_fit_weights(f), f->n_w);
	f->s.best_epoch = e->epoch;
	f->s.train_loss = e->train_loss;
	f->s.valid_loss = e->valid_loss;
	f->s.valid_score = e->valid_score;
}

static void begin(struct hn_fit *f)
{
	const struct hn_train_cfg *c = f->cfg;
	struct hn_score s = { (double)INFINITY, (double)NAN };

	f->s = (struct hn_stand){ .lr = (double)c->lr, .plateau_best = (double)INFINITY };
	memset(f->state, 0, f->n_w * c->optim->n_state * sizeof *f->state);
	if (c->start)
		copy(f->w, c->start, f->n_w);
	else
		hn_net_init(c->net, c->seed, f->w);
	if (f->ema)
		copy(f->ema, f->w, f->n_w);
	if (f->data->valid.n)
		s = hn_fit_score(f, f->w, &f->data->valid);
	/* The starting point is the one to beat: a champion may already be the best there is. */
	keep(f, &(struct hn_epoch){ .train_loss = (double)NAN, .valid_score = s.accuracy,
	     .valid_loss = isfinite(s.loss) ? s.loss : (double)INFINITY });
}

/* From the checkpoint if there is one that fits, else from the start. */
static void begin_or_resume(struct hn_fit *f)
{
	const struct hn_train_job *job = f->job;
	struct hn_err err = { HN_OK, "" };
	hn_status rc = HN_ENOENT;

	if (job->resume || job->after_step)
		hn_fit_digest(f);
	if (job->resume)
		rc = hn_checkpoint_read(f, job->resume, job->ctx, &err);
	if (rc == HN_OK)
		shuffle(f);
	else
		begin(f);
	hn_fit_count_silent(f);
	if (job->resume && job->resumed)
		job->resumed(job->ctx, &(struct hn_resume){ rc, f->s.step, f->s.epoch, err.text });
}

/* One epoch; *stop is set when it was the last. */
static hn_status one_epoch(struct hn_fit *f, bool *stop, enum hn_stop *why, struct hn_err *err)
{
	const struct hn_train_cfg *c = f->cfg;
	const bool held = f->data->valid.n > 0;
	struct hn_epoch e = { .epochs = c->epochs };
	hn_status rc = safe_epoch(f, &e, err);

	*stop = f->left;
	*why = HN_STOP_ABORT;
	if (rc || f->left)
		return rc;
	if (!held || e.valid_loss < f->s.valid_loss - (double)c->min_delta)
		keep(f, &e);
	e.best_epoch = f->s.best_epoch;
	*stop = f->job->progress && !f->job->progress(f->job->ctx, &e);
	if (!*stop && held && c->patience && e.epoch - f->s.best_epoch >= c->patience) {
		*stop = true;
		*why = HN_STOP_PATIENCE;
	}
	return HN_OK;
}

static hn_status loop(struct hn_fit *f, enum hn_stop *why, struct hn_err *err)
{
	hn_status rc = HN_OK;
	bool stop = false;

	if (f->s.epoch == 0)
		next_epoch(f);
	for (;;) {
		rc = one_epoch(f, &stop, why, err);
		if (rc || stop)
			return rc;
		if (f->s.epoch == f->cfg->epochs)
			break;
		next_epoch(f);
	}
	*why = HN_STOP_EPOCHS;
	return HN_OK;
}

hn_status hn_train_run(const struct hn_train_job *job, struct hn_train_result *res,
                       struct hn_err *err)
{
	const size_t mark = job->arena->used;
	enum hn_stop stop = HN_STOP_EPOCHS;
	struct hn_fit f;
	hn_status rc;

	rc = hn_fit_init(&f, job->cfg, job->data, job->arena, err);
	if (!rc)
		rc = hn_fit_check(job->cfg, job->data, err);
	if (rc)
		goto out;
	f.job = job;
	begin_or_resume(&f);
	rc = loop(&f, &stop, err);
	if (rc)
		goto out;
	*res = (struct hn_train_result){ .weights = f.best, .stop = stop, .epochs = f.s.epoch,
		.best_epoch = f.s.best_epoch, .rollbacks = f.s.rollbacks, .steps = f.s.step,
		.samples = f.s.samples, .train_loss = f.s.train_loss, .valid_loss = f.s.valid_loss,
		.valid_score = f.s.valid_score, .grad_norm_max = f.s.norm_max, .lr = f.s.lr,
		.health = f.health };
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
