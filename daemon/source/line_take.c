/* A line of text becomes a frame: measurement = stream, fields = channels. */
#include "src_line.h"

#include <math.h>
#include <string.h>
#include "clock.h"
#include "hn_csv.h"
#include "hn_lineproto.h"

enum { EXCERPT = 60 };

/* Channel of this name; lines mostly name them in order, so the search starts at *hint. */
static int channel_find(const struct conf_stream *c, const char *name, int *hint)
{
	for (int k = 0; k < c->n_channels; k++) {
		int i = (*hint + k) % c->n_channels;

		if (strcmp(c->channels[i].name, name) == 0) {
			*hint = i + 1;
			return i;
		}
	}
	return -1;
}

static void field_unknown(struct source *s, const char *stream, const char *key)
{
	struct line_state *st = s->state;
	char quoted[EXCERPT];
	unsigned skipped;

	st->unknown_fields++;
	metric_add(st->m_unknown, 1);
	if (log_allow(&s->limit, 5, 60, &skipped))
		log_warn("event=unknown_field source=%s stream=%s field=\"%s\" not_logged=%u",
		         s->conf->name, stream, source_quote(quoted, sizeof quoted, key), skipped);
}

static void frame_clear(struct hn_frame *f, int stream, const struct conf_stream *c)
{
	f->stream = stream;
	f->n = (uint16_t)c->n_channels;
	for (uint16_t i = 0; i < f->n; i++)
		hn_frame_set(f, i, &c->channels[i], (double)NAN);
}

/* All fields, then the time.  The frame is only good when HN_OK is returned; else *why. */
static hn_status fields_take(struct source *s, struct hn_lineproto *lp, enum source_reason *why)
{
	struct line_state *st = s->state;
	const struct conf_stream *c = &s->all->conf->streams[st->frame.stream];
	struct hn_lineproto_field f;
	int hint = 0, known = 0, i;
	hn_status rc;

	while ((rc = hn_lineproto_next(lp, &f)) == HN_OK) {
		i = channel_find(c, f.key, &hint);
		if (i < 0) {
			field_unknown(s, c->name, f.key);
			continue;
		}
		hn_frame_set(&st->frame, (uint16_t)i, &c->channels[i], f.value);
		known++;
	}
	*why = REFUSED_FORMAT;
	if (rc != HN_ENOENT)
		return rc;
	*why = REFUSED_CHANNEL;
	if (known == 0)
		return HN_ENOENT;
	*why = REFUSED_TIME;
	return lp->has_time ? hn_csv_time_int(lp->time, (enum hn_csv_unit)st->set->precision,
	                                      &st->frame.event_us) : HN_OK;
}

static hn_status line_parse(struct source *s, char *text, size_t len, enum source_reason *why)
{
	struct line_state *st = s->state;
	struct hn_lineproto lp;
	hn_status rc = hn_lineproto_begin(&lp, text, len);
	int stream;

	*why = REFUSED_FORMAT;
	if (rc)
		return rc;
	*why = REFUSED_STREAM;
	stream = source_stream(s, lp.measurement);
	if (stream < 0)
		return HN_ENOENT;
	frame_clear(&st->frame, stream, &s->all->conf->streams[stream]);
	st->frame.ingest_us = st->frame.event_us = clock_now_us();
	return fields_take(s, &lp, why);
}

bool line_take(struct source *s, char *text, size_t len)
{
	struct line_state *st = s->state;
	enum source_reason why;
	char excerpt[EXCERPT];

	if (hn_lineproto_blank(text, len))
		return true;
	(void)source_quote(excerpt, sizeof excerpt, text);      /* parsing modifies the text */
	if (line_parse(s, text, len, &why)) {
		source_refuse(s, why, 1, "%s", excerpt);
		return true;
	}
	st->pending = source_emit(s, &st->frame) == HN_EFULL;
	return !st->pending;
}

bool line_retry(struct source *s)
{
	struct line_state *st = s->state;

	if (st->pending)
		st->pending = source_emit(s, &st->frame) == HN_EFULL;
	return !st->pending;
}
