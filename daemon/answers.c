/* What the REST interface says and does. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "honed.h"
#include "log.h"

static bool ready(void *ctx, const char **why)
{
	const struct honed *h = ctx;

	*why = h->stopping ? "stopping" : "ok";
	return !h->stopping;
}

static json_t *model_json(struct honed *h, int m, bool whole)
{
	const struct cycle *c = &h->cycle[m];
	json_t *o = registry_json(h->registry, m, whole);

	if (!o)
		return NULL;
	json_object_set_new(o, "task", json_string(hn_tasks[h->conf->models[m].task].name));
	json_object_set_new(o, "monitor", monitor_json(h->monitor, m));
	if (hn_tasks[h->conf->models[m].task].answers)
		json_object_set_new(o, "anomalies", anomaly_json(h, m));
	json_object_set_new(o, "loop", json_pack("{sb sb sb sI si si si si}", "training",
		(int)supervise_busy(h->supervise, m), "rollout", (int)deploy_busy(h->deploy, m),
		"probation", (int)c->on_probation, "episode", (json_int_t)c->episode, "labels_new", c->labels,
		"labels_asked", c->asked, "judged", c->judged, "right", c->right));
	return o;
}

static json_t *models(void *ctx)
{
	struct honed *h = ctx;
	json_t *list = json_array();

	for (int m = 0; m < h->conf->n_models; m++)
		json_array_append_new(list, model_json(h, m, false));
	return list;
}

static json_t *model(void *ctx, const char *name)
{
	struct honed *h = ctx;
	const int m = conf_model_find(h->conf, name);

	return m < 0 ? NULL : model_json(h, m, true);
}

static json_t *jobs(void *ctx)
{
	return supervise_json(((struct honed *)ctx)->supervise);
}

static json_t *job(void *ctx, int64_t id)
{
	return supervise_job_json(((struct honed *)ctx)->supervise, id);
}

static json_t *devices(void *ctx)
{
	const struct honed *h = ctx;
	json_t *list = deploy_devices_json(h->deploy);

	for (int i = 0; i < h->conf->n_devices; i++)
		telemetry_json(h, i, json_array_get(list, (size_t)i));
	return list;
}

static json_t *history(void *ctx, const char *device)
{
	return deploy_history_json(((struct honed *)ctx)->deploy, device);
}

static json_t *rollouts(void *ctx)
{
	return deploy_rollouts_json(((struct honed *)ctx)->deploy, -1);
}

static json_t *streams(void *ctx)
{
	return store_json(((struct honed *)ctx)->store);
}

static json_t *sources(void *ctx)
{
	return sources_json(((struct honed *)ctx)->sources);
}

/* Open questions: asked in the last 30 days and no label overlaps their time. */
static json_t *requests(void *ctx)
{
	static const char sql[] = "SELECT r.id, r.model, r.stream, r.t, r.asked, r.why "
		"FROM label_request r JOIN stream s ON s.name = r.stream WHERE NOT EXISTS "
		"(SELECT 1 FROM label l WHERE l.stream = s.id AND l.t0 <= r.t AND l.t1 >= r.t) "
		"ORDER BY r.id DESC LIMIT 200";
	const struct honed *h = ctx;
	json_t *list = json_array();
	sqlite3 *db = NULL;
	sqlite3_stmt *q = NULL;
	char t[40];

	if (db_reader(h->db_path, &db, NULL) != HN_OK ||
	    sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK) {
		log_warn("event=requests_not_read reason=\"%s\"", db ? sqlite3_errmsg(db) : "no connection");
	}
	while (q && sqlite3_step(q) == SQLITE_ROW) {
		clock_format(sqlite3_column_int64(q, 3), t, sizeof t);
		json_array_append_new(list, json_pack("{sI ss ss sI ss ss}", "id",
			(json_int_t)sqlite3_column_int64(q, 0), "model", sqlite3_column_text(q, 1), "stream",
			sqlite3_column_text(q, 2), "t_us", (json_int_t)sqlite3_column_int64(q, 3), "t", t,
			"why", sqlite3_column_text(q, 5)));
	}
	sqlite3_finalize(q);
	sqlite3_close(db);
	return list;
}

