/* The route table, and what each route does. */
#include "api_req.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hn_frame.h"
#include "metrics.h"

/* --- reading a request ----------------------------------------------------------------------------- */

/* The body as an object; an empty one stands for {}.  NULL: r has the problem. */
static json_t *body_object(const struct api_request *q, struct api_reply *r)
{
	json_error_t e;
	json_t *o = q->len ? json_loadb(q->body, q->len, JSON_REJECT_DUPLICATES, &e) : json_object();

	if (json_is_object(o))
		return o;
	if (o || !q->len)
		reply_problem(r, MHD_HTTP_BAD_REQUEST, "the body has to be a JSON object");
	else
		reply_problem(r, MHD_HTTP_BAD_REQUEST, "the body is not JSON: line %d, column %d: %s", e.line,
		              e.column, e.text);
	json_decref(o);
	return NULL;
}

bool request_reason_fits(const char *reason, struct api_reply *r)
{
	if (strlen(reason) <= API_REASON_MAX)
		return true;
	reply_problem(r, MHD_HTTP_BAD_REQUEST, "reason may have %d bytes", API_REASON_MAX);
	return false;
}

bool request_id(const struct api_request *q, struct api_reply *r, const char *what, int64_t *id)
{
	const size_t n = strspn(q->param, "0123456789");

	if (n > 0 && n <= 18 && q->param[n] == '\0') {
		*id = strtoll(q->param, NULL, 10);
		return true;
	}
	reply_problem(r, MHD_HTTP_NOT_FOUND, "no %s '%s'; an id is a number", what,
	              q->param);
	return false;
}

/* --- reads ----------------------------------------------------------------------------------------- */

static void livez(struct api_request *q, struct api_reply *r)
{
	(void)q;
	reply_json(r, json_pack("{sb}", "alive", 1));
}

static void readyz(struct api_request *q, struct api_reply *r)
{
	const char *why = "";

	if (q->api->ops.ready(q->api->ops.ctx, &why))
		reply_json(r, json_pack("{sb ss}", "ready", 1, "why", why));
	else
		reply_problem(r, MHD_HTTP_SERVICE_UNAVAILABLE, "%s", why);
}

static void status(struct api_request *q, struct api_reply *r)
{
	reply_json(r, q->api->ops.status(q->api->ops.ctx));
}

static void models(struct api_request *q, struct api_reply *r)
{
	reply_json(r, q->api->ops.models(q->api->ops.ctx));
}

static void model(struct api_request *q, struct api_reply *r)
{
	json_t *o = q->api->ops.model(q->api->ops.ctx, q->param);

	if (o)
		reply_json(r, o);
	else
		reply_problem(r, MHD_HTTP_NOT_FOUND, "no model '%s'; see honectl models, /api/v1/models", q->param);
}

static void jobs(struct api_request *q, struct api_reply *r)
{
	reply_json(r, q->api->ops.jobs(q->api->ops.ctx));
}

static void job(struct api_request *q, struct api_reply *r)
{
	json_t *o;
	int64_t id;

	if (!request_id(q, r, "job", &id))
		return;
	o = q->api->ops.job(q->api->ops.ctx, id);
	if (o)
		reply_json(r, o);
	else
		reply_problem(r, MHD_HTTP_NOT_FOUND, "no job %lld; see honectl jobs, /api/v1/jobs", (long long)id);
}

static void devices(struct api_request *q, struct api_reply *r)
{
	reply_json(r, q->api->ops.devices(q->api->ops.ctx));
}

static void rollouts(struct api_request *q, struct api_reply *r)
{
	reply_json(r, q->api->ops.rollouts(q->api->ops.ctx));
}

static void history(struct api_request *q, struct api_reply *r)
{
	json_t *o = q->api->ops.history(q->api->ops.ctx, q->param);

	if (o)
		reply_json(r, o);
	else
		reply_problem(r, MHD_HTTP_NOT_FOUND, "no device '%s'; see honectl devices, /api/v1/devices", q->param);
}

static void streams(struct api_request *q, struct api_reply *r)
{
	reply_json(r, q->api->ops.streams(q->api->ops.ctx));
}

static void sources(struct api_request *q, struct api_reply *r)
{
	reply_json(r, q->api->ops.sources(q->api->ops.ctx));
}

static void requests(struct api_request *q, struct api_reply *r)
{
	reply_json(r, q->api->ops.requests(q->api->ops.ctx));
}

