/* db.c - the writer thread.
 *
 * `wait` -> (writer: one transaction) -> `finished` -> (loop: done).  One mutex guards both lists;
 * the writer holds it only to move a list.  Waiting uses real time, never the virtual clock: the
 * disk does not live in it. */
#include "db.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "db_file.h"
#include "log.h"

enum { STMTS_MAX = 256, CLOSE_ROUNDS = 64, CLOSE_RETRY_MS = 300, RETRY_DOUBLINGS = 5 };

struct list { struct db_op *head, **tail; };

struct wake { uv_async_t async; struct db *db; };        /* freed by the loop after db_close */

struct db {
	struct db_file file;
	struct wake *wake;
	uv_thread_t thread;
	uv_mutex_t lock;         /* guards the next seven                                      */
	uv_cond_t changed, idle;
	struct list wait, finished;
	uint64_t since_ns;       /* when the first of `wait` came                              */
	bool hurry;              /* commit now                                                 */
	bool running, closing, stop;
	int n_wait;

	atomic_int backlog;
	atomic_bool damaged;
	uint64_t every_ns;
	/* Writer thread only. */
	sqlite3_stmt *stmt[STMTS_MAX];   /* open addressing by a hash of the text              */
	int n_stmts;
	int fault;               /* SQLite code that calls for another try of the transaction  */
	int code;                /* the last error of SQLite, for the log                      */
	unsigned undone;
	struct log_limit op_limit, disk_limit;
};

/* --- lists --------------------------------------------------------------------------------- */

static void list_clear(struct list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static void list_add(struct list *l, struct db_op *op)
{
	op->next = NULL;
	*l->tail = op;
	l->tail = &op->next;
}

static void list_join(struct list *l, struct list *more)
{
	if (!more->head)
		return;
	*l->tail = more->head;
	l->tail = more->tail;
	list_clear(more);
}

/* --- statements ---------------------------------------------------------------------------- */

static size_t text_hash(const char *text)
{
	uint32_t h = 2166136261u;                /* FNV-1a */

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	return h % STMTS_MAX;
}

sqlite3 *db_handle(struct db *db)
{
	return db->file.conn;
}

unsigned db_undone(const struct db *db)
{
	return db->undone;
}

sqlite3_stmt *db_stmt(struct db *db, const char *sql)
{
	size_t i = text_hash(sql);
	sqlite3_stmt *stmt = NULL;

	while (db->stmt[i] && strcmp(sqlite3_sql(db->stmt[i]), sql) != 0)
		i = (i + 1) % STMTS_MAX;
	if (db->stmt[i]) {
		(void)sqlite3_reset(db->stmt[i]);        /* repeats an error already seen */
		(void)sqlite3_clear_bindings(db->stmt[i]);
		return db->stmt[i];
	}
	assert(db->n_stmts < STMTS_MAX - 1);     /* texts are literals: raise STMTS_MAX */
	if (sqlite3_prepare_v3(db->file.conn, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL)) {
		log_err("event=db_sql error=\"%s\" sql=\"%s\"", sqlite3_errmsg(db->file.conn), sql);
		return NULL;
	}
	db->stmt[i] = stmt;
	db->n_stmts++;
	return stmt;
}

static void stmts_reset(struct db *db)
{
	for (int i = 0; i < STMTS_MAX; i++)
		if (db->stmt[i] && sqlite3_stmt_busy(db->stmt[i]))
			(void)sqlite3_reset(db->stmt[i]);        /* repeats an error already seen */
}

static void stmts_done(struct db *db)
{
	for (int i = 0; i < STMTS_MAX; i++) {
		(void)sqlite3_finalize(db->stmt[i]);     /* repeats an error already seen */
		db->stmt[i] = NULL;
	}
}

/* --- one transaction ----------------------------------------------------------------------- */

/* Errors of the disk or of another connection that may pass: the transaction is tried again. */
static bool may_pass(int code)
{
	switch (code & 0xff) {
	case SQLITE_FULL: case SQLITE_IOERR: case SQLITE_NOMEM: case SQLITE_BUSY:
	case SQLITE_LOCKED: case SQLITE_CANTOPEN: case SQLITE_PROTOCOL: case SQLITE_READONLY:
		return true;
	default:
		return false;
	}
}

static void note_code(struct db *db, int code)
{
	if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
		db->code = code;
	if (may_pass(code))
		db->fault = code;
	if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB)
		atomic_store(&db->damaged, true);
}

