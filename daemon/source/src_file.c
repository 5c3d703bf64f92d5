/* A recorded CSV file as a source: `type: file`.
 *
 * The loop is never held up: a turn takes at most SLICE_ROWS steps or SLICE_US, and a step is one
 * read() and one line at most.  A frame that the store refuses stays in `frame` until it is taken.
 * Columns are found by the names of the stream's channels. */
#include "src_file.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include "clock.h"

enum {
	SLICE_ROWS = 256, SLICE_US = 2000,
	WAIT_MS_MAX = 1000             /* the clock may be set or stand still: look again      */
};

static const char *const paces[] = { "fast", "realtime", NULL };
static const char *const label_modes[] = { "none", "all", "ask", NULL };
static const char *const units[] = { "auto", "rfc3339", "s", "ms", "us", "ns", NULL };

_Static_assert(sizeof(struct file_settings) <= CONF_DRIVER_BYTES, "settings fit");

#define ROW_OF struct file_settings
static const struct conf_row rows[] = {
	TEXT("path", path, "/var/lib/honed/replay.csv", CONF_REQUIRED,
	     "CSV file with a line of column names"),
	TEXT("stream", stream, "", 0,
	     "stream that the file feeds; empty: the only one of this source"),
	TEXT("time", time, "", 0, "column with the event time; empty: start + row * period"),
	ENUM("time_unit", time_unit, "auto", units, 0,
	     "how times are written; auto: RFC 3339, or a number whose size tells its unit"),
	TEXT("start", start, "", 0,
	     "event time of the first row when there is no time column; empty: now"),
	TIME("period", period_s, "1s", 1e-6, 31e6, 0,
	     "time between rows when there is no time column"),
	ENUM("pace", pace, "realtime", paces, 0,
	     "realtime: as the event times say; fast: as the store takes it"),
	REAL("speed", speed, "1", 1e-3, 1e6, "", 0, "realtime: so many times faster"),
	TEXT("label", label, "", 0, "column with the truth, a class number or value; empty: none"),
	ENUM("labels", labels, "all", label_modes, 0,
	     "all: give each row's label; ask: only when asked for; none: ignore the column"),
	REAL("label_base", label_base, "0", 0, 0, "", 0,
	     "subtracted from the label: 1 when classes are counted from 1"),
	TIME("label_delay", label_delay_s, "0s", 0, 31e6, 0,
	     "event time that passes before a label is known"),
	BOOL("loop", loop, "false", 0, "begin again at the end, with later event times"),
	CONF_END
};
#undef ROW_OF

/* --- labels ----------------------------------------------------------------------------------- */

static int64_t to_us(double s)
{
	return (int64_t)llround(s * 1e6);
}

static void label_give(struct source *s, struct label_at l)
{
	const struct file_state *st = s->state;

	s->all->hooks.on_label(s->all->hooks.ctx, st->frame.stream, l.t_us, l.t_us, l.value);
}

/* Give the labels that are known at event time `now_us`. */
static void labels_due(struct source *s, int64_t now_us)
{
	struct file_state *st = s->state;
	const struct label_at *l;

	while (!s->all->closing && (l = label_ring_oldest(&st->ring)) != NULL
	       && l->t_us <= now_us - to_us(st->set->label_delay_s)) {
		struct label_at due = *l;

		label_ring_pop(&st->ring);
		label_give(s, due);
	}
}

/* Remember the label of `frame`.  Those to be asked for are known before the frame is given, for
 * whoever asks while he takes it. */
static void label_keep(struct source *s)
{
	struct file_state *st = s->state;
	struct label_at lost;

	if (!isfinite(st->label))
		return;
	if (label_ring_push(&st->ring, (struct label_at){ st->frame.event_us, st->label }, &lost)
	    && st->set->labels == LABELS_ALL)
		label_give(s, lost);            /* early rather than never */
}

