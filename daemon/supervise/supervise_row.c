/* supervise_row.c - jobs in memory and in the table `job`. */
#include "supervise_private.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

const char *const job_state_names[] = { "queued", "running", "lost", "done", "failed" };

struct job *job_find(struct supervise *s, int64_t id)
{
	for (int i = s->n - 1; i >= 0; i--)
		if (s->job[i].id == id)
			return &s->job[i];
	return NULL;
}

const char *job_model_name(const struct supervise *s, const struct job *j)
{
	return s->conf->models[j->model].name;
}

void job_clear(struct job *j)
{
	json_decref(j->plan);
	json_decref(j->progress);
	json_decref(j->report);
	*j = (struct job){ .model = 0 };
}

struct job *job_slot(struct supervise *s)
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

/* --- saving ----------------------------------------------------------------------------------- */

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
		"created, started, ended, progress, report, error, champion, since, episode, starts) "
		"VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");

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
	sqlite3_bind_int64(q, 13, j->champion);
	sqlite3_bind_int64(q, 14, j->since_us);
	sqlite3_bind_int64(q, 15, j->episode);
	sqlite3_bind_int(q, 16, j->starts);
	return db_step(db, q);
}

static void save_done(struct db_op *op, hn_status rc)
{
	struct save *w = (struct save *)op;
	struct job *j = job_find(w->s, w->job.id);

	if (rc != HN_OK)
		log_err("event=job_write_failed job=%lld reason=\"%s\"", (long long)w->job.id,
		        hn_status_text(rc));
	if (w->start && j && !w->s->closing) {
		if (rc != HN_OK)
			job_failed(w->s, j, "its row could not be written");
		job_start_next(w->s);
	}
	free(w->progress);
	free(w->report);
	free(w);
}

hn_status job_save(struct supervise *s, const struct job *j, bool start)
{
	struct save *w = calloc(1, sizeof *w);
	hn_status rc;

	if (!w)
		return HN_ENOMEM;
	w->op = (struct db_op){ .run = save_run, .done = save_done, .urgent = true };
	w->s = s;
	w->job = *j;
	w->start = start;
	(void)snprintf(w->model, sizeof w->model, "%s", job_model_name(s, j));
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

void job_save_or_say(struct supervise *s, const struct job *j)
{
	const hn_status rc = job_save(s, j, false);

	if (rc != HN_OK)
		log_warn("event=job_not_saved job=%lld reason=\"%s\"", (long long)j->id, hn_status_text(rc));
}

/* --- loading ---------------------------------------------------------------------------------- */

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
	else if (strcmp(word, "queued") == 0)
		j->state = JOB_QUEUED;
	else if (strcmp(word, "running") == 0)
		j->state = JOB_RUNNING;
	else if (strcmp(word, "done") != 0)
		(void)snprintf(j->outcome, sizeof j->outcome, "%s", word);
}

/* A job that ended, but whose outcome a crash kept from its row: its version knows.  Without one
 * the candidate was lost on the way. */
static void load_outcome(struct job *j, const char *version)
{
	if (j->state != JOB_DONE || j->outcome[0] || j->dry_run)
		return;
	if (!version[0])
		j->state = JOB_LOST;
	else if (strcmp(version, "rejected") == 0)
		(void)snprintf(j->outcome, sizeof j->outcome, "rejected");
	else if (strcmp(version, "candidate") != 0)      /* that one the gate sees again */
		(void)snprintf(j->outcome, sizeof j->outcome, "promoted");
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
		.ended_us = sqlite3_column_int64(q, 8), .champion = sqlite3_column_int64(q, 12),
		.since_us = sqlite3_column_int64(q, 13), .episode = sqlite3_column_int64(q, 14),
		.starts = sqlite3_column_int(q, 15) };
	load_state(j, text(q, 2));
	j->dry_run = strcmp(text(q, 3), "plan") == 0;
	load_outcome(j, text(q, 16));
	(void)snprintf(j->reason, sizeof j->reason, "%s", text(q, 4));
	(void)snprintf(j->actor, sizeof j->actor, "%s", text(q, 5));
	j->progress = json_loads(text(q, 9), 0, NULL);
	j->report = json_loads(text(q, 10), 0, NULL);
	(void)snprintf(j->error, sizeof j->error, "%s", text(q, 11));
}

hn_status jobs_load(struct supervise *s, struct hn_err *err)
{
	static const char sql[] = "SELECT * FROM (SELECT id, model, state, kind, reason, actor, "
		"created, started, ended, progress, report, error, champion, since, episode, starts, "
		"CASE WHEN state = 'done' THEN "
		"(SELECT v.state FROM version v WHERE v.job = job.id) END "
		"FROM job ORDER BY id DESC LIMIT 100) ORDER BY id";
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
