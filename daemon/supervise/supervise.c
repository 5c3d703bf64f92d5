#include "supervise.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "job.h"
#include "log.h"
#include "metrics.h"
#include "proc.h"

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_ERROR };
static const char *const job_state_names[] = { "queued", "running", "done", "failed" };

struct job {
	int64_t id, champion, since_us, episode, created_us, started_us, ended_us;
	int model;
	enum job_state state;
	bool dry_run;
	char actor[HN_NAME_MAX], reason[192], error[256], outcome[32];
	json_t *plan, *progress, *report;
};

struct supervise {
	uv_loop_t *loop;
	struct db *db;
	const char *db_path;
	const struct conf *conf;
	struct journal *journal;
	struct supervise_hooks hooks;
	struct job job[JOBS_KEEP];       /* oldest first                                          */
	int n;
	int64_t next_id;
	struct proc *proc;
	int64_t running;                 /* id of the job of `proc`                               */
	unsigned char *candidate;
	size_t candidate_len;
	bool closing;
};

static struct job *find(struct supervise *s, int64_t id)
{
	for (int i = s->n - 1; i >= 0; i--)
		if (s->job[i].id == id)
			return &s->job[i];
	return NULL;
}

static const char *model_name(const struct supervise *s, const struct job *j)
{
	return s->conf->models[j->model].name;
}

/* --- the row ---------------------------------------------------------------------------------- */

struct save {
	struct db_op op;
	struct supervise *s;
	struct job job;                  /* scalars only                                          */
	char model[HN_NAME_MAX];
	char *progress, *report;
	bool start;                      /* start it when durable                                 */
};

static hn_status save_run(struct db_op *op, struct db *db)
{
	struct save *w = (struct save *)op;
	const struct job *j = &w->job;
	sqlite3_stmt *q = db_stmt(db, "INSERT OR REPLACE INTO job(id, model, state, kind, reason, actor, "
		"created, started, ended, progress, report, error) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)");

	if (!q)
		return HN_EIO;
	sqlite3_bind_int64(q, 1, j->id);
	sqlite3_bind_text(q, 2, w->model, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 3, j->outcome[0] ? j->outcome : job_state_names[j->state], -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 4, j->dry_run ? "plan" : "full", -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 5, j->reason, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 6, j->actor, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 7, j->created_us);
	sqlite3_bind_int64(q, 8, j->started_us);
	sqlite3_bind_int64(q, 9, j->ended_us);
	sqlite3_bind_text(q, 10, w->progress, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 11, w->report, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 12, j->error, -1, SQLITE_STATIC);
	return db_step(db, q);
}

static void start_next(struct supervise *s);
static void job_failed(struct supervise *s, struct job *j, const char *why);

static void save_done(struct db_op *op, hn_status rc)
{
	struct save *w = (struct save *)op;
	struct job *j = find(w->s, w->job.id);

	if (rc != HN_OK)
		log_err("event=job_write_failed job=%lld reason=\"%s\"", (long long)w->job.id,
		        hn_status_text(rc));
	if (w->start && j && !w->s->closing) {
		if (rc != HN_OK)
			job_failed(w->s, j, "its row could not be written");
		start_next(w->s);
	}
	free(w->progress);
	free(w->report);
	free(w);
}

static hn_status save(struct supervise *s, const struct job *j, bool start)
{
	struct save *w = calloc(1, sizeof *w);
	hn_status rc;

	if (!w)
		return HN_ENOMEM;
	w->op = (struct db_op){ .run = save_run, .done = save_done, .urgent = true };
	w->s = s;
	w->job = *j;
	w->start = start;
	(void)snprintf(w->model, sizeof w->model, "%s", model_name(s, j));
	w->progress = j->progress ? json_dumps(j->progress, JSON_COMPACT) : NULL;
	w->report = j->report ? json_dumps(j->report, JSON_COMPACT) : NULL;
	rc = db_submit(s->db, &w->op);
	if (rc != HN_OK) {
		free(w->progress);
		free(w->report);
		free(w);
	}
	return rc;
}

static void save_or_say(struct supervise *s, const struct job *j)
{
	const hn_status rc = save(s, j, false);

	if (rc != HN_OK)
		log_warn("event=job_not_saved job=%lld reason=\"%s\"", (long long)j->id, hn_status_text(rc));
}

/* --- end of a job ----------------------------------------------------------------------------- */

