#include "t_job.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "hd_types.h"
#include "hn_rng.h"

enum { PERIOD_US = 10000, SEED = 5 };
static const int64_t begin_us = 1700000000000000;

/* --- data ------------------------------------------------------------------------------------- */

/* constant: that channel does not change, -1 = none. */
static void fill(struct t_job *t, int windows, int constant)
{
	struct hn_rng rng;
	struct hn_frame f;

	hn_rng_seed(&rng, SEED);
	for (int i = 0; i < windows * T_JOB_WINDOW; i++) {
		const int class = i / T_JOB_WINDOW % T_JOB_CLASSES;

		t_frame(t->store.conf, 0, (uint64_t)i, &f);
		f.event_us = begin_us + (int64_t)i * PERIOD_US;
		for (int c = 0; c < T_JOB_CHANNELS; c++) {
			f.raw[c] = (int32_t)(200 * hn_rng_normal(&rng)) +
			           (i % (class + 2) == c ? 600 : 0);
			if (c == constant)
				f.raw[c] = 77;
			f.quality[c] = HN_GOOD;
		}
		t_store_append(&t->store, &f);
	}
	t_store_wait(&t->store, (uint64_t)(windows * T_JOB_WINDOW));
}

void t_job_sql(struct t_job *t, const char *sql)
{
	sqlite3 *db;
	char *why = NULL;

	ck_assert_int_eq(sqlite3_open(t->store.dir.db, &db), SQLITE_OK);
	sqlite3_exec(db, sql, NULL, NULL, &why);
	ck_assert_msg(!why, "%s", why);
	sqlite3_close(db);
}

/* A label of the last frame of each window. */
static void label_all(struct t_job *t, int windows)
{
	char sql[600];

	(void)snprintf(sql, sizeof sql, "WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k "
		"WHERE i < %d) INSERT INTO label(stream, t0, t1, value, who, given) "
		"SELECT (SELECT id FROM stream WHERE name = 'vib'), t, t, i %% %d, 'test', t FROM "
		"(SELECT i, %lld + (i * %d + %d) * %d AS t FROM k)", windows - 1, T_JOB_CLASSES,
		(long long)begin_us, T_JOB_WINDOW, T_JOB_WINDOW - 1, PERIOD_US);
	t_job_sql(t, sql);
}

void t_job_version(struct t_job *t, const uint8_t *blob, size_t len)
{
	sqlite3 *db;
	sqlite3_stmt *q;

	ck_assert_int_eq(sqlite3_open(t->store.dir.db, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "INSERT INTO version(id, model, number, state, blob) "
	                 "VALUES(1, 'pump', 1, 'champion', ?)", -1, &q, NULL), SQLITE_OK);
	sqlite3_bind_blob(q, 1, blob, (int)len, SQLITE_STATIC);
	ck_assert_int_eq(sqlite3_step(q), SQLITE_DONE);
	sqlite3_finalize(q);
	sqlite3_close(db);
}

json_t *t_job_train(struct t_job *t)
{
	return json_object_get(t->spec, "train");
}

static void make_spec(struct t_job *t)
{
	t->spec = json_pack("{si ss ss sI ss si si si ss s[s] sf sI ss s{si si si si sf sf sf sf si sf}}",
		"job", 1, "model", "pump", "db", t->store.dir.db, "now_us", (json_int_t)INT64_MAX,
		"task", "classify", "classes", T_JOB_CLASSES, "window", T_JOB_WINDOW, "hop", T_JOB_WINDOW,
		"network", "dense 24, relu, dense 3", "streams", "vib", "period_s", 1e-6 * PERIOD_US,
		"champion", (json_int_t)0, "checkpoint", "", "train", "epochs", 30, "batch", 16, "patience", 0,
		"seed", 1, "rate", 0.003, "weight_decay", 0.0, "smoothing", 0.0, "holdout", 0.2,
		"memory_max", 64 << 20, "checkpoint_s", 0.0);
	ck_assert_ptr_nonnull(t->spec);
}

void t_job_make(struct t_job *t, int windows)
{
	t_job_make_constant(t, windows, -1);
}

