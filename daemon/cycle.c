/* One model's way around the loop; every decision is made by pure code in lib/, here it is only
 * carried out, journalled and made durable. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hn_gate.h"
#include "honed.h"
#include "log.h"

static const char *name_of(const struct honed *h, int model)
{
	return h->conf->models[model].name;
}

/* --- the saved state ----------------------------------------------------------------------------- */

/* What survives a restart, written as one blob; a blob of another size is from another build and is
 * dropped: the policy then starts fresh, which only costs a repeated question. */
struct saved { struct hn_policy policy; struct hn_ask ask; struct hn_probation probation; bool on_probation;
               int64_t episode; int32_t judged, right; };

struct save { struct db_op op; char model[HN_NAME_MAX]; struct saved s; };

static hn_status save_run(struct db_op *op, struct db *db)
{
	struct save *w = (struct save *)op;
	sqlite3_stmt *q = db_stmt(db, "INSERT OR REPLACE INTO policy_state(model, data) VALUES(?, ?)");

	if (!q)
		return HN_EIO;
	sqlite3_bind_text(q, 1, w->model, -1, SQLITE_STATIC);
	sqlite3_bind_blob(q, 2, &w->s, sizeof w->s, SQLITE_STATIC);
	return db_step(db, q);
}

static void save_done(struct db_op *op, hn_status rc)
{
	if (rc != HN_OK)
		log_warn("event=policy_not_saved reason=\"%s\"", hn_status_text(rc));
	free(op);
}

static void save(struct honed *h, int model)
{
	struct cycle *c = &h->cycle[model];
	struct save *w = calloc(1, sizeof *w);

	if (!w)
		return;
	c->dirty = false;
	w->op = (struct db_op){ .run = save_run, .done = save_done };
	(void)snprintf(w->model, sizeof w->model, "%s", name_of(h, model));
	w->s.policy = c->policy;
	w->s.ask = c->ask;
	w->s.probation = c->probation;
	w->s.on_probation = c->on_probation;
	w->s.episode = c->episode;
	w->s.judged = c->judged;
	w->s.right = c->right;
	if (db_submit(h->db, &w->op) != HN_OK)
		free(w);                 /* the next event saves again */
}

static void load_one(struct honed *h, sqlite3_stmt *q)
{
	const unsigned char *name = sqlite3_column_text(q, 0);
	const int model = name ? conf_model_find(h->conf, (const char *)name) : -1;
	struct saved s;

	if (model < 0 || sqlite3_column_bytes(q, 1) != (int)sizeof s)
		return;
	memcpy(&s, sqlite3_column_blob(q, 1), sizeof s);
	h->cycle[model].policy = s.policy;
	h->cycle[model].ask = s.ask;
	h->cycle[model].probation = s.probation;
	h->cycle[model].on_probation = s.on_probation;
	h->cycle[model].episode = s.episode;
	h->cycle[model].judged = s.judged;
	h->cycle[model].right = s.right;
}

/* Labels of the model's streams that were given after its champion was made. */
static int32_t count_labels(struct honed *h, sqlite3 *db, int model)
{
	const struct version *v = registry_champion(h->registry, model);
	sqlite3_stmt *q = NULL;
	int32_t n = 0;

	if (sqlite3_prepare_v2(db, "SELECT count(*) FROM label JOIN stream ON label.stream = stream.id "
	                       "WHERE stream.name = ? AND label.given > ?", -1, &q, NULL) != SQLITE_OK)
		return 0;
	for (int i = 0; i < h->conf->models[model].n_streams; i++) {
		sqlite3_reset(q);
		sqlite3_bind_text(q, 1, h->conf->models[model].streams[i], -1, SQLITE_STATIC);
		sqlite3_bind_int64(q, 2, v ? v->created_us : 0);
		if (sqlite3_step(q) == SQLITE_ROW)
			n += sqlite3_column_int(q, 0);
	}
	sqlite3_finalize(q);
	return n;
}

