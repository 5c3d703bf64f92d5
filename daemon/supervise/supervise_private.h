/* supervise_private.h - a job, its row and its place in memory.  Private to supervise*.c. */
#ifndef SUPERVISE_PRIVATE_H
#define SUPERVISE_PRIVATE_H

#include "supervise.h"

#include "proc.h"

enum { JOB_STARTS_MAX = 4 };     /* a job that kills every trainer is not tried for ever     */
/* lost: it was done, but a crash took its candidate; only between loading and supervise_open. */
enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_LOST, JOB_DONE, JOB_ERROR };
extern const char *const job_state_names[];

struct job {
	int64_t id, champion, since_us, episode, created_us, started_us, ended_us;
	int model, starts;               /* starts: how often its trainer was started            */
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
	char checkpoint[CONF_TEXT_MAX + 16];     /* of the one job that runs                    */
	unsigned char *candidate;
	size_t candidate_len;
	bool closing;
};

/* NULL: not kept (any more). */
struct job *job_find(struct supervise *s, int64_t id);
const char *job_model_name(const struct supervise *s, const struct job *j);

/* A place at the end; when all are taken, the oldest finished job is forgotten. */
struct job *job_slot(struct supervise *s);
void job_clear(struct job *j);

/* Queue the row for the writer; `start`: job_start_next when it is durable, job_failed when it
 * cannot be written.  Errors: HN_ENOMEM, HN_EFULL. */
hn_status job_save(struct supervise *s, const struct job *j, bool start);
void job_save_or_say(struct supervise *s, const struct job *j);

/* Rows of earlier runs into s, and the next free id. */
hn_status jobs_load(struct supervise *s, struct hn_err *err);

/* The file of an import: `<database>-import-<job>`; that it is there says that the job is one. */
hn_status import_write(const struct supervise *s, int64_t job, const struct job_request *q);
void import_forget(const struct supervise *s, int64_t job);
json_t *import_spec(const struct supervise *s, const struct job *j);     /* NULL: not an import */

/* In supervise.c. */
void job_start_next(struct supervise *s);
void job_failed(struct supervise *s, struct job *j, const char *why);
#endif
