/* supervise.c - one trainer process at a time: what it is told, what it says, how it ends. */
#include "supervise_private.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "hn_loss.h"
#include "hn_optim.h"
#include "job.h"
#include "log.h"
#include "metrics.h"

/* --- end of a job ----------------------------------------------------------------------------- */

static void forget_checkpoint(const struct supervise *s)
{
	char next[sizeof s->checkpoint + 8];

	(void)snprintf(next, sizeof next, "%s.new", s->checkpoint);
	(void)unlink(s->checkpoint);     /* mostly there is none */
	(void)unlink(next);
}

static void job_ended(struct supervise *s, struct job *j, const char *why)
{
	struct job_result r = { .job = j->id, .episode = j->episode, .champion = j->champion,
		.model = j->model, .ok = why == NULL, .candidate = s->candidate,
		.candidate_len = s->candidate_len, .report = j->report, .error = why };
	char labels[80];

	forget_checkpoint(s);
	import_forget(s, j->id);
	j->ended_us = clock_now_us();
	j->state = why ? JOB_ERROR : JOB_DONE;
	(void)snprintf(j->error, sizeof j->error, "%s", why ? why : "");
	(void)snprintf(labels, sizeof labels, "model=\"%s\",result=\"%s\"", job_model_name(s, j),
	               why ? "failed" : "done");
	metric_add(metric_counter("honed_jobs_total", labels, "Training jobs that ended, by result."), 1);
	job_save_or_say(s, j);
	(void)journal_add(s->journal, (struct journal_entry){ .kind = why ? "job_failed" : "job_done",
		.model = job_model_name(s, j), .job = j->id, .episode = j->episode,
		.reason = why ? why : "candidate and report received", .evidence = json_incref(j->report) });
	if (!j->dry_run && !s->closing)
		s->hooks.on_result(s->hooks.ctx, &r);
}

void job_failed(struct supervise *s, struct job *j, const char *why)
{
	s->candidate_len = 0;
	job_ended(s, j, why);
}

/* --- the process ------------------------------------------------------------------------------ */

static void take_json(json_t **slot, const uint8_t *body, uint32_t len)
{
	json_t *o = json_loadb((const char *)body, len, 0, NULL);

	if (!json_is_object(o)) {
		json_decref(o);
		return;
	}
	json_decref(*slot);
	*slot = o;
}

static void take_candidate(struct supervise *s, const uint8_t *body, uint32_t len)
{
	free(s->candidate);
	s->candidate_len = 0;
	s->candidate = len ? malloc(len) : NULL;
	if (s->candidate) {
		memcpy(s->candidate, body, len);
		s->candidate_len = len;
	}
}

static void take_failure(struct job *j, const uint8_t *body, uint32_t len)
{
	json_t *o = json_loadb((const char *)body, len, 0, NULL);
	const char *reason = "the trainer gave no reason", *advice = "";

	(void)json_unpack(o, "{s?s s?s}", "reason", &reason, "advice", &advice);
	(void)snprintf(j->error, sizeof j->error, "%s%s%s", reason, *advice ? "; " : "", advice);
	json_decref(o);
}

/* Layers that did not train well: one entry, the first with its advice as the reason. */
static void say_health(struct supervise *s, const struct job *j)
{
	json_t *list = json_object_get(j->report, "health"), *first = json_array_get(list, 0);
	const char *text = json_string_value(json_object_get(first, "text"));

	if (text)
		(void)journal_add(s->journal, (struct journal_entry){ .kind = "job_health",
			.model = job_model_name(s, j), .job = j->id, .reason = text,
			.evidence = json_pack("{sO}", "layers", list) });
}

static void say_resumed(struct supervise *s, const struct job *j, const uint8_t *body, uint32_t len)
{
	json_t *o = json_loadb((const char *)body, len, 0, NULL);
	const char *refused = NULL;

	(void)json_unpack(o, "{s?s}", "refused", &refused);
	(void)journal_add(s->journal, (struct journal_entry){ .kind = "job_resumed",
		.model = job_model_name(s, j), .job = j->id,
		.reason = refused ? refused : "the fit goes on from its checkpoint", .evidence = o });
}

