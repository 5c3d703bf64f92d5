/* One model's way around the loop; every decision is made by pure code in lib/, here it is only
 * carried out, journalled and made durable. */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cycle.h"
#include "log.h"

static const char *name_of(const struct honed *h, int model)
{
	return h->conf->models[model].name;
}

/* --- holding a replay ------------------------------------------------------------------------ */

enum { LABELS_PENDING_MAX = 1024 };      /* a quarter of the database queue */

void cycle_hold(struct honed *h)
{
	/* an answer changes what the next frame meets; labels by the thousand only must not get lost */
	bool hold = h->pending_answers > 0 || h->pending_labels > LABELS_PENDING_MAX;

	for (int m = 0; m < h->conf->n_models; m++)
		hold |= h->cycle[m].deciding || supervise_busy(h->supervise, m);
	if (hold == h->held)
		return;
	h->held = hold;
	sources_hold(h->sources, hold);
}

/* --- asking for labels ----------------------------------------------------------------------- */

enum { ASK_MAX = 64 };

static void put_questions(struct honed *h, int model, const struct monitor_pick *pick, int got,
                          const char *why)
{
	json_t *windows = json_array();

	h->cycle[model].asked += got;
	for (int i = 0; i < got; i++) {
		cycle_save_question(h, model, &pick[i], why);
		json_array_append_new(windows, json_pack("{ss sI}", "stream",
			h->conf->streams[pick[i].stream].name, "t_us", (json_int_t)pick[i].event_us));
	}
	if (got > 0)
		(void)journal_add(h->journal, (struct journal_entry){ .kind = "labels_wanted",
			.model = name_of(h, model), .episode = h->cycle[model].episode, .actor = "policy",
			.reason = why, .evidence = json_pack("{si so}", "n", got, "windows", windows) });
	else
		json_decref(windows);
	for (int i = 0; i < got; i++)    /* a replay with an answer column answers at once */
		h->pending_answers += sources_ask(h->sources, pick[i].stream, &pick[i].event_us, 1);
}

/* How many were put: fewer may be on offer. */
static int ask(struct honed *h, int model, int n, const char *why)
{
	struct monitor_pick pick[ASK_MAX];
	const int got = monitor_pick(h->monitor, model, "mixed", n < ASK_MAX ? n : ASK_MAX, pick);

	put_questions(h, model, pick, got, why);
	return got;
}

static struct hn_ask_cfg ask_cfg(const struct conf_model *m)
{
	return (struct hn_ask_cfg){ .budget = (int)m->policy.label_budget,
		.period_s = m->policy.label_period_s, .margin = m->policy.ask_margin,
		.spacing = m->policy.ask_spacing };
}

void cycle_prediction(struct honed *h, const struct store_prediction *p)
{
	const struct conf_model *m = &h->conf->models[p->model];
	const struct hn_ask_cfg cfg = ask_cfg(m);
	const struct monitor_pick pick = { .stream = p->stream, .event_us = p->event_us,
		.margin = p->margin };
	struct cycle *c = &h->cycle[p->model];

	if (m->policy.ask != 1 || m->policy.mode == HN_POLICY_MANUAL || p->margin < 0)
		return;
	if (!hn_ask_step(&c->ask, &cfg, p->margin / 255.0, p->event_us))
		return;
	monitor_asked(h->monitor, p->model, p->stream, p->event_us);
	cycle_event(h, p->model, HN_POLICY_ASKED, 1);
	put_questions(h, p->model, &pick, 1, c->ask.used == 1 ? "first prediction of a label period"
	                                                     : "the champion is unsure");
	cycle_hold(h);
}

/* --- policy ---------------------------------------------------------------------------------- */

static struct hn_policy_cfg policy_cfg(const struct conf_model *m)
{
	const struct hn_task_type *t = &hn_tasks[m->task];

	return (struct hn_policy_cfg){ .mode = (enum hn_policy_mode)m->policy.mode,
		.cooldown_s = m->policy.cooldown_s, .labels_min = m->policy.labels_min, .news = t->news,
		.label_budget = t->labels ? (int)m->policy.label_budget : 0,
		.label_period_s = m->policy.label_period_s,
		.eager = m->policy.ask == 1 };
}

