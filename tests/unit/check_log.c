#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "t_run.h"

enum { THREADS = 4, LINES = 200 };

static char got[1 << 20];
static int saved_stderr = -1;
static FILE *file;

/* From here on stderr is a file. */
static void capture(void)
{
	file = tmpfile();
	ck_assert_ptr_nonnull(file);
	saved_stderr = dup(2);
	ck_assert_int_ge(saved_stderr, 0);
	ck_assert_int_ge(dup2(fileno(file), 2), 0);
	clock_set_virtual(1795352707123456);
}

/* What was written since; stderr is itself again. */
static const char *captured(void)
{
	const ssize_t n = pread(fileno(file), got, sizeof got - 1, 0);

	clock_set_virtual(-1);
	ck_assert_int_ge(dup2(saved_stderr, 2), 0);
	ck_assert_int_eq(close(saved_stderr), 0);
	ck_assert_int_ge(n, 0);
	got[n] = '\0';
	ck_assert_int_eq(fclose(file), 0);
	return got;
}

START_TEST(a_line_has_time_level_and_text)
{
	capture();
	log_warn("event=gap stream=%s gap_s=%d", "vib", 12);
	log_err("event=x");
	ck_assert_str_eq(captured(),
	                 "2026-11-22T13:05:07.123456Z warn  event=gap stream=vib gap_s=12\n"
	                 "2026-11-22T13:05:07.123456Z error event=x\n");
}
END_TEST

START_TEST(only_lines_up_to_the_level_are_written)
{
	capture();
	for (int max = LOG_ERR; max <= LOG_DEBUG; max++) {
		log_set_level((enum log_level)max);
		for (int l = LOG_ERR; l <= LOG_DEBUG; l++)
			log_write((enum log_level)l, "max=%d", max);
	}
	log_set_level(LOG_INFO);
	for (int max = LOG_ERR; max <= LOG_DEBUG; max++) {
		char mark[16];
		int n = 0;

		if (max == LOG_ERR)
			(void)captured();
		(void)snprintf(mark, sizeof mark, "max=%d", max);
		for (const char *p = got; (p = strstr(p, mark)) != NULL; p++)
			n++;
		ck_assert_int_eq(n, max + 1);
	}
	for (int l = LOG_ERR; l <= LOG_DEBUG; l++)
		ck_assert_ptr_nonnull(strstr(got, log_level_names[l]));
	ck_assert_ptr_null(log_level_names[LOG_DEBUG + 1]);
}
END_TEST

START_TEST(control_characters_never_reach_the_log_and_long_lines_are_cut)
{
	static char text[5000];
	const char *line;

	memset(text, 'a', sizeof text - 1);
	capture();
	log_info("a\nb\x1b[31m\x7f\r");
	log_info("%s", text);
	line = captured();
	ck_assert_ptr_nonnull(strstr(line, " a?b?[31m??\n"));
	line = strchr(line, '\n') + 1;
	ck_assert_uint_eq(strlen(line), 2048);
	ck_assert_str_eq(line + 2048 - 5, "a...\n");
}
END_TEST

START_TEST(errno_survives_a_line)
{
	capture();
	errno = ENOSPC;
	log_info("event=x");
	ck_assert_int_eq(errno, ENOSPC);
	(void)captured();
}
END_TEST

START_TEST(in_the_journal_a_line_begins_with_its_priority)
{
	static const char *const want = "<3>a\n<4>b\n<5>c\n<6>d\n<7>e\n";
	char env[64];
	struct stat st;

	capture();
	ck_assert_int_eq(fstat(2, &st), 0);
	(void)snprintf(env, sizeof env, "%llu:%llu", (unsigned long long)st.st_dev,
	               (unsigned long long)st.st_ino);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", env, 1), 0);
	log_set_level(LOG_DEBUG);
	log_err("a");
	log_warn("b");
	log_note("c");
	log_info("d");
	log_debug("e");
	ck_assert_str_eq(captured(), want);
}
END_TEST

static void *write_lines(void *arg)
{
	for (int i = 0; i < LINES; i++)
		log_info("thread=%d line=%03d %s", *(int *)arg, i, "0123456789012345678901234567890123456789");
	return NULL;
}

START_TEST(lines_of_several_threads_stay_whole)
{
	pthread_t thread[THREADS];
	int id[THREADS], n = 0;

	capture();
	for (int i = 0; i < THREADS; i++) {
		id[i] = i;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, write_lines, &id[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	for (const char *l = captured(); *l; l = strchr(l, '\n') + 1, n++) {
		ck_assert_uint_eq((size_t)(strchr(l, '\n') - l), 34 + 9 + 9 + 40);
		ck_assert_int_eq(memcmp(l + 28, "info  thread=", 13), 0);
	}
	ck_assert_int_eq(n, THREADS * LINES);
}
END_TEST

START_TEST(repeats_are_limited_and_the_suppressed_ones_are_counted)
{
	struct log_limit l = { 0 };
	unsigned skipped = 99;
	int written = 0;

	clock_set_virtual(1000000);
	for (int i = 0; i < 100; i++)
		if (log_allow(&l, 5, 10.0, &skipped)) {
			ck_assert_uint_eq(skipped, 0);
			written++;
		}
	ck_assert_int_eq(written, 5);
	clock_set_virtual(1000000 + 9999999);
	ck_assert(!log_allow(&l, 5, 10.0, &skipped));
	clock_set_virtual(1000000 + 10000000);
	ck_assert(log_allow(&l, 5, 10.0, &skipped));
	ck_assert_uint_eq(skipped, 96);
	ck_assert(log_allow(&l, 5, 10.0, &skipped));
	ck_assert_uint_eq(skipped, 0);
	clock_set_virtual(-1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log");
	TCase *t = tcase_create("log");

	suite_add_tcase(s, t);
	tcase_add_test(t, a_line_has_time_level_and_text);
	tcase_add_test(t, only_lines_up_to_the_level_are_written);
	tcase_add_test(t, control_characters_never_reach_the_log_and_long_lines_are_cut);
	tcase_add_test(t, errno_survives_a_line);
	tcase_add_test(t, in_the_journal_a_line_begins_with_its_priority);
	tcase_add_test(t, lines_of_several_threads_stay_whole);
	tcase_add_test(t, repeats_are_limited_and_the_suppressed_ones_are_counted);
	return t_run(s);
}