static void on_message(void *ctx, uint8_t type, const uint8_t *body, uint32_t len)
{
	struct supervise *s = ctx;
	struct job *j = job_find(s, s->running);

	if (!j)
		return;
	switch (type) {
	case JOB_PLAN:
		take_json(&j->plan, body, len);
		if (j->plan)
			(void)journal_add(s->journal, (struct journal_entry){ .kind = "job_plan",
				.model = job_model_name(s, j), .job = j->id, .reason = "memory plan before the start",
				.evidence = json_incref(j->plan) });
		break;
	case JOB_PROGRESS:
		take_json(&j->progress, body, len);
		break;
	case JOB_CANDIDATE:
		take_candidate(s, body, len);
		break;
	case JOB_REPORT:
		take_json(&j->report, body, len);
		say_health(s, j);
		break;
	case JOB_RESUMED:
		say_resumed(s, j, body, len);
		break;
	case JOB_FAILED:
		take_failure(j, body, len);
		break;
	default:
		log_warn("event=job_message_unknown job=%lld type=%u", (long long)j->id, type);
	}
}

/* Cut off from outside, or by our own end: it goes on from its checkpoint. */
static bool interrupted(const struct supervise *s, const struct job *j)
{
	return !j->error[0] && (s->closing || (proc_killed(s->proc) && j->starts < JOB_STARTS_MAX));
}

static void on_exit_(void *ctx, bool ok, const char *reason)
{
	struct supervise *s = ctx;
	struct job *j = job_find(s, s->running);
	const bool again = !ok && j && interrupted(s, j);
	char why[256];

	s->proc = NULL;
	s->running = 0;
	if (!j || (again && s->closing))         /* its row says "running": the next start sees it */
		return;
	if (again) {
		s->candidate_len = 0;
		j->state = JOB_QUEUED;
		log_warn("event=job_interrupted job=%lld reason=\"%s\"", (long long)j->id, reason);
		job_start_next(s);
		return;
	}
	(void)snprintf(why, sizeof why, "%s", j->error[0] ? j->error : reason);
	if (ok && ((j->dry_run && j->plan) || (j->report && s->candidate_len)))
		job_ended(s, j, NULL);
	else
		job_failed(s, j, ok ? "the trainer ended without a candidate" : why);
	free(s->candidate);
	s->candidate = NULL;
	s->candidate_len = 0;
	if (!s->closing)
		job_start_next(s);
}

/* Longest nominal period of the model's streams; 0 when one of them is irregular. */
static double period(const struct supervise *s, const struct conf_model *m)
{
	double longest = 0;

	for (int i = 0; i < m->n_streams; i++) {
		const int k = conf_stream_find(s->conf, m->streams[i]);

		if (k < 0 || s->conf->streams[k].period_s == 0)
			return 0;
		if (s->conf->streams[k].period_s > longest)
			longest = s->conf->streams[k].period_s;
	}
	return longest;
}

static const char *loss_name(const struct conf_model *m)
{
	return m->train.loss > 0 ? hn_losses[m->train.loss - 1]->name : "";
}

static json_t *train_spec(const struct conf_model *m)
{
	return json_pack("{ss ss sf sf sf si si sf sf si si sf sI "
		"si si si sI sf sf sf sf sf sf si si sI sf si si sf si}",
		"loss", loss_name(m), "optimiser", hn_optims[m->train.optimiser]->name,
		"momentum", m->train.momentum, "delta", m->train.delta, "decay", m->train.decay,
		"decay_epochs", m->train.decay_epochs, "warmup", m->train.warmup, "ema", m->train.ema,
		"clip", m->train.clip, "update", m->train.update, "last_layers", m->train.last_layers,
		"anchor", m->train.anchor, "wire_max", (json_int_t)m->train.wire_max,
		"epochs", m->train.epochs, "batch", m->train.batch, "patience", m->train.patience,
		"seed", (json_int_t)m->train.seed, "rate", m->train.rate, "weight_decay", m->train.weight_decay,
		"smoothing", m->train.smoothing, "holdout", m->train.holdout,
		"holdout_recent", m->train.holdout_recent, "recent_share", m->train.recent_share,
		"scaler_frames", m->train.scaler_frames, "schedule", m->train.schedule,
		"memory_max", (json_int_t)m->train.memory_max, "checkpoint_s", m->train.checkpoint_s,
		"quantise", m->train.quantise, "windows_max", m->train.windows_max,
		"quantile", m->anomaly.quantile, "rounding", m->train.rounding);
}

