/* The phases of the story: each begins something, ends when a fact is there, and has a time limit. */
#include "demo.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"

static const int64_t ramp_us = 3000000;          /* of an ageing episode, both kinds of device     */
static const int64_t slack_us = 300000;          /* an emulated board's clock runs late at times    */
static const double before_s = 10.0, after_s = 9.0;

/* --- measuring -------------------------------------------------------------------------------- */

static double share_in(const struct demo *d, const struct tally *t)
{
	return 100.0 * tally_share(tally_sum(t, d->n_devices));
}

/* "pump-1 99.2 %, pump-2 98.0 %" */
static void list_shares(const struct demo *d, const struct tally *t, char *out, size_t cap)
{
	int at = 0;

	out[0] = '\0';
	for (int i = 0; i < d->n_devices && at >= 0 && (size_t)at < cap; i++)
		at += snprintf(out + at, cap - (size_t)at, "%s%s %.1f %%", i ? ", " : "", d->device[i].name,
		               100.0 * tally_share(t[i]));
}

static void measure(struct demo *d, struct tally *t, int64_t from_us, int64_t to_us, int64_t version)
{
	for (int i = 0; i < d->n_devices; i++)
		t[i] = truth_tally(&d->device[i], from_us, to_us, version);
}

static void tell_share(struct demo *d, const char *when, const struct tally *t)
{
	char each[TEXT_CAP];

	list_shares(d, t, each, sizeof each);
	say(d, "accuracy %s: %.1f %% of %d windows (%s)", when, share_in(d, t), tally_sum(t, d->n_devices).n, each);
}

/* On a terminal: how right the devices were in the last three seconds. */
static void show_now(struct demo *d)
{
	struct tally t[DEVICES];
	char each[TEXT_CAP];
	const int64_t now = clock_now_us();

	for (int i = 0; i < d->n_devices; i++)
		t[i] = truth_tally(&d->device[i], now - 3000000, now, d->device[i].model);
	list_shares(d, t, each, sizeof each);
	say_for_now(d, "now: %s", each);
}

/* --- the phases ------------------------------------------------------------------------------- */

static void on_alive(struct demo *d, int status, json_t *body)
{
	(void)body;
	d->status_running = false;
	if (status != 200 || d->answered)
		return;
	d->answered = true;
	d->first_answer_s = (double)(clock_mono_us() - d->honed->started_us) * 1e-6;
	say(d, "honed answers %.3f s after its start and reads %d labelled windows of commissioning data",
	    d->first_answer_s, RECORD_WINDOWS);
	events_follow(d);
}

static bool until_answer(struct demo *d)
{
	if (d->honed && !d->answered && !d->status_running) {
		d->status_running = true;
		api_get(d, "/livez", on_alive);
	}
	return d->answered;
}

static bool until_online(struct demo *d)
{
	for (int i = 0; i < d->n_devices; i++)
		if (!d->device[i].online || !d->device[i].reading)
			return false;
	say(d, "all devices are known");
	return true;
}

static bool until_first(struct demo *d)
{
	struct cycle *c = now_cycle(d);

	if (!c->done_us)
		return false;
	c->from_us = c->done_us;
	say(d, "version %lld serves on all %d devices", (long long)c->version, d->n_devices);
	return true;
}

static bool until_usual(struct demo *d)
{
	struct cycle *c = now_cycle(d);

	show_now(d);
	if (clock_now_us() - c->from_us < (int64_t)(before_s * 1e6) || !d->armed)
		return false;
	c->to_us = clock_now_us();
	measure(d, d->c[1].before, c->from_us, c->to_us, c->version);
	tell_share(d, "before", d->c[1].before);
	d->alarms_early = c->alarms;
	return true;
}

static void age(struct demo *d)
{
	d->cycle++;
	d->n_questions = d->n_given = 0;
	now_cycle(d)->age_us = clock_now_us();
	if (d->opt.cycles > 1)
		say(d, "--- episode %d of %d", d->cycle, d->opt.cycles);
	say(d, "the sensors begin to age: they turn in their mounts, shift and lose gain");
	for (int i = 0; i < d->n_devices; i++)
		truth_age(&d->device[i]);
}

static bool until_alarm(struct demo *d)
{
	show_now(d);
	return now_cycle(d)->alarm_us != 0;
}

static bool until_asked(struct demo *d)
{
	show_now(d);
	return now_cycle(d)->asked_us != 0;
}

static void on_labelled(struct demo *d, int status, json_t *body)
{
	const char *why = json_string_value(json_object_get(body, "detail"));

	d->n_pending--;
	if (status != 202)
		fail(d, "POST /api/v1/labels: status %d: %s", status, why ? why : "no reason");
	else
		now_cycle(d)->labels++;
}

