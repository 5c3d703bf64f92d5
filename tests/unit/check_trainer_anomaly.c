/* hone-train without labels: an autoencoder from the frames alone, its limit, what is kept out. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "hd_check.h"
#include "hn_model.h"
#include "t_job.h"
#include "t_run.h"

enum { WINDOWS = 400, PERIOD_US = 10000, VALUES = T_JOB_WINDOW * T_JOB_CHANNELS };
static const int64_t begin_us = 1700000000000000;

static struct t_job t;

static void setup(void)
{
	t_job_make(&t, WINDOWS);
	t_job_sql(&t, "DELETE FROM label");
	(void)json_object_set_new(t.spec, "task", json_string("autoencode"));
	(void)json_object_set_new(t.spec, "classes", json_integer(2));
	(void)json_object_set_new(t.spec, "network", json_string("dense 16, relu, dense 48"));
	(void)json_object_set_new(t_job_train(&t), "quantile", json_real(0.95));
}

static void teardown(void)
{
	t_job_remove(&t);
}

/* Event time of the last frame of window i. */
static int64_t end_of(int i)
{
	return begin_us + ((int64_t)(i + 1) * T_JOB_WINDOW - 1) * PERIOD_US;
}

static json_t *report(void)
{
	json_t *failed = t_job_json(&t, JOB_FAILED), *o = t_job_json(&t, JOB_REPORT);

	ck_assert_msg(!failed, "%s", json_string_value(json_object_get(failed, "reason")));
	ck_assert_ptr_nonnull(o);
	return o;
}

/* The number at "a.b" or "a". */
static double number(const json_t *o, const char *group, const char *key)
{
	const json_t *v = group ? json_object_get(o, group) : o;

	v = json_object_get(v, key);
	ck_assert_msg(json_is_number(v), "the report has no %s %s", group ? group : "", key);
	return json_number_value(v);
}

static double windows(const json_t *o)
{
	return number(o, "windows", "train") + number(o, "windows", "valid") +
	       number(o, "windows", "holdout");
}

static const uint8_t *candidate(struct hn_model *m, uint8_t **copy)
{
	size_t len = 0;
	const uint8_t *blob = t_job_message(&t, JOB_CANDIDATE, &len);

	ck_assert_ptr_nonnull(blob);
	*copy = aligned_alloc(4, (len + 3) & ~(size_t)3);
	ck_assert_ptr_nonnull(*copy);
	memcpy(*copy, blob, len);
	ck_assert_int_eq(hn_model_read(m, *copy, len, NULL), HN_OK);
	return *copy;
}

START_TEST(frames_alone_make_an_autoencoder_with_a_limit)
{
	struct hn_model m;
	struct hd_net net;
	uint8_t *blob;
	json_t *o;

	t_job_run(&t);
	o = report();
	(void)candidate(&m, &blob);
	ck_assert_int_eq(hd_net_check(&net, m.image, m.image_len), HD_OK);
	ck_assert_uint_eq(net.needs >> 14 & 1, 1);
	ck_assert_double_eq(net.limit, number(o, NULL, "limit"));
	ck_assert_uint_eq(net.out_n, VALUES);
	ck_assert_double_eq((double)m.in_scale, (double)m.out_scale);
	ck_assert_int_eq(m.in_zp, m.out_zp);
	printf("error: float %.4f, int8 %.4f, mean of each channel %.4f; limit %u, %.0f of %.0f within\n",
	       number(o, NULL, "float_error"), number(o, NULL, "int8_error"),
	       number(o, NULL, "plain_error"), net.limit, number(o, "normal", "inside"),
	       number(o, "normal", "n"));
	ck_assert_double_lt(number(o, NULL, "int8_error"), number(o, NULL, "plain_error"));
	ck_assert_double_lt(number(o, NULL, "int8_error"), 1.1 * number(o, NULL, "float_error"));
	ck_assert_double_ge(number(o, "normal", "inside"), 0.95 * number(o, "normal", "n"));
	ck_assert_double_lt(number(o, "normal", "inside"), number(o, "normal", "n"));
	ck_assert_double_eq(windows(o), WINDOWS);
	ck_assert_double_eq(number(o, "windows", "holdout"), number(o, "normal", "n"));
	json_decref(o);
	free(blob);
}
END_TEST

