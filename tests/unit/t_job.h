/* t_job.h - a database with labelled windows, and hone-train run over it as honed does. */
#ifndef T_JOB_H
#define T_JOB_H

#include <sys/types.h>

#include <jansson.h>
#include "job.h"
#include "t_store.h"

enum { T_JOB_WINDOW = 16, T_JOB_CHANNELS = 3, T_JOB_CLASSES = 3 };

struct t_job {
	struct t_store store;
	json_t  *spec;                   /* what the next trainer is told; a test may change it    */
	char     checkpoint[T_PATH_MAX];
	pid_t    pid;
	int      fd;
	uint8_t *bytes;                  /* (len,) all that it said                               */
	size_t   len, cap;
	int      status;                 /* of waitpid                                            */
	long     rss_kb;                 /* largest resident set of the process                   */
};

/* `windows` windows of stream "vib", one class after the other, each with a label. */
void t_job_make(struct t_job *t, int windows);
/* The same with one channel that never changes. */
void t_job_make_constant(struct t_job *t, int windows, int channel);
void t_job_remove(struct t_job *t);

/* Version 1 of the model in the database. */
void t_job_version(struct t_job *t, const uint8_t *blob, size_t len);

/* Execute SQL on the database. */
void t_job_sql(struct t_job *t, const char *sql);

/* The settings of the fit, in t->spec. */
json_t *t_job_train(struct t_job *t);

void t_job_start(struct t_job *t);
/* Read until the trainer ends, or for `us` at most when us > 0 and then kill it; then wait. */
void t_job_end(struct t_job *t, long us);

/* Kill it as soon as it has written a checkpoint. */
void t_job_kill(struct t_job *t);
void t_job_run(struct t_job *t);                 /* start and end */

/* The last whole message of a type: NULL when there was none; *len its bytes. */
const uint8_t *t_job_message(const struct t_job *t, enum job_message type, size_t *len);
json_t *t_job_json(const struct t_job *t, enum job_message type);        /* the caller's, or NULL */
#endif