hn_status db_step(struct db *db, sqlite3_stmt *stmt)
{
	int code;

	if (!stmt)
		return HN_EINVAL;
	code = sqlite3_step(stmt);
	note_code(db, code);
	if (code == SQLITE_DONE || code == SQLITE_ROW) {
		(void)sqlite3_reset(stmt);       /* the step succeeded */
		return HN_OK;
	}
	return (code & 0xff) == SQLITE_CONSTRAINT ? HN_ESTATE : HN_EIO;
}

static int exec(struct db *db, const char *sql)
{
	const int code = sqlite3_exec(db->file.conn, sql, NULL, NULL, NULL);

	note_code(db, code);
	return code;
}

static void op_failed(struct db *db, hn_status rc)
{
	unsigned skipped;

	note_code(db, sqlite3_errcode(db->file.conn));
	if (db->fault || !log_allow(&db->op_limit, 5, 60.0, &skipped))
		return;
	log_err("event=db_operation error=\"%s\" sqlite=\"%s\" skipped=%u next=\"this operation alone "
	        "is undone\"", hn_status_text(rc), sqlite3_errmsg(db->file.conn), skipped);
}

/* Run one operation in a savepoint.  False: the whole transaction must be undone. */
static bool op_run(struct db *db, struct db_op *op)
{
	if (exec(db, "SAVEPOINT op") != SQLITE_OK)
		return false;
	op->rc = op->run(op, db);
	if (op->rc)
		op_failed(db, op->rc);
	stmts_reset(db);
	if (db->fault || sqlite3_get_autocommit(db->file.conn))
		return false;
	if (op->rc && exec(db, "ROLLBACK TO op") != SQLITE_OK)
		return false;
	return exec(db, "RELEASE op") == SQLITE_OK;
}

/* One try.  False: nothing is in the database. */
static bool transaction(struct db *db, struct db_op *head)
{
	db->fault = SQLITE_OK;
	if (exec(db, "BEGIN IMMEDIATE") != SQLITE_OK)
		return false;
	for (struct db_op *op = head; op; op = op->next)
		if (!op_run(db, op))
			goto undo;
	if (exec(db, "COMMIT") == SQLITE_OK)
		return true;
undo:
	db->undone++;
	if (!sqlite3_get_autocommit(db->file.conn))
		(void)sqlite3_exec(db->file.conn, "ROLLBACK", NULL, NULL, NULL); /* nothing else to do */
	return false;
}

/* Wait after the n-th try (from 0): a lock or a hiccup passes soon, a full disk does not.  False:
 * db_close has no more patience. */
static bool retry_wait(struct db *db, int n, int *tries_left)
{
	const uint64_t ms = n < RETRY_DOUBLINGS ? (uint64_t)DB_RETRY_MS >> (RETRY_DOUBLINGS - n) :
	                    (uint64_t)DB_RETRY_MS;
	const uint64_t until = uv_hrtime() + ms * 1000000u;
	bool closing;

	uv_mutex_lock(&db->lock);
	while (!db->closing && uv_hrtime() < until)
		(void)uv_cond_timedwait(&db->changed, &db->lock, until - uv_hrtime());  /* timeout: due */
	closing = db->closing;
	if (closing && --*tries_left > 0)
		(void)uv_cond_timedwait(&db->idle, &db->lock, (uint64_t)CLOSE_RETRY_MS * 1000000u);
	uv_mutex_unlock(&db->lock);
	return !closing || *tries_left > 0;
}

