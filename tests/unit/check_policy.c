/* check_policy.c - scenarios of the retrain policy, and the choice of windows to ask for. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hn_policy.h"
#include "hn_query.h"
#include "t_run.h"

/* --- scenarios -------------------------------------------------------------------------------- */

enum { LINES = 24 };

struct line {
	int at_s;
	enum hn_policy_kind kind;
	int n;
	const char *want;        /* actions in order: "ask 8", "train", "advice", "" = nothing   */
};

struct scenario { const char *name; struct hn_policy_cfg cfg; struct line line[LINES]; };

#define RULES(m, cool) .mode = (m), .cooldown_s = (cool), .labels_min = 8, .label_budget = 20, \
	.label_period_s = 30 * 86400.0
#define AUTO RULES(HN_POLICY_AUTO, 600)
#define START { 0, HN_POLICY_JOB_PROMOTED, 0, "" }, { 1, HN_POLICY_CONFIRMED, 0, "" }
#define END { -1, HN_POLICY_TICK, 0, NULL }

static const struct scenario scenarios[] = {
	{ "an alarm asks for labels, enough labels start a job", { AUTO }, { START,
		{ 100, HN_POLICY_EPISODE_OPENED, HN_DATA_DRIFT, "ask 8" },
		{ 100, HN_POLICY_ASKED, 8, "" },
		{ 160, HN_POLICY_LABELS, 5, "" },
		{ 170, HN_POLICY_LABELS, 8, "train" },
		{ 170, HN_POLICY_JOB_STARTED, 0, "" },
		{ 190, HN_POLICY_JOB_PROMOTED, 0, "" },
		{ 190, HN_POLICY_EPISODE_CLOSED, 0, "" },
		{ 195, HN_POLICY_CONFIRMED, 0, "" },
		{ 9999, HN_POLICY_TICK, 0, "" }, END } },
	{ "fewer on offer than wanted: the rest is asked for later", { AUTO }, { START,
		{ 100, HN_POLICY_EPISODE_OPENED, HN_DATA_DRIFT, "ask 8" },
		{ 100, HN_POLICY_ASKED, 0, "" },
		{ 101, HN_POLICY_TICK, 0, "ask 8" },
		{ 101, HN_POLICY_ASKED, 3, "" },
		{ 102, HN_POLICY_TICK, 0, "ask 5" },
		{ 102, HN_POLICY_ASKED, 5, "" },
		{ 103, HN_POLICY_TICK, 0, "" }, END } },
	{ "labels from before the episode do not count in it", { AUTO }, { START,
		{ 50, HN_POLICY_LABELS, 7, "" },
		{ 100, HN_POLICY_EPISODE_OPENED, HN_CONCEPT_DRIFT, "ask 8" },
		{ 100, HN_POLICY_ASKED, 8, "" },
		{ 110, HN_POLICY_LABELS, 14, "" },
		{ 120, HN_POLICY_LABELS, 15, "train" }, END } },
	{ "a sensor fault neither asks nor trains, drift beside it does", { AUTO }, { START,
		{ 50, HN_POLICY_LABELS, 6, "" },
		{ 100, HN_POLICY_EPISODE_OPENED, HN_SENSOR_FAULT, "" },
		{ 110, HN_POLICY_LABELS, 30, "" },
		{ 120, HN_POLICY_TICK, 0, "" },
		{ 130, HN_POLICY_EPISODE_CHANGED, HN_DATA_DRIFT, "ask 8" }, END } },
	{ "a rejected candidate: more labels, cooldown, another job", { AUTO }, { START,
		{ 100, HN_POLICY_EPISODE_OPENED, HN_DATA_DRIFT, "ask 8" },
		{ 100, HN_POLICY_ASKED, 8, "" },
		{ 170, HN_POLICY_LABELS, 8, "train" },
		{ 170, HN_POLICY_JOB_STARTED, 0, "" },
		{ 180, HN_POLICY_JOB_REJECTED, 0, "ask 8" },
		{ 180, HN_POLICY_ASKED, 8, "" },
		{ 200, HN_POLICY_LABELS, 16, "" },
		{ 700, HN_POLICY_TICK, 0, "" },
		{ 770, HN_POLICY_TICK, 0, "train" }, END } },
	{ "the label budget of a period is never exceeded", { AUTO }, { START,
		{ 100, HN_POLICY_EPISODE_OPENED, HN_DATA_DRIFT, "ask 8" },
		{ 100, HN_POLICY_ASKED, 8, "" },
		{ 170, HN_POLICY_LABELS, 8, "train" },
		{ 170, HN_POLICY_JOB_STARTED, 0, "" },
		{ 180, HN_POLICY_JOB_REJECTED, 0, "ask 8" },
		{ 180, HN_POLICY_ASKED, 8, "" },
		{ 900, HN_POLICY_LABELS, 16, "train" },
		{ 900, HN_POLICY_JOB_STARTED, 0, "" },
		{ 950, HN_POLICY_JOB_REJECTED, 0, "ask 4" },
		{ 950, HN_POLICY_ASKED, 4, "" },
		{ 9000, HN_POLICY_LABELS, 20, "" },
		{ 9000, HN_POLICY_TICK, 0, "" },
		{ 31 * 86400, HN_POLICY_TICK, 0, "ask 4" }, END } },
	{ "a failed job backs off, twice as long each time", { AUTO }, { START,
		{ 100, HN_POLICY_EPISODE_OPENED, HN_DATA_DRIFT, "ask 8" },
		{ 100, HN_POLICY_ASKED, 8, "" },
		{ 1000, HN_POLICY_LABELS, 8, "train" },
		{ 1000, HN_POLICY_JOB_STARTED, 0, "" },
		{ 1100, HN_POLICY_JOB_FAILED, 0, "" },
		{ 1699, HN_POLICY_TICK, 0, "" },
		{ 1701, HN_POLICY_TICK, 0, "train" },
		{ 1701, HN_POLICY_JOB_STARTED, 0, "" },
		{ 2000, HN_POLICY_JOB_FAILED, 0, "" },
		{ 3100, HN_POLICY_TICK, 0, "" },
		{ 3201, HN_POLICY_TICK, 0, "train" }, END } },
	{ "a question without answer is repeated after a day", { AUTO }, { START,
		{ 100, HN_POLICY_EPISODE_OPENED, HN_DATA_DRIFT, "ask 8" },
		{ 100, HN_POLICY_ASKED, 8, "" },
		{ 80000, HN_POLICY_TICK, 0, "" },
		{ 86501, HN_POLICY_TICK, 0, "ask 8" }, END } },
	{ "mode advise tells once an episode, asks for labels, never trains",
		{ RULES(HN_POLICY_ADVISE, 600) }, { START,
		{ 100, HN_POLICY_EPISODE_OPENED, HN_DATA_DRIFT, "ask 8" },
		{ 100, HN_POLICY_ASKED, 8, "" },
		{ 170, HN_POLICY_LABELS, 8, "advice" },
		{ 180, HN_POLICY_LABELS, 9, "" },
		{ 190, HN_POLICY_RETRAIN, 0, "train" }, END } },
	{ "mode manual does nothing by itself", { RULES(HN_POLICY_MANUAL, 600) }, { START,
		{ 100, HN_POLICY_EPISODE_OPENED, HN_DATA_DRIFT, "" },
		{ 170, HN_POLICY_LABELS, 80, "" },
		{ 190, HN_POLICY_RETRAIN, 0, "train" }, END } },
	{ "a person's wish during a job is kept until it is over", { AUTO }, { START,
		{ 100, HN_POLICY_RETRAIN, 0, "train" },
		{ 100, HN_POLICY_JOB_STARTED, 0, "" },
		{ 101, HN_POLICY_RETRAIN, 0, "" },
		{ 120, HN_POLICY_JOB_PROMOTED, 0, "" },
		{ 121, HN_POLICY_TICK, 0, "" },
		{ 125, HN_POLICY_CONFIRMED, 0, "train" }, END } },
	{ "the first version: labels are asked for and a job starts with enough", { AUTO }, {
		{ 1, HN_POLICY_TICK, 0, "ask 8" },
		{ 1, HN_POLICY_ASKED, 8, "" },
		{ 10, HN_POLICY_LABELS, 8, "train" },
		{ 10, HN_POLICY_JOB_STARTED, 0, "" },
		{ 20, HN_POLICY_JOB_PROMOTED, 0, "" },
		{ 21, HN_POLICY_CONFIRMED, 0, "" },
		{ 1000, HN_POLICY_LABELS, 7, "" },
		{ 1001, HN_POLICY_LABELS, 8, "train" },
		{ 1001, HN_POLICY_JOB_STARTED, 0, "" },
		{ 1010, HN_POLICY_JOB_PROMOTED, 0, "" },
		{ 1011, HN_POLICY_CONFIRMED, 0, "" },
		{ 3000, HN_POLICY_LABELS, 15, "" },
		{ 3001, HN_POLICY_LABELS, 16, "train" }, END } },
	{ "the cooldown holds between two jobs", { RULES(HN_POLICY_AUTO, 1000) }, {
		{ 1, HN_POLICY_LABELS, 8, "train" },
		{ 1, HN_POLICY_JOB_STARTED, 0, "" },
		{ 5, HN_POLICY_JOB_PROMOTED, 0, "" },
		{ 6, HN_POLICY_CONFIRMED, 0, "" },
		{ 7, HN_POLICY_EPISODE_OPENED, HN_DATA_DRIFT, "ask 8" },
		{ 7, HN_POLICY_ASKED, 8, "" },
		{ 9, HN_POLICY_LABELS, 8, "" },
		{ 1000, HN_POLICY_TICK, 0, "" },
		{ 1001, HN_POLICY_TICK, 0, "train" }, END } },
	{ "nothing starts while a rollout is under way; a roll back waits for the cooldown", { AUTO },
		{ START,
		{ 100, HN_POLICY_RETRAIN, 0, "train" },
		{ 100, HN_POLICY_JOB_STARTED, 0, "" },
		{ 120, HN_POLICY_JOB_PROMOTED, 0, "" },
		{ 130, HN_POLICY_EPISODE_OPENED, HN_DATA_DRIFT, "" },
		{ 5000, HN_POLICY_LABELS, 9, "" },
		{ 5001, HN_POLICY_ROLLED_BACK, 0, "" },
		{ 5500, HN_POLICY_TICK, 0, "" },
		{ 5602, HN_POLICY_TICK, 0, "train" }, END } },
	{ "an audit label now and then notices concept drift", { AUTO, .audit = 10 }, { START,
		{ 260000, HN_POLICY_TICK, 0, "ask 1" },
		{ 260000, HN_POLICY_ASKED, 1, "" },
		{ 300000, HN_POLICY_LABELS, 1, "" },
		{ 400000, HN_POLICY_TICK, 0, "" },
		{ 520000, HN_POLICY_TICK, 0, "ask 1" }, END } },
	{ "the refresh interval trains with few new labels", { AUTO, .refresh_s = 86400 }, {
		{ 1, HN_POLICY_LABELS, 100, "train" },
		{ 1, HN_POLICY_JOB_STARTED, 0, "" },
		{ 5, HN_POLICY_JOB_PROMOTED, 0, "" },
		{ 6, HN_POLICY_CONFIRMED, 0, "" },
		{ 1000, HN_POLICY_LABELS, 10, "" },
		{ 86402, HN_POLICY_TICK, 0, "train" }, END } },
};
enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0] };

