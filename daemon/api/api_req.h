/* api_req.h - inside the API: a listener, a connection, a request, an answer.
 *
 *   api_listen.c  sockets          api.c        libmicrohttpd in our loop, connections, requests
 *   api_route.c   the route table  api_reply.c  answers      api_events.c  long poll and event stream
 *   api_file.c    bodies that are not JSON */
#ifndef API_REQ_H
#define API_REQ_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include "api.h"

enum {
	API_PORTS_MAX = 2,       /* unix socket and TCP                                        */
	API_CONNS = 64,          /* connections of one listener; when there are more, the one  */
	                         /* that has waited longest without a whole request is closed  */
	API_CONNS_HARD = 96,     /* with those that are about to be closed                     */
	API_IDLE_S = 30,         /* a connection without traffic is closed                     */
	API_WAITERS = 32,        /* long polls and event streams; more get 503                 */
	API_BODY_MAX = 65536,    /* bytes of a request's body; more get 413                    */
	API_FILE_MAX = 4 << 20,  /* bytes of a body that is a file                             */
	API_DRAIN_MAX = 1 << 20, /* so many bytes above the limit are read before the 413      */
	API_URI_MAX = 1024,      /* bytes of path and query as they came; more get 414         */
	API_HEADER_MEMORY = 16384,       /* request line and headers of one connection         */
	API_PARAM_MAX = 96,      /* bytes of the name or id in a path, with the final 0        */
	API_REASON_MAX = 160     /* bytes of a reason given by a person                        */
};

struct api_conn {
	bool open, busy;         /* busy: its request is whole, the answer is not out yet      */
	bool evicted;
	int fd;
	uint64_t since;          /* order in which connections became idle                     */
};

struct api_port {
	struct api *api;
	struct MHD_Daemon *mhd;
	uv_poll_t poll;          /* libmicrohttpd's epoll descriptor                           */
	uv_timer_t timer;        /* when libmicrohttpd wants to run next                       */
	bool tcp;
	int n_open;
	struct api_conn conn[API_CONNS_HARD];
};

struct api_request;

/* A read of the journal table on a thread of libuv's pool.  The request may be gone when it ends. */
struct api_read {
	uv_work_t work;
	struct api_request *request;     /* NULL: nobody waits any more                        */
	char db_path[CONF_TEXT_MAX];
	int64_t after;
	int limit;
	json_t *rows;
};

struct api_reply {
	unsigned status;
	json_t *json;            /* owned                                                      */
	char *text;              /* instead of json; owned, of type `type`                     */
	size_t text_len;
	const char *type;        /* NULL: application/json, or problem+json from 400           */
	char location[160];
	char allow[64];
	struct MHD_Response *stream;     /* instead of both: answer without an end             */
	bool wait;               /* nothing to say yet: the connection is suspended            */
};

struct api_route {
	const char *method, *path;       /* "{}" stands for one name or number                 */
	void (*run)(struct api_request *q, struct api_reply *r);
	const char *help;
};

struct api_request {
	struct api *api;
	struct api_port *port;
	struct MHD_Connection *conn;
	const struct api_route *route;   /* NULL: `early` is the answer                        */
	bool seen, head, too_large, done;
	unsigned early;                  /* status of an error that was seen before the body   */
	char why[200];                   /* its sentence                                       */
	char param[API_PARAM_MAX];
	char path[API_URI_MAX + 1];
	char *body;                      /* (len,) of API_BODY_MAX or API_FILE_MAX, owned      */
	size_t len, drained;

	/* events */
	bool started, read_done;         /* parsed; the database was asked                     */
	int64_t after, deadline_us;      /* monotonic                                          */
	int limit;
	struct api_read *read;
	json_t *rows;                    /* what the database said                             */
	char *out;                       /* event stream: bytes that wait, owned               */
	size_t out_len, out_at;
	struct api_request *next_wait;   /* in api->waiting                                    */
	bool waiting, held;
};

struct api {
	uv_loop_t *loop;
	const struct conf *conf;
	struct journal *journal;
	struct api_ops ops;
	char db_path[CONF_TEXT_MAX];
	char url[CONF_TEXT_MAX + 16];
	char unlink_path[CONF_TEXT_MAX]; /* socket file that is ours, or ""                    */
	struct api_port port[API_PORTS_MAX];
	int n_ports, n_handles, tcp_port;
	uv_timer_t wake;                 /* earliest deadline of those that wait               */
	struct api_request *waiting;
	int n_held;              /* requests with `held`                                       */
	uint64_t clock;                  /* counts connections becoming idle                   */
	bool closing;
	struct metric *m_open, *m_evicted, *m_refused;
};

/* --- api_listen.c ------------------------------------------------------------------------------- */

struct api_sockets {
	int fd[API_PORTS_MAX], n;
	bool tcp[API_PORTS_MAX];
	int port;                        /* of the TCP one, 0 = none                           */
	bool passed_unix;
	char passed_path[128];           /* of the passed unix one                             */
};

/* Open or take over the listening sockets; on failure none is left open. */
hn_status api_listen(struct api_sockets *s, const struct conf *conf, struct hn_err *err);

/* Who is on the other side: "uid 1000 (pi)" or "tcp". */
void api_actor(const struct api_request *q, char *out, size_t cap);

/* --- api_reply.c -------------------------------------------------------------------------------- */

/* Answer 200 with `json`; NULL becomes an error 500. */
void reply_json(struct api_reply *r, json_t *json);

/* RFC 9457 problem with one sentence. */
void reply_problem(struct api_reply *r, unsigned status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The problem that a verb's status stands for; HN_OK is not one. */
void reply_status(struct api_reply *r, hn_status rc, const struct hn_err *err);

/* Hand the answer to libmicrohttpd; takes over what `r` owns. */
enum MHD_Result reply_send(struct api_request *q, struct api_reply *r);

/* --- api_route.c -------------------------------------------------------------------------------- */

/* Find the route of a request (q->path); fills route and param, or early and why. */
void route_find(struct api_request *q, const char *method);

/* The body of this request is a file, application/octet-stream, not JSON. */
bool route_takes_file(const struct api_request *q);

/* Methods of `path`, for Allow; "" when there are none. */
void route_allow(const char *path, char *out, size_t cap);

/* The number in the path; false: r says that there is no such `what`. */
bool request_id(const struct api_request *q, struct api_reply *r, const char *what, int64_t *id);
bool request_reason_fits(const char *reason, struct api_reply *r);

/* A job was started, or why not. */
void reply_job(struct api_request *q, struct api_reply *r, hn_status rc, int64_t id,
               const struct hn_err *err);

/* --- api_file.c --------------------------------------------------------------------------------- */

void api_import(struct api_request *q, struct api_reply *r);
void api_version(struct api_request *q, struct api_reply *r);

/* --- api_events.c ------------------------------------------------------------------------------- */

void api_events(struct api_request *q, struct api_reply *r);

/* An entry was added: everyone who waits looks again. */
void api_events_wake(void *ctx, int64_t id);
void api_events_on_timer(uv_timer_t *t);

/* The request is over: forget it. */
void api_events_done(struct api_request *q);

/* Nobody waits any more. */
void api_events_close(struct api *a);

/* --- api.c -------------------------------------------------------------------------------------- */

/* Let libmicrohttpd run soon. */
void api_kick(struct api_port *p);

/* The answer to a request comes before its body is read. */
void request_refuse(struct api_request *q, unsigned status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#endif
