#include "hn_lines.h"

#include <assert.h>
#include <string.h>

void hn_lines_init(struct hn_lines *l, char *buf, size_t cap)
{
	assert(buf && cap >= 2);
	*l = (struct hn_lines){ .buf = buf, .cap = cap };
}

static void drop_all(struct hn_lines *l)
{
	l->start = l->scan = l->end = 0;
}

char *hn_lines_room(struct hn_lines *l, size_t *n)
{
	if (l->start > 0) {
		memmove(l->buf, l->buf + l->start, l->end - l->start);
		l->end -= l->start;
		l->scan -= l->start;
		l->start = 0;
	}
	if (l->end == l->cap - 1 && !l->skipping) {
		l->too_long++;
		l->skipping = true;
	}
	if (l->skipping)
		drop_all(l);
	*n = l->cap - 1 - l->end;
	return l->buf + l->end;
}

void hn_lines_add(struct hn_lines *l, size_t n)
{
	assert(n <= l->cap - 1 - l->end);
	l->end += n;
}

/* Close the unread line [start, end) with a 0. */
static void cut(struct hn_lines *l, size_t start, size_t end, char **line, size_t *len)
{
	if (end > start && l->buf[end - 1] == '\r')
		end--;
	l->buf[end] = '\0';
	*line = l->buf + start;
	*len = end - start;
}

bool hn_lines_next(struct hn_lines *l, char **line, size_t *len)
{
	while (l->scan < l->end) {
		char *nl = memchr(l->buf + l->scan, '\n', l->end - l->scan);
		size_t start = l->start;

		if (!nl)
			break;
		l->start = l->scan = (size_t)(nl - l->buf) + 1;
		l->n++;
		if (!l->skipping) {
			cut(l, start, l->start - 1, line, len);
			return true;
		}
		l->skipping = false;
	}
	l->scan = l->end;
	return false;
}

bool hn_lines_last(struct hn_lines *l, char **line, size_t *len)
{
	size_t start = l->start, end = l->end;

	drop_all(l);
	if (l->skipping || start == end)
		return false;
	l->n++;
	cut(l, start, end, line, len);
	return true;
}
