/* From windows to a candidate: plan, fit, quantise. */
#include "trainer_fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "job.h"

enum { FIT_SLACK = 4096, MEASURE_US = 300000, VALID_RECENT_MIN = 30 };

/* --- the plan --------------------------------------------------------------------------------- */

/* Take the fit's own arrays; with a dry arena only their size counts. */
static void take_arrays(struct fit *f, struct hn_arena *a)
{
	const size_t values = values_of(f);

	for (int p = 0; p < HN_PARTS; p++) {
		f->x[p] = hn_arena_take(a, f->n[p] * values * sizeof(float));
		f->y[p] = hn_arena_take(a, f->n[p] * sizeof(int32_t));
	}
	for (int p = HN_TRAIN; p <= HN_VALID; p++)
		f->weight[p] = hn_arena_take(a, f->n[p] * sizeof(float));
	f->folded_w = hn_arena_take(a, f->net.n_weights * sizeof *f->folded_w);
	f->image = hn_arena_take(a, hn_image_need(&f->folded));
	f->blob_cap = hn_image_need(&f->folded) + f->net.n_weights * sizeof(float) + FIT_SLACK;
	f->blob = hn_arena_take(a, f->blob_cap);
	if (f->job->quantise == TRAINER_QAT)
		f->tuned = hn_arena_take(a, f->net.n_weights * sizeof *f->tuned);
	if (f->cfg.update == HN_SPARSE) {
		f->grid = hn_arena_take(a, f->net.n_weights * sizeof *f->grid);
		f->lean = hn_arena_take(a, f->net.n_weights * sizeof *f->lean);
	}
	f->fit_mark = a->used;
}

static struct hn_set set_of(const struct fit *f, enum hn_part p)
{
	return (struct hn_set){ .n = f->n[p], .x = f->x[p],
		.label = hn_tasks[f->job->task].classes ? f->y[p] : NULL,
		.weight = p != HN_HOLDOUT && f->job->recent_share > 0 ? f->weight[p] : NULL };
}

static hn_status fit_need(struct fit *f, const struct hn_data *data, size_t *bytes,
                          struct hn_err *err)
{
	*bytes = 0;
	if (f->cfg.update == HN_SCALER)
		return HN_OK;
	return hn_train_need(&f->cfg, data, bytes, err);
}

static size_t data_bytes(const struct fit *f)
{
	return f->d->cap * (sizeof(struct hn_window) + values_of(f) * sizeof(int32_t)) +
	       (size_t)f->d->n_fresh * f->d->ch * sizeof(int32_t);
}

static bool fits(const struct fit *f)
{
	return f->plan + data_bytes(f) <= (size_t)f->job->memory_max;
}

/* Bytes of the arena with the present micro-batch. */
static hn_status plan_once(struct fit *f, struct hn_err *err)
{
	struct hn_arena dry;
	struct hn_data data;
	size_t train = 0;
	hn_status rc;

	hn_arena_init(&dry, NULL, 0);
	take_arrays(f, &dry);
	data = (struct hn_data){ set_of(f, HN_TRAIN), set_of(f, HN_VALID) };
	f->cfg.grid = f->cfg.start;              /* only its presence is asked for */
	rc = fit_need(f, &data, &train, err);
	if (rc == HN_OK)
		rc = trainer_int8_need(f, &data, &train, err);
	f->plan = dry.used + train;
	return rc;
}

/* The first choice whose plan is within memory_max; else the smallest. */
static hn_status make_plan(struct fit *f, struct hn_err *err)
{
	struct hn_train_cfg least;
	size_t bytes = SIZE_MAX;
	hn_status rc;

	f->cfg.micro = f->cfg.batch;
	do {
		rc = plan_once(f, err);
		if (rc != HN_OK || fits(f))
			return rc;
		if (f->plan < bytes) {
			bytes = f->plan;
			least = f->cfg;
		}
	} while (hn_train_smaller(&f->cfg));
	f->cfg = least;
	return plan_once(f, err);
}

/* Time that recomputing adds, as a share of a step: a step is three times forward. */
static double again_share(struct fit *f)
{
	const struct hn_data data = { set_of(f, HN_TRAIN), set_of(f, HN_VALID) };
	struct hn_plan plan;

	if (!f->cfg.recompute || hn_train_plan(&f->cfg, &data, &plan, NULL) != HN_OK)
		return 0;
	return (double)plan.again_macs / (3.0 * (double)hn_net_macs(&f->net));
}