START_TEST(against_itself_no_window_is_won_and_none_is_lost)
{
	json_t *o, *kept;
	size_t len = 0;
	const uint8_t *blob;

	t_job_run(&t);
	blob = t_job_message(&t, JOB_CANDIDATE, &len);
	t_job_version(&t, blob, len);
	(void)json_object_set_new(t.spec, "champion", json_integer(1));
	t_job_run(&t);
	o = report();
	kept = json_object_get(json_object_get(o, "sets"), "kept");
	ck_assert_double_eq(number(kept, NULL, "wins"), 0);
	ck_assert_double_eq(number(kept, NULL, "losses"), 0);
	ck_assert_double_eq(number(kept, NULL, "champion"), number(kept, NULL, "challenger"));
	ck_assert_double_gt(number(kept, NULL, "champion"), 0);
	json_decref(o);
}
END_TEST

/* A label of the last frame of windows a..b - 1, every k-th. */
static void label(int a, int b, int k, double value)
{
	char sql[300];

	for (int i = a; i < b; i += k) {
		(void)snprintf(sql, sizeof sql, "INSERT INTO label(stream, t0, t1, value, who, given) "
			"SELECT id, %lld, %lld, %g, 'test', 1 FROM stream WHERE name = 'vib'",
			(long long)end_of(i), (long long)end_of(i), value);
		t_job_sql(&t, sql);
	}
}

START_TEST(what_a_label_calls_an_anomaly_is_held_back_for_good_and_not_compared)
{
	json_t *o;

	label(0, WINDOWS, 10, 1);
	t_job_run(&t);
	o = report();
	ck_assert_double_eq(number(o, "anomalies", "n"), WINDOWS / 10);
	ck_assert_double_eq(windows(o), WINDOWS);
	ck_assert_double_eq(number(o, "normal", "n"), number(o, "windows", "holdout") - WINDOWS / 10);
	json_decref(o);
}
END_TEST

/* The model called the windows a..b - 1 anomalies. */
static void answered(int a, int b)
{
	char sql[400];

	t_job_sql(&t, "INSERT OR IGNORE INTO model(name) VALUES('pump')");
	for (int i = a; i < b; i++) {
		(void)snprintf(sql, sizeof sql, "INSERT INTO prediction(stream, t, model, version, class, "
			"margin, device, made) SELECT s.id, %lld, m.id, 1, 1, 0, 0, 1 FROM stream s, model m "
			"WHERE s.name = 'vib' AND m.name = 'pump'", (long long)end_of(i));
		t_job_sql(&t, sql);
	}
}

START_TEST(an_anomaly_of_the_old_regime_is_left_out_unless_a_label_calls_it_normal)
{
	json_t *o;

	answered(10, 30);
	answered(300, 320);              /* of the new regime: they stay */
	label(10, 15, 1, 0);
	(void)json_object_set_new(t.spec, "since_us", json_integer(end_of(200)));
	t_job_run(&t);
	o = report();
	ck_assert_double_eq(number(o, NULL, "left_out"), 15);
	ck_assert_double_eq(windows(o), WINDOWS - 15 - 1);       /* one lies over the border */
	json_decref(o);
}
END_TEST

START_TEST(more_windows_than_allowed_are_thinned_and_the_new_regime_keeps_its_half)
{
	json_t *o, *sets;
	double n;

	(void)json_object_set_new(t_job_train(&t), "windows_max", json_integer(64));
	(void)json_object_set_new(t_job_train(&t), "holdout", json_real(0.5));
	(void)json_object_set_new(t_job_train(&t), "holdout_recent", json_real(0.5));
	(void)json_object_set_new(t.spec, "since_us", json_integer(end_of(350)));
	t_job_run(&t);
	o = report();
	n = windows(o);
	ck_assert_double_le(n, 64);
	ck_assert_double_gt(n, 32);
	sets = json_object_get(o, "sets");
	printf("%.0f windows; held back: %.0f old, %.0f recent\n", n,
	       number(json_object_get(sets, "kept"), NULL, "n"),
	       number(json_object_get(sets, "recent"), NULL, "n"));
	ck_assert_double_gt(number(json_object_get(sets, "recent"), NULL, "n"), 2);
	ck_assert_double_gt(number(json_object_get(sets, "kept"), NULL, "n"), 2);
	json_decref(o);
}
END_TEST

static const struct { const char *network, *word; } bads[] = {
	{ "dense 16, relu, dense 47", "autoencode needs 48 outputs" },
	{ "dense 48, tanh", "grid of its own" }, { "dense 48, sigmoid", "grid of its own" },
};

