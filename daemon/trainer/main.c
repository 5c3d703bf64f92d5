/* hone-train - one training job as a process of its own: reads a job on stdin, a snapshot from the
 * database, answers with framed messages on stdout.  It never writes the database and may die at
 * any moment. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "hd_types.h"
#include "job.h"
#include "proc.h"
#include "trainer.h"

static void write_all(const void *p, size_t n)
{
	const char *c = p;

	while (n > 0) {
		const ssize_t k = write(STDOUT_FILENO, c, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			_exit(EX_IOERR); /* nobody listens: the job is over */
		c += k;
		n -= (size_t)k;
	}
}

void trainer_say(uint8_t type, const void *body, size_t len)
{
	uint8_t head[5];

	hd_put32(head, (uint32_t)len);
	head[4] = type;
	write_all(head, sizeof head);
	write_all(body, len);
}

void trainer_say_json(uint8_t type, json_t *o)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	if (text)
		trainer_say(type, text, strlen(text));
	free(text);
	json_decref(o);
}

static const char *advice(const struct trainer_job *job, hn_status rc)
{
	switch (rc) {
	case HN_EDATA: return hn_tasks[job->task].labels
		? "label more windows (honectl label), of at least two classes"
		: "wait for more frames without gaps and doubtful values";
	case HN_ENUMERIC: return "lower train.rate, or check the channels for constant or huge values";
	case HN_ENOMEM: return "raise train.memory_max";
	default: return "";
	}
}

static hn_status load_champion(const struct trainer_job *job, struct store_reader *r,
                               struct trainer_champion *c)
{
	sqlite3_stmt *q = NULL;
	hn_status rc = HN_ENOENT;

	if (job->champion == 0)
		return HN_OK;
	if (sqlite3_prepare_v2(store_reader_handle(r), "SELECT blob FROM version WHERE id = ?", -1, &q,
	                       NULL) != SQLITE_OK)
		return HN_EIO;
	sqlite3_bind_int64(q, 1, job->champion);
	if (sqlite3_step(q) == SQLITE_ROW) {
		c->len = (size_t)sqlite3_column_bytes(q, 0);
		c->blob = malloc(c->len + 1);
		rc = c->blob ? HN_OK : HN_ENOMEM;
		if (rc == HN_OK && c->len)
			memcpy(c->blob, sqlite3_column_blob(q, 0), c->len);
	}
	sqlite3_finalize(q);
	return rc;
}

/* Early stopping needs held-back data of its own; with few windows they are worth more in the
 * fit. */
static double valid_share(const struct trainer_job *job, const struct trainer_data *d)
{
	return job->patience > 0 && d->n >= 300 ? 0.1 : 0.0;
}

/* Windows without labels lie side by side: eight windows in a row share their part. */
static int64_t split_block_us(const struct trainer_job *job)
{
	return hn_tasks[job->task].labels ? 0 : (int64_t)(8e6 * job->period_s * job->window);
}

static hn_status split(const struct trainer_job *job, struct trainer_data *d, struct hn_err *err)
{
	const struct hn_split_cfg cfg = { .holdout = job->holdout,
		.holdout_recent = job->holdout_recent, .valid = valid_share(job, d),
		.classes = job->classes, .seed = 1,
		.block_us = split_block_us(job) };
	hn_status rc;

	if (d->n == 0 && !hn_tasks[job->task].labels)
		return hn_fail(err, HN_EDATA, "no usable window: %u frames with doubtful values, %u windows "
		               "that were anomalies", d->refused, d->anomalous);
	if (d->n == 0)
		return hn_fail(err, HN_EDATA, "no usable labelled window: %u labels, %u windows with "
		               "gaps or doubtful values", d->labels, d->refused);
	rc = hn_dataset_split(d->w, d->n, &cfg, d->counts);
	return rc == HN_OK ? rc : hn_fail(err, rc, "split: %s", hn_status_text(rc));
}

/* What reading took and gave back is not in the plan: it goes before the fit takes its own.  Large
 * pieces have pages of their own, which go at once. */
static void large_pieces_apart(void)
{
#ifdef __GLIBC__
	(void)mallopt(M_MMAP_THRESHOLD, 32 << 10);
#endif
}

static void release_heap(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

static hn_status run(const struct trainer_job *job, struct trainer_data *d,
                     struct trainer_champion *champion, struct hn_err *err)
{
	struct store_reader *r = NULL;
	struct trainer_keep keep;
	hn_status rc = store_reader_open(&r, job->db, err);

	trainer_keep_open(&keep, job, d);
	if (rc == HN_OK)                 /* every page is read once: a cache would only be memory */
		(void)sqlite3_exec(store_reader_handle(r), "PRAGMA cache_size=-256", NULL, NULL, NULL);
	if (rc == HN_OK)
		rc = trainer_load(job, r, d, err);
	if (rc == HN_OK && load_champion(job, r, champion) != HN_OK)
		rc = hn_fail(err, HN_ENOENT, "version %lld is not in the database", (long long)job->champion);
	store_reader_close(r);           /* no snapshot is held while the fit runs */
	release_heap();
	if (rc == HN_OK && job->import[0]) {
		trainer_keep_close(&keep);
		return trainer_import(job, d, champion, err);
	}
	if (rc == HN_OK)
		rc = split(job, d, err);
	if (rc == HN_OK)
		rc = trainer_fit(job, d, &keep, champion, err);
	trainer_keep_close(&keep);
	return rc;
}

/* What was asked for goes to stdout; all else is a wrong use. */
static int usage(const char *asked)
{
	const bool help = strcmp(asked, "--help") == 0 || strcmp(asked, "-h") == 0;

	if (strcmp(asked, "--version") == 0) {
		puts("hone-train " HONED_VERSION);
		return EX_OK;
	}
	fputs("usage: hone-train < JOB\n"
	      "Runs one training job for honed: a JSON object on stdin (see docs/jobs.md), framed\n"
	      "messages on stdout.  It is started by honed; there is nothing to configure here.\n"
	      "Exit: 0 a candidate or a plan, 64 usage, 65 the job failed (the last message says why),\n"
	      "      74 nobody reads the messages.\n",
	      help ? stdout : stderr);
	return help ? EX_OK : EX_USAGE;
}

int main(int argc, char **argv)
{
	struct trainer_job job = { .period_s = 0 };
	struct trainer_data data = { .n = 0 };
	struct hn_err err = { .code = HN_OK };
	struct trainer_champion champion = { NULL, 0 };
	hn_status rc;

	if (argc > 1 || isatty(STDIN_FILENO))
		return usage(argc > 1 ? argv[1] : "");
	proc_apply_limits();
	large_pieces_apart();
	rc = trainer_job_read(&job, stdin, &err);
	if (rc == HN_OK)
		rc = run(&job, &data, &champion, &err);
	if (rc != HN_OK)
		trainer_say_json(JOB_FAILED, json_pack("{ss ss}", "reason", err.text[0] ? err.text
			: hn_status_text(rc), "advice", advice(&job, rc)));
	trainer_data_done(&data);
	free(champion.blob);
	return rc == HN_OK ? EX_OK : EX_DATAERR;
}
