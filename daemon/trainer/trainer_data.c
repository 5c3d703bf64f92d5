/* Labelled windows out of the store.
 *
 * Labels of a stream, in order of time, are gathered into groups that lie close together; the
 * frames of a group are read once, in order, and every window that a label covers is cut from a
 * ring of the last `window` frames.  A label that is one moment takes the window that ends there;
 * one that spans a time takes the windows that lie inside, `hop` frames apart. */
#include "trainer.h"

#include <stdlib.h>
#include <string.h>

enum { LABELS_MAX = 100000, GROUP_SPANS = 32 };

struct want { struct store_label l; uint32_t seen; bool done; };

struct cutter {
	const struct trainer_job *job;
	struct trainer_data *d;
	struct hn_err *err;
	hn_status rc;
	int stream;                      /* index in the job                                      */
	struct want *want;               /* (n,) labels in order of t0                             */
	uint32_t n, first, cap;
	int32_t *ring;                   /* (window, ch)                                          */
	uint32_t head, run;              /* frames since the last break                           */
	int64_t prev_us, gap_us;
};

/* --- windows ---------------------------------------------------------------------------------- */

static bool grow(const struct trainer_job *job, struct trainer_data *d)
{
	const size_t values = (size_t)job->window * d->ch;
	const uint32_t cap = d->cap ? 2 * d->cap : 256;
	struct hn_window *w;
	int32_t *raw;

	if (d->n < d->cap)
		return true;
	/* half of the memory for the data, the rest for the fit */
	if (values == 0 || (int64_t)(cap * (sizeof *w + values * sizeof *raw)) > job->memory_max / 2)
		return false;
	w = realloc(d->w, cap * sizeof *w);
	if (w)
		d->w = w;
	raw = w ? realloc(d->raw, cap * values * sizeof *raw) : NULL;
	if (!raw)
		return false;
	d->raw = raw;
	d->cap = cap;
	return true;
}

struct hn_window *trainer_add(const struct trainer_job *job, struct trainer_data *d,
                              const int32_t *ring, uint32_t head)
{
	const uint32_t window = (uint32_t)job->window;
	const size_t row = d->ch, values = window * row;

	if (d->n >= TRAINER_WINDOWS_MAX || !grow(job, d))
		return NULL;
	for (uint32_t t = 0; t < window; t++)
		memcpy(d->raw + d->n * values + t * row, ring + ((head + t) % window) * row,
		       row * sizeof *d->raw);
	d->w[d->n] = (struct hn_window){ .at = d->n };
	return &d->w[d->n++];
}

/* The ring's window, ending at `end_us`, gets the label. */
static void emit(struct cutter *c, const struct want *k, int64_t end_us)
{
	struct trainer_data *d = c->d;
	struct hn_window *w;

	if (c->run < (uint32_t)c->job->window) {
		d->refused++;
		return;
	}
	w = trainer_add(c->job, d, c->ring, c->head);
	if (!w) {
		d->over++;
		return;
	}
	w->end_us = end_us;
	w->given_us = k->l.given_us;
	w->stream = c->stream;
	w->label = (int32_t)k->l.value;
	w->label_id = k->l.id;
	w->recent = c->job->since_us > 0 && end_us >= c->job->since_us;
}

static bool moment(const struct want *k)
{
	return k->l.t0_us == k->l.t1_us;
}

/* Labels of one moment before this frame take the window that ended with the frame before. */
static void finish_before(struct cutter *c, int64_t t)
{
	for (uint32_t i = c->first; i < c->n && c->want[i].l.t0_us < t; i++) {
		struct want *k = &c->want[i];

		if (!k->done && moment(k)) {
			emit(c, k, c->prev_us);
			k->done = true;
		}
		if (!moment(k) && k->l.t1_us < t)
			k->done = true;
	}
	while (c->first < c->n && c->want[c->first].done)
		c->first++;
}

/* The frame at time t for a label that spans it. */
static void take_span(struct cutter *c, struct want *k, int64_t t, bool good)
{
	const uint32_t window = (uint32_t)c->job->window, hop = (uint32_t)c->job->hop;

	k->seen = good ? k->seen + 1 : 0;
	if (k->seen >= window && (k->seen - window) % hop == 0)
		emit(c, k, t);
}

