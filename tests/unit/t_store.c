#include "t_store.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PERIOD_US = 10000 };
static const int64_t begin_us = 1700000000000000;

static void stream_init(struct conf_stream *s, const char *name, int n_channels)
{
	(void)snprintf(s->name, sizeof s->name, "%s", name);
	s->n_channels = n_channels;
	for (int i = 0; i < n_channels; i++) {
		(void)snprintf(s->channels[i].name, sizeof s->channels[i].name, "c%d", i);
		(void)snprintf(s->channels[i].unit, sizeof s->channels[i].unit, "g");
		s->channels[i].scale = 0.01;
		s->channels[i].offset = i;
	}
}

struct conf *t_conf_new(int queue_frames)
{
	struct conf *c = calloc(1, sizeof *c);

	ck_assert_ptr_nonnull(c);
	c->store.queue_frames = queue_frames;
	c->n_streams = 2;
	stream_init(&c->streams[0], "vib", 3);
	stream_init(&c->streams[1], "wide", HN_CHANNELS_MAX);
	c->n_models = 1;
	(void)snprintf(c->models[0].name, sizeof c->models[0].name, "pump");
	return c;
}

static void on_durable(void *ctx, uint64_t n)
{
	struct t_store *t = ctx;

	ck_assert_uint_gt(n, t->durable);        /* it never goes back and never stands still */
	t->durable = n;
	t->n_durable_calls++;
	t->reached = t->durable >= t->want;
}

static void on_room(void *ctx)
{
	((struct t_store *)ctx)->n_room++;
}

static void on_label(void *ctx, const struct store_label *l)
{
	struct t_store *t = ctx;

	t->label = *l;
	t->n_labels++;
	t->reached = true;
}

void t_store_make(struct t_store *t, int queue_frames)
{
	memset(t, 0, sizeof *t);
	t_dir_make(&t->dir);
	ck_assert_int_eq(uv_loop_init(&t->loop), 0);
	t->conf = t_conf_new(queue_frames);
}

void t_store_open(struct t_store *t, double commit_every_s)
{
	const struct store_hooks hooks = { .ctx = t, .on_durable = on_durable, .on_room = on_room,
		.on_label = on_label };
	const struct db_cfg cfg = { t->dir.db, commit_every_s };
	struct hn_err err = { 0 };

	t->durable = 0;
	ck_assert_msg(db_open(&t->db, &t->loop, &cfg, &err) == HN_OK, "%s", err.text);
	ck_assert_msg(store_open(&t->store, t->db, t->conf, &hooks, &err) == HN_OK, "%s", err.text);
}

void t_store_shut(struct t_store *t)
{
	store_close(t->store);
	db_close(t->db);
	t->store = NULL;
	t->db = NULL;
	(void)uv_run(&t->loop, UV_RUN_NOWAIT);
}

void t_store_remove(struct t_store *t)
{
	t_loop_end(&t->loop);
	t_dir_remove(&t->dir);
	free(t->conf);
}

void t_frame(const struct conf *conf, int stream, uint64_t i, struct hn_frame *f)
{
	memset(f, 0, sizeof *f);
	f->stream = stream;
	f->n = (uint16_t)conf->streams[stream].n_channels;
	f->event_us = begin_us + (int64_t)i * PERIOD_US;
	f->ingest_us = f->event_us + 1000 + (int64_t)(i * 7919 % 500);
	for (uint16_t c = 0; c < f->n; c++) {
		f->raw[c] = (int32_t)(uint32_t)((i * 2654435761u + c * 40503u) >> 7);
		f->quality[c] = i % 97 == c ? HN_MISSING : HN_GOOD;
	}
}

bool t_frame_equal(const struct hn_frame *a, const struct hn_frame *b)
{
	return a->event_us == b->event_us && a->ingest_us == b->ingest_us && a->n == b->n &&
	       memcmp(a->raw, b->raw, a->n * sizeof a->raw[0]) == 0 &&
	       memcmp(a->quality, b->quality, a->n) == 0;
}

void t_store_append(struct t_store *t, const struct hn_frame *f)
{
	hn_status rc = store_append(t->store, f);

	while (rc == HN_EFULL) {
		(void)uv_run(&t->loop, UV_RUN_ONCE);
		rc = store_append(t->store, f);
	}
	ck_assert_int_eq(rc, HN_OK);
}

void t_store_wait(struct t_store *t, uint64_t n)
{
	t->want = n;
	t->reached = t->durable >= n;
	ck_assert_msg(t_loop_until(&t->loop, &t->reached, 30), "%llu of %llu frames are durable",
	              (unsigned long long)t->durable, (unsigned long long)n);
}

struct reading { struct hn_frame *out; size_t n, cap; int64_t last; };

static bool on_frame(void *ctx, const struct hn_frame *f)
{
	struct reading *r = ctx;

	ck_assert_int_le(r->last, f->event_us);  /* in time order, always */
	ck_assert_uint_lt(r->n, r->cap);
	r->last = f->event_us;
	r->out[r->n++] = *f;
	return true;
}

size_t t_store_read(const struct t_store *t, const char *stream, struct hn_frame *out, size_t cap,
                    hn_status *rc)
{
	struct reading r = { .out = out, .cap = cap, .last = INT64_MIN };
	struct store_reader *reader = NULL;
	struct hn_err err = { 0 };

	ck_assert_msg(store_reader_open(&reader, t->dir.db, &err) == HN_OK, "%s", err.text);
	*rc = store_read(reader, stream, INT64_MIN, INT64_MAX, on_frame, &r);
	store_reader_close(reader);
	return r.n;
}

long t_sql(const struct t_store *t, const char *sql)
{
	sqlite3 *reader = NULL;
	sqlite3_stmt *stmt = NULL;
	struct hn_err err = { 0 };
	long v;

	ck_assert_msg(db_reader(t->dir.db, &reader, &err) == HN_OK, "%s", err.text);
	ck_assert_msg(sqlite3_prepare_v2(reader, sql, -1, &stmt, NULL) == SQLITE_OK, "%s",
	              sqlite3_errmsg(reader));
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	v = (long)sqlite3_column_int64(stmt, 0);
	ck_assert_int_eq(sqlite3_finalize(stmt), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(reader), SQLITE_OK);
	return v;
}
