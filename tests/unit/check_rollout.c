/* check_rollout.c - the plan of a rollout: every picture of four devices, and its forecast. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "hn_rollout.h"
#include "t_must.h"
#include "t_run.h"

enum { N = 4, KINDS = 13 };

#define WAIT_S 100.0

/* Every way in which one device may look. */
static const struct hn_rollout_device looks[KINDS] = {
	{ .place = HN_PLACE_WAITING, .due = true },
	{ .place = HN_PLACE_WAITING, .due = true, .asleep = true, .asleep_s = 1 },
	{ .place = HN_PLACE_WAITING, .due = true, .asleep = true, .asleep_s = WAIT_S },
	{ .place = HN_PLACE_WAITING, .tried = true, .due = true },
	{ .place = HN_PLACE_WAITING, .tried = true },
	{ .place = HN_PLACE_WAITING, .tried = true, .asleep = true, .asleep_s = 1 },
	{ .place = HN_PLACE_UNDER_WAY, .left_s = 5 },
	{ .place = HN_PLACE_UNDER_WAY, .asleep = true, .asleep_s = 1, .left_s = (double)NAN },
	{ .place = HN_PLACE_UNDER_WAY, .asleep = true, .asleep_s = WAIT_S, .left_s = (double)NAN },
	{ .place = HN_PLACE_CONFIRMED, .due = true },
	{ .place = HN_PLACE_CONFIRMED, .due = true, .asleep = true, .asleep_s = WAIT_S },
	{ .place = HN_PLACE_FAILED, .due = true },
	{ .place = HN_PLACE_FAILED, .due = true, .asleep = true, .asleep_s = WAIT_S },
};
static const int groups[][N] = { { 0, 0, 0, 0 }, { 0, 1, 2, 3 }, { 0, 0, 1, 1 }, { 1, 0, 1, 0 },
                                 { 0, 1, 1, 1 } };
enum { GROUPS = sizeof groups / sizeof groups[0] };

struct seen { int confirmed, failed, under_way, awake, again, waiting, started; };

static struct seen look(const struct hn_rollout_device *dev)
{
	struct seen s = { .confirmed = 0 };

	for (int i = 0; i < N; i++) {
		s.confirmed += dev[i].place == HN_PLACE_CONFIRMED;
		s.failed += dev[i].place == HN_PLACE_FAILED;
		s.under_way += dev[i].place == HN_PLACE_UNDER_WAY;
		s.awake += dev[i].place == HN_PLACE_UNDER_WAY && !dev[i].asleep;
		s.waiting += dev[i].place == HN_PLACE_WAITING;
		s.again += dev[i].place == HN_PLACE_WAITING && dev[i].tried;
		s.started += dev[i].start;
	}
	return s;
}

/* Has the group a confirmed device, and nobody awake who is not done with? */
static bool proved(const struct hn_rollout_device *dev, int group)
{
	bool confirmed = false, failed = true, open = false;

	for (int i = 0; i < N; i++) {
		if (dev[i].group != group)
			continue;
		confirmed |= dev[i].place == HN_PLACE_CONFIRMED;
		failed &= dev[i].place == HN_PLACE_FAILED;
		open |= !dev[i].asleep &&
		        (dev[i].place == HN_PLACE_WAITING || dev[i].place == HN_PLACE_UNDER_WAY);
	}
	return (confirmed || failed) && !open;
}

static int kept(const struct hn_rollout_device *dev, int group)
{
	int n = 0;

	for (int i = 0; i < N; i++)
		n += dev[i].place == HN_PLACE_WAITING && dev[i].tried && dev[i].group <= group;
	return n;
}

static int fresh(const struct hn_rollout_device *dev)
{
	int n = 0;

	for (int i = 0; i < N; i++)
		n += dev[i].start && !dev[i].tried;
	return n;
}

