#include "trainer.h"

#include <string.h>

static hn_status text(char *to, size_t cap, const char *from, const char *what, struct hn_err *err)
{
	if (!from || strlen(from) >= cap)
		return hn_fail(err, HN_EFORMAT, "job: %s is missing or too long", what);
	memcpy(to, from, strlen(from) + 1);
	return HN_OK;
}

static hn_status read_streams(struct trainer_job *job, const json_t *list, struct hn_err *err)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v) {
		hn_status rc;

		if (job->n_streams == TRAINER_STREAMS_MAX)
			return hn_fail(err, HN_ERANGE, "job: more than %d streams", TRAINER_STREAMS_MAX);
		rc = text(job->stream[job->n_streams++], HN_NAME_MAX, json_string_value(v), "a stream", err);
		if (rc)
			return rc;
	}
	return job->n_streams ? HN_OK : hn_fail(err, HN_EFORMAT, "job: no stream");
}

/* import: { path, scale: [], offset: [] } */
static hn_status read_import(struct trainer_job *job, json_t *o, struct hn_err *err)
{
	json_t *scale = NULL, *offset = NULL;
	const char *path = NULL;

	if (!o)
		return HN_OK;
	if (json_unpack(o, "{ss so so}", "path", &path, "scale", &scale, "offset", &offset) != 0 ||
	    json_array_size(scale) != json_array_size(offset) || json_array_size(scale) > 128)
		return hn_fail(err, HN_EFORMAT, "job: import");
	for (size_t i = 0; i < json_array_size(scale); i++) {
		job->unit_scale[i] = json_number_value(json_array_get(scale, i));
		job->unit_offset[i] = json_number_value(json_array_get(offset, i));
		if (!(job->unit_scale[i] > 0))
			return hn_fail(err, HN_ERANGE, "job: import: scale of channel %zu", i);
	}
	job->n_units = (int)json_array_size(scale);
	return text(job->import, sizeof job->import, path, "import.path", err);
}

static bool fit_in_range(const struct trainer_job *job)
{
	return job->epochs >= 1 && job->patience >= 0 && job->batch >= 1 &&
	       job->batch <= HN_TRAIN_BATCH_MAX && job->rate > 0 && job->schedule >= 0 &&
	       job->schedule < HN_SCHEDULES && job->decay > 0 && job->decay <= 1 &&
	       job->decay_epochs >= 1 && job->warmup >= 0 && job->ema >= 0 && job->ema < 1 &&
	       job->clip >= 0 && job->update >= 0 && job->update < HN_UPDATES &&
	       job->last_layers >= 1 && job->anchor >= 0 && job->wire_max >= 0 &&
	       (job->rounding & ~1) == 0;
}

static bool data_in_range(const struct trainer_job *job)
{
	return job->classes >= 0 && job->classes <= HN_CLASSES_MAX && job->window >= 1 &&
	       job->window <= 4096 && job->hop >= 1 && job->memory_max >= 1 << 16 &&
	       job->holdout >= 0 && job->holdout < 0.9 && job->holdout_recent >= 0 &&
	       job->holdout_recent < 0.9 && job->scaler_frames >= 0 && job->scaler_frames <= 100000 &&
	       job->checkpoint_s >= 0 && job->checkpoint_s < 1e6 && job->recent_share >= 0 &&
	       job->recent_share < 1 && job->windows_max >= 2 &&
	       job->windows_max <= TRAINER_WINDOWS_MAX && job->quantile > 0 && job->quantile < 1;
}

