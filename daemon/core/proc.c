/* One child: a process handle, a pipe each way and a timer.  The end is reached when the process is
 * gone and its pipe is drained; then all handles close, and the last close reports and frees. */
#include "proc.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	HEADER = 5,              /* u32 length, u8 type                                        */
	CHUNK = 64 << 10,        /* one read                                                   */
	ENV_MAX = 256,           /* variables handed to the child                              */
	STOP_GRACE_MS = 5000,    /* from SIGTERM to SIGKILL when the time is over              */
	DRAIN_MS = 2000          /* a grandchild may hold the pipe open after the exit         */
};

struct proc {
	struct proc_cfg cfg;
	uv_process_t process;
	uv_pipe_t    to, from;   /* its stdin, its stdout                                      */
	uv_timer_t   timer;
	uv_write_t   write;
	unsigned char *input;    /* copy of cfg.input until it is written                      */
	int  n_open;             /* handles not yet closed                                     */
	bool started, exited, drained, closing;
	int64_t exit_status;
	int  term_signal;
	char why[96];            /* what we found wrong, "" = nothing                          */
	unsigned char head[HEADER];
	size_t n_head;
	unsigned char *body;     /* (body_len,) of the message being read, or NULL             */
	uint32_t body_len, body_at;
	char chunk[CHUNK];
};

__attribute__((format(printf, 2, 3)))
static void blame(struct proc *p, const char *fmt, ...)
{
	va_list ap;

	if (p->why[0])
		return;                  /* the first reason is the cause of the others */
	va_start(ap, fmt);
	(void)vsnprintf(p->why, sizeof p->why, fmt, ap);
	va_end(ap);
}

static void report(struct proc *p)
{
	char text[192];
	const char *sep = p->why[0] ? "; " : "";

	if (p->term_signal)
		(void)snprintf(text, sizeof text, "%s%skilled by signal %d (%s)", p->why, sep,
		               p->term_signal, strsignal(p->term_signal));
	else
		(void)snprintf(text, sizeof text, "%s%sexit status %d", p->why, sep,
		               (int)p->exit_status);
	p->cfg.on_exit(p->cfg.ctx, !p->why[0] && !p->term_signal && p->exit_status == 0, text);
}

static void on_close(uv_handle_t *h)
{
	struct proc *p = h->data;

	if (--p->n_open)
		return;
	if (p->started)
		report(p);
	free(p->body);
	free(p->input);
	free(p);
}

static void close_one(void *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, on_close);
}

static void close_all(struct proc *p)
{
	if (p->closing)
		return;
	p->closing = true;
	if (p->n_head)
		blame(p, "its output ended inside a message");
	close_one(&p->process);
	close_one(&p->to);
	close_one(&p->from);
	close_one(&p->timer);
}

static void finish_if_done(struct proc *p)
{
	if (p->exited && p->drained)
		close_all(p);
}

static void on_drain_time(uv_timer_t *t)
{
	struct proc *p = t->data;

	p->drained = true;
	finish_if_done(p);
}

static void on_kill_time(uv_timer_t *t)
{
	struct proc *p = t->data;

	(void)uv_process_kill(&p->process, SIGKILL);     /* fails only when it is gone */
}

/* Milliseconds for a timer; a year is "never" without overflow. */
static uint64_t ms_of(double s)
{
	return (uint64_t)((s < 3.2e7 ? s : 3.2e7) * 1e3);
}

static void stop(struct proc *p, uint64_t grace_ms)
{
	if (p->exited || p->closing)
		return;
	(void)uv_process_kill(&p->process, grace_ms ? SIGTERM : SIGKILL);
	if (grace_ms)
		(void)uv_timer_start(&p->timer, on_kill_time, grace_ms, 0);
}

static void on_time_over(uv_timer_t *t)
{
	struct proc *p = t->data;

	blame(p, "ran longer than %g s", p->cfg.time_max_s);
	stop(p, STOP_GRACE_MS);
}

static void on_process_exit(uv_process_t *h, int64_t status, int signal)
{
	struct proc *p = h->data;

	p->exited = true;
	p->exit_status = status;
	p->term_signal = signal;
	(void)uv_timer_start(&p->timer, on_drain_time, DRAIN_MS, 0);
	finish_if_done(p);
}