hn_status cycle_open(struct honed *h, struct hn_err *err)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *q = NULL;
	hn_status rc = db_reader(h->db_path, &db, err);

	if (rc != HN_OK)
		return rc;
	if (sqlite3_prepare_v2(db, "SELECT model, data FROM policy_state", -1, &q, NULL) != SQLITE_OK)
		rc = hn_fail(err, HN_EIO, "policy state: %s", sqlite3_errmsg(db));
	while (rc == HN_OK && sqlite3_step(q) == SQLITE_ROW)
		load_one(h, q);
	sqlite3_finalize(q);
	for (int m = 0; rc == HN_OK && m < h->conf->n_models; m++)
		h->cycle[m].labels = count_labels(h, db, m);
	sqlite3_close(db);
	return rc;
}

/* --- holding a replay ----------------------------------------------------------------------------- */

void cycle_hold(struct honed *h)
{
	bool hold = h->pending_labels > 0;

	for (int m = 0; m < h->conf->n_models; m++)
		hold |= h->cycle[m].deciding || supervise_busy(h->supervise, m);
	if (hold == h->held)
		return;
	h->held = hold;
	sources_hold(h->sources, hold);
}

/* --- asking for labels ---------------------------------------------------------------------------- */

struct request { struct db_op op; char model[HN_NAME_MAX], stream[HN_NAME_MAX]; int64_t t_us, now_us; char why[160]; };

static hn_status request_run(struct db_op *op, struct db *db)
{
	struct request *w = (struct request *)op;
	sqlite3_stmt *q = db_stmt(db, "INSERT INTO label_request(model, stream, t, asked, why, answered) "
		"VALUES(?, ?, ?, ?, ?, 0)");

	if (!q)
		return HN_EIO;
	sqlite3_bind_text(q, 1, w->model, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, w->stream, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, w->t_us);
	sqlite3_bind_int64(q, 4, w->now_us);
	sqlite3_bind_text(q, 5, w->why, -1, SQLITE_STATIC);
	return db_step(db, q);
}

static void request_save(struct honed *h, int model, const struct monitor_pick *p, const char *why)
{
	struct request *w = calloc(1, sizeof *w);

	if (!w)
		return;
	w->op = (struct db_op){ .run = request_run, .done = save_done };
	(void)snprintf(w->model, sizeof w->model, "%s", name_of(h, model));
	(void)snprintf(w->stream, sizeof w->stream, "%s", h->conf->streams[p->stream].name);
	(void)snprintf(w->why, sizeof w->why, "%s", why);
	w->t_us = p->event_us;
	w->now_us = clock_now_us();
	if (db_submit(h->db, &w->op) != HN_OK)
		free(w);
}

enum { ASK_MAX = 64 };

