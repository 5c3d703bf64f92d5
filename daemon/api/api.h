/* api.h - REST over a unix socket (always) and TCP on loopback (by configuration).
 *
 * One route table; libmicrohttpd is driven from our loop (epoll fd).  What an answer contains comes from
 * `struct api_ops`, which main.c fills from the modules.  docs/openapi.yaml describes every route. */
#ifndef API_H
#define API_H

#include <jansson.h>
#include <uv.h>
#include "conf.h"
#include "journal.h"

struct api;

struct api_label { const char *stream, *who; int64_t t0_us, t1_us; const char *text; /* class name or number */ };

/* A file that a net is taken from; borrowed. */
struct api_net_file { const void *bytes; size_t len; const char *actor, *reason; };

/* Answers are new references; NULL = nothing by that name (404).  hn_status of a verb becomes the HTTP
 * status: HN_ENOENT 404, HN_EBUSY/HN_ESTATE 409, HN_ERANGE/HN_EFORMAT/HN_EINVAL 400, HN_EFULL 503. */
struct api_ops {
	void *ctx;
	bool (*ready)(void *ctx, const char **why);
	json_t *(*status)(void *ctx);
	json_t *(*models)(void *ctx);
	json_t *(*model)(void *ctx, const char *name);           /* with versions and monitor    */
	json_t *(*jobs)(void *ctx);
	json_t *(*job)(void *ctx, int64_t id);
	json_t *(*devices)(void *ctx);
	json_t *(*history)(void *ctx, const char *device);
	json_t *(*rollouts)(void *ctx);
	json_t *(*streams)(void *ctx);
	json_t *(*sources)(void *ctx);
	json_t *(*requests)(void *ctx);                          /* labels that honed asks for   */
	hn_status (*retrain)(void *ctx, const char *model, const char *actor, const char *reason,
	                     bool dry_run, int64_t *job, struct hn_err *err);
	hn_status (*cancel)(void *ctx, int64_t job, struct hn_err *err);
	hn_status (*rollback)(void *ctx, const char *model, const char *actor, const char *reason,
	                      int64_t *version, struct hn_err *err);
	/* verb: "pause", "resume" or "retry". */
	hn_status (*rollout)(void *ctx, const char *model, const char *verb, const char *actor,
	                     struct hn_err *err);
	/* Ask a device for its next `windows` raw. */
	hn_status (*pull)(void *ctx, const char *device, int windows, const char *actor,
	                  struct hn_err *err);
	hn_status (*import)(void *ctx, const char *model, const struct api_net_file *file, int64_t *job,
	                    struct hn_err *err);
	/* Bytes of a version by its id (hn_model.h), borrowed until the next call. */
	hn_status (*blob)(void *ctx, int64_t version, const unsigned char **bytes, size_t *len,
	                  struct hn_err *err);
	hn_status (*label)(void *ctx, const struct api_label *l, struct hn_err *err);
};

/* Open the listeners.  A port or socket in use is an error that names it and its next step; a stale
 * socket file is replaced.  A socket passed by the service manager (LISTEN_FDS) is used instead of
 * status.socket. */
hn_status api_open(struct api **out, uv_loop_t *loop, const struct conf *conf, const char *db_path,
                   struct journal *journal, const struct api_ops *ops, struct hn_err *err);

/* Stop: answer what is in progress, close; call before the loop's last turn. */
void api_close(struct api *a);

/* "http://127.0.0.1:8414" or "unix:/run/honed/honed.sock": for the start-up line. */
const char *api_url(const struct api *a);
#endif
