#include "link_clock.h"

#include <stdlib.h>

enum {
	WINDOW_US = 4000000,
	CREEP = 25,              /* 1/25 of the elapsed time: RC oscillators are 2 % off       */
	JUMP_US = 1000000, JUMP_SHARE = 16,      /* what may be wrong with a tick of a device  */
	DUPLICATE_US = 1000000   /* a device that began again needs longer                     */
};

static int64_t span_us(const struct link_stamp *m)
{
	return (int64_t)(m->n - 1) * m->period_us;
}

static bool same(const struct link_stamp *a, const struct link_stamp *b)
{
	return a->count == b->count && a->tick == b->tick && a->n == b->n
	    && b->arrival_us - a->arrival_us < DUPLICATE_US;
}

/* Did the counters not continue from `a` to `b`?  The count tells how far the tick should have
 * come; compared modulo 2^32, so that any silence is allowed.  What passes has gone forward. */
static bool jumped(const struct link_stamp *a, const struct link_stamp *b)
{
	uint32_t frames = b->count - a->count, ticks = b->tick - a->tick;
	uint64_t expected = (uint64_t)frames * a->period_us;
	int32_t error = (int32_t)(ticks - (uint32_t)expected);
	uint64_t size = (uint64_t)llabs((long long)error);

	if (frames < a->n || frames > UINT32_MAX / 2)
		return true;
	if (a->period_us == 0)
		return false;
	return size > JUMP_US + expected / JUMP_SHARE || (error < 0 && size > expected / 2);
}

static void restart(struct link_clock *c, const struct link_stamp *m)
{
	c->set = true;
	c->tick_us = m->tick;
	c->offset_us = m->arrival_us - c->tick_us - span_us(m);
	c->target_us = c->offset_us;
	c->window_from_us = m->arrival_us;
	c->window_min_us = INT64_MAX;
}

/* Ticks since the last message; whole wraps follow from the elapsed time. */
static int64_t advance_us(const struct link_clock *c, const struct link_stamp *m)
{
	int64_t ticks = m->tick - c->last.tick;
	int64_t rest = m->arrival_us - c->last.arrival_us - ticks;

	if (rest > 0)
		ticks += ((rest + (INT64_C(1) << 31)) >> 32) << 32;
	return ticks;
}

static void follow(struct link_clock *c, const struct link_stamp *m, int64_t advance)
{
	int64_t seen = m->arrival_us - c->tick_us - span_us(m);
	int64_t down = (advance - span_us(&c->last)) / 2, up = advance / CREEP;
	int64_t step = seen - c->offset_us;

	if (seen < c->window_min_us)
		c->window_min_us = seen;
	if (m->arrival_us - c->window_from_us >= WINDOW_US) {
		c->target_us = c->window_min_us;
		c->window_from_us = m->arrival_us;
		c->window_min_us = INT64_MAX;
	}
	if (step >= 0) {
		step = c->target_us - c->offset_us;
		c->offset_us += step < 0 ? 0 : step < up ? step : up;
	} else if (down > 0) {
		c->offset_us += step > -down ? step : -down;
	}
}

enum link_clock_event link_clock_step(struct link_clock *c, const struct link_stamp *m,
                                      int64_t *first_us, uint32_t *lost)
{
	enum link_clock_event event = c->set ? LINK_CLOCK_GOES_ON : LINK_CLOCK_FIRST;
	int64_t advance;

	if (c->set && same(&c->last, m))
		return LINK_CLOCK_DUPLICATE;
	*lost = 0;
	if (c->set && jumped(&c->last, m))
		event = LINK_CLOCK_RESTARTED;
	if (event == LINK_CLOCK_GOES_ON) {
		*lost = m->count - c->last.count - c->last.n;
		advance = advance_us(c, m);
		c->tick_us += advance;
		follow(c, m, advance);
	} else {
		restart(c, m);
	}
	c->last = *m;
	*first_us = c->offset_us + c->tick_us;
	return event;
}
