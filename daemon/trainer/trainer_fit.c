/* From windows to a candidate: plan, fit, quantise, compare with the champion on the held-back
 * windows, both as int8 images, exactly as a device runs them. */
#include "trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hd_image.h"
#include "hd_sha256.h"
#include "job.h"
#include "hn_quant.h"
#include "hn_run.h"

enum { FIT_SLACK = 4096, PLAN_BATCH = 256 };

struct fit {
	const struct trainer_job *job;
	const struct trainer_data *d;
	struct hn_net net;
	struct hn_scaler scaler;
	struct hn_train_cfg cfg;
	struct hn_arena arena;
	void *memory;
	size_t plan;                     /* bytes of the arena                                    */
	uint32_t n[HN_PARTS];
	float *x[HN_PARTS];              /* (n, values) scaled                                    */
	int32_t *y[HN_PARTS];
	float *weight;                   /* (n[HN_TRAIN],)                                        */
	uint8_t *image, *blob;
	size_t image_len, blob_len, blob_cap;
	int64_t t0_us, t1_us;
	int confusion[HN_CLASSES_MAX][HN_CLASSES_MAX];
	int float_right, int8_right, majority;
	struct tally { int n, champion, challenger, both; } recent, kept;
	struct hn_train_result result;
	struct hn_agreement agreement;
};

static size_t values_of(const struct fit *f)
{
	return (size_t)f->job->window * f->d->ch;
}

/* --- the plan --------------------------------------------------------------------------------- */

/* Take the fit's own arrays; with a dry arena only their size counts. */
static void take_arrays(struct fit *f, struct hn_arena *a)
{
	const size_t values = values_of(f);

	for (int p = 0; p < HN_PARTS; p++) {
		f->x[p] = hn_arena_take(a, f->n[p] * values * sizeof(float));
		f->y[p] = hn_arena_take(a, f->n[p] * sizeof(int32_t));
	}
	f->weight = hn_arena_take(a, f->n[HN_TRAIN] * sizeof(float));
	f->image = hn_arena_take(a, hn_image_need(&f->net));
	f->blob_cap = hn_image_need(&f->net) + f->net.n_weights * sizeof(float) + FIT_SLACK;
	f->blob = hn_arena_take(a, f->blob_cap);
}

static struct hn_set set_of(const struct fit *f, enum hn_part p)
{
	return (struct hn_set){ .n = f->n[p], .x = f->x[p], .label = f->y[p],
		.weight = p == HN_TRAIN && f->job->recent_share > 0 ? f->weight : NULL };
}

static hn_status make_plan(struct fit *f, struct hn_err *err)
{
	struct hn_arena dry;
	struct hn_run run;
	struct hn_data data;
	size_t train = 0;
	hn_status rc;

	hn_arena_init(&dry, NULL, 0);
	take_arrays(f, &dry);
	data = (struct hn_data){ set_of(f, HN_TRAIN), set_of(f, HN_VALID) };
	rc = hn_train_need(&f->cfg, &data, &train, err);
	if (rc != HN_OK)
		return rc;
	f->plan = dry.used + train;
	/* quantisation and evaluation run batches forward after the fit: two of them at the most */
	hn_arena_init(&dry, NULL, 0);
	rc = hn_run_init(&run, &f->net, PLAN_BATCH, false, &dry);
	if (rc != HN_OK)
		return hn_fail(err, rc, "plan: %s", hn_status_text(rc));
	f->plan += 2 * dry.used + (f->n[HN_TRAIN] + 64u) * sizeof(float);
	return HN_OK;
}

static hn_status say_plan(struct fit *f, struct hn_err *err)
{
	const size_t data = f->d->cap * (sizeof(struct hn_window) + values_of(f) * sizeof(int32_t));
	const size_t total = f->plan + data;
	const uint64_t work = 3 * hn_net_macs(&f->net) * f->n[HN_TRAIN] * (uint64_t)f->job->epochs;

	trainer_say_json(JOB_PLAN, json_pack("{sI sI sI si s{si si si} si sI}", "bytes", (json_int_t)total,
		"arena_bytes", (json_int_t)f->plan, "data_bytes", (json_int_t)data,
		"params", (int)f->net.n_weights,
		"windows", "train", (int)f->n[HN_TRAIN], "valid", (int)f->n[HN_VALID],
		"holdout", (int)f->n[HN_HOLDOUT], "labels", (int)f->d->labels,
		"multiply_adds", (json_int_t)work));
	if ((int64_t)total > f->job->memory_max)
		return hn_fail(err, HN_ENOMEM, "the plan needs %zu bytes, train.memory_max allows %lld; "
		               "set it to %zu KB or more, or use a smaller batch or network", total,
		               (long long)f->job->memory_max, total / 1024 + 1);
	return HN_OK;
}

