/* t_api.h - a loop's answers without the loop: what the API and honectl are tested against.
 *
 * One model "pump-state" (a job of it runs until it is promoted), one device, one stream; "busy" is
 * a model that always has a job, "fresh" one without a version. */
#ifndef T_API_H
#define T_API_H

#include <stdlib.h>
#include <string.h>
#include "api.h"

struct t_api {
	struct journal *journal;
	bool stopping;
	int epoch, n_labels, n_cancelled;
	int64_t job;                     /* newest one                                         */
	bool dry_run, ended;
	char actor[HN_NAME_MAX], reason[256], last_label[64], who[HN_NAME_MAX];
	int64_t t0_us, t1_us;
	size_t n_imported;
};

static inline bool t_ready(void *ctx, const char **why)
{
	const struct t_api *t = ctx;

	*why = t->stopping ? "stopping" : "ok";
	return !t->stopping;
}

static inline json_t *t_version(int n, int64_t job, const char *state)
{
	return json_pack("{sI si ss ss sI sI ss ss ss sI s{s{sf sf}}}", "id", (json_int_t)n + 10,
		"number", n,
		"state", state, "digest", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		"parent", (json_int_t)(n > 1 ? n + 9 : 0), "job", (json_int_t)job, "created",
		"2026-11-22T13:05:07.000000Z", "who", "hone-train", "why", "trained", "bytes", (json_int_t)2048,
		"report", "gate", "champion", 0.71, "challenger", 0.94);
}

static inline json_t *t_model(void *ctx, const char *name)
{
	const struct t_api *t = ctx;
	json_t *o;

	if (strcmp(name, "pump-state") != 0 && strcmp(name, "busy") != 0)
		return NULL;
	o = json_pack("{ss ss ss si si so}", "name", name, "stream", "vibration", "network",
		"dense 16, relu, dense 3", "window", 32, "hop", 16, "champion", t_version(2, t->job, "champion"));
	json_object_set_new(o, "versions", json_pack("[oo]",
		t_version(2, t->job, "champion"), t_version(1, 0, "retired")));
	json_object_set_new(o, "monitor", json_pack("{ss si}", "state", "watching", "judged", 12));
	json_object_set_new(o, "loop", json_pack("{sb sb sb sI si si si si}", "training", 0, "rollout", 0,
		"probation", 1, "episode", (json_int_t)0, "labels_new", 3, "labels_asked", 20, "judged", 12,
		"right", 11));
	return o;
}

static inline json_t *t_models(void *ctx)
{
	return json_pack("[oo]", t_model(ctx, "pump-state"), t_model(ctx, "busy"));
}

/* Each look is one epoch further; after three the job has ended and was promoted. */
static inline json_t *t_job(void *ctx, int64_t id)
{
	struct t_api *t = ctx;
	json_t *o;

	if (id < 1 || id > t->job)
		return NULL;
	if (t->epoch < 3)
		t->epoch++;
	else
		t->ended = true;
	o = json_pack("{sI ss ss ss ss sb ss}", "id", (json_int_t)id, "model", "pump-state", "state",
		t->ended ? t->n_cancelled ? "failed" : "done" : "running", "reason", t->reason, "actor", t->actor,
		"dry_run", (int)t->dry_run, "created", "2026-11-22T13:05:07.000000Z");
	json_object_set_new(o, "plan", json_pack("{sI si s{si si si} si}", "bytes", (json_int_t)123456,
		"params", 979, "windows", "train", 120, "valid", 20, "holdout", 40, "labels", 40));
	json_object_set_new(o, "progress", json_pack("{si si sf sf sf}", "epoch", t->epoch, "epochs", 3,
		"loss", 1.0 / t->epoch, "valid_loss", 1.1 / t->epoch, "valid_accuracy", 0.5 + 0.15 * t->epoch));
	if (t->ended && t->n_cancelled)
		json_object_set_new(o, "error", json_string("cancelled"));
	else if (t->ended && !t->dry_run)
		json_object_set_new(o, "outcome",
			json_string(strcmp(t->reason, "reject me") ? "promoted" : "rejected"));
	return o;
}

static inline json_t *t_jobs(void *ctx)
{
	struct t_api *t = ctx;

	return t->job ? json_pack("[o]", t_job(ctx, t->job)) : json_array();
}

