/* hn_policy.h - when to ask for labels and when to train: a pure state machine.
 *
 * It trains when labels_min new labels are there and one of these holds: an episode of drift is
 * open (labels from before it do not count); there is no version yet, or as many new labels came as
 * are behind the present one; the refresh interval is over.  It asks for labels when an episode
 * needs them, within the budget.  A sensor fault is no reason for either.
 *
 * (state, event, now) -> at most HN_POLICY_ACTIONS actions.  The state is plain memory: save it by
 * copying, replay it with recorded events. */
#ifndef HN_POLICY_H
#define HN_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include "hn_episode.h"
#include "hn_status.h"

enum hn_policy_mode { HN_POLICY_AUTO, HN_POLICY_ADVISE, HN_POLICY_MANUAL };

struct hn_policy_cfg {
	enum hn_policy_mode mode;
	double cooldown_s;       /* shortest time between the starts of two jobs                */
	int    labels_min;       /* usable labels since the last version needed for a job       */
	int    label_budget;     /* labels it may ask for ...                                   */
	double label_period_s;   /* ... in this time                                            */
	double ask_again_s;      /* a question without answer is repeated after this; 0: 1 day  */
	bool   eager;            /* labels are asked for elsewhere (hn_ask.h); labels_min new ones
	                          * make a job due, drift or not                                */
	const char *news;        /* what it counts: "windows"; NULL: "labels"                   */
	double refresh_s;        /* > 0: also train at this interval when labels suffice        */
	double audit;            /* > 0: labels a period asked for without an alarm, to notice  */
	                         /* concept drift; part of the budget                           */
};

enum hn_policy_kind {
	HN_POLICY_EPISODE_OPENED,        /* n = enum hn_verdict_kind                            */
	HN_POLICY_EPISODE_CHANGED,       /* n = enum hn_verdict_kind                            */
	HN_POLICY_EPISODE_CLOSED,
	HN_POLICY_LABELS,                /* n = usable labels since the last version, in total  */
	HN_POLICY_ASKED,                 /* n = labels really asked for (fewer may be on offer) */
	HN_POLICY_JOB_STARTED,
	HN_POLICY_JOB_PROMOTED, HN_POLICY_JOB_REJECTED, HN_POLICY_JOB_FAILED,
	HN_POLICY_CONFIRMED,             /* the new version is on every device, or has none     */
	HN_POLICY_ROLLED_BACK,
	HN_POLICY_RETRAIN,               /* a person asks for it                                */
	HN_POLICY_TICK,                  /* time passes; at least once a minute                 */
	HN_POLICY_EVENTS
};

struct hn_policy_event {
	enum hn_policy_kind kind;
	int     n;
	int64_t now_us;          /* one clock for all events: the event time of the frames      */
};

enum hn_policy_do {
	HN_POLICY_NOTHING,
	HN_POLICY_ASK,           /* ask for n labels                                            */
	HN_POLICY_TRAIN,         /* start a job                                                 */
	HN_POLICY_ADVICE         /* tell a person that a job is due (mode advise)               */
};

struct hn_policy_action {
	enum hn_policy_do what;
	int  n;                  /* labels                                                      */
	char reason[160];        /* one sentence                                                */
};
enum { HN_POLICY_ACTIONS = 2 };

enum { HN_POLICY_ASKS = 64 };            /* remembered questions inside one budget period       */

struct hn_policy {                       /* plain memory; zero = fresh                          */
	bool    in_episode, has_version, busy, rolling;
	bool    advised;                 /* said once an episode                                */
	bool    wanted;                  /* a person asked while a job ran                      */
	uint8_t verdict;                 /* enum hn_verdict_kind of the open episode            */
	uint8_t failures;                /* in a row                                            */
	uint8_t n_asks;
	int32_t labels;                  /* usable since the last version                       */
	int32_t labels_base;             /* of them, given before the open episode began        */
	int32_t labels_tried;            /* of them, seen by the last job that was rejected     */
	int32_t labels_used;             /* behind all promoted versions together               */
	int32_t outstanding;             /* asked, not answered                                 */
	int64_t job_us, ask_us, not_before_us;   /* last job start, last question, backoff end  */
	struct { int64_t t_us; int32_t n; } asks[HN_POLICY_ASKS];
};

/* One event.  out (HN_POLICY_ACTIONS,); returns how many actions were written. */
int hn_policy_step(struct hn_policy *p, const struct hn_policy_cfg *cfg,
                   const struct hn_policy_event *ev, struct hn_policy_action *out);

/* Labels it may still ask for at `now_us`. */
int hn_policy_budget(const struct hn_policy *p, const struct hn_policy_cfg *cfg, int64_t now_us);
#endif
