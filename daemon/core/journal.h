/* journal.h - every step of the loop, with reason and evidence: the journal table and a short
 * memory of it for the API.  Loop thread only. */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <jansson.h>
#include <stdint.h>
#include "db.h"

enum {
	JOURNAL_KEEP = 512,      /* newest entries kept in memory                              */
	JOURNAL_ROWS_MAX = 100000        /* newest entries kept in the table                   */
};

struct journal;

struct journal_entry {
	int64_t     id, t_us;    /* set by journal_add                                         */
	const char *kind;        /* "alarm", "job_started", "promoted", ... (docs/events.md)   */
	const char *model, *device, *stream;     /* names, or NULL                             */
	int64_t     episode, job, version, rollout;      /* ids, 0 = none                      */
	const char *actor;       /* "policy", "operator", ...; NULL = "honed"                  */
	const char *reason;      /* one sentence                                               */
	json_t     *evidence;    /* reference is stolen; NULL = none                           */
};

hn_status journal_open(struct journal **out, struct db *db, const char *db_path,
                       struct hn_err *err);

/* After db_close, so that queued entries still find it.  NULL is a no-op. */
void journal_close(struct journal *j);

/* Write one entry (also one log line), queue it for the database.  Returns its id.  An entry that
 * the full queue refuses stays in memory and is counted. */
int64_t journal_add(struct journal *j, struct journal_entry e);

/* Entries with id > after, oldest first, at most `limit`: a JSON array (new reference) of
 *   {"id", "time" (RFC 3339), "t_us", "kind", "actor", and where there are such: "model", "device",
 *    "stream", "episode", "job", "version", "rollout", "reason", "evidence"}.
 * The entries are shared: read, do not change.  NULL: out of memory.  From memory; entries older
 * than what is kept come from journal_read. */
json_t *journal_since(const struct journal *j, int64_t after, int limit);

/* The same from the database; runs on any thread with its own reader. */
json_t *journal_read(sqlite3 *reader, int64_t after, int limit);

/* Called after each add (the event stream of the API). */
void journal_on_add(struct journal *j, void (*cb)(void *ctx, int64_t id), void *ctx);

int64_t journal_last(const struct journal *j);   /* id of the newest entry, 0 = none           */
int64_t journal_first(const struct journal *j);  /* id of the oldest in memory, 0 = none       */
#endif
