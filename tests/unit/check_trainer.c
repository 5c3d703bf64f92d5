/* hone-train as a process: its plan, its memory, what it refuses and how, and the update kinds. */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "hn_train.h"
#include "t_job.h"
#include "t_run.h"

enum { WINDOWS = 400, PLAN_SLACK = 4 << 20 };

static struct t_job t;

static void setup(void)
{
	t_job_make(&t, WINDOWS);
}

static void teardown(void)
{
	t_job_remove(&t);
}

static void set(const char *key, json_t *value)
{
	(void)json_object_set_new(t_job_train(&t), key, value);
}

static void network(const char *text)
{
	(void)json_object_set_new(t.spec, "network", json_string(text));
}

static double number(enum job_message type, const char *key)
{
	json_t *o = t_job_json(&t, type), *v = json_object_get(o, key);
	double x;

	ck_assert_msg(json_is_number(v), "message %d has no number %s", type, key);
	x = json_number_value(v);
	json_decref(o);
	return x;
}

static void expect_done(void)
{
	json_t *o = t_job_json(&t, JOB_FAILED);

	ck_assert_msg(!o, "%s", json_string_value(json_object_get(o, "reason")));
	ck_assert(WIFEXITED(t.status) && WEXITSTATUS(t.status) == 0);
}

static void expect_refused(const char *word)
{
	json_t *o = t_job_json(&t, JOB_FAILED);
	const char *reason = json_string_value(json_object_get(o, "reason"));

	ck_assert_msg(reason, "'%s' was not refused", word);
	ck_assert_msg(strstr(reason, word), "%s", reason);
	ck_assert_int_eq(WEXITSTATUS(t.status), 65);
	json_decref(o);
}

/* --- plan and memory -------------------------------------------------------------------------- */

static const char *const nets[] = { "dense 24, relu, dense 3",
	"conv1d 16x5 same, relu, maxpool 2, conv1d 32x5 same, relu, maxpool 2, flatten, dense 64, relu, "
	"dense 3", "gru 32, dense 3", "dense 512, relu, dense 512, relu, dense 3" };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MEMORY 0
#else
#define OWN_MEMORY 1
#endif

/* The least of three: the kernel counts pages in batches for each processor, so that its figure is
 * off by some hundred KB either way. */
START_TEST(the_arena_is_used_to_the_byte_and_the_process_stays_within_plan_and_4_mb)
{
	long least = LONG_MAX;
	double plan = 0;

	network(nets[_i]);
	set("epochs", json_integer(3));
	for (int i = 0; i < 3; i++) {
		t_job_run(&t);
		expect_done();
		plan = number(JOB_PLAN, "bytes");
		ck_assert_double_eq(number(JOB_REPORT, "plan_bytes"), number(JOB_REPORT, "peak_bytes"));
		least = t.rss_kb < least ? t.rss_kb : least;
	}
	printf("%-40.40s plan %8.0f KB, resident at most %6ld KB\n", nets[_i], plan / 1024, least);
	if (OWN_MEMORY)
		ck_assert_msg((double)least * 1024 <= plan + PLAN_SLACK, "%ld KB for a plan of %.0f KB", least,
		              plan / 1024);
}
END_TEST

START_TEST(a_dry_run_says_plan_and_time_and_makes_nothing)
{
	double seconds;
	size_t n;

	network(nets[1]);
	set("epochs", json_integer(20));
	(void)json_object_set_new(t.spec, "dry_run", json_true());
	t_job_run(&t);
	expect_done();
	ck_assert_ptr_null(t_job_message(&t, JOB_CANDIDATE, &n));
	ck_assert_double_gt(number(JOB_PLAN, "bytes"), 0);
	ck_assert_double_eq(number(JOB_PLAN, "micro_batch"), 16);
	seconds = number(JOB_PLAN, "seconds");
	(void)json_object_set_new(t.spec, "dry_run", json_false());
	t_job_run(&t);
	expect_done();
	printf("expected %.3f s, took %.3f s\n", seconds, number(JOB_REPORT, "seconds"));
	/* wide: another program may have had the processor in one of the two */
	ck_assert_double_gt(seconds, 0.01 * number(JOB_REPORT, "seconds"));
	ck_assert_double_lt(seconds, 100 * number(JOB_REPORT, "seconds"));
}
END_TEST