static int file_ask(struct source *s, int stream, const int64_t *event_us, int n)
{
	const struct file_state *st = s->state;
	int64_t known_us = st->frame.event_us - to_us(st->set->label_delay_s);
	int given = 0;

	if (stream != st->frame.stream || st->set->labels != LABELS_ASK)
		return 0;
	for (int i = 0; i < n && !s->all->closing; i++) {
		const struct label_at *l = label_ring_find(&st->ring, event_us[i]);

		if (!l || (l->t_us > known_us && s->status != SOURCE_ENDED))
			continue;
		label_give(s, *l);
		given++;
	}
	return given;
}

/* --- pace ------------------------------------------------------------------------------------- */

/* Time until the loaded frame is due, in us; <= 0: now. */
static int64_t file_wait_us(struct file_state *st)
{
	int64_t now = clock_mono_us();

	if (st->set->pace == PACE_FAST)
		return 0;
	if (!st->anchored) {
		st->anchor_event_us = st->frame.event_us;
		st->anchor_mono_us = now;
		st->anchored = true;
	}
	return (int64_t)((double)(st->frame.event_us - st->anchor_event_us) / st->set->speed)
	     - (now - st->anchor_mono_us);
}

static void on_idle(uv_idle_t *h);
static void on_timer(uv_timer_t *h);

/* Let the loop call us when there is something to do. */
static void file_arm(struct source *s)
{
	struct file_state *st = s->state;
	int64_t wait_ms = st->loaded ? (file_wait_us(st) + 999) / 1000 : 0;

	(void)uv_idle_stop(&st->idle);          /* stop and start of a live handle cannot fail */
	(void)uv_timer_stop(&st->timer);
	if (!source_running(s) || s->status == SOURCE_ENDED)
		return;
	if (wait_ms <= 0)
		(void)uv_idle_start(&st->idle, on_idle);
	else
		(void)uv_timer_start(&st->timer, on_timer,
		                     (uint64_t)(wait_ms < WAIT_MS_MAX ? wait_ms : WAIT_MS_MAX), 0);
}

static void file_end(struct source *s, const char *why)
{
	struct file_state *st = s->state;

	s->status = SOURCE_ENDED;
	metric_set(s->m_up, 0);
	log_note("event=source_end source=%s frames=%llu detail=\"%s\"", s->conf->name,
	         (unsigned long long)s->frames, why);
	if (st->set->labels == LABELS_ALL)
		labels_due(s, INT64_MAX);
	if (!s->all->closing)
		s->all->hooks.on_end(s->all->hooks.ctx, s->index);
}

static void file_again(struct source *s)
{
	struct file_state *st = s->state;

	if (!st->set->loop || st->given == 0) {
		file_end(s, st->set->loop ? "no row could be used" : "end of file");
		return;
	}
	if (file_rows_rewind(s)) {
		file_end(s, strerror(errno));
		return;
	}
	st->shift_us += st->max_us - st->min_us
	              + (st->step_us > 0 ? st->step_us : to_us(st->set->period_s));
	st->given = 0;
}

static void file_step(struct source *s)
{
	struct file_state *st = s->state;
	hn_status rc = file_row_next(s);

	if (rc == HN_OK && st->set->labels == LABELS_ASK)
		label_keep(s);
	else if (rc == HN_ENOENT)
		file_again(s);
	else if (rc == HN_EIO)
		file_end(s, strerror(errno));
}

/* `frame` has been taken or refused for good: remember the times of this pass. */
static void times_note(struct file_state *st)
{
	int64_t t = st->frame.event_us;

	st->step_us = st->given ? t - st->last_us : 0;
	st->min_us = st->given && st->min_us < t ? st->min_us : t;
	st->max_us = st->given && st->max_us > t ? st->max_us : t;
	st->last_us = t;
	st->given++;
}

/* Offer the loaded frame. */
static void file_give(struct source *s)
{
	struct file_state *st = s->state;
	uint64_t before = s->frames;

	st->frame.ingest_us = clock_now_us();
	if (source_emit(s, &st->frame) == HN_EFULL)
		return;
	st->loaded = false;
	times_note(st);
	if (s->frames == before || s->all->closing || st->set->labels != LABELS_ALL)
		return;
	label_keep(s);
	labels_due(s, st->frame.event_us);
}

