/* check_quality.c - every rule of the table, alone and together. */
#include <check.h>
#include <string.h>
#include "hn_quality.h"
#include "hn_rng.h"
#include "t_run.h"

enum { SEED = 7, N_CH = 3, S = 1000000 };

static struct hn_channel channels[N_CH];
static struct hn_quality_state st;
static struct hn_quality_cfg cfg;
static struct hn_quality_report rep;
static struct hn_rng rng;

static void setup(void)
{
	for (int i = 0; i < N_CH; i++)
		channels[i] = (struct hn_channel){ .scale = 0.01, .min = -10.0, .max = 10.0 };
	channels[2].min = channels[2].max = 0.0;         /* not checked */
	memset(&st, 0, sizeof st);
	cfg = (struct hn_quality_cfg){ .channels = channels, .n = N_CH, .gap_us = 5 * S };
	hn_rng_seed(&rng, SEED);
}

static struct hn_frame frame(int t_s)
{
	struct hn_frame f = { .event_us = (int64_t)t_s * S, .ingest_us = (int64_t)t_s * S, .n = N_CH };

	for (int i = 0; i < N_CH; i++) {
		f.raw[i] = (int32_t)hn_rng_below(&rng, 200) - 100;
		f.quality[i] = HN_NOT_EVALUATED;
	}
	return f;
}

static void step(struct hn_frame *f)
{
	ck_assert_int_eq(hn_quality_step(&st, &cfg, f, &rep), HN_OK);
}

static int rule(const char *name)
{
	for (int i = 0; i < HN_QUALITY_RULES; i++)
		if (strcmp(hn_quality_rules[i].name, name) == 0)
			return i;
	ck_abort_msg("no rule %s", name);
}

/* 1..n: an ordinary history. */
static void history(int n)
{
	for (int t = 1; t <= n; t++) {
		struct hn_frame f = frame(t);

		step(&f);
		ck_assert_int_eq(rep.worst, HN_GOOD);
	}
}

START_TEST(ordinary_values_are_good)
{
	history(2000);
}
END_TEST

START_TEST(out_of_range_fails_only_its_channel)
{
	struct hn_frame f;

	history(100);
	f = frame(101);
	f.raw[1] = 1001;
	f.raw[2] = 2000000000;
	step(&f);
	ck_assert_int_eq(f.quality[0], HN_GOOD);
	ck_assert_int_eq(f.quality[1], HN_FAIL);
	ck_assert_int_eq(f.quality[2], HN_GOOD);
	ck_assert_int_eq(rep.hits[rule("range")], 1);
	ck_assert_int_eq(rep.worst, HN_FAIL);
	f = frame(102);
	f.raw[0] = 1000;                         /* exactly the limit is inside */
	step(&f);
	ck_assert_int_eq(f.quality[0], HN_GOOD);
}
END_TEST

START_TEST(missing_stays_missing_and_failed_stays_failed)
{
	struct hn_frame f = frame(1);

	f.quality[0] = HN_MISSING;
	f.raw[0] = 5000;
	f.quality[1] = HN_FAIL;
	step(&f);
	ck_assert_int_eq(f.quality[0], HN_MISSING);
	ck_assert_int_eq(f.quality[1], HN_FAIL);
	ck_assert_int_eq(f.quality[2], HN_GOOD);
	ck_assert_int_eq(rep.hits[rule("missing")], 1);
}
END_TEST

START_TEST(stuck_sensor_becomes_suspect_and_recovers)
{
	struct hn_frame f;
	int first = 0;

	history(300);
	for (int k = 1; k <= 40; k++) {
		f = frame(300 + k);
		f.raw[1] = 42;
		step(&f);
		if (f.quality[1] == HN_SUSPECT && !first)
			first = k;
		ck_assert_int_eq(f.quality[0], HN_GOOD);
	}
	ck_assert_int_eq(first, 16);
	f = frame(341);
	step(&f);
	ck_assert_int_eq(f.quality[1], HN_GOOD);
	/* One stuck stretch has not taught that stuck is normal. */
	for (int k = 1; k <= 20; k++) {
		f = frame(341 + k);
		f.raw[1] = 7;
		step(&f);
	}
	ck_assert_int_eq(f.quality[1], HN_SUSPECT);
}
END_TEST