/* Resident memory in bytes, 0 when it cannot be told. */
static int64_t resident(void)
{
	long long pages = 0, skip;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%lld %lld", &skip, &pages) != 2)
		pages = 0;
	(void)fclose(f);
	return pages * 4096;
}

/* One sentence a person can act on. */
static void sentence(struct honed *h, char *out, size_t cap)
{
	int episodes = 0, training = 0, without = 0;

	for (int m = 0; m < h->conf->n_models; m++) {
		episodes += h->cycle[m].episode != 0;
		training += supervise_busy(h->supervise, m);
		without += registry_champion(h->registry, m) == NULL;
	}
	if (h->conf->n_models == 0)
		(void)snprintf(out, cap, "no model is configured: add one to `models:`");
	else if (without && !training)
		(void)snprintf(out, cap, "%d of %d models have no version yet: label some windows, then honectl "
		               "retrain MODEL", without, h->conf->n_models);
	else
		(void)snprintf(out, cap, "%d model%s, %d with an open drift episode, %d training",
		               h->conf->n_models, h->conf->n_models == 1 ? "" : "s", episodes, training);
}

static json_t *status(void *ctx)
{
	struct honed *h = ctx;
	char now[40], text[200];

	clock_format(clock_now_us(), now, sizeof now);
	sentence(h, text, sizeof text);
	return json_pack("{ss ss ss sf sI si so so so so}", "version", HONED_VERSION,
		"summary", text, "time", now,
		"uptime_s", (double)(clock_mono_us() - h->started_us) * 1e-6,
		"rss_bytes", (json_int_t)resident(), "db_backlog", db_backlog(h->db),
		"models", models(h), "devices", devices(h), "streams", streams(h), "sources", sources(h));
}

/* --- verbs ----------------------------------------------------------------------------------- */

static hn_status retrain(void *ctx, const char *name, const char *actor, const char *reason,
                         bool dry_run, int64_t *id, struct hn_err *err)
{
	struct honed *h = ctx;
	const int m = conf_model_find(h->conf, name);
	hn_status rc;

	if (m < 0)
		return hn_fail(err, HN_ENOENT, "no model '%s'; see honectl models", name);
	rc = cycle_retrain(h, m, actor, reason, dry_run, id);
	if (rc == HN_EBUSY)
		return hn_fail(err, rc, "a job of model '%s' is queued or running; see honectl jobs", name);
	return rc == HN_OK ? rc : hn_fail(err, rc, "%s", hn_status_text(rc));
}

static hn_status import(void *ctx, const char *name, const struct api_net_file *file, int64_t *id,
                        struct hn_err *err)
{
	struct honed *h = ctx;
	const int m = conf_model_find(h->conf, name);
	hn_status rc;

	if (m < 0)
		return hn_fail(err, HN_ENOENT, "no model '%s'; see honectl models", name);
	rc = cycle_import(h, m, file, id);
	if (rc == HN_EBUSY)
		return hn_fail(err, rc, "a job of model '%s' is queued or running; see honectl jobs", name);
	return rc == HN_OK ? rc : hn_fail(err, rc, "%s", hn_status_text(rc));
}

static hn_status blob(void *ctx, int64_t version, const unsigned char **bytes, size_t *len,
                      struct hn_err *err)
{
	const hn_status rc = registry_blob(((struct honed *)ctx)->registry, version, bytes, len);

	return rc == HN_OK ? rc : hn_fail(err, rc, "no version %lld; see honectl model NAME",
	                                  (long long)version);
}

static hn_status cancel(void *ctx, int64_t id, struct hn_err *err)
{
	const hn_status rc = supervise_cancel(((struct honed *)ctx)->supervise, id);

	return rc == HN_OK ? rc : hn_fail(err, rc, rc == HN_ENOENT ? "no job %lld" : "job %lld has ended",
	                                  (long long)id);
}

