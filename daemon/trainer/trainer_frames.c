/* Windows of a task that needs no labels: all frames of a stream, cut `hop` frames apart.
 *
 * The old regime and the new one have a share of train.windows_max each, so that a long past does
 * not crowd out what is new; where there are more, every second one goes, again and again: what is
 * left lies evenly over the time.  A window that a label calls other than normal (a value that is
 * not 0) is held back for good.  One of the old regime that the model itself called an anomaly is
 * left out, unless a label calls it normal; in the new regime everything is an anomaly to a model
 * that does not know it. */
#include "trainer.h"

#include <stdlib.h>
#include <string.h>

enum { SPANS_MAX = 100000, ODD_MAX = 100000 };

struct span { int64_t t0_us, t1_us; bool normal; };

struct harvest {
	const struct trainer_job *job;
	struct trainer_data *d;
	int stream;
	bool recent;
	int32_t *ring;                   /* (window, ch)                                          */
	int64_t *time_us;                /* (window,)                                             */
	uint32_t head, run;
	int64_t prev_us, gap_us;
	struct span *span;               /* (n_spans,) labels in order of t0                      */
	uint32_t n_spans, cap_spans;
	int64_t *odd_us;                 /* (n_odd,) ends of anomalies, in order                  */
	uint32_t n_odd;
	uint32_t at_span, at_odd;        /* those before it are over                              */
	uint32_t begin, most;            /* of this regime: first window, limit                   */
	uint32_t stride, seen;
	bool full;                       /* memory: no room for a label                           */
};

/* --- what is known ---------------------------------------------------------------------------- */

static bool room_for_span(struct harvest *h)
{
	const uint32_t next = h->cap_spans ? 2 * h->cap_spans : 256;
	struct span *p;

	if (h->n_spans < h->cap_spans)
		return true;
	p = h->n_spans < SPANS_MAX ? realloc(h->span, next * sizeof *p) : NULL;
	if (!p)
		return false;
	h->span = p;
	h->cap_spans = next;
	return true;
}

static bool on_label(void *ctx, const struct store_label *l)
{
	struct harvest *h = ctx;

	if (l->given_us > h->job->now_us)        /* a job that is started again sees the same labels */
		return true;
	h->full = !room_for_span(h);
	if (h->full)
		return false;
	h->span[h->n_spans++] = (struct span){ l->t0_us, l->t1_us, !(l->value > 0) && !(l->value < 0) };
	return true;
}

/* The newest ODD_MAX; windows before them count as normal. */
static hn_status read_odd(struct harvest *h, struct store_reader *r)
{
	static const char sql[] = "SELECT p.t FROM prediction p JOIN stream s ON s.id = p.stream "
		"JOIN model m ON m.id = p.model WHERE s.name = ? AND m.name = ? AND p.class = 1 "
		"AND p.made <= ? ORDER BY p.t DESC LIMIT ?";
	sqlite3_stmt *q = NULL;
	uint32_t at = ODD_MAX;

	h->odd_us = malloc(ODD_MAX * sizeof *h->odd_us);
	if (!h->odd_us)
		return HN_ENOMEM;
	if (sqlite3_prepare_v2(store_reader_handle(r), sql, -1, &q, NULL) != SQLITE_OK)
		return HN_EIO;
	sqlite3_bind_text(q, 1, h->job->stream[h->stream], -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, h->job->model, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, h->job->now_us);
	sqlite3_bind_int(q, 4, ODD_MAX);
	while (at > 0 && sqlite3_step(q) == SQLITE_ROW)
		h->odd_us[--at] = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	h->n_odd = ODD_MAX - at;
	memmove(h->odd_us, h->odd_us + at, h->n_odd * sizeof *h->odd_us);
	return HN_OK;
}

/* What labels say of a window: -1 nothing, 0 normal, 1 other than that.  Windows only get later. */
static int labelled(struct harvest *h, int64_t from_us, int64_t to_us)
{
	int said = -1;

	while (h->at_span < h->n_spans && h->span[h->at_span].t1_us < from_us)
		h->at_span++;
	for (uint32_t i = h->at_span; i < h->n_spans && h->span[i].t0_us <= to_us; i++) {
		if (h->span[i].t1_us < from_us)
			continue;
		if (!h->span[i].normal)
			return 1;
		said = 0;
	}
	return said;
}

/* Does a window that was answered "anomaly" overlap this one? */
static bool was_odd(struct harvest *h, int64_t from_us, int64_t to_us)
{
	const int64_t span = to_us - from_us;

	while (h->at_odd < h->n_odd && h->odd_us[h->at_odd] < from_us)
		h->at_odd++;
	return h->at_odd < h->n_odd && h->odd_us[h->at_odd] - span <= to_us;
}

/* --- windows ---------------------------------------------------------------------------------- */

