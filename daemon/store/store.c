/* store.c - the loop-thread half of the store.
 *
 * Two buffers flip: sources fill one while the writer saves the other.  At most one append
 * operation is under way; when it is done, the next one is queued if frames have come meanwhile.
 * An append that fails is queued again with the same frames, so that the count of durable frames
 * never skips. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "store_private.h"

enum { RATE_US = 5000000 };

/* --- life cycle helpers -------------------------------------------------------------------- */

static void store_free(struct store *s)
{
	store_writer_done(&s->writer);
	store_batch_done(&s->batch[0]);
	store_batch_done(&s->batch[1]);
	uv_mutex_destroy(&s->lock);
	free(s);
}

/* HN_OK: `done` will come. */
hn_status store_submit(struct store *s, struct db_op *op)
{
	const hn_status rc = db_submit(s->db, op);

	s->n_ops += rc == HN_OK;
	return rc;
}

/* The last thing in every `done`: after store_close the last one frees the store. */
void store_op_ended(struct store *s)
{
	if (--s->n_ops == 0 && s->closing)
		store_free(s);
}

/* --- append -------------------------------------------------------------------------------- */

static hn_status append_run(struct db_op *op, struct db *db)
{
	struct append_op *a = (struct append_op *)op;
	struct store *s = a->s;

	if (!a->taken) {
		uv_mutex_lock(&s->lock);
		s->fill ^= 1;            /* the other one was emptied by append_done */
		a->upto = s->n_appended;
		uv_mutex_unlock(&s->lock);
		a->taken = true;
	}
	return store_writer_batch(&s->writer, db, &s->batch[s->fill ^ 1]);
}

static uint32_t n_waiting(struct store *s)
{
	uint32_t n;

	uv_mutex_lock(&s->lock);
	n = s->batch[s->fill].n;
	uv_mutex_unlock(&s->lock);
	return n;
}

static void append_queue(struct store *s)
{
	if (s->append_queued)
		return;
	s->append.op.urgent = s->hurry;
	s->hurry = false;
	/* else at the next frame or timer */
	s->append_queued = store_submit(s, &s->append.op) == HN_OK;
}

static void append_count(struct store *s)
{
	struct store_batch *b = &s->batch[s->fill ^ 1];

	for (int i = 0; i < s->conf->n_streams; i++)
		if (b->of[i].n > 0)
			metric_add(s->state[i].n_frames, b->of[i].n);
	store_batch_clear(b);
}

static void append_done(struct db_op *op, hn_status rc)
{
	struct append_op *a = (struct append_op *)op;
	struct store *s = a->s;
	uint32_t waiting;

	s->append_queued = false;
	if (rc == HN_OK) {
		append_count(s);
		a->taken = false;
		s->n_durable = a->upto;
		if (s->hooks.on_durable && !s->closing)
			s->hooks.on_durable(s->hooks.ctx, a->upto);
	}
	waiting = n_waiting(s);
	metric_set(s->waiting, waiting);
	s->hurry = rc == HN_OK && (s->hurry || waiting >= s->batch[0].n_max / 2);
	if ((rc && !s->closing) || (rc == HN_OK && waiting > 0))
		append_queue(s);
	if (s->refused && waiting < s->batch[0].n_max) {
		s->refused = false;
		if (s->hooks.on_room && !s->closing)
			s->hooks.on_room(s->hooks.ctx);
	}
	store_op_ended(s);
}

static void count_frame(struct stream_state *st, const struct hn_frame *f)
{
	const int64_t span = f->ingest_us - st->rate_from_us;

	st->frames++;
	st->last_event_us = f->event_us;
	st->last_ingest_us = f->ingest_us;
	st->rate_n++;
	if (st->frames > 1 && span >= 0 && span < RATE_US)
		return;
	st->rate_hz = st->frames > 1 && span > 0 ? (double)st->rate_n * 1e6 / (double)span : 0.0;
	st->rate_from_us = f->ingest_us;
	st->rate_n = 0;
}

static void count_refused(struct store *s, int stream)
{
	s->refused = true;
	s->state[stream].refused++;
	metric_add(s->state[stream].n_refused, 1);
}

hn_status store_append(struct store *s, const struct hn_frame *f)
{
	uint32_t n;
	hn_status rc;

	if (f->stream < 0 || f->stream >= s->conf->n_streams ||
	    f->n != s->conf->streams[f->stream].n_channels)
		return HN_EINVAL;
	uv_mutex_lock(&s->lock);
	rc = store_batch_push(&s->batch[s->fill], f);
	s->n_appended += rc == HN_OK;
	n = s->batch[s->fill].n;
	uv_mutex_unlock(&s->lock);
	if (rc)
		count_refused(s, f->stream);
	else
		count_frame(&s->state[f->stream], f);
	if (!s->append_queued)
		append_queue(s);
	if (n == s->batch[0].n_max / 2 && rc == HN_OK)
		store_flush(s);          /* half full: do not wait for commit_every */
	return rc;
}

bool store_has_room(struct store *s, int stream)
{
	bool room;

	uv_mutex_lock(&s->lock);
	room = store_batch_room(&s->batch[s->fill], (uint16_t)s->conf->streams[stream].n_channels) &&
	       s->n_guesses + s->conf->n_models <= PREDICTIONS_MAX;
	uv_mutex_unlock(&s->lock);
	if (room)
		return true;
	count_refused(s, stream);
	if (!s->append_queued)
		append_queue(s);
	return false;
}

void store_flush(struct store *s)
{
	const bool waiting = n_waiting(s) > 0;

	s->hurry = waiting;
	if (waiting && !s->append_queued)
		append_queue(s);
	db_flush(s->db);
}

/* --- retention ----------------------------------------------------------------------------- */