static hn_status rollback(void *ctx, const char *name, const char *actor, const char *reason,
                          int64_t *version, struct hn_err *err)
{
	struct honed *h = ctx;
	const int m = conf_model_find(h->conf, name);
	hn_status rc;

	if (m < 0)
		return hn_fail(err, HN_ENOENT, "no model '%s'; see honectl models", name);
	rc = cycle_roll_back(h, m, actor, reason, version);
	if (rc == HN_ENOENT)
		return hn_fail(err, HN_ESTATE, "model '%s' has no earlier version to go back to", name);
	if (rc == HN_EBUSY)
		return hn_fail(err, rc, "a decision about model '%s' is being written; try again", name);
	return rc == HN_OK ? rc : hn_fail(err, rc, "%s", hn_status_text(rc));
}

static hn_status rollout(void *ctx, const char *name, const char *verb, const char *actor,
                         struct hn_err *err)
{
	struct honed *h = ctx;
	const int m = conf_model_find(h->conf, name);
	const enum deploy_verb v = strcmp(verb, "pause") == 0 ? DEPLOY_PAUSE
		: strcmp(verb, "resume") == 0 ? DEPLOY_RESUME : DEPLOY_RETRY;

	if (m < 0)
		return hn_fail(err, HN_ENOENT, "no model '%s'; see honectl models", name);
	return deploy_steer(h->deploy, m, v, actor, err);
}

static hn_status pull(void *ctx, const char *device, int windows, const char *actor,
                      struct hn_err *err)
{
	struct honed *h = ctx;
	const int i = conf_device_find(h->conf, device);

	if (i < 0)
		return hn_fail(err, HN_ENOENT, "no device '%s'; see honectl devices", device);
	return telemetry_pull(h, i, windows, actor, err);
}

/* A class by its name in any model that uses the stream, else a number. */
static bool label_value(const struct honed *h, int stream, const char *text, double *value)
{
	char *end;

	for (int m = 0; m < h->conf->n_models; m++)
		for (int c = 0; intake_uses(h, m, stream) && c < h->conf->models[m].n_classes; c++)
			if (strcmp(h->conf->models[m].classes[c], text) == 0) {
				*value = c;
				return true;
			}
	*value = strtod(text, &end);
	return end != text && *end == '\0' && isfinite(*value);
}

static hn_status label(void *ctx, const struct api_label *a, struct hn_err *err)
{
	struct honed *h = ctx;
	const int stream = conf_stream_find(h->conf, a->stream);
	struct store_label l = { .stream = stream, .t0_us = a->t0_us, .t1_us = a->t1_us,
		.given_us = clock_now_us() };
	hn_status rc;

	if (stream < 0)
		return hn_fail(err, HN_ENOENT, "no stream '%s'; see honectl streams", a->stream);
	if (!label_value(h, stream, a->text, &l.value))
		return hn_fail(err, HN_ERANGE, "'%s' is neither a class of a model on stream '%s' nor a number",
		               a->text, a->stream);
	if (l.t1_us < l.t0_us)
		return hn_fail(err, HN_ERANGE, "the span ends before it begins");
	(void)snprintf(l.who, sizeof l.who, "%s", a->who ? a->who : "operator");
	rc = intake_give_label(h, &l);
	return rc == HN_OK ? rc : hn_fail(err, rc, "%s", hn_status_text(rc));
}

struct api_ops answers_ops(struct honed *h)
{
	return (struct api_ops){ .ctx = h, .ready = ready, .status = status,
		.models = models, .model = model,
		.jobs = jobs, .job = job, .devices = devices, .history = history,
		.rollouts = rollouts, .streams = streams,
		.sources = sources, .requests = requests, .retrain = retrain, .cancel = cancel,
		.rollback = rollback, .rollout = rollout, .pull = pull, .label = label, .import = import,
		.blob = blob };
}