static void put_questions(struct honed *h, int model, const struct monitor_pick *pick, int got, const char *why)
{
	json_t *windows = json_array();

	cycle_event(h, model, HN_POLICY_ASKED, got);
	h->cycle[model].asked += got;
	for (int i = 0; i < got; i++) {
		request_save(h, model, &pick[i], why);
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
		(void)sources_ask(h->sources, pick[i].stream, &pick[i].event_us, 1);
}

static void ask(struct honed *h, int model, int n, const char *why)
{
	struct monitor_pick pick[ASK_MAX];
	const int got = monitor_pick(h->monitor, model, "mixed", n < ASK_MAX ? n : ASK_MAX, pick);

	put_questions(h, model, pick, got, why);
}

static struct hn_ask_cfg ask_cfg(const struct conf_model *m)
{
	return (struct hn_ask_cfg){ .budget = (int)m->policy.label_budget, .period_s = m->policy.label_period_s,
		.margin = m->policy.ask_margin, .spacing = m->policy.ask_spacing };
}

void cycle_prediction(struct honed *h, const struct store_prediction *p)
{
	const struct conf_model *m = &h->conf->models[p->model];
	const struct hn_ask_cfg cfg = ask_cfg(m);
	const struct monitor_pick pick = { .stream = p->stream, .event_us = p->event_us, .margin = p->margin };
	struct cycle *c = &h->cycle[p->model];

	if (m->policy.ask != 1 || m->policy.mode == HN_POLICY_MANUAL || p->margin < 0)
		return;
	if (!hn_ask_step(&c->ask, &cfg, p->margin / 255.0, p->event_us))
		return;
	put_questions(h, p->model, &pick, 1, c->ask.used == 1 ? "first prediction of a label period"
	                                                     : "the champion is unsure");
	cycle_hold(h);
}

/* --- policy --------------------------------------------------------------------------------------- */

static struct hn_policy_cfg policy_cfg(const struct conf_model *m)
{
	return (struct hn_policy_cfg){ .mode = (enum hn_policy_mode)m->policy.mode,
		.cooldown_s = m->policy.cooldown_s, .labels_min = m->policy.labels_min,
		.label_budget = (int)m->policy.label_budget, .label_period_s = m->policy.label_period_s,
		.eager = m->policy.ask == 1 };
}

/* Where the new regime begins: the label period when the stream asks, else the episode. */
static int64_t regime_start(const struct honed *h, int model)
{
	const struct hn_ask_cfg cfg = ask_cfg(&h->conf->models[model]);

	return h->conf->models[model].policy.ask == 1 ? hn_ask_period_start(&h->cycle[model].ask, &cfg)
	                                              : monitor_since(h->monitor, model);
}

static hn_status start_job(struct honed *h, int model, const char *actor, const char *reason,
                           bool dry_run, int64_t *job)
{
	const struct version *v = registry_champion(h->registry, model);
	const struct job_request q = { .model = model, .champion = v ? v->id : 0,
		.since_us = regime_start(h, model), .episode = h->cycle[model].episode,
		.actor = actor, .reason = reason, .dry_run = dry_run };

	store_flush(h->store);           /* what arrived before the job is part of its snapshot */
	return supervise_start(h->supervise, &q, job);
}

static void act(struct honed *h, int model, const struct hn_policy_action *a)
{
	int64_t job;
	hn_status rc;

	switch (a->what) {
	case HN_POLICY_ASK:
		ask(h, model, a->n, a->reason);
		break;
	case HN_POLICY_TRAIN:
		rc = start_job(h, model, "policy", a->reason, false, &job);
		if (rc != HN_OK)
			log_warn("event=job_not_started model=%s reason=\"%s\"", name_of(h, model),
			         hn_status_text(rc));
		cycle_event(h, model, rc == HN_OK ? HN_POLICY_JOB_STARTED : HN_POLICY_JOB_FAILED, 0);
		break;
	case HN_POLICY_ADVICE:
		(void)journal_add(h->journal, (struct journal_entry){ .kind = "advice",
			.model = name_of(h, model), .episode = h->cycle[model].episode, .actor = "policy",
			.reason = a->reason });
		break;
	case HN_POLICY_NOTHING:
		break;
	}
}

void cycle_event(struct honed *h, int model, enum hn_policy_kind kind, int n)
{
	struct cycle *c = &h->cycle[model];
	const struct hn_policy_cfg cfg = policy_cfg(&h->conf->models[model]);
	const struct hn_policy_event ev = { .kind = kind, .n = n,
		.now_us = c->now_us ? c->now_us : clock_now_us() };
	struct hn_policy_action out[HN_POLICY_ACTIONS];
	const int k = hn_policy_step(&c->policy, &cfg, &ev, out);

	for (int i = 0; i < k; i++)
		act(h, model, &out[i]);
	if (k > 0 || (kind != HN_POLICY_TICK && kind != HN_POLICY_LABELS))
		save(h, model);
	else if (kind == HN_POLICY_LABELS)
		c->dirty = true;         /* many may come at once: the next tick saves */
}

void cycle_on_episode(void *ctx, const struct monitor_episode *e)
{
	struct honed *h = ctx;
	static const enum hn_policy_kind kind[] = {
		[MONITOR_OPENED] = HN_POLICY_EPISODE_OPENED, [MONITOR_CHANGED] = HN_POLICY_EPISODE_CHANGED,
		[MONITOR_CLOSED] = HN_POLICY_EPISODE_CLOSED };

	if (e->event == MONITOR_OPENED)
		h->cycle[e->model].judged = h->cycle[e->model].right = 0;
	h->cycle[e->model].episode = e->event == MONITOR_CLOSED ? 0 : e->id;
	cycle_event(h, e->model, kind[e->event], (int)e->verdict.kind);
	cycle_hold(h);
}

/* --- after a label -------------------------------------------------------------------------------- */

static void watch(struct honed *h, int model)
{
	struct cycle *c = &h->cycle[model];
	const struct conf_model *m = &h->conf->models[model];
	const struct hn_probation_cfg cfg = { .watch_s = m->rollout.probation_s,
		.loss_max = m->rollout.probation_loss_max };
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
		save(h, model);
		return;
	case HN_PROBATION_ROLL_BACK:
		c->on_probation = false;
		if (cycle_roll_back(h, model, "probation", reason, &v) != HN_OK)
			log_warn("event=no_way_back model=%s reason=\"there is no earlier version\"",
			         name_of(h, model));
		return;
	}
}

