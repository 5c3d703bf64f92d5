/* check_store_kill.c - SIGKILL at random times, a full disk, failing disk calls: nothing that was
 * acknowledged is lost, nothing appears twice, and the database opens again. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hn_rng.h"
#include "log.h"
#include "t_run.h"
#include "t_store.h"

enum { KILLS = 30, SEED = 11, CAP = 400000 };

/* --- child: appends for ever, writes acknowledged counts into the pipe --------------------- */

struct child { struct t_store t; uint64_t base, next; int fd; uv_timer_t timer; };

static void child_durable(void *ctx, uint64_t n)
{
	struct child *c = ctx;
	const uint64_t total = c->base + n;

	if (write(c->fd, &total, sizeof total) != sizeof total)
		_exit(1);
}

static void child_tick(uv_timer_t *timer)
{
	struct child *c = timer->data;
	struct hn_frame f;

	for (int i = 0; i < 30; i++) {
		t_frame(c->t.conf, 0, c->next, &f);
		if (store_append(c->t.store, &f) != HN_OK)
			return;
		c->next++;
	}
}

static void child_run(const struct t_dir *dir, uint64_t base, int fd, rlim_t file_max)
{
	static struct child c;
	const struct store_hooks hooks = { .ctx = &c, .on_durable = child_durable };
	const struct db_cfg cfg = { dir->db, 0.002 };
	const struct rlimit limit = { file_max, file_max };
	struct hn_err err = { 0 };

	log_set_level(LOG_ERR);
	c.t.conf = t_conf_new(4096);
	c.base = c.next = base;
	c.fd = fd;
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
	    uv_loop_init(&c.t.loop) != 0 || db_open(&c.t.db, &c.t.loop, &cfg, &err) != HN_OK ||
	    store_open(&c.t.store, c.t.db, c.t.conf, &hooks, &err) != HN_OK ||
	    uv_timer_init(&c.t.loop, &c.timer) != 0 || uv_timer_start(&c.timer, child_tick, 0, 1) != 0) {
		fprintf(stderr, "child: %s\n", err.text);
		_exit(1);
	}
	c.timer.data = &c;
	(void)uv_run(&c.t.loop, UV_RUN_DEFAULT);
	_exit(1);                                /* it never ends by itself */
}

/* --- parent -------------------------------------------------------------------------------- */

static struct t_store t;

static void setup(void)
{
	log_set_level(LOG_ERR);
	t_store_make(&t, 4096);
}

static void teardown(void)
{
	t_store_remove(&t);
}

static void pause_us(long us)
{
	const struct timespec ts = { us / 1000000, us % 1000000 * 1000 };

	(void)nanosleep(&ts, NULL);              /* shorter does no harm */
}

/* Start a child, kill it after `us`, return the last count it acknowledged. */
static uint64_t run_and_kill(uint64_t base, long us, rlim_t file_max)
{
	uint64_t acked = base, n;
	int fd[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)close(fd[0]);
		child_run(&t.dir, base, fd[1], file_max);
	}
	ck_assert_int_eq(close(fd[1]), 0);
	pause_us(us);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	while (read(fd[0], &n, sizeof n) == (ssize_t)sizeof n) {
		ck_assert_uint_gt(n, acked);
		acked = n;
	}
	ck_assert_int_eq(close(fd[0]), 0);
	return acked;
}

struct checking { uint64_t n; };

static bool check_frame(void *ctx, const struct hn_frame *f)
{
	struct checking *c = ctx;
	struct hn_frame want;

	t_frame(t.conf, 0, c->n++, &want);
	ck_assert_msg(t_frame_equal(f, &want), "frame %llu", (unsigned long long)(c->n - 1));
	return true;
}

/* Number of frames; all of them are 0, 1, 2, ... without gap or repetition. */
static uint64_t check_all(void)
{
	struct store_reader *r = NULL;
	struct checking c = { 0 };
	struct hn_err err = { 0 };
	hn_status rc;

	ck_assert_msg(store_reader_open(&r, t.dir.db, &err) == HN_OK, "%s", err.text);
	rc = store_read(r, "vib", INT64_MIN, INT64_MAX, check_frame, &c);
	ck_assert(rc == HN_OK || (rc == HN_ENOENT && c.n == 0));
	store_reader_close(r);
	return c.n;
}

START_TEST(no_acknowledged_frame_is_lost_by_thirty_kills)
{
	struct hn_rng r;
	uint64_t n = 0, acked_total = 0;

	printf("seed %d\n", SEED);
	hn_rng_seed(&r, SEED);
	for (int i = 0; i < KILLS; i++) {
		const uint64_t acked = run_and_kill(n, (long)(2000 + hn_rng_below(&r, 200000)),
		                                    RLIM_INFINITY);

		/* Opening recovers; a reader alone would not see a child that died before the schema. */
		t_store_open(&t, 1);
		t_store_shut(&t);
		acked_total += acked - n;
		n = check_all();
		ck_assert_uint_ge(n, acked);
	}
	ck_assert_uint_gt(acked_total, 1000);
	ck_assert_int_eq(t_dir_count(&t.dir, "corrupt"), 0);
	printf("%llu frames acknowledged, %llu found\n", (unsigned long long)acked_total,
	       (unsigned long long)n);
}
END_TEST

