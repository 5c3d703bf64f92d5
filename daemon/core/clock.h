/* clock.h - the only place that asks what time it is; tests may set it. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_now_us(void);      /* wall clock, us since 1970-01-01 UTC                        */
int64_t clock_mono_us(void);     /* monotonic, us; for intervals                               */

/* Fix both clocks at `us` (tests); a negative value returns to real time. */
void clock_set_virtual(int64_t us);

/* "2026-11-22T13:05:07.123456Z" into out (28 bytes at least); years beyond 0 to 9999 are
 * clamped. */
void clock_format(int64_t us, char *out, size_t cap);

/* RFC 3339 date-time, "T" may be a space, no zone means UTC; or seconds/ms/us/ns since 1970 as a
 * number whose size tells the unit.  Digits below 1 us are cut off.  -1 when it is neither. */
int clock_parse(const char *text, int64_t *us);
#endif