void cycle_label(struct honed *h, int model, int judged, int right)
{
	struct cycle *c = &h->cycle[model];

	c->labels++;
	c->answered++;
	c->judged += judged;
	c->right += right;
	for (int i = 0; i < judged; i++)
		hn_probation_label(&c->probation, i < right);
	watch(h, model);
	cycle_event(h, model, HN_POLICY_LABELS, c->labels);
}

void cycle_tick(struct honed *h)
{
	for (int m = 0; m < h->conf->n_models; m++) {
		cycle_event(h, m, HN_POLICY_TICK, 0);
		watch(h, m);
		if (h->cycle[m].dirty)
			save(h, m);
	}
	cycle_hold(h);
}

/* --- a new champion ------------------------------------------------------------------------------- */

struct outcome { struct honed *h; int model; int64_t job; double accuracy; bool back; char reason[192]; };

static void in_service(struct honed *h, int model)
{
	struct cycle *c = &h->cycle[model];
	const struct version *v = registry_champion(h->registry, model);
	double accuracy = (double)NAN;

	if (v && v->metrics)
		(void)json_unpack(v->metrics, "{s{sF}}", "gate", "challenger", &accuracy);
	hn_probation_start(&c->probation, c->judged, c->right, accuracy, c->now_us);
	c->on_probation = registry_previous(h->registry, model) != NULL;
	c->judged = c->right = 0;
	cycle_event(h, model, HN_POLICY_CONFIRMED, 0);
}

static void serve(struct honed *h, int model, const char *reason)
{
	const struct version *v = registry_champion(h->registry, model);
	int64_t rollout;
	hn_status rc;

	if (!v)
		return;
	intake_champion(h, model);
	rc = deploy_rollout(h->deploy, model, v->id, v->number, reason, &rollout);
	if (rc == HN_ENOENT)             /* no devices: it is in service here and now */
		in_service(h, model);
	else if (rc != HN_OK)
		log_err("event=rollout_not_started model=%s reason=\"%s\"", name_of(h, model), hn_status_text(rc));
}

void cycle_on_rollout(void *ctx, int model, int64_t rollout, int64_t version, bool ok, const char *why)
{
	struct honed *h = ctx;
	const struct version *v = registry_champion(h->registry, model);
	int64_t back;

	(void)rollout;
	if (!v || v->id != version)
		return;
	if (ok)
		in_service(h, model);
	else if (cycle_roll_back(h, model, "rollout", why, &back) != HN_OK)
		log_warn("event=rollout_stays_failed model=%s advice=\"see honectl devices\"", name_of(h, model));
}

