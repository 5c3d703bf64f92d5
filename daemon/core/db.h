/* db.h - the one SQLite writer: a thread, a bounded queue of operations, one transaction a commit.
 *
 * The loop thread submits operations; the writer runs all that wait in one transaction and commits
 * (WAL, synchronous=FULL); then `done` is called on the loop thread, in the order of submission.
 * What `done` has seen with HN_OK is durable.  The loop never waits for the disk.
 *
 * When the disk is full or fails, the whole transaction is undone and tried again, at last every
 * DB_RETRY_MS, until it succeeds; meanwhile the queue fills up and db_submit says HN_EFULL. */
#ifndef DB_H
#define DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <uv.h>
#include "hn_status.h"

enum {
	DB_QUEUE_MAX = 4096,
	DB_RETRY_MS = 1000,      /* longest wait between two tries of a refused transaction    */
	DB_CLOSE_TRIES = 3       /* after it, db_close gives up and `done` gets HN_EIO         */
};

struct db;
struct db_op;

struct db_op {                   /* embed it first in your own heap struct                     */
	/* Writer thread, inside the transaction.  Not HN_OK: this operation alone is undone (savepoint)
	 * and `done` gets the status.  It is called again when the transaction had to be undone, so it
	 * keeps its input until `done`; see db_undone. */
	hn_status (*run)(struct db_op *op, struct db *db);
	/* Loop thread, after the commit; frees the op.  Not NULL. */
	void (*done)(struct db_op *op, hn_status rc);
	bool urgent;             /* commit now instead of at the next commit_every             */
	bool standing;           /* its owner has at most one in the queue: never refused      */
	struct db_op *next;      /* private                                                    */
	hn_status rc;            /* private                                                    */
};

struct db_cfg { const char *path; double commit_every_s; };

/* Open or create the file (directory must exist), take the lock (one honed per database: the
 * error names the pid that holds it), migrate by user_version, check after an unclean end, start
 * the thread.  A corrupt file is renamed to <path>.corrupt-<time> and everything readable is copied
 * into a new one.  Errors with text: HN_EIO, HN_EBUSY, HN_EFORMAT. */
hn_status db_open(struct db **out, uv_loop_t *loop, const struct db_cfg *cfg, struct hn_err *err);

/* Queue one operation (any thread).  HN_EFULL: nothing was queued, `done` will not be called. */
hn_status db_submit(struct db *db, struct db_op *op);

/* Commit what waits now. */
void db_flush(struct db *db);

/* Run everything that waits, commit, call the `done`s, stop the thread, close.  NULL is a no-op.
 * Not from inside `done`.  The loop must turn once more to release its wake-up handle. */
void db_close(struct db *db);

/* Inside run(): the connection, and a statement prepared once per distinct `sql` text; reset and
 * with cleared bindings.  NULL: `sql` does not compile (logged). */
sqlite3 *db_handle(struct db *db);
sqlite3_stmt *db_stmt(struct db *db, const char *sql);

/* Step a statement that returns no rows. */
hn_status db_step(struct db *db, sqlite3_stmt *stmt);

/* Inside run(): how many transactions were undone as a whole so far.  Who keeps a copy of something
 * in the database in memory reads it again when this number has changed. */
unsigned db_undone(const struct db *db);

/* Before the loop runs (start-up loading) and in readers: a read-only connection to the same file.
 * Close with sqlite3_close.  Errors with text: HN_ENOENT (no such file), HN_EIO. */
hn_status db_reader(const char *path, sqlite3 **out, struct hn_err *err);

/* Number of operations that wait or run. */
int db_backlog(const struct db *db);

/* True once SQLite has reported corruption while running: the next start checks and salvages. */
bool db_damaged(const struct db *db);

/* SQL text of each step; index + 1 = user_version */
extern const char *const db_migrations[];
extern const int db_n_migrations;
#endif
