/* monitor.c - life of the monitors, the public verbs, episodes. */
#include "monitor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hn_arena.h"
#include "log.h"
#include "monitor_row.h"

static const int64_t save_every_us = 600000000;  /* the rest is saved when it matters */
static const int64_t save_soonest_us = 5000000;

const char *stream_name(const struct model *m, int stream)
{
	const struct monitor *o = m->owner;

	return stream >= 0 && stream < o->n_streams ? o->deps.conf->streams[stream].name : "";
}

uint32_t hash_bytes(uint32_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 16777619u;
	return h;
}

static hn_status check_detector(const char *name, enum hn_drift_kind kind, const char *model,
                                struct hn_err *err)
{
	const struct hn_detector *d = hn_detector_find(name);

	if (!d)
		return hn_fail(err, HN_ENOENT, "model %s: there is no detector '%s'", model, name);
	if (d->kind != kind)
		return hn_fail(err, HN_EINVAL, "model %s: detector '%s' is for %s", model, name,
		               kind == HN_DRIFT_INPUT ? "errors, not for inputs" : "inputs, not for errors");
	return HN_OK;
}

/* --- open and close --------------------------------------------------------------------------- */

static hn_status query_open(struct model *m, uint32_t dim)
{
	const size_t need = hn_query_need(OFFERED, dim);
	struct hn_arena a;

	m->query_mem = aligned_alloc(HN_ARENA_ALIGN,
	                             (need + HN_ARENA_ALIGN - 1) / HN_ARENA_ALIGN * HN_ARENA_ALIGN);
	if (!m->query_mem)
		return HN_ENOMEM;
	hn_arena_init(&a, m->query_mem, need);
	return hn_query_init(&m->query, OFFERED, dim, &a);
}

static hn_status units_open(struct model *m, struct hn_err *err)
{
	const struct conf *conf = m->owner->deps.conf;

	m->unit = calloc((size_t)m->conf->n_streams + 1, sizeof *m->unit);
	if (!m->unit)
		return HN_ENOMEM;
	for (int i = 0; i < m->conf->n_streams; i++) {
		const int s = conf_stream_find(conf, m->conf->streams[i]);
		hn_status rc;

		if (s < 0 || conf->streams[s].n_channels < 1)
			return hn_fail(err, HN_ENOENT, "model %s: stream '%s' has no channels or does not exist",
			               m->conf->name, m->conf->streams[i]);
		rc = unit_open(&m->unit[m->n_units], m, s);
		m->n_units++;
		if (rc != HN_OK)
			return rc;
		if (m->unit[i].dim != m->unit[0].dim)
			return hn_fail(err, HN_EINVAL, "model %s: its streams have different numbers of channels",
			               m->conf->name);
	}
	return HN_OK;
}

static hn_status model_open(struct model *m, struct hn_err *err)
{
	char labels[80];
	hn_status rc = check_detector(m->cfg.errors, HN_DRIFT_ERROR, m->conf->name, err);

	if (rc == HN_OK)
		rc = check_detector(m->cfg.levels, HN_DRIFT_INPUT, m->conf->name, err);
	m->ring = calloc(REMEMBERED, sizeof *m->ring);
	if (rc == HN_OK && !m->ring)
		rc = HN_ENOMEM;
	if (rc == HN_OK)
		rc = units_open(m, err);
	if (rc == HN_OK)
		rc = query_open(m, m->n_units ? m->unit[0].dim : 1);
	if (rc != HN_OK)
		return rc;
	m->kept.size = sizeof m->kept;
	m->kept.fingerprint = hash_bytes(hash_bytes(HASH_START, &m->cfg.margin_learn,
	                                            sizeof m->cfg.margin_learn),
	                                 m->cfg.errors, strlen(m->cfg.errors));
	m->kept.episode_stream = -1;
	answer_open(m);
	(void)snprintf(labels, sizeof labels, "model=\"%s\"", m->conf->name);
	m->alarms = metric_counter("honed_alarms_total", labels, "Episodes that the monitor opened.");
	m->accuracy = metric_gauge("honed_labelled_accuracy", labels,
	                           "Share of labelled predictions that were right.");
	return HN_OK;
}

