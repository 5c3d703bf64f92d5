/* check_trainer_int8.c - hone-train as a process: what it does for int8, and what it says of it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "hn_model.h"
#include "t_job.h"
#include "t_run.h"

enum { WINDOWS = 240 };

static struct t_job t;

static void setup(void)
{
	t_job_make(&t, WINDOWS);
	(void)json_object_set_new(t.spec, "network", json_string(
		"conv1d 6x3, batch_norm, relu, dropout 0.1, gru 5, dense 3"));
}

static void teardown(void)
{
	t_job_remove(&t);
}

static json_t *run(int quantise)
{
	json_t *report;

	(void)json_object_set_new(t_job_train(&t), "quantise", json_integer(quantise));
	t_job_run(&t);
	ck_assert(WIFEXITED(t.status) && WEXITSTATUS(t.status) == 0);
	report = t_job_json(&t, JOB_REPORT);
	ck_assert_ptr_nonnull(report);
	return report;
}

static double number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	ck_assert_msg(json_is_number(v), "%s", key);
	return json_number_value(v);
}

static const char *word(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	ck_assert_msg(s != NULL, "%s", key);
	return s;
}

START_TEST(the_report_says_what_int8_costs_layer_by_layer)
{
	static const char *const method[] = { "ptq", "qat" };
	json_t *report = run(_i), *int8 = json_object_get(report, "int8"), *layers, *l;
	double least = number(int8, "input_alone_db");
	const char *most = "input";
	size_t i;

	ck_assert_str_eq(word(int8, "method"), method[_i]);
	ck_assert_int_eq((int)number(int8, "tuned_epochs") > 0, _i);
	ck_assert(strstr("minmax percentile mse", word(int8, "calibration")) != NULL);
	ck_assert_double_gt(number(int8, "compared"), 50);
	ck_assert_double_ge(number(int8, "same"), 0.95 * number(int8, "compared"));
	layers = json_object_get(int8, "layers");
	ck_assert_uint_eq(json_array_size(layers), 3);   /* the relu is part of the convolution */
	json_array_foreach(layers, i, l) {
		ck_assert_double_gt(number(l, "snr_db"), 15);
		if (number(l, "alone_db") < least) {
			least = number(l, "alone_db");
			most = word(l, "layer");
		}
	}
	ck_assert_str_eq(word(int8, "hurts_most"), most);
	ck_assert(number(report, "peak_bytes") == number(report, "plan_bytes"));
	printf("trainer_int8: %s, %s, %.0f of %.0f the same, %s costs most: %.1f dB; %.0f of %.0f bytes\n",
	       method[_i], word(int8, "calibration"), number(int8, "same"), number(int8, "compared"), most,
	       least, number(report, "peak_bytes"), number(report, "plan_bytes"));
	json_decref(report);
}
END_TEST

START_TEST(a_version_that_was_trained_for_int8_is_the_same_each_time)
{
	uint8_t *first, *blob;
	struct hn_model m;
	size_t n, len;
	const uint8_t *p;

	json_decref(run(1));
	p = t_job_message(&t, JOB_CANDIDATE, &n);
	ck_assert_ptr_nonnull(p);
	first = malloc(n);
	memcpy(first, p, n);
	json_decref(run(1));
	p = t_job_message(&t, JOB_CANDIDATE, &len);
	ck_assert_uint_eq(len, n);
	ck_assert_mem_eq(p, first, n);
	blob = aligned_alloc(8, (n + 7) / 8 * 8);
	memcpy(blob, first, n);
	ck_assert_int_eq(hn_model_read(&m, blob, n, NULL), HN_OK);
	ck_assert_uint_eq(m.n_grids, 5);                 /* input, conv1d, relu, gru, dense */
	json_decref(run(0));
	p = t_job_message(&t, JOB_CANDIDATE, &len);
	ck_assert(len != n || memcmp(p, first, n) != 0); /* not that of the fit alone */
	free(first);
	free(blob);
}
END_TEST

START_TEST(the_image_rounds_as_the_job_says)
{
	for (int rounding = 0; rounding < 2; rounding++) {
		struct hn_model m;
		const uint8_t *p;
		uint8_t *blob;
		size_t n;

		(void)json_object_set_new(t_job_train(&t), "rounding", json_integer(rounding));
		json_decref(run(0));
		p = t_job_message(&t, JOB_CANDIDATE, &n);
		ck_assert_ptr_nonnull(p);
		blob = aligned_alloc(8, (n + 7) / 8 * 8);
		memcpy(blob, p, n);
		ck_assert_int_eq(hn_model_read(&m, blob, n, NULL), HN_OK);
		ck_assert_int_eq(m.image[23], rounding);
		free(blob);
	}
	(void)json_object_set_new(t_job_train(&t), "rounding", json_integer(2));
	t_job_run(&t);
	ck_assert(!WIFEXITED(t.status) || WEXITSTATUS(t.status) != 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trainer_int8");
	TCase *c = tcase_create("trainer_int8");

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, the_report_says_what_int8_costs_layer_by_layer, 0, 2);
	tcase_add_test(c, a_version_that_was_trained_for_int8_is_the_same_each_time);
	tcase_add_test(c, the_image_rounds_as_the_job_says);
	suite_add_tcase(s, c);
	return t_run(s);
}