START_TEST(slow_and_coarse_channels_may_repeat_themselves)
{
	int32_t value = 0;

	for (int t = 1; t <= 20000; t++) {
		struct hn_frame f = frame(t);

		if (hn_rng_below(&rng, 10) == 0)         /* changes one time in ten */
			value = (int32_t)hn_rng_below(&rng, 200);
		f.raw[0] = value;
		step(&f);
		if (t > 500)
			ck_assert_msg(f.quality[0] == HN_GOOD, "frame %d after a run", t);
	}
}
END_TEST

START_TEST(a_channel_that_never_moved_is_not_accused)
{
	for (int t = 1; t <= 1000; t++) {
		struct hn_frame f = frame(t);

		f.raw[0] = 5;
		step(&f);
		ck_assert_int_eq(f.quality[0], HN_GOOD);
	}
}
END_TEST

START_TEST(silence_is_a_gap_but_the_values_after_it_are_good)
{
	struct hn_frame f;

	history(10);
	f = frame(15);
	step(&f);
	ck_assert(!rep.gap);
	f = frame(21);
	step(&f);
	ck_assert(rep.gap);
	ck_assert_int_eq(rep.worst, HN_GOOD);
}
END_TEST

START_TEST(time_that_stands_still_or_goes_back_is_suspect_and_changes_nothing)
{
	static const int times[] = { 10, 9, -5 };
	struct hn_quality_state before;
	struct hn_frame f;

	history(10);
	before = st;
	for (int i = 0; i < 3; i++) {
		f = frame(times[i]);
		f.ingest_us = 20 * (int64_t)S;
		step(&f);
		ck_assert(rep.late);
		ck_assert_int_eq(f.quality[0], HN_SUSPECT);
		ck_assert_mem_eq(&before, &st, sizeof st);
	}
}
END_TEST

START_TEST(a_date_far_in_the_future_fails_and_does_not_stop_the_stream)
{
	struct hn_frame f;

	history(10);
	f = frame(11);
	f.event_us += 365LL * 86400 * S;
	step(&f);
	ck_assert_int_eq(f.quality[0], HN_FAIL);
	f = frame(12);
	step(&f);
	ck_assert_int_eq(rep.worst, HN_GOOD);
	f = frame(13);
	f.event_us = INT64_MAX;
	step(&f);
	ck_assert_int_eq(rep.worst, HN_FAIL);
	f = frame(14);
	f.event_us = INT64_MIN;
	step(&f);
	ck_assert(rep.late);
}
END_TEST

START_TEST(a_frame_with_other_channels_is_refused_untouched)
{
	struct hn_frame f = frame(1), copy;

	f.n = 2;
	copy = f;
	ck_assert_int_eq(hn_quality_step(&st, &cfg, &f, &rep), HN_EINVAL);
	ck_assert_mem_eq(&copy, &f, sizeof f);
}
END_TEST

START_TEST(every_rule_has_a_name_and_a_flag_of_qartod)
{
	const struct hn_quality_rule *r = &hn_quality_rules[_i];

	ck_assert(r->name[0] && r->help[0] && r->broken);
	ck_assert(r->flag == HN_GOOD || r->flag == HN_SUSPECT || r->flag == HN_FAIL ||
	          r->flag == HN_MISSING);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quality");
	TCase *t = tcase_create("rules");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, ordinary_values_are_good);
	tcase_add_test(t, out_of_range_fails_only_its_channel);
	tcase_add_test(t, missing_stays_missing_and_failed_stays_failed);
	tcase_add_test(t, stuck_sensor_becomes_suspect_and_recovers);
	tcase_add_test(t, slow_and_coarse_channels_may_repeat_themselves);
	tcase_add_test(t, a_channel_that_never_moved_is_not_accused);
	tcase_add_test(t, silence_is_a_gap_but_the_values_after_it_are_good);
	tcase_add_test(t, time_that_stands_still_or_goes_back_is_suspect_and_changes_nothing);
	tcase_add_test(t, a_date_far_in_the_future_fails_and_does_not_stop_the_stream);
	tcase_add_test(t, a_frame_with_other_channels_is_refused_untouched);
	tcase_add_loop_test(t, every_rule_has_a_name_and_a_flag_of_qartod, 0, HN_QUALITY_RULES);
	suite_add_tcase(s, t);
	return t_run(s);
}