static inline json_t *t_devices(void *ctx)
{
	(void)ctx;
	return json_pack("[{ss ss ss sb ss sI ss sI sI sI sf ss}]", "name", "pump-1",
		"uid", "00a1b2c3d4e5f607", "model", "pump-state", "online", 1, "phase", "ready",
		"active_version", (json_int_t)2, "digest", "0011223344556677", "due", (json_int_t)500,
		"missed", (json_int_t)0, "bytes_sent", (json_int_t)4096, "swap_s", 0.42,
		"seen", "2026-11-22T13:05:07.000000Z");
}

static inline json_t *t_history(void *ctx, const char *device)
{
	(void)ctx;
	if (strcmp(device, "other") == 0)
		return NULL;
	return json_pack("[{sI si ss si ss ss}]", "rollout", (json_int_t)4, "number", 2, "state",
		"confirmed", "attempts", 1, "started", "2026-11-22T13:05:07.000000Z", "ended",
		"2026-11-22T13:05:09.000000Z");
}

static inline json_t *t_rollouts(void *ctx)
{
	(void)ctx;
	return json_pack("[{sI ss sI si ss ss s{ss} so si}]", "id", (json_int_t)4, "model", "pump-state",
		"version", (json_int_t)12, "number", 2, "state", "done",
		"reason", "promoted by the gate", "devices", "pump-1", "confirmed", "eta_s", json_null(),
		"asleep", 0);
}

static inline json_t *t_streams(void *ctx)
{
	(void)ctx;
	return json_pack("{sI sI si sf sb s[{ss sI sI sf ss}]}", "durable", (json_int_t)1000, "waiting",
		(json_int_t)5, "queued_operations", 1, "bytes", 65536.0, "damaged", 0, "streams", "name",
		"vibration", "frames", (json_int_t)1000, "refused", (json_int_t)0, "rate_hz", 50.0, "last_event",
		"2026-11-22T13:05:07.000000Z");
}

static inline json_t *t_sources(void *ctx)
{
	(void)ctx;
	return json_pack("[{ss ss ss sI sI sI s{si}}]", "name", "pump", "type", "link", "state", "up",
		"frames", (json_int_t)1000, "bytes", (json_int_t)20000, "dropped", (json_int_t)0,
		"refused", "crc", 2);
}

static inline json_t *t_requests(void *ctx)
{
	(void)ctx;
	return json_pack("[{sI ss ss sI ss ss}]", "id", (json_int_t)1, "model", "pump-state",
		"stream", "vibration", "t_us", (json_int_t)1795352707000000, "t", "2026-11-22T13:05:07.000000Z",
		"why", "low margin");
}

static inline json_t *t_status(void *ctx)
{
	return json_pack("{ss ss ss sf sI si so so so so}", "version", HONED_VERSION, "summary",
		"2 models, 0 with an open drift episode, 0 training", "time", "2026-11-22T13:05:07.000000Z",
		"uptime_s", 3725.5, "rss_bytes", (json_int_t)9000000, "db_backlog", 0, "models", t_models(ctx),
		"devices", t_devices(ctx), "streams", t_streams(ctx), "sources", t_sources(ctx));
}

static inline hn_status t_retrain(void *ctx, const char *model, const char *actor,
                                  const char *reason,
                                  bool dry_run, int64_t *job, struct hn_err *err)
{
	struct t_api *t = ctx;

	if (strcmp(model, "busy") == 0)
		return hn_fail(err, HN_EBUSY, "a job of model 'busy' is queued or running; see honectl jobs");
	if (strcmp(model, "pump-state") != 0)
		return hn_fail(err, HN_ENOENT, "no model '%s'; see honectl models", model);
	(void)snprintf(t->actor, sizeof t->actor, "%s", actor);
	(void)snprintf(t->reason, sizeof t->reason, "%s", reason);
	t->dry_run = dry_run;
	t->ended = false;
	t->epoch = t->n_cancelled = 0;
	*job = ++t->job;
	(void)journal_add(t->journal, (struct journal_entry){ .kind = "job_started", .model = model,
		.job = *job, .actor = actor, .reason = reason });
	return HN_OK;
}

static inline hn_status t_cancel(void *ctx, int64_t job, struct hn_err *err)
{
	struct t_api *t = ctx;

	if (job < 1 || job > t->job)
		return hn_fail(err, HN_ENOENT, "no job %lld", (long long)job);
	if (t->ended)
		return hn_fail(err, HN_ESTATE, "job %lld has ended", (long long)job);
	t->ended = true;
	t->n_cancelled++;
	return HN_OK;
}

