/* Connections of the line source: TCP and unix sockets. */
#include "src_line.h"

#include <stdlib.h>
#include <string.h>

static void on_conn_closed(uv_handle_t *h)
{
	struct line_conn *c = h->data;
	struct source *s = c->s;

	free(c);
	source_unref(s);
}

static void conn_close(struct line_conn *c)
{
	struct line_state *st = c->s->state;

	if (c->prev)
		c->prev->next = c->next;
	else
		st->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	st->n_conns--;
	uv_close(&c->h.any, on_conn_closed);
}

/* Give the lines in the buffer; false when the source had to stop in between. */
static bool conn_drain(struct line_conn *c)
{
	struct source *s = c->s;
	char *text;
	size_t len;

	while (source_running(s) && hn_lines_next(&c->lines, &text, &len))
		if (!line_take(s, text, len))
			return false;
	return source_running(s);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct line_conn *c = h->data;
	size_t room;

	(void)suggested;
	buf->base = hn_lines_room(&c->lines, &room);
	buf->len = room < LINE_READ_BYTES ? room : LINE_READ_BYTES;
	source_refuse(c->s, REFUSED_LONG, c->lines.too_long - c->long_told,
	              "a line is longer than %d bytes", LINE_BYTES_MAX);
	c->long_told = c->lines.too_long;
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *buf)
{
	struct line_conn *c = h->data;
	char *text;
	size_t len;

	(void)buf;
	if (n == 0)
		return;
	if (n < 0) {
		/* A line without its newline may have lost digits: never a value. */
		if (hn_lines_last(&c->lines, &text, &len))
			source_refuse(c->s, REFUSED_HALF, 1, "connection ended inside a line (%s)",
			              uv_strerror((int)n));
		conn_close(c);
		return;
	}
	c->active_ms = uv_now(c->s->all->loop);
	source_bytes(c->s, (size_t)n);
	hn_lines_add(&c->lines, (size_t)n);
	(void)conn_drain(c);            /* a stop has stopped the reading too */
}

static int conn_init(struct line_conn *c)
{
	struct line_state *st = c->s->state;
	uv_loop_t *loop = c->s->all->loop;
	int rc = st->addr.kind == ADDR_TCP ? uv_tcp_init(loop, &c->h.tcp)
	                                   : uv_pipe_init(loop, &c->h.pipe, 0);

	if (rc)
		return rc;
	c->h.any.data = c;
	source_ref(c->s);
	return 0;
}

static void conn_join(struct line_conn *c)
{
	struct line_state *st = c->s->state;

	c->next = st->conns;
	if (c->next)
		c->next->prev = c;
	st->conns = c;
	st->n_conns++;
	c->active_ms = uv_now(c->s->all->loop);
	hn_lines_init(&c->lines, c->buf, sizeof c->buf);
	if (source_running(c->s) && uv_read_start(&c->h.stream, on_alloc, on_read) != 0)
		conn_close(c);
}

void line_accept(struct source *s)
{
	struct line_state *st = s->state;
	struct line_conn *c = malloc(sizeof *c);
	int rc;

	if (!c)
		return;                 /* the client waits in the kernel's queue */
	memset(c, 0, offsetof(struct line_conn, buf));  /* pages of the buffer stay untouched */
	c->s = s;
	if (conn_init(c)) {
		free(c);
		return;
	}
	rc = uv_accept(&st->server.stream, &c->h.stream);
	if (rc == 0 && st->n_conns < LINE_CONNECTIONS_MAX) {
		conn_join(c);
		return;
	}
	source_refuse(s, REFUSED_CONNECTION, 1, "%s",
	              rc ? uv_strerror(rc) : "too many connections at once");
	uv_close(&c->h.any, on_conn_closed);
}

void line_conns_read(struct source *s, bool reading)
{
	const struct line_state *st = s->state;

	for (struct line_conn *c = st->conns, *next; c; c = next) {
		next = c->next;
		c->active_ms = uv_now(s->all->loop);
		if (!reading)
			(void)uv_read_stop(&c->h.stream);        /* always 0 */
		else if (!uv_is_active(&c->h.any)
		         && uv_read_start(&c->h.stream, on_alloc, on_read) != 0)
			conn_close(c);
	}
}

void line_conns_drain(struct source *s)
{
	const struct line_state *st = s->state;

	for (struct line_conn *c = st->conns; c; c = c->next)
		if (!conn_drain(c))
			return;
}

void line_conns_sweep(struct source *s)
{
	const struct line_state *st = s->state;
	uint64_t now = uv_now(s->all->loop), idle_ms = (uint64_t)(st->set->idle_s * 1000);

	for (struct line_conn *c = st->conns, *next; c; c = next) {
		next = c->next;
		if (now - c->active_ms >= idle_ms)
			conn_close(c);
	}
}

void line_conns_close(struct source *s)
{
	const struct line_state *st = s->state;

	while (st->conns)
		conn_close(st->conns);
}