void t_job_make_constant(struct t_job *t, int windows, int channel)
{
	memset(t, 0, sizeof *t);
	t_store_make(&t->store, 1 << 16);
	t_store_open(&t->store, 0.01);
	fill(t, windows, channel);
	t_store_shut(&t->store);
	label_all(t, windows);
	t_dir_file(&t->store.dir, "checkpoint", t->checkpoint);
	make_spec(t);
}

void t_job_remove(struct t_job *t)
{
	json_decref(t->spec);
	free(t->bytes);
	t_store_remove(&t->store);
}

/* --- the process ------------------------------------------------------------------------------ */

/* hone-train of the same build: two folders above the test. */
static void exec_trainer(int in, int out)
{
	char path[T_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);

	for (int i = 0; i < 3 && n > 0; i++)
		while (n > 0 && path[--n] != '/')
			;
	if (n <= 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(126);
	memcpy(path + n, "/hone-train", sizeof "/hone-train");
	execl(path, path, (char *)NULL);
	_exit(127);
}

void t_job_start(struct t_job *t)
{
	char *text = json_dumps(t->spec, JSON_COMPACT | JSON_ENCODE_ANY);
	int in[2], out[2];
	const size_t n = strlen(text);

	ck_assert(pipe(in) == 0 && pipe(out) == 0);
	t->len = 0;
	t->pid = fork();
	ck_assert_int_ge(t->pid, 0);
	if (t->pid == 0) {
		(void)close(in[1]);
		(void)close(out[0]);
		exec_trainer(in[0], out[1]);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	ck_assert_int_eq(write(in[1], text, n), (ssize_t)n);
	(void)close(in[1]);
	t->fd = out[0];
	free(text);
}

/* One piece of its output; false at the end. */
static bool read_some(struct t_job *t)
{
	ssize_t n;

	if (t->len == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 1 << 16;
		t->bytes = realloc(t->bytes, t->cap);
		ck_assert_ptr_nonnull(t->bytes);
	}
	n = read(t->fd, t->bytes + t->len, t->cap - t->len);
	ck_assert_int_ge(n, 0);
	t->len += (size_t)n;
	return n > 0;
}

static void finish(struct t_job *t, bool open)
{
	struct rusage use;

	if (open)
		(void)kill(t->pid, SIGKILL);
	(void)close(t->fd);
	ck_assert_int_eq(wait4(t->pid, &t->status, 0, &use), t->pid);
	t->rss_kb = use.ru_maxrss;
}

void t_job_kill(struct t_job *t)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };
	bool open = true;

	while (open && access(t->checkpoint, F_OK) != 0)
		if (poll(&p, 1, 1) > 0)
			open = read_some(t);
	finish(t, open);
}

void t_job_end(struct t_job *t, long us)
{
	const int64_t until = clock_mono_us() + us;
	bool open = true;

	while (open && (us <= 0 || clock_mono_us() < until)) {
		struct pollfd p = { .fd = t->fd, .events = POLLIN };
		const int64_t left = until - clock_mono_us();

		if (poll(&p, 1, us > 0 ? (int)(left / 1000 > 0 ? left / 1000 : 0) : -1) > 0)
			open = read_some(t);
	}
	finish(t, open);
}

void t_job_run(struct t_job *t)
{
	t_job_start(t);
	t_job_end(t, 0);
}

/* --- what it said ----------------------------------------------------------------------------- */

const uint8_t *t_job_message(const struct t_job *t, enum job_message type, size_t *len)
{
	const uint8_t *found = NULL;

	for (size_t at = 0; at + 5 <= t->len; at += 5 + hd_get32(t->bytes + at)) {
		const size_t n = hd_get32(t->bytes + at);

		if (t->bytes[at + 4] != (uint8_t)type || at + 5 + n > t->len)
			continue;
		found = t->bytes + at + 5;
		*len = n;
	}
	return found;
}

json_t *t_job_json(const struct t_job *t, enum job_message type)
{
	size_t n = 0;
	const uint8_t *p = t_job_message(t, type, &n);

	return p ? json_loadb((const char *)p, n, 0, NULL) : NULL;
}