hn_status monitor_open(struct monitor **out, const struct monitor_deps *deps, struct hn_err *err)
{
	struct monitor *mon = calloc(1, sizeof *mon);
	hn_status rc = HN_OK;

	if (!mon)
		return hn_fail(err, HN_ENOMEM, "monitor: out of memory");
	mon->deps = *deps;
	mon->n_models = deps->conf->n_models;
	mon->n_streams = deps->conf->n_streams;
	mon->model = calloc((size_t)mon->n_models + 1, sizeof *mon->model);
	if (!mon->model)
		rc = HN_ENOMEM;
	for (int i = 0; rc == HN_OK && i < mon->n_models; i++) {
		struct model *m = &mon->model[i];

		m->owner = mon;
		m->index = i;
		m->conf = &deps->conf->models[i];
		if (deps->cfg)
			m->cfg = deps->cfg[i];
		else
			monitor_cfg_defaults(&m->cfg, deps->conf, i);
		monitor_cfg_complete(&m->cfg, m->conf);
		rc = model_open(m, err);
	}
	mon->deps.cfg = NULL;            /* copied */
	if (rc == HN_OK)
		rc = monitor_load(mon, err);
	if (rc == HN_OK) {
		*out = mon;
		return HN_OK;
	}
	(void)hn_fail(err, rc, "monitor: %s", hn_status_text(rc));
	mon->deps.db = NULL;             /* half open: nothing to save */
	monitor_close(mon);
	return rc;
}

static void model_close(struct model *m)
{
	for (int i = 0; i < m->n_units; i++)
		unit_close(&m->unit[i]);
	free(m->unit);
	free(m->ring);
	free(m->query_mem);
}

void monitor_close(struct monitor *mon)
{
	if (!mon)
		return;
	for (int i = 0; mon->model && i < mon->n_models; i++) {
		if (mon->deps.db)
			model_save(&mon->model[i], mon->model[i].kept.last_us);
		model_close(&mon->model[i]);
	}
	free(mon->model);
	free(mon);
}

void monitor_tick(struct monitor *mon, int64_t now_us)
{
	for (int i = 0; i < mon->n_models; i++) {
		struct model *m = &mon->model[i];
		const int64_t age = now_us - m->saved_us;

		if (age >= save_every_us || age < 0 || (m->dirty && age >= save_soonest_us))
			model_save(m, now_us);
	}
}

/* --- episodes --------------------------------------------------------------------------------- */

static void tell(struct model *m, enum monitor_event event, json_t *evidence)
{
	const struct model_kept *k = &m->kept;
	const struct monitor_episode e = { .id = k->episode_id, .model = m->index, .event = event,
		.verdict = k->verdict, .stream = k->episode_stream, .opened_us = k->episode.opened_us,
		.closed_us = event == MONITOR_CLOSED ? k->episode.closed_us : 0, .since_us = k->since_us,
		.evidence = evidence };

	if (m->owner->deps.hooks.on_episode)
		m->owner->deps.hooks.on_episode(m->owner->deps.hooks.ctx, &e);
}

static void enter(struct model *m, const char *kind, const char *reason, json_t *evidence)
{
	(void)journal_add(m->owner->deps.journal, (struct journal_entry){ .kind = kind,
		.model = m->conf->name, .stream = stream_name(m, m->kept.episode_stream),
		.episode = m->kept.episode_id, .version = m->kept.version, .actor = "monitor",
		.reason = reason, .evidence = json_incref(evidence) });
}

/* "data drift on stream vib-1: x by 3.1 sd, z by 1.2 sd" */
static void sentence(const struct model *m, char *out, size_t cap)
{
	const struct hn_verdict *v = &m->kept.verdict;
	const struct conf_stream *s = &m->owner->deps.conf->streams[m->kept.episode_stream];
	int n = snprintf(out, cap, "%s on stream %s", hn_verdict_names[v->kind], s->name);

	if (v->kind == HN_SENSOR_FAULT && n > 0 && (size_t)n < cap)
		n += snprintf(out + n, cap - (size_t)n, ", %s", hn_fault_names[v->fault]);
	for (int i = 0; i < v->n && i < 3 && n > 0 && (size_t)n < cap; i++)
		n += snprintf(out + n, cap - (size_t)n, v->kind == HN_SENSOR_FAULT ? "%s %s (%.0f %% of values)"
		              : "%s %s by %.1f sd", i ? "," : ":", s->channels[v->channel[i]].name,
		              v->kind == HN_SENSOR_FAULT ? 100.0 * (double)v->size[i] : (double)v->size[i]);
}

/* The row, and the charts' state with it: a restart must not find an alarm that its charts know
 * nothing of, and raise it again. */
static void keep(struct model *m, json_t *evidence)
{
	episode_save(m, evidence);
	model_save(m, m->kept.last_us);
}

