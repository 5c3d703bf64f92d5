/* libmicrohttpd in our loop: its epoll descriptor is polled, its timeout is a timer, and it never has a
 * thread.  Which connection gives way when there are too many is decided here. */
#include "api_req.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "metrics.h"

/* --- connections ----------------------------------------------------------------------------------- */

static struct api_conn *conn_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return i ? i->socket_context : NULL;
}

/* libmicrohttpd owns the descriptor: a shut-down one reads as an end, and it closes it. */
static void evict(struct api_conn *c)
{
	c->evicted = true;
	(void)shutdown(c->fd, SHUT_RDWR);        /* it may have gone by itself */
}

/* The one that has waited longest without a whole request, or NULL. */
static struct api_conn *idlest(struct api_port *p)
{
	struct api_conn *found = NULL;

	for (int i = 0; i < API_CONNS_HARD; i++) {
		struct api_conn *c = &p->conn[i];

		if (c->open && !c->busy && !c->evicted && (!found || c->since < found->since))
			found = c;
	}
	return found;
}

static void refuse(struct api_conn *c)
{
	static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
		"Content-Length: 0\r\nConnection: close\r\n\r\n";

	(void)send(c->fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);  /* if it fits */
	evict(c);
}

static int n_counted(const struct api_port *p)
{
	int n = 0;

	for (int i = 0; i < API_CONNS_HARD; i++)
		n += p->conn[i].open && !p->conn[i].evicted;
	return n;
}

static struct api_conn *conn_slot(struct api_port *p)
{
	for (int i = 0; i < API_CONNS_HARD; i++)
		if (!p->conn[i].open)
			return &p->conn[i];
	return NULL;
}

static void conn_opened(struct api_port *p, struct MHD_Connection *mc, void **context)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct api_conn *old, *c = conn_slot(p);

	if (!c || !i)
		return;                  /* cannot be: libmicrohttpd has the same limit */
	*c = (struct api_conn){ .open = true, .fd = i->connect_fd, .since = ++p->api->clock };
	*context = c;
	p->n_open++;
	metric_add(p->api->m_open, 1);
	if (n_counted(p) <= API_CONNS)
		return;
	old = idlest(p);
	if (old && old != c) {
		evict(old);
		metric_add(p->api->m_evicted, 1);
	} else {
		refuse(c);
		metric_add(p->api->m_refused, 1);
	}
}

static void on_connection(void *cls, struct MHD_Connection *mc, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
	struct api_port *p = cls;
	struct api_conn *c = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		conn_opened(p, mc, context);
	} else if (c) {
		c->open = false;
		p->n_open--;
		metric_add(p->api->m_open, -1);
	}
}

/* --- requests -------------------------------------------------------------------------------------- */

void request_refuse(struct api_request *q, unsigned status, const char *fmt, ...)
{
	va_list ap;

	if (q->early)
		return;                  /* the first one wins */
	q->early = status;
	va_start(ap, fmt);
	(void)vsnprintf(q->why, sizeof q->why, fmt, ap);        /* cut at the end, by intent */
	va_end(ap);
}

/* The request line is here: `uri` as it came, still encoded. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *mc)
{
	struct api_port *p = cls;
	struct api_request *q = calloc(1, sizeof *q);

	if (!q)
		return NULL;
	q->api = p->api;
	q->port = p;
	q->conn = mc;
	if (strlen(uri) > API_URI_MAX)
		request_refuse(q, MHD_HTTP_URI_TOO_LONG, "path and query may have %d bytes", API_URI_MAX);
	else if (strstr(uri, "%00"))
		request_refuse(q, MHD_HTTP_BAD_REQUEST, "a 0 byte in the path");
	return q;
}

static void on_completed(void *cls, struct MHD_Connection *mc, void **request,
                         enum MHD_RequestTerminationCode code)
{
	struct api_port *p = cls;
	struct api_request *q = *request;
	struct api_conn *c = conn_of(mc);

	(void)code;
	if (c) {
		c->busy = false;
		c->since = ++p->api->clock;
	}
	*request = NULL;
	if (!q)
		return;
	api_events_done(q);
	free(q->body);
	free(q);
}

static const char *header_of(const struct api_request *q, const char *name)
{
	return MHD_lookup_connection_value(q->conn, MHD_HEADER_KIND, name);
}

/* A page of another site that lets its name point to this machine still sends its name. */
static bool host_is_ours(const char *host)
{
	static const char *const ours[] = { "localhost", "127.0.0.1", "[::1]" };

	for (size_t i = 0; host && i < sizeof ours / sizeof ours[0]; i++) {
		const size_t n = strlen(ours[i]);

		if (strncasecmp(host, ours[i], n) == 0 && (host[n] == '\0' || host[n] == ':'))
			return true;
	}
	return false;
}

static bool origin_is_ours(const char *origin, const char *host)
{
	return !origin || (strncmp(origin, "http://", 7) == 0 && host && strcasecmp(origin + 7, host) == 0);
}