static void metrics(struct api_request *q, struct api_reply *r)
{
	FILE *out = open_memstream(&r->text, &r->text_len);

	(void)q;
	if (out)
		metrics_write(out);
	if (!out || fclose(out) != 0) {
		free(r->text);
		r->text = NULL;
		reply_problem(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
		return;
	}
	r->status = MHD_HTTP_OK;
	r->type = "text/plain; version=0.0.4; charset=utf-8";
}

/* --- verbs ----------------------------------------------------------------------------------------- */

void reply_job(struct api_request *q, struct api_reply *r, hn_status rc, int64_t id,
                      const struct hn_err *err)
{
	json_t *o;

	if (rc != HN_OK) {
		reply_status(r, rc, err);
		return;
	}
	o = q->api->ops.job(q->api->ops.ctx, id);
	reply_json(r, o ? o : json_pack("{sI}", "id", (json_int_t)id));
	r->status = MHD_HTTP_ACCEPTED;
	(void)snprintf(r->location, sizeof r->location, "/api/v1/jobs/%lld", (long long)id);
}

static void retrain(struct api_request *q, struct api_reply *r)
{
	json_t *body = body_object(q, r);
	struct hn_err err = { .code = HN_OK };
	const char *reason = "asked for by hand";
	char actor[HN_NAME_MAX];
	json_error_t e;
	int dry_run = 0;
	int64_t id = 0;
	hn_status rc;

	if (!body)
		return;
	if (json_unpack_ex(body, &e, JSON_STRICT, "{s?s s?b}", "reason", &reason, "dry_run", &dry_run) != 0) {
		reply_problem(r, MHD_HTTP_BAD_REQUEST, "{reason: text, dry_run: true or false}: %s", e.text);
	} else if (request_reason_fits(reason, r)) {
		api_actor(q, actor, sizeof actor);
		rc = q->api->ops.retrain(q->api->ops.ctx, q->param, actor, reason, dry_run != 0, &id, &err);
		reply_job(q, r, rc, id, &err);
	}
	json_decref(body);
}

static void rollback(struct api_request *q, struct api_reply *r)
{
	json_t *body = body_object(q, r);
	struct hn_err err = { .code = HN_OK };
	const char *reason = "asked for by hand";
	char actor[HN_NAME_MAX];
	json_error_t e;
	int64_t version = 0;
	hn_status rc;

	if (!body)
		return;
	if (json_unpack_ex(body, &e, JSON_STRICT, "{s?s}", "reason", &reason) != 0) {
		reply_problem(r, MHD_HTTP_BAD_REQUEST, "{reason: text}: %s", e.text);
	} else if (request_reason_fits(reason, r)) {
		api_actor(q, actor, sizeof actor);
		rc = q->api->ops.rollback(q->api->ops.ctx, q->param, actor, reason, &version, &err);
		if (rc == HN_OK)
			reply_json(r, json_pack("{ss sI}", "model", q->param, "version", (json_int_t)version));
		else
			reply_status(r, rc, &err);
	}
	json_decref(body);
}

/* The last word of the path is the verb. */
static void rollout(struct api_request *q, struct api_reply *r)
{
	const char *verb = strrchr(q->route->path, '/') + 1;
	struct hn_err err = { .code = HN_OK };
	char actor[HN_NAME_MAX];
	hn_status rc;

	api_actor(q, actor, sizeof actor);
	rc = q->api->ops.rollout(q->api->ops.ctx, q->param, verb, actor, &err);
	if (rc == HN_OK)
		reply_json(r, q->api->ops.rollouts(q->api->ops.ctx));
	else
		reply_status(r, rc, &err);
}

static void pull(struct api_request *q, struct api_reply *r)
{
	json_t *body = body_object(q, r);
	struct hn_err err = { .code = HN_OK };
	char actor[HN_NAME_MAX];
	json_error_t e;
	int windows = 100;
	hn_status rc;

	if (!body)
		return;
	api_actor(q, actor, sizeof actor);
	if (json_unpack_ex(body, &e, JSON_STRICT, "{s?i}", "windows", &windows) != 0 || windows < 1
	    || windows > UINT16_MAX) {
		reply_problem(r, MHD_HTTP_BAD_REQUEST, "{windows: 1 to 65535}");
	} else {
		rc = q->api->ops.pull(q->api->ops.ctx, q->param, windows, actor, &err);
		if (rc == HN_OK)
			reply_json(r, json_pack("{ss si}", "device", q->param, "windows", windows));
		else
			reply_status(r, rc, &err);
		r->status = rc == HN_OK ? MHD_HTTP_ACCEPTED : r->status;
	}
	json_decref(body);
}

static void cancel(struct api_request *q, struct api_reply *r)
{
	struct hn_err err = { .code = HN_OK };
	json_t *o;
	int64_t id;
	hn_status rc;

	if (!request_id(q, r, "job", &id))
		return;
	rc = q->api->ops.cancel(q->api->ops.ctx, id, &err);
	if (rc == HN_OK) {
		o = q->api->ops.job(q->api->ops.ctx, id);
		reply_json(r, o ? o : json_pack("{sI}", "id", (json_int_t)id));
		r->status = MHD_HTTP_ACCEPTED;   /* a running trainer is still ending */
	} else {
		reply_status(r, rc, &err);
	}
}

/* A time in a body: RFC 3339 text, or microseconds since 1970 as a number. */
static bool time_of(const json_t *v, int64_t *us)
{
	if (json_is_integer(v)) {
		*us = json_integer_value(v);
		return true;
	}
	return json_is_string(v) && clock_parse(json_string_value(v), us) == 0;
}

static void give_label(struct api_request *q, struct api_reply *r, struct api_label *l)
{
	struct hn_err err = { .code = HN_OK };
	char actor[HN_NAME_MAX], t0[40], t1[40];
	hn_status rc;

	api_actor(q, actor, sizeof actor);
	if (!l->who)
		l->who = actor;
	rc = q->api->ops.label(q->api->ops.ctx, l, &err);
	if (rc != HN_OK) {
		reply_status(r, rc, &err);
		return;
	}
	clock_format(l->t0_us, t0, sizeof t0);
	clock_format(l->t1_us, t1, sizeof t1);
	reply_json(r, json_pack("{ss sI sI ss ss ss ss}", "stream", l->stream, "t0_us", (json_int_t)l->t0_us,
	                        "t1_us", (json_int_t)l->t1_us, "t0", t0, "t1", t1, "label", l->text,
	                        "who", l->who));
	r->status = MHD_HTTP_ACCEPTED;   /* it counts when it is durable: within store.commit_every */
}

static void label(struct api_request *q, struct api_reply *r)
{
	json_t *body = body_object(q, r), *t0 = NULL, *t1 = NULL, *value = NULL;
	struct api_label l = { .stream = NULL };
	char number[40];
	json_error_t e;

	if (!body)
		return;
	if (json_unpack_ex(body, &e, JSON_STRICT, "{ss so s?o so s?s}", "stream", &l.stream, "t0", &t0,
	                   "t1", &t1, "label", &value, "who", &l.who) != 0) {
		reply_problem(r, MHD_HTTP_BAD_REQUEST,
		              "{stream: text, t0: time, t1: time, label: class or number, who: text}: %s", e.text);
	} else if (!time_of(t0, &l.t0_us) || !time_of(t1 ? t1 : t0, &l.t1_us)) {
		reply_problem(r, MHD_HTTP_BAD_REQUEST, "t0 and t1 are RFC 3339 text (2026-11-22T13:05:07Z) or "
		              "microseconds since 1970 as a whole number");
	} else if (!json_is_string(value) && !json_is_number(value)) {
		reply_problem(r, MHD_HTTP_BAD_REQUEST, "label is the name of a class or a number");
	} else if (l.who && (!*l.who || strlen(l.who) >= HN_NAME_MAX)) {
		reply_problem(r, MHD_HTTP_BAD_REQUEST, "who has 1 to %d bytes", HN_NAME_MAX - 1);
	} else {
		(void)snprintf(number, sizeof number, "%.17g", json_number_value(value));
		l.text = json_is_string(value) ? json_string_value(value) : number;
		give_label(q, r, &l);
	}
	json_decref(body);
}

/* --- the table ------------------------------------------------------------------------------------- */

static void routes(struct api_request *q, struct api_reply *r);

static const struct api_route table[] = {
{ "GET",    "/livez",                       livez,      "the process answers" },
{ "GET",    "/readyz",                      readyz,     "it does its work; 503 while it stops" },
{ "GET",    "/metrics",                     metrics,    "counters and gauges, Prometheus text format" },
{ "GET",    "/api/v1/routes",               routes,     "this table" },
{ "GET",    "/api/v1/status",               status,     "everything on one page" },
{ "GET",    "/api/v1/models",               models,     "models with champion and monitor" },
{ "GET",    "/api/v1/models/{}",            model,      "one model with its versions" },
{ "POST",   "/api/v1/models/{}/retrain",    retrain,    "start a training job" },
{ "POST",   "/api/v1/models/{}/rollback",   rollback,   "go back to the version before" },
{ "POST",   "/api/v1/models/{}/rollout/pause",  rollout, "no further device starts" },
{ "POST",   "/api/v1/models/{}/rollout/resume", rollout, "go on with a paused rollout" },
{ "POST",   "/api/v1/models/{}/rollout/retry",  rollout, "try devices again that failed" },
{ "POST",   "/api/v1/models/{}/import",     api_import, "a candidate from an .onnx or .tflite file" },
{ "GET",    "/api/v1/versions/{}",          api_version, "the bytes of a version" },
{ "GET",    "/api/v1/jobs",                 jobs,       "training jobs, newest first" },
{ "GET",    "/api/v1/jobs/{}",              job,        "one job with progress and report" },
{ "DELETE", "/api/v1/jobs/{}",              cancel,     "cancel a job" },
{ "GET",    "/api/v1/devices",              devices,    "microcontrollers and what they run" },
{ "GET",    "/api/v1/devices/{}/history",   history,    "what became of each rollout on a device" },
{ "POST",   "/api/v1/devices/{}/pull",      pull,       "ask a device for raw windows" },
{ "GET",    "/api/v1/rollouts",             rollouts,   "newest rollout of each model" },
{ "GET",    "/api/v1/streams",              streams,    "streams with last frame and drops" },
{ "GET",    "/api/v1/sources",              sources,    "sources with state and counters" },
{ "GET",    "/api/v1/labels/requests",      requests,   "windows that honed asks a label for" },
{ "POST",   "/api/v1/labels",               label,      "give a label to a span of a stream" },
{ "GET",    "/api/v1/events",               api_events, "the journal; long poll or event stream" },
};
enum { N_ROUTES = sizeof table / sizeof table[0] };

/* "/jobs/{}" as "/jobs/{id}": the way OpenAPI writes it. */
static json_t *path_json(const char *path)
{
	const char *hole = strstr(path, "{}");
	const bool id = strstr(path, "/jobs/") || strstr(path, "/versions/");

	if (!hole)
		return json_string(path);
	return json_sprintf("%.*s{%s}%s", (int)(hole - path), path, id ? "id" : "name", hole + 2);
}

static void routes(struct api_request *q, struct api_reply *r)
{
	json_t *list = json_array();

	(void)q;
	for (int i = 0; list && i < N_ROUTES; i++)      /* no memory: left out */
		(void)json_array_append_new(list, json_pack("{ss so ss}", "method", table[i].method, "path",
		                                            path_json(table[i].path), "help", table[i].help));
	reply_json(r, list);
}

/* Does `path` fit the pattern?  What stands for "{}" goes to `param`. */
static bool fits(const char *pattern, const char *path, char param[API_PARAM_MAX])
{
	const char *hole = strstr(pattern, "{}");
	size_t before, n;

	if (!hole)
		return strcmp(pattern, path) == 0;
	before = (size_t)(hole - pattern);
	if (strncmp(pattern, path, before) != 0)
		return false;
	n = strcspn(path + before, "/");
	if (n == 0 || n >= API_PARAM_MAX || strcmp(path + before + n, hole + 2) != 0)
		return false;
	memcpy(param, path + before, n);
	param[n] = '\0';
	return true;
}

void route_allow(const char *path, char *out, size_t cap)
{
	char param[API_PARAM_MAX];
	size_t at = 0;

	out[0] = '\0';
	for (int i = 0; i < N_ROUTES; i++)
		if (fits(table[i].path, path, param) && at < cap)
			at += (size_t)snprintf(out + at, cap - at, "%s%s, ", table[i].method,
			                       strcmp(table[i].method, "GET") == 0 ? ", HEAD" : "");
	if (at && at < cap)
		(void)snprintf(out + at, cap - at, "OPTIONS");
}

bool route_takes_file(const struct api_request *q)
{
	return q->route && q->route->run == api_import;
}

void route_find(struct api_request *q, const char *method)
{
	char allow[64];

	if (q->head)
		method = "GET";
	for (int i = 0; i < N_ROUTES; i++)
		if (strcmp(table[i].method, method) == 0 && fits(table[i].path, q->path, q->param)) {
			q->route = &table[i];
			return;
		}
	route_allow(q->path, allow, sizeof allow);
	if (!allow[0])
		request_refuse(q, MHD_HTTP_NOT_FOUND, "no such path; /api/v1/routes lists them");
	else if (strcmp(method, "OPTIONS") == 0)
		request_refuse(q, MHD_HTTP_NO_CONTENT, "%s", allow);
	else
		request_refuse(q, MHD_HTTP_METHOD_NOT_ALLOWED, "this path takes %s", allow);
}