/* Every second window of this regime goes. */
static void thin(struct harvest *h)
{
	struct trainer_data *d = h->d;
	const size_t values = (size_t)h->job->window * d->ch;
	uint32_t to = h->begin;

	for (uint32_t i = h->begin; i < d->n; i += 2, to++) {
		d->w[to] = d->w[i];
		d->w[to].at = to;
		memmove(d->raw + to * values, d->raw + i * values, values * sizeof *d->raw);
	}
	d->n = to;
	h->stride *= 2;
}

static void take(struct harvest *h, int64_t from_us, int64_t to_us)
{
	const int said = labelled(h, from_us, to_us);
	struct hn_window *w;

	if (said < 0 && !h->recent && was_odd(h, from_us, to_us)) {
		h->d->anomalous++;
		return;
	}
	if (h->d->n - h->begin >= h->most)
		thin(h);
	if (h->seen++ % h->stride != 0)
		return;
	w = trainer_add(h->job, h->d, h->ring, h->head);
	if (!w && h->d->n - h->begin >= 2) {
		thin(h);
		w = trainer_add(h->job, h->d, h->ring, h->head);
	}
	if (!w) {
		h->d->over++;
		return;
	}
	w->end_us = to_us;
	w->stream = h->stream;
	w->recent = h->recent;
	w->outlier = said == 1;
	w->label = said == 1;
}

static bool on_frame(void *ctx, const struct hn_frame *f)
{
	struct harvest *h = ctx;
	const uint32_t window = (uint32_t)h->job->window, hop = (uint32_t)h->job->hop;
	bool good = f->n == h->d->ch;

	for (int i = 0; good && i < f->n; i++)
		good = f->quality[i] == HN_GOOD || f->quality[i] == HN_NOT_EVALUATED;
	if (!good || (h->gap_us && h->run && f->event_us - h->prev_us > h->gap_us))
		h->run = 0;
	h->prev_us = f->event_us;
	if (!good) {
		h->d->refused++;
		return true;
	}
	memcpy(h->ring + (size_t)h->head * h->d->ch, f->raw, f->n * sizeof *f->raw);
	h->time_us[h->head] = f->event_us;
	h->head = (h->head + 1) % window;
	h->run++;
	if (h->run >= window && (h->run - window) % hop == 0)
		take(h, h->time_us[h->head], f->event_us);
	return true;
}

/* --- regimes ---------------------------------------------------------------------------------- */

static hn_status read_regime(struct harvest *h, struct store_reader *r, int64_t from, int64_t to)
{
	hn_status rc;

	h->begin = h->d->n;
	h->stride = 1;
	h->seen = h->run = h->head = h->at_odd = h->at_span = 0;
	rc = store_read(r, h->job->stream[h->stream], from, to, on_frame, h);
	return rc == HN_EFORMAT ? HN_OK : rc;    /* a damaged block costs its windows only */
}

/* The old regime, then the new one.  A window over the border belongs to neither. */
static hn_status read_all(struct harvest *h, struct store_reader *r)
{
	const int64_t since = h->job->since_us, until = h->d->until_us[h->stream];
	const char *name = h->job->stream[h->stream];
	const uint32_t share = (uint32_t)(h->job->windows_max / h->job->n_streams);
	hn_status rc = store_read_labels(r, name, INT64_MIN, INT64_MAX, on_label, h);

	if (rc != HN_OK || h->full)
		return rc ? rc : HN_ENOMEM;
	rc = read_odd(h, r);
	h->most = since > 0 ? (share + 1) / 2 : share;
	h->most = h->most > 2 ? h->most : 2;
	if (rc == HN_OK)
		rc = read_regime(h, r, 0, since > 0 && since < until ? since : until);
	h->recent = true;
	if (rc == HN_OK && since > 0 && since < until)
		rc = read_regime(h, r, since, until);
	h->d->until_us[h->stream] = h->prev_us + 1;
	return rc;
}

hn_status trainer_load_frames(const struct trainer_job *job, struct store_reader *r, int stream,
                              struct trainer_data *d, struct hn_err *err)
{
	struct harvest h = { .job = job, .d = d, .stream = stream,
		.gap_us = (int64_t)(5e6 * job->period_s),
		.ring = malloc((size_t)job->window * d->ch * sizeof *h.ring),
		.time_us = malloc((size_t)job->window * sizeof *h.time_us) };
	hn_status rc = h.ring && h.time_us ? read_all(&h, r) : HN_ENOMEM;

	free(h.ring);
	free(h.time_us);
	free(h.span);
	free(h.odd_us);
	if (rc == HN_ENOENT)             /* configured, but nothing has arrived yet */
		return HN_OK;
	return rc == HN_OK ? rc : hn_fail(err, rc, "stream %s: frames: %s", job->stream[stream],
	                                  hn_status_text(rc));
}
