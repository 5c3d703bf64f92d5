#include "hn_policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const double us = 1e-6;
static const double ask_again_default_s = 86400.0;
static const double backoff_min_s = 60.0, backoff_max_s = 86400.0;

struct step {                            /* what one call works on                               */
	struct hn_policy *p;
	const struct hn_policy_cfg *cfg;
	int64_t now;
	struct hn_policy_action *out;
	int n;
};

static double seconds(int64_t from, int64_t to)
{
	return ((double)to - (double)from) * us;
}

static int64_t after(int64_t t, double s)
{
	return t + (int64_t)(s / us);
}

__attribute__((format(printf, 4, 5)))
static void act(struct step *s, enum hn_policy_do what, int n, const char *fmt, ...)
{
	struct hn_policy_action *a;
	va_list ap;

	if (s->n == HN_POLICY_ACTIONS)
		return;
	a = &s->out[s->n++];
	a->what = what;
	a->n = n;
	va_start(ap, fmt);
	(void)vsnprintf(a->reason, sizeof a->reason, fmt, ap);
	va_end(ap);
}

/* --- the label budget ------------------------------------------------------------------------- */

static void forget_asks(struct hn_policy *p, const struct hn_policy_cfg *cfg, int64_t now)
{
	int k = 0;

	for (int i = 0; i < p->n_asks; i++)
		if (seconds(p->asks[i].t_us, now) < cfg->label_period_s)
			p->asks[k++] = p->asks[i];
	p->n_asks = (uint8_t)k;
}

int hn_policy_budget(const struct hn_policy *p, const struct hn_policy_cfg *cfg, int64_t now_us)
{
	int64_t left = cfg->label_budget;

	for (int i = 0; i < p->n_asks; i++)
		if (seconds(p->asks[i].t_us, now_us) < cfg->label_period_s)
			left -= p->asks[i].n;
	return left > 0 ? (int)left : 0;
}

/* A full memory of questions joins the two oldest: the younger time, so that the budget is never
 * exceeded. */
static void remember_ask(struct step *s, int n)
{
	struct hn_policy *p = s->p;

	forget_asks(p, s->cfg, s->now);
	if (p->n_asks == HN_POLICY_ASKS) {
		p->asks[1].n += p->asks[0].n;
		memmove(&p->asks[0], &p->asks[1], (HN_POLICY_ASKS - 1) * sizeof p->asks[0]);
		p->n_asks--;
	}
	p->asks[p->n_asks].t_us = s->now;
	p->asks[p->n_asks].n = n;
	p->n_asks++;
	p->outstanding += n;
}

/* --- when to train ---------------------------------------------------------------------------- */

static bool drifting(const struct hn_policy *p)
{
	return p->in_episode && (p->verdict == HN_DATA_DRIFT || p->verdict == HN_CONCEPT_DRIFT);
}

/* Labels that no job has seen; in an episode only those given since it began. */
static int fresh(const struct hn_policy *p)
{
	int32_t seen = p->labels_tried;

	if (drifting(p) && p->labels_base > seen)
		seen = p->labels_base;
	return p->labels > seen ? p->labels - seen : 0;
}

/* The sentence why a job is due, or NULL. */
static const char *due(const struct step *s)
{
	const struct hn_policy *p = s->p;
	const int n = fresh(p), known = p->labels_used + p->labels_tried;

	if (n < s->cfg->labels_min || n < 1)
		return NULL;
	if (s->cfg->eager)
		return "labels that were asked for";
	if (drifting(p))
		return hn_verdict_names[p->verdict];
	if (p->in_episode)               /* a faulty sensor teaches nothing */
		return NULL;
	if (n >= known)
		return p->has_version ? "twice what the present version had" : "no version yet";
	if (s->cfg->refresh_s > 0.0 && seconds(p->job_us, s->now) >= s->cfg->refresh_s)
		return "the refresh interval is over";
	return NULL;
}

static const char *news(const struct step *s)
{
	return s->cfg->news ? s->cfg->news : "labels";
}

static void try_train(struct step *s)
{
	struct hn_policy *p = s->p;
	const char *why;

	if (s->cfg->mode == HN_POLICY_MANUAL || p->busy || p->rolling || s->now < p->not_before_us)
		return;
	if (p->job_us != 0 && seconds(p->job_us, s->now) < s->cfg->cooldown_s)
		return;
	why = due(s);
	if (!why)
		return;
	if (s->cfg->mode == HN_POLICY_AUTO) {
		act(s, HN_POLICY_TRAIN, 0, "%s, and %d new %s", why, fresh(p), news(s));
	} else if (!p->advised) {
		p->advised = true;
		act(s, HN_POLICY_ADVICE, 0, "training is due: %s, and %d new %s", why, fresh(p), news(s));
	}
}

/* --- when to ask ------------------------------------------------------------------------------ */

static int wanted_labels(const struct step *s, const char **why)
{
	const struct hn_policy *p = s->p;
	const int missing = s->cfg->labels_min - fresh(p) - p->outstanding;

	if (drifting(p)) {
		*why = hn_verdict_names[p->verdict];
		return missing;
	}
	if (!p->in_episode && !p->has_version) {
		*why = "no version yet";
		return missing;
	}
	if (!p->in_episode && s->cfg->audit > 0.0 && p->outstanding == 0
	    && seconds(p->ask_us, s->now) >= s->cfg->label_period_s / s->cfg->audit) {
		*why = "audit of the present version";
		return 1;
	}
	return 0;
}