/* --- data ------------------------------------------------------------------------------------- */

static void count_parts(struct fit *f)
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

/* The recent windows together weigh `recent_share` of all, whatever their number. */
static void weigh(struct fit *f)
{
	double n_recent = 0, n_old = 0, share = f->job->recent_share;
	uint32_t k = 0;

	for (uint32_t i = 0; i < f->d->n; i++)
		if (f->d->w[i].part == HN_TRAIN)
			*(f->d->w[i].recent ? &n_recent : &n_old) += 1;
	if (n_recent == 0 || n_old == 0)
		share = n_recent == 0 ? 0 : 1;
	for (uint32_t i = 0; i < f->d->n; i++) {
		const struct hn_window *w = &f->d->w[i];
		const double n = n_recent + n_old;

		if (w->part == HN_TRAIN)
			f->weight[k++] = (float)(w->recent ? share * n / n_recent : (1 - share) * n / n_old);
	}
}

static hn_status fit_scaler(struct fit *f, struct hn_err *err)
{
	const struct hn_raw raw = { .v = f->d->raw, .n = f->d->n_raw, .len = (uint16_t)f->job->window,
	                            .ch = f->d->ch };
	const struct hn_raw fresh = { .v = f->d->fresh, .n = f->d->n_fresh, .len = 1, .ch = f->d->ch };
	float *weight = calloc(f->d->n_raw + 1, sizeof *weight);
	uint32_t k = 0;
	hn_status rc;

	if (!weight)
		return hn_fail(err, HN_ENOMEM, "out of memory");
	for (uint32_t i = 0; i < f->d->n; i++)   /* held-back windows do not shape the scaler */
		if (f->d->w[i].part == HN_TRAIN)
			weight[f->d->w[i].at] = f->weight[k++];
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

/* --- fit and quantise ------------------------------------------------------------------------- */

static bool on_epoch(void *ctx, const struct hn_epoch *e)
{
	static int64_t last_us;          /* one process, one job */
	const int64_t now = clock_mono_us();

	(void)ctx;
	if (now - last_us < 50000 && e->epoch != e->epochs && e->epoch != 1)
		return true;
	last_us = now;
	trainer_say_json(JOB_PROGRESS, json_pack("{si si sf sf sf sf sf}", "epoch", (int)e->epoch,
		"epochs", (int)e->epochs, "loss", e->train_loss,
		"valid_loss", isfinite(e->valid_loss) ? e->valid_loss : 0.0,
		"valid_accuracy", isfinite(e->valid_score) ? e->valid_score : 0.0,
		"gradient_norm", e->grad_norm_max, "rate", e->lr));
	return true;
}

static hn_status quantise(struct fit *f, struct hn_err *err)
{
	const struct hn_quant_cfg q = { .net = &f->net, .weights = f->result.weights, .scaler = &f->scaler,
	                                .rule = HN_CALIB_MINMAX, .tail = 1e-4 };
	struct hn_calib calib;
	struct hn_model m = { .task = (uint8_t)f->job->task, .in_len = (uint16_t)f->job->window,
		.in_ch = f->d->ch, .out_n = f->net.out_n, .seed = f->job->seed, .scaler = f->scaler,
		.weights = f->result.weights, .n_weights = f->net.n_weights };
	hn_status rc = hn_calibrate(&q, (struct hn_samples){ f->x[HN_TRAIN], f->n[HN_TRAIN] }, &f->arena,
	                            &calib, err);

	if (rc == HN_OK)
		rc = hn_image_write(&q, &calib, (struct hn_bytes){ f->image, hn_image_need(&f->net) },
		                    &f->image_len, err);
	if (rc != HN_OK)
		return hn_fail(err, rc, "quantisation: %s", hn_status_text(rc));
	(void)snprintf(m.net, sizeof m.net, "%s", f->job->net);
	hn_calib_keep(&calib, &f->net, &m);
	m.image = f->image;
	m.image_len = (uint32_t)f->image_len;
	rc = hn_model_write(&m, f->blob, f->blob_cap, &f->blob_len);
	return rc == HN_OK ? rc : hn_fail(err, rc, "version: %s", hn_status_text(rc));
}

/* --- comparison ------------------------------------------------------------------------------- */

struct runner { struct hd_net net; int8_t *in; uint8_t *arena; };

static hn_status runner_open(struct runner *r, const struct fit *f, const uint8_t *image,
                             size_t len)
{
	*r = (struct runner){ .in = NULL };
	if (hd_net_open(&r->net, image, (uint32_t)len) != HD_OK)
		return HN_EFORMAT;
	if (r->net.in_len != f->job->window || r->net.in_ch != f->d->ch || r->net.out_n != f->net.out_n)
		return HN_ESTATE;
	r->in = malloc(values_of(f));
	r->arena = malloc(r->net.arena + 4u);
	return r->in && r->arena ? HN_OK : HN_ENOMEM;
}

static void runner_close(struct runner *r)
{
	free(r->in);
	free(r->arena);
}

static int classify(struct runner *r, const struct fit *f, const struct hn_window *w)
{
	const int32_t *raw = f->d->raw + w->at * values_of(f);
	int8_t out[256];
	uint8_t margin;

	for (size_t i = 0; i < values_of(f); i++)
		r->in[i] = hd_net_scale(&r->net, (uint16_t)(i % f->d->ch), raw[i]);
	hd_net_run(&r->net, r->in, r->arena, out);
	return hd_argmax(out, r->net.out_n, &margin);
}

static void compare_one(struct fit *f, const struct hn_window *w, int mine, int other)
{
	struct tally *t = w->recent ? &f->recent : &f->kept;

	if (w->part == HN_HOLDOUT) {
		f->confusion[w->label][mine]++;
		f->int8_right += mine == w->label;
	}
	t->n++;
	t->challenger += mine == w->label;
	t->champion += other == w->label;
	t->both += mine == w->label && other == w->label;
}

static hn_status compare(struct fit *f, const unsigned char *champion, size_t champion_len)
{
	struct runner mine, other = { .in = NULL };
	struct hn_model m;
	int n_class[HN_CLASSES_MAX] = { 0 };
	bool has = champion && hn_model_read(&m, champion, champion_len, NULL) == HN_OK &&
	           runner_open(&other, f, m.image, m.image_len) == HN_OK;
	hn_status rc = runner_open(&mine, f, f->image, f->image_len);

	for (uint32_t i = 0; rc == HN_OK && i < f->d->n; i++) {
		const struct hn_window *w = &f->d->w[i];

		if (w->part != HN_HOLDOUT && !(w->recent && f->job->holdout_recent == 0))
			continue;
		n_class[w->label] += w->part == HN_HOLDOUT;
		compare_one(f, w, classify(&mine, f, w), has ? classify(&other, f, w) : -1);
	}
	for (int c = 0; c < HN_CLASSES_MAX; c++)
		if (n_class[c] > f->majority)
			f->majority = n_class[c];
	runner_close(&mine);
	runner_close(&other);
	return rc;
}

static hn_status count_float(struct fit *f)
{
	const struct hn_predict p = { .net = &f->net, .weights = f->result.weights };
	const uint16_t k = f->net.out_n;
	float *out = malloc(((size_t)f->n[HN_HOLDOUT] * k + 1) * sizeof *out);
	hn_status rc = out ? HN_OK : HN_ENOMEM;

	if (rc == HN_OK && f->n[HN_HOLDOUT] > 0)
		rc = hn_predict(&p, f->x[HN_HOLDOUT], f->n[HN_HOLDOUT], out, &f->arena);
	for (uint32_t i = 0; rc == HN_OK && i < f->n[HN_HOLDOUT]; i++) {
		uint16_t best = 0;

		for (uint16_t c = 1; c < k; c++)
			if (out[(size_t)i * k + c] > out[(size_t)i * k + best])
				best = c;
		f->float_right += best == f->y[HN_HOLDOUT][i];
	}
	free(out);
	return rc;
}

/* --- report ----------------------------------------------------------------------------------- */

/* Which labels made it: SHA-256 over (stream, end, class) of all windows, first 16 hex digits. */
static void label_hash(const struct fit *f, char out[17])
{
	struct hd_sha256 s;
	uint8_t digest[32];

	hd_sha256_init(&s);
	for (uint32_t i = 0; i < f->d->n; i++) {
		uint8_t b[16];

		hd_put32(b, (uint32_t)f->d->w[i].stream);
		hd_put32(b + 4, (uint32_t)f->d->w[i].label);
		hd_put32(b + 8, (uint32_t)f->d->w[i].end_us);
		hd_put32(b + 12, (uint32_t)((uint64_t)f->d->w[i].end_us >> 32));
		hd_sha256_add(&s, b, sizeof b);
	}
	hd_sha256_end(&s, digest);
	for (int i = 0; i < 8; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static json_t *tally_json(const struct tally *t)
{
	return json_pack("{si si si si}", "n", t->n, "champion", t->champion, "challenger", t->challenger,
	                 "both", t->both);
}

static json_t *confusion_json(const struct fit *f)
{
	json_t *rows = json_array();

	for (int t = 0; t < f->job->classes; t++) {
		json_t *row = json_array();

		for (int p = 0; p < f->job->classes; p++)
			json_array_append_new(row, json_integer(f->confusion[t][p]));
		json_array_append_new(rows, row);
	}
	return rows;
}

static void say_report(const struct fit *f, double seconds)
{
	char hash[17];

	label_hash(f, hash);
	trainer_say_json(JOB_REPORT, json_pack("{s{so so} sb si si si so s{si si si si si} "
		"si ss sI sI sI sI si si sf sf sf sf sI}",
		"sets", "recent", tally_json(&f->recent), "kept", tally_json(&f->kept),
		"recent_trained", (int)(f->job->holdout_recent == 0),
		"float_right", f->float_right, "int8_right", f->int8_right, "majority", f->majority,
		"confusion", confusion_json(f), "windows", "train", (int)f->n[HN_TRAIN], "valid",
		(int)f->n[HN_VALID], "holdout", (int)f->n[HN_HOLDOUT], "refused", (int)f->d->refused,
		"over", (int)f->d->over, "labels", (int)f->d->labels, "label_hash", hash,
		"t0_us", (json_int_t)f->t0_us, "t1_us", (json_int_t)f->t1_us, "plan_bytes", (json_int_t)f->plan,
		"peak_bytes", (json_int_t)f->arena.peak, "epochs", (int)f->result.epochs,
		"best_epoch", (int)f->result.best_epoch, "loss", f->result.train_loss,
		"valid_loss", isfinite(f->result.valid_loss) ? f->result.valid_loss : 0.0,
		"gradient_norm", f->result.grad_norm_max, "seconds", seconds, "seed", (json_int_t)f->job->seed));
}

/* --- all of it -------------------------------------------------------------------------------- */

static hn_status open_net(struct fit *f, struct hn_err *err)
{
	const struct trainer_job *job = f->job;
	const struct hn_net_io io = { .task = job->task, .in_len = (uint16_t)job->window,
		.in_ch = f->d->ch, .out_n = (uint16_t)job->classes };
	hn_status rc = hn_net_parse(&f->net, job->net, &io, err);

	if (rc != HN_OK)
		return rc;
	if (hn_image_need(&f->net) == 0)
		return hn_fail(err, HN_EINVAL, "network '%s' has a layer without an int8 form", job->net);
	hn_train_defaults(&f->cfg, &f->net);
	f->cfg.seed = job->seed;
	f->cfg.lr = (float)job->rate;
	f->cfg.weight_decay = (float)job->weight_decay;
	f->cfg.schedule = (enum hn_schedule)job->schedule;
	f->cfg.smoothing = (float)job->smoothing;
	f->cfg.batch = (uint32_t)job->batch;
	f->cfg.epochs = (uint32_t)job->epochs;
	f->cfg.patience = f->n[HN_VALID] ? (uint32_t)job->patience : 0;
	return HN_OK;
}

static hn_status work(struct fit *f, const unsigned char *champion, size_t champion_len,
                      struct hn_err *err)
{
	const int64_t start = clock_mono_us();
	struct hn_data data;
	struct hn_train_job tj = { .cfg = &f->cfg, .data = &data, .arena = &f->arena,
		.progress = on_epoch };
	hn_status rc;

	hn_arena_init(&f->arena, f->memory, f->plan);
	take_arrays(f, &f->arena);
	weigh(f);
	rc = fit_scaler(f, err);
	if (rc != HN_OK)
		return rc;
	fill(f);
	data = (struct hn_data){ set_of(f, HN_TRAIN), set_of(f, HN_VALID) };
	rc = hn_train_run(&tj, &f->result, err);
	if (rc == HN_OK)
		rc = quantise(f, err);
	if (rc == HN_OK)
		rc = compare(f, champion, champion_len);
	if (rc == HN_OK)
		rc = count_float(f);
	if (rc != HN_OK)
		return hn_fail(err, rc, "%s", hn_status_text(rc));
	trainer_say(JOB_CANDIDATE, f->blob, f->blob_len);
	say_report(f, (double)(clock_mono_us() - start) * 1e-6);
	return HN_OK;
}

hn_status trainer_fit(const struct trainer_job *job, const struct trainer_data *d,
                      const unsigned char *champion, size_t champion_len, struct hn_err *err)
{
	struct fit *f = calloc(1, sizeof *f);
	hn_status rc;

	if (!f)
		return hn_fail(err, HN_ENOMEM, "out of memory");
	f->job = job;
	f->d = d;
	count_parts(f);
	rc = open_net(f, err);
	if (rc == HN_OK)
		rc = make_plan(f, err);
	if (rc == HN_OK)
		rc = say_plan(f, err);
	if (rc == HN_OK && !job->dry_run) {
		f->memory = aligned_alloc(HN_ARENA_ALIGN, (f->plan + HN_ARENA_ALIGN - 1) / HN_ARENA_ALIGN *
		                          HN_ARENA_ALIGN);
		rc = f->memory ? work(f, champion, champion_len, err)
		               : hn_fail(err, HN_ENOMEM, "%zu bytes are not to be had", f->plan);
		free(f->memory);
	}
	free(f);
	return rc;
}
