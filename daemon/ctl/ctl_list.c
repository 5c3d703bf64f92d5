/* Commands that show: one row a list, and the pages of one model, one job, and everything. */
#include "ctl.h"

#include <string.h>

static const struct column model_columns[] = {
	{ "MODEL", "name", AS_TEXT }, { "VERSION", "champion.number", AS_VERSION },
	{ "GATE", "champion.report.gate.challenger", AS_PERCENT }, { "MONITOR", "monitor.state", AS_TEXT },
	{ "SCORE", "monitor.score", AS_NUMBER }, { "TRAINING", "loop.training", AS_YES },
	{ "ROLLOUT", "loop.rollout", AS_YES }, { "PROBATION", "loop.probation", AS_YES },
	{ "LABELS", "loop.labels_new", AS_INT }, { "ASKED", "loop.labels_asked", AS_INT }, { NULL, NULL, AS_TEXT } };
static const struct column version_columns[] = {
	{ "VERSION", "number", AS_VERSION }, { "STATE", "state", AS_TEXT }, { "CREATED", "created", AS_TIME },
	{ "GATE", "report.gate.challenger", AS_PERCENT }, { "BEFORE", "report.gate.champion", AS_PERCENT },
	{ "BYTES", "bytes", AS_INT }, { "JOB", "job", AS_INT }, { "WHO", "who", AS_TEXT }, { "WHY", "why", AS_TEXT },
	{ NULL, NULL, AS_TEXT } };
static const struct column job_columns[] = {
	{ "JOB", "id", AS_INT }, { "MODEL", "model", AS_TEXT }, { "STATE", "state", AS_TEXT },
	{ "OUTCOME", "outcome", AS_TEXT }, { "EPOCH", "progress.epoch", AS_INT }, { "CREATED", "created", AS_TIME },
	{ "ACTOR", "actor", AS_TEXT }, { "REASON", "reason", AS_TEXT }, { "ERROR", "error", AS_TEXT },
	{ NULL, NULL, AS_TEXT } };
static const struct column device_columns[] = {
	{ "DEVICE", "name", AS_TEXT }, { "MODEL", "model", AS_TEXT }, { "PHASE", "phase", AS_TEXT },
	{ "VERSION", "active_version", AS_VERSION }, { "DIGEST", "digest", AS_TEXT }, { "DUE", "due", AS_INT },
	{ "MISSED", "missed", AS_INT }, { "SWAP S", "swap_s", AS_NUMBER }, { "SEEN", "seen", AS_TIME },
	{ "ROLLOUT", "rollout.state", AS_TEXT }, { "ERROR", "error", AS_TEXT }, { NULL, NULL, AS_TEXT } };
static const struct column rollout_columns[] = {
	{ "ROLLOUT", "id", AS_INT }, { "MODEL", "model", AS_TEXT }, { "VERSION", "number", AS_VERSION },
	{ "STATE", "state", AS_TEXT }, { "DEVICES", "devices", AS_COUNTS }, { "ETA S", "eta_s", AS_NUMBER },
	{ "ASLEEP", "asleep", AS_INT }, { "REASON", "reason", AS_TEXT }, { NULL, NULL, AS_TEXT } };
static const struct column history_columns[] = {
	{ "ROLLOUT", "rollout", AS_INT }, { "VERSION", "number", AS_VERSION }, { "STATE", "state", AS_TEXT },
	{ "ATTEMPTS", "attempts", AS_INT }, { "STARTED", "started", AS_TIME }, { "ENDED", "ended", AS_TIME },
	{ "ERROR", "error", AS_TEXT }, { NULL, NULL, AS_TEXT } };
static const struct column stream_columns[] = {
	{ "STREAM", "name", AS_TEXT }, { "FRAMES", "frames", AS_INT }, { "REFUSED", "refused", AS_INT },
	{ "HZ", "rate_hz", AS_NUMBER }, { "LAST FRAME", "last_event", AS_TIME }, { NULL, NULL, AS_TEXT } };
static const struct column source_columns[] = {
	{ "SOURCE", "name", AS_TEXT }, { "TYPE", "type", AS_TEXT }, { "STATE", "state", AS_TEXT },
	{ "FRAMES", "frames", AS_INT }, { "BYTES", "bytes", AS_BYTES }, { "DROPPED", "dropped", AS_INT },
	{ NULL, NULL, AS_TEXT } };
static const struct column request_columns[] = {
	{ "STREAM", "stream", AS_TEXT }, { "T", "t", AS_TEXT }, { "MODEL", "model", AS_TEXT },
	{ "WHY", "why", AS_TEXT }, { NULL, NULL, AS_TEXT } };