static void describe(const struct hn_policy_action *a, int n, char *out, size_t cap)
{
	size_t at = 0;

	out[0] = 0;
	for (int i = 0; i < n; i++) {
		const char *gap = i ? ", " : "";

		ck_assert_uint_gt(strlen(a[i].reason), 5);
		if (a[i].what == HN_POLICY_ASK)
			at += (size_t)snprintf(out + at, cap - at, "%sask %d", gap, a[i].n);
		else
			at += (size_t)snprintf(out + at, cap - at, "%s%s", gap,
			                       a[i].what == HN_POLICY_TRAIN ? "train" : "advice");
	}
}

START_TEST(each_scenario_ends_in_the_actions_of_its_table)
{
	const struct scenario *s = &scenarios[_i];
	struct hn_policy p = { 0 };

	for (const struct line *l = s->line; l->want; l++) {
		/* An odd origin: nothing may depend on time 0. */
		const struct hn_policy_event ev = { l->kind, l->n,
			1700000000000000 + (int64_t)l->at_s * 1000000 };
		struct hn_policy_action out[HN_POLICY_ACTIONS];
		char got[200];

		describe(out, hn_policy_step(&p, &s->cfg, &ev, out), got, sizeof got);
		ck_assert_msg(strcmp(got, l->want) == 0, "%s: at %d s: \"%s\", wanted \"%s\"", s->name, l->at_s,
		              got, l->want);
	}
}
END_TEST