START_TEST(a_disk_that_fills_up_loses_nothing_acknowledged)
{
	/* The WAL meets the limit first: commits stop, the child is killed while it tries again. */
	const uint64_t acked = run_and_kill(0, 1500000, 300000);
	uint64_t n;

	ck_assert_uint_gt(acked, 0);
	t_store_open(&t, 1);
	t_store_shut(&t);
	n = check_all();
	ck_assert_uint_ge(n, acked);
	ck_assert_uint_lt(n, acked + 4096 + 1);
}
END_TEST

START_TEST(a_full_database_goes_on_when_there_is_room_again)
{
	struct hn_frame f;
	uint64_t n = 0;
	const struct rlimit small = { 400000, RLIM_INFINITY };
	const struct rlimit large = { RLIM_INFINITY, RLIM_INFINITY };

	ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	t_store_open(&t, 0.002);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < 400; i++) {                  /* far more than fits */
		while (n < (uint64_t)(i + 1) * 200) {
			t_frame(t.conf, 0, n, &f);
			if (store_append(t.store, &f) != HN_OK)
				break;
			n++;
		}
		(void)uv_run(&t.loop, UV_RUN_NOWAIT);
		pause_us(2000);
	}
	ck_assert_uint_gt(t.durable, 0);
	ck_assert_uint_lt(t.durable, n);
	ck_assert_int_eq(store_append(t.store, &f), HN_EFULL);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &large), 0);
	t_store_wait(&t, n);
	t_store_shut(&t);
	ck_assert_uint_eq(check_all(), n);
}
END_TEST

/* --- a VFS that fails the n-th call -------------------------------------------------------- */

static sqlite3_vfs shim;
static sqlite3_vfs *real_vfs;
static sqlite3_io_methods methods[2];    /* of the database file, of all others               */
static const sqlite3_io_methods *real_methods;
static atomic_int fail_at, n_calls;      /* the writer thread counts, the test sets            */

static bool fails(void)
{
	return fail_at > 0 && atomic_fetch_add(&n_calls, 1) + 1 == fail_at;
}

static int shim_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	return fails() ? SQLITE_FULL : real_methods->xWrite(f, p, n, at);
}

static int shim_sync(sqlite3_file *f, int flags)
{
	return fails() ? SQLITE_IOERR_FSYNC : real_methods->xSync(f, flags);
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return fails() ? SQLITE_IOERR_TRUNCATE : real_methods->xTruncate(f, size);
}

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
	const int rc = real_vfs->xOpen(real_vfs, name, f, flags, out);

	(void)vfs;
	if (rc == SQLITE_OK && f->pMethods) {
		sqlite3_io_methods *m = &methods[flags & SQLITE_OPEN_MAIN_DB ? 0 : 1];

		real_methods = f->pMethods;      /* write, sync, truncate are the same for all */
		*m = *f->pMethods;
		m->xWrite = shim_write;
		m->xSync = shim_sync;
		m->xTruncate = shim_truncate;
		f->pMethods = m;
	}
	return rc;
}

static void shim_install(void)
{
	real_vfs = sqlite3_vfs_find(NULL);
	ck_assert_ptr_nonnull(real_vfs);
	shim = *real_vfs;
	shim.zName = "failing";
	shim.xOpen = shim_open;
	ck_assert_int_eq(sqlite3_vfs_register(&shim, 1), SQLITE_OK);
}

/* Each n of the loop fails one write, sync or truncation somewhere between the first append and the
 * close; the numbers are spread so that all kinds of places are met. */
START_TEST(a_failing_disk_call_is_survived_wherever_it_comes)
{
	struct hn_frame f;

	shim_install();
	fail_at = 0;
	t_store_open(&t, 0.005);
	n_calls = 0;
	fail_at = 1 + _i * 3;
	for (uint64_t i = 0; i < 2500; i++) {
		t_frame(t.conf, 0, i, &f);
		t_store_append(&t, &f);
		if (i % 300 == 299)
			t_store_wait(&t, i - 50);
	}
	t_store_wait(&t, 2500);
	fail_at = 0;
	t_store_shut(&t);
	ck_assert_uint_eq(check_all(), 2500);
	ck_assert_int_eq(t_dir_count(&t.dir, "corrupt"), 0);
	if (_i < 10)
		ck_assert_int_ge(n_calls, 1 + _i * 3);   /* it did fail */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_kill");
	TCase *c = tcase_create("store_kill");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, no_acknowledged_frame_is_lost_by_thirty_kills);
	tcase_add_test(c, a_disk_that_fills_up_loses_nothing_acknowledged);
	tcase_add_test(c, a_full_database_goes_on_when_there_is_room_again);
	tcase_add_loop_test(c, a_failing_disk_call_is_survived_wherever_it_comes, 0, 30);
	suite_add_tcase(s, c);
	return t_run(s);
}
