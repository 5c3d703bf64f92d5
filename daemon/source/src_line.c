/* InfluxDB line protocol over TCP, UDP or a unix socket: `type: line`.
 *
 * When the store is full, connections are no longer read, so that the kernel's windows stop the
 * senders; datagrams are dropped and counted. */
#include "src_line.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "hn_csv.h"

enum { BACKLOG = 16 };
static const double retry_min_s = 1, retry_max_s = 60, sweep_min_s = 0.05;

static const char *const precisions[] = {
	[HN_CSV_S] = "s", [HN_CSV_MS] = "ms", [HN_CSV_US] = "us", [HN_CSV_NS] = "ns", NULL
};

_Static_assert(sizeof(struct line_settings) <= CONF_DRIVER_BYTES, "settings fit");
#define ROW_OF struct line_settings
static const struct conf_row rows[] = {
	TEXT("listen", listen, "tcp://127.0.0.1:8094", 0,
	     "tcp://host:port, udp://host:port or unix:/path; measurement = stream, "
	     "fields = channels, tags are ignored"),
	ENUM("precision", precision, "ns", precisions, 0,
	     "unit of the times in the lines; a line without a time is of now"),
	TIME("idle_timeout", idle_s, "5min", 0.1, 31e6, 0,
	     "a connection that is silent for so long is closed"),
	CONF_END
};
#undef ROW_OF

static void on_server_closed(uv_handle_t *h)
{
	struct source *s = h->data;
	struct line_state *st = s->state;

	st->server_open = false;
	source_unref(s);
}

static void on_retry(uv_timer_t *h);

/* Close the server's handle, then try again later. */
static void line_fail(struct source *s, int rc)
{
	struct line_state *st = s->state;
	char why[CONF_TEXT_MAX + 64];
	uint64_t wait_ms;

	(void)snprintf(why, sizeof why, "cannot listen on %s: %s", st->set->listen, uv_strerror(rc));
	wait_ms = source_outage(s, retry_min_s, retry_max_s, why);
	if (st->server_open && !uv_is_closing(&st->server.any))
		uv_close(&st->server.any, on_server_closed);
	(void)uv_timer_start(&st->retry, on_retry, wait_ms, 0);
}

static void on_connection(uv_stream_t *h, int status)
{
	struct source *s = h->data;

	if (status == 0)
		line_accept(s);
	else
		source_refuse(s, REFUSED_CONNECTION, 1, "%s", uv_strerror(status));
}

/* Lines of one datagram; the last one needs no newline: a datagram is whole. */
static void datagram_take(struct source *s, char *text, size_t len)
{
	struct hn_lines lines;
	char *line;
	size_t n;

	hn_lines_init(&lines, text, len + 1);
	hn_lines_add(&lines, len);
	while (!s->all->closing && hn_lines_next(&lines, &line, &n))
		(void)line_take(s, line, n);
	if (!s->all->closing && hn_lines_last(&lines, &line, &n))
		(void)line_take(s, line, n);
}

static void on_alloc_datagram(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct line_state *st = ((struct source *)h->data)->state;

	(void)suggested;
	buf->base = st->datagram;
	buf->len = sizeof st->datagram - 1;
}

static void on_datagram(uv_udp_t *h, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
                        unsigned flags)
{
	struct source *s = h->data;

	if (!from)                      /* nothing more to read, or an error that passes by */
		return;
	source_bytes(s, n > 0 ? (size_t)n : 0);
	if (flags & UV_UDP_PARTIAL)
		source_refuse(s, REFUSED_LONG, 1, "a datagram is longer than %d bytes", LINE_BYTES_MAX);
	else if (n > 0)
		datagram_take(s, buf->base, (size_t)n);
}

