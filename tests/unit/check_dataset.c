/* Windows, split, scaler; and which predictions are worth a label. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hn_ask.h"
#include "hn_dataset.h"
#include "hn_rng.h"
#include "t_run.h"

enum { N = 4000, CLASSES = 4 };

static struct hn_window w[N];

static void near(float a, float b, double tolerance)
{
	ck_assert_double_le(fabs((double)a - (double)b), tolerance);
}

static void fill(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		w[i] = (struct hn_window){ .end_us = 1700000000000000 + 80000 * (int64_t)i,
			.stream = (int)(i % 3), .label = (int32_t)(i % CLASSES), .label_id = i, .at = i,
			.recent = i >= n / 2 };
}

START_TEST(one_window_an_end_remains_and_it_is_the_one_labelled_last)
{
	fill(100);
	for (uint32_t i = 0; i < 100; i++) {
		w[i].stream = 0;
		w[i].end_us = 1000 * (int64_t)(i % 40);
		w[i].label_id = 100 - i;
	}
	ck_assert_uint_eq(hn_dataset_unique(w, 100), 40);
	for (uint32_t i = 0; i < 40; i++) {
		ck_assert_int_eq(w[i].end_us, 1000 * (int64_t)i);
		ck_assert_int_eq(w[i].label_id, 100 - i);    /* the first of equals had the highest id */
	}
}
END_TEST

START_TEST(what_is_held_back_once_is_held_back_in_every_later_job)
{
	const struct hn_split_cfg cfg = { .holdout = 0.2, .holdout_recent = 0.2, .valid = 0.1,
	                                  .classes = CLASSES, .seed = 1 };
	uint32_t counts[HN_PARTS];
	uint8_t before[1000];

	fill(1000);
	ck_assert_int_eq(hn_dataset_split(w, 1000, &cfg, counts), HN_OK);
	ck_assert_uint_eq(counts[HN_TRAIN] + counts[HN_VALID] + counts[HN_HOLDOUT], 1000);
	ck_assert_uint_gt(counts[HN_HOLDOUT], 160);
	ck_assert_uint_lt(counts[HN_HOLDOUT], 240);
	for (int i = 0; i < 1000; i++)
		before[i] = w[i].part;
	fill(N);                                 /* more data has come */
	ck_assert_int_eq(hn_dataset_split(w, N, &cfg, counts), HN_OK);
	for (int i = 0; i < 1000; i++)
		ck_assert_uint_eq(w[i].part == HN_HOLDOUT, before[i] == HN_HOLDOUT);
}
END_TEST

START_TEST(recent_windows_have_a_share_of_their_own_and_a_rare_class_trains)
{
	const struct hn_split_cfg cfg = { .holdout = 0.3, .holdout_recent = 0, .valid = 0,
	                                  .classes = CLASSES, .seed = 1 };
	uint32_t counts[HN_PARTS];

	fill(400);
	for (int i = 0; i < 400; i++)
		w[i].label = i == 7 ? 3 : i % 3;
	ck_assert_int_eq(hn_dataset_split(w, 400, &cfg, counts), HN_OK);
	for (int i = 200; i < 400; i++)
		ck_assert_uint_eq(w[i].part, HN_TRAIN);
	ck_assert_uint_eq(w[7].part, HN_TRAIN);
	ck_assert_uint_gt(counts[HN_HOLDOUT], 0);
}
END_TEST

START_TEST(windows_of_one_stretch_of_time_share_their_part)
{
	const int64_t block_us = 8 * 80000;
	const struct hn_split_cfg cfg = { .holdout = 0.3, .holdout_recent = 0.3, .valid = 0.1,
	                                  .classes = CLASSES, .seed = 1, .block_us = block_us };
	uint32_t counts[HN_PARTS], changes = 0;

	fill(N);
	for (int i = 0; i < N; i++)
		w[i].stream = 0;
	ck_assert_int_eq(hn_dataset_split(w, N, &cfg, counts), HN_OK);
	for (int i = 1; i < N; i++) {
		if (w[i].end_us / block_us == w[i - 1].end_us / block_us)
			ck_assert_uint_eq(w[i].part, w[i - 1].part);
		changes += w[i].part != w[i - 1].part;
	}
	ck_assert_uint_gt(changes, N / 8 / 4);
	ck_assert_uint_gt(counts[HN_HOLDOUT], N / 5);
}
END_TEST

START_TEST(an_outlier_is_held_back_even_when_its_class_has_nothing_else)
{
	const struct hn_split_cfg cfg = { .holdout = 0.2, .holdout_recent = 0.2, .classes = 2, .seed = 1 };
	uint32_t counts[HN_PARTS];

	fill(200);
	for (int i = 0; i < 200; i++) {
		w[i].outlier = i % 10 == 0;
		w[i].label = w[i].outlier;
	}
	ck_assert_int_eq(hn_dataset_split(w, 200, &cfg, counts), HN_OK);
	for (int i = 0; i < 200; i += 10)
		ck_assert_uint_eq(w[i].part, HN_HOLDOUT);
}
END_TEST

START_TEST(shares_and_labels_out_of_range_are_refused)
{
	struct hn_split_cfg cfg = { .holdout = 0.9, .valid = 0.2, .classes = CLASSES };
	uint32_t counts[HN_PARTS];

	fill(10);
	ck_assert_int_eq(hn_dataset_split(w, 10, &cfg, counts), HN_ERANGE);
	cfg.holdout = (double)NAN;
	ck_assert_int_eq(hn_dataset_split(w, 10, &cfg, counts), HN_ERANGE);
	cfg.holdout = 0.1;
	w[3].label = CLASSES;
	ck_assert_int_eq(hn_dataset_split(w, 10, &cfg, counts), HN_ERANGE);
	w[3].label = -1;
	ck_assert_int_eq(hn_dataset_split(w, 10, &cfg, counts), HN_ERANGE);
}
END_TEST