START_TEST(a_saved_policy_goes_on_identically)
{
	const struct scenario *s = &scenarios[_i];
	struct hn_policy p = { 0 }, saved;

	for (const struct line *l = s->line; l->want; l++) {
		const struct hn_policy_event ev = { l->kind, l->n, 1000000 + (int64_t)l->at_s * 1000000 };
		struct hn_policy_action a[HN_POLICY_ACTIONS], b[HN_POLICY_ACTIONS];
		int n;

		memcpy(&saved, &p, sizeof p);
		n = hn_policy_step(&p, &s->cfg, &ev, a);
		ck_assert_int_eq(hn_policy_step(&saved, &s->cfg, &ev, b), n);
		for (int i = 0; i < n; i++)
			ck_assert(a[i].what == b[i].what && a[i].n == b[i].n && strcmp(a[i].reason, b[i].reason) == 0);
	}
}
END_TEST

START_TEST(many_questions_never_exceed_the_budget)
{
	const struct hn_policy_cfg cfg = { .labels_min = 8, .label_budget = 1000, .label_period_s = 1e6 };
	struct hn_policy p = { 0 };
	struct hn_policy_action out[HN_POLICY_ACTIONS];

	for (int i = 0; i < 500; i++) {          /* more than the policy can remember one by one */
		const struct hn_policy_event ev = { HN_POLICY_ASKED, 2, (int64_t)i * 1000000 };

		(void)hn_policy_step(&p, &cfg, &ev, out);
		ck_assert_int_eq(hn_policy_budget(&p, &cfg, ev.now_us), 1000 - 2 * (i + 1));
	}
	ck_assert_int_eq(hn_policy_budget(&p, &cfg, 500 * 1000000LL), 0);
	ck_assert_int_eq(hn_policy_budget(&p, &cfg, 2000000LL * 1000000), 1000);
}
END_TEST

