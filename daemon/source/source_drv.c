#include "source_drv.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_BURST = 5, LOG_PERIOD_S = 60, LABELS_MAX = 128, DETAIL_MAX = 256 };

#define X(name, text) text,
const char *const source_reasons[] = { SOURCE_REASONS(X) };
#undef X

static void count(uint64_t *n, struct metric *m, uint64_t by)
{
	*n += by;
	metric_add(m, (double)by);
}

/* The series of a reason begins with its first refusal: most sources never need most of them. */
static void count_refused(struct source *s, enum source_reason why, uint64_t n)
{
	char labels[LABELS_MAX];

	if (!s->m_refused[why]) {
		(void)snprintf(labels, sizeof labels, "source=\"%s\",reason=\"%s\"", s->conf->name,
		               source_reasons[why]);
		s->m_refused[why] = metric_counter("honed_source_refused_total", labels,
		        "Lines, rows and messages from outside that were not taken.");
	}
	count(&s->refused[why], s->m_refused[why], n);
}

void source_refuse(struct source *s, enum source_reason why, uint64_t n, const char *fmt, ...)
{
	char detail[DETAIL_MAX];
	unsigned skipped;
	va_list ap;

	if (n == 0)
		return;
	count_refused(s, why, n);
	if (!log_allow(&s->limit, LOG_BURST, LOG_PERIOD_S, &skipped))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof detail, fmt, ap);         /* cut at the end, by intent */
	va_end(ap);
	log_warn("event=refused source=%s reason=%s detail=\"%s\" not_logged=%u", s->conf->name,
	         source_reasons[why], detail, skipped);
}

const char *source_quote(char *out, size_t cap, const char *text)
{
	size_t i = 0;

	for (; text[i] != '\0' && i + 1 < cap; i++)
		out[i] = (char)(text[i] < ' ' || text[i] > '~' || text[i] == '"' ? '?' : text[i]);
	out[i] = '\0';
	return out;
}

hn_status source_emit(struct source *s, const struct hn_frame *f)
{
	struct sources *all = s->all;
	hn_status rc = all->hooks.on_frame(all->hooks.ctx, f);

	if (rc == HN_OK) {
		count(&s->frames, s->m_frames, 1);
	} else if (rc != HN_EFULL) {
		source_refuse(s, REFUSED_PIPELINE, 1, "%s", hn_status_text(rc));
	} else if (s->can_wait) {
		s->full = true;
		s->driver->pause(s, true);
	} else {
		count(&s->dropped, s->m_dropped, 1);
		rc = HN_OK;
	}
	return rc == HN_EFULL ? HN_EFULL : HN_OK;
}

void source_bytes(struct source *s, size_t n)
{
	count(&s->bytes, s->m_bytes, n);
}

int source_stream(const struct source *s, const char *name)
{
	const struct conf *c = s->all->conf;
	int found = -1;

	for (int i = 0; i < c->n_streams; i++) {
		if (strcmp(c->streams[i].source, s->conf->name) != 0)
			continue;
		if (strcmp(c->streams[i].name, name) == 0)
			return i;
		if (*name == '\0')
			found = found == -1 ? i : -2;
	}
	return found;
}

void source_up(struct source *s, const char *what)
{
	s->status = SOURCE_UP;
	metric_set(s->m_up, 1);
	log_write(s->told ? LOG_NOTE : LOG_INFO, "event=source_up source=%s detail=\"%s\"",
	          s->conf->name, what);
	s->told = false;
}

uint64_t source_outage(struct source *s, double min_s, double max_s, const char *why)
{
	double wait_s = s->backoff_s * 2;
	unsigned skipped;

	wait_s = wait_s < min_s ? min_s : wait_s > max_s ? max_s : wait_s;
	s->backoff_s = wait_s;
	s->status = SOURCE_WAITING;
	metric_set(s->m_up, 0);
	if (!s->told && log_allow(&s->outages, LOG_BURST, LOG_PERIOD_S, &skipped))
		log_warn("event=source_down source=%s reason=\"%s\" retry_s=%.1f retry_s_max=%.0f "
		         "not_logged=%u", s->conf->name, why, wait_s, max_s, skipped);
	else
		log_debug("event=source_down source=%s reason=\"%s\" retry_s=%.1f", s->conf->name,
		          why, wait_s);
	s->told = true;
	return (uint64_t)(wait_s * 1000);
}

void source_ref(struct source *s)
{
	s->all->refs++;
}

void source_unref(struct source *s)
{
	struct sources *all = s->all;

	if (--all->refs > 0)
		return;
	for (int i = 0; i < all->n; i++)
		free(all->item[i].state);
	free(all);
}

void source_own(struct source *s, uv_handle_t *h)
{
	h->data = s;
	source_ref(s);
}

static void on_closed(uv_handle_t *h)
{
	source_unref(h->data);
}

void source_disown(struct source *s, uv_handle_t *h)
{
	if (h->type == UV_UNKNOWN_HANDLE || h->data != s || uv_is_closing(h))
		return;
	uv_close(h, on_closed);
}