static void on_promoted(void *ctx, hn_status rc, int64_t version)
{
	struct outcome *o = ctx;
	struct honed *h = o->h;
	struct cycle *c = &h->cycle[o->model];

	c->deciding = false;
	if (!h->stopping && rc == HN_OK) {
		c->labels = 0;
		c->episode = 0;
		if (o->job)
			supervise_outcome(h->supervise, o->job, "promoted");
		cycle_event(h, o->model, o->back ? HN_POLICY_ROLLED_BACK : HN_POLICY_JOB_PROMOTED, 0);
		monitor_rearm(h->monitor, o->model, version, o->accuracy);
		serve(h, o->model, o->reason);
	}
	free(o);
	if (!h->stopping)
		cycle_hold(h);
}

static void on_rejected(void *ctx, hn_status rc, int64_t version)
{
	struct outcome *o = ctx;
	struct honed *h = o->h;

	(void)rc;                        /* logged by the registry */
	(void)version;
	h->cycle[o->model].deciding = false;
	if (!h->stopping) {
		if (o->job)
			supervise_outcome(h->supervise, o->job, "rejected");
		cycle_event(h, o->model, HN_POLICY_JOB_REJECTED, 0);
		cycle_hold(h);
	}
	free(o);
}

static struct outcome *outcome_new(struct honed *h, int model, int64_t job, const char *reason)
{
	struct outcome *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	*o = (struct outcome){ .h = h, .model = model, .job = job, .accuracy = (double)NAN };
	(void)snprintf(o->reason, sizeof o->reason, "%s", reason);
	h->cycle[model].deciding = true;
	return o;
}

hn_status cycle_roll_back(struct honed *h, int model, const char *actor, const char *reason,
                          int64_t *version)
{
	const struct version *v = registry_previous(h->registry, model);
	struct registry_decision d = { .actor = actor, .reason = reason };
	struct outcome *o;
	hn_status rc;

	if (!v)
		return HN_ENOENT;
	if (h->cycle[model].deciding)
		return HN_EBUSY;
	o = outcome_new(h, model, 0, reason);
	if (!o)
		return HN_ENOMEM;
	o->back = true;
	d.version = *version = v->id;
	(void)journal_add(h->journal, (struct journal_entry){ .kind = "rolled_back",
		.model = name_of(h, model), .version = v->id, .actor = actor, .reason = reason });
	rc = registry_promote(h->registry, &d, on_promoted, o);
	if (rc != HN_OK) {
		h->cycle[model].deciding = false;
		free(o);
	}
	return rc;
}

/* --- the gate ------------------------------------------------------------------------------------- */

static struct hn_gate_set gate_set(json_t *report, const char *name)
{
	struct hn_gate_set s = { .n = 0 };

	(void)json_unpack(report, "{s{s{s?i s?i s?i s?i}}}", "sets", name, "n", &s.n, "champion",
	                  &s.champion, "challenger", &s.challenger, "both", &s.both);
	return s;
}

static json_t *gate_json(const struct hn_gate_result *g)
{
	json_t *reasons = json_array();

	for (int i = 0; i < g->n_reasons; i++)
		json_array_append_new(reasons, json_string(g->reason[i]));
	return json_pack("{sb sf sf sf sf sf sf so}", "pass", (int)g->pass, "champion", g->champion,
		"challenger", g->challenger, "gain", g->gain, "forget", g->forget, "int8_loss", g->int8_loss,
		"p", g->p, "reasons", reasons);
}

