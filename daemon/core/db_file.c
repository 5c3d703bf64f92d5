#include "db_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "db.h"
#include "log.h"

enum { BUSY_MS = 2000, SQL_MAX = 128 };

/* 1 KiB pages and a WAL of 4 MiB: least bytes written to flash a sample.  The WAL is reused, not
 * shrunk, up to journal_size_limit. */
static const char setup[] =
	"PRAGMA page_size=1024; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
	"PRAGMA wal_autocheckpoint=4096; PRAGMA journal_size_limit=8388608;"
	"PRAGMA cache_size=-2048; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;";

static bool path_add(char out[DB_PATH_MAX], const char *path, const char *suffix)
{
	const int n = snprintf(out, DB_PATH_MAX, "%s%s", path, suffix);

	return n > 0 && n < DB_PATH_MAX;
}

/* Make a created or renamed name durable; some file systems refuse, which costs nothing but
 * that. */
static void sync_directory(const char *path)
{
	char dir[DB_PATH_MAX];
	char *slash;
	int fd;

	if (!path_add(dir, path, ""))
		return;
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir ? 1 : 0] = 0;
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fsync(fd);        /* best effort, see above */
	(void)close(fd);
}

/* --- lock ---------------------------------------------------------------------------------- */

/* What a person can do about a file that cannot be made. */
static const char *next_step(int error)
{
	switch (error) {
	case ENOENT: return "make its directory, or change store.path";
	case EACCES: case EPERM: case EROFS: return "let honed's user write there, or change store.path";
	case ENOSPC: return "make room on the disk";
	default: return "see store.path";
	}
}

static hn_status lock_take(struct db_file *f, const char *path, bool *seen, bool *unclean,
                           struct hn_err *err)
{
	char name[DB_PATH_MAX], text[32] = "";
	ssize_t n;
	struct stat st;

	if (!path_add(name, path, ".lock"))
		return hn_fail(err, HN_ERANGE, "database %s: the path is too long", path);
	*seen = stat(name, &st) == 0;
	f->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (f->lock_fd < 0)
		return hn_fail(err, HN_EIO, "database %s: its lock file %s: %s; %s", path, name,
		               strerror(errno), next_step(errno));
	n = flock(f->lock_fd, LOCK_EX | LOCK_NB);
	if (n != 0 && errno != EWOULDBLOCK)
		return hn_fail(err, HN_EIO, "lock file %s: %s", name, strerror(errno));
	if (n != 0) {
		n = pread(f->lock_fd, text, sizeof text - 1, 0);
		text[strcspn(text, "\n")] = 0;
		return hn_fail(err, HN_EBUSY, "database %s is in use by process %s: stop it, or change "
		               "store.path", path, n > 0 ? text : "(unknown)");
	}
	*unclean = pread(f->lock_fd, text, sizeof text - 1, 0) > 0;
	n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(f->lock_fd, 0) != 0 || pwrite(f->lock_fd, text, (size_t)n, 0) != n ||
	    fsync(f->lock_fd) != 0)
		return hn_fail(err, HN_EIO, "lock file %s: %s", name, strerror(errno));
	sync_directory(name);
	return HN_OK;
}

static void lock_release(struct db_file *f, bool clean)
{
	if (f->lock_fd < 0)
		return;
	if (clean && (ftruncate(f->lock_fd, 0) != 0 || fsync(f->lock_fd) != 0))
		log_warn("event=db_lock error=\"%s\" next=\"the next start checks the database\"",
		         strerror(errno));
	(void)close(f->lock_fd);
	f->lock_fd = -1;
}

/* A lock file says that honed has had the database open: not true of one that we could not open. */
static void lock_remove(const char *path)
{
	char name[DB_PATH_MAX];

	if (path_add(name, path, ".lock"))
		(void)unlink(name);      /* at worst it stays */
}

/* --- open and migrate ---------------------------------------------------------------------- */

static int exec(sqlite3 *conn, const char *sql)
{
	return sqlite3_exec(conn, sql, NULL, NULL, NULL);
}