/* Where the new regime begins: the label period when the stream asks, else the episode. */
static int64_t regime_start(const struct honed *h, int model)
{
	const struct hn_ask_cfg cfg = ask_cfg(&h->conf->models[model]);

	return h->conf->models[model].policy.ask == 1 ? hn_ask_period_start(&h->cycle[model].ask, &cfg)
	                                              : monitor_since(h->monitor, model);
}

static struct job_request request(const struct honed *h, int model, const char *actor,
                                  const char *reason)
{
	const struct version *v = registry_champion(h->registry, model);

	return (struct job_request){ .model = model, .champion = v ? v->id : 0,
		.since_us = regime_start(h, model), .episode = h->cycle[model].episode,
		.actor = actor, .reason = reason };
}

static hn_status start_job(struct honed *h, int model, const char *actor, const char *reason,
                           bool dry_run, int64_t *job)
{
	struct job_request q = request(h, model, actor, reason);

	q.dry_run = dry_run;
	store_flush(h->store);           /* what arrived before the job is part of its snapshot */
	return supervise_start(h->supervise, &q, job);
}

/* What happened, for the policy. */
struct happened { enum hn_policy_kind kind; int n; };

/* Carry out one action; true: the policy is to hear what came of it. */
static bool act(struct honed *h, int model, const struct hn_policy_action *a, struct happened *next)
{
	int64_t job;
	hn_status rc;

	switch (a->what) {
	case HN_POLICY_ASK:
		*next = (struct happened){ HN_POLICY_ASKED, ask(h, model, a->n, a->reason) };
		return true;
	case HN_POLICY_TRAIN:
		rc = start_job(h, model, "policy", a->reason, false, &job);
		if (rc != HN_OK)
			log_warn("event=job_not_started model=%s reason=\"%s\"", name_of(h, model),
			         hn_status_text(rc));
		*next = (struct happened){ rc == HN_OK ? HN_POLICY_JOB_STARTED : HN_POLICY_JOB_FAILED, 0 };
		return true;
	case HN_POLICY_ADVICE:
		(void)journal_add(h->journal, (struct journal_entry){ .kind = "advice",
			.model = name_of(h, model), .episode = h->cycle[model].episode, .actor = "policy",
			.reason = a->reason });
		return false;
	case HN_POLICY_NOTHING:
		return false;
	}
	return false;
}

/* One step of the policy; what came of its actions goes into next (HN_POLICY_ACTIONS,). */
static int policy_step(struct honed *h, int model, struct happened e, struct happened *next)
{
	struct cycle *c = &h->cycle[model];
	const struct hn_policy_cfg cfg = policy_cfg(&h->conf->models[model]);
	const struct hn_policy_event ev = { .kind = e.kind, .n = e.n,
		.now_us = c->now_us ? c->now_us : clock_now_us() };
	struct hn_policy_action out[HN_POLICY_ACTIONS];
	const int k = hn_policy_step(&c->policy, &cfg, &ev, out);
	int n = 0;

	for (int i = 0; i < k; i++)
		n += act(h, model, &out[i], &next[n]);
	if (k > 0 || (e.kind != HN_POLICY_TICK && e.kind != HN_POLICY_LABELS))
		cycle_save(h, model);
	else if (e.kind == HN_POLICY_LABELS)
		c->dirty = true;         /* many may come at once: the next tick saves */
	return n;
}

/* Room for everything that one event can lead to; the next tick goes on with what is beyond it. */
enum { HAPPENED_MAX = 16 };

void cycle_event(struct honed *h, int model, enum hn_policy_kind kind, int n)
{
	struct happened queue[HAPPENED_MAX + HN_POLICY_ACTIONS] = { { kind, n } };
	int len = 1;

	for (int i = 0; i < len; i++) {
		len += policy_step(h, model, queue[i], &queue[len]);
		if (len > HAPPENED_MAX) {
			log_err("event=policy_busy model=%s reason=\"one event led to too many\"",
			        name_of(h, model));
			return;
		}
	}
}