static void check_headers(struct api_request *q, const char *method)
{
	const char *host = header_of(q, "Host");
	const bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;

	if (q->port->tcp && !host_is_ours(host))
		request_refuse(q, MHD_HTTP_FORBIDDEN, "Host is '%.80s'; use http://127.0.0.1:%d", host ? host : "",
		               q->api->tcp_port);
	if (!reads && !origin_is_ours(header_of(q, "Origin"), host))
		request_refuse(q, MHD_HTTP_FORBIDDEN, "a page of another site may not do this");
}

static size_t body_max(const struct api_request *q)
{
	return route_takes_file(q) ? API_FILE_MAX : API_BODY_MAX;
}

static void check_type(struct api_request *q, const char *method)
{
	const char *type = header_of(q, "Content-Type");
	const char *want = route_takes_file(q) ? "application/octet-stream" : "application/json";

	if (strcmp(method, "POST") == 0 && type && strncasecmp(type, want, strlen(want)) != 0)
		request_refuse(q, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "the body has to be %s", want);
}

/* Headers are here; the body is not.  False: the body is too long even to be skipped. */
static bool request_begin(struct api_request *q, const char *url, const char *method)
{
	const char *length = header_of(q, "Content-Length");

	q->seen = true;
	q->head = strcmp(method, "HEAD") == 0;
	(void)snprintf(q->path, sizeof q->path, "%s", url);      /* too long: refused already */
	check_headers(q, method);
	if (!q->early)
		route_find(q, method);
	if (!q->early)
		check_type(q, method);
	return !length || strtoull(length, NULL, 10) <= body_max(q) + API_DRAIN_MAX;
}

/* Keep up to body_max bytes; read the rest so that the sender gets to the answer. */
static enum MHD_Result request_body(struct api_request *q, const char *data, size_t *len)
{
	q->drained += *len;
	if (q->drained > body_max(q) + API_DRAIN_MAX)
		return MHD_NO;
	if (q->drained > body_max(q))
		q->too_large = true;
	if (!q->early && !q->too_large && !q->body)
		q->body = malloc(body_max(q));
	if (q->body && !q->too_large) {
		memcpy(q->body + q->len, data, *len);
		q->len += *len;
	}
	*len = 0;
	return MHD_YES;
}

static enum MHD_Result answer(struct api_request *q)
{
	struct api_reply r = { .status = 0 };

	if (q->too_large)
		reply_problem(&r, MHD_HTTP_CONTENT_TOO_LARGE, "a body may have %zu bytes",
		              body_max(q));
	else if (q->early && q->early != MHD_HTTP_NO_CONTENT)
		reply_problem(&r, q->early, "%s", q->why);
	else if (q->early)
		r.status = q->early;
	else
		q->route->run(q, &r);
	if (q->early == MHD_HTTP_METHOD_NOT_ALLOWED || q->early == MHD_HTTP_NO_CONTENT)
		route_allow(q->path, r.allow, sizeof r.allow);
	return r.wait ? MHD_YES : reply_send(q, &r);
}

/* Called for the headers, for each piece of the body, at its end, and again after each wait. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *mc, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **request)
{
	struct api_request *q = *request;
	struct api_conn *c = conn_of(mc);

	(void)cls;
	(void)version;
	if (!q || q->done)
		return q ? MHD_YES : MHD_NO;     /* no memory for it: the connection ends */
	if (!q->seen) {
		if (request_begin(q, url, method))
			return MHD_YES;
		q->too_large = true;
		return answer(q);
	}
	if (*len)
		return request_body(q, data, len);
	if (c)
		c->busy = true;
	return answer(q);
}

/* --- libmicrohttpd and the loop -------------------------------------------------------------------- */

static void on_timer(uv_timer_t *t);

static void turn(struct api_port *p)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (!p->mhd)
		return;
	(void)MHD_run(p->mhd);           /* MHD_NO: not in this mode; the timer goes on */
	if (MHD_get_timeout(p->mhd, &ms) == MHD_YES)
		(void)uv_timer_start(&p->timer, on_timer, ms, 0);
	else
		(void)uv_timer_stop(&p->timer);
}

static void on_timer(uv_timer_t *t)
{
	turn(t->data);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	(void)events;
	if (status < 0)
		log_warn("event=http_poll reason=\"%s\"", uv_strerror(status));
	turn(h->data);
}

void api_kick(struct api_port *p)
{
	if (p->mhd)
		(void)uv_timer_start(&p->timer, on_timer, 0, 0);
}

static void on_mhd_log(void *cls, const char *fmt, va_list ap)
{
	static struct log_limit limit;
	unsigned skipped;
	char text[200];

	(void)cls;
	if (!log_allow(&limit, 10, 60, &skipped))
		return;
	(void)vsnprintf(text, sizeof text, fmt, ap);    /* cut at the end, by intent */
	text[strcspn(text, "\r\n")] = '\0';
	log_debug("event=http reason=\"%s\" skipped=%u", text, skipped);
}

