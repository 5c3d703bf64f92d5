/* supervise.h - training jobs: one hone-train process at a time, a queue of waiting ones.
 *
 * A job is a row before its process exists.  One whose trainer was killed, or that was queued or
 * running when honed died, is started again, a few times at most, and goes on from its checkpoint:
 * the file `<database>-checkpoint`.  The file that a net is imported from waits for its job in
 * `<database>-import-<job>`.  The trainer never writes the database. */
#ifndef SUPERVISE_H
#define SUPERVISE_H

#include <jansson.h>
#include <uv.h>
#include "conf.h"
#include "db.h"
#include "journal.h"

enum { JOBS_MAX = 16, JOBS_KEEP = 128 };  /* waiting; finished ones kept in memory             */

struct supervise;

struct job_request {
	int model;
	int64_t champion;                /* version id, 0 = none                                 */
	int64_t since_us;                /* start of the new regime                              */
	int64_t episode;                 /* what caused it, 0 = none                             */
	const char *actor, *reason;
	bool dry_run;
	const void *import;              /* (import_len,) a file to take the net from, or NULL   */
	size_t import_len;
};

struct job_result {
	int64_t job, episode, champion;
	int model;
	bool ok;                         /* a candidate and a report came                        */
	const unsigned char *candidate;  /* (candidate_len,) borrowed                            */
	size_t candidate_len;
	json_t *report;                  /* borrowed; NULL unless ok                             */
	const char *error;               /* one sentence when not ok                             */
};

struct supervise_hooks {
	void *ctx;
	void (*on_result)(void *ctx, const struct job_result *r);
};

hn_status supervise_open(struct supervise **out, uv_loop_t *loop, struct db *db,
                         const char *db_path, const struct conf *conf, struct journal *journal,
                         const struct supervise_hooks *hooks, struct hn_err *err);
/* Shut-down: no new job, the running trainer is told to end; keep the loop running until it has. */
void supervise_stop(struct supervise *s);
void supervise_close(struct supervise *s);

/* Queue a job; it starts when its row is durable and no other runs.  *job gets its id.
 * Errors: HN_EBUSY (one of this model is queued or runs), HN_EFULL. */
hn_status supervise_start(struct supervise *s, const struct job_request *q, int64_t *job);
hn_status supervise_cancel(struct supervise *s, int64_t job);
bool supervise_running(const struct supervise *s);    /* a trainer process exists     */
bool supervise_busy(const struct supervise *s, int model);

/* What became of a job after its result: "promoted", "rejected"; kept with the row. */
void supervise_outcome(struct supervise *s, int64_t job, const char *outcome);

json_t *supervise_json(const struct supervise *s);               /* newest first              */
json_t *supervise_job_json(const struct supervise *s, int64_t job);      /* NULL: unknown     */
#endif
