/* db_reader.c - read-only connections; apart from db.c so that hone-train links no event loop. */
#include "db.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { BUSY_MS = 5000 };

hn_status db_reader(const char *path, sqlite3 **out, struct hn_err *err)
{
	sqlite3 *conn = NULL;
	int rc;

	if (access(path, F_OK) != 0)
		return hn_fail(err, errno == ENOENT ? HN_ENOENT : HN_EIO, "database %s: %s", path,
		               strerror(errno));
	rc = sqlite3_open_v2(path, &conn, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(conn, BUSY_MS);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(conn, "PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;"
		                  "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
	if (rc != SQLITE_OK) {
		(void)hn_fail(err, HN_EIO, "database %s: %s", path,
		              conn ? sqlite3_errmsg(conn) : sqlite3_errstr(rc));
		(void)sqlite3_close(conn);       /* read-only: nothing to lose */
		return HN_EIO;
	}
	*out = conn;
	return HN_OK;
}
