/* Rollouts: the picture of the devices for hn_rollout.h, what follows from its verdict, and what
 * a person may do about it. */
#include "deploy_step.h"

#include <math.h>

#include "clock.h"
#include "hn_rollout.h"
#include "log.h"

enum { SILENT_US = 10000000 };           /* under way and not heard for so long: asleep */

static const char *model_name(const struct deploy *d, int model)
{
	return d->conf->models[model].name;
}

/* --- the picture ------------------------------------------------------------------------------ */

static bool answers(const struct deploy_device *v, int64_t now)
{
	if (v->wrong_uid || !v->peer.has_hello || v->peer.phase == HN_PEER_DOWN)
		return false;
	return !v->peer.has_package || now - v->peer.heard_us < SILENT_US;
}

static double trial_left(const struct deploy_device *v)
{
	const int want = v->owner->conf->models[v->model].rollout.trial_inferences;
	const double done = v->trial_seen ? (double)(v->due - v->trial_due) : 0;

	return v->due_per_s > 0 ? fmax(0, want - done) / v->due_per_s : (double)NAN;
}

/* Seconds to the confirmation of a device under way, from what was measured on it. */
static double time_left(const struct deploy_device *v, int64_t now)
{
	const double sent = (double)v->peer.window.next, took = (double)(now - v->began_us) * 1e-6;

	if (v->step.state == STEP_CONFIRMING)
		return 0;
	if (v->step.state == STEP_TRIAL)
		return trial_left(v);
	return sent > 0 ? ((double)v->peer.package.len - sent) * took / sent + trial_left(v) : (double)NAN;
}

static enum hn_place place_of(enum step_state s)
{
	switch (s) {
	case STEP_WAITING:   return HN_PLACE_WAITING;
	case STEP_CONFIRMED: return HN_PLACE_CONFIRMED;
	case STEP_FAILED:    return HN_PLACE_FAILED;
	case STEP_SENDING: case STEP_TRIAL: case STEP_CONFIRMING: break;
	}
	return HN_PLACE_UNDER_WAY;
}

struct picture {
	struct hn_rollout_cfg cfg;
	struct hn_rollout_device dev[HN_ROLLOUT_DEVICES_MAX];
	int index[HN_ROLLOUT_DEVICES_MAX], n;    /* of the configuration                          */
};

static void look(const struct deploy *d, int model, struct picture *p)
{
	const struct conf_model *m = &d->conf->models[model];
	const int64_t now = clock_mono_us();

	p->n = 0;
	p->cfg = (struct hn_rollout_cfg){ .canary = m->rollout.canary, .batch = m->rollout.batch,
		.failures_max = m->rollout.failures_max, .wait_s = m->rollout.wait_s,
		.paused = d->target[model].state == ROLLOUT_PAUSED };
	for (int i = 0; i < d->conf->n_devices; i++) {
		const struct deploy_device *v = &d->dev[i];

		if (v->model != model)
			continue;
		p->index[p->n] = i;
		p->dev[p->n++] = (struct hn_rollout_device){ .place = place_of(v->step.state),
			.group = v->conf->group, .tried = v->step.attempts > 0,
			.due = !v->saving && v->step.due_us <= now, .asleep = v->asleep_us != 0,
			.asleep_s = v->asleep_us ? (double)(now - v->asleep_us) * 1e-6 : 0,
			.left_s = time_left(v, now) };
	}
}

/* --- the verdict ------------------------------------------------------------------------------ */

static void rollout_end(struct deploy *d, int model, enum rollout_state state, const char *why)
{
	struct rollout *r = &d->target[model];
	const bool news = !r->told;      /* a sleeper that came later is no new end */

	r->state = state;
	r->ended_us = clock_now_us();
	r->told = true;
	(void)rollout_save(d->db, r, model_name(d, model));      /* logged there */
	if (!news && state == ROLLOUT_DONE)
		return;
	(void)journal_add(d->journal, (struct journal_entry){ .kind = state == ROLLOUT_DONE
		? "rollout_done" : "rollout_failed", .model = model_name(d, model), .rollout = r->id,
		.version = r->version, .reason = why });
	d->hooks.on_rollout(d->hooks.ctx, model, r->id, r->version, state == ROLLOUT_DONE, why);
}

static void end_well(struct deploy *d, int model, const struct picture *p)
{
	int confirmed = 0, failed = 0;
	char why[120];

	for (int i = 0; i < p->n; i++) {
		confirmed += p->dev[i].place == HN_PLACE_CONFIRMED;
		failed += p->dev[i].place == HN_PLACE_FAILED;
	}
	if (confirmed == p->n)
		(void)snprintf(why, sizeof why, "all devices run the version");
	else
		(void)snprintf(why, sizeof why, "%d of %d devices run the version, %d failed, %d get it "
			"when they answer", confirmed, p->n, failed, p->n - confirmed - failed);
	rollout_end(d, model, ROLLOUT_DONE, why);
}

static void mark_sleepers(struct deploy *d, int model)
{
	const int64_t now = clock_mono_us();

	for (int i = 0; i < d->conf->n_devices; i++) {
		struct deploy_device *v = &d->dev[i];

		if (v->model != model)
			continue;
		if (answers(v, now))
			v->asleep_us = 0;
		else if (v->asleep_us == 0)
			v->asleep_us = now;
	}
}

