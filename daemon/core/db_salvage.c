/* db_salvage.c - copy what can be read of a corrupt database.
 *
 * Each table is read in order of its rowid.  Where reading fails, the search goes on behind the
 * last row that was good, with a step that doubles until something can be read again: a damaged
 * page costs at most twice its rows.  Blocks of frames prove themselves by their CRC-32C. */
#include "db_file.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "hn_block.h"

enum { GAPS_MAX = 10000, SQL_MAX = 1024 };

/* Most precious first.  Tables without rowid (roll_*) are summaries of what is copied anyway. */
static const char *const tables[] = {
	"model", "version", "label", "stream", "device", "rollout", "rollout_device", "policy_state",
	"monitor_state", "episode", "job", "label_request", "journal", "hot", "chunk", "prediction"
};

struct copy {
	sqlite3_stmt *in, *out;
	struct db_salvage *found;
	int n_columns, i_data;   /* i_data: column of the block, -1 = a table without            */
	int64_t last;            /* rowid                                                        */
	bool moved;              /* a row was read since the last failure                        */
};

/* Column names of `table`, comma separated, as the old file has them. */
static bool column_list(sqlite3 *old, const char *table, char *out, int *i_data)
{
	sqlite3_stmt *stmt = NULL;
	size_t used = 0;
	int n = 0;

	*i_data = -1;
	if (sqlite3_prepare_v2(old, "SELECT name FROM pragma_table_info(?)", -1, &stmt, NULL))
		return false;
	(void)sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);  /* fails: no rows, no copy */
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(stmt, 0);
		const int len = snprintf(out + used, SQL_MAX / 4 - used, "%s\"%s\"", n ? "," : "",
		                         name ? name : "");

		if (len < 0 || (size_t)len >= SQL_MAX / 4 - used)
			break;
		used += (size_t)len;
		if (name && strcmp(name, "data") == 0)
			*i_data = n;
		n++;
	}
	(void)sqlite3_finalize(stmt);    /* read-only */
	return n > 0;
}

static bool copy_open(struct copy *c, sqlite3 *conn, sqlite3 *old, const char *table)
{
	char columns[SQL_MAX / 4], sql[SQL_MAX], marks[SQL_MAX / 4] = "?";

	if (!column_list(old, table, columns, &c->i_data))
		return false;
	if (strcmp(table, "hot") != 0 && strcmp(table, "chunk") != 0)
		c->i_data = -1;
	(void)snprintf(sql, sizeof sql, "SELECT rowid,%s FROM \"%s\" WHERE rowid>? ORDER BY rowid",
	               columns, table);
	if (sqlite3_prepare_v2(old, sql, -1, &c->in, NULL))
		return false;
	c->n_columns = sqlite3_column_count(c->in) - 1;
	for (int i = 1; i < c->n_columns; i++)
		(void)snprintf(marks + strlen(marks), sizeof marks - strlen(marks), ",?");
	(void)snprintf(sql, sizeof sql, "INSERT OR IGNORE INTO \"%s\"(%s) VALUES(%s)", table, columns,
	               marks);
	return sqlite3_prepare_v2(conn, sql, -1, &c->out, NULL) == SQLITE_OK;
}

static bool block_is_good(struct copy *c)
{
	const void *data = sqlite3_column_blob(c->in, c->i_data + 1);
	const int len = sqlite3_column_bytes(c->in, c->i_data + 1);

	if (data && hn_block_check(data, (size_t)len) == HN_OK) {
		c->found->chunks++;
		return true;
	}
	c->found->bad_chunks++;
	return false;
}

static int copy_row(struct copy *c)
{
	int rc = SQLITE_OK;

	c->last = sqlite3_column_int64(c->in, 0);
	c->moved = true;
	if (c->i_data >= 0 && !block_is_good(c))
		return SQLITE_OK;
	for (int i = 0; rc == SQLITE_OK && i < c->n_columns; i++)
		rc = sqlite3_bind_value(c->out, i + 1, sqlite3_column_value(c->in, i + 1));
	if (rc == SQLITE_OK)
		rc = sqlite3_step(c->out);
	c->found->rows += rc == SQLITE_DONE;
	(void)sqlite3_reset(c->out);     /* its error is rc */
	return rc == SQLITE_DONE || (rc & 0xff) == SQLITE_CONSTRAINT ? SQLITE_OK : rc;
}

/* Rows behind c->last until the end or the next damage.  SQLITE_DONE: end of the table. */
static int copy_run(struct copy *c, int *write_error)
{
	int rc = sqlite3_bind_int64(c->in, 1, c->last);

	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(c->in);
		if (rc == SQLITE_ROW)
			*write_error = copy_row(c);
		if (*write_error)
			break;
	}
	(void)sqlite3_reset(c->in);      /* its error is rc */
	return rc;
}

static int copy_table(struct copy *c)
{
	int64_t step = 1;
	int write_error = SQLITE_OK;

	c->last = INT64_MIN;
	for (int i = 0; i < GAPS_MAX; i++) {
		c->moved = false;
		if (copy_run(c, &write_error) == SQLITE_DONE || write_error)
			return write_error;
		if (c->last == INT64_MIN)
			c->last = 0;             /* ids count from 1 */
		step = c->moved ? 1 : step * 2;
		c->found->gaps += c->moved;
		if (c->last > INT64_MAX - step)
			return SQLITE_OK;
		c->last += step;
	}
	return SQLITE_OK;
}

hn_status db_salvage(sqlite3 *conn, const char *old, struct db_salvage *found)
{
	sqlite3 *from = NULL;
	int rc = sqlite3_open_v2(old, &from, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	*found = (struct db_salvage){ 0 };
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(conn, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	for (size_t i = 0; rc == SQLITE_OK && i < sizeof tables / sizeof tables[0]; i++) {
		struct copy c = { .found = found };

		if (copy_open(&c, conn, from, tables[i]))
			rc = copy_table(&c);
		(void)sqlite3_finalize(c.in);    /* errors were seen at the step */
		(void)sqlite3_finalize(c.out);
	}
	if (!sqlite3_get_autocommit(conn)) {
		const int end = sqlite3_exec(conn, "COMMIT", NULL, NULL, NULL);

		rc = rc ? rc : end;
	}
	(void)sqlite3_close(from);       /* set aside: never written again */
	return rc == SQLITE_OK ? HN_OK : HN_EIO;
}
