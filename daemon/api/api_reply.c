/* Answers: JSON, text, RFC 9457 problems. */
#include "api_req.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"

void reply_json(struct api_reply *r, json_t *json)
{
	if (!json) {
		reply_problem(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "the answer could not be made; see the log");
		return;
	}
	r->status = MHD_HTTP_OK;
	r->json = json;
}

void reply_problem(struct api_reply *r, unsigned status, const char *fmt, ...)
{
	const char *title = MHD_get_reason_phrase_for(status);
	char detail[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof detail, fmt, ap); /* cut at the end, by intent */
	va_end(ap);
	json_decref(r->json);
	r->status = status;
	r->json = json_pack("{ss ss si so*}", "type", "about:blank", "title", title, "status", (int)status,
	                    "detail", json_string(detail));
}

static const struct { hn_status rc; unsigned status; } statuses[] = {
	{ HN_ENOENT, MHD_HTTP_NOT_FOUND }, { HN_EBUSY, MHD_HTTP_CONFLICT },
	{ HN_ESTATE, MHD_HTTP_CONFLICT }, { HN_EDATA, MHD_HTTP_CONFLICT },
	{ HN_ERANGE, MHD_HTTP_BAD_REQUEST }, { HN_EFORMAT, MHD_HTTP_BAD_REQUEST },
	{ HN_EINVAL, MHD_HTTP_BAD_REQUEST }, { HN_ENUMERIC, MHD_HTTP_BAD_REQUEST },
	{ HN_EFULL, MHD_HTTP_SERVICE_UNAVAILABLE },
};

void reply_status(struct api_reply *r, hn_status rc, const struct hn_err *err)
{
	unsigned status = MHD_HTTP_INTERNAL_SERVER_ERROR;

	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
		if (statuses[i].rc == rc)
			status = statuses[i].status;
	reply_problem(r, status, "%s", err->text[0] ? err->text : hn_status_text(rc));
}

static void header(struct MHD_Response *m, const char *name, const char *value)
{
	if (value && *value)
		(void)MHD_add_response_header(m, name, value);  /* no memory: it goes without */
}

/* The body as libmicrohttpd's; NULL when out of memory. */
static struct MHD_Response *body(const struct api_request *q, struct api_reply *r)
{
	char *text = r->text;
	size_t len = r->text_len;
	struct MHD_Response *m;

	r->text = NULL;
	if (!text && r->json) {
		if (r->status >= 400)    /* no memory or no UTF-8: it goes without */
			(void)json_object_set_new(r->json, "instance", json_string(q->path));
		text = json_dumps(r->json, JSON_COMPACT | JSON_ENCODE_ANY);
		len = text ? strlen(text) : 0;
		if (!text)
			return NULL;
	}
	if (!text)
		return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	m = MHD_create_response_from_buffer_with_free_callback(len, text, free);
	if (!m)
		free(text);
	return m;
}

static void count(unsigned status)
{
	char labels[32];

	(void)snprintf(labels, sizeof labels, "code=\"%u\"", status);
	metric_add(metric_counter("honed_http_requests_total", labels, "Requests answered, by status."), 1);
}

enum MHD_Result reply_send(struct api_request *q, struct api_reply *r)
{
	struct MHD_Response *m = r->stream ? r->stream : body(q, r);
	const char *type = r->type ? r->type : r->status >= 400 ? "application/problem+json"
	                                                        : "application/json";
	enum MHD_Result rc = MHD_NO;

	if (m) {
		if (r->json || r->type)
			header(m, "Content-Type", type);
		header(m, "Location", r->location);
		header(m, "Allow", r->allow);
		header(m, "Cache-Control", "no-store");
		header(m, "X-Content-Type-Options", "nosniff");
		if (r->status == MHD_HTTP_SERVICE_UNAVAILABLE)
			header(m, "Retry-After", "1");
		rc = MHD_queue_response(q->conn, r->status, m);
		MHD_destroy_response(m);
		count(r->status);
	}
	json_decref(r->json);
	q->done = true;
	return rc;
}
