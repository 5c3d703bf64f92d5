/* link_clock.h - a device's tick counter becomes time of the gateway.
 *
 * A device stamps samples with a 32-bit microsecond counter that wraps after 71 minutes, starts
 * anywhere and runs a little fast or slow.  Each arrival tells: offset <= arrival - tick, the rest
 * is delay of the transport.  So the smallest difference is the best estimate of the offset.  A
 * smaller one is approached at once, by half of the time between frames at most, so that event
 * times never run backwards; the smallest of the last WINDOW_US is crept up to slowly, so that a
 * slow counter is followed and a burst of delay is not.
 *
 * Pure; times are of a monotonic clock, in us. */
#ifndef LINK_CLOCK_H
#define LINK_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum link_clock_event {
	LINK_CLOCK_FIRST,        /* the first frames ever                                      */
	LINK_CLOCK_GOES_ON,
	LINK_CLOCK_RESTARTED,    /* counters jumped: the device began again                    */
	LINK_CLOCK_DUPLICATE     /* the same frames as just before: to be dropped              */
};

struct link_stamp {              /* of one message with n >= 1 frames                          */
	uint32_t tick;           /* of the first frame                                         */
	uint32_t period_us;      /* n * period < 2^31; 0 = irregular                           */
	uint32_t n, count;       /* count: number of the first frame since boot                */
	int64_t  arrival_us;
};

struct link_clock {              /* private; zeroed = nothing known                            */
	bool set;
	struct link_stamp last;
	int64_t tick_us;         /* of the last message's first frame, without wraps           */
	int64_t offset_us;       /* monotonic time of tick 0                                   */
	int64_t target_us;       /* smallest difference of the last window                     */
	int64_t window_from_us, window_min_us;
};

/* Take a message.  *first_us = monotonic time of its first frame; *lost = frames missing before it;
 * both are not set for a duplicate. */
enum link_clock_event link_clock_step(struct link_clock *c, const struct link_stamp *m,
                                      int64_t *first_us, uint32_t *lost);
#endif