static void take_inside(struct cutter *c, int64_t t, bool good)
{
	for (uint32_t i = c->first; i < c->n && c->want[i].l.t0_us <= t; i++) {
		struct want *k = &c->want[i];

		if (k->done)
			continue;
		if (!moment(k)) {
			take_span(c, k, t, good);
		} else if (k->l.t0_us == t) {
			emit(c, k, t);
			k->done = true;
		}
	}
}

static bool on_frame(void *ctx, const struct hn_frame *f)
{
	struct cutter *c = ctx;
	bool good = f->n == c->d->ch;

	for (int i = 0; good && i < f->n; i++)
		good = f->quality[i] == HN_GOOD || f->quality[i] == HN_NOT_EVALUATED;
	finish_before(c, f->event_us);
	if (!good || (c->gap_us && c->run && f->event_us - c->prev_us > c->gap_us))
		c->run = 0;
	if (good) {
		memcpy(c->ring + (size_t)c->head * c->d->ch, f->raw, f->n * sizeof *f->raw);
		c->head = (c->head + 1) % (uint32_t)c->job->window;
		c->run++;
	}
	c->prev_us = f->event_us;
	take_inside(c, f->event_us, good && c->run > 0);
	return true;
}

/* --- labels ----------------------------------------------------------------------------------- */

static bool on_label(void *ctx, const struct store_label *l)
{
	struct cutter *c = ctx;

	if (c->n == c->cap) {
		const uint32_t cap = c->cap ? 2 * c->cap : 256;
		struct want *p = cap <= LABELS_MAX ? realloc(c->want, cap * sizeof *p) : NULL;

		if (!p) {
			c->rc = hn_fail(c->err, HN_ENOMEM, "stream %s: more than %u labels",
			                c->job->stream[c->stream], c->cap);
			return false;
		}
		c->want = p;
		c->cap = cap;
	}
	if (l->given_us > c->job->now_us)        /* a job that is started again sees the same labels */
		return true;
	if (hn_tasks[c->job->task].classes &&
	    (!(l->value >= 0 && l->value < c->job->classes) || l->value != (double)(int)l->value)) {
		c->d->refused++;
		return true;
	}
	c->want[c->n++] = (struct want){ .l = *l };
	return true;
}

static hn_status read_group(struct cutter *c, struct store_reader *r, uint32_t a, uint32_t b,
                            int64_t back)
{
	const uint32_t n = c->n;
	int64_t end = 0;
	hn_status rc;

	for (uint32_t i = a; i < b; i++)
		if (c->want[i].l.t1_us > end)
			end = c->want[i].l.t1_us;
	c->first = a;
	c->n = b;
	c->run = c->head = 0;
	rc = store_read(r, c->job->stream[c->stream], c->want[a].l.t0_us - back, end + 1, on_frame, c);
	finish_before(c, end + 1);
	c->n = n;
	return rc == HN_EFORMAT ? HN_OK : rc;    /* a damaged block costs its windows only */
}

static hn_status cut_stream(struct cutter *c, struct store_reader *r)
{
	const double period = c->job->period_s;
	const int64_t day_us = 86400000000;
	const int64_t back = period > 0 ? (int64_t)(4e6 * period * c->job->window) + 1000
	                                : (c->job->window > 1 ? day_us : 1);
	const int64_t near = period > 0 ? GROUP_SPANS * back : day_us;
	const char *name = c->job->stream[c->stream];
	hn_status rc = store_read_labels(r, name, INT64_MIN, INT64_MAX, on_label, c);

	c->gap_us = (int64_t)(5e6 * period);
	if (rc == HN_ENOENT)
		return HN_OK;            /* configured, but nothing has arrived yet */
	if (rc != HN_OK || c->rc != HN_OK)
		return hn_fail(c->err, rc ? rc : c->rc, "stream %s: labels: %s", name, hn_status_text(rc));
	c->d->labels += c->n;
	for (uint32_t a = 0, b; a < c->n && rc == HN_OK; a = b) {
		for (b = a + 1; b < c->n && c->want[b].l.t0_us - c->want[b - 1].l.t1_us < near; b++)
			;
		rc = read_group(c, r, a, b, back);
	}
	return rc == HN_OK ? rc : hn_fail(c->err, rc, "stream %s: frames: %s", name, hn_status_text(rc));
}