void rollout_step(struct deploy *d, int model)
{
	const struct rollout *r = &d->target[model];
	struct picture p;

	mark_sleepers(d, model);
	if (!deploy_busy(d, model) || d->closing)
		return;
	look(d, model, &p);
	switch (hn_rollout_plan(&p.cfg, p.dev, p.n)) {
	case HN_ROLLOUT_DONE: case HN_ROLLOUT_DONE_AWAKE:
		end_well(d, model, &p);
		return;
	case HN_ROLLOUT_CANARY_FAILED:
		rollout_end(d, model, ROLLOUT_FAILED, "the canary failed; no other device was touched");
		return;
	case HN_ROLLOUT_FAILED:
		rollout_end(d, model, ROLLOUT_FAILED, p.cfg.failures_max > 0
			? "more devices failed than rollout.failures_max" : "a device refused the new weights");
		return;
	case HN_ROLLOUT_GOES_ON:
		break;
	}
	for (int i = 0; i < p.n; i++)
		if (p.dev[i].start)
			step_start(&d->dev[p.index[i]], r);
}

/* --- what a person asks for ------------------------------------------------------------------- */

static void state_to(struct deploy *d, int model, enum rollout_state state, const char *kind,
                     const char *actor)
{
	struct rollout *r = &d->target[model];

	r->state = state;
	(void)rollout_save(d->db, r, model_name(d, model));      /* logged there */
	(void)journal_add(d->journal, (struct journal_entry){ .kind = kind, .actor = actor,
		.model = model_name(d, model), .rollout = r->id, .version = r->version,
		.reason = "asked for by hand" });
	rollout_step(d, model);
}

/* Failed devices get all their attempts anew. */
static int forgive(struct deploy *d, int model)
{
	int n = 0;

	for (int i = 0; i < d->conf->n_devices; i++) {
		struct deploy_device *v = &d->dev[i];

		if (v->model != model || v->step.state != STEP_FAILED || v->saving)
			continue;
		v->step = (struct step){ .rollout = v->step.rollout };
		step_keep(v);
		n++;
	}
	return n;
}

hn_status deploy_steer(struct deploy *d, int model, enum deploy_verb verb, const char *actor,
                       struct hn_err *err)
{
	const struct rollout *r = &d->target[model];
	const char *name = model_name(d, model);

	if (r->id == 0)
		return hn_fail(err, HN_ENOENT, "model %s has had no rollout yet", name);
	switch (verb) {
	case DEPLOY_PAUSE:
		if (r->state != ROLLOUT_RUNNING)
			return hn_fail(err, HN_ESTATE, "the rollout of %s is %s: only one that runs can be "
				"paused", name, rollout_state_names[r->state]);
		state_to(d, model, ROLLOUT_PAUSED, "rollout_paused", actor);
		return HN_OK;
	case DEPLOY_RESUME:
		if (r->state != ROLLOUT_PAUSED)
			return hn_fail(err, HN_ESTATE, "the rollout of %s is %s, not paused", name,
				rollout_state_names[r->state]);
		state_to(d, model, ROLLOUT_RUNNING, "rollout_resumed", actor);
		return HN_OK;
	case DEPLOY_RETRY:
		if (forgive(d, model) == 0)
			return hn_fail(err, HN_ESTATE, "no device of %s has failed in its newest rollout", name);
		state_to(d, model, ROLLOUT_RUNNING, "rollout_retried", actor);
		return HN_OK;
	}
	return HN_EINVAL;
}

/* --- queries ---------------------------------------------------------------------------------- */

/* What one more device will take: as those of this rollout took, or will. NAN: not known yet. */
static double each_s(const struct deploy *d, const struct picture *p)
{
	const int64_t now = clock_mono_us();
	double done = 0, going = 0;
	int n_done = 0, n_going = 0;

	for (int i = 0; i < p->n; i++) {
		const struct deploy_device *v = &d->dev[p->index[i]];
		const double whole = p->dev[i].left_s + (double)(now - v->began_us) * 1e-6;

		if (p->dev[i].place == HN_PLACE_CONFIRMED && v->swap_rollout == v->step.rollout) {
			done += v->swap_s;
			n_done++;
		} else if (p->dev[i].place == HN_PLACE_UNDER_WAY && isfinite(whole)) {
			going += whole;
			n_going++;
		}
	}
	if (n_done > 0)
		return done / n_done;
	return n_going > 0 ? going / n_going : (double)NAN;
}

static json_t *real_or_null(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

static json_t *rollout_json(const struct deploy *d, const struct rollout *r)
{
	struct hn_rollout_device work[HN_ROLLOUT_DEVICES_MAX];
	struct picture p;
	json_t *devices = json_object();
	double eta = (double)NAN;
	int asleep = 0;

	look(d, r->model, &p);
	for (int i = 0; i < p.n; i++) {
		const struct deploy_device *v = &d->dev[p.index[i]];

		asleep += p.dev[i].asleep && p.dev[i].place != HN_PLACE_CONFIRMED &&
		          p.dev[i].place != HN_PLACE_FAILED;
		json_object_set_new(devices, v->conf->name, json_string(step_state_names[v->step.state]));
	}
	if (r->state == ROLLOUT_RUNNING)
		eta = hn_rollout_eta(&p.cfg, p.dev, p.n, each_s(d, &p), work);
	return json_pack("{sI ss sI si ss ss so so si}", "id", (json_int_t)r->id, "model",
		model_name(d, r->model), "version", (json_int_t)r->version, "number", r->number,
		"state", rollout_state_names[r->state], "reason", r->reason, "devices", devices,
		"eta_s", real_or_null(eta), "asleep", asleep);
}

json_t *deploy_rollouts_json(const struct deploy *d, int model)
{
	json_t *list = json_array();

	for (int m = 0; m < d->conf->n_models; m++)
		if ((model < 0 || m == model) && d->target[m].id)
			json_array_append_new(list, rollout_json(d, &d->target[m]));
	return list;
}