START_TEST(a_small_budget_takes_parts_of_a_batch_and_one_too_small_is_refused)
{
	double full, least;

	network(nets[1]);
	set("batch", json_integer(128));
	set("epochs", json_integer(2));
	t_job_run(&t);
	expect_done();
	full = number(JOB_PLAN, "bytes");
	ck_assert_double_eq(number(JOB_PLAN, "micro_batch"), 128);
	set("memory_max", json_integer((json_int_t)full - 1));
	t_job_run(&t);
	expect_done();
	ck_assert_double_lt(number(JOB_PLAN, "bytes"), full);
	ck_assert_double_lt(number(JOB_PLAN, "micro_batch"), 128);
	set("memory_max", json_integer(1 << 20));
	t_job_run(&t);
	expect_refused("at least");
	least = number(JOB_PLAN, "bytes");
	ck_assert_double_gt(least, 1 << 20);
	set("memory_max", json_integer((json_int_t)least));
	t_job_run(&t);
	expect_done();
	ck_assert_double_eq(number(JOB_PLAN, "bytes"), least);
	ck_assert_double_eq(number(JOB_PLAN, "micro_batch"), 16);
}
END_TEST

/* --- what is refused -------------------------------------------------------------------------- */

/* SQL or a change of the job, and a word of the sentence. */
static const struct { const char *sql, *net; const char *word; } bads[] = {
	{ "DELETE FROM label", NULL, "no usable labelled window" },
	{ "UPDATE label SET value = 1", NULL, "only class 1" },
	{ "UPDATE label SET value = 7", NULL, "no usable labelled window" },
	{ "UPDATE label SET value = 0.5", NULL, "no usable labelled window" },
	{ "UPDATE label SET value = 9e999", NULL, "no usable labelled window" },
	{ NULL, "dense 24, relu, dense 4", "classify needs 3 outputs" },
	{ NULL, "conv1d 8x99, relu, flatten, dense 3", "conv1d 8x99" },
	{ NULL, "dense 24, rellu, dense 3", "no such layer" },
	{ NULL, "dense 17000, dense 3", "dense 17000" },
	{ NULL, "dense 16000, relu, dense 200, relu, dense 3", "dense 200" },
};

START_TEST(bad_input_is_refused_with_a_named_reason)
{
	if (bads[_i].sql)
		t_job_sql(&t, bads[_i].sql);
	if (bads[_i].net)
		network(bads[_i].net);
	t_job_run(&t);
	expect_refused(bads[_i].word);
}
END_TEST

START_TEST(a_task_that_cannot_be_trained_is_refused_by_its_name)
{
	(void)json_object_set_new(t.spec, "task", json_string(hn_task_name((enum hn_task)_i)));
	t_job_run(&t);
	expect_refused(hn_task_name((enum hn_task)_i));
}
END_TEST

START_TEST(a_constant_channel_is_refused_by_its_number)
{
	t_job_remove(&t);
	t_job_make_constant(&t, WINDOWS, 1);
	t_job_run(&t);
	expect_refused("channel 2");
}
END_TEST

START_TEST(a_rate_that_breaks_the_numbers_fails_with_the_layer)
{
	set("rate", json_real(9e37));
	t_job_run(&t);
	expect_refused("layer ");
}
END_TEST

static const char *const not_jobs[] = { "", "{", "[]", "{\"job\":1}", "nonsense" };

START_TEST(what_is_no_job_is_refused)
{
	json_decref(t.spec);
	t.spec = json_string(not_jobs[_i]);
	t_job_run(&t);
	expect_refused("job");
}
END_TEST

/* --- updates ---------------------------------------------------------------------------------- */

/* Store the last candidate as version 1 and make it the champion of the next job. */
static void crown(void)
{
	size_t n;
	const uint8_t *p = t_job_message(&t, JOB_CANDIDATE, &n);

	ck_assert_ptr_nonnull(p);
	t_job_version(&t, p, n);
	(void)json_object_set_new(t.spec, "champion", json_integer(1));
}

static const struct { enum hn_update kind; unsigned layers; } kinds[] = {
	{ HN_LAST, 1 }, { HN_BIASES, 1 }, { HN_SPARSE, 1 }, { HN_SCALER, 1 },
};

