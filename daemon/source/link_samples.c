/* SAMPLES of a device become frames, its ticks become times. */
#include "src_link.h"

#include "clock.h"

enum { SAMPLES_HEAD = 10, SAMPLES_TAIL = 4 };

static int16_t get_i16(const uint8_t *p)
{
	uint16_t u = hd_get16(p);

	return (int16_t)(u > INT16_MAX ? (int32_t)u - 65536 : u);
}

static void stamps_note(struct source *s, enum link_clock_event event, uint32_t lost)
{
	struct link_state *st = s->state;
	unsigned skipped;

	if (lost) {
		st->lost += lost;
		metric_add(st->m_lost, lost);
	}
	if (event != LINK_CLOCK_RESTARTED)
		return;
	st->restarts++;
	metric_add(st->m_restarts, 1);
	if (log_allow(&s->outages, 5, 60, &skipped))
		log_note("event=device_restart source=%s detail=\"sample counters began again\" "
		         "not_logged=%u", s->conf->name, skipped);
}

static void history_note(struct link_state *st, const struct link_stamp *m, int64_t first_us)
{
	st->history[st->n_given++ % LINK_HISTORY] = (struct link_given){ *m, first_us };
	if (st->n_given == 2 * LINK_HISTORY)         /* never wraps to "none" */
		st->n_given = LINK_HISTORY;
}

/* Wall clock - monotonic clock, both read at nearly the same time. */
static int64_t wall_offset_us(void)
{
	int64_t before, wall, after;
	int tries = 0;

	do {
		before = clock_mono_us();
		wall = clock_now_us();
		after = clock_mono_us();
	} while (after - before > 100 && ++tries < 4);
	return wall - before;
}

/* Time of frame i of a message, i < 0 and i >= n too. */
static int64_t given_time(const struct link_given *g, uint32_t tick_us)
{
	int64_t d = (int32_t)(tick_us - g->m.tick), p = g->m.period_us;

	if (p > 0)              /* whole periods, so that it is a frame's time */
		d = (d + (d < 0 ? -p / 2 : p / 2)) / p * p;
	return g->first_us + d;
}

hn_status link_time(const struct source *s, uint32_t tick_us, int64_t *event_us)
{
	const struct link_state *st = s->state;
	unsigned kept = st->n_given < LINK_HISTORY ? st->n_given : LINK_HISTORY;
	const struct link_given *found = NULL;

	for (unsigned i = 0; i < kept; i++) {
		const struct link_given *g = &st->history[(st->n_given - 1 - i) % LINK_HISTORY];

		if (!found)
			found = g;      /* a frame that is still to come: from the newest */
		if (tick_us + g->m.period_us / 2 - g->m.tick >= g->m.n * g->m.period_us)
			continue;
		found = g;
		break;
	}
	if (!found)
		return HN_ESTATE;
	*event_us = given_time(found, tick_us);
	return HN_OK;
}

/* Give n frames of n_ch raw values each; first_us is wall time. */
static void samples_give(struct source *s, const uint8_t *raw, const struct link_stamp *m,
                         int64_t first_us)
{
	struct link_state *st = s->state;
	struct hn_frame *f = &st->frame;

	f->ingest_us = clock_now_us();
	for (uint32_t i = 0; i < m->n && !s->all->closing; i++) {
		f->event_us = first_us + (int64_t)i * m->period_us;
		for (uint16_t ch = 0; ch < f->n; ch++, raw += 2) {
			f->raw[ch] = get_i16(raw);
			f->quality[ch] = HN_NOT_EVALUATED;
		}
		(void)source_emit(s, f);        /* cannot wait: settled either way */
	}
}

void link_samples(struct source *s, const uint8_t *body, size_t len)
{
	struct link_state *st = s->state;
	struct link_stamp m = { .arrival_us = clock_mono_us() };
	enum link_clock_event event;
	uint32_t lost, n_ch;
	int64_t first_us;

	if (len < SAMPLES_HEAD + SAMPLES_TAIL || body[9] == 0
	    || len != SAMPLES_HEAD + 2u * body[8] * body[9] + SAMPLES_TAIL) {
		source_refuse(s, REFUSED_FORMAT, 1, "SAMPLES of %zu bytes", len);
		return;
	}
	m.tick = hd_get32(body);
	m.period_us = hd_get32(body + 4);
	n_ch = body[8];
	m.n = body[9];
	m.count = hd_get32(body + len - SAMPLES_TAIL);
	if (st->stream < 0 || n_ch != st->frame.n) {
		source_refuse(s, st->stream < 0 ? REFUSED_STREAM : REFUSED_COLUMNS, 1,
		              "SAMPLES of %u channels, the stream has %d", n_ch,
		              st->stream < 0 ? 0 : (int)st->frame.n);
		return;
	}
	if ((uint64_t)m.period_us * m.n > INT32_MAX) {
		source_refuse(s, REFUSED_TIME, 1, "SAMPLES with a period of %u us", m.period_us);
		return;
	}
	event = link_clock_step(&st->clock, &m, &first_us, &lost);
	if (event == LINK_CLOCK_DUPLICATE) {
		source_refuse(s, REFUSED_DUPLICATE, 1, "SAMPLES from frame %u again", m.count);
		return;
	}
	if (event == LINK_CLOCK_RESTARTED)
		st->n_given = 0;
	stamps_note(s, event, st->sketched ? 0 : lost);
	first_us += wall_offset_us();
	history_note(st, &m, first_us);
	samples_give(s, body + SAMPLES_HEAD, &m, first_us);
}
