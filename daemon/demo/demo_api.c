/* HTTP/1.1 over honed's unix socket, one connection a request: what is asked is small and local. */
#include "demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 4 << 20 };

struct call {
	struct demo *demo;
	uv_pipe_t pipe;
	uv_connect_t connect;
	uv_write_t write;
	char *out, *in;
	size_t out_len, in_len, in_cap;
	api_done done;
};

static void on_closed(uv_handle_t *h)
{
	struct call *c = h->data;

	free(c->out);
	free(c->in);
	free(c);
}

static void finish(struct call *c, int status)
{
	const api_done done = c->done;
	struct demo *d = c->demo;
	const char *body = NULL;
	json_t *o = NULL;

	if (!done)
		return;                  /* told before: read and write may both fail */
	c->done = NULL;
	if (status == 0) {
		c->in[c->in_len] = '\0';
		body = strstr(c->in, "\r\n\r\n");
		if (!body || sscanf(c->in, "HTTP/1.1 %d", &status) != 1)
			status = UV_EPROTO;
	}
	if (body)
		o = json_loads(body + 4, 0, NULL);
	if (!d->stopping)
		done(d, status, o);
	json_decref(o);
	uv_close((uv_handle_t *)&c->pipe, on_closed);
}

static void give_room(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct call *c = h->data;
	const size_t want = c->in_len + suggested + 1;
	char *p = want > c->in_cap && want < ANSWER_MAX ? realloc(c->in, want) : NULL;

	if (p) {
		c->in = p;
		c->in_cap = want;
	}
	*buf = uv_buf_init(c->in + c->in_len, c->in_cap > c->in_len ? (unsigned)(c->in_cap - c->in_len - 1) : 0);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct call *c = s->data;

	(void)buf;
	if (n > 0)
		c->in_len += (size_t)n;
	else if (n < 0)
		finish(c, n == UV_EOF && c->in_len > 0 ? 0 : (int)n);
}

static void on_written(uv_write_t *w, int status)
{
	if (status != 0)
		finish(w->data, status);
}

static void on_connect(uv_connect_t *k, int status)
{
	struct call *c = k->data;
	uv_buf_t buf = uv_buf_init(c->out, (unsigned)c->out_len);

	if (status == 0)
		status = uv_read_start(k->handle, give_room, on_read);
	if (status == 0)
		status = uv_write(&c->write, k->handle, &buf, 1, on_written);
	if (status != 0)
		finish(c, status);
}

/* Request text on the heap. */
static size_t request(char **out, const char *method, const char *path, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	size_t len = 0;
	FILE *f = open_memstream(out, &len);

	if (f) {
		(void)fprintf(f, "%s %s HTTP/1.1\r\nHost: honed\r\nConnection: close\r\n", method, path);
		if (text)
			(void)fprintf(f, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(text));
		(void)fprintf(f, "\r\n%s", text ? text : "");
		if (fclose(f) != 0)
			len = 0;
	}
	free(text);
	return len;
}

static void call(struct demo *d, const char *method, const char *path, json_t *body, api_done done)
{
	struct call *c = calloc(1, sizeof *c);
	char socket[PATH_CAP + 64];

	if (!c || uv_pipe_init(d->loop, &c->pipe, 0) != 0) {
		free(c);
		json_decref(body);
		fail(d, "out of memory");
		return;
	}
	c->demo = d;
	c->done = done;
	c->pipe.data = c->connect.data = c->write.data = c;
	c->out_len = request(&c->out, method, path, body);
	json_decref(body);
	(void)snprintf(socket, sizeof socket, "%s/honed.sock", d->opt.dir);
	uv_pipe_connect(&c->connect, &c->pipe, socket, on_connect);
}

void api_get(struct demo *d, const char *path, api_done done)
{
	call(d, "GET", path, NULL, done);
}

void api_post(struct demo *d, const char *path, json_t *body, api_done done)
{
	call(d, "POST", path, body, done);
}
