/* What honed tells: its journal, and a look at devices, memory and training a few times a second. */
#include "demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

enum { ANSWER_MIN_MS = 1000, ANSWER_SPREAD_MS = 1000, EPOCH_LINES = 4 };

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int64_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static int device_named(const struct demo *d, const char *name)
{
	for (int i = 0; i < d->n_devices; i++)
		if (strcmp(d->device[i].name, name) == 0)
			return i;
	return -1;
}

/* --- journal entries -------------------------------------------------------------------------- */

static void on_alarm(struct demo *d, const json_t *e)
{
	struct cycle *c = now_cycle(d);

	c->alarms++;
	if (c->alarms == 1) {
		c->alarm_us = number(e, "t_us");
		(void)snprintf(c->alarm, sizeof c->alarm, "%s", text(e, "reason"));
	}
	if (c->age_us)
		say(d, "alarm after %.1f s: %s", (double)(number(e, "t_us") - c->age_us) * 1e-6, text(e, "reason"));
	else
		say(d, "alarm, though nothing has changed: %s", text(e, "reason"));
}

/* The operator answers one or two seconds after the question, one label after the other. */
static void on_labels_wanted(struct demo *d, const json_t *e)
{
	const json_t *windows = json_object_get(json_object_get(e, "evidence"), "windows"), *w;
	const int n = (int)json_array_size(windows);
	size_t i;

	if (d->cycle == 0)
		return;
	now_cycle(d)->asked_us = number(e, "t_us");
	json_array_foreach(windows, i, w) {
		struct question *q = &d->question[d->n_questions];

		if (d->n_questions == QUESTIONS_MAX)
			break;
		*q = (struct question){ .t_us = number(w, "t_us"), .due_us = number(e, "t_us")
			+ 1000 * (ANSWER_MIN_MS + (int64_t)(i + 1) * ANSWER_SPREAD_MS / n) };
		(void)snprintf(q->stream, sizeof q->stream, "%s", text(w, "stream"));
		d->n_questions++;
	}
	say(d, "honed asks an operator for the truth of %d windows", n);
}

static void on_job_started(struct demo *d, const json_t *e)
{
	struct cycle *c = now_cycle(d);

	c->job = number(e, "job");
	c->job_us = number(e, "t_us");
	d->epochs_told = 0;
	say(d, "hone-train starts: %s", text(e, "reason"));
}

static void on_job_plan(struct demo *d, const json_t *e)
{
	const json_t *p = json_object_get(e, "evidence");
	const json_t *w = json_object_get(p, "windows");

	say(d, "its plan: %.1f MB of memory, %lld weights, %lld windows to learn, %lld held back for the gate",
	    (double)number(p, "bytes") / 1048576.0, (long long)number(p, "params"), (long long)number(w, "train"),
	    (long long)number(w, "holdout"));
}

static void on_job_done(struct demo *d, const json_t *e)
{
	const json_t *r = json_object_get(e, "evidence");
	struct cycle *c = now_cycle(d);

	c->trained_us = number(e, "t_us");
	say(d, "trained in %.2f s: %lld epochs, the best was %lld, loss %.4f", (double)(c->trained_us - c->job_us) * 1e-6,
	    (long long)number(r, "epochs"), (long long)number(r, "best_epoch"),
	    json_number_value(json_object_get(r, "loss")));
}

static void on_job_failed(struct demo *d, const json_t *e)
{
	fail(d, "training failed: %s", text(e, "reason"));
}

static void on_promoted(struct demo *d, const json_t *e)
{
	struct cycle *c = now_cycle(d);

	c->decided_us = number(e, "t_us");
	c->promoted++;
	(void)snprintf(c->gate, sizeof c->gate, "%s", text(e, "reason"));
	say(d, "the gate: %s", c->gate);
}

static void on_rejected(struct demo *d, const json_t *e)
{
	const json_t *reasons = json_object_get(json_object_get(e, "evidence"), "reasons"), *r;
	size_t i;

	now_cycle(d)->rejected++;
	json_array_foreach(reasons, i, r)
		say(d, "the gate: %s", json_string_value(r));
	fail(d, "the gate rejected the new version: %s", text(e, "reason"));
}

static void on_rollout_started(struct demo *d, const json_t *e)
{
	now_cycle(d)->rollout_us = number(e, "t_us");
}

static void on_trial(struct demo *d, const json_t *e)
{
	say(d, "%s runs the new weights on trial%s", text(e, "device"),
	    now_cycle(d)->n_swapped == 0 ? " (the canary)" : "");
}

static void on_confirmed(struct demo *d, const json_t *e)
{
	const json_t *x = json_object_get(e, "evidence");
	const int i = device_named(d, text(e, "device"));
	struct cycle *c = now_cycle(d);

	if (i < 0)
		return;
	c->n_swapped++;
	c->swapped_us[i] = number(e, "t_us");
	c->swap_s[i] = json_number_value(json_object_get(x, "swap_s"));
	c->bytes += number(x, "bytes");
	say(d, "%s confirmed: %lld bytes, %.1f s", text(e, "device"), (long long)number(x, "bytes"), c->swap_s[i]);
}

static void on_rollout_done(struct demo *d, const json_t *e)
{
	now_cycle(d)->done_us = number(e, "t_us");
	now_cycle(d)->version = d->champion;
}