static hn_status retain_run(struct db_op *op, struct db *db)
{
	struct retain_op *r = (struct retain_op *)op;

	return store_writer_retain(&r->s->writer, db, &r->r);
}

static void retain_done(struct db_op *op, hn_status rc)
{
	struct retain_op *r = (struct retain_op *)op;
	struct store *s = r->s;

	s->retain_queued = false;
	if (rc == HN_OK)
		metric_set(s->bytes, r->r.bytes);
	if (rc == HN_OK && r->r.more && !s->closing)
		s->retain_queued = store_submit(s, &r->op) == HN_OK;
	store_op_ended(s);
}

void store_retain(struct store *s, int64_t now_us)
{
	if (n_waiting(s) > 0)
		append_queue(s);         /* in case the queue was closed to it before */
	if (s->retain_queued)
		return;
	s->retain.r = (struct store_retain){ .now_us = now_us, .retain_s = s->conf->store.retain_s,
		.size_max = s->conf->store.size_max };
	s->retain_queued = store_submit(s, &s->retain.op) == HN_OK;
}

/* --- life cycle ---------------------------------------------------------------------------- */

/* Makes the rows of the streams, so that readers find them from the start. */
static hn_status ready_run(struct db_op *op, struct db *db)
{
	return store_writer_ready(&((struct ready_op *)op)->s->writer, db);
}

static void ready_done(struct db_op *op, hn_status rc)
{
	struct store *s = ((struct ready_op *)op)->s;

	(void)rc;                        /* the first append tries again */
	free(op);
	store_op_ended(s);
}

static hn_status ready_queue(struct store *s)
{
	struct ready_op *op = calloc(1, sizeof *op);
	hn_status rc;

	if (!op)
		return HN_ENOMEM;
	op->op = (struct db_op){ .run = ready_run, .done = ready_done, .urgent = true,
		.standing = true };
	op->s = s;
	rc = store_submit(s, &op->op);
	if (rc)
		free(op);
	return rc;
}

static void counters_init(struct store *s)
{
	char labels[HN_NAME_MAX + 16];

	for (int i = 0; i < s->conf->n_streams; i++) {
		(void)snprintf(labels, sizeof labels, "stream=\"%s\"", s->conf->streams[i].name);
		s->state[i].n_frames = metric_counter("honed_store_frames_total", labels,
		                                      "frames saved");
		s->state[i].n_refused = metric_counter("honed_store_refused_total", labels,
		                                       "frames refused because the buffer was full");
	}
	s->n_lost = metric_counter("honed_store_predictions_dropped_total", "",
	                           "predictions that could not be saved");
	s->bytes = metric_gauge("honed_store_bytes", "", "bytes in use in the database");
	s->waiting = metric_gauge("honed_store_waiting_frames", "", "frames that wait for a commit");
}

hn_status store_open(struct store **out, struct db *db, const struct conf *conf,
                     const struct store_hooks *hooks, struct hn_err *err)
{
	struct store *s = calloc(1, sizeof *s);
	const uint32_t n_max = conf->store.queue_frames < 2 ? 2 : (uint32_t)conf->store.queue_frames;
	uint16_t widest = 1;
	hn_status rc;

	if (!s || uv_mutex_init(&s->lock) != 0) {
		free(s);
		return hn_fail(err, HN_ENOMEM, "store: out of memory");
	}
	s->db = db;
	s->conf = conf;
	s->hooks = *hooks;
	s->append = (struct append_op){ { .run = append_run, .done = append_done, .standing = true },
		.s = s };
	store_predict_init(s);
	s->retain = (struct retain_op){ { .run = retain_run, .done = retain_done, .standing = true },
		.s = s };
	for (int i = 0; i < conf->n_streams; i++)
		if (conf->streams[i].n_channels > widest)
			widest = (uint16_t)conf->streams[i].n_channels;
	rc = store_writer_init(&s->writer, conf);
	for (int i = 0; rc == HN_OK && i < 2; i++)
		rc = store_batch_init(&s->batch[i], n_max, widest);
	counters_init(s);
	if (rc == HN_OK)
		rc = ready_queue(s);
	if (rc) {
		store_free(s);
		return hn_fail(err, rc, "store: %s", hn_status_text(rc));
	}
	*out = s;
	return HN_OK;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_flush(s);
	s->closing = true;
	if (s->n_ops == 0)
		store_free(s);
}

/* --- status -------------------------------------------------------------------------------- */

static json_t *stream_json(const struct store *s, int i)
{
	const struct stream_state *st = &s->state[i];
	json_t *o = json_pack("{s:s, s:I, s:I, s:f}", "name", s->conf->streams[i].name, "frames",
	                      (json_int_t)st->frames, "refused", (json_int_t)st->refused,
	                      "rate_hz", st->rate_hz);
	char text[40];

	if (o && st->frames > 0) {
		clock_format(st->last_event_us, text, sizeof text);
		(void)json_object_set_new(o, "last_event", json_string(text));  /* no memory: left out */
		clock_format(st->last_ingest_us, text, sizeof text);
		(void)json_object_set_new(o, "last_ingest", json_string(text));
	}
	return o;
}

json_t *store_json(const struct store *s)
{
	json_t *streams = json_array();

	for (int i = 0; i < s->conf->n_streams; i++)
		(void)json_array_append_new(streams, stream_json(s, i));         /* no memory: left out */
	return json_pack("{s:I, s:I, s:i, s:f, s:b, s:o}", "durable", (json_int_t)s->n_durable,
	                 "waiting", (json_int_t)(s->n_appended - s->n_durable), "queued_operations",
	                 db_backlog(s->db), "bytes", metric_value(s->bytes), "damaged",
	                 (int)db_damaged(s->db), "streams", streams);
}