/* --- which windows ---------------------------------------------------------------------------- */

enum { CAP = 32, DIM = 2 };

static struct hn_query q;
static void *mem;

static void setup(void)
{
	const size_t need = hn_query_need(CAP, DIM);
	struct hn_arena a;

	mem = aligned_alloc(HN_ARENA_ALIGN, (need + 63) / 64 * 64);
	ck_assert_ptr_nonnull(mem);
	hn_arena_init(&a, mem, need);
	ck_assert_int_eq(hn_query_init(&q, CAP, DIM, &a), HN_OK);
	ck_assert_uint_eq(a.used, need);
}

static void teardown(void)
{
	free(mem);
}

static void add(int64_t t, int margin, float x, float y)
{
	const struct hn_query_item it = { .event_us = t, .stream = 1, .margin = margin };
	const float v[DIM] = { x, y };

	(void)hn_query_add(&q, &it, v);
}

START_TEST(no_window_is_offered_twice_and_all_of_them_once)
{
	int pick[CAP + 8];
	bool seen[CAP] = { false };

	for (int i = 0; i < CAP; i++)
		add(i, i * 5, (float)(i % 7), (float)(i % 5));
	ck_assert_int_eq(hn_query_pick(&q, hn_query_hows[_i], 10, pick), 10);
	ck_assert_int_eq(hn_query_pick(&q, hn_query_hows[_i], CAP, pick + 10), CAP - 10);
	for (int i = 0; i < CAP; i++) {
		ck_assert(!seen[pick[i]]);
		seen[pick[i]] = true;
	}
	ck_assert_int_eq(hn_query_pick(&q, hn_query_hows[_i], 5, pick), 0);
}
END_TEST