/* First column of the first row as a number. */
static int ask(sqlite3 *conn, const char *sql, int *value)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(conn, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*value = sqlite3_column_int(stmt, 0);
	(void)sqlite3_finalize(stmt);    /* its error is rc */
	return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int migrate_step(sqlite3 *conn, int i)
{
	char sql[SQL_MAX];
	int rc = exec(conn, "BEGIN IMMEDIATE");

	(void)snprintf(sql, sizeof sql, "PRAGMA user_version=%d; COMMIT", i + 1);
	if (rc == SQLITE_OK)
		rc = exec(conn, db_migrations[i]);
	if (rc == SQLITE_OK)
		rc = exec(conn, sql);
	return rc;
}

static int migrate(sqlite3 *conn, const char *path, struct hn_err *err)
{
	int version = 0;
	int rc = ask(conn, "PRAGMA user_version", &version);

	if (rc == SQLITE_OK && version > db_n_migrations) {
		(void)hn_fail(err, HN_EFORMAT, "database %s has schema %d; this honed knows up to %d: "
		              "it was written by a newer one", path, version, db_n_migrations);
		return SQLITE_MISMATCH;
	}
	for (int i = version; rc == SQLITE_OK && i < db_n_migrations; i++) {
		rc = migrate_step(conn, i);
		if (rc == SQLITE_OK)
			log_info("event=db_migrated path=\"%s\" schema=%d", path, i + 1);
	}
	return rc;
}

/* SQLITE_OK when the structure of the file is sound. */
static int quick_check(sqlite3 *conn)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(conn, "PRAGMA quick_check(1)", -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(stmt, 0);

		rc = text && strcmp(text, "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
		if (rc != SQLITE_OK)
			log_err("event=db_check result=\"%.200s\"", text ? text : "");
	}
	(void)sqlite3_finalize(stmt);    /* its error is rc */
	return rc;
}

/* What the operator can do about it. */
static const char *open_advice(int code)
{
	switch (code & 0xff) {
	case SQLITE_NOTADB: case SQLITE_CORRUPT:
		return ": it was never honed's; move it away, or change store.path";
	case SQLITE_FULL:
		return ": make room there, or change store.path";
	default:
		return "";
	}
}

/* Open, check when asked to, bring to the present schema.  Returns an SQLite code; on failure the
 * connection is closed and `err` may have a text. */
static int conn_open(sqlite3 **out, const char *path, bool check, struct hn_err *err)
{
	sqlite3 *conn = NULL;
	int rc = sqlite3_open_v2(path, &conn, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
	                         SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(conn, BUSY_MS);
	if (rc == SQLITE_OK)
		rc = exec(conn, setup);
	if (rc == SQLITE_OK && check)
		rc = quick_check(conn);
	if (rc == SQLITE_OK)
		rc = migrate(conn, path, err);
	if (rc == SQLITE_OK) {
		*out = conn;
		return rc;
	}
	if ((rc & 0xff) != SQLITE_CORRUPT && (rc & 0xff) != SQLITE_NOTADB)
		(void)hn_fail(err, HN_EIO, "database %s: %s%s", path,
		              conn ? sqlite3_errmsg(conn) : sqlite3_errstr(rc), open_advice(rc));
	(void)sqlite3_close(conn);       /* it never worked */
	return rc;
}

/* --- corrupt file -------------------------------------------------------------------------- */

/* Rename the file and its WAL; `aside` gets the new name. */
static hn_status set_aside(const char *path, char aside[DB_PATH_MAX], struct hn_err *err)
{
	char from[DB_PATH_MAX], to[DB_PATH_MAX], when[40], suffix[64];

	clock_format(clock_now_us(), when, sizeof when);
	for (char *p = when; *p; p++)
		if (*p == ':')
			*p = '-';
	(void)snprintf(suffix, sizeof suffix, ".corrupt-%s", when);
	if (!path_add(aside, path, suffix) || !path_add(from, path, "-wal") ||
	    !path_add(to, aside, "-wal"))
		return hn_fail(err, HN_ERANGE, "database %s: the path is too long", path);
	if (rename(from, to) != 0 && errno != ENOENT)
		return hn_fail(err, HN_EIO, "%s: cannot rename: %s", from, strerror(errno));
	if (rename(path, aside) != 0)
		return hn_fail(err, HN_EIO, "%s: cannot rename: %s", path, strerror(errno));
	if (path_add(from, path, "-shm"))
		(void)unlink(from);              /* an index of the WAL, made anew when missing */
	sync_directory(path);
	return HN_OK;
}

static hn_status start_anew(struct db_file *f, const char *path, struct hn_err *err)
{
	struct db_salvage got = { 0 };
	char aside[DB_PATH_MAX];
	hn_status rc = set_aside(path, aside, err);

	if (rc)
		return rc;
	log_err("event=db_corrupt path=\"%s\" aside=\"%s\" next=\"starting a new database and "
	        "copying what can be read\"", path, aside);
	if (conn_open(&f->conn, path, false, err) != SQLITE_OK)
		return hn_fail(err, HN_EIO, "database %s: cannot be created anew", path);
	rc = db_salvage(f->conn, aside, &got);
	if (rc)
		log_err("event=db_salvage aside=\"%s\" error=\"%s\"", aside, hn_status_text(rc));
	else
		log_note("event=db_salvage aside=\"%s\" rows=%ld blocks=%ld bad_blocks=%ld gaps=%ld",
		         aside, got.rows, got.chunks, got.bad_chunks, got.gaps);
	return HN_OK;
}

/* --- whole --------------------------------------------------------------------------------- */

hn_status db_file_open(struct db_file *f, const char *path, struct hn_err *err)
{
	bool seen = false, unclean = false;
	hn_status rc;
	int code;

	*f = (struct db_file){ .lock_fd = -1 };
	rc = lock_take(f, path, &seen, &unclean, err);
	if (rc) {
		lock_release(f, false);
		return rc;
	}
	if (unclean)
		log_note("event=db_unclean path=\"%s\" next=\"checking the database\"", path);
	code = conn_open(&f->conn, path, unclean, err);
	if (code == SQLITE_OK)
		return HN_OK;
	/* A file that no honed has had open is somebody else's: it stays where it is. */
	if (((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB) && seen)
		rc = start_anew(f, path, err);
	else
		rc = hn_fail(err, (code & 0xff) == SQLITE_MISMATCH ||
		             (code & 0xff) == SQLITE_NOTADB ? HN_EFORMAT : HN_EIO,
		             "database %s: %s%s", path, sqlite3_errstr(code), open_advice(code));
	if (rc && !seen)
		lock_remove(path);
	if (rc)
		db_file_close(f, !unclean);
	return rc;
}

void db_file_close(struct db_file *f, bool clean)
{
	if (f->conn && sqlite3_close(f->conn) != SQLITE_OK) {
		log_err("event=db_close error=\"%s\"", sqlite3_errmsg(f->conn));
		clean = false;
	}
	f->conn = NULL;
	lock_release(f, clean);
}