/* Bring the operations into the database, however long the disk takes. */
static void batch_run(struct db *db, struct db_op *head)
{
	int tries_left = DB_CLOSE_TRIES, tries = 0;
	unsigned skipped;

	while (!transaction(db, head)) {
		if (log_allow(&db->disk_limit, 3, 60.0, &skipped))
			log_err("event=db_disk error=\"%s\" code=%d skipped=%u next=\"the transaction is "
			        "tried again, every %d ms at last\"", sqlite3_errstr(db->code),
			        db->code, skipped, DB_RETRY_MS);
		if (retry_wait(db, tries++, &tries_left))
			continue;
		log_err("event=db_close error=\"the disk refuses the last operations: not saved\"");
		for (struct db_op *op = head; op; op = op->next)
			op->rc = HN_EIO;
		return;
	}
	if (tries > 0)
		log_note("event=db_disk state=recovered tries=%d", tries);
}

/* --- writer -------------------------------------------------------------------------------- */

/* With the lock: until there is something to commit and it is time. */
static void work_wait(struct db *db)
{
	for (;;) {
		const uint64_t now = uv_hrtime();

		if (db->stop || (db->wait.head && (db->hurry || db->closing)))
			return;
		if (!db->wait.head) {
			uv_cond_wait(&db->changed, &db->lock);
			continue;
		}
		if (now - db->since_ns >= db->every_ns)
			return;
		(void)uv_cond_timedwait(&db->changed, &db->lock, db->every_ns - (now - db->since_ns));
	}
}

static void writer(void *arg)
{
	struct db *db = arg;
	struct list batch;

	list_clear(&batch);
	uv_mutex_lock(&db->lock);
	for (;;) {
		work_wait(db);
		if (!db->wait.head)
			break;                   /* stop */
		list_join(&batch, &db->wait);
		db->n_wait = 0;
		db->hurry = false;
		db->running = true;
		uv_mutex_unlock(&db->lock);
		batch_run(db, batch.head);
		uv_mutex_lock(&db->lock);
		list_join(&db->finished, &batch);
		db->running = false;
		uv_cond_broadcast(&db->idle);
		(void)uv_async_send(&db->wake->async);   /* fails only on a closed handle */
	}
	uv_mutex_unlock(&db->lock);
}

/* --- loop side ----------------------------------------------------------------------------- */

static void deliver(struct db *db)
{
	struct list l;

	list_clear(&l);
	uv_mutex_lock(&db->lock);
	list_join(&l, &db->finished);
	uv_mutex_unlock(&db->lock);
	while (l.head) {
		struct db_op *op = l.head;

		l.head = op->next;
		op->next = NULL;
		atomic_fetch_sub(&db->backlog, 1);
		op->done(op, op->rc);
	}
}

static void on_wake(uv_async_t *async)
{
	struct wake *w = async->data;

	if (w->db)
		deliver(w->db);
}

static void on_wake_closed(uv_handle_t *h)
{
	free(h->data);
}

hn_status db_submit(struct db *db, struct db_op *op)
{
	hn_status rc = HN_OK;

	assert(op->run && op->done);
	uv_mutex_lock(&db->lock);
	if (db->stop) {
		rc = HN_ESTATE;
	} else if (db->n_wait >= DB_QUEUE_MAX && !op->standing) {
		rc = HN_EFULL;
	} else {
		if (!db->wait.head)
			db->since_ns = uv_hrtime();
		list_add(&db->wait, op);
		db->n_wait++;
		atomic_fetch_add(&db->backlog, 1);
		db->hurry = db->hurry || op->urgent;
		uv_cond_broadcast(&db->changed);
	}
	uv_mutex_unlock(&db->lock);
	return rc;
}

