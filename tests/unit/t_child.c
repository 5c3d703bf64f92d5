#include "t_child.h"

#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static bool put(const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		const ssize_t k = write(1, p, n);

		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

static bool head(uint8_t type, uint32_t n)
{
	const uint8_t h[5] = {
		(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24), type
	};

	return put(h, sizeof h);
}

static bool message(uint8_t type, const void *body, uint32_t n)
{
	return head(type, n) && put(body, n);
}

/* Message 7: what came on stdin. */
static int echo(void)
{
	static char text[2000000];
	size_t n = 0;
	ssize_t k = 1;

	while (k > 0 && n < sizeof text) {
		k = read(0, text + n, sizeof text - n);
		n += k > 0 ? (size_t)k : 0;
	}
	return message(7, text, (uint32_t)n) ? 0 : 1;
}

static int flood(void)
{
	static char body[T_CHILD_FLOOD_BYTES];

	for (int i = 0; i < T_CHILD_FLOOD; i++) {
		memset(body, i & 0xff, sizeof body);
		if (!message((uint8_t)i, body, sizeof body))
			return 1;
	}
	return 0;
}

/* Two messages and an empty one, a byte a write. */
static int bytewise(void)
{
	static const char bytes[] = "\3\0\0\0\1abc\0\0\0\0\2\2\0\0\0\3de";

	for (size_t i = 0; i < sizeof bytes - 1; i++)
		if (!put(bytes + i, 1))
			return 1;
	return 0;
}

static int large(void)
{
	static char body[T_CHILD_LARGE];

	memset(body, 'z', sizeof body);
	return message(1, body, sizeof body) ? 0 : 1;
}

static int limits(void)
{
	struct t_child_limits l;
	struct rlimit as;
	int signal_of_parent = 0;

	memset(&l, 0, sizeof l);
	if (getrlimit(RLIMIT_AS, &as) || prctl(PR_GET_PDEATHSIG, &signal_of_parent))
		return 1;
	l.memory_max = as.rlim_cur;
	l.nice = getpriority(PRIO_PROCESS, 0);
	l.policy = sched_getscheduler(0);
	l.has_notify = getenv("NOTIFY_SOCKET") != NULL;
	l.ppid_dies = signal_of_parent;
	return message(1, &l, sizeof l) ? 0 : 1;
}

/* Its own child keeps the pipe open for some seconds. */
static int leave_a_child(void)
{
	if (fork() == 0) {
		(void)alarm(6);
		(void)pause();
	}
	return message(1, "x", 1) ? 0 : 1;
}

static int wait_for_end(bool stubborn)
{
	if (stubborn)
		(void)signal(SIGTERM, SIG_IGN);
	if (!message(1, "ready", 5))
		return 1;
	for (;;)
		(void)pause();
}

int t_child_main(const char *part)
{
	if (strcmp(part, "echo") == 0)
		return echo();
	if (strcmp(part, "flood") == 0)
		return flood();
	if (strcmp(part, "bytewise") == 0)
		return bytewise();
	if (strcmp(part, "large") == 0)
		return large();
	if (strcmp(part, "limits") == 0)
		return limits();
	if (strcmp(part, "leave") == 0)
		return leave_a_child();
	if (strcmp(part, "half") == 0)
		return message(1, "ab", 2) && head(2, 10) && put("abc", 3) ? 0 : 1;
	if (strcmp(part, "half head") == 0)
		return put("abc", 3) ? 0 : 1;
	if (strcmp(part, "too long") == 0)
		return head(1, 0xffffffffu) && wait_for_end(false);
	if (strcmp(part, "wait") == 0 || strcmp(part, "stubborn") == 0)
		return wait_for_end(part[0] == 's');
	if (strcmp(part, "killed") == 0)
		(void)raise(SIGKILL);
	return strcmp(part, "fail") == 0 ? 70 : 0;
}