/* A socket file that nobody listens on any more is in the way of bind. */
static void stale_remove(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct stat info;
	int fd;

	if (lstat(path, &info) != 0 || !S_ISSOCK(info.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	memcpy(to.sun_path, path, strlen(path) + 1);    /* addr_parse has checked the length */
	if (connect(fd, (const struct sockaddr *)&to, sizeof to) != 0 && errno == ECONNREFUSED)
		(void)unlink(path);             /* if it stays, bind says so */
	(void)close(fd);
}

static int server_init(struct source *s)
{
	struct line_state *st = s->state;
	uv_loop_t *loop = s->all->loop;
	int rc;

	if (st->addr.kind == ADDR_TCP)
		rc = uv_tcp_init(loop, &st->server.tcp);
	else if (st->addr.kind == ADDR_UDP)
		rc = uv_udp_init(loop, &st->server.udp);
	else
		rc = uv_pipe_init(loop, &st->server.pipe, 0);
	if (rc)
		return rc;
	source_own(s, &st->server.any);
	st->server_open = true;
	return 0;
}

static int server_bind(struct line_state *st)
{
	const struct sockaddr *ip = (const struct sockaddr *)&st->addr.ip;
	int rc;

	if (st->addr.kind == ADDR_TCP)
		return uv_tcp_bind(&st->server.tcp, ip, 0);
	if (st->addr.kind == ADDR_UDP)
		return uv_udp_bind(&st->server.udp, ip, 0);
	stale_remove(st->addr.path);
	rc = uv_pipe_bind(&st->server.pipe, st->addr.path);
	/* As the REST socket: those of the group may send.  Nobody listens yet. */
	return rc == 0 && chmod(st->addr.path, 0660) != 0 ? uv_translate_sys_error(errno) : rc;
}

static void line_listen(struct source *s)
{
	struct line_state *st = s->state;
	int rc = server_init(s);

	if (rc == 0)
		rc = server_bind(st);
	if (rc == 0 && st->addr.kind == ADDR_UDP)
		rc = uv_udp_recv_start(&st->server.udp, on_alloc_datagram, on_datagram);
	else if (rc == 0)
		rc = uv_listen(&st->server.stream, BACKLOG, on_connection);
	if (rc) {
		line_fail(s, rc);
		return;
	}
	s->backoff_s = 0;
	source_up(s, st->set->listen);
}

static void on_retry(uv_timer_t *h)
{
	struct source *s = h->data;
	struct line_state *st = s->state;

	if (st->server_open)            /* its close callback has not come yet */
		(void)uv_timer_start(&st->retry, on_retry, 10, 0);
	else
		line_listen(s);
}

static void on_sweep(uv_timer_t *h)
{
	struct source *s = h->data;

	if (source_running(s))
		line_conns_sweep(s);
}

/* The source may go on: first what was held back, then new bytes. */
static void on_drain(uv_timer_t *h)
{
	struct source *s = h->data;

	if (!source_running(s) || !line_retry(s))
		return;
	line_conns_drain(s);
	if (source_running(s))
		line_conns_read(s, true);
}

static void line_pause(struct source *s, bool paused)
{
	struct line_state *st = s->state;

	if (paused)
		line_conns_read(s, false);
	else if (!s->all->closing)
		(void)uv_timer_start(&st->drain, on_drain, 0, 0);
}

static void line_metrics(struct source *s)
{
	struct line_state *st = s->state;
	char labels[HN_NAME_MAX + 16];

	(void)snprintf(labels, sizeof labels, "source=\"%s\"", s->conf->name);
	st->m_unknown = metric_counter("honed_source_unknown_fields_total", labels,
	                               "Fields that name no channel of their stream.");
}

static hn_status line_open(struct source *s, struct hn_err *err)
{
	struct line_state *st = s->state;
	uint64_t sweep_ms;
	struct hn_err why = { .code = HN_OK };

	st->set = source_settings(s);
	if (addr_parse(&st->addr, st->set->listen, &why) || st->addr.kind == ADDR_PATH)
		return hn_fail(err, HN_EFORMAT, "source %s: listen: %s", s->conf->name,
		               why.code ? why.text : "a socket needs tcp:, udp: or unix: in front");
	if (source_stream(s, "") == -1)
		return hn_fail(err, HN_ENOENT, "source %s: no stream has `source: %s`", s->conf->name,
		               s->conf->name);
	s->can_wait = st->addr.kind != ADDR_UDP;
	line_metrics(s);
	(void)uv_timer_init(s->all->loop, &st->retry);  /* cannot fail */
	(void)uv_timer_init(s->all->loop, &st->sweep);
	(void)uv_timer_init(s->all->loop, &st->drain);
	source_own(s, (uv_handle_t *)&st->retry);
	source_own(s, (uv_handle_t *)&st->sweep);
	source_own(s, (uv_handle_t *)&st->drain);
	sweep_ms = (uint64_t)(fmax(st->set->idle_s / 4, sweep_min_s) * 1000);
	(void)uv_timer_start(&st->sweep, on_sweep, sweep_ms, sweep_ms);
	line_listen(s);
	return HN_OK;
}

static void line_close(struct source *s)
{
	struct line_state *st = s->state;

	line_conns_close(s);
	if (st->server_open && !uv_is_closing(&st->server.any))
		uv_close(&st->server.any, on_server_closed);
	source_disown(s, (uv_handle_t *)&st->retry);
	source_disown(s, (uv_handle_t *)&st->sweep);
	source_disown(s, (uv_handle_t *)&st->drain);
}

static void line_json(const struct source *s, json_t *out)
{
	const struct line_state *st = s->state;

	(void)json_object_set_new(out, "connections", json_integer(st->n_conns));
	(void)json_object_set_new(out, "unknown_fields",
	                          json_integer((json_int_t)st->unknown_fields));
}

const struct source_driver src_line = {
	.conf = { "line", "InfluxDB line protocol over TCP, UDP or a unix socket", rows },
	.state_bytes = sizeof(struct line_state),
	.open = line_open, .close = line_close, .pause = line_pause, .json = line_json,
};