static inline hn_status t_import(void *ctx, const char *model, const struct api_net_file *f,
                                 int64_t *job, struct hn_err *err)
{
	struct t_api *t = ctx;

	if (strcmp(model, "pump-state") != 0)
		return hn_fail(err, HN_ENOENT, "no model '%s'; see honectl models", model);
	(void)snprintf(t->actor, sizeof t->actor, "%s", f->actor);
	(void)snprintf(t->reason, sizeof t->reason, "%s", f->reason);
	t->n_imported = f->len;
	*job = 99;               /* one that nobody asks about */
	return HN_OK;
}

static inline hn_status t_blob(void *ctx, int64_t version, const unsigned char **bytes, size_t *len,
                               struct hn_err *err)
{
	(void)ctx;
	if (version != 1 && version != 11)
		return hn_fail(err, HN_ENOENT, "no version %lld", (long long)version);
	*bytes = (const unsigned char *)"\0bytes";
	*len = 6;
	return HN_OK;
}

static inline hn_status t_rollback(void *ctx, const char *model, const char *actor,
                                   const char *reason, int64_t *version, struct hn_err *err)
{
	struct t_api *t = ctx;

	if (strcmp(model, "busy") == 0)
		return hn_fail(err, HN_ESTATE, "model 'busy' has no earlier version to go back to");
	if (strcmp(model, "pump-state") != 0)
		return hn_fail(err, HN_ENOENT, "no model '%s'; see honectl models", model);
	(void)snprintf(t->actor, sizeof t->actor, "%s", actor);
	(void)snprintf(t->reason, sizeof t->reason, "%s", reason);
	*version = 11;
	return HN_OK;
}

static inline hn_status t_pull(void *ctx, const char *device, int windows, const char *actor,
                               struct hn_err *err)
{
	(void)ctx;
	(void)actor;
	if (strcmp(device, "busy") == 0)
		return hn_fail(err, HN_ESTATE, "device 'busy' does not answer");
	return windows <= 500 ? HN_OK : hn_fail(err, HN_ENOENT, "no device '%s'", device);
}

static inline hn_status t_rollout(void *ctx, const char *model, const char *verb,
                                  const char *actor, struct hn_err *err)
{
	struct t_api *t = ctx;

	if (strcmp(model, "busy") == 0)
		return hn_fail(err, HN_ESTATE, "the rollout of busy is done");
	if (strcmp(model, "pump-state") != 0)
		return hn_fail(err, HN_ENOENT, "no model '%s'; see honectl models", model);
	(void)snprintf(t->actor, sizeof t->actor, "%s", actor);
	(void)snprintf(t->reason, sizeof t->reason, "%s", verb);
	return HN_OK;
}

static inline hn_status t_label(void *ctx, const struct api_label *l, struct hn_err *err)
{
	struct t_api *t = ctx;

	if (strcmp(l->stream, "vibration") != 0)
		return hn_fail(err, HN_ENOENT, "no stream '%s'; see honectl streams", l->stream);
	if (l->t1_us < l->t0_us)
		return hn_fail(err, HN_ERANGE, "the span ends before it begins");
	if (strcmp(l->text, "full") == 0)
		return hn_fail(err, HN_EFULL, "the queue is full");
	(void)snprintf(t->last_label, sizeof t->last_label, "%s", l->text);
	(void)snprintf(t->who, sizeof t->who, "%s", l->who);
	t->t0_us = l->t0_us;
	t->t1_us = l->t1_us;
	t->n_labels++;
	return HN_OK;
}

static inline struct api_ops t_api_ops(struct t_api *t)
{
	return (struct api_ops){ .ctx = t, .ready = t_ready, .status = t_status, .models = t_models,
		.model = t_model, .jobs = t_jobs, .job = t_job, .devices = t_devices, .rollouts = t_rollouts,
		.history = t_history, .rollout = t_rollout, .pull = t_pull,
		.streams = t_streams, .sources = t_sources, .requests = t_requests, .retrain = t_retrain,
		.cancel = t_cancel, .rollback = t_rollback, .import = t_import,
		.blob = t_blob, .label = t_label };
}
#endif