static hn_status say_plan(struct fit *f, double seconds, struct hn_err *err)
{
	const size_t data = data_bytes(f), total = f->plan + data;
	const uint64_t work = 3 * hn_net_macs(&f->net) * f->n[HN_TRAIN] * (uint64_t)f->job->epochs;

	trainer_say_json(JOB_PLAN, json_pack("{sI sI sI ss si s{si si si} si sI ss ss* si si sb sf so*}",
		"bytes", (json_int_t)total, "arena_bytes", (json_int_t)f->plan, "data_bytes", (json_int_t)data,
		"network", f->job->net, "params", (int)f->net.n_weights,
		"windows", "train", (int)f->n[HN_TRAIN], "valid", (int)f->n[HN_VALID],
		"holdout", (int)f->n[HN_HOLDOUT], "labels", (int)f->d->labels,
		"multiply_adds", (json_int_t)work, "update", hn_update_name(f->cfg.update),
		"not_updated", f->not_updated, "batch", (int)f->cfg.batch,
		"micro_batch", (int)f->cfg.micro, "recompute", (int)f->cfg.recompute,
		"recompute_share", again_share(f),
		"seconds", isfinite(seconds) ? json_real(seconds) : NULL));
	if (!fits(f))
		return hn_fail(err, HN_ENOMEM, "the plan needs %zu bytes at least, train.memory_max allows "
		               "%lld; set it to %zuKB or more, or use a smaller network", total,
		               (long long)f->job->memory_max, total / 1024 + 1);
	return HN_OK;
}

/* --- data ------------------------------------------------------------------------------------- */

void trainer_count(struct fit *f)
{
	memcpy(f->n, f->d->counts, sizeof f->n);
	f->t0_us = INT64_MAX;
	for (uint32_t i = 0; i < f->d->n; i++) {
		const struct hn_window *w = &f->d->w[i];

		if (w->end_us < f->t0_us)
			f->t0_us = w->end_us;
		if (w->end_us > f->t1_us)
			f->t1_us = w->end_us;
	}
}

/* The recent windows of a part together weigh `recent_share` of it, whatever their number: what
 * early stopping looks at is weighed as what is trained.  A handful of recent windows cannot carry
 * that in validation, chance would choose the epoch: then all count alike. */
static void weigh(struct fit *f, enum hn_part part)
{
	double n_recent = 0, n_old = 0, share = f->job->recent_share;
	uint32_t k = 0;

	for (uint32_t i = 0; i < f->d->n; i++)
		if (f->d->w[i].part == part)
			*(f->d->w[i].recent ? &n_recent : &n_old) += 1;
	if (part == HN_VALID && n_recent < VALID_RECENT_MIN)
		share = n_recent / fmax(n_recent + n_old, 1);
	if (n_recent == 0 || n_old == 0)
		share = n_recent == 0 ? 0 : 1;
	for (uint32_t i = 0; i < f->d->n; i++) {
		const struct hn_window *w = &f->d->w[i];
		const double n = n_recent + n_old;

		if (w->part == part)
			f->weight[part][k++] = (float)(w->recent ? share * n / n_recent
			                                         : (1 - share) * n / n_old);
	}
}

static hn_status fit_scaler(struct fit *f, struct hn_err *err)
{
	/* A scaler update follows the new regime alone. */
	const uint32_t n_raw = f->cfg.update == HN_SCALER ? 0 : f->d->n_raw;
	const struct hn_raw raw = { .v = f->d->raw, .n = n_raw, .len = (uint16_t)f->job->window,
	                            .ch = f->d->ch };
	const struct hn_raw fresh = { .v = f->d->fresh, .n = f->d->n_fresh, .len = 1, .ch = f->d->ch };
	float *weight = calloc(f->d->n_raw + 1, sizeof *weight);
	uint32_t k = 0;
	hn_status rc;

	if (!weight)
		return hn_fail(err, HN_ENOMEM, "out of memory");
	for (uint32_t i = 0; i < f->d->n; i++)   /* held-back windows do not shape the scaler */
		if (f->d->w[i].part == HN_TRAIN)
			weight[f->d->w[i].at] = f->weight[HN_TRAIN][k++];
	rc = hn_scaler_fit(&raw, weight, &fresh, &f->scaler);
	free(weight);
	return rc == HN_OK ? rc : hn_fail(err, rc, "scaler: %s", hn_status_text(rc));
}

static void fill(struct fit *f)
{
	const size_t values = values_of(f);
	uint32_t k[HN_PARTS] = { 0 };

	for (uint32_t i = 0; i < f->d->n; i++) {
		const struct hn_window *w = &f->d->w[i];
		const uint32_t j = k[w->part]++;

		hn_scaler_apply(&f->scaler, f->d->raw + w->at * values, (uint16_t)f->job->window,
		                f->x[w->part] + j * values);
		f->y[w->part][j] = w->label;
	}
}

/* --- fit ------------------------------------------------------------------------------------- */