static void try_ask(struct step *s)
{
	struct hn_policy *p = s->p;
	const int budget = hn_policy_budget(p, s->cfg, s->now);
	const char *why = "";
	int n;

	if (s->cfg->mode == HN_POLICY_MANUAL || s->cfg->eager || p->busy || p->rolling)
		return;
	n = wanted_labels(s, &why);
	n = n < budget ? n : budget;
	if (n <= 0)
		return;
	p->ask_us = s->now;
	act(s, HN_POLICY_ASK, n, "%s: %d labels wanted, %d left of the budget", why, n, budget);
}

/* --- events ----------------------------------------------------------------------------------- */

static void on_episode(struct hn_policy *p, const struct hn_policy_event *ev)
{
	p->in_episode = true;
	p->advised = false;
	p->verdict = (uint8_t)ev->n;
	p->labels_base = p->labels;
}

static void on_labels(struct hn_policy *p, int n)
{
	const int came = n - p->labels;

	p->labels = n > 0 ? n : 0;
	if (came > 0)
		p->outstanding = p->outstanding > came ? p->outstanding - came : 0;
}

static void on_promoted(struct hn_policy *p, int64_t now)
{
	if (p->ask_us == 0)
		p->ask_us = now;         /* audits are counted from here */
	p->busy = false;
	p->rolling = p->has_version = true;
	p->failures = 0;
	p->labels_used += p->labels;
	p->labels = p->labels_base = p->labels_tried = 0;
	p->advised = false;
}

static void on_failed(struct step *s)
{
	struct hn_policy *p = s->p;
	double wait = s->cfg->cooldown_s > backoff_min_s ? s->cfg->cooldown_s : backoff_min_s;

	p->busy = false;
	for (int i = 0; i < p->failures && wait < backoff_max_s; i++)
		wait *= 2.0;
	if (p->failures < UINT8_MAX)
		p->failures++;
	p->not_before_us = after(s->now, wait < backoff_max_s ? wait : backoff_max_s);
}

static void on_retrain(struct step *s)
{
	s->p->wanted = s->p->busy || s->p->rolling;
	if (!s->p->wanted)
		act(s, HN_POLICY_TRAIN, 0, "asked for by a person");
}

/* A person's wish that came while a job ran. */
static void on_free(struct step *s)
{
	if (!s->p->wanted || s->p->busy || s->p->rolling)
		return;
	s->p->wanted = false;
	act(s, HN_POLICY_TRAIN, 0, "asked for by a person");
}

static void on_tick(struct step *s)
{
	const double again = s->cfg->ask_again_s > 0.0 ? s->cfg->ask_again_s : ask_again_default_s;

	if (s->p->outstanding > 0 && seconds(s->p->ask_us, s->now) >= again)
		s->p->outstanding = 0;
}

static void update(struct step *s, const struct hn_policy_event *ev)
{
	struct hn_policy *p = s->p;

	switch (ev->kind) {
	case HN_POLICY_EPISODE_OPENED:
	case HN_POLICY_EPISODE_CHANGED: on_episode(p, ev); break;
	case HN_POLICY_EPISODE_CLOSED: p->in_episode = p->advised = false; p->labels_base = 0; break;
	case HN_POLICY_LABELS: on_labels(p, ev->n); break;
	case HN_POLICY_ASKED: if (ev->n > 0) remember_ask(s, ev->n); break;
	case HN_POLICY_JOB_STARTED: p->busy = true; p->job_us = s->now; break;
	case HN_POLICY_JOB_PROMOTED: on_promoted(p, s->now); break;
	case HN_POLICY_JOB_REJECTED: p->busy = false; p->failures = 0; p->labels_tried = p->labels; break;
	case HN_POLICY_JOB_FAILED: on_failed(s); break;
	case HN_POLICY_CONFIRMED: p->rolling = false; break;
	case HN_POLICY_ROLLED_BACK:
		p->rolling = false;
		p->not_before_us = after(s->now, s->cfg->cooldown_s);
		break;
	case HN_POLICY_RETRAIN: on_retrain(s); break;
	case HN_POLICY_TICK: on_tick(s); break;
	case HN_POLICY_EVENTS: break;
	}
}

int hn_policy_step(struct hn_policy *p, const struct hn_policy_cfg *cfg,
                   const struct hn_policy_event *ev, struct hn_policy_action *out)
{
	struct step s = { .p = p, .cfg = cfg, .now = ev->now_us, .out = out };

	update(&s, ev);
	/* A question is carried out between two steps; its own event must not ask again. */
	if (ev->kind == HN_POLICY_ASKED || ev->kind == HN_POLICY_JOB_STARTED)
		return s.n;
	on_free(&s);
	if (s.n == 0)
		try_train(&s);
	if (s.n == 0 || s.out[0].what == HN_POLICY_ADVICE)
		try_ask(&s);
	return s.n;
}