START_TEST(uncertain_takes_the_smallest_margins)
{
	int pick[3];

	for (int i = 0; i < 20; i++)
		add(i, 100 + (i * 37) % 101, (float)i, 0.0f);
	ck_assert_int_eq(hn_query_pick(&q, hn_query_how_find("uncertain"), 3, pick), 3);
	for (int i = 0; i < 20; i++)
		for (int k = 0; k < 3; k++)
			if (!hn_query_at(&q, i)->asked)
				ck_assert_int_ge(hn_query_at(&q, i)->margin, hn_query_at(&q, pick[k])->margin);
}
END_TEST

START_TEST(diverse_takes_one_of_each_cluster_whatever_the_units)
{
	int pick[4], clusters[4] = { 0 };

	for (int i = 0; i < 28; i++)             /* four clusters; the second feature in other units */
		add(i, -1, (float)((i % 2) * 10) + 0.01f * (float)i,
		    1e-4f * (float)(i / 2 % 2) + 1e-8f * (float)i);
	ck_assert_int_eq(hn_query_pick(&q, hn_query_how_find("diverse"), 4, pick), 4);
	for (int i = 0; i < 4; i++)
		clusters[hn_query_at(&q, pick[i])->event_us % 4]++;
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(clusters[i], 1);
}
END_TEST

START_TEST(known_and_old_windows_are_not_offered)
{
	int pick[CAP];

	for (int i = 0; i < 20; i++)
		add(i, -1, (float)i, 0.0f);
	hn_query_known(&q, 1, 5, 9);
	hn_query_known(&q, 2, 0, 100);           /* another stream */
	ck_assert_int_eq(hn_query_pick(&q, hn_query_how_find("mixed"), CAP, pick), 15);
	hn_query_clear(&q);
	for (int i = 0; i < 20; i++)
		add(i, -1, (float)i, 0.0f);
	hn_query_expire(&q, 12);
	ck_assert_int_eq(hn_query_pick(&q, hn_query_how_find("mixed"), CAP, pick), 8);
	for (int i = 0; i < 8; i++)
		ck_assert_int_ge((int)hn_query_at(&q, pick[i])->event_us, 12);
}
END_TEST

START_TEST(a_long_stream_leaves_a_uniform_sample)
{
	double mean = 0.0;
	const float bad[DIM] = { 0.0f, (float)NAN };
	const struct hn_query_item it = { .event_us = 1 };

	for (int round = 0; round < 50; round++) {
		hn_query_clear(&q);
		for (int i = 0; i < 1000; i++)
			add(i, -1, (float)i, 0.0f);
		for (int i = 0; i < CAP; i++)
			mean += (double)hn_query_at(&q, i)->event_us / CAP / 50;
	}
	ck_assert_msg(fabs(mean - 499.5) < 30.0, "mean %g", mean);       /* 4 standard errors */
	ck_assert_int_eq(hn_query_add(&q, &it, bad), -1);
}
END_TEST

START_TEST(a_margin_that_comes_later_is_noted)
{
	add(10, -1, 0.0f, 0.0f);
	add(20, 50, 1.0f, 0.0f);
	hn_query_margin(&q, 1, 9, 11, 7);
	hn_query_margin(&q, 1, 19, 21, 90);
	ck_assert_int_eq(hn_query_at(&q, 0)->margin, 7);
	ck_assert_int_eq(hn_query_at(&q, 1)->margin, 50);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("policy");
	TCase *t = tcase_create("scenarios"), *w = tcase_create("windows");
	int n = 0;

	while (hn_query_hows[n])
		n++;
	tcase_add_loop_test(t, each_scenario_ends_in_the_actions_of_its_table, 0, SCENARIOS);
	tcase_add_loop_test(t, a_saved_policy_goes_on_identically, 0, SCENARIOS);
	tcase_add_test(t, many_questions_never_exceed_the_budget);
	tcase_add_checked_fixture(w, setup, teardown);
	tcase_add_loop_test(w, no_window_is_offered_twice_and_all_of_them_once, 0, n);
	tcase_add_test(w, uncertain_takes_the_smallest_margins);
	tcase_add_test(w, diverse_takes_one_of_each_cluster_whatever_the_units);
	tcase_add_test(w, known_and_old_windows_are_not_offered);
	tcase_add_test(w, a_long_stream_leaves_a_uniform_sample);
	tcase_add_test(w, a_margin_that_comes_later_is_noted);
	suite_add_tcase(s, t);
	suite_add_tcase(s, w);
	return t_run(s);
}