static void answer(struct demo *d, struct question *q)
{
	const struct truth *t = NULL;

	q->given = true;
	d->n_given++;
	for (int i = 0; i < d->n_devices; i++)
		if (strcmp(d->device[i].stream, q->stream) == 0)
			t = truth_at(&d->device[i], q->t_us);
	if (!t) {
		fail(d, "honed asked for a window of %s that no device has seen", q->stream);
		return;
	}
	d->n_pending++;
	api_post(d, "/api/v1/labels", json_pack("{ss sI ss ss}", "stream", q->stream, "t0", (json_int_t)q->t_us,
	         "label", state_names[t->state], "who", "operator"), on_labelled);
}

static bool until_answered(struct demo *d)
{
	struct cycle *c = now_cycle(d);

	for (int i = 0; i < d->n_questions && !d->stopping; i++)
		if (!d->question[i].given && d->question[i].due_us <= clock_now_us())
			answer(d, &d->question[i]);
	if (d->n_given == d->n_questions && d->n_pending == 0 && !c->labelled_us) {
		c->labelled_us = clock_now_us();
		say(d, "the operator has answered: %lld labels", (long long)c->labels);
	}
	return c->labelled_us && c->job_us;
}

static bool until_trained(struct demo *d)
{
	return now_cycle(d)->promoted > 0;
}

static bool until_swapped(struct demo *d)
{
	struct cycle *c = now_cycle(d);
	const struct cycle *former = &d->c[d->cycle - 1];

	if (!c->done_us || c->n_swapped < d->n_devices)
		return false;
	for (int i = 0; i < d->n_devices; i++)
		c->drifted[i] = truth_tally(&d->device[i], c->age_us + ramp_us + slack_us, c->swapped_us[i],
		                            former->version);
	tell_share(d, "while the old version served", c->drifted);
	say(d, "version %lld serves on all %d devices", (long long)c->version, d->n_devices);
	c->from_us = c->done_us;
	return true;
}

static bool until_recovered(struct demo *d)
{
	struct cycle *c = now_cycle(d);
	const bool last = d->cycle == d->opt.cycles;

	show_now(d);
	if (clock_now_us() - c->from_us < (int64_t)(after_s * 1e6) || (!last && !d->armed))
		return false;
	c->to_us = clock_now_us();
	measure(d, c->after, c->from_us, c->to_us, c->version);
	tell_share(d, "after", c->after);
	if (!last)
		memcpy(d->c[d->cycle + 1].before, c->after, sizeof c->after);
	return true;
}

enum { AGEING = 4, RECOVERED = 9 };
static const struct phase {
	const char *what;                /* "no ... within 10 s" */
	double limit_s;
	void (*enter)(struct demo *d);
	bool (*done)(struct demo *d);
} phases[] = {
	{ "answer of honed", 15, NULL, until_answer },
	{ "contact with all devices", 15, NULL, until_online },
	{ "first version on all devices", 40, NULL, until_first },
	{ "monitor that knows what is usual", 60, NULL, until_usual },
	[AGEING] = { "alarm", 30, age, until_alarm },
	{ "question for labels", 30, NULL, until_asked },
	{ "training after the labels were given", 20, NULL, until_answered },
	{ "decision of the gate", 30, NULL, until_trained },
	{ "swap on all devices", 40, NULL, until_swapped },
	[RECOVERED] = { "recovery", 60, NULL, until_recovered },
};
enum { PHASES = sizeof phases / sizeof phases[0] };

static void next_phase(struct demo *d)
{
	d->phase++;
	if (d->phase == PHASES && d->cycle < d->opt.cycles)
		d->phase = AGEING;
	d->phase_us = clock_mono_us();
	if (d->phase < PHASES && phases[d->phase].enter)
		phases[d->phase].enter(d);
}

/* The numbers of the card are of the end: one more look, then stop. */
static void last_look(struct demo *d)
{
	if (d->status_us < d->phase_us) {
		status_poll(d);
		return;
	}
	if (d->status_running)
		return;
	d->finished = true;
	stop(d);
}

void story_tick(struct demo *d)
{
	for (int i = 0; i < d->n_devices && !d->stopping; i++)
		truth_poll(&d->device[i]);
	if (d->stopping)
		return;
	if (d->phase == PHASES) {
		last_look(d);
		return;
	}
	if (d->answered)
		status_poll(d);
	if (phases[d->phase].done(d) && !d->stopping)
		next_phase(d);
	else if (!d->stopping && (double)(clock_mono_us() - d->phase_us) * 1e-6 > phases[d->phase].limit_s)
		fail(d, "no %s within %.0f s", phases[d->phase].what, phases[d->phase].limit_s);
}
