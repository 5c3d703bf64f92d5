/* The journal over HTTP: a page of entries, a long poll, or a stream of server-sent events.
 *
 * Who waits is suspended and stands in one list; a new entry or the earliest deadline resumes it, and
 * libmicrohttpd asks again.  Entries older than those in memory are read on a thread of libuv's pool. */
#include "api_req.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, WAIT_MAX_S = 30, HEARTBEAT_S = 15, STREAM_PIECE = 64 };

/* --- waiting --------------------------------------------------------------------------------------- */

static void arm(struct api *a)
{
	int64_t first = INT64_MAX, ms;

	for (const struct api_request *q = a->waiting; q; q = q->next_wait)
		if (!q->read && q->deadline_us < first)
			first = q->deadline_us;
	if (first == INT64_MAX) {
		(void)uv_timer_stop(&a->wake);
		return;
	}
	ms = (first - clock_mono_us() + 999) / 1000;
	(void)uv_timer_start(&a->wake, api_events_on_timer, (uint64_t)(ms < 0 ? 0 : ms), 0);
}

static void suspend(struct api_request *q)
{
	struct api *a = q->api;

	q->next_wait = a->waiting;
	a->waiting = q;
	q->waiting = true;
	MHD_suspend_connection(q->conn);
	arm(a);
}

static void forget(struct api_request *q)
{
	struct api_request **at = &q->api->waiting;

	if (!q->waiting)
		return;
	while (*at != q)
		at = &(*at)->next_wait;
	*at = q->next_wait;
	q->waiting = false;
}

static void resume(struct api_request *q)
{
	forget(q);
	MHD_resume_connection(q->conn);
	api_kick(q->port);
}

/* Resume everyone whose deadline is over, or everyone; not those whom a read will resume. */
static void resume_due(struct api *a, int64_t now_us)
{
	struct api_request *next;

	for (struct api_request *q = a->waiting; q; q = next) {
		next = q->next_wait;
		if (!q->read && q->deadline_us <= now_us)
			resume(q);
	}
	arm(a);
}

void api_events_wake(void *ctx, int64_t id)
{
	(void)id;
	resume_due(ctx, INT64_MAX);
}

void api_events_on_timer(uv_timer_t *t)
{
	resume_due(t->data, clock_mono_us());
}

void api_events_close(struct api *a)
{
	while (a->waiting) {
		struct api_request *q = a->waiting;

		if (q->read)
			q->read->request = NULL;
		q->read = NULL;
		resume(q);
	}
	(void)uv_timer_stop(&a->wake);
}

void api_events_done(struct api_request *q)
{
	forget(q);
	if (q->read)
		q->read->request = NULL;
	if (q->held)
		q->api->n_held--;
	json_decref(q->rows);
	free(q->out);
}

/* --- older entries --------------------------------------------------------------------------------- */

static void read_run(uv_work_t *w)
{
	struct api_read *rd = (struct api_read *)w;
	sqlite3 *db = NULL;

	if (db_reader(rd->db_path, &db, NULL) == HN_OK)
		rd->rows = journal_read(db, rd->after, rd->limit);
	(void)sqlite3_close(db);         /* read-only: nothing to lose */
}

static void read_done(uv_work_t *w, int status)
{
	struct api_read *rd = (struct api_read *)w;
	struct api_request *q = rd->request;

	if (!rd->rows)
		log_warn("event=journal_not_read reason=\"%s\"", status ? uv_strerror(status) : "no reader");
	if (q) {
		q->rows = rd->rows;
		q->read = NULL;
		q->read_done = true;
		resume(q);
	} else {
		json_decref(rd->rows);
	}
	free(rd);
}

/* True: the database is asked and q waits. */
static bool read_start(struct api_request *q)
{
	struct api *a = q->api;
	struct api_read *rd = calloc(1, sizeof *rd);

	if (!rd)
		return false;
	rd->request = q;
	rd->after = q->after;
	rd->limit = q->limit;
	(void)snprintf(rd->db_path, sizeof rd->db_path, "%s", a->db_path);
	if (uv_queue_work(a->loop, &rd->work, read_run, read_done) != 0) {
		free(rd);
		return false;
	}
	q->read = rd;
	suspend(q);
	return true;
}

/* Entries after q->after are no longer in memory, and the database was not asked for them. */
static bool is_older(const struct api_request *q)
{
	const int64_t first = journal_first(q->api->journal);

	return !q->read_done && first > 1 && q->after + 1 < first;
}

/* What there is now: a new reference, or NULL when the database is being asked. */
static json_t *take(struct api_request *q)
{
	json_t *rows = q->rows;

	q->rows = NULL;
	if (json_array_size(rows) > 0)
		return rows;
	json_decref(rows);
	if (is_older(q) && !q->head && !q->api->closing && read_start(q))
		return NULL;
	return journal_since(q->api->journal, q->after, q->limit);
}

/* --- event stream ---------------------------------------------------------------------------------- */

static void stream_text(struct api_request *q, char *text, size_t len)
{
	free(q->out);
	q->out = text;
	q->out_len = text ? len : 0;
	q->out_at = 0;
}

