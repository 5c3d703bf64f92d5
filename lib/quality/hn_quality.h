/* hn_quality.h - quality flags of a frame, from a table of rules.
 *
 * A frame enters with HN_NOT_EVALUATED and HN_MISSING values and leaves with a final flag each: the
 * worst that any rule gave, HN_GOOD when none objected.  Pure; the caller owns the state of each
 * stream.  Source of the rules: QARTOD manuals (IOOS): gross range, flat line, time gap, impossible
 * date. */
#ifndef HN_QUALITY_H
#define HN_QUALITY_H

#include <stdbool.h>
#include <stdint.h>
#include "hn_frame.h"

struct hn_quality_cfg {
	const struct hn_channel *channels;       /* (n,) borrowed                               */
	int      n;
	int64_t  gap_us;         /* a longer silence is a gap; 0 = not checked                  */
	int64_t  future_us;      /* event time ahead of ingest time by more is impossible; 0: 1 day */
	uint32_t flat_n;         /* equal values in a row that are suspect at the earliest;     */
	                         /* 0 = 16, UINT32_MAX = never                                  */
};

/* State of one channel.  A value that repeats is suspect when the run is longer than the channel's
 * own habit makes likely: share is the usual probability that a value equals the one before it. */
struct hn_quality_channel {
	int32_t  last;
	uint32_t run;            /* equal values in a row, 0 = none seen                        */
	float    share;
	uint32_t seen;           /* pairs that made `share`, saturates                          */
};

struct hn_quality_state {                /* plain memory; zero = fresh                         */
	int64_t last_us;         /* newest event time seen, 0 = none                            */
	struct hn_quality_channel channel[HN_CHANNELS_MAX];
};

enum { HN_QUALITY_RULES = 6 };

struct hn_quality_rule {
	const char *name, *help;         /* name: "range"; for counters and the journal         */
	uint8_t flag;                    /* what it gives                                       */
	bool whole;                      /* speaks about the frame, not about a channel         */
	/* True when channel i of the frame breaks the rule; i is 0 for a rule about the frame. */
	bool (*broken)(const struct hn_quality_cfg *cfg, const struct hn_quality_state *st,
	               const struct hn_frame *f, int i);
};
extern const struct hn_quality_rule hn_quality_rules[HN_QUALITY_RULES];

/* What one frame gave, for counters. */
struct hn_quality_report {
	uint16_t hits[HN_QUALITY_RULES]; /* channels that broke the rule (frame rules: 0 or 1)  */
	uint8_t  worst;                  /* largest flag in the frame                           */
	bool     gap;                    /* history ends here: windows must not span it         */
	bool     late;                   /* not newer than what came before                     */
};

/* Flag the frame in place.  Errors: HN_EINVAL (number of channels differs), nothing changed. */
hn_status hn_quality_step(struct hn_quality_state *st, const struct hn_quality_cfg *cfg,
                          struct hn_frame *f, struct hn_quality_report *report);
#endif
