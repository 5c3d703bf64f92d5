/* hn_lines.h - bytes in any pieces become lines, in a buffer of fixed size.
 *
 *   buf   |.....consumed.....|....unread....|......room......|0|
 *         0                start          end             cap-1
 *
 * A line that does not fit is counted and skipped up to its newline; those after it are intact. */
#ifndef HN_LINES_H
#define HN_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hn_lines {                /* fields are private, but for the counters                   */
	char  *buf;              /* (cap,) borrowed                                            */
	size_t cap, start, scan, end;    /* no newline in [start, scan)                        */
	bool   skipping;         /* inside a line that was too long                            */
	uint64_t n;              /* lines that ended so far, the skipped ones too              */
	uint64_t too_long;
};

/* Use buf (cap,), cap >= 2: the longest line has cap - 2 bytes, or cap - 1 without its newline. */
void hn_lines_init(struct hn_lines *l, char *buf, size_t cap);

/* Where the next bytes go, *n >= 1 of them at most.  Only after hn_lines_next returned false; lines
 * taken before become invalid. */
char *hn_lines_room(struct hn_lines *l, size_t *n);

/* `n` bytes were put there. */
void hn_lines_add(struct hn_lines *l, size_t n);

/* The next whole line without its newline or CR LF, line[len] = 0; valid until hn_lines_room. */
bool hn_lines_next(struct hn_lines *l, char **line, size_t *len);

/* At the end of the input: what came after the last newline, if anything. */
bool hn_lines_last(struct hn_lines *l, char **line, size_t *len);
#endif
