/* hn_rollout.h - which devices of a rollout may start now, when it is over, how long it will take.
 *
 * A pure decision over a picture of the devices; the caller makes the picture and acts.
 *
 *   - Canary: until `canary` devices have confirmed, no more than that many are under way, and one
 *     that waits for another try keeps its place.  A failure among them ends the rollout, and so
 *     does one that fell silent under way for `wait_s`: the new weights may be why.
 *   - Then up to `batch` devices at a time, group after group: a group begins when in the one
 *     before it a device has confirmed and nobody there is under way, could start, or is to be
 *     tried again.
 *   - More than `failures_max` failures: nobody starts any more; what is under way ends.
 *   - A device that does not answer is asleep: under way it takes no place in the batch, and it
 *     holds neither its group nor, after `wait_s`, the end of the rollout.  It starts when it
 *     answers. */
#ifndef HN_ROLLOUT_H
#define HN_ROLLOUT_H

#include <stdbool.h>
#include <stdint.h>

enum { HN_ROLLOUT_DEVICES_MAX = 256 };

struct hn_rollout_cfg {
	int    canary, batch;    /* >= 1                                                        */
	int    failures_max;     /* failures that the rollout bears after the canary, >= 0      */
	double wait_s;           /* how long the end waits for devices that are asleep, >= 0    */
	bool   paused;           /* nobody starts; what is under way goes on                    */
};

enum hn_place { HN_PLACE_WAITING, HN_PLACE_UNDER_WAY, HN_PLACE_CONFIRMED, HN_PLACE_FAILED };

struct hn_rollout_device {
	enum hn_place place;
	int    group;            /* 0 first                                                     */
	bool   tried;            /* waiting: for another try                                    */
	bool   due;              /* waiting: the time of that try has come; else true           */
	bool   asleep;           /* does not answer                                             */
	double asleep_s;         /* for how long                                                */
	double left_s;           /* under way: time to its confirmation; NAN = not known        */
	bool   start;            /* out: start it now                                           */
};

enum hn_rollout_verdict {
	HN_ROLLOUT_GOES_ON,
	HN_ROLLOUT_DONE,         /* all confirmed, but for failures_max failures                */
	HN_ROLLOUT_DONE_AWAKE,   /* the same of those that answer; the others slept too long    */
	HN_ROLLOUT_CANARY_FAILED,
	HN_ROLLOUT_FAILED        /* more than failures_max                                      */
};

/* Decide; sets `start` of every device (dev (n,), n <= HN_ROLLOUT_DEVICES_MAX).
 * Cost: O(n^2). */
enum hn_rollout_verdict hn_rollout_plan(const struct hn_rollout_cfg *cfg,
                                        struct hn_rollout_device *dev, int n);

/* Time until all devices that answer have confirmed, by running the plan forward: those under way
 * take their left_s, every other one `each_s`; nothing fails.  work (n,) is scratch.
 * NAN when a time is not known, and while paused.  Cost: O(n^2). */
double hn_rollout_eta(const struct hn_rollout_cfg *cfg, const struct hn_rollout_device *dev, int n,
                      double each_s, struct hn_rollout_device *work);
#endif