/* The unit that shows the verdict, most of all. */
static const struct unit *showing(const struct model *m, enum hn_verdict_kind kind)
{
	const struct unit *best = &m->unit[0];

	for (int i = 0; i < m->n_units; i++) {
		const struct unit *u = &m->unit[i];
		const struct hn_signs s = unit_signs(u);

		if (kind == HN_SENSOR_FAULT ? s.fault != HN_FAULT_NONE : u->kept->score > best->kept->score)
			best = u;
	}
	return best;
}

static void describe(struct model *m)
{
	struct model_kept *k = &m->kept;
	const struct unit *u = showing(m, k->episode.kind);

	k->verdict = (struct hn_verdict){ .kind = k->episode.kind, .fault = k->episode.fault };
	k->episode_stream = u->stream;
	unit_describe(u, &k->verdict);
	k->since_us = k->episode.opened_us;
	if (k->verdict.kind == HN_DATA_DRIFT && u->kept->score >= 1.0 && u->kept->zero_us < k->since_us)
		k->since_us = u->kept->zero_us;
}

static void on_opened(struct model *m, enum monitor_event event)
{
	char reason[240];
	json_t *evidence;

	describe(m);
	sentence(m, reason, sizeof reason);
	if (event == MONITOR_OPENED) {
		m->kept.episode_id = m->owner->next_episode++;
		m->kept.alarms++;
		for (int i = 0; i < m->n_units; i++)
			unit_opened(&m->unit[i]);
		metric_add(m->alarms, 1.0);
	}
	hn_query_expire(&m->query, m->kept.since_us);
	evidence = evidence_json(m);
	enter(m, event == MONITOR_OPENED ? "alarm" : "episode_changed", reason, evidence);
	keep(m, evidence);
	tell(m, event, evidence);
	json_decref(evidence);
}

static void on_closed(struct model *m, const char *reason)
{
	json_t *evidence = evidence_json(m);

	enter(m, "episode_closed", reason, evidence);
	keep(m, evidence);
	tell(m, MONITOR_CLOSED, evidence);
	json_decref(evidence);
}

/* A stream that shows drift counts even when another one has a fault. */
static struct hn_signs signs_of(const struct model *m)
{
	struct hn_signs all = { .calm = true, .margin = m->kept.margin.score >= 1.0,
		.errors = m->kept.errors.score >= 1.0 };
	enum hn_fault fault = HN_FAULT_NONE;

	for (int i = 0; i < m->n_units; i++) {
		const struct hn_signs s = unit_signs(&m->unit[i]);

		all.input |= s.input && s.fault == HN_FAULT_NONE;
		all.calm &= s.calm;
		fault = s.fault != HN_FAULT_NONE ? s.fault : fault;
	}
	if (!all.input)
		all.fault = fault;
	all.calm &= m->kept.margin.score < 0.5 && m->kept.errors.score < 0.5;
	return all;
}

/* `block`: a block passed, so that calm time is counted in blocks. */
static void judge(struct model *m, bool block)
{
	const struct hn_signs s = signs_of(m);
	const uint32_t calm = m->kept.episode.calm;
	enum hn_episode_event e;

	if (m->kept.version == 0 && s.fault == HN_FAULT_NONE && !m->kept.episode.open)
		return;
	e = hn_episode_step(&m->kept.episode, &s, (uint32_t)(m->cfg.quiet_blocks * m->n_units),
	                    m->kept.last_us);
	if (!block && m->kept.episode.calm > calm)
		m->kept.episode.calm = calm;
	if (e == HN_EPISODE_OPENED)
		on_opened(m, MONITOR_OPENED);
	else if (e == HN_EPISODE_CHANGED)
		on_opened(m, MONITOR_CHANGED);
	else if (e == HN_EPISODE_CLOSED)
		on_closed(m, "everything has been quiet again for a while");
}

/* --- verbs ------------------------------------------------------------------------------------ */

void monitor_frame(struct monitor *mon, const struct hn_frame *f)
{
	for (int i = 0; i < mon->n_models; i++) {
		struct model *m = &mon->model[i];

		for (int k = 0; k < m->n_units; k++) {
			if (m->unit[k].stream != f->stream)
				continue;
			if (!unit_frame(&m->unit[k], m, f))
				continue;
			if (f->event_us > m->kept.last_us)
				m->kept.last_us = f->event_us;
			judge(m, true);
		}
	}
}