/* The labels end when the job was first started: one that is started again sees the same. */
static json_t *spec(const struct supervise *s, const struct job *j)
{
	const struct conf_model *m = &s->conf->models[j->model];
	json_t *streams = json_array();
	json_t *train = train_spec(m);

	for (int i = 0; i < m->n_streams; i++)
		json_array_append_new(streams, json_string(m->streams[i]));
	return json_pack("{sI ss ss sI ss si si si ss so sf sI sI sb ss so so*}",
		"job", (json_int_t)j->id, "model", m->name, "db", s->db_path,
		"now_us", (json_int_t)j->started_us, "task", hn_task_name((enum hn_task)m->task),
		"classes", m->n_classes, "window", m->window, "hop", m->hop, "network", m->network,
		"streams", streams, "period_s", period(s, m), "since_us", (json_int_t)j->since_us,
		"champion", (json_int_t)j->champion, "dry_run", (int)j->dry_run,
		"checkpoint", m->train.checkpoint_s > 0 ? s->checkpoint : "", "train", train,
		"import", import_spec(s, j));
}

/* hone-train: as configured, else beside our own binary, else where `make install` puts it. */
static const char *helper_path(const struct supervise *s, char *buf, size_t cap)
{
	static const char *const places[] = { "hone-train", "../libexec/honed/hone-train" };
	const size_t longest = sizeof "../libexec/honed/hone-train";
	ssize_t n;
	char *name;

	if (s->conf->train.helper[0])
		return s->conf->train.helper;
	n = readlink("/proc/self/exe", buf, cap - longest);
	buf[n > 0 ? n : 0] = '\0';
	name = strrchr(buf, '/');
	for (size_t i = 0; name && i < sizeof places / sizeof places[0]; i++) {
		memcpy(name + 1, places[i], strlen(places[i]) + 1);
		if (access(buf, X_OK) == 0)
			return buf;
	}
	return "/usr/libexec/honed/hone-train";
}

static hn_status launch(struct supervise *s, struct job *j, struct hn_err *err)
{
	const struct conf_model *m = &s->conf->models[j->model];
	char path[CONF_TEXT_MAX + 64];
	const char *const argv[] = { helper_path(s, path, sizeof path), NULL };
	json_t *o = spec(s, j);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	/* The address space holds libraries, stack and the arena: the arena is what memory_max bounds, the
	 * trainer refuses a larger plan; this is the wall behind it. */
	const struct proc_cfg cfg = { .loop = s->loop, .argv = argv, .input = text,
		.input_len = text ? strlen(text) : 0, .memory_max = (uint64_t)m->train.memory_max + (256u << 20),
		.idle = true, .time_max_s = m->train.time_max_s, .ctx = s,
		.on_message = on_message, .on_exit = on_exit_ };
	hn_status rc = text ? proc_start(&s->proc, &cfg, err) : hn_fail(err, HN_ENOMEM, "out of memory");

	free(text);
	json_decref(o);
	return rc;
}

void job_start_next(struct supervise *s)
{
	for (int i = 0; i < s->n && !s->proc; i++) {
		struct job *j = &s->job[i];
		struct hn_err err = { .code = HN_OK };

		if (j->state != JOB_QUEUED)
			continue;
		j->state = JOB_RUNNING;
		j->started_us = j->started_us ? j->started_us : clock_now_us();
		j->starts++;
		s->running = j->id;
		if (launch(s, j, &err) != HN_OK) {
			s->running = 0;
			job_failed(s, j, err.text);
			continue;
		}
		job_save_or_say(s, j);
		(void)journal_add(s->journal, (struct journal_entry){
			.kind = j->starts > 1 ? "job_restarted" : "job_started",
			.model = job_model_name(s, j), .job = j->id, .episode = j->episode, .actor = j->actor,
			.reason = j->starts > 1 ? "it was interrupted" : j->reason });
	}
}

/* --- verbs ------------------------------------------------------------------------------------ */

bool supervise_running(const struct supervise *s)
{
	return s->proc != NULL;
}

bool supervise_busy(const struct supervise *s, int model)
{
	for (int i = 0; i < s->n; i++)
		if (s->job[i].model == model && s->job[i].state < JOB_DONE)
			return true;
	return false;
}

hn_status supervise_start(struct supervise *s, const struct job_request *q, int64_t *job)
{
	struct job *j;
	int waiting = 0;
	hn_status rc;

	if (supervise_busy(s, q->model))
		return HN_EBUSY;
	for (int i = 0; i < s->n; i++)
		waiting += s->job[i].state == JOB_QUEUED;
	if (waiting >= JOBS_MAX)
		return HN_EFULL;
	j = job_slot(s);
	*j = (struct job){ .id = s->next_id++, .champion = q->champion, .since_us = q->since_us,
		.episode = q->episode, .created_us = clock_now_us(), .model = q->model,
		.dry_run = q->dry_run };
	(void)snprintf(j->actor, sizeof j->actor, "%s", q->actor ? q->actor : "honed");
	(void)snprintf(j->reason, sizeof j->reason, "%s", q->reason ? q->reason : "");
	rc = q->import ? import_write(s, j->id, q) : HN_OK;
	if (rc == HN_OK)
		rc = job_save(s, j, true);
	if (rc != HN_OK) {
		import_forget(s, j->id);
		job_clear(j);
		s->n--;
		return rc;
	}
	*job = j->id;
	return HN_OK;
}