/* --- the message pipe ------------------------------------------------------------------------- */

static size_t take_head(struct proc *p, const char *data, size_t n)
{
	const size_t want = HEADER - p->n_head, k = n < want ? n : want;
	const unsigned char *h = p->head;

	memcpy(p->head + p->n_head, data, k);
	p->n_head += k;
	if (p->n_head < HEADER)
		return k;
	p->body_len = (uint32_t)h[0] | (uint32_t)h[1] << 8 | (uint32_t)h[2] << 16 |
	              (uint32_t)h[3] << 24;
	p->body_at = 0;
	if (p->body_len > PROC_MESSAGE_MAX) {
		blame(p, "announced a message of %lu bytes, the limit is %d",
		      (unsigned long)p->body_len, PROC_MESSAGE_MAX);
		return k;
	}
	p->body = malloc(p->body_len ? p->body_len : 1);
	if (!p->body)
		blame(p, "no memory for its message of %lu bytes", (unsigned long)p->body_len);
	return k;
}

static size_t take_body(struct proc *p, const char *data, size_t n)
{
	const size_t want = p->body_len - p->body_at, k = n < want ? n : want;

	memcpy(p->body + p->body_at, data, k);
	p->body_at += (uint32_t)k;
	return k;
}

static void take(struct proc *p, const char *data, size_t n)
{
	while (n && !p->drained) {
		const size_t k = p->n_head < HEADER ? take_head(p, data, n) : take_body(p, data, n);

		data += k;
		n -= k;
		if (p->n_head < HEADER)
			continue;
		if (!p->body) {          /* blamed: the rest cannot be understood */
			p->drained = true;
			p->n_head = 0;
		} else if (p->body_at == p->body_len) {
			p->cfg.on_message(p->cfg.ctx, p->head[4], p->body, p->body_len);
			free(p->body);
			p->body = NULL;
			p->n_head = 0;
		}
	}
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
	struct proc *p = h->data;

	(void)hint;
	*buf = uv_buf_init(p->chunk, sizeof p->chunk);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct proc *p = s->data;

	if (n > 0)
		take(p, buf->base, (size_t)n);
	else if (n < 0)                  /* UV_EOF, or an error that ends it as well */
		p->drained = true;
	if (!p->drained)
		return;
	(void)uv_read_stop(s);
	if (n > 0)
		stop(p, 0);
	finish_if_done(p);
}

/* --- start ------------------------------------------------------------------------------------ */

bool proc_killed(const struct proc *p)
{
	return p->term_signal != 0 && !p->why[0];
}

/* A child that ends without reading its input has its own reason; the error here adds nothing. */
static void on_written(uv_write_t *w, int rc)
{
	struct proc *p = w->data;

	(void)rc;
	free(p->input);
	p->input = NULL;
	close_one(&p->to);
}

static hn_status send_input(struct proc *p, struct hn_err *err)
{
	uv_buf_t buf;
	int rc;

	if (!p->cfg.input_len) {
		close_one(&p->to);
		return HN_OK;
	}
	buf = uv_buf_init((char *)p->input, (unsigned)p->cfg.input_len);
	p->write.data = p;
	rc = uv_write(&p->write, (uv_stream_t *)&p->to, &buf, 1, on_written);
	return rc ? hn_fail(err, HN_EIO, "%s: stdin: %s", p->cfg.argv[0], uv_strerror(rc)) : HN_OK;
}

/* Variables that are ours: written anew for every child, or not for children at all. */
static bool is_ours(const char *var)
{
	static const char *const ours[] = {
		"HONE_MEMORY_MAX=", "HONE_IDLE=", "HONE_PARENT=", "NOTIFY_SOCKET=", "WATCHDOG_USEC=",
		"WATCHDOG_PID="
	};

	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		if (strncmp(var, ours[i], strlen(ours[i])) == 0)
			return true;
	return false;
}

struct child_env { char *var[ENV_MAX + 4]; char memory[48], parent[32]; };

