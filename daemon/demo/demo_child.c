/* Processes.  Each is started through this program itself, which asks the kernel for SIGTERM when its
 * parent dies and then becomes the program that is wanted: so none is left behind by a SIGKILL either. */
#include "demo.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "clock.h"

enum { ARGS_MAX = 48, EXIT_NOT_FOUND = 127 };

int child_become(const char *parent, char *const *argv)
{
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || strtol(parent, NULL, 10) != (long)getppid())
		return EXIT_NOT_FOUND;   /* the parent has gone already */
	(void)execvp(argv[0], argv);
	fprintf(stderr, "hone-demo: %s: %s\n", argv[0], strerror(errno));
	return EXIT_NOT_FOUND;
}

static void on_exit_(uv_process_t *p, int64_t status, int signum)
{
	struct child *c = p->data;
	struct demo *d = c->demo;
	const bool bad = status != 0 || signum != 0;

	c->running = false;
	uv_close((uv_handle_t *)p, NULL);
	if (!d->stopping && (c->wanted || bad))
		fail(d, "%s has ended by itself: exit status %lld, signal %d", c->name, (long long)status, signum);
	else if (d->stopping && bad && c == d->honed && !*d->failure && !d->interrupted)
		fail(d, "honed did not end well: exit status %lld, signal %d", (long long)status, signum);
	else if (!d->stopping && c->on_exit)
		c->on_exit(d);
	if (d->stopping && children_ended(d))
		stop(d);
}

struct child *child_start(struct demo *d, const char *name, char *const *argv, int fd)
{
	struct child *c = &d->child[d->n_children];
	char parent[16], self[PATH_CAP], hidden[] = "--as-child";
	char *args[ARGS_MAX] = { self, hidden, parent };
	uv_stdio_container_t io[3] = { { .flags = UV_IGNORE },
		{ .flags = UV_INHERIT_FD, .data.fd = fd }, { .flags = UV_INHERIT_FD, .data.fd = fd } };
	uv_process_options_t o = { .file = self, .args = args, .exit_cb = on_exit_, .stdio = io,
		.stdio_count = 3, .cwd = d->opt.dir,
		.flags = UV_PROCESS_DETACHED };  /* Ctrl-C is for us alone: we stop them in order */
	size_t len = sizeof self;
	int n = 3, rc;

	for (int i = 0; argv[i] && n < ARGS_MAX - 1; i++)
		args[n++] = argv[i];
	(void)snprintf(parent, sizeof parent, "%ld", (long)getpid());
	rc = uv_exepath(self, &len);
	*c = (struct child){ .demo = d, .wanted = true, .started_us = clock_mono_us() };
	(void)snprintf(c->name, sizeof c->name, "%s", name);
	if (rc == 0 && d->n_children < CHILDREN_MAX)
		rc = uv_spawn(d->loop, &c->process, &o);
	if (rc != 0 || d->n_children == CHILDREN_MAX) {
		fail(d, "%s cannot be started: %s", argv[0], rc ? uv_strerror(rc) : "too many processes");
		return NULL;
	}
	c->process.data = c;
	c->running = true;
	d->n_children++;
	return c;
}

void child_signal(struct child *c, int signum)
{
	if (c && c->running)
		(void)uv_process_kill(&c->process, signum);      /* it may have ended just now */
}

void children_stop(struct demo *d, int signum)
{
	for (int i = 0; i < d->n_children; i++)
		child_signal(&d->child[i], signum);
}

bool children_ended(const struct demo *d)
{
	for (int i = 0; i < d->n_children; i++)
		if (d->child[i].running)
			return false;
	return true;
}