static json_t *update_of(void)
{
	json_t *o = t_job_json(&t, JOB_REPORT), *u = json_incref(json_object_get(o, "update"));

	json_decref(o);
	return u;
}

START_TEST(an_update_begins_with_the_champion_and_says_its_kind)
{
	json_t *u;
	size_t n;

	set("epochs", json_integer(6));
	t_job_run(&t);
	expect_done();
	crown();
	set("update", json_integer((json_int_t)kinds[_i].kind));
	set("seed", json_integer(3));
	set("wire_max", json_integer(256));
	set("scaler_frames", json_integer(200));
	(void)json_object_set_new(t.spec, "since_us", json_integer(1700000000000000));
	t_job_run(&t);
	expect_done();
	u = update_of();
	ck_assert_msg(!json_object_get(u, "not_updated"), "%s",
	              json_string_value(json_object_get(u, "not_updated")));
	ck_assert_str_eq(json_string_value(json_object_get(u, "kind")), hn_update_name(kinds[_i].kind));
	if (kinds[_i].kind == HN_SPARSE) {
		const json_int_t bytes = json_integer_value(json_object_get(u, "wire_bytes"));

		printf("sparse: %lld bytes in %lld runs\n", (long long)bytes,
		       json_integer_value(json_object_get(u, "runs")));
		ck_assert_int_le(bytes, 256);
		ck_assert_int_gt(bytes, 0);
	}
	ck_assert_ptr_nonnull(t_job_message(&t, JOB_CANDIDATE, &n));
	json_decref(u);
}
END_TEST

START_TEST(without_a_champion_of_the_network_an_update_is_a_full_one_and_says_why)
{
	json_t *u;

	set("epochs", json_integer(3));
	set("update", json_integer(HN_BIASES));
	t_job_run(&t);
	expect_done();
	u = update_of();
	ck_assert_str_eq(json_string_value(json_object_get(u, "kind")), "full");
	ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(u, "not_updated")), "champion"));
	json_decref(u);
	crown();
	network("dense 20, relu, dense 3");
	t_job_run(&t);
	expect_done();
	u = update_of();
	ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(u, "not_updated")), "network"));
	json_decref(u);
}
END_TEST

START_TEST(layers_that_train_badly_are_in_the_report_with_advice)
{
	json_t *o, *list;

	network("dense 8, sigmoid, dense 8, sigmoid, dense 8, sigmoid, dense 8, sigmoid, "
	        "dense 8, sigmoid, dense 8, sigmoid, dense 8, sigmoid, dense 3");
	set("rate", json_real(1e-5));
	set("epochs", json_integer(2));
	t_job_run(&t);
	expect_done();
	o = t_job_json(&t, JOB_REPORT);
	list = json_object_get(o, "health");
	ck_assert_uint_ge(json_array_size(list), 1);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "what")), "vanishing");
	ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(json_array_get(list, 0), "text")),
	                             "layer 1 'dense 8'"));
	json_decref(o);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("trainer");
	TCase *c = tcase_create("trainer");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, the_arena_is_used_to_the_byte_and_the_process_stays_within_plan_and_4_mb, 0,
	                    (int)(sizeof nets / sizeof *nets));
	tcase_add_test(c, a_dry_run_says_plan_and_time_and_makes_nothing);
	tcase_add_test(c, a_small_budget_takes_parts_of_a_batch_and_one_too_small_is_refused);
	tcase_add_loop_test(c, bad_input_is_refused_with_a_named_reason, 0,
	                    (int)(sizeof bads / sizeof *bads));
	tcase_add_loop_test(c, a_task_that_cannot_be_trained_is_refused_by_its_name, HN_REGRESS,
	                    HN_FORECAST + 1);
	tcase_add_test(c, a_constant_channel_is_refused_by_its_number);
	tcase_add_test(c, a_rate_that_breaks_the_numbers_fails_with_the_layer);
	tcase_add_loop_test(c, what_is_no_job_is_refused, 0, (int)(sizeof not_jobs / sizeof *not_jobs));
	tcase_add_loop_test(c, an_update_begins_with_the_champion_and_says_its_kind, 0,
	                    (int)(sizeof kinds / sizeof *kinds));
	tcase_add_test(c, without_a_champion_of_the_network_an_update_is_a_full_one_and_says_why);
	tcase_add_test(c, layers_that_train_badly_are_in_the_report_with_advice);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	return t_run(suite());
}
