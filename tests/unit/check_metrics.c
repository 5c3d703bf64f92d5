#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "t_run.h"

static char *written(void)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	ck_assert_ptr_nonnull(f);
	metrics_write(f);
	ck_assert_int_eq(fclose(f), 0);
	return text;
}

START_TEST(series_of_one_name_stand_together_under_one_help_and_type)
{
	struct metric *a = metric_counter("honed_frames_total", "stream=\"vib\"", "Frames taken.");
	struct metric *g = metric_gauge("honed_backlog", "", "Frames that wait.\nSee \\docs.");
	struct metric *b = metric_counter("honed_frames_total", "stream=\"gas\"", "Frames taken.");
	char *text;

	metric_add(a, 3);
	metric_add(b, 0.1);
	metric_set(g, -2.5);
	text = written();
	ck_assert_str_eq(text,
	                 "# HELP honed_frames_total Frames taken.\n"
	                 "# TYPE honed_frames_total counter\n"
	                 "honed_frames_total{stream=\"vib\"} 3\n"
	                 "honed_frames_total{stream=\"gas\"} 0.1\n"
	                 "# HELP honed_backlog Frames that wait.\\nSee \\\\docs.\n"
	                 "# TYPE honed_backlog gauge\n"
	                 "honed_backlog -2.5\n"
	                 "# HELP honed_metrics_overflow_total "
	                 "Updates of series for which the table had no room.\n"
	                 "# TYPE honed_metrics_overflow_total counter\n"
	                 "honed_metrics_overflow_total 0\n");
	free(text);
}
END_TEST

START_TEST(the_same_name_and_labels_are_the_same_series)
{
	struct metric *a = metric_gauge("honed_x", "a=\"1\"", "X.");

	ck_assert_ptr_eq(a, metric_gauge("honed_x", "a=\"1\"", "X."));
	ck_assert_ptr_ne(a, metric_gauge("honed_x", "a=\"2\"", "X."));
	ck_assert_ptr_ne(a, metric_gauge("honed_y", "a=\"1\"", "Y."));
}
END_TEST

START_TEST(a_value_is_read_back_exactly)
{
	static const double v[] = {
		0, 1, 0.1, 1.0 / 3, 123456789012345678.0, 1e300, -5e-324, 1700000000.123456
	};
	struct metric *g = metric_gauge("honed_exact", "", "Exact.");

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		char *text;
		const char *at;

		metric_set(g, v[i]);
		ck_assert(memcmp(&v[i], &(double){ metric_value(g) }, sizeof v[i]) == 0);
		text = written();
		at = strstr(text, "\nhoned_exact ");
		ck_assert_ptr_nonnull(at);
		ck_assert(memcmp(&v[i], &(double){ strtod(at + 13, NULL) }, sizeof v[i]) == 0);
		free(text);
	}
}
END_TEST

START_TEST(numbers_that_are_none_have_their_names)
{
	static const struct { double v; const char *text; } t[] = {
		{ (double)NAN, "\nhoned_odd NaN\n" }, { (double)INFINITY, "\nhoned_odd +Inf\n" },
		{ -(double)INFINITY, "\nhoned_odd -Inf\n" }
	};
	struct metric *g = metric_gauge("honed_odd", "", "Odd.");

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		char *text;

		metric_set(g, t[i].v);
		text = written();
		ck_assert_ptr_nonnull(strstr(text, t[i].text));
		free(text);
	}
}
END_TEST

START_TEST(a_full_table_gives_one_shared_series_that_counts)
{
	struct metric *m = NULL, *first = NULL;
	char labels[32], *text;

	for (int i = 0; i < METRICS_MAX; i++) {
		(void)snprintf(labels, sizeof labels, "i=\"%d\"", i);
		m = metric_counter("honed_many_total", labels, "Many.");
		metric_add(m, i);
	}
	first = metric_counter("honed_many_total", "i=\"0\"", "Many.");
	ck_assert_double_eq_tol(metric_value(m), METRICS_MAX - 1, 1e-9);
	m = metric_counter("honed_more_total", "", "More.");
	ck_assert_ptr_eq(m, metric_gauge("honed_gauge", "", "Gauge."));
	ck_assert_ptr_ne(m, first);
	metric_add(m, 1000);
	metric_set(m, -7);
	text = written();
	ck_assert_ptr_nonnull(strstr(text, "\nhoned_metrics_overflow_total 2\n"));
	ck_assert_ptr_null(strstr(text, "honed_more_total"));
	ck_assert_ptr_eq(first, metric_counter("honed_many_total", "i=\"0\"", "Many."));
	free(text);
}
END_TEST

enum { THREADS = 4, ADDS = 20000 };

static void *add_many(void *m)
{
	for (int i = 0; i < ADDS; i++)
		metric_add(m, 1);
	return NULL;
}

START_TEST(no_addition_of_another_thread_is_lost)
{
	struct metric *m = metric_counter("honed_threads_total", "", "Threads.");
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, add_many, m), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
	ck_assert_double_eq_tol(metric_value(m), THREADS * ADDS, 1e-9);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metrics");
	TCase *t = tcase_create("metrics");

	suite_add_tcase(s, t);           /* each test has a process, hence a table of its own */
	tcase_add_test(t, series_of_one_name_stand_together_under_one_help_and_type);
	tcase_add_test(t, the_same_name_and_labels_are_the_same_series);
	tcase_add_test(t, a_value_is_read_back_exactly);
	tcase_add_test(t, numbers_that_are_none_have_their_names);
	tcase_add_test(t, a_full_table_gives_one_shared_series_that_counts);
	tcase_add_test(t, no_addition_of_another_thread_is_lost);
	return t_run(s);
}