hn_status trainer_load_labelled(const struct trainer_job *job, struct store_reader *r, int stream,
                                struct trainer_data *d, struct hn_err *err)
{
	struct cutter c = { .job = job, .d = d, .err = err, .stream = stream,
		.ring = malloc((size_t)job->window * d->ch * sizeof *c.ring) };
	hn_status rc;

	if (!c.ring)
		return hn_fail(err, HN_ENOMEM, "out of memory");
	rc = cut_stream(&c, r);
	free(c.ring);
	free(c.want);
	return rc;
}

/* --- all streams ------------------------------------------------------------------------------ */

static hn_status channels_of(struct store_reader *r, const char *stream, uint16_t *ch,
                             struct hn_err *err)
{
	sqlite3_stmt *q = NULL;
	int n = 0;

	if (sqlite3_prepare_v2(store_reader_handle(r), "SELECT n_channels FROM stream WHERE name = ?", -1,
	                       &q, NULL) != SQLITE_OK)
		return hn_fail(err, HN_EIO, "streams: %s", sqlite3_errmsg(store_reader_handle(r)));
	sqlite3_bind_text(q, 1, stream, -1, SQLITE_STATIC);
	if (sqlite3_step(q) == SQLITE_ROW)
		n = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	if (n < 1 || n > HN_CHANNELS_MAX)
		return hn_fail(err, HN_EDATA, "stream %s has no frames yet", stream);
	*ch = (uint16_t)n;
	return HN_OK;
}

/* --- newest frames ---------------------------------------------------------------------------- */

struct newest { struct trainer_data *d; uint32_t cap, seen; int64_t last_us; };

static bool take_newest(void *ctx, const struct hn_frame *f)
{
	struct newest *k = ctx;

	for (int i = 0; i < f->n; i++)
		if (f->n != k->d->ch || (f->quality[i] != HN_GOOD && f->quality[i] != HN_NOT_EVALUATED))
			return true;
	memcpy(k->d->fresh + (size_t)(k->seen % k->cap) * f->n, f->raw, f->n * sizeof *f->raw);
	k->seen++;
	k->last_us = f->event_us;
	return true;
}

/* The newest frames of the new regime, shared among the streams; their order does not matter. */
static hn_status load_fresh(const struct trainer_job *job, struct store_reader *r,
                            struct trainer_data *d)
{
	const uint32_t each = (uint32_t)(job->scaler_frames / job->n_streams);
	int32_t *all;

	if (each == 0 || job->since_us == 0)
		return HN_OK;
	all = malloc((size_t)each * (size_t)job->n_streams * d->ch * sizeof *all);
	if (!all)
		return HN_ENOMEM;
	for (int s = 0; s < job->n_streams; s++) {
		struct newest k = { .d = d, .cap = each, .last_us = job->since_us };

		d->fresh = all + (size_t)d->n_fresh * d->ch;
		(void)store_read(r, job->stream[s], job->since_us, d->until_us[s], take_newest,
		                 &k);            /* fewer: fine */
		d->until_us[s] = k.last_us + 1;
		d->n_fresh += k.seen < each ? k.seen : each;
	}
	d->fresh = all;
	return HN_OK;
}

hn_status trainer_load(const struct trainer_job *job, struct store_reader *r,
                       struct trainer_data *d, struct hn_err *err)
{
	const bool labels = hn_tasks[job->task].labels;
	hn_status rc = channels_of(r, job->stream[0], &d->ch, err);

	for (int s = 0; s < job->n_streams && rc == HN_OK; s++)
		rc = labels ? trainer_load_labelled(job, r, s, d, err)
		            : trainer_load_frames(job, r, s, d, err);
	d->n_raw = d->n;
	if (rc == HN_OK)
		d->n = hn_dataset_unique(d->w, d->n);
	if (rc == HN_OK && load_fresh(job, r, d) != HN_OK)
		rc = hn_fail(err, HN_ENOMEM, "out of memory");
	return rc;
}

void trainer_data_done(struct trainer_data *d)
{
	free(d->w);
	free(d->raw);
	free(d->fresh);
}
