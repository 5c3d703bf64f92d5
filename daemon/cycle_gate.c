/* From a candidate to a champion in service: the gate, promotion, rollout, and the way back. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cycle.h"
#include "hn_gate.h"
#include "log.h"

static const char *name_of(const struct honed *h, int model)
{
	return h->conf->models[model].name;
}

/* --- a new champion -------------------------------------------------------------------------- */

struct outcome {
	struct honed *h;
	int model;
	int64_t job;                     /* 0 = none                                              */
	double accuracy;                 /* of the gate; NAN = unknown                            */
	bool back;                       /* a rollback                                            */
	char reason[192];
};

/* Share of the normal held-back windows that the version calls normal; NAN: unknown. */
static double share_inside(json_t *report)
{
	int n = 0, inside = 0;

	(void)json_unpack(report, "{s{si si}}", "normal", "n", &n, "inside", &inside);
	return n > 0 ? (double)inside / n : (double)NAN;
}

static void in_service(struct honed *h, int model)
{
	struct cycle *c = &h->cycle[model];
	const struct version *v = registry_champion(h->registry, model);
	double expected = (double)NAN;

	if (v && v->metrics)
		(void)json_unpack(v->metrics, "{s{sF}}", "gate", "challenger", &expected);
	if (v && v->metrics && !hn_tasks[h->conf->models[model].task].labels)
		expected = share_inside(v->metrics);
	hn_probation_start(&c->probation, c->judged, c->right, expected, c->now_us);
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
		log_err("event=rollout_not_started model=%s reason=\"%s\"", name_of(h, model),
		        hn_status_text(rc));
}

void cycle_on_rollout(void *ctx, int model, int64_t rollout, int64_t version, bool ok,
                      const char *why)
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

/* --- the gate -------------------------------------------------------------------------------- */

static struct hn_gate_set gate_set(json_t *report, const char *name)
{
	struct hn_gate_set s = { .n = 0 };

	(void)json_unpack(report, "{s{s{s?i s?i s?i s?i}}}", "sets", name, "n", &s.n, "champion",
	                  &s.champion, "challenger", &s.challenger, "both", &s.both);
	return s;
}

static void decide_classes(json_t *report, bool has_champion, const struct hn_gate_cfg *cfg,
                           struct hn_gate_result *out)
{
	struct hn_gate_input in = { .has_champion = has_champion, .recent = gate_set(report, "recent"),
		.kept = gate_set(report, "kept") };

	(void)json_unpack(report, "{s?i s?i s?i}", "float_right", &in.float_right, "int8_right",
	                  &in.int8_right, "majority", &in.majority);
	hn_gate_decide(&in, cfg, out);
}

static struct hn_gate_errors gate_errors(json_t *report, const char *name)
{
	struct hn_gate_errors s = { .n = 0 };

	(void)json_unpack(report, "{s{s{s?i s?F s?F s?F s?i s?i}}}", "sets", name, "n", &s.n, "champion",
	                  &s.champion, "challenger", &s.challenger, "plain", &s.plain, "wins", &s.wins,
	                  "losses", &s.losses);
	return s;
}

static void decide_errors(json_t *report, bool has_champion, const struct hn_gate_cfg *cfg,
                          struct hn_gate_result *out)
{
	struct hn_gate_measures in = { .has_champion = has_champion,
		.plain_name = "the mean of each channel", .recent = gate_errors(report, "recent"),
		.kept = gate_errors(report, "kept") };

	(void)json_unpack(report, "{s?F s?F s?F}", "float_error", &in.float_error, "int8_error",
	                  &in.int8_error, "plain_error", &in.plain);
	hn_gate_measure(&in, cfg, out);
}

static json_t *gate_json(const struct hn_gate_result *g, const char *measure)
{
	json_t *reasons = json_array();

	for (int i = 0; i < g->n_reasons; i++)
		json_array_append_new(reasons, json_string(g->reason[i]));
	return json_pack("{sb ss sf sf sf sf sf sf so}", "pass", (int)g->pass, "measure", measure,
		"champion", g->champion,
		"challenger", g->challenger, "gain", g->gain, "forget", g->forget, "int8_loss", g->int8_loss,
		"p", g->p, "reasons", reasons);
}

/* Training can end where it ended before; the devices would be sent what they run. */
static void refuse_same(struct hn_gate_result *g)
{
	g->pass = false;
	g->n_reasons = 1;
	(void)snprintf(g->reason[0], sizeof g->reason[0], "failed: these are the weights of the champion; "
	               "training again found nothing new");
}

/* There is nothing that the first version could be worse than, and who brings it knows it. */
static void pass_first(struct hn_gate_result *g)
{
	g->pass = true;
	g->n_reasons = 1;
	(void)snprintf(g->reason[0], sizeof g->reason[0], "imported as the first version of the model");
}

static void gate(struct honed *h, const struct version *v)
{
	const struct version *champion = registry_champion(h->registry, v->model);
	const struct conf_model *m = &h->conf->models[v->model];
	const struct hn_gate_cfg cfg = { .windows_min = m->gate.windows_min, .gain_min = m->gate.gain_min,
		.forget_max = m->gate.forget_max, .int8_loss_max = m->gate.int8_loss_max };
	struct hn_gate_result g;
	struct registry_decision d = { .version = v->id, .actor = "gate", .job = v->job,
		.episode = h->cycle[v->model].episode };
	struct outcome *o = outcome_new(h, v->model, v->job, "promoted by the gate");
	void (*decide)(json_t *report, bool has_champion, const struct hn_gate_cfg *cfg,
	               struct hn_gate_result *out);
	hn_status rc;

	if (!o)
		return;
	decide = hn_tasks[m->task].classes ? decide_classes : decide_errors;
	decide(v->metrics, champion != NULL, &cfg, &g);
	if (champion && strcmp(champion->digest, v->digest) == 0)
		refuse_same(&g);
	else if (!champion && json_is_true(json_object_get(v->metrics, "imported")))
		pass_first(&g);
	o->accuracy = hn_tasks[m->task].classes ? g.challenger : (double)NAN;
	d.reason = g.n_reasons ? g.reason[0] : "";
	d.evidence = gate_json(&g, hn_tasks[m->task].measure);
	if (v->metrics)
		json_object_set_new(v->metrics, "gate", gate_json(&g, hn_tasks[m->task].measure));
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
		.who = "hone-train", .why = json_is_true(json_object_get(r->report, "imported"))
			? "imported" : "trained", .blob = r->candidate, .len = r->candidate_len,
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

/* --- after a crash --------------------------------------------------------------------------- */

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
			serve(h, m, "the champion is not on all of its devices");
		/* the end of a rollout was written, but not what the policy made of it */
		if (h->cycle[m].policy.rolling && !h->cycle[m].deciding && !deploy_busy(h->deploy, m))
			cycle_event(h, m, HN_POLICY_CONFIRMED, 0);
		if (h->cycle[m].policy.busy && !h->cycle[m].deciding && !supervise_busy(h->supervise, m))
			cycle_event(h, m, HN_POLICY_JOB_FAILED, 0);
	}
}