static void job_ended(struct supervise *s, struct job *j, const char *why)
{
	struct job_result r = { .job = j->id, .episode = j->episode, .champion = j->champion,
		.model = j->model, .ok = why == NULL, .candidate = s->candidate,
		.candidate_len = s->candidate_len, .report = j->report, .error = why };
	char labels[80];

	j->ended_us = clock_now_us();
	j->state = why ? JOB_ERROR : JOB_DONE;
	(void)snprintf(j->error, sizeof j->error, "%s", why ? why : "");
	(void)snprintf(labels, sizeof labels, "model=\"%s\",result=\"%s\"", model_name(s, j),
	               why ? "failed" : "done");
	metric_add(metric_counter("honed_jobs_total", labels, "Training jobs that ended, by result."), 1);
	save_or_say(s, j);
	(void)journal_add(s->journal, (struct journal_entry){ .kind = why ? "job_failed" : "job_done",
		.model = model_name(s, j), .job = j->id, .episode = j->episode,
		.reason = why ? why : "candidate and report received", .evidence = json_incref(j->report) });
	if (!j->dry_run && !s->closing)
		s->hooks.on_result(s->hooks.ctx, &r);
}

static void job_failed(struct supervise *s, struct job *j, const char *why)
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

static void on_message(void *ctx, uint8_t type, const uint8_t *body, uint32_t len)
{
	struct supervise *s = ctx;
	struct job *j = find(s, s->running);

	if (!j)
		return;
	switch (type) {
	case JOB_PLAN:
		take_json(&j->plan, body, len);
		if (j->plan)
			(void)journal_add(s->journal, (struct journal_entry){ .kind = "job_plan",
				.model = model_name(s, j), .job = j->id, .reason = "memory plan before the start",
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
		break;
	case JOB_FAILED:
		take_failure(j, body, len);
		break;
	default:
		log_warn("event=job_message_unknown job=%lld type=%u", (long long)j->id, type);
	}
}

static void on_exit_(void *ctx, bool ok, const char *reason)
{
	struct supervise *s = ctx;
	struct job *j = find(s, s->running);
	char why[256];

	s->proc = NULL;
	s->running = 0;
	if (!j)
		return;
	(void)snprintf(why, sizeof why, "%s", j->error[0] ? j->error : reason);
	if (ok && ((j->dry_run && j->plan) || (j->report && s->candidate_len)))
		job_ended(s, j, NULL);
	else
		job_failed(s, j, ok ? "the trainer ended without a candidate" : why);
	free(s->candidate);
	s->candidate = NULL;
	s->candidate_len = 0;
	if (!s->closing)
		start_next(s);
}

static const char *const task_names[] = { "classify", "regress", "autoencode", "forecast" };

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

static json_t *spec(const struct supervise *s, const struct job *j)
{
	const struct conf_model *m = &s->conf->models[j->model];
	json_t *streams = json_array();

	for (int i = 0; i < m->n_streams; i++)
		json_array_append_new(streams, json_string(m->streams[i]));
	return json_pack("{sI ss ss sI ss si si si ss so sf sI sI sb "
		"s{si si si sI sf sf sf sf sf sf si si sI}}",
		"job", (json_int_t)j->id, "model", m->name, "db", s->db_path,
		"now_us", (json_int_t)clock_now_us(), "task", task_names[m->task],
		"classes", m->n_classes, "window", m->window, "hop", m->hop, "network", m->network,
		"streams", streams, "period_s", period(s, m), "since_us", (json_int_t)j->since_us,
		"champion", (json_int_t)j->champion, "dry_run", (int)j->dry_run,
		"train", "epochs", m->train.epochs, "batch", m->train.batch, "patience", m->train.patience,
		"seed", (json_int_t)m->train.seed, "rate", m->train.rate, "weight_decay", m->train.weight_decay,
		"smoothing", m->train.smoothing, "holdout", m->train.holdout,
		"holdout_recent", m->train.holdout_recent, "recent_share", m->train.recent_share,
		"scaler_frames", m->train.scaler_frames, "schedule", m->train.schedule,
		"memory_max", (json_int_t)m->train.memory_max);
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

static void start_next(struct supervise *s)
{
	for (int i = 0; i < s->n && !s->proc; i++) {
		struct job *j = &s->job[i];
		struct hn_err err = { .code = HN_OK };

		if (j->state != JOB_QUEUED)
			continue;
		j->state = JOB_RUNNING;
		j->started_us = clock_now_us();
		s->running = j->id;
		if (launch(s, j, &err) != HN_OK) {
			s->running = 0;
			job_failed(s, j, err.text);
			continue;
		}
		save_or_say(s, j);
		(void)journal_add(s->journal, (struct journal_entry){ .kind = "job_started",
			.model = model_name(s, j), .job = j->id, .episode = j->episode, .actor = j->actor,
			.reason = j->reason });
	}
}

/* --- verbs ------------------------------------------------------------------------------------ */

static void job_clear(struct job *j)
{
	json_decref(j->plan);
	json_decref(j->progress);
	json_decref(j->report);
	*j = (struct job){ .model = 0 };
}

static struct job *job_slot(struct supervise *s)
{
	int i = 0;

	if (s->n < JOBS_KEEP)
		return &s->job[s->n++];
	while (i < s->n - 1 && s->job[i].state < JOB_DONE)
		i++;
	job_clear(&s->job[i]);
	memmove(&s->job[i], &s->job[i + 1], (size_t)(s->n - 1 - i) * sizeof s->job[0]);
	return &s->job[s->n - 1];
}

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
	rc = save(s, j, true);
	if (rc != HN_OK) {
		job_clear(j);
		s->n--;
		return rc;
	}
	*job = j->id;
	return HN_OK;
}

hn_status supervise_cancel(struct supervise *s, int64_t job)
{
	struct job *j = find(s, job);

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
	struct job *j = find(s, job);

	if (!j)
		return;
	(void)snprintf(j->outcome, sizeof j->outcome, "%s", outcome);
	save_or_say(s, j);
}

/* --- queries ---------------------------------------------------------------------------------- */

static json_t *job_json(const struct supervise *s, const struct job *j)
{
	char c[40], b[40], e[40];

	clock_format(j->created_us, c, sizeof c);
	clock_format(j->started_us, b, sizeof b);
	clock_format(j->ended_us, e, sizeof e);
	return json_pack("{sI ss ss ss* ss ss sb ss ss* ss* sO* sO* sO* ss*}", "id", (json_int_t)j->id,
		"model", model_name(s, j), "state", job_state_names[j->state],
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

static const char *text(sqlite3_stmt *q, int i)
{
	const unsigned char *t = sqlite3_column_text(q, i);

	return t ? (const char *)t : "";
}

/* A finished job's word in the row is its outcome when there is one. */
static void load_state(struct job *j, const char *word)
{
	j->state = JOB_DONE;
	if (strcmp(word, "failed") == 0)
		j->state = JOB_ERROR;
	else if (strcmp(word, "queued") == 0 || strcmp(word, "running") == 0)
		j->state = JOB_RUNNING;
	else if (strcmp(word, "done") != 0)
		(void)snprintf(j->outcome, sizeof j->outcome, "%s", word);
}

static void load_row(struct supervise *s, sqlite3_stmt *q)
{
	const int model = conf_model_find(s->conf, text(q, 1));
	struct job *j;

	if (sqlite3_column_int64(q, 0) >= s->next_id)
		s->next_id = sqlite3_column_int64(q, 0) + 1;
	if (model < 0)
		return;
	j = job_slot(s);
	*j = (struct job){ .id = sqlite3_column_int64(q, 0), .model = model,
		.created_us = sqlite3_column_int64(q, 6), .started_us = sqlite3_column_int64(q, 7),
		.ended_us = sqlite3_column_int64(q, 8) };
	load_state(j, text(q, 2));
	j->dry_run = strcmp(text(q, 3), "plan") == 0;
	(void)snprintf(j->reason, sizeof j->reason, "%s", text(q, 4));
	(void)snprintf(j->actor, sizeof j->actor, "%s", text(q, 5));
	j->progress = json_loads(text(q, 9), 0, NULL);
	j->report = json_loads(text(q, 10), 0, NULL);
	(void)snprintf(j->error, sizeof j->error, "%s", text(q, 11));
}

/* What was queued or running when we died is failed now; the policy decides about another. */
static void close_interrupted(struct supervise *s)
{
	for (int i = 0; i < s->n; i++) {
		struct job *j = &s->job[i];

		if (j->state >= JOB_DONE)
			continue;
		j->state = JOB_ERROR;
		j->ended_us = clock_now_us();
		(void)snprintf(j->error, sizeof j->error, "interrupted: honed was restarted");
		save_or_say(s, j);
		(void)journal_add(s->journal, (struct journal_entry){ .kind = "job_failed",
			.model = model_name(s, j), .job = j->id, .reason = j->error });
	}
}

static hn_status load(struct supervise *s, struct hn_err *err)
{
	static const char sql[] = "SELECT * FROM (SELECT id, model, state, kind, reason, actor, "
		"created, started, ended, progress, report, error FROM job ORDER BY id DESC LIMIT 100) "
		"ORDER BY id";
	sqlite3 *db = NULL;
	sqlite3_stmt *q = NULL;
	hn_status rc = db_reader(s->db_path, &db, err);

	if (rc != HN_OK)
		return rc;
	if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
		rc = hn_fail(err, HN_EIO, "jobs: %s", sqlite3_errmsg(db));
	while (rc == HN_OK && sqlite3_step(q) == SQLITE_ROW)
		load_row(s, q);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return rc;
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
	s->conf = conf;
	s->journal = journal;
	s->hooks = *hooks;
	s->next_id = 1;
	rc = load(s, err);
	if (rc != HN_OK) {
		supervise_close(s);
		return rc;
	}
	close_interrupted(s);
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
