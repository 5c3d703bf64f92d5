/* ctl.h - honectl: one row a command, REST over the unix socket, tables for people.
 *
 *   main.c       options and the command table        ctl_http.c   asking the daemon
 *   ctl_table.c  aligned tables and values            ctl_list.c   commands that show
 *   ctl_events.c the journal                          ctl_verb.c   commands that change something
 *   ctl_retrain.c  retrain and its job                ctl_key.c    key files
 *   ctl_export.c   versions to and from files of other frameworks */
#ifndef CTL_H
#define CTL_H

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Exit codes; docs/honectl.1 lists them. */
enum {
	CTL_OK = 0,
	CTL_REFUSED = 1,         /* the daemon said no, or the job failed                      */
	CTL_USAGE = 2,
	CTL_NOT_FOUND = 3,
	CTL_UNREACHABLE = 4,     /* the daemon does not answer                                 */
	CTL_REJECTED = 5         /* the gate kept the champion                                 */
};

/* Options that a command may take; each is also the mask of those given. */
enum {
	OPT_WAIT = 1, OPT_DRY_RUN = 2, OPT_REASON = 4, OPT_FOLLOW = 8, OPT_AFTER = 16, OPT_NUMBER = 32,
	OPT_WHO = 64, OPT_UNTIL = 128, OPT_FORMAT = 256, OPT_INT8 = 512, OPT_OUT = 1024, OPT_NAME = 2048
};

struct ctl {
	const char *socket, *url;        /* url: NULL = over the socket                        */
	bool json, colour;
	unsigned given;                  /* OPT_*                                              */
	const char *reason, *who, *until, *format, *out, *name;
	int patience_s;                  /* wait so long for the daemon to answer at all       */
	long long after;
	int number;
	CURL *curl;
	char *answer;                    /* (answer_len,) and a final 0: the last body         */
	size_t answer_len, answer_cap;
};

struct command {
	const char *name, *args;         /* args as the usage shows them                       */
	const char *help;                /* one line                                           */
	const char *more;                /* what --help adds: lines and examples               */
	int n_min, n_max;                /* arguments after the name                           */
	unsigned options;
	int (*run)(struct ctl *c, const struct command *cmd, int argc, char **argv);
};

/* --- ctl_http.c --------------------------------------------------------------------------------- */

/* Ask; `body` (stolen, may be NULL) is sent as JSON.  Returns an exit code; not CTL_OK: the reason is on
 * stderr.  `*out`, when asked for, is a new reference. */
int ctl_ask(struct ctl *c, const char *method, const char *path, json_t *body, json_t **out);

/* The same with a file as the body. */
struct ctl_file { const void *bytes; size_t len; };
int ctl_send(struct ctl *c, const char *path, const struct ctl_file *file, json_t **out);

/* "/api/v1/<collection>/<name escaped><tail>" into out. */
void ctl_path(struct ctl *c, const char *collection, const char *name, const char *tail,
              char *out, size_t cap);
void ctl_close(struct ctl *c);

/* The answer as it came (--json). */
void ctl_print_answer(const struct ctl *c);

/* --- ctl_table.c -------------------------------------------------------------------------------- */

enum format {
	AS_TEXT, AS_INT, AS_PERCENT,     /* fraction -> 93.8 %                                 */
	AS_TIME,                         /* RFC 3339 without the fraction                      */
	AS_BYTES, AS_YES, AS_VERSION,    /* 3 -> v3                                            */
	AS_NUMBER, AS_COUNTS             /* object of words -> "2 confirmed, 1 sending"        */
};

/* One column of a table: where its value is ("champion.number") and how it is written. */
struct column { const char *head, *path; enum format as; };

/* A value as text: missing = "-", control characters = "?". */
void value_text(const json_t *item, const char *path, enum format as, char *out, size_t cap);

/* Member by dotted path, or NULL. */
json_t *value_at(const json_t *item, const char *path);

/* A table of the items of `list`; `columns` ends with a NULL head. */
void table_print(const struct ctl *c, const json_t *list, const struct column *columns);

/* `text` without control characters. */
void print_clean(FILE *out, const char *text);

/* --- commands ----------------------------------------------------------------------------------- */

/* Say on stderr how the command is called; CTL_USAGE. */
int ctl_usage(const struct command *cmd);

int run_status(struct ctl *c, const struct command *cmd, int argc, char **argv);
int run_list(struct ctl *c, const struct command *cmd, int argc, char **argv);
int run_model(struct ctl *c, const struct command *cmd, int argc, char **argv);
int run_job(struct ctl *c, const struct command *cmd, int argc, char **argv);
int run_metrics(struct ctl *c, const struct command *cmd, int argc, char **argv);
int run_events(struct ctl *c, const struct command *cmd, int argc, char **argv);
int run_retrain(struct ctl *c, const struct command *cmd, int argc, char **argv);
int run_export(struct ctl *c, char **argv);
int run_import(struct ctl *c, char **argv);
int run_cancel(struct ctl *c, const struct command *cmd, int argc, char **argv);
int run_rollback(struct ctl *c, const struct command *cmd, int argc, char **argv);
int run_history(struct ctl *c, const struct command *cmd, int argc, char **argv);
int run_pull(struct ctl *c, const struct command *cmd, int argc, char **argv);
int run_rollout(struct ctl *c, const struct command *cmd, int argc, char **argv);
int run_label(struct ctl *c, const struct command *cmd, int argc, char **argv);
int run_key(struct ctl *c, const struct command *cmd, int argc, char **argv);

/* A verb that starts a job: what the journal has before, with --wait; and, with the answer (stolen),
 * what is said about the job, and with --wait its end. */
int job_before(struct ctl *c);
int job_started(struct ctl *c, const char *model, json_t *job);

/* One line a plan or a step of progress of a job; nothing when there is none. */
void print_plan(FILE *out, const json_t *job);
void print_health(FILE *out, const json_t *job);
void print_progress(FILE *out, const json_t *job);
#endif
