/* db.h - the one SQLite writer: a thread, a bounded queue of operations, one transaction a commit.
 *
 * The loop thread submits operations; the writer runs all that wait in one transaction and commits
 * (WAL, synchronous=FULL); then `done` is called on the loop thread, in the order of submission.
 * What `done` has seen with HN_OK is durable.  The loop never waits for the disk. */
#ifndef DB_H
#define DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <uv.h>
#include "hn_status.h"

enum { DB_QUEUE_MAX = 4096 };

struct db;
struct db_op;

struct db_op {                   /* embed it first in your own heap struct                     */
	/* Writer thread, inside the transaction.  Not HN_OK: this operation alone is undone (savepoint)
	 * and `done` gets the status. */
	hn_status (*run)(struct db_op *op, struct db *db);
	/* Loop thread, after the commit; frees the op.  Not NULL. */
	void (*done)(struct db_op *op, hn_status rc);
	bool urgent;             /* commit now instead of at the next commit_every             */
	struct db_op *next;      /* private                                                    */
	hn_status rc;            /* private                                                    */
};

struct db_cfg { const char *path; double commit_every_s; };

/* Open or create the file (directory must exist), take the lock (one honed per database: the
 * error names the pid that holds it), migrate by user_version, check after an unclean end, start the
 * thread.  Errors with text: HN_EIO, HN_EBUSY, HN_EFORMAT. */
hn_status db_open(struct db **out, uv_loop_t *loop, const struct db_cfg *cfg, struct hn_err *err);

/* Queue one operation.  HN_EFULL: nothing was queued, `done` will not be called. */
hn_status db_submit(struct db *db, struct db_op *op);

/* Run everything that waits, commit, call the `done`s, stop the thread, close.  NULL is a no-op. */
void db_close(struct db *db);

/* Inside run(): the connection, and a statement prepared once per distinct `sql` literal; reset and
 * with cleared bindings.  NULL: `sql` does not compile (logged). */
sqlite3 *db_handle(struct db *db);
sqlite3_stmt *db_stmt(struct db *db, const char *sql);

/* Step a statement that returns no rows. */
hn_status db_step(struct db *db, sqlite3_stmt *stmt);

/* Before the loop runs (start-up loading) and in readers: a read-only connection to the same file.
 * Close with sqlite3_close. */
hn_status db_reader(const char *path, sqlite3 **out, struct hn_err *err);

/* Number of operations that wait. */
int db_backlog(const struct db *db);

extern const char *const db_migrations[];        /* SQL text of each step; index + 1 = user_version */
extern const int db_n_migrations;
#endif