static void gate(struct honed *h, const struct version *v)
{
	const struct conf_model *m = &h->conf->models[v->model];
	const struct hn_gate_cfg cfg = { .windows_min = m->gate.windows_min, .gain_min = m->gate.gain_min,
		.forget_max = m->gate.forget_max, .int8_loss_max = m->gate.int8_loss_max };
	struct hn_gate_input in = { .has_champion = registry_champion(h->registry, v->model) != NULL,
		.recent = gate_set(v->metrics, "recent"), .kept = gate_set(v->metrics, "kept") };
	struct hn_gate_result g;
	struct registry_decision d = { .version = v->id, .actor = "gate", .job = v->job,
		.episode = h->cycle[v->model].episode };
	struct outcome *o = outcome_new(h, v->model, v->job, "promoted by the gate");
	hn_status rc;

	if (!o)
		return;
	(void)json_unpack(v->metrics, "{s?i s?i s?i}", "float_right", &in.float_right, "int8_right",
	                  &in.int8_right, "majority", &in.majority);
	hn_gate_decide(&in, &cfg, &g);
	o->accuracy = g.challenger;
	d.reason = g.n_reasons ? g.reason[0] : "";
	d.evidence = gate_json(&g);
	if (v->metrics)
		json_object_set_new(v->metrics, "gate", gate_json(&g));
	rc = g.pass ? registry_promote(h->registry, &d, on_promoted, o)
	            : registry_reject(h->registry, &d, on_rejected, o);
	if (rc == HN_OK)
		return;
	log_err("event=gate_not_written model=%s reason=\"%s\"", m->name, hn_status_text(rc));
	h->cycle[v->model].deciding = false;
	free(o);
}

static void on_added(void *ctx, hn_status rc, int64_t version)
{
	struct honed *h = ctx;
	const struct version *v = registry_find(h->registry, version);

	if (h->stopping || !v)
		return;
	h->cycle[v->model].deciding = false;
	if (rc == HN_OK)
		gate(h, v);
	else
		cycle_event(h, v->model, HN_POLICY_JOB_FAILED, 0);
	cycle_hold(h);
}

void cycle_on_result(void *ctx, const struct job_result *r)
{
	struct honed *h = ctx;
	const struct registry_new n = { .model = r->model, .parent = r->champion, .job = r->job,
		.who = "hone-train", .why = "trained", .blob = r->candidate, .len = r->candidate_len,
		.metrics = json_incref(r->report) };
	hn_status rc;

	if (!r->ok) {
		cycle_event(h, r->model, HN_POLICY_JOB_FAILED, 0);
		cycle_hold(h);
		return;
	}
	h->cycle[r->model].deciding = true;
	rc = registry_add(h->registry, &n, on_added, h);
	if (rc == HN_OK)
		return;
	h->cycle[r->model].deciding = false;
	(void)journal_add(h->journal, (struct journal_entry){ .kind = "job_failed",
		.model = name_of(h, r->model), .job = r->job, .reason = "the candidate is not a valid version" });
	cycle_event(h, r->model, HN_POLICY_JOB_FAILED, 0);
	cycle_hold(h);
}

/* --- by hand and after a crash --------------------------------------------------------------------- */

hn_status cycle_retrain(struct honed *h, int model, const char *actor, const char *reason, bool dry_run,
                        int64_t *job)
{
	const hn_status rc = start_job(h, model, actor, reason, dry_run, job);

	if (rc == HN_OK && !dry_run)
		cycle_event(h, model, HN_POLICY_JOB_STARTED, 0);
	cycle_hold(h);
	return rc;
}

static void resume_candidates(struct honed *h, int model)
{
	for (int64_t id = 0;;) {
		const struct version *v = registry_next(h->registry, id);

		if (!v)
			return;
		id = v->id;
		if (v->model == model && v->state == VERSION_CANDIDATE && !h->cycle[model].deciding)
			gate(h, v);
	}
}

void cycle_resume(struct honed *h)
{
	for (int m = 0; m < h->conf->n_models; m++) {
		const struct version *v = registry_champion(h->registry, m);

		resume_candidates(h, m);
		if (v)
			intake_champion(h, m);
		/* a crash between the promotion and the monitor's own saving leaves them apart */
		if (v && monitor_version(h->monitor, m) != v->id)
			monitor_rearm(h->monitor, m, v->id, (double)NAN);
		if (v && !h->cycle[m].deciding && !deploy_serves(h->deploy, m, v->id))
			serve(h, m, "the champion is not on the devices: a restart cut the rollout off");
		if (h->cycle[m].policy.busy && !h->cycle[m].deciding && !supervise_busy(h->supervise, m))
			cycle_event(h, m, HN_POLICY_JOB_FAILED, 0);
	}
}