void cycle_on_episode(void *ctx, const struct monitor_episode *e)
{
	struct honed *h = ctx;
	static const enum hn_policy_kind kind[] = {
		[MONITOR_OPENED] = HN_POLICY_EPISODE_OPENED, [MONITOR_CHANGED] = HN_POLICY_EPISODE_CHANGED,
		[MONITOR_CLOSED] = HN_POLICY_EPISODE_CLOSED };

	if (e->event == MONITOR_OPENED) {
		h->cycle[e->model].judged = h->cycle[e->model].right = 0;
		telemetry_alarm(h, e->model);
	}
	h->cycle[e->model].episode = e->event == MONITOR_CLOSED ? 0 : e->id;
	cycle_event(h, e->model, kind[e->event], (int)e->verdict.kind);
	cycle_hold(h);
}

/* --- after a label --------------------------------------------------------------------------- */

static void watch(struct honed *h, int model)
{
	struct cycle *c = &h->cycle[model];
	const struct conf_model *m = &h->conf->models[model];
	const struct hn_probation_cfg cfg = { .watch_s = m->rollout.probation_s,
		.loss_max = m->rollout.probation_loss_max, .served = hn_tasks[m->task].served };
	char reason[160];
	int64_t v;

	if (!c->on_probation)
		return;
	switch (hn_probation_decide(&c->probation, &cfg, c->now_us, reason)) {
	case HN_PROBATION_WATCH:
		return;
	case HN_PROBATION_KEEP:
		c->on_probation = false;
		(void)journal_add(h->journal, (struct journal_entry){ .kind = "probation_passed",
			.model = name_of(h, model), .reason = reason });
		cycle_save(h, model);
		return;
	case HN_PROBATION_ROLL_BACK:
		c->on_probation = false;
		if (cycle_roll_back(h, model, "probation", reason, &v) != HN_OK)
			log_warn("event=no_way_back model=%s reason=\"there is no earlier version\"",
			         name_of(h, model));
		return;
	}
}

/* So many answers of the champion were judged. */
static void judge(struct honed *h, int model, int judged, int right)
{
	struct cycle *c = &h->cycle[model];

	c->judged += judged;
	c->right += right;
	/* a new drift is not the new version's fault: what is judged then does not judge it */
	for (int i = 0; i < judged && !c->episode; i++)
		hn_probation_label(&c->probation, i < right);
}

void cycle_label(struct honed *h, int model, int judged, int right)
{
	struct cycle *c = &h->cycle[model];

	c->answered++;
	if (hn_tasks[h->conf->models[model].task].labels) {
		c->labels++;
		judge(h, model, judged, right);
		watch(h, model);
	}
	cycle_event(h, model, HN_POLICY_LABELS, c->labels);
}

void cycle_frame(struct honed *h, int model)
{
	struct cycle *c = &h->cycle[model];

	if (++c->frames < h->conf->models[model].hop)
		return;
	c->frames = 0;
	c->labels++;
	cycle_event(h, model, HN_POLICY_LABELS, c->labels);
}

void cycle_answer(struct honed *h, int model, bool normal)
{
	judge(h, model, 1, normal);
	watch(h, model);
}

void cycle_tick(struct honed *h)
{
	for (int m = 0; m < h->conf->n_models; m++) {
		cycle_event(h, m, HN_POLICY_TICK, 0);
		watch(h, m);
		if (h->cycle[m].dirty)
			cycle_save(h, m);
	}
	cycle_hold(h);
}

/* --- by hand --------------------------------------------------------------------------------- */

hn_status cycle_retrain(struct honed *h, int model, const char *actor, const char *reason,
                        bool dry_run, int64_t *job)
{
	const hn_status rc = start_job(h, model, actor, reason, dry_run, job);

	if (rc == HN_OK && !dry_run)
		cycle_event(h, model, HN_POLICY_JOB_STARTED, 0);
	cycle_hold(h);
	return rc;
}

hn_status cycle_import(struct honed *h, int model, const struct api_net_file *file, int64_t *job)
{
	struct job_request q = request(h, model, file->actor, file->reason);
	hn_status rc;

	q.import = file->bytes;
	q.import_len = file->len;
	q.since_us = 1;                  /* compared on all windows that there are */
	store_flush(h->store);
	rc = supervise_start(h->supervise, &q, job);
	if (rc == HN_OK)
		cycle_event(h, model, HN_POLICY_JOB_STARTED, 0);
	cycle_hold(h);
	return rc;
}
