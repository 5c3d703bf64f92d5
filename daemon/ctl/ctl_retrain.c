/* Start a training job, and with --wait show how it goes and what the gate says. */
#include "ctl.h"

#include <string.h>

/* After the job has ended the gate's decision is being written; this many looks of half a second. */
enum { LOOKS_FOR_GATE = 120 };

/* What plan says beyond its first line: parts of a batch, expected time, why an update is full. */
static void print_plan_more(FILE *out, const json_t *plan)
{
	const json_int_t batch = json_integer_value(json_object_get(plan, "batch"));
	const json_int_t micro = json_integer_value(json_object_get(plan, "micro_batch"));
	const char *why = json_string_value(json_object_get(plan, "not_updated"));
	const json_t *seconds = json_object_get(plan, "seconds");

	fputs("network      ", out);
	print_clean(out, json_string_value(json_object_get(plan, "network"))
	                 ? json_string_value(json_object_get(plan, "network")) : "-");
	fputc('\n', out);
	if (micro < batch)
		fprintf(out, "memory       %lld of %lld windows of a batch at once, to fit train.memory_max\n",
		        (long long)micro, (long long)batch);
	if (json_is_true(json_object_get(plan, "recompute")))
		fprintf(out, "memory       outputs of layers are computed twice, to fit train.memory_max: "
		        "%.0f %% more time a step\n",
		        100 * json_number_value(json_object_get(plan, "recompute_share")));
	if (why)
		fprintf(out, "update       full: %s\n", why);
	if (seconds)
		fprintf(out, "time         %.3g s at most, by the first steps\n", json_number_value(seconds));
}

void print_plan(FILE *out, const json_t *job)
{
	char bytes[40], params[40], train[40], valid[40], holdout[40];

	if (!value_at(job, "plan"))
		return;
	value_text(job, "plan.bytes", AS_BYTES, bytes, sizeof bytes);
	value_text(job, "plan.params", AS_INT, params, sizeof params);
	value_text(job, "plan.windows.train", AS_INT, train, sizeof train);
	value_text(job, "plan.windows.valid", AS_INT, valid, sizeof valid);
	value_text(job, "plan.windows.holdout", AS_INT, holdout, sizeof holdout);
	fprintf(out, "plan         %s of memory, %s parameters; windows: %s to train, %s to validate, %s held back\n",
	        bytes, params, train, valid, holdout);
	print_plan_more(out, value_at(job, "plan"));
}

/* Layers that did not train well. */
void print_health(FILE *out, const json_t *job)
{
	json_t *h;
	size_t i;

	json_array_foreach(value_at(job, "report.health"), i, h) {
		fputs("health       ", out);
		print_clean(out, json_string_value(json_object_get(h, "text")));
		fputs(json_is_true(json_object_get(h, "last")) ? "\n" : " (not in the last epoch)\n", out);
	}
}

void print_progress(FILE *out, const json_t *job)
{
	char epoch[40], epochs[40], loss[40], valid[40], accuracy[40];

	if (!value_at(job, "progress"))
		return;
	value_text(job, "progress.epoch", AS_INT, epoch, sizeof epoch);
	value_text(job, "progress.epochs", AS_INT, epochs, sizeof epochs);
	value_text(job, "progress.loss", AS_NUMBER, loss, sizeof loss);
	value_text(job, "progress.valid_loss", AS_NUMBER, valid, sizeof valid);
	value_text(job, "progress.valid_accuracy", AS_PERCENT, accuracy, sizeof accuracy);
	fprintf(out, "epoch        %s/%s  loss %s  validation %s", epoch, epochs, loss, valid);
	fprintf(out, strcmp(accuracy, "-") ? "  accuracy %s\n" : "\n", accuracy);
}

/* The version that a job made. */
static const json_t *version_of(const json_t *model, json_int_t job)
{
	const json_t *list = json_object_get(model, "versions");
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (json_integer_value(json_object_get(v, "job")) == job)
			return v;
	return NULL;
}

/* "promoted: v3, accuracy 93.8 %, before 71.0 %", the gate's reasons, and the way back where there is one. */
static void print_verdict(struct ctl *c, FILE *out, const char *name, json_int_t job, const char *outcome)
{
	char path[400], number[40], now[40], before[40], measure[40];
	json_t *model = NULL, *r;
	const json_t *v;
	size_t i;

	ctl_path(c, "models", name, "", path, sizeof path);
	if (ctl_ask(c, "GET", path, NULL, &model) != CTL_OK)
		return;
	v = version_of(model, job);
	value_text(v, "number", AS_VERSION, number, sizeof number);
	value_text(v, "report.gate.challenger", AS_PERCENT, now, sizeof now);
	value_text(v, "report.gate.champion", AS_PERCENT, before, sizeof before);
	value_text(v, "report.gate.measure", AS_TEXT, measure, sizeof measure);
	fprintf(out, v ? "%s: %s, %s %s" : "%s", outcome, number, strcmp(measure, "-") ? measure : "accuracy",
	        now);
	fprintf(out, strcmp(before, "-") ? ", before %s\n" : "\n", before);
	json_array_foreach(value_at(v, "report.gate.reasons"), i, r) {
		fputs("  ", out);
		print_clean(out, json_string_value(r) ? json_string_value(r) : "");
		fputc('\n', out);
	}
	if (strcmp(outcome, "promoted") == 0 && json_integer_value(value_at(v, "parent")) > 0)
		fprintf(out, "undo: honectl rollback %s\n", name);
	json_decref(model);
}