static hn_status port_open(struct api *a, int fd, bool tcp, struct hn_err *err)
{
	struct api_port *p = &a->port[a->n_ports++];
	const union MHD_DaemonInfo *info;

	p->api = a;
	p->tcp = tcp;
	p->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
		NULL, NULL, on_request, p, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)API_CONNS_HARD,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)API_IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)API_HEADER_MEMORY,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, p, MHD_OPTION_NOTIFY_COMPLETED, on_completed, p,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, p, MHD_OPTION_END);
	info = p->mhd ? MHD_get_daemon_info(p->mhd, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		if (!p->mhd)
			(void)close(fd); /* else libmicrohttpd owns it */
		return hn_fail(err, HN_EIO, "the HTTP server does not start on the %s socket",
		               tcp ? "TCP" : "unix");
	}
	if (uv_timer_init(a->loop, &p->timer) != 0)
		return hn_fail(err, HN_EIO, "the HTTP server gets no timer");
	a->n_handles++;
	p->timer.data = p;
	if (uv_poll_init(a->loop, &p->poll, info->epoll_fd) != 0)
		return hn_fail(err, HN_EIO, "the HTTP server cannot be polled");
	a->n_handles++;
	p->poll.data = p;
	(void)uv_poll_start(&p->poll, UV_READABLE, on_poll);     /* fails for a closing handle only */
	api_kick(p);
	return HN_OK;
}

/* --- life ------------------------------------------------------------------------------------------ */

static void set_url(struct api *a, const struct api_sockets *s)
{
	a->tcp_port = s->port;
	if (s->port)
		(void)snprintf(a->url, sizeof a->url, "http://127.0.0.1:%d", s->port);
	else
		(void)snprintf(a->url, sizeof a->url, "unix:%s",
		               s->passed_unix ? s->passed_path : a->conf->status.socket);
	if (!s->passed_unix)
		(void)snprintf(a->unlink_path, sizeof a->unlink_path, "%s", a->conf->status.socket);
}

static void set_metrics(struct api *a)
{
	metric_set(metric_gauge("honed_build_info", "version=\"" HONED_VERSION "\"",
	                        "Version of the daemon; always 1."), 1);
	a->m_open = metric_gauge("honed_http_connections", "", "Open connections of the REST interface.");
	a->m_evicted = metric_counter("honed_http_evicted_total", "",
	                              "Idle connections closed to make room for new ones.");
	a->m_refused = metric_counter("honed_http_refused_total", "",
	                              "Connections refused because all others were being answered.");
}

hn_status api_open(struct api **out, uv_loop_t *loop, const struct conf *conf, const char *db_path,
                   struct journal *journal, const struct api_ops *ops, struct hn_err *err)
{
	struct api *a = calloc(1, sizeof *a);
	struct api_sockets s = { .n = 0 };
	hn_status rc;

	if (!a)
		return hn_fail(err, HN_ENOMEM, "out of memory");
	a->loop = loop;
	a->conf = conf;
	a->journal = journal;
	a->ops = *ops;
	(void)snprintf(a->db_path, sizeof a->db_path, "%s", db_path);
	rc = api_listen(&s, conf, err);
	if (rc) {
		free(a);
		return rc;
	}
	set_url(a, &s);
	set_metrics(a);
	if (uv_timer_init(loop, &a->wake) == 0) {
		a->n_handles++;
		a->wake.data = a;
	}
	for (int i = 0; i < s.n; i++) {
		if (rc == HN_OK)
			rc = port_open(a, s.fd[i], s.tcp[i], err);
		else
			(void)close(s.fd[i]);    /* never served */
	}
	if (rc) {
		api_close(a);
		return rc;
	}
	journal_on_add(journal, api_events_wake, a);
	*out = a;
	return HN_OK;
}

static void on_closed(uv_handle_t *h)
{
	struct api *a = h->data;

	if (--a->n_handles == 0)
		free(a);
}

static void handle_close(struct api *a, uv_handle_t *h)
{
	if (h->type == UV_UNKNOWN_HANDLE)
		return;
	h->data = a;
	uv_close(h, on_closed);
}

static void port_close(struct api_port *p)
{
	struct MHD_Daemon *mhd = p->mhd;

	for (int i = 0; mhd && i < 4; i++)
		(void)MHD_run(mhd);      /* answers of those that were waiting go out */
	if (p->poll.type == UV_POLL)
		(void)uv_poll_stop(&p->poll);
	p->mhd = NULL;
	if (mhd)
		MHD_stop_daemon(mhd);    /* closes its connections and the listener */
	handle_close(p->api, (uv_handle_t *)&p->poll);
	handle_close(p->api, (uv_handle_t *)&p->timer);
}

void api_close(struct api *a)
{
	if (!a)
		return;
	a->closing = true;
	journal_on_add(a->journal, NULL, NULL);
	api_events_close(a);
	for (int i = 0; i < a->n_ports; i++)
		port_close(&a->port[i]);
	if (a->unlink_path[0])
		(void)unlink(a->unlink_path);    /* gone already is fine */
	handle_close(a, (uv_handle_t *)&a->wake);
}

const char *api_url(const struct api *a)
{
	return a->url;
}