void db_flush(struct db *db)
{
	uv_mutex_lock(&db->lock);
	if (db->wait.head) {
		db->hurry = true;
		uv_cond_broadcast(&db->changed);
	}
	uv_mutex_unlock(&db->lock);
}

int db_backlog(const struct db *db)
{
	return atomic_load(&db->backlog);
}

bool db_damaged(const struct db *db)
{
	return atomic_load(&db->damaged);
}

/* --- life cycle ---------------------------------------------------------------------------- */

/* Handles of libuv that db needs; on failure nothing is left behind. */
static hn_status sync_init(struct db *db, uv_loop_t *loop)
{
	if (uv_mutex_init(&db->lock) != 0)
		return HN_ENOMEM;
	if (uv_cond_init(&db->changed) != 0)
		goto no_changed;
	if (uv_cond_init(&db->idle) != 0)
		goto no_idle;
	db->wake = calloc(1, sizeof *db->wake);
	if (!db->wake)
		goto no_wake;
	if (uv_async_init(loop, &db->wake->async, on_wake) != 0)
		goto no_async;
	db->wake->async.data = db->wake;
	db->wake->db = db;
	return HN_OK;
no_async:
	free(db->wake);
no_wake:
	uv_cond_destroy(&db->idle);
no_idle:
	uv_cond_destroy(&db->changed);
no_changed:
	uv_mutex_destroy(&db->lock);
	return HN_ENOMEM;
}

static void sync_done(struct db *db)
{
	db->wake->db = NULL;
	uv_close((uv_handle_t *)&db->wake->async, on_wake_closed);
	uv_cond_destroy(&db->idle);
	uv_cond_destroy(&db->changed);
	uv_mutex_destroy(&db->lock);
}

hn_status db_open(struct db **out, uv_loop_t *loop, const struct db_cfg *cfg, struct hn_err *err)
{
	struct db *db = calloc(1, sizeof *db);
	hn_status rc;

	if (!db)
		return hn_fail(err, HN_ENOMEM, "database: out of memory");
	list_clear(&db->wait);
	list_clear(&db->finished);
	db->every_ns = (uint64_t)(cfg->commit_every_s > 0.0 ? cfg->commit_every_s * 1e9 : 0.0);
	rc = db_file_open(&db->file, cfg->path, err);
	if (rc)
		goto no_file;
	rc = sync_init(db, loop);
	if (rc)
		goto no_sync;
	if (uv_thread_create(&db->thread, writer, db) != 0)
		goto no_thread;
	*out = db;
	return HN_OK;
no_thread:
	sync_done(db);
	rc = HN_ENOMEM;
no_sync:
	(void)hn_fail(err, rc, "database: cannot start the writer: %s", hn_status_text(rc));
	db_file_close(&db->file, true);
no_file:
	free(db);
	return rc;
}

/* Until nothing waits; `done`s may submit more, but not for ever. */
static void drain(struct db *db)
{
	bool more = true;

	for (int i = 0; more && i < CLOSE_ROUNDS; i++) {
		uv_mutex_lock(&db->lock);
		db->closing = true;
		uv_cond_broadcast(&db->changed);
		while (db->wait.head || db->running)
			uv_cond_wait(&db->idle, &db->lock);
		uv_mutex_unlock(&db->lock);
		deliver(db);
		uv_mutex_lock(&db->lock);
		more = db->wait.head != NULL;
		uv_mutex_unlock(&db->lock);
	}
}

void db_close(struct db *db)
{
	if (!db)
		return;
	drain(db);
	uv_mutex_lock(&db->lock);
	db->stop = true;
	uv_cond_broadcast(&db->changed);
	uv_mutex_unlock(&db->lock);
	(void)uv_thread_join(&db->thread);       /* fails only on a thread that is not ours */
	deliver(db);
	stmts_done(db);
	sync_done(db);
	db_file_close(&db->file, !db_damaged(db));
	free(db);
}