START_TEST(the_scaler_is_the_weighted_mean_and_deviation_of_old_and_fresh)
{
	static int32_t v[2 * 3 * 2] = { 0, 1000000, 2, 1000010, 4, 1000020, 100, 5, 100, 5, 100, 5 };
	static int32_t fresh_v[2] = { 13, 1000050 };
	const float weight[2] = { 1, 0 };
	const struct hn_raw raw = { v, 2, 3, 2 }, fresh = { fresh_v, 1, 1, 2 };
	struct hn_scaler s;
	float x[6];

	ck_assert_int_eq(hn_scaler_fit(&raw, weight, NULL, &s), HN_OK);
	near(s.mean[0], 2, 0);
	near(s.mean[1], 1000010, 0);
	near(s.std[0], sqrtf(8.0f / 3), 1e-5);
	near(s.std[1], sqrtf(200.0f / 3), 1e-4);
	ck_assert_int_eq(hn_scaler_fit(&raw, weight, &fresh, &s), HN_OK);
	near(s.mean[0], roundf(19.0f / 4), 0);
	hn_scaler_apply(&s, v, 3, x);
	near(x[4], (4 - s.mean[0]) / s.std[0], 1e-6);
}
END_TEST

START_TEST(a_constant_channel_gets_one_count_and_nothing_at_all_is_an_error)
{
	static int32_t v[4] = { 7, 7, 7, 7 };
	const float zero[4] = { 0 };
	struct hn_raw raw = { v, 4, 1, 1 };
	struct hn_scaler s;

	ck_assert_int_eq(hn_scaler_fit(&raw, NULL, NULL, &s), HN_OK);
	near(s.std[0], 1, 0);
	ck_assert_int_eq(hn_scaler_fit(&raw, zero, NULL, &s), HN_EDATA);
	raw.n = 0;
	ck_assert_int_eq(hn_scaler_fit(&raw, NULL, NULL, &s), HN_EDATA);
	raw.ch = 0;
	ck_assert_int_eq(hn_scaler_fit(&raw, NULL, NULL, &s), HN_ERANGE);
}
END_TEST

/* --- asking -------------------------------------------------------------------------------- */

static const struct hn_ask_cfg ask_cfg = { .budget = 20, .period_s = 86400, .margin = 0.9,
                                          .spacing = 3 };
static const int64_t day_us = 86400000000, second_us = 1000000;

START_TEST(the_first_prediction_of_a_period_is_asked_for_however_sure)
{
	struct hn_ask a = { 0 };

	ck_assert(hn_ask_step(&a, &ask_cfg, 1.0, 5 * day_us));
	ck_assert(!hn_ask_step(&a, &ask_cfg, 1.0, 5 * day_us + second_us));
	ck_assert_int_eq(hn_ask_period_start(&a, &ask_cfg), 5 * day_us);
	ck_assert(hn_ask_step(&a, &ask_cfg, 1.0, 6 * day_us));
	ck_assert_int_eq(a.used, 1);
}
END_TEST

START_TEST(the_budget_of_a_period_is_never_exceeded)
{
	struct hn_ask a = { 0 };
	int asked = 0;

	for (int i = 0; i < 80000; i++)
		asked += hn_ask_step(&a, &ask_cfg, 0.0, 3 * day_us + i * second_us);
	ck_assert_int_eq(asked, 20);
}
END_TEST

START_TEST(questions_keep_their_distance_and_get_stricter)
{
	struct hn_ask a = { 0 };
	int last = 0, used = 1;

	ck_assert(hn_ask_step(&a, &ask_cfg, 0.0, 3 * day_us));
	for (int i = 1; i < 500; i++) {
		const double limit = ask_cfg.margin * pow(0.95, used);

		if (i % 2 && hn_ask_step(&a, &ask_cfg, limit + 1e-9, 3 * day_us + i * second_us))
			ck_abort_msg("asked above the threshold after %d", used);
		if (i % 2 == 0 && hn_ask_step(&a, &ask_cfg, limit - 1e-9, 3 * day_us + i * second_us)) {
			ck_assert_int_ge(i - last, 3);
			last = i;
			used++;
		}
	}
	ck_assert_int_eq(used, 20);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dataset");
	TCase *t = tcase_create("dataset");

	tcase_add_test(t, one_window_an_end_remains_and_it_is_the_one_labelled_last);
	tcase_add_test(t, what_is_held_back_once_is_held_back_in_every_later_job);
	tcase_add_test(t, recent_windows_have_a_share_of_their_own_and_a_rare_class_trains);
	tcase_add_test(t, windows_of_one_stretch_of_time_share_their_part);
	tcase_add_test(t, an_outlier_is_held_back_even_when_its_class_has_nothing_else);
	tcase_add_test(t, shares_and_labels_out_of_range_are_refused);
	tcase_add_test(t, the_scaler_is_the_weighted_mean_and_deviation_of_old_and_fresh);
	tcase_add_test(t, a_constant_channel_gets_one_count_and_nothing_at_all_is_an_error);
	tcase_add_test(t, the_first_prediction_of_a_period_is_asked_for_however_sure);
	tcase_add_test(t, the_budget_of_a_period_is_never_exceeded);
	tcase_add_test(t, questions_keep_their_distance_and_get_stricter);
	suite_add_tcase(s, t);
	return t_run(s);
}