START_TEST(a_network_that_cannot_be_compared_with_its_input_is_refused)
{
	json_t *o;

	(void)json_object_set_new(t.spec, "network", json_string(bads[_i].network));
	t_job_run(&t);
	o = t_job_json(&t, JOB_FAILED);
	ck_assert_ptr_nonnull(o);
	ck_assert_msg(strstr(json_string_value(json_object_get(o, "reason")), bads[_i].word), "%s",
	              json_string_value(json_object_get(o, "reason")));
	json_decref(o);
}
END_TEST

static const struct { const char *key; int value; } kinds[] = {
	{ "quantise", 1 }, { "update", 1 }, { "update", 2 }, { "update", 3 }, { "update", 4 },
};

START_TEST(every_kind_of_update_works_and_keeps_both_ends_on_one_grid)
{
	struct hn_model m;
	struct hd_net net;
	const uint8_t *blob;
	uint8_t *copy;
	size_t len = 0;

	t_job_run(&t);
	blob = t_job_message(&t, JOB_CANDIDATE, &len);
	t_job_version(&t, blob, len);
	(void)json_object_set_new(t.spec, "champion", json_integer(1));
	(void)json_object_set_new(t.spec, "since_us", json_integer(end_of(200)));
	(void)json_object_set_new(t_job_train(&t), "scaler_frames", json_integer(64));
	(void)json_object_set_new(t_job_train(&t), "epochs", json_integer(4));
	(void)json_object_set_new(t_job_train(&t), kinds[_i].key, json_integer(kinds[_i].value));
	t_job_run(&t);
	json_decref(report());
	(void)candidate(&m, &copy);
	ck_assert_int_eq(hd_net_check(&net, m.image, m.image_len), HD_OK);
	ck_assert_uint_lt(net.limit, UINT8_MAX);
	ck_assert_double_eq((double)m.in_scale, (double)m.out_scale);
	ck_assert_int_eq(m.in_zp, m.out_zp);
	free(copy);
}
END_TEST

/* The spec of a job that takes long enough to be killed, with checkpoints all the time. */
static void make_long(void)
{
	(void)json_object_set_new(t.spec, "checkpoint", json_string(t.checkpoint));
	(void)json_object_set_new(t_job_train(&t), "checkpoint_s", json_real(0.01));
	(void)json_object_set_new(t_job_train(&t), "epochs", json_integer(2000));
}

START_TEST(a_job_that_is_killed_goes_on_to_the_same_bits_though_answers_came)
{
	uint8_t *first;
	const uint8_t *p;
	size_t n = 0, len = 0;
	json_t *o;

	make_long();
	(void)json_object_set_new(t.spec, "now_us", json_integer(2));
	(void)json_object_set_new(t.spec, "checkpoint", json_string(""));
	t_job_run(&t);
	json_decref(report());
	p = t_job_message(&t, JOB_CANDIDATE, &len);
	first = malloc(len);
	ck_assert_ptr_nonnull(first);
	memcpy(first, p, len);
	(void)json_object_set_new(t.spec, "checkpoint", json_string(t.checkpoint));
	t_job_start(&t);
	t_job_kill(&t);
	ck_assert_msg(WIFSIGNALED(t.status), "it was too fast to be killed");
	answered(50, 60);
	t_job_sql(&t, "UPDATE prediction SET made = 3");
	t_job_run(&t);
	json_decref(report());
	o = t_job_json(&t, JOB_RESUMED);
	ck_assert_ptr_nonnull(o);
	ck_assert_ptr_null(json_object_get(o, "refused"));
	json_decref(o);
	p = t_job_message(&t, JOB_CANDIDATE, &n);
	ck_assert_uint_eq(n, len);
	ck_assert_mem_eq(p, first, len);
	free(first);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("trainer_anomaly");
	TCase *c = tcase_create("trainer_anomaly");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, frames_alone_make_an_autoencoder_with_a_limit);
	tcase_add_test(c, against_itself_no_window_is_won_and_none_is_lost);
	tcase_add_test(c, what_a_label_calls_an_anomaly_is_held_back_for_good_and_not_compared);
	tcase_add_test(c, an_anomaly_of_the_old_regime_is_left_out_unless_a_label_calls_it_normal);
	tcase_add_test(c, more_windows_than_allowed_are_thinned_and_the_new_regime_keeps_its_half);
	tcase_add_loop_test(c, a_network_that_cannot_be_compared_with_its_input_is_refused, 0,
	                    (int)(sizeof bads / sizeof *bads));
	tcase_add_loop_test(c, every_kind_of_update_works_and_keeps_both_ends_on_one_grid, 0,
	                    (int)(sizeof kinds / sizeof *kinds));
	tcase_add_test(c, a_job_that_is_killed_goes_on_to_the_same_bits_though_answers_came);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	return t_run(suite());
}
