/* log.h - one line, one event: `event=drift source=boiler score=1.42` to stderr.
 *
 * Lines carry the journal's <N> prefix when stderr is the journal (JOURNAL_STREAM), else a time.
 * A failure is logged once, where it is handled.  Thread-safe. */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERR, LOG_WARN, LOG_NOTE, LOG_INFO, LOG_DEBUG };
extern const char *const log_level_names[];      /* NULL-terminated, in the order above */

void log_set_level(enum log_level level);

/* Values with spaces or quotes are written by the caller as key="...". */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...)   log_write(LOG_ERR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_note(...)  log_write(LOG_NOTE, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

/* For events that garbage input can repeat without end: true when the line may be written, at most
 * `burst` in `period_s`; *skipped gets the number suppressed since the last one written. */
struct log_limit { int64_t window_us; unsigned n, skipped; };
bool log_allow(struct log_limit *l, unsigned burst, double period_s, unsigned *skipped);
#endif