static void on_rollout_failed(struct demo *d, const json_t *e)
{
	fail(d, "the rollout failed: %s", text(e, "reason"));
}

static void on_told(struct demo *d, const json_t *e)
{
	say(d, "%s %s: %s", text(e, "kind"), text(e, "device"), text(e, "reason"));
}

static const struct { const char *kind; void (*take)(struct demo *d, const json_t *e); } kinds[] = {
	{ "alarm", on_alarm }, { "labels_wanted", on_labels_wanted }, { "job_started", on_job_started },
	{ "job_plan", on_job_plan }, { "job_done", on_job_done }, { "job_failed", on_job_failed },
	{ "promoted", on_promoted }, { "rejected", on_rejected }, { "rollout_started", on_rollout_started },
	{ "trial_started", on_trial }, { "confirmed", on_confirmed }, { "rollout_done", on_rollout_done },
	{ "rollout_failed", on_rollout_failed }, { "rolled_back", on_rollout_failed },
	{ "swap_failed", on_told }, { "revert", on_told }, { "device_outdated", on_told },
};

static void on_events(struct demo *d, int status, json_t *body)
{
	const json_t *e;
	size_t i;

	if (status != 200) {
		fail(d, "GET /api/v1/events: %s %d", status < 0 ? uv_strerror(status) : "status", status);
		return;
	}
	json_array_foreach(body, i, e) {
		d->last_event = number(e, "id");
		for (size_t k = 0; k < sizeof kinds / sizeof kinds[0] && !d->stopping; k++)
			if (strcmp(kinds[k].kind, text(e, "kind")) == 0)
				kinds[k].take(d, e);
	}
	if (!d->stopping)
		events_follow(d);
}

void events_follow(struct demo *d)
{
	char path[80];

	(void)snprintf(path, sizeof path, "/api/v1/events?after=%lld&wait=20", (long long)d->last_event);
	api_get(d, path, on_events);
}

/* --- a few times a second --------------------------------------------------------------------- */

static void take_devices(struct demo *d, const json_t *list)
{
	const json_t *o;
	size_t k;

	json_array_foreach(list, k, o) {
		const int i = device_named(d, text(o, "name"));

		if (i < 0)
			continue;
		d->device[i].online = json_is_true(json_object_get(o, "online"));
		d->device[i].model = number(o, "active_model");
		d->device[i].missed_honed = number(o, "missed");
		d->device[i].bytes = number(o, "bytes_sent");
		(void)snprintf(d->device[i].digest, sizeof d->device[i].digest, "%s", text(o, "digest"));
	}
}

/* Do the monitors of all devices know what is usual? */
static bool all_armed(const struct demo *d, const json_t *models)
{
	const json_t *monitor = json_object_get(json_array_get(models, 0), "monitor");
	const json_t *streams = json_object_get(monitor, "streams"), *s;
	int n = 0;
	size_t i;

	json_array_foreach(streams, i, s)
		for (int k = 0; k < d->n_devices; k++)
			n += strcmp(d->device[k].stream, text(s, "stream")) == 0
			  && json_is_true(json_object_get(s, "armed"));
	return n == d->n_devices;
}

static void on_status(struct demo *d, int status, json_t *body)
{
	const double rss = (double)number(body, "rss_bytes") / 1048576.0;

	d->status_running = false;
	if (status != 200) {
		fail(d, "GET /api/v1/status: %s %d", status < 0 ? uv_strerror(status) : "status", status);
		return;
	}
	d->rss_mib = rss > d->rss_mib ? rss : d->rss_mib;
	take_devices(d, json_object_get(body, "devices"));
	d->armed = all_armed(d, json_object_get(body, "models"));
	d->champion = number(json_object_get(json_array_get(json_object_get(body, "models"), 0), "champion"), "number");
}

static void on_job(struct demo *d, int status, json_t *body)
{
	const json_t *p = json_object_get(body, "progress");
	const int epoch = (int)number(p, "epoch"), epochs = (int)number(p, "epochs");
	const int part = epochs ? epoch * EPOCH_LINES / epochs : 0;
	char bar[21] = "....................";

	d->job_running = false;
	if (status != 200 || epoch <= 0 || epoch > epochs || now_cycle(d)->trained_us)
		return;                  /* not begun, or told already */
	memset(bar, '#', (size_t)(epoch * 20 / epochs));
	if (part > d->epochs_told)
		say(d, "training [%s] epoch %d of %d, loss %.4f", bar, epoch, epochs,
		    json_number_value(json_object_get(p, "loss")));
	else
		say_for_now(d, "training [%s] epoch %d of %d", bar, epoch, epochs);
	d->epochs_told = part > d->epochs_told ? part : d->epochs_told;
}

void status_poll(struct demo *d)
{
	const int64_t now = clock_mono_us();
	struct cycle *c = now_cycle(d);
	char path[64];

	if (!d->status_running && now - d->status_us >= 500000) {
		d->status_us = now;
		d->status_running = true;
		api_get(d, "/api/v1/status", on_status);
	}
	if (c->job_us && !c->trained_us && !d->job_running) {
		d->job_running = true;
		(void)snprintf(path, sizeof path, "/api/v1/jobs/%lld", (long long)c->job);
		api_get(d, path, on_job);
	}
}