static bool on_epoch(void *ctx, const struct hn_epoch *e)
{
	struct fit *f = ctx;
	const int64_t now = clock_mono_us();

	if (now - f->said_us < 50000 && e->epoch != e->epochs && e->epoch != 1)
		return true;
	f->said_us = now;
	trainer_say_json(JOB_PROGRESS, json_pack("{si si sf sf so* sf sf}", "epoch", (int)e->epoch,
		"epochs", (int)e->epochs, "loss", e->train_loss,
		"valid_loss", isfinite(e->valid_loss) ? e->valid_loss : 0.0,
		"valid_accuracy", !hn_tasks[f->job->task].classes ? NULL
			: json_real(isfinite(e->valid_score) ? e->valid_score : 0.0),
		"gradient_norm", e->grad_norm_max, "rate", e->lr));
	return true;
}

static bool on_step(void *ctx, const struct hn_fit *fit, uint64_t step)
{
	struct fit *f = ctx;

	if (f->job->dry_run) {
		f->measured_steps++;
		return clock_mono_us() < f->measure_until_us;
	}
	trainer_keep_step(f->keep, fit, step);
	return true;
}

static bool on_read(void *ctx, void *bytes, size_t n)
{
	struct fit *f = ctx;

	return trainer_keep_read(f->keep, bytes, n);
}

void trainer_refuse(const char *why)
{
	trainer_say_json(JOB_RESUMED, json_pack("{ss}", "refused", why));
}

static void on_resumed(void *ctx, const struct hn_resume *r)
{
	static const char *const phases[] = { "fit", "search", "int8" };
	const struct fit *f = ctx;

	_Static_assert(sizeof phases / sizeof *phases == PHASES, "one name each");
	if (r->rc != HN_OK)
		trainer_refuse(r->why);
	else
		trainer_say_json(JOB_RESUMED, json_pack("{sI si ss}", "step", (json_int_t)r->step,
		                 "epoch", (int)r->epoch, "phase", phases[f->keep->phase]));
}

struct hn_train_job trainer_hooks(struct fit *f, bool found)
{
	return (struct hn_train_job){ .arena = &f->arena, .ctx = f, .after_step = on_step,
		.resumed = on_resumed, .resume = found ? on_read : NULL };
}

/* Is there a checkpoint of this fit?  Of a later phase: then the fit is done. */
static bool open_checkpoint(struct fit *f, const struct hn_data *data)
{
	static const struct trainer_piece none[TRAINER_PIECES];
	struct trainer_keep *k = f->keep;
	uint8_t digest[32];

	hn_train_digest(&f->cfg, data, digest);
	if (!trainer_keep_match(k, digest))
		trainer_refuse("the checkpoint is of other data, another network or other settings");
	if (k->found == PHASE_INT8 && k->fd >= 0 && f->tuned)
		f->fitted = trainer_int8_found(f);
	return !f->fitted && trainer_keep_begin(k, PHASE_FIT, none);
}

static hn_status fit_weights(struct fit *f, const struct hn_data *data, struct hn_err *err)
{
	struct hn_train_job job;

	if (f->cfg.update == HN_SCALER) {
		f->result = (struct hn_train_result){ .weights = f->champion.weights };
		return HN_OK;
	}
	job = trainer_hooks(f, open_checkpoint(f, data));
	job.cfg = &f->cfg;
	job.data = data;
	job.progress = on_epoch;
	if (f->fitted)
		return HN_OK;
	if (f->cfg.update == HN_SPARSE)
		return trainer_sparse(f, &job, err);
	return hn_train_run(&job, &f->result, err);
}

/* Time of the whole fit, by that of a few steps; an upper bound, since patience may end it. */
static hn_status measure(struct fit *f, const struct hn_data *data, double *seconds,
                         struct hn_err *err)
{
	const struct hn_train_job job = { .cfg = &f->cfg, .data = data, .arena = &f->arena, .ctx = f,
		.after_step = on_step };
	const double per_epoch = ceil((double)f->n[HN_TRAIN] / f->cfg.batch);
	/* validation passes forward only: a third of a step */
	const double valid = (double)f->n[HN_VALID] / (3.0 * f->n[HN_TRAIN]);
	const int64_t start = clock_mono_us();
	hn_status rc;

	*seconds = 0;
	if (f->cfg.update == HN_SCALER)
		return HN_OK;
	if (f->cfg.update == HN_SPARSE)          /* the search steps as a full update does */
		f->cfg.update = HN_FULL;
	f->measure_until_us = start + MEASURE_US;
	rc = hn_train_run(&job, &f->result, err);
	if (rc == HN_OK && f->measured_steps > 0)
		*seconds = (double)(clock_mono_us() - start) * 1e-6 / (double)f->measured_steps *
		           per_epoch * f->cfg.epochs * (1 + valid);
	return rc;
}

