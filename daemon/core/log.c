#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"

/* Longer lines are cut.  One write() of at most PIPE_BUF bytes is never mixed with another's. */
enum { LINE_MAX_BYTES = 2048 };

const char *const log_level_names[] = { "error", "warn", "note", "info", "debug", NULL };
static const int priority[] = { 3, 4, 5, 6, 7 };         /* of syslog(3), used by the journal */

static atomic_int level_max = LOG_INFO;
static bool to_journal;
static pthread_once_t once = PTHREAD_ONCE_INIT;

void log_set_level(enum log_level level)
{
	atomic_store(&level_max, (int)level);
}

/* JOURNAL_STREAM is "device:inode" of the journal's socket; a redirected stderr differs. */
static void find_journal(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	to_journal = env && sscanf(env, "%llu:%llu", &dev, &ino) == 2 && fstat(2, &st) == 0 &&
	             (unsigned long long)st.st_dev == dev && (unsigned long long)st.st_ino == ino;
}

static size_t prefix(char *line, size_t cap, enum log_level level)
{
	char when[28];
	int n;

	if (to_journal) {
		n = snprintf(line, cap, "<%d>", priority[level]);
	} else {
		clock_format(clock_now_us(), when, sizeof when);
		n = snprintf(line, cap, "%s %-5s ", when, log_level_names[level]);
	}
	return (size_t)n;
}

static void write_all(const char *line, size_t n)
{
	ssize_t k;

	while (n) {
		k = write(2, line, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return;          /* there is nowhere left to report to */
		line += k;
		n -= (size_t)k;
	}
}

void log_write(enum log_level level, const char *fmt, ...)
{
	const int saved = errno;
	char line[LINE_MAX_BYTES];
	size_t n;
	int k;
	va_list ap;

	if ((int)level > atomic_load(&level_max))
		return;
	(void)pthread_once(&once, find_journal);
	n = prefix(line, sizeof line, level);
	va_start(ap, fmt);
	k = vsnprintf(line + n, sizeof line - n, fmt, ap);
	va_end(ap);
	if (k > 0)
		n += (size_t)k;
	if (n > sizeof line - 1) {       /* cut: keep room for the newline and say so */
		n = sizeof line - 1;
		memset(line + n - 3, '.', 3);
	}
	for (size_t i = 0; i < n; i++)   /* one event stays one line, whatever a sensor sent */
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	write_all(line, n);
	errno = saved;
}

bool log_allow(struct log_limit *l, unsigned burst, double period_s, unsigned *skipped)
{
	const int64_t now = clock_mono_us();

	if (l->n == 0 || now < l->window_us || (double)(now - l->window_us) >= period_s * 1e6) {
		l->window_us = now;
		l->n = 0;
	}
	if (l->n >= burst) {
		l->skipped++;
		return false;
	}
	l->n++;
	*skipped = l->skipped;
	l->skipped = 0;
	return true;
}