hn_status supervise_cancel(struct supervise *s, int64_t job)
{
	struct job *j = job_find(s, job);

	if (!j)
		return HN_ENOENT;
	if (j->state >= JOB_DONE)
		return HN_ESTATE;
	if (j->state == JOB_QUEUED) {
		job_failed(s, j, "cancelled");
		return HN_OK;
	}
	(void)snprintf(j->error, sizeof j->error, "cancelled");
	proc_stop(s->proc, 2.0);
	return HN_OK;
}

void supervise_outcome(struct supervise *s, int64_t job, const char *outcome)
{
	struct job *j = job_find(s, job);

	if (!j)
		return;
	(void)snprintf(j->outcome, sizeof j->outcome, "%s", outcome);
	job_save_or_say(s, j);
}

/* --- queries ---------------------------------------------------------------------------------- */

static json_t *job_json(const struct supervise *s, const struct job *j)
{
	char c[40], b[40], e[40];

	clock_format(j->created_us, c, sizeof c);
	clock_format(j->started_us, b, sizeof b);
	clock_format(j->ended_us, e, sizeof e);
	return json_pack("{sI ss ss ss* ss ss sb ss ss* ss* sO* sO* sO* ss*}", "id", (json_int_t)j->id,
		"model", job_model_name(s, j), "state", job_state_names[j->state],
		"outcome", j->outcome[0] ? j->outcome : NULL, "reason", j->reason, "actor", j->actor,
		"dry_run", (int)j->dry_run, "created", c, "started", j->started_us ? b : NULL,
		"ended", j->ended_us ? e : NULL, "plan", j->plan, "progress", j->progress,
		"report", j->report, "error", j->error[0] ? j->error : NULL);
}

json_t *supervise_json(const struct supervise *s)
{
	json_t *list = json_array();

	for (int i = s->n - 1; i >= 0; i--)
		json_array_append_new(list, job_json(s, &s->job[i]));
	return list;
}

json_t *supervise_job_json(const struct supervise *s, int64_t job)
{
	for (int i = s->n - 1; i >= 0; i--)
		if (s->job[i].id == job)
			return job_json(s, &s->job[i]);
	return NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

/* A job that our death interrupted is queued again, as long as it was not started too often.  One
 * that was done, but whose candidate is lost, has failed. */
static void take_up(struct supervise *s, struct job *j)
{
	const bool again = j->state != JOB_LOST && j->starts < JOB_STARTS_MAX;

	if (again && job_save(s, j, true) == HN_OK) {
		j->state = JOB_QUEUED;
		return;
	}
	j->state = JOB_ERROR;
	j->ended_us = clock_now_us();
	(void)snprintf(j->error, sizeof j->error, "interrupted: honed was restarted");
	job_save_or_say(s, j);
	(void)journal_add(s->journal, (struct journal_entry){ .kind = "job_failed",
		.model = job_model_name(s, j), .job = j->id, .reason = j->error });
}

hn_status supervise_open(struct supervise **out, uv_loop_t *loop, struct db *db,
                         const char *db_path, const struct conf *conf, struct journal *journal,
                         const struct supervise_hooks *hooks, struct hn_err *err)
{
	struct supervise *s = calloc(1, sizeof *s);
	hn_status rc;

	if (!s)
		return hn_fail(err, HN_ENOMEM, "supervise: out of memory");
	s->loop = loop;
	s->db = db;
	s->db_path = db_path;
	(void)snprintf(s->checkpoint, sizeof s->checkpoint, "%s-checkpoint", db_path);
	s->conf = conf;
	s->journal = journal;
	s->hooks = *hooks;
	s->next_id = 1;
	rc = jobs_load(s, err);
	if (rc != HN_OK) {
		supervise_close(s);
		return rc;
	}
	for (int i = 0; i < s->n; i++)
		if (s->job[i].state < JOB_DONE)
			take_up(s, &s->job[i]);
	*out = s;
	return HN_OK;
}

void supervise_stop(struct supervise *s)
{
	s->closing = true;
	if (s->proc)
		proc_stop(s->proc, 1.0);
}

void supervise_close(struct supervise *s)
{
	if (!s)
		return;
	for (int i = 0; i < s->n; i++)
		job_clear(&s->job[i]);
	free(s->candidate);
	free(s);
}
