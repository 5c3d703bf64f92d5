/* Canary, then batches, group after group; see the header. */
#include "hn_rollout.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { GROUP_END = 1 << 30 };          /* above every group */

struct tally {
	int waiting, under_way, awake, confirmed, failed;
	int left;                /* neither confirmed nor failed, and awake or not asleep for long */
	int lost;                /* under way, asleep for too long                              */
};

static struct tally count(const struct hn_rollout_cfg *cfg, const struct hn_rollout_device *dev,
                          int n)
{
	struct tally t = { .waiting = 0 };

	for (int i = 0; i < n; i++) {
		const struct hn_rollout_device *v = &dev[i];
		const bool open = v->place == HN_PLACE_WAITING || v->place == HN_PLACE_UNDER_WAY;
		const bool gone = v->asleep && v->asleep_s >= cfg->wait_s;

		t.waiting += v->place == HN_PLACE_WAITING;
		t.under_way += v->place == HN_PLACE_UNDER_WAY;
		t.awake += v->place == HN_PLACE_UNDER_WAY && !v->asleep;
		t.confirmed += v->place == HN_PLACE_CONFIRMED;
		t.failed += v->place == HN_PLACE_FAILED;
		t.left += open && !gone;
		t.lost += v->place == HN_PLACE_UNDER_WAY && gone;
	}
	return t;
}

/* The last group that may start: all before it have proved themselves. */
static int last_group(const struct hn_rollout_device *dev, int n)
{
	int g = GROUP_END;

	for (int i = 0; i < n; i++) {
		const struct hn_rollout_device *v = &dev[i];
		const bool open = v->place == HN_PLACE_UNDER_WAY || v->place == HN_PLACE_WAITING;

		if (open && !v->asleep && v->group < g)
			g = v->group;
	}
	/* a group in which nobody has confirmed yet holds the later ones, even asleep */
	for (int i = 0; i < n; i++) {
		bool proved = false;

		for (int j = 0; j < n; j++)
			proved |= dev[j].group == dev[i].group && dev[j].place == HN_PLACE_CONFIRMED;
		if (!proved && dev[i].group < g && dev[i].place != HN_PLACE_FAILED)
			g = dev[i].group;
	}
	return g;
}

static bool may_start(const struct hn_rollout_device *v, int group)
{
	return v->place == HN_PLACE_WAITING && v->due && !v->asleep && v->group <= group;
}

static void start_some(const struct hn_rollout_cfg *cfg, const struct tally *t,
                       struct hn_rollout_device *dev, int n)
{
	const bool proving = t->confirmed < cfg->canary;
	const int group = last_group(dev, n);
	int room = proving ? cfg->canary - t->confirmed - t->under_way : cfg->batch - t->awake;

	for (int i = 0; i < n && proving; i++)
		room -= dev[i].place == HN_PLACE_WAITING && dev[i].tried && dev[i].group <= group;
	for (int i = 0; i < n; i++) {
		const bool keeps_place = proving && dev[i].tried;

		if (!may_start(&dev[i], group) || (room <= 0 && !keeps_place))
			continue;
		dev[i].start = true;
		room -= !keeps_place;
	}
}

enum hn_rollout_verdict hn_rollout_plan(const struct hn_rollout_cfg *cfg,
                                        struct hn_rollout_device *dev, int n)
{
	const struct tally t = count(cfg, dev, n);
	const bool canary_failed = t.failed + t.lost > 0 && t.confirmed < cfg->canary;

	assert(cfg->canary >= 1 && cfg->batch >= 1 && n <= HN_ROLLOUT_DEVICES_MAX);
	for (int i = 0; i < n; i++)
		dev[i].start = false;
	if (canary_failed || t.failed > cfg->failures_max) {
		if (t.awake > 0)
			return HN_ROLLOUT_GOES_ON;
		return canary_failed ? HN_ROLLOUT_CANARY_FAILED : HN_ROLLOUT_FAILED;
	}
	if (t.waiting == 0 && t.under_way == 0)
		return HN_ROLLOUT_DONE;
	if (t.left == 0 && t.confirmed > 0)
		return HN_ROLLOUT_DONE_AWAKE;
	if (!cfg->paused)
		start_some(cfg, &t, dev, n);
	return HN_ROLLOUT_GOES_ON;
}

/* Those that start take each_s; then time passes until the next one is confirmed.  False: nothing
 * is under way any more. */
static bool advance(struct hn_rollout_device *dev, int n, double each_s, double *now_s)
{
	double next = (double)INFINITY;

	for (int i = 0; i < n; i++) {
		struct hn_rollout_device *v = &dev[i];

		if (v->start) {
			v->place = HN_PLACE_UNDER_WAY;
			v->left_s = each_s;
		}
		if (v->place == HN_PLACE_UNDER_WAY && !v->asleep && !(v->left_s >= next))
			next = v->left_s;        /* a NAN wins, and stays */
	}
	if (isinf(next))
		return false;
	*now_s += next;
	for (int i = 0; i < n; i++) {
		struct hn_rollout_device *v = &dev[i];

		if (v->place != HN_PLACE_UNDER_WAY || v->asleep)
			continue;
		v->left_s -= next;
		if (!(v->left_s > 0))
			v->place = HN_PLACE_CONFIRMED;
	}
	return true;
}

double hn_rollout_eta(const struct hn_rollout_cfg *cfg, const struct hn_rollout_device *dev, int n,
                      double each_s, struct hn_rollout_device *work)
{
	double now_s = 0;

	if (cfg->paused)
		return (double)NAN;
	memcpy(work, dev, (size_t)n * sizeof *work);
	for (int i = 0; i < n; i++)
		work[i].due = true;      /* the wait for another try is short beside a transfer */
	for (int turn = 0; turn <= n; turn++) {
		if (hn_rollout_plan(cfg, work, n) != HN_ROLLOUT_GOES_ON)
			return now_s;
		if (!advance(work, n, each_s, &now_s))
			return turn == 0 ? (double)NAN : now_s;  /* only sleepers are left */
	}
	return now_s;
}