/* The object `train`. */
static hn_status read_train(struct trainer_job *job, json_t *o, struct hn_err *err)
{
	const char *loss = "", *optim = "adamw";
	json_int_t seed = 1, memory = 0, wire = 1024;
	json_error_t je;

	job->decay = 0.5;
	job->decay_epochs = 10;
	job->momentum = 0.9;
	job->delta = 1;
	job->last_layers = 1;
	job->windows_max = 4096;
	job->quantile = 0.995;
	if (json_unpack_ex(o, &je, 0, "{si si si sI sF sF sF sF s?F s?F s?i s?i sI s?F s?i "
		"s?s s?s s?F s?F s?F s?i s?i s?F s?F s?i s?i s?F s?I s?i s?F s?i}",
		"epochs", &job->epochs, "batch", &job->batch, "patience", &job->patience, "seed", &seed,
		"rate", &job->rate, "weight_decay", &job->weight_decay, "smoothing", &job->smoothing,
		"holdout", &job->holdout, "holdout_recent", &job->holdout_recent, "recent_share",
		&job->recent_share, "scaler_frames", &job->scaler_frames, "schedule", &job->schedule,
		"memory_max", &memory, "checkpoint_s", &job->checkpoint_s, "quantise", &job->quantise,
		"loss", &loss, "optimiser", &optim, "momentum", &job->momentum, "delta", &job->delta,
		"decay", &job->decay, "decay_epochs", &job->decay_epochs, "warmup", &job->warmup,
		"ema", &job->ema, "clip", &job->clip, "update", &job->update,
		"last_layers", &job->last_layers, "anchor", &job->anchor, "wire_max", &wire,
		"windows_max", &job->windows_max, "quantile", &job->quantile, "rounding",
		&job->rounding) != 0)
		return hn_fail(err, HN_EFORMAT, "job: train: %s", je.text);
	job->seed = (uint64_t)seed;
	job->memory_max = memory;
	job->wire_max = wire;
	job->loss = hn_loss_find(loss);
	job->optim = hn_optim_find(optim);
	if ((*loss && !job->loss) || !job->optim)
		return hn_fail(err, HN_EFORMAT, "job: unknown loss '%s' or optimiser '%s'", loss, optim);
	return HN_OK;
}

static hn_status check(const struct trainer_job *job, struct hn_err *err)
{
	if (!hn_tasks[job->task].trains)
		return hn_fail(err, HN_EINVAL, "job: task %s cannot be trained yet", hn_task_name(job->task));
	if (!data_in_range(job) || !fit_in_range(job))
		return hn_fail(err, HN_ERANGE, "job: a number is out of range");
	return HN_OK;
}

hn_status trainer_job_read(struct trainer_job *job, FILE *in, struct hn_err *err)
{
	json_error_t je;
	json_t *o = json_loadf(in, JSON_DISABLE_EOF_CHECK, &je), *streams = NULL, *import = NULL;
	json_t *train = NULL;
	const char *model = NULL, *db = NULL, *net = NULL, *task = NULL, *checkpoint = "";
	json_int_t id = 0, now = 0, since = 0, champion = 0;
	int dry = 0;
	hn_status rc;

	if (!o)
		return hn_fail(err, HN_EFORMAT, "job: %s at line %d (one JSON object is expected on stdin)",
		               je.text, je.line);
	if (json_unpack_ex(o, &je, 0, "{sI ss ss sI ss si si si ss so sF s?I sI s?b s?s s?o so}",
		"job", &id, "model", &model, "db", &db, "now_us", &now, "task", &task, "classes", &job->classes,
		"window", &job->window, "hop", &job->hop, "network", &net, "streams", &streams,
		"period_s", &job->period_s, "since_us", &since, "champion", &champion, "dry_run", &dry,
		"checkpoint", &checkpoint, "import", &import, "train", &train) != 0) {
		rc = hn_fail(err, HN_EFORMAT, "job: %s", je.text);
		json_decref(o);
		return rc;
	}
	job->id = id;
	job->now_us = now;
	job->since_us = since;
	job->champion = champion;
	job->dry_run = dry;
	rc = text(job->model, sizeof job->model, model, "model", err);
	if (rc == HN_OK)
		rc = text(job->db, sizeof job->db, db, "db", err);
	if (rc == HN_OK)
		rc = text(job->net, sizeof job->net, net, "network", err);
	if (rc == HN_OK)
		rc = text(job->checkpoint, sizeof job->checkpoint, checkpoint, "checkpoint", err);
	if (rc == HN_OK && hn_task_find(task, &job->task) != HN_OK)
		rc = hn_fail(err, HN_EFORMAT, "job: unknown task '%s'", task);
	if (rc == HN_OK)
		rc = read_streams(job, streams, err);
	if (rc == HN_OK)
		rc = read_import(job, import, err);
	if (rc == HN_OK)
		rc = read_train(job, train, err);
	if (rc == HN_OK)
		rc = check(job, err);
	json_decref(o);
	return rc;
}
