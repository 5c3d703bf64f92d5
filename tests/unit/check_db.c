/* check_db.c - the writer thread: order, savepoints, urgency, limits, one instance, reopening,
 * salvage. */
#include <check.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "db.h"
#include "hn_block.h"
#include "log.h"
#include "t_dir.h"
#include "t_run.h"

static struct t_dir dir;
static uv_loop_t loop;
static struct db *db;
static int seen[8192], n_seen;
static bool all_seen;
static int expected;

struct put {                             /* inserts policy_state(model, data)          */
	struct db_op op;
	int number;
	hn_status give;                  /* what run() returns after the insert        */
	hn_status got;
	hn_status *result;               /* where `done` leaves its status             */
};

static hn_status put_run(struct db_op *op, struct db *d)
{
	const struct put *p = (const struct put *)op;
	sqlite3_stmt *stmt = db_stmt(d, "INSERT INTO policy_state(model,data) VALUES(?,'x')");
	hn_status rc;

	ck_assert_int_eq(sqlite3_bind_int(stmt, 1, p->number), SQLITE_OK);
	rc = db_step(d, stmt);
	return rc ? rc : p->give;
}

static void put_done(struct db_op *op, hn_status rc)
{
	struct put *p = (struct put *)op;

	if (p->result)
		*p->result = rc;
	seen[n_seen++] = p->number;
	all_seen = n_seen >= expected;
	free(p);
}

static struct put *put_new(int number)
{
	struct put *p = calloc(1, sizeof *p);

	ck_assert_ptr_nonnull(p);
	*p = (struct put){ .op = { .run = put_run, .done = put_done }, .number = number };
	return p;
}

static void start(double commit_every_s)
{
	struct db_cfg cfg = { dir.db, commit_every_s };
	struct hn_err err = { 0 };

	ck_assert_msg(db_open(&db, &loop, &cfg, &err) == HN_OK, "%s", err.text);
	n_seen = 0;
	all_seen = false;
}

static void stop(void)
{
	db_close(db);
	db = NULL;
	(void)uv_run(&loop, UV_RUN_NOWAIT);
}

static int count(const char *sql)
{
	sqlite3 *reader = NULL;
	sqlite3_stmt *stmt = NULL;
	struct hn_err err = { 0 };
	int n;

	ck_assert_msg(db_reader(dir.db, &reader, &err) == HN_OK, "%s", err.text);
	ck_assert_msg(sqlite3_prepare_v2(reader, sql, -1, &stmt, NULL) == SQLITE_OK, "%s",
	              sqlite3_errmsg(reader));
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int(stmt, 0);
	ck_assert_int_eq(sqlite3_finalize(stmt), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(reader), SQLITE_OK);
	return n;
}

static void setup(void)
{
	log_set_level(LOG_ERR);
	t_dir_make(&dir);
	ck_assert_int_eq(uv_loop_init(&loop), 0);
}

static void teardown(void)
{
	t_loop_end(&loop);
	t_dir_remove(&dir);
}

START_TEST(done_comes_in_order_of_submission_and_after_the_commit)
{
	start(0.01);
	expected = 1000;
	for (int i = 1; i <= 1000; i++)
		ck_assert_int_eq(db_submit(db, &put_new(i)->op), HN_OK);
	ck_assert(t_loop_until(&loop, &all_seen, 10));
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(seen[i], i + 1);
	ck_assert_int_eq(count("SELECT count(*) FROM policy_state"), 1000);
	ck_assert_int_eq(db_backlog(db), 0);
	stop();
}
END_TEST

START_TEST(a_failing_operation_is_undone_alone)
{
	hn_status bad = HN_OK, twice = HN_OK, good = HN_EIO;
	struct put *p;

	start(0.01);
	expected = 4;
	ck_assert_int_eq(db_submit(db, &put_new(1)->op), HN_OK);
	p = put_new(2);
	p->give = HN_ERANGE;
	p->result = &bad;
	ck_assert_int_eq(db_submit(db, &p->op), HN_OK);
	p = put_new(1);                          /* breaks the primary key */
	p->result = &twice;
	ck_assert_int_eq(db_submit(db, &p->op), HN_OK);
	p = put_new(3);
	p->result = &good;
	ck_assert_int_eq(db_submit(db, &p->op), HN_OK);
	ck_assert(t_loop_until(&loop, &all_seen, 10));
	ck_assert_int_eq(bad, HN_ERANGE);
	ck_assert_int_eq(twice, HN_ESTATE);
	ck_assert_int_eq(good, HN_OK);
	ck_assert_int_eq(count("SELECT sum(model) FROM policy_state"), 4);
	stop();
}
END_TEST