static void env_make(struct child_env *e, const struct proc_cfg *cfg)
{
	static char idle[] = "HONE_IDLE=1";
	int n = 0;

	for (char **v = environ; *v && n < ENV_MAX; v++)
		if (!is_ours(*v))
			e->var[n++] = *v;
	(void)snprintf(e->parent, sizeof e->parent, "HONE_PARENT=%ld", (long)getpid());
	e->var[n++] = e->parent;
	(void)snprintf(e->memory, sizeof e->memory, "HONE_MEMORY_MAX=%llu",
	               (unsigned long long)cfg->memory_max);
	if (cfg->memory_max)
		e->var[n++] = e->memory;
	if (cfg->idle)
		e->var[n++] = idle;
	e->var[n] = NULL;
}

static int spawn(struct proc *p)
{
	struct child_env env;
	uv_stdio_container_t io[3] = {
		{ .flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&p->to },
		{ .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&p->from },
		{ .flags = UV_INHERIT_FD, .data.fd = 2 }
	};
	uv_process_options_t o = {
		.exit_cb = on_process_exit, .file = p->cfg.argv[0], .stdio_count = 3, .stdio = io
	};

	env_make(&env, &p->cfg);
	o.env = env.var;
	/* libuv does not write them.  NOLINTNEXTLINE(performance-no-int-to-ptr): drops const, no number */
	o.args = (char **)(uintptr_t)p->cfg.argv;
	return uv_spawn(p->cfg.loop, &p->process, &o);
}

static struct proc *proc_new(const struct proc_cfg *cfg)
{
	struct proc *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->cfg = *cfg;
	if (cfg->input_len) {
		p->input = malloc(cfg->input_len);
		if (!p->input) {
			free(p);
			return NULL;
		}
		memcpy(p->input, cfg->input, cfg->input_len);
	}
	(void)uv_pipe_init(cfg->loop, &p->to, 0);        /* these three cannot fail */
	(void)uv_pipe_init(cfg->loop, &p->from, 0);
	(void)uv_timer_init(cfg->loop, &p->timer);
	p->to.data = p->from.data = p->timer.data = p->process.data = p;
	p->n_open = 4;
	return p;
}

hn_status proc_start(struct proc **out, const struct proc_cfg *cfg, struct hn_err *err)
{
	struct proc *p;
	hn_status rc;
	int uv;

	assert(cfg->loop && cfg->argv && cfg->argv[0] && cfg->on_message && cfg->on_exit);
	if (cfg->input_len > PROC_MESSAGE_MAX)
		return hn_fail(err, HN_ERANGE, "%s: input of %zu bytes, the limit is %d",
		               cfg->argv[0], cfg->input_len, PROC_MESSAGE_MAX);
	p = proc_new(cfg);
	if (!p)
		return hn_fail(err, HN_ENOMEM, "%s: no memory to start it", cfg->argv[0]);
	(void)signal(SIGPIPE, SIG_IGN);  /* a child that leaves early must not end us */
	uv = spawn(p);
	if (uv) {
		close_all(p);            /* a process handle that failed to start still closes */
		return hn_fail(err, HN_EIO, "%s: %s", cfg->argv[0], uv_strerror(uv));
	}
	rc = send_input(p, err);
	if (!rc && uv_read_start((uv_stream_t *)&p->from, on_alloc, on_read))
		rc = hn_fail(err, HN_EIO, "%s: cannot read its output", cfg->argv[0]);
	if (rc) {
		(void)uv_process_kill(&p->process, SIGKILL);
		p->drained = true;       /* on_process_exit closes the rest */
		return rc;
	}
	if (cfg->time_max_s > 0)
		(void)uv_timer_start(&p->timer, on_time_over, ms_of(cfg->time_max_s), 0);
	p->started = true;
	*out = p;
	return HN_OK;
}

void proc_stop(struct proc *p, double grace_s)
{
	if (!p->exited)
		blame(p, "stopped");
	stop(p, grace_s > 0 ? ms_of(grace_s) : 0);
}

int proc_pid(const struct proc *p)
{
	return uv_process_get_pid(&p->process);
}
