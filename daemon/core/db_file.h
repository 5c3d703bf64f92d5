/* db_file.h - the database file: lock, set-up, migration, check after an unclean end, salvage.
 * Private to db*.c. */
#ifndef DB_FILE_H
#define DB_FILE_H

#include <sqlite3.h>
#include <stdbool.h>
#include "hn_status.h"

enum { DB_PATH_MAX = 512 };

struct db_file {
	sqlite3 *conn;           /* read-write, owned                                          */
	int      lock_fd;        /* <path>.lock; holds our pid while we run, empty after a clean end */
};

/* Errors with text: HN_EBUSY (names the pid), HN_EIO, HN_EFORMAT. */
hn_status db_file_open(struct db_file *f, const char *path, struct hn_err *err);

/* Checkpoint and close.  `clean` false: the next start checks the file. */
void db_file_close(struct db_file *f, bool clean);

struct db_salvage { long rows, chunks, bad_chunks, gaps; };

/* Copy what can be read of the file `old` into `conn` (empty tables of the present schema).  Blocks
 * of frames are taken only when their CRC is right. */
hn_status db_salvage(sqlite3 *conn, const char *old, struct db_salvage *found);
#endif