static void check_starts(const struct hn_rollout_cfg *cfg, const struct hn_rollout_device *dev,
                         const struct seen *s)
{
	T_MUST(!cfg->paused, "starts while paused");
	T_MUST(s->failed <= cfg->failures_max, "s->failed <= cfg->failures_max");
	for (int i = 0; i < N; i++) {
		if (!dev[i].start)
			continue;
		T_MUST(dev[i].place == HN_PLACE_WAITING && dev[i].due && !dev[i].asleep,
		       "device %d cannot start", i);
		for (int j = 0; j < N; j++)
			T_MUST(dev[j].group >= dev[i].group || proved(dev, dev[j].group),
			       "the group of %d has not proved itself", j);
	}
	if (s->confirmed >= cfg->canary) {
		T_MUST(s->awake + s->started <= cfg->batch, "s->awake + s->started <= cfg->batch");
		return;
	}
	T_MUST(s->failed == 0, "s->failed == 0");
	for (int i = 0; i < N; i++)      /* a fresh one only where no place is kept */
		T_MUST(!dev[i].start || dev[i].tried ||
		       s->confirmed + s->under_way + kept(dev, dev[i].group) < cfg->canary,
		       "device %d takes a place that is kept", i);
	T_MUST(fresh(dev) == 0 || s->confirmed + s->under_way + fresh(dev) <= cfg->canary,
	       "more than the canary");
}

/* What must hold of every verdict. */
static void check_verdict(const struct hn_rollout_cfg *cfg, const struct hn_rollout_device *dev,
                          enum hn_rollout_verdict verdict)
{
	const struct seen s = look(dev);
	bool all_awake = true;

	for (int i = 0; i < N; i++)
		all_awake &= !dev[i].asleep && dev[i].due;
	if (s.started > 0)
		check_starts(cfg, dev, &s);
	switch (verdict) {
	case HN_ROLLOUT_DONE:
		T_MUST(s.waiting + s.under_way == 0, "s.waiting + s.under_way == 0");
		T_MUST(s.failed <= cfg->failures_max, "s.failed <= cfg->failures_max");
		break;
	case HN_ROLLOUT_DONE_AWAKE:
		T_MUST(s.awake == 0, "s.awake == 0");
		T_MUST(s.confirmed >= 1, "s.confirmed >= 1");
		T_MUST(s.waiting + s.under_way > 0, "s.waiting + s.under_way > 0");
		break;
	case HN_ROLLOUT_CANARY_FAILED:
		T_MUST(s.confirmed < cfg->canary, "s.confirmed < cfg->canary");
		T_MUST(s.awake == 0, "s.awake == 0");
		break;
	case HN_ROLLOUT_FAILED:
		T_MUST(s.failed > cfg->failures_max, "s.failed > cfg->failures_max");
		T_MUST(s.awake == 0, "s.awake == 0");
		break;
	case HN_ROLLOUT_GOES_ON:         /* never stuck: somebody is or gets under way */
		if (all_awake && !cfg->paused)
			T_MUST(s.awake + s.started > 0, "s.awake + s.started > 0");
		break;
	}
	if (verdict != HN_ROLLOUT_GOES_ON)
		T_MUST(s.started == 0, "s.started == 0");
}

static void for_each_picture(const struct hn_rollout_cfg *cfg, const int *group)
{
	struct hn_rollout_device dev[N];

	for (int k = 0; k < KINDS * KINDS * KINDS * KINDS; k++) {
		for (int i = 0, rest = k; i < N; i++, rest /= KINDS) {
			dev[i] = looks[rest % KINDS];
			dev[i].group = group[i];
		}
		check_verdict(cfg, dev, hn_rollout_plan(cfg, dev, N));
	}
}

START_TEST(every_picture_of_four_devices_keeps_the_rules)
{
	for (int canary = 1; canary <= 3; canary++)
		for (int batch = 1; batch <= 3; batch++)
			for (int failures = 0; failures <= 2; failures++)
				for (int g = 0; g < GROUPS; g++)
					for_each_picture(&(struct hn_rollout_cfg){ .canary = canary,
						.batch = batch, .failures_max = failures, .wait_s = WAIT_S,
						.paused = g == 0 && batch == 3 }, groups[g]);
}
END_TEST

/* --- stories ---------------------------------------------------------------------------------- */

static const struct hn_rollout_cfg one_by_one = { .canary = 1, .batch = 2, .wait_s = WAIT_S };

static void fleet(struct hn_rollout_device *dev, int n)
{
	for (int i = 0; i < n; i++)
		dev[i] = (struct hn_rollout_device){ .due = true };
}

static int started(const struct hn_rollout_device *dev, int n)
{
	int mask = 0;

	for (int i = 0; i < n; i++)
		mask |= dev[i].start << i;
	return mask;
}

