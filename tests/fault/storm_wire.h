/* storm_wire.h - one direction of a line: paced, late, and as bad as it is told to be. */
#ifndef STORM_WIRE_H
#define STORM_WIRE_H

#include "hd_msg.h"
#include "hn_rng.h"
#include "storm.h"

enum { WIRE_PACKETS = 96, WIRE_BYTES = 2 * HD_WIRE_MAX + 64, WIRE_TAPE = 64 };

struct packet { int64_t due_us; size_t n; uint8_t bytes[WIRE_BYTES]; };

struct wire {
	struct packet q[WIRE_PACKETS];   /* in order of arrival                                */
	int      n;
	int64_t  free_us, last_us;       /* the line is free; the latest arrival               */
	uint32_t baud;
	int64_t  latency_us;
	uint32_t faults;                 /* those that act now                                 */
	unsigned level;
	struct hn_rng *rng;
	bool     garbled;                /* another rate at the other end                      */
	uint32_t hurt, lost;
	struct packet tape[WIRE_TAPE];   /* of the past, for replays                           */
	unsigned taped;
};

/* Put n bytes (one frame) on the line.  False: no room. */
bool wire_put(struct wire *w, const uint8_t *bytes, size_t n, int64_t now_us);

/* Take the first packet that has arrived by `now_us`. */
bool wire_take(struct wire *w, struct packet *out, int64_t now_us);

/* When the next one arrives, INT64_MAX = none. */
int64_t wire_next(const struct wire *w);

/* All that is on the way is lost. */
void wire_clear(struct wire *w);

/* Something recorded earlier comes again. */
void wire_replay(struct wire *w, int64_t now_us);
#endif