/* `inside`: the list is this member of the answer. */
static const struct listing {
	const char *command, *path, *inside;
	const struct column *columns;
	const char *empty;
} listings[] = {
	{ "models", "/api/v1/models", NULL, model_columns, "no model: add one to `models:` in honed.yaml" },
	{ "jobs", "/api/v1/jobs", NULL, job_columns, "no job yet: honectl retrain MODEL starts one" },
	{ "devices", "/api/v1/devices", NULL, device_columns, "no device: add one to `devices:` in honed.yaml" },
	{ "rollouts", "/api/v1/rollouts", NULL, rollout_columns, "no rollout yet: a promoted version starts one" },
	{ "streams", "/api/v1/streams", "streams", stream_columns,
	  "no stream: add one to `streams:` in honed.yaml" },
	{ "sources", "/api/v1/sources", NULL, source_columns, "no source: add one to `sources:` in honed.yaml" },
	{ "requests", "/api/v1/labels/requests", NULL, request_columns, "no label is asked for" },
};

static void list_print(const struct ctl *c, const struct listing *l, const json_t *o)
{
	const json_t *list = l->inside && json_is_object(o) ? json_object_get(o, l->inside) : o;

	if (json_array_size(list) > 0)
		table_print(c, list, l->columns);
	else
		fprintf(stderr, "%s\n", l->empty);
}

static const struct listing *listing_of(const char *command)
{
	for (size_t i = 0; i < sizeof listings / sizeof listings[0]; i++)
		if (strcmp(listings[i].command, command) == 0)
			return &listings[i];
	return NULL;
}

int run_list(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	const struct listing *l = listing_of(cmd->name);
	json_t *o = NULL;
	const int code = ctl_ask(c, "GET", l->path, NULL, &o);

	(void)argc;
	(void)argv;
	if (code == CTL_OK && c->json)
		ctl_print_answer(c);
	else if (code == CTL_OK)
		list_print(c, l, o);
	json_decref(o);
	return code;
}

int run_history(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	static const struct listing l = { .columns = history_columns,
		.empty = "no rollout has reached this device yet" };
	json_t *o = NULL;
	char path[400];
	int code;

	(void)cmd;
	(void)argc;
	ctl_path(c, "devices", argv[0], "/history", path, sizeof path);
	code = ctl_ask(c, "GET", path, NULL, &o);
	if (code == CTL_OK && c->json)
		ctl_print_answer(c);
	else if (code == CTL_OK)
		list_print(c, &l, o);
	json_decref(o);
	return code;
}

/* --- pages ------------------------------------------------------------------------------------------- */

struct line { const char *name, *path; enum format as; };

static void print_lines(const json_t *o, const struct line *lines)
{
	char text[400];

	for (; lines->name; lines++) {
		value_text(o, lines->path, lines->as, text, sizeof text);
		if (strcmp(text, "-") != 0)
			printf("%-12s %s\n", lines->name, text);
	}
}

static void print_reasons(const json_t *list)
{
	const char *head = "gate";
	json_t *r;
	size_t i;

	json_array_foreach(list, i, r) {
		printf("%-12s ", head);
		print_clean(stdout, json_string_value(r) ? json_string_value(r) : "");
		putchar('\n');
		head = "";
	}
}

/* Of windows that are classified, or measured. */
static void cost_text(const json_t *report, char *out, size_t cap)
{
	char a[40], b[40];

	if (value_at(report, "int8.same")) {
		value_text(report, "int8.same", AS_INT, a, sizeof a);
		value_text(report, "int8.compared", AS_INT, b, sizeof b);
		(void)snprintf(out, cap, "%s of %s windows keep their class", a, b);
		return;
	}
	value_text(report, "int8_error", AS_NUMBER, a, sizeof a);
	value_text(report, "float_error", AS_NUMBER, b, sizeof b);
	(void)snprintf(out, cap, "error %s, in float %s", a, b);
}

/* What rounding to int8 costs, layer by layer; nothing for a report without it. */
static void print_int8(const struct ctl *c, const json_t *report)
{
	static const struct column columns[] = {
		{ "LAYER", "layer", AS_TEXT }, { "SNR DB", "snr_db", AS_NUMBER },
		{ "ALONE DB", "alone_db", AS_NUMBER }, { NULL, NULL, AS_TEXT } };
	const json_t *int8 = json_object_get(report, "int8");
	char rule[40], most[80], cost[120];

	if (!json_is_object(int8))
		return;
	value_text(int8, "calibration", AS_TEXT, rule, sizeof rule);
	cost_text(report, cost, sizeof cost);
	value_text(int8, "hurts_most", AS_TEXT, most, sizeof most);
	printf("%-12s %s, grid by %s; %s; '%s' costs most\n\n", "int8",
	       json_integer_value(json_object_get(int8, "tuned_epochs")) > 0 ? "trained for it"
	                                                                     : "rounded after the fit",
	       rule, cost, most);
	table_print(c, json_object_get(int8, "layers"), columns);
}

/* Ask for one thing; in JSON the answer is printed and *out stays NULL. */
static int ask_one(struct ctl *c, const char *path, json_t **out)
{
	const int code = ctl_ask(c, "GET", path, NULL, out);

	if (code == CTL_OK && c->json) {
		ctl_print_answer(c);
		json_decref(*out);
		*out = NULL;
	}
	return code;
}

