/* monitor_answer.c - predictions and labels of one model: margin and error charts. */
#include "monitor_row.h"

#include <math.h>
#include <string.h>

enum { RECENT = 16 };                    /* predictions looked through for the same window      */

static const double month_s = 30.0 * 86400.0;
/* A gate has few windows: an accuracy of 100 % does not mean that no error may come. */
static const double error_rate_min = 0.05, error_rate_max = 0.9;

static const char margin_detector[] = "cusum";

static void margin_open(struct model *m)
{
	const struct hn_baseline_cfg cfg = { .learn = (uint32_t)m->cfg.margin_learn, .step = 1.0 };

	(void)hn_baseline_init(&m->kept.margin_base, &cfg);      /* the range was checked at the start */
	m->kept.margin = (struct chart){ .armed = false };
	m->kept.margins = 0;
}

static void errors_open(struct model *m)
{
	const struct hn_detector *d = hn_detector_find(m->cfg.errors);
	struct chart *c = &m->kept.errors;
	struct hn_drift_params p;

	*c = (struct chart){ .armed = false };
	if (!d)
		return;
	p = d->defaults;
	if (p.arl > 0.0)
		p.arl = fmax(chart_arl(m, m->cfg.labels_per_month, 1.0), 20.0);
	if (isfinite(m->kept.accuracy))
		p.p0 = fmin(fmax(1.0 - m->kept.accuracy, error_rate_min), error_rate_max);
	c->armed = d->init(c->state, &p) == HN_OK;
}

void answer_open(struct model *m)
{
	m->kept.accuracy = (double)NAN;
	answer_rearm(m);
}

void answer_rearm(struct model *m)
{
	margin_open(m);
	errors_open(m);
	m->kept.judged = m->kept.right = 0;
}

/* --- predictions ------------------------------------------------------------------------------ */

static void margin_step(struct model *m, int64_t event_us, int margin)
{
	struct model_kept *k = &m->kept;
	double z;

	if (k->margins == 0)
		k->first_margin_us = event_us;
	k->last_margin_us = event_us;
	k->margins += k->margins < UINT32_MAX;
	if (k->episode.open && !hn_baseline_armed(&k->margin_base))
		return;
	if (hn_baseline_step(&k->margin_base, margin, 0.0, &z) != HN_OK)
		return;
	if (!k->margin.armed) {
		const double span_s = (double)(k->last_margin_us - k->first_margin_us) * 1e-6;
		const double a_month = span_s > 0.0 ? (k->margins - 1) * month_s / span_s : month_s;
		const struct chart_plan plan = { margin_detector, HN_DOWN,
			chart_arl(m, a_month / hn_baseline_pace(&k->margin_base), 1.0),
			hn_baseline_slack(&k->margin_base) };

		chart_arm(&k->margin, &plan);
	}
	chart_step(&k->margin, margin_detector, z);
}

static struct remembered *at(const struct model *m, uint32_t age)
{
	return &m->ring[(m->head + REMEMBERED - 1 - age) % REMEMBERED];
}

/* The same window judged by the gateway and by the device is one prediction: the later one
 * counts. */
static struct remembered *same_window(const struct model *m, const struct store_prediction *p)
{
	const double period_us = m->owner->deps.conf->streams[p->stream].period_s * 1e6;
	const double near_us = 0.5 * period_us * (m->conf->hop > 0 ? m->conf->hop : 1);

	for (uint32_t i = 0; i < m->n && i < RECENT; i++) {
		struct remembered *r = at(m, i);

		if (r->stream == p->stream && fabs((double)r->event_us - (double)p->event_us) <= near_us)
			return r;
	}
	return NULL;
}

bool answer_prediction(struct model *m, const struct store_prediction *p)
{
	struct remembered *r = same_window(m, p);
	const bool fresh = !r;

	if (m->kept.version == 0 && p->version > 0)
		m->kept.version = p->version;    /* a champion from before there was a monitor */
	if (fresh) {
		r = &m->ring[m->head];
		m->head = (m->head + 1) % REMEMBERED;
		m->n += m->n < REMEMBERED;
		*r = (struct remembered){ .stream = (int16_t)p->stream };
	} else if (r->judged) {
		return false;
	}
	r->event_us = p->event_us;
	r->version = p->version;
	r->answer = (int16_t)p->class_index;
	r->margin = (int16_t)p->margin;
	if (p->margin < 0 || !fresh)
		return false;
	margin_step(m, p->event_us, p->margin);
	return m->kept.margin.score >= 1.0;
}

void answer_find(const struct model *m, int stream, int64_t from_us, struct hn_query_item *item)
{
	for (uint32_t i = 0; i < m->n && i < RECENT; i++) {
		const struct remembered *r = at(m, i);

		if (r->stream != stream || r->event_us <= from_us || r->event_us > item->event_us)
			continue;
		item->event_us = r->event_us;
		item->margin = r->margin;
		return;
	}
}

void answer_asked(struct model *m, int stream, int64_t event_us)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (at(m, i)->stream == stream && at(m, i)->event_us == event_us)
			at(m, i)->asked = true;
}

/* --- labels ----------------------------------------------------------------------------------- */

static bool covers(const struct store_label *l, const struct remembered *r, double tolerance_us)
{
	return r->stream == l->stream && !r->judged
	    && (double)r->event_us >= (double)l->t0_us - tolerance_us
	    && (double)r->event_us <= (double)l->t1_us + tolerance_us;
}

int answer_label(struct model *m, const struct store_label *l, double tolerance_us, int *right)
{
	int judged = 0, good = 0;

	for (uint32_t i = m->n; i-- > 0;) {              /* oldest first: the order of events */
		struct remembered *r = at(m, i);
		bool ok;

		if (!covers(l, r, tolerance_us))
			continue;
		r->judged = true;
		if (r->version != m->kept.version)
			continue;
		ok = (double)r->answer == l->value;
		judged++;
		good += ok;
		/* Windows asked for because they were in doubt say nothing about the usual error rate. */
		if (!r->asked)
			chart_step(&m->kept.errors, m->cfg.errors, ok ? 0.0 : 1.0);
	}
	m->kept.judged += (uint32_t)judged;
	m->kept.right += (uint32_t)good;
	if (right)
		*right = good;
	return judged;
}
