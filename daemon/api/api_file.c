/* Bodies that are not JSON: a file that comes in, the bytes of a version that go out. */
#include "api_req.h"

#include <stdlib.h>
#include <string.h>

/* The file is the body; ?reason= says why. */
void api_import(struct api_request *q, struct api_reply *r)
{
	const char *reason = MHD_lookup_connection_value(q->conn, MHD_GET_ARGUMENT_KIND, "reason");
	struct api_net_file file = { .bytes = q->body, .len = q->len, .reason = reason };
	struct hn_err err = { .code = HN_OK };
	char actor[HN_NAME_MAX];
	int64_t id = 0;
	hn_status rc;

	if (!file.reason)
		file.reason = "imported by hand";
	if (!q->len) {
		reply_problem(r, MHD_HTTP_BAD_REQUEST, "the body has to be an .onnx or .tflite file");
	} else if (request_reason_fits(file.reason, r)) {
		api_actor(q, actor, sizeof actor);
		file.actor = actor;
		rc = q->api->ops.import(q->api->ops.ctx, q->param, &file, &id, &err);
		reply_job(q, r, rc, id, &err);
	}
}

void api_version(struct api_request *q, struct api_reply *r)
{
	struct hn_err err = { .code = HN_OK };
	const unsigned char *bytes = NULL;
	int64_t id;
	size_t len = 0;
	hn_status rc;

	if (!request_id(q, r, "version", &id))
		return;
	rc = q->api->ops.blob(q->api->ops.ctx, id, &bytes, &len, &err);
	r->text = rc == HN_OK ? malloc(len + 1) : NULL;
	if (!r->text) {
		reply_status(r, rc == HN_OK ? HN_ENOMEM : rc, &err);
		return;
	}
	memcpy(r->text, bytes, len);
	r->text_len = len;
	r->status = MHD_HTTP_OK;
	r->type = "application/octet-stream";
}
