/* hn_episode.h - from charts that fired to one verdict, and the latch that alarms once.
 *
 * Pure: (state, what fired, now) -> opened, changed, closed or nothing. */
#ifndef HN_EPISODE_H
#define HN_EPISODE_H

#include <stdbool.h>
#include <stdint.h>
#include "hn_frame.h"

enum hn_verdict_kind { HN_STEADY, HN_SENSOR_FAULT, HN_DATA_DRIFT, HN_CONCEPT_DRIFT };
extern const char *const hn_verdict_names[];     /* "steady", "sensor fault", ...               */

enum hn_fault { HN_FAULT_NONE, HN_FAULT_RANGE, HN_FAULT_STUCK, HN_FAULT_MISSING, HN_FAULTS };
extern const char *const hn_fault_names[];       /* "none", "out of range", "stuck", "missing"  */

enum { HN_VERDICT_CHANNELS = 8 };        /* the most changed ones, largest first                */

struct hn_verdict {
	enum hn_verdict_kind kind;
	enum hn_fault fault;
	int    n;                        /* channels below                                      */
	uint16_t channel[HN_VERDICT_CHANNELS];
	float  size[HN_VERDICT_CHANNELS];        /* change in standard deviations of the reference;
	                                          * sensor fault: share of bad values           */
};

/* What the charts of a model say now. */
struct hn_signs {
	bool input;                      /* novelty or a level chart is over its threshold      */
	bool margin;                     /* predictions have become less certain                */
	bool errors;                     /* labelled errors have become more frequent           */
	enum hn_fault fault;             /* a channel is bad for a while                        */
	bool calm;                       /* every armed chart is far below its threshold        */
};

/* Rule: a fault explains everything else; a change of the inputs is data drift; errors while the
 * inputs are as before are concept drift; a loss of margin alone counts as data drift. */
enum hn_verdict_kind hn_verdict_of(const struct hn_signs *s);

enum hn_episode_event { HN_EPISODE_NONE, HN_EPISODE_OPENED, HN_EPISODE_CHANGED, HN_EPISODE_CLOSED };

struct hn_episode {
	bool open;
	enum hn_verdict_kind kind;
	enum hn_fault fault;
	int64_t opened_us, closed_us;
	uint32_t calm;                   /* steps in a row without any sign                     */
};

/* One step.  An open episode changes only to a graver kind (fault < data drift, concept drift): no
 * second alarm for the same event.  It closes after `quiet` calm steps in a row. */
enum hn_episode_event hn_episode_step(struct hn_episode *e, const struct hn_signs *s,
                                      uint32_t quiet, int64_t now_us);

/* A new version with a new reference serves: close. */
enum hn_episode_event hn_episode_rearm(struct hn_episode *e, int64_t now_us);
#endif