START_TEST(an_urgent_operation_does_not_wait_for_commit_every)
{
	struct put *p = put_new(2);
	uint64_t begin;

	start(30.0);
	expected = 2;
	begin = uv_hrtime();
	p->op.urgent = true;
	ck_assert_int_eq(db_submit(db, &put_new(1)->op), HN_OK);
	ck_assert_int_eq(db_submit(db, &p->op), HN_OK);
	ck_assert(t_loop_until(&loop, &all_seen, 10));
	ck_assert_uint_lt(uv_hrtime() - begin, 10000000000u);
	stop();
}
END_TEST

START_TEST(a_flush_commits_what_waits)
{
	start(30.0);
	expected = 1;
	db_flush(db);                            /* nothing waits: no effect */
	ck_assert_int_eq(db_submit(db, &put_new(1)->op), HN_OK);
	db_flush(db);
	ck_assert(t_loop_until(&loop, &all_seen, 10));
	stop();
}
END_TEST

START_TEST(commits_wait_for_commit_every)
{
	start(0.3);
	expected = 1;
	const uint64_t begin = uv_hrtime();
	ck_assert_int_eq(db_submit(db, &put_new(1)->op), HN_OK);
	ck_assert(t_loop_until(&loop, &all_seen, 10));
	ck_assert_uint_ge(uv_hrtime() - begin, 290000000u);
	stop();
}
END_TEST

START_TEST(a_full_queue_refuses_and_keeps_what_it_took)
{
	struct put *extra = put_new(DB_QUEUE_MAX + 1), *standing = put_new(DB_QUEUE_MAX + 2);

	start(30.0);
	for (int i = 1; i <= DB_QUEUE_MAX; i++)
		ck_assert_int_eq(db_submit(db, &put_new(i)->op), HN_OK);
	ck_assert_int_eq(db_submit(db, &extra->op), HN_EFULL);
	free(extra);
	standing->op.standing = true;
	ck_assert_int_eq(db_submit(db, &standing->op), HN_OK);
	ck_assert_int_eq(db_backlog(db), DB_QUEUE_MAX + 1);
	stop();
	ck_assert_int_eq(n_seen, DB_QUEUE_MAX + 1);
	ck_assert_int_eq(count("SELECT count(*) FROM policy_state"), DB_QUEUE_MAX + 1);
}
END_TEST

START_TEST(closing_commits_what_waits_and_reopening_finds_it)
{
	start(30.0);
	for (int i = 1; i <= 5; i++)
		ck_assert_int_eq(db_submit(db, &put_new(i)->op), HN_OK);
	stop();
	ck_assert_int_eq(n_seen, 5);
	start(30.0);
	ck_assert_int_eq(count("SELECT count(*) FROM policy_state"), 5);
	ck_assert_int_eq(count("PRAGMA user_version"), db_n_migrations);
	ck_assert_int_eq(count("PRAGMA page_size"), 1024);
	stop();
}
END_TEST

START_TEST(a_second_instance_is_refused_and_told_the_pid)
{
	struct db_cfg cfg = { dir.db, 1.0 };
	struct hn_err err = { 0 };
	struct db *other = NULL;
	char pid[32];

	start(1.0);
	ck_assert_int_eq(db_open(&other, &loop, &cfg, &err), HN_EBUSY);
	ck_assert_int_gt(snprintf(pid, sizeof pid, "process %ld", (long)getpid()), 0);
	ck_assert_msg(strstr(err.text, pid) != NULL, "%s", err.text);
	ck_assert_ptr_null(other);
	stop();
}
END_TEST

START_TEST(a_missing_directory_is_an_error_with_its_name)
{
	struct db_cfg cfg = { "/nonexistent-directory/x.db", 1.0 };
	struct hn_err err = { 0 };

	ck_assert_int_eq(db_open(&db, &loop, &cfg, &err), HN_EIO);
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent-directory/x.db"));
}
END_TEST