static void file_slice(struct source *s)
{
	struct file_state *st = s->state;
	int64_t begin_us = clock_mono_us();

	for (int i = 0; i < SLICE_ROWS && source_running(s) && s->status != SOURCE_ENDED; i++) {
		if (!st->loaded)
			file_step(s);
		if (st->loaded && file_wait_us(st) > 0)
			break;
		if (st->loaded)
			file_give(s);
		if (clock_mono_us() - begin_us > SLICE_US)
			break;
	}
	if (!s->all->closing)
		file_arm(s);
}

static void on_idle(uv_idle_t *h)
{
	file_slice(h->data);
}

static void on_timer(uv_timer_t *h)
{
	file_slice(h->data);
}

static void file_pause(struct source *s, bool paused)
{
	struct file_state *st = s->state;

	if (!paused)
		st->anchored = false;   /* the time of the pause does not count */
	if (!s->all->closing)
		file_arm(s);
}

/* --- open and close --------------------------------------------------------------------------- */

static hn_status stream_choose(struct source *s, struct hn_err *err)
{
	struct file_state *st = s->state;
	int stream = source_stream(s, st->set->stream);

	if (stream == -2)
		return hn_fail(err, HN_EINVAL, "source %s feeds several streams: `stream:` must say "
		               "which one is in %s", s->conf->name, st->set->path);
	if (stream < 0)
		return hn_fail(err, HN_ENOENT, "source %s: no stream %s%shas `source: %s`", s->conf->name,
		               st->set->stream, *st->set->stream ? " " : "", s->conf->name);
	st->stream = &s->all->conf->streams[stream];
	st->frame.stream = stream;
	st->frame.n = (uint16_t)st->stream->n_channels;
	return HN_OK;
}

static hn_status file_open(struct source *s, struct hn_err *err)
{
	struct file_state *st = s->state;
	hn_status rc;

	st->set = source_settings(s);
	st->fd = -1;
	s->can_wait = true;
	s->replay = st->set->pace == PACE_FAST;
	st->start_us = clock_now_us();
	if (*st->set->start != '\0' && clock_parse(st->set->start, &st->start_us) != 0)
		return hn_fail(err, HN_EFORMAT, "source %s: start: '%s' is not a time such as "
		               "2026-01-31T12:00:00Z", s->conf->name, st->set->start);
	rc = stream_choose(s, err);
	if (rc == HN_OK)
		rc = file_rows_open(s, err);
	if (rc == HN_OK && *st->set->label != '\0' && label_ring_init(&st->ring))
		rc = hn_fail(err, HN_ENOMEM, "source %s: out of memory", s->conf->name);
	if (rc)
		return rc;
	(void)uv_idle_init(s->all->loop, &st->idle);    /* these two cannot fail */
	(void)uv_timer_init(s->all->loop, &st->timer);
	source_own(s, (uv_handle_t *)&st->idle);
	source_own(s, (uv_handle_t *)&st->timer);
	source_up(s, st->set->path);
	file_arm(s);
	return HN_OK;
}

static void file_close(struct source *s)
{
	struct file_state *st = s->state;

	file_rows_close(s);
	label_ring_done(&st->ring);
	source_disown(s, (uv_handle_t *)&st->idle);
	source_disown(s, (uv_handle_t *)&st->timer);
}

static void file_json(const struct source *s, json_t *out)
{
	const struct file_state *st = s->state;

	(void)json_object_set_new(out, "row", json_integer((json_int_t)st->row));
}

const struct source_driver src_file = {
	.conf = { "file", "replay of a CSV file", rows },
	.state_bytes = sizeof(struct file_state),
	.open = file_open, .close = file_close, .pause = file_pause,
	.ask = file_ask, .json = file_json,
};