/* id, event, data; the journal's text has no line break: JSON escapes it. */
static void stream_entries(struct api_request *q, json_t *rows)
{
	char *text = NULL;
	size_t len = 0, i;
	FILE *out = open_memstream(&text, &len);
	json_t *e;

	if (!out)
		return;
	json_array_foreach(rows, i, e) {
		q->after = json_integer_value(json_object_get(e, "id"));
		(void)fprintf(out, "id: %lld\nevent: %s\ndata: ", (long long)q->after,
		              json_string_value(json_object_get(e, "kind")));
		(void)json_dumpf(e, out, JSON_COMPACT);
		(void)fputs("\n\n", out);
	}
	if (fclose(out) == 0) {
		stream_text(q, text, len);
		q->read_done = false;
	} else {
		free(text);
	}
}

static void stream_line(struct api_request *q, const char *line)
{
	char *text = strdup(line);

	if (text)
		stream_text(q, text, strlen(text));
}

/* False: there is nothing to say, and q waits. */
static bool stream_fill(struct api_request *q)
{
	json_t *rows = take(q);

	if (!rows)
		return false;
	if (json_array_size(rows) > 0)
		stream_entries(q, rows);
	else if (clock_mono_us() >= q->deadline_us)
		stream_line(q, ":\n\n");         /* a heartbeat: a dead reader is noticed */
	json_decref(rows);
	q->deadline_us = clock_mono_us() + (int64_t)HEARTBEAT_S * 1000000;
	if (q->out_at < q->out_len)
		return true;
	suspend(q);
	return false;
}

static ssize_t stream_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct api_request *q = cls;
	size_t n;

	(void)pos;
	if (q->api->closing)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (q->out_at == q->out_len && !stream_fill(q))
		return q->waiting ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
	n = q->out_len - q->out_at;
	if (n > max)
		n = max;
	memcpy(buf, q->out + q->out_at, n);
	q->out_at += n;
	return (ssize_t)n;
}

static void stream_open(struct api_request *q, struct api_reply *r)
{
	stream_line(q, "retry: 2000\n\n");
	if (q->out)
		r->stream = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, stream_read, q, NULL);
	if (!r->stream) {
		stream_text(q, NULL, 0);
		reply_problem(r, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
		return;
	}
	q->limit = STREAM_PIECE;
	q->deadline_us = clock_mono_us() + (int64_t)HEARTBEAT_S * 1000000;
	r->status = MHD_HTTP_OK;
	r->type = "text/event-stream";
}

/* --- the route ------------------------------------------------------------------------------------- */

/* A number in the query; absent: `*value` stays.  False: r has the problem. */
static bool number_of(const struct api_request *q, const char *name, double max, double *value,
                      struct api_reply *r)
{
	const char *text = MHD_lookup_connection_value(q->conn, MHD_GET_ARGUMENT_KIND, name);
	char *end;
	double v;

	if (!text)
		return true;
	v = strtod(text, &end);
	if (end == text || *end || !(v >= 0 && v <= max)) {
		reply_problem(r, MHD_HTTP_BAD_REQUEST, "%s is a number from 0 to %.0f, not '%.40s'", name, max,
		              text);
		return false;
	}
	*value = v;
	return true;
}

static bool wants_stream(const struct api_request *q)
{
	const char *accept = MHD_lookup_connection_value(q->conn, MHD_HEADER_KIND, "Accept");

	return accept && strstr(accept, "text/event-stream") != NULL;
}

/* Without `after`: a page has the newest entries, a stream only new ones. */
static int64_t start_of(const struct api_request *q, double after, bool stream)
{
	const int64_t last = journal_last(q->api->journal);

	if (after >= 0)
		return (int64_t)after < last ? (int64_t)after : last;
	if (stream)
		return last;
	return last > q->limit ? last - q->limit : 0;
}

static bool parse(struct api_request *q, bool stream, struct api_reply *r)
{
	const char *seen = MHD_lookup_connection_value(q->conn, MHD_HEADER_KIND, "Last-Event-ID");
	double after = -1, limit = LIMIT_DEFAULT, wait = 0;

	if (!number_of(q, "after", 9e15, &after, r) || !number_of(q, "limit", LIMIT_MAX, &limit, r) ||
	    !number_of(q, "wait", WAIT_MAX_S, &wait, r))
		return false;
	if (stream && seen && strspn(seen, "0123456789") == strlen(seen) && *seen && strlen(seen) < 16)
		after = strtod(seen, NULL);
	q->limit = limit < 1 ? 1 : (int)limit;
	q->after = start_of(q, after, stream);
	q->deadline_us = clock_mono_us() + (int64_t)llround(wait * 1e6);
	q->started = true;
	return true;
}

/* Those that may wait are counted, so that there is always a connection for an answer. */
static bool hold(struct api_request *q, bool stream)
{
	if (q->held || (!stream && q->deadline_us <= clock_mono_us()))
		return true;
	if (q->api->n_held >= API_WAITERS)
		return false;
	q->held = true;
	q->api->n_held++;
	return true;
}

void api_events(struct api_request *q, struct api_reply *r)
{
	const bool stream = wants_stream(q) && !q->head;
	json_t *rows;

	if (!q->started && !parse(q, stream, r))
		return;
	if (!hold(q, stream)) {
		reply_problem(r, MHD_HTTP_SERVICE_UNAVAILABLE, "%d requests wait for events already", API_WAITERS);
		return;
	}
	if (stream) {
		stream_open(q, r);
		return;
	}
	rows = take(q);
	r->wait = !rows && q->waiting;
	if (r->wait)
		return;
	if (json_array_size(rows) == 0 && !q->head && !q->api->closing && clock_mono_us() < q->deadline_us) {
		json_decref(rows);
		suspend(q);
		r->wait = true;
		return;
	}
	reply_json(r, rows);
}