static void write_file(const char *path, off_t at, const void *bytes, size_t n)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, n, at), (ssize_t)n);
	ck_assert_int_eq(close(fd), 0);
}

START_TEST(a_file_that_is_not_a_database_is_refused_and_left_alone)
{
	struct db_cfg cfg = { dir.db, 1.0 };
	char text[2000];

	memset(text, 'x', sizeof text);
	write_file(dir.db, 0, text, sizeof text);
	for (int i = 0; i < 2; i++) {
		struct hn_err err = { 0 };

		ck_assert_int_eq(db_open(&db, &loop, &cfg, &err), HN_EFORMAT);
		ck_assert_int_eq(t_dir_count(&dir, "corrupt"), 0);
	}
}
END_TEST

START_TEST(a_database_of_a_newer_honed_is_refused)
{
	struct db_cfg cfg = { dir.db, 1.0 };
	struct hn_err err = { 0 };
	sqlite3 *conn;

	start(1.0);
	stop();
	ck_assert_int_eq(sqlite3_open(dir.db, &conn), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(conn, "PRAGMA user_version=999", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(conn), SQLITE_OK);
	ck_assert_int_eq(db_open(&db, &loop, &cfg, &err), HN_EFORMAT);
	ck_assert_ptr_nonnull(strstr(err.text, "999"));
}
END_TEST

/* A block of three frames, as the store would write it. */
static size_t make_block(uint8_t *out, size_t cap)
{
	int64_t event[3] = { 10, 20, 30 }, ingest[3] = { 11, 21, 31 };
	int32_t raw[3] = { 1, 2, 3 };
	uint8_t quality[3] = { 1, 1, 1 };
	struct hn_block b = { 3, 3, 1, 3, event, ingest, raw, quality };
	size_t len = 0;

	ck_assert_int_eq(hn_block_write(&b, NULL, out, cap, &len), HN_OK);
	return len;
}

static hn_status chunks_run(struct db_op *op, struct db *d)
{
	uint8_t block[256];
	size_t len = make_block(block, sizeof block);
	hn_status rc = HN_OK;

	(void)op;
	for (int i = 1; i <= 2000 && rc == HN_OK; i++) {
		sqlite3_stmt *stmt = db_stmt(d, "INSERT INTO chunk(id,stream,t0,t1,n,sealed,codec,crc,"
		                             "data) VALUES(?,1,10,30,3,0,1,0,?)");

		block[len - 1] ^= (uint8_t)(i == 1000);  /* one with a wrong CRC */
		ck_assert_int_eq(sqlite3_bind_int(stmt, 1, i), SQLITE_OK);
		ck_assert_int_eq(sqlite3_bind_blob(stmt, 2, block, (int)len, SQLITE_TRANSIENT), SQLITE_OK);
		rc = db_step(d, stmt);
		block[len - 1] ^= (uint8_t)(i == 1000);
	}
	return rc;
}

/* Byte at which a page begins that holds blocks: the middle one of all, behind the head of the file
 * and far from its end. */
static off_t page_of_blocks(const char *path)
{
	uint8_t block[256], page[1024];
	const size_t len = make_block(block, sizeof block);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t at[1024] = { 0 };
	size_t n = 0;

	ck_assert_int_ge(fd, 0);
	for (off_t p = 0; pread(fd, page, sizeof page, p) == (ssize_t)sizeof page; p += 1024)
		if (memmem(page, sizeof page, block, len) && n < sizeof at / sizeof at[0])
			at[n++] = p;
	(void)close(fd);                 /* read-only: nothing to lose */
	ck_assert_uint_gt(n, 40);        /* else a page would be a large part of all rows */
	return at[n / 2];
}

static void free_done(struct db_op *op, hn_status rc)
{
	ck_assert_int_eq(rc, HN_OK);
	free(op);
}

START_TEST(a_corrupt_database_is_set_aside_and_its_blocks_salvaged)
{
	struct db_op *op = calloc(1, sizeof *op);
	char lock[T_PATH_MAX];
	uint8_t junk[1024];
	int n;

	start(1.0);
	*op = (struct db_op){ .run = chunks_run, .done = free_done };
	ck_assert_int_eq(db_submit(db, op), HN_OK);
	ck_assert_int_eq(db_submit(db, &put_new(7)->op), HN_OK);
	stop();
	memset(junk, 0xa5, sizeof junk);
	write_file(dir.db, page_of_blocks(dir.db), junk, sizeof junk);
	t_dir_file(&dir, "test.db.lock", lock);
	write_file(lock, 0, "1\n", 2);                          /* as after a power cut */
	start(1.0);
	ck_assert_int_eq(t_dir_count(&dir, "corrupt"), 1);
	n = count("SELECT count(*) FROM chunk");
	ck_assert_int_lt(n, 1999);
	ck_assert_int_gt(n, 1900);
	ck_assert_int_eq(count("SELECT count(*) FROM chunk WHERE id=1000"), 0);
	ck_assert_int_eq(count("SELECT count(*) FROM policy_state WHERE model=7"), 1);
	stop();
}
END_TEST

START_TEST(an_unclean_end_of_a_sound_database_changes_nothing)
{
	char lock[T_PATH_MAX];

	start(1.0);
	ck_assert_int_eq(db_submit(db, &put_new(7)->op), HN_OK);
	stop();
	t_dir_file(&dir, "test.db.lock", lock);
	write_file(lock, 0, "1\n", 2);
	start(1.0);
	ck_assert_int_eq(t_dir_count(&dir, "corrupt"), 0);
	ck_assert_int_eq(count("SELECT count(*) FROM policy_state WHERE model=7"), 1);
	stop();
}
END_TEST

/* Operations whose number of tries counts what SQLite is allowed to grow to. */
static hn_status grow_run(struct db_op *op, struct db *d)
{
	struct put *p = (struct put *)op;
	sqlite3_stmt *stmt;
	char limit[64];

	p->got++;                                        /* number of tries, as a status */
	(void)snprintf(limit, sizeof limit, "PRAGMA max_page_count=%d", (int)p->got < 2 ? 1 : 100000);
	ck_assert_int_eq(sqlite3_exec(db_handle(d), limit, NULL, NULL, NULL), SQLITE_OK);
	stmt = db_stmt(d, "INSERT INTO policy_state(model,data) VALUES(?,zeroblob(100000))");
	ck_assert_int_eq(sqlite3_bind_int(stmt, 1, p->number), SQLITE_OK);
	return db_step(d, stmt);
}

START_TEST(a_full_disk_holds_the_transaction_and_tries_again)
{
	hn_status result = HN_EIO;
	struct put *p = put_new(2);

	start(0.01);
	expected = 3;
	p->op.run = grow_run;
	p->result = &result;
	ck_assert_int_eq(db_submit(db, &put_new(1)->op), HN_OK);
	ck_assert_int_eq(db_submit(db, &p->op), HN_OK);
	ck_assert_int_eq(db_submit(db, &put_new(3)->op), HN_OK);
	ck_assert(t_loop_until(&loop, &all_seen, 20));
	ck_assert_int_eq(result, HN_OK);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(seen[i], i + 1);
	ck_assert_int_eq(count("SELECT count(*) FROM policy_state"), 3);
	stop();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("db");
	TCase *t = tcase_create("db");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, done_comes_in_order_of_submission_and_after_the_commit);
	tcase_add_test(t, a_failing_operation_is_undone_alone);
	tcase_add_test(t, an_urgent_operation_does_not_wait_for_commit_every);
	tcase_add_test(t, a_flush_commits_what_waits);
	tcase_add_test(t, commits_wait_for_commit_every);
	tcase_add_test(t, a_full_queue_refuses_and_keeps_what_it_took);
	tcase_add_test(t, closing_commits_what_waits_and_reopening_finds_it);
	tcase_add_test(t, a_second_instance_is_refused_and_told_the_pid);
	tcase_add_test(t, a_missing_directory_is_an_error_with_its_name);
	tcase_add_test(t, a_file_that_is_not_a_database_is_refused_and_left_alone);
	tcase_add_test(t, a_database_of_a_newer_honed_is_refused);
	tcase_add_test(t, a_corrupt_database_is_set_aside_and_its_blocks_salvaged);
	tcase_add_test(t, an_unclean_end_of_a_sound_database_changes_nothing);
	tcase_add_test(t, a_full_disk_holds_the_transaction_and_tries_again);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return t_run(suite());
}