void monitor_sketch(struct monitor *mon, const struct monitor_sketch *s)
{
	for (int i = 0; i < mon->n_models; i++) {
		struct model *m = &mon->model[i];

		for (int k = 0; k < m->n_units; k++) {
			if (m->unit[k].stream != s->stream || !unit_sketch(&m->unit[k], m, s))
				continue;
			if (s->event_us > m->kept.last_us)
				m->kept.last_us = s->event_us;
			judge(m, true);
		}
	}
}

static struct model *model_of(struct monitor *mon, int model)
{
	return model >= 0 && model < mon->n_models ? &mon->model[model] : NULL;
}

void monitor_prediction(struct monitor *mon, const struct store_prediction *p)
{
	struct model *m = model_of(mon, p->model);
	int64_t before_us;

	if (!m || p->stream < 0 || p->stream >= mon->n_streams)
		return;
	/* The item of the block that this window ended in learns the margin. */
	before_us = p->event_us - (int64_t)(mon->deps.conf->streams[p->stream].period_s * 1e6 *
	                                    (m->cfg.block - 1));
	if (p->margin >= 0)
		hn_query_margin(&m->query, p->stream, before_us, p->event_us, p->margin);
	if (answer_prediction(m, p))
		judge(m, false);
}

int monitor_label(struct monitor *mon, int model, const struct store_label *l, int *right)
{
	struct model *m = model_of(mon, model);
	int n;

	if (right)
		*right = 0;
	if (!m || l->stream < 0 || l->stream >= mon->n_streams)
		return 0;
	hn_query_known(&m->query, l->stream, l->t0_us, l->t1_us);
	n = answer_label(m, l, 0.5e6 * mon->deps.conf->streams[l->stream].period_s, right);
	if (m->kept.judged)
		metric_set(m->accuracy, (double)m->kept.right / m->kept.judged);
	judge(m, false);
	return n;
}

int64_t monitor_version(const struct monitor *mon, int model)
{
	return model >= 0 && model < mon->n_models ? mon->model[model].kept.version : 0;
}

void monitor_rearm(struct monitor *mon, int model, int64_t version, double accuracy)
{
	struct model *m = model_of(mon, model);
	bool was_open;

	if (!m)
		return;
	was_open = m->kept.episode.open && m->kept.episode.kind != HN_SENSOR_FAULT;
	m->kept.version = version;
	m->kept.accuracy = accuracy;
	for (int i = 0; i < m->n_units; i++)
		unit_rearm(&m->unit[i], m, was_open);
	answer_rearm(m);
	hn_query_clear(&m->query);
	m->dirty = true;
	if (was_open && hn_episode_rearm(&m->kept.episode, m->kept.last_us) == HN_EPISODE_CLOSED)
		on_closed(m, "a new version serves; its reference is learned from the blocks since the alarm");
}

int64_t monitor_since(const struct monitor *mon, int model)
{
	return model >= 0 && model < mon->n_models ? mon->model[model].kept.since_us : 0;
}

/* In an episode the first windows show a change under way: wait, and leave out the first
 * quarter. */
static bool settled(struct model *m)
{
	const struct model_kept *k = &m->kept;
	uint32_t blocks = 0;

	if (!k->episode.open)
		return true;
	for (int i = 0; i < m->n_units; i++) {
		const uint32_t seen = unit_novelty(&m->unit[i], !m->unit[i].kept->active)->seen;

		blocks = seen > blocks ? seen : blocks;
	}
	if (blocks < (uint32_t)m->cfg.settle)
		return false;
	hn_query_expire(&m->query, k->episode.opened_us + (k->last_us - k->episode.opened_us) / 4);
	return true;
}

int monitor_pick(struct monitor *mon, int model, const char *how, int n, struct monitor_pick *out)
{
	struct model *m = model_of(mon, model);
	const struct hn_query_how *h = hn_query_how_find(how);
	int slot[OFFERED], got;

	if (!m || !h || n <= 0 || !settled(m))
		return 0;
	got = hn_query_pick(&m->query, h, n < OFFERED ? n : OFFERED, slot);
	for (int i = 0; i < got; i++) {
		const struct hn_query_item *it = hn_query_at(&m->query, slot[i]);

		out[i] = (struct monitor_pick){ .stream = it->stream, .event_us = it->event_us,
			.margin = it->margin };
		if (strcmp(h->name, "random") != 0)
			answer_asked(m, it->stream, it->event_us);
	}
	return got;
}

void monitor_asked(struct monitor *mon, int model, int stream, int64_t event_us)
{
	struct model *m = model_of(mon, model);

	if (m)
		answer_asked(m, stream, event_us);
}
