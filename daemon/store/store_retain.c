/* store_retain.c - delete the oldest, a bounded number in one transaction.
 *
 * Age is the wall clock at sealing, not event time: a recording of years ago is kept as long as
 * data of today, and a sensor with a wrong clock is not kept for ever.  Ids grow with that time, so
 * no further index is needed.  Freed pages are used again; the file does not shrink. */
#include "store_write.h"

static hn_status ask(struct db *db, const char *sql, double *value)
{
	sqlite3_stmt *stmt = db_stmt(db, sql);
	const int code = stmt ? sqlite3_step(stmt) : SQLITE_ERROR;

	if (code == SQLITE_ROW)
		*value = sqlite3_column_double(stmt, 0);
	if (stmt)
		(void)sqlite3_reset(stmt);       /* repeats the code of the step */
	return code == SQLITE_ROW ? HN_OK : HN_EIO;
}

/* Bytes in use: pages of the file that are not free. */
static hn_status bytes_used(struct db *db, double *bytes)
{
	double pages = 0, free_pages = 0, size = 0;
	hn_status rc = ask(db, "PRAGMA page_count", &pages);

	if (rc == HN_OK)
		rc = ask(db, "PRAGMA freelist_count", &free_pages);
	if (rc == HN_OK)
		rc = ask(db, "PRAGMA page_size", &size);
	*bytes = (pages - free_pages) * size;
	return rc;
}

/* Last id to delete, 0 = none; *bytes goes down by what they take. */
static hn_status chunks_end(struct db *db, const struct store_retain *r, double *bytes, int64_t *id,
                            int *n)
{
	sqlite3_stmt *stmt = db_stmt(db, "SELECT id,sealed,length(data) FROM chunk ORDER BY id LIMIT ?");
	const double cutoff = (double)r->now_us - r->retain_s * 1e6;
	int code = SQLITE_DONE;

	if (!stmt || sqlite3_bind_int(stmt, 1, RETAIN_CHUNKS))
		return HN_EIO;
	while (code = sqlite3_step(stmt), code == SQLITE_ROW) {
		const bool old = r->retain_s > 0 && sqlite3_column_double(stmt, 1) < cutoff;

		if (!old && !(r->size_max > 0 && *bytes > r->size_max))
			break;
		*id = sqlite3_column_int64(stmt, 0);
		*bytes -= sqlite3_column_double(stmt, 2);
		(*n)++;
	}
	(void)sqlite3_reset(stmt);       /* repeats the code of the step */
	return code == SQLITE_ROW || code == SQLITE_DONE ? HN_OK : HN_EIO;
}

static hn_status delete_predictions(struct db *db, double cutoff)
{
	sqlite3_stmt *stmt = db_stmt(db, "DELETE FROM prediction WHERE id<(SELECT min(id) FROM "
	                             "prediction)+?1 AND made<?2");

	if (!stmt || sqlite3_bind_int(stmt, 1, RETAIN_PREDICTIONS) ||
	    sqlite3_bind_double(stmt, 2, cutoff))
		return HN_EIO;
	return db_step(db, stmt);
}

hn_status store_writer_retain(struct store_writer *w, struct db *db, struct store_retain *r)
{
	double bytes = 0;
	int64_t id = 0;
	int n = 0;
	hn_status rc = store_writer_ready(w, db);

	r->more = false;
	if (rc == HN_OK)
		rc = bytes_used(db, &bytes);
	if (rc == HN_OK)
		rc = chunks_end(db, r, &bytes, &id, &n);
	if (rc == HN_OK && n > 0) {
		sqlite3_stmt *stmt = db_stmt(db, "DELETE FROM chunk WHERE id<=?");

		if (!stmt || sqlite3_bind_int64(stmt, 1, id))
			return HN_EIO;
		rc = db_step(db, stmt);
	}
	if (rc == HN_OK && r->size_max > 0 && bytes > r->size_max && n < RETAIN_CHUNKS)
		rc = delete_predictions(db, 9e18);       /* no chunk is left to delete */
	else if (rc == HN_OK && r->retain_s > 0)
		rc = delete_predictions(db, (double)r->now_us - r->retain_s * 1e6);
	if (rc == HN_OK && r->retain_s > 0 && w->conf->n_streams > 0) {
		w->roll_turn = (w->roll_turn + 1) % w->conf->n_streams;
		rc = store_roll_clean(w, db, w->roll_turn, (int64_t)(r->retain_s * 1e6));
	}
	r->bytes = bytes;
	r->more = n == RETAIN_CHUNKS;
	metric_add(w->n_deleted, n);
	return rc;
}