struct watch { json_int_t job, epoch; int looks; bool planned; FILE *out; };

static void show(struct watch *w, const json_t *job)
{
	const json_int_t epoch = json_integer_value(value_at(job, "progress.epoch"));

	if (!w->planned && value_at(job, "plan")) {
		print_plan(w->out, job);
		w->planned = true;
	}
	if (epoch != w->epoch)
		print_progress(w->out, job);
	w->epoch = epoch;
	(void)fflush(w->out);
}

static const char *text_at(const json_t *o, const char *path)
{
	const char *s = json_string_value(value_at(o, path));

	return s ? s : "";
}

/* -1: not decided yet. */
static int verdict(struct ctl *c, struct watch *w, const json_t *job)
{
	const char *state = text_at(job, "state"), *outcome = text_at(job, "outcome");
	int code = CTL_OK;

	if (strcmp(state, "failed") == 0) {
		fputs("honectl: the job failed: ", stderr);
		print_clean(stderr, text_at(job, "error"));
		fputc('\n', stderr);
		return CTL_REFUSED;
	}
	if (strcmp(state, "done") != 0)
		return -1;
	if (json_is_true(json_object_get(job, "dry_run")))
		return CTL_OK;
	if (!*outcome && w->looks++ < LOOKS_FOR_GATE)
		return -1;
	if (!*outcome) {
		fprintf(stderr, "honectl: the gate has not decided; see honectl events and honectl job %lld\n",
		        (long long)w->job);
		return CTL_REFUSED;
	}
	code = strcmp(outcome, "promoted") == 0 ? CTL_OK : CTL_REJECTED;
	print_health(w->out, job);
	print_verdict(c, w->out, text_at(job, "model"), w->job, outcome);
	return code;
}

/* Look at the job, then wait half a second or until something is written to the journal. */
static int wait_for(struct ctl *c, json_int_t id)
{
	struct watch w = { .job = id, .out = c->json ? stderr : stdout };
	char path[120];
	int code, end = -1;

	(void)snprintf(path, sizeof path, "/api/v1/jobs/%lld", (long long)id);
	for (;;) {
		json_t *job = NULL, *events = NULL;
		char wait[120];
		json_t *last;

		code = ctl_ask(c, "GET", path, NULL, &job);
		if (code == CTL_OK) {
			show(&w, job);
			end = verdict(c, &w, job);
		}
		if (end >= 0 && c->json) {
			(void)json_dumpf(job, stdout, JSON_COMPACT);
			putchar('\n');
		}
		json_decref(job);
		if (code != CTL_OK || end >= 0)
			return code != CTL_OK ? code : end;
		(void)snprintf(wait, sizeof wait, "/api/v1/events?after=%lld&limit=1000&wait=0.5", c->after);
		code = ctl_ask(c, "GET", wait, NULL, &events);
		last = json_array_get(events, json_array_size(events) ? json_array_size(events) - 1 : 0);
		if (last)
			c->after = json_integer_value(json_object_get(last, "id"));
		json_decref(events);
		if (code != CTL_OK)
			return code;
	}
}

/* Id of the newest entry of the journal, so that only later ones end a wait. */
static int remember_last(struct ctl *c)
{
	json_t *list = NULL;
	const int code = ctl_ask(c, "GET", "/api/v1/events?limit=1", NULL, &list);

	c->after = json_integer_value(json_object_get(json_array_get(list, 0), "id"));
	json_decref(list);
	return code;
}

int job_before(struct ctl *c)
{
	return c->given & OPT_WAIT ? remember_last(c) : CTL_OK;
}

int job_started(struct ctl *c, const char *model, json_t *job)
{
	const json_int_t id = json_integer_value(json_object_get(job, "id"));
	const bool wait = c->given & OPT_WAIT, dry = c->given & OPT_DRY_RUN;

	json_decref(job);
	if (c->json && !wait) {
		ctl_print_answer(c);
		return CTL_OK;
	}
	fprintf(c->json ? stderr : stdout, "job %lld of %s%s\nundo: honectl cancel %lld\n", (long long)id, model,
	        dry ? " (dry run: only the plan)" : "", (long long)id);
	if (wait)
		return wait_for(c, id);
	printf("follow: honectl job %lld\n", (long long)id);
	return CTL_OK;
}

int run_retrain(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	char path[400];
	json_t *job = NULL;
	int code = job_before(c);

	(void)cmd;
	(void)argc;
	if (code != CTL_OK)
		return code;
	ctl_path(c, "models", argv[0], "/retrain", path, sizeof path);
	code = ctl_ask(c, "POST", path, json_pack("{sb ss*}", "dry_run", (c->given & OPT_DRY_RUN) != 0,
	               "reason", c->reason), &job);
	return code == CTL_OK ? job_started(c, argv[0], job) : code;
}