int run_model(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	char measure[40] = "accuracy";
	const struct line lines[] = {
		{ "model", "name", AS_TEXT }, { "task", "task", AS_TEXT }, { "stream", "stream", AS_TEXT },
		{ "network", "network", AS_TEXT }, { "window", "window", AS_INT }, { "hop", "hop", AS_INT },
		{ "champion", "champion.number", AS_VERSION },
		{ "digest", "champion.digest", AS_TEXT }, { measure, "champion.report.gate.challenger", AS_PERCENT },
		{ "monitor", "monitor.state", AS_TEXT }, { "score", "monitor.score", AS_NUMBER },
		{ "labelled", "monitor.labelled.accuracy", AS_PERCENT }, { "training", "loop.training", AS_YES },
		{ "rollout", "loop.rollout", AS_YES }, { "probation", "loop.probation", AS_YES },
		{ "new labels", "loop.labels_new", AS_INT }, { "answers", "anomalies.windows", AS_INT },
		{ "anomalies", "anomalies.n", AS_INT }, { NULL, NULL, AS_TEXT } };
	const json_t *versions;
	json_t *o = NULL;
	char path[400];
	int code;

	if (argc == 2 && strcmp(argv[0], "export") == 0 && c->out)
		return run_export(c, argv + 1);
	if (argc == 2 && strcmp(argv[0], "import") == 0 && c->name)
		return run_import(c, argv + 1);
	if (argc == 2 || strcmp(argv[0], "export") == 0 || strcmp(argv[0], "import") == 0)
		return ctl_usage(cmd);
	ctl_path(c, "models", argv[0], "", path, sizeof path);
	code = ask_one(c, path, &o);
	if (!o)
		return code;
	if (value_at(o, "champion.report.gate.measure"))
		value_text(o, "champion.report.gate.measure", AS_TEXT, measure, sizeof measure);
	print_lines(o, lines);
	print_reasons(value_at(o, "champion.report.gate.reasons"));
	print_int8(c, value_at(o, "champion.report"));
	versions = json_object_get(o, "versions");
	if (json_array_size(versions) > 0) {
		putchar('\n');
		table_print(c, versions, version_columns);
	}
	json_decref(o);
	return code;
}

int run_job(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	static const struct line lines[] = {
		{ "job", "id", AS_INT }, { "model", "model", AS_TEXT }, { "state", "state", AS_TEXT },
		{ "outcome", "outcome", AS_TEXT }, { "error", "error", AS_TEXT }, { "reason", "reason", AS_TEXT },
		{ "actor", "actor", AS_TEXT }, { "dry run", "dry_run", AS_YES }, { "created", "created", AS_TIME },
		{ "started", "started", AS_TIME }, { "ended", "ended", AS_TIME },
		{ "peak memory", "report.peak_bytes", AS_BYTES }, { "seconds", "report.seconds", AS_NUMBER },
		{ NULL, NULL, AS_TEXT } };
	json_t *o = NULL;
	char path[400];
	int code;

	(void)cmd;
	(void)argc;
	ctl_path(c, "jobs", argv[0], "", path, sizeof path);
	code = ask_one(c, path, &o);
	if (!o)
		return code;
	print_lines(o, lines);
	print_plan(stdout, o);
	print_progress(stdout, o);
	print_int8(c, value_at(o, "report"));
	print_health(stdout, o);
	json_decref(o);
	return code;
}

static void uptime_text(double s, char *out, size_t cap)
{
	if (s < 120)
		(void)snprintf(out, cap, "%.0f s", s);
	else if (s < 7200)
		(void)snprintf(out, cap, "%.0f min", s / 60);
	else if (s < 172800)
		(void)snprintf(out, cap, "%.1f h", s / 3600);
	else
		(void)snprintf(out, cap, "%.1f d", s / 86400);
}

int run_status(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	static const char *const parts[] = { "models", "devices", "streams", "sources" };
	char version[40], memory[40], summary[400], up[40];
	json_t *o = NULL;
	const int code = ask_one(c, "/api/v1/status", &o);

	(void)cmd;
	(void)argc;
	(void)argv;
	if (!o)
		return code;
	value_text(o, "version", AS_TEXT, version, sizeof version);
	value_text(o, "summary", AS_TEXT, summary, sizeof summary);
	value_text(o, "rss_bytes", AS_BYTES, memory, sizeof memory);
	uptime_text(json_number_value(json_object_get(o, "uptime_s")), up, sizeof up);
	printf("honed %s, up %s, %s resident\n%s\n", version, up, memory, summary);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		const struct listing *l = listing_of(parts[i]);
		const json_t *p = json_object_get(o, parts[i]);

		if (l->inside && json_is_object(p))
			p = json_object_get(p, l->inside);
		if (json_array_size(p) == 0)
			continue;
		putchar('\n');
		table_print(c, p, l->columns);
	}
	json_decref(o);
	return code;
}

int run_metrics(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	const int code = ctl_ask(c, "GET", "/metrics", NULL, NULL);

	(void)cmd;
	(void)argc;
	(void)argv;
	if (code == CTL_OK)
		ctl_print_answer(c);
	return code;
}