START_TEST(the_canary_goes_first_then_batches)
{
	struct hn_rollout_device dev[N];

	fleet(dev, N);
	ck_assert_int_eq(hn_rollout_plan(&one_by_one, dev, N), HN_ROLLOUT_GOES_ON);
	ck_assert_int_eq(started(dev, N), 1);
	dev[0].place = HN_PLACE_UNDER_WAY;
	(void)hn_rollout_plan(&one_by_one, dev, N);
	ck_assert_int_eq(started(dev, N), 0);
	dev[0].place = HN_PLACE_CONFIRMED;
	(void)hn_rollout_plan(&one_by_one, dev, N);
	ck_assert_int_eq(started(dev, N), 2 | 4);
}
END_TEST

START_TEST(a_canary_that_falls_silent_for_long_ends_the_rollout)
{
	struct hn_rollout_device dev[N];

	fleet(dev, N);
	dev[0].place = HN_PLACE_UNDER_WAY;
	dev[0].asleep = true;
	dev[0].asleep_s = WAIT_S - 1;
	ck_assert_int_eq(hn_rollout_plan(&one_by_one, dev, N), HN_ROLLOUT_GOES_ON);
	ck_assert_int_eq(started(dev, N), 0);
	dev[0].asleep_s = WAIT_S;
	ck_assert_int_eq(hn_rollout_plan(&one_by_one, dev, N), HN_ROLLOUT_CANARY_FAILED);
}
END_TEST

START_TEST(a_sleeper_does_not_hold_the_others)
{
	struct hn_rollout_device dev[N];

	fleet(dev, N);
	for (int i = 0; i < N; i++)
		dev[i].group = i / 2;
	dev[0].place = HN_PLACE_CONFIRMED;
	dev[1].asleep = true;
	(void)hn_rollout_plan(&one_by_one, dev, N);
	ck_assert_int_eq(started(dev, N), 4 | 8);
	dev[2].place = dev[3].place = HN_PLACE_CONFIRMED;
	ck_assert_int_eq(hn_rollout_plan(&one_by_one, dev, N), HN_ROLLOUT_GOES_ON);
	dev[1].asleep_s = WAIT_S;
	ck_assert_int_eq(hn_rollout_plan(&one_by_one, dev, N), HN_ROLLOUT_DONE_AWAKE);
}
END_TEST

/* canary alone, then pairs: 10 + 10 + 10 for 5 devices */
START_TEST(the_forecast_runs_the_plan_forward)
{
	struct hn_rollout_device dev[5], work[5];
	double eta;

	fleet(dev, 5);
	ck_assert_double_eq(hn_rollout_eta(&one_by_one, dev, 5, 10, work), 30);
	dev[0].place = HN_PLACE_UNDER_WAY;
	dev[0].left_s = 4;
	ck_assert_double_eq(hn_rollout_eta(&one_by_one, dev, 5, 10, work), 24);
	dev[4].asleep = true;
	ck_assert_double_eq(hn_rollout_eta(&one_by_one, dev, 5, 10, work), 24);
	dev[3].asleep = true;
	ck_assert_double_eq(hn_rollout_eta(&one_by_one, dev, 5, 10, work), 14);
	eta = hn_rollout_eta(&one_by_one, dev, 5, (double)NAN, work);
	ck_assert(isnan(eta));
}
END_TEST

START_TEST(the_forecast_is_silent_while_paused_or_asleep)
{
	const struct hn_rollout_cfg paused = { .canary = 1, .batch = 1, .paused = true };
	struct hn_rollout_device dev[2], work[2];

	fleet(dev, 2);
	ck_assert(isnan(hn_rollout_eta(&paused, dev, 2, 10, work)));
	dev[0].asleep = dev[1].asleep = true;
	ck_assert(isnan(hn_rollout_eta(&one_by_one, dev, 2, 10, work)));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rollout");
	TCase *t = tcase_create("plan");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, every_picture_of_four_devices_keeps_the_rules);
	tcase_add_test(t, the_canary_goes_first_then_batches);
	tcase_add_test(t, a_canary_that_falls_silent_for_long_ends_the_rollout);
	tcase_add_test(t, a_sleeper_does_not_hold_the_others);
	tcase_add_test(t, the_forecast_runs_the_plan_forward);
	tcase_add_test(t, the_forecast_is_silent_while_paused_or_asleep);
	suite_add_tcase(s, t);
	return t_run(s);
}