/* --- all of it -------------------------------------------------------------------------------- */

static hn_status open_net(struct fit *f, struct hn_err *err)
{
	const struct trainer_job *job = f->job;
	const struct hn_net_io io = { .task = job->task, .in_len = (uint16_t)job->window,
		.in_ch = f->d->ch, .out_n = hn_task_outputs(job->task, job->classes) };
	hn_status rc = hn_net_parse(&f->net, job->net, &io, err);

	if (rc != HN_OK)
		return rc;
	rc = hn_net_fold(&f->net, NULL, &f->folded, NULL, err);
	if (rc == HN_OK)
		rc = hn_image_check(&f->folded, err);
	if (rc != HN_OK)
		return rc;
	hn_train_defaults(&f->cfg, &f->net);
	f->cfg.seed = job->seed;
	f->cfg.lr = (float)job->rate;
	f->cfg.weight_decay = (float)job->weight_decay;
	f->cfg.schedule = (enum hn_schedule)job->schedule;
	f->cfg.smoothing = (float)job->smoothing;
	if (job->loss)
		f->cfg.loss = job->loss;
	f->cfg.optim = job->optim;
	f->cfg.momentum = (float)job->momentum;
	f->cfg.delta = (float)job->delta;
	f->cfg.decay = (float)job->decay;
	f->cfg.decay_epochs = (uint32_t)job->decay_epochs;
	f->cfg.warmup = (uint32_t)job->warmup;
	f->cfg.ema = (float)job->ema;
	f->cfg.clip_norm = (float)job->clip;
	f->cfg.batch = (uint32_t)job->batch;
	f->cfg.epochs = (uint32_t)job->epochs;
	f->cfg.patience = f->n[HN_VALID] ? (uint32_t)job->patience : 0;
	return HN_OK;
}

static hn_status prepare(struct fit *f, struct hn_data *data, struct hn_err *err)
{
	hn_status rc;

	hn_arena_init(&f->arena, f->memory, f->plan);
	take_arrays(f, &f->arena);
	weigh(f, HN_TRAIN);
	weigh(f, HN_VALID);
	rc = fit_scaler(f, err);
	if (rc != HN_OK)
		return rc;
	fill(f);
	*data = (struct hn_data){ set_of(f, HN_TRAIN), set_of(f, HN_VALID) };
	return HN_OK;
}

static hn_status work(struct fit *f, const struct trainer_champion *champion,
                      struct hn_err *err)
{
	const int64_t start = clock_mono_us();
	struct hn_data data;
	double seconds;
	hn_status rc = prepare(f, &data, err);

	if (rc == HN_OK && f->job->dry_run) {
		rc = measure(f, &data, &seconds, err);
		return rc == HN_OK ? say_plan(f, seconds, err) : rc;
	}
	if (rc == HN_OK)
		rc = fit_weights(f, &data, err);
	if (rc == HN_OK)
		rc = trainer_int8(f, &data, err);
	if (rc == HN_OK)
		rc = trainer_compare(f, champion);
	if (rc == HN_OK)
		rc = trainer_version(f, err);
	if (rc != HN_OK)
		return hn_fail(err, rc, "%s", hn_status_text(rc));
	trainer_say(JOB_CANDIDATE, f->blob, f->blob_len);
	trainer_report(f, (double)(clock_mono_us() - start) * 1e-6);
	return HN_OK;
}

static hn_status allocate(struct fit *f, struct hn_err *err)
{
	const size_t round = HN_ARENA_ALIGN - 1;

	f->memory = aligned_alloc(HN_ARENA_ALIGN, (f->plan + round) & ~round);
	return f->memory ? HN_OK : hn_fail(err, HN_ENOMEM, "%zu bytes are not to be had", f->plan);
}

hn_status trainer_fit(const struct trainer_job *job, const struct trainer_data *d,
                      struct trainer_keep *keep, const struct trainer_champion *champion,
                      struct hn_err *err)
{
	struct fit *f = calloc(1, sizeof *f);
	hn_status rc;

	if (!f)
		return hn_fail(err, HN_ENOMEM, "out of memory");
	f->job = job;
	f->d = d;
	f->keep = keep;
	trainer_count(f);
	rc = open_net(f, err);
	if (rc == HN_OK)
		trainer_update(f, champion);
	if (rc == HN_OK)
		rc = make_plan(f, err);
	if (rc == HN_OK && (!job->dry_run || !fits(f)))  /* a dry run says it with the time */
		rc = say_plan(f, (double)NAN, err);
	if (rc == HN_OK)
		rc = allocate(f, err);
	if (rc == HN_OK)
		rc = work(f, champion, err);
	free(f->memory);
	free(f);
	return rc;
}
