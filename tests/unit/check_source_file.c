/* The file source: replay, pace, labels, odd rows and files. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include "t_source.h"
#include "t_run.h"

static struct t_source t;

static bool ended(const struct t_source *x)
{
	return x->n_end > 0;
}

static void start_file(int rows, const char *const (*settings)[2])
{
	struct hn_err err = { .code = HN_OK };
	char path[128];

	t_source_init(&t, "file");
	t_write_csv(&t, "rows.csv", rows, path, sizeof path);
	t_source_set(&t, "path", path);
	for (; (*settings)[0]; settings++)
		t_source_set(&t, (*settings)[0], (*settings)[1]);
	ck_assert_msg(t_source_open(&t, &err) == HN_OK, "%s", err.text);
}

START_TEST(twenty_thousand_rows_come_out_as_they_are_in_the_file)
{
	static const char *const set[][2] = { { "pace", "fast" }, { "time", "time" },
		{ "label", "truth" }, { "label_base", "1" }, { NULL } };
	const int n = 20000;

	start_file(n, set);
	ck_assert(t_source_run(&t, ended, 20));
	ck_assert_int_eq(t.n_frames, n);
	ck_assert_int_eq(t.n_labels, n);
	for (int i = 0; i < n; i++) {
		ck_assert(t_frame_is(&t, i, i));
		ck_assert_int_eq(t.frames[i].event_us, t_time_us(i));
		ck_assert_int_eq(t.labels[i].t0_us, t_time_us(i));
		ck_assert_int_eq(t.labels[i].t1_us, t_time_us(i));
		ck_assert_double_eq(t.labels[i].value, i % 5);
	}
	t_source_spin(&t, 0.02);
	ck_assert_int_eq(t.n_end, 1);
	t_source_stop(&t);
}
END_TEST

START_TEST(a_fast_replay_leaves_the_loop_free)
{
	static const char *const set[][2] = { { "pace", "fast" }, { "time", "time" }, { NULL } };
	int turns = 0;

	start_file(20000, set);
	for (; t.n_end == 0; turns++) {
		int before = t.n_frames;

		(void)uv_run(&t.loop, UV_RUN_NOWAIT);
		ck_assert_int_le(t.n_frames - before, 256);
	}
	ck_assert_int_ge(turns, 20000 / 256);
	t_source_stop(&t);
}
END_TEST

START_TEST(a_held_replay_stands_still_and_goes_on)
{
	static const char *const set[][2] = { { "pace", "fast" }, { NULL } };

	start_file(5000, set);
	ck_assert(t_source_wait_frames(&t, 100));
	sources_hold(t.sources, true);
	int n = t.n_frames;
	sources_resume(t.sources);              /* room is no reason to go on */
	t_source_spin(&t, 0.05);
	ck_assert_int_eq(t.n_frames, n);
	sources_hold(t.sources, false);
	ck_assert(t_source_run(&t, ended, 10));
	ck_assert_int_eq(t.n_frames, 5000);
	t_source_stop(&t);
}
END_TEST

START_TEST(a_replay_in_real_time_takes_its_time)
{
	static const char *const set[][2] = { { "pace", "realtime" }, { "time", "time" },
		{ "speed", "2" }, { NULL } };
	uint64_t begin = uv_hrtime();
	double s;

	start_file(81, set);                    /* 0.8 s of frames at double speed */
	sources_hold(t.sources, true);          /* only fast replays are held */
	ck_assert(t_source_run(&t, ended, 10));
	s = (double)(uv_hrtime() - begin) * 1e-9;
	ck_assert_double_ge(s, 0.39);
	ck_assert_double_le(s, 2.0);
	ck_assert_int_eq(t.n_frames, 81);
	t_source_stop(&t);
}
END_TEST

START_TEST(without_a_time_column_rows_are_a_period_apart)
{
	static const char *const set[][2] = { { "pace", "fast" }, { "period", "250ms" },
		{ "start", "2026-01-01T00:00:00Z" }, { NULL } };

	start_file(10, set);
	ck_assert(t_source_run(&t, ended, 10));
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(t.frames[i].event_us, INT64_C(1767225600000000) + i * 250000);
	t_source_stop(&t);
}
END_TEST

START_TEST(labels_to_be_asked_for_are_given_only_then)
{
	static const char *const set[][2] = { { "pace", "fast" }, { "time", "time" },
		{ "label", "truth" }, { "labels", "ask" }, { NULL } };
	const int n = 20000;
	int64_t at[4];

	start_file(n, set);
	ck_assert(t_source_run(&t, ended, 20));
	ck_assert_int_eq(t.n_labels, 0);
	at[0] = t_time_us(17);
	at[1] = t_time_us(n - 1);
	at[2] = t_time_us(17) + 1;              /* no row is there */
	at[3] = t_time_us(n);
	ck_assert_int_eq(sources_ask(t.sources, 0, at, 4), 2);
	ck_assert_int_eq(sources_ask(t.sources, 1, at, 4), 0);
	ck_assert_int_eq(t.n_labels, 2);
	ck_assert_int_eq(t.labels[0].t1_us, at[0]);
	ck_assert_double_eq(t.labels[0].value, 17 % 5 + 1);
	ck_assert_double_eq(t.labels[1].value, (n - 1) % 5 + 1);
	t_source_stop(&t);
}
END_TEST

START_TEST(late_labels_come_after_their_delay_and_all_by_the_end)
{
	static const char *const set[][2] = { { "pace", "fast" }, { "time", "time" },
		{ "label", "truth" }, { "label_delay", "1s" }, { NULL } };

	start_file(1000, set);                  /* 10 ms apart: 100 rows late */
	while (t.n_end == 0) {
		(void)uv_run(&t.loop, UV_RUN_NOWAIT);
		ck_assert(t.n_end || t.n_labels == (t.n_frames > 100 ? t.n_frames - 100 : 0));
	}
	ck_assert_int_eq(t.n_labels, 1000);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(t.labels[i].t0_us, t_time_us(i));
	t_source_stop(&t);
}
END_TEST

START_TEST(a_looping_file_goes_on_with_later_times)
{
	static const char *const set[][2] = { { "pace", "fast" }, { "time", "time" },
		{ "loop", "true" }, { NULL } };

	start_file(50, set);
	ck_assert(t_source_wait_frames(&t, 200));
	ck_assert_int_eq(t.n_end, 0);
	for (int i = 0; i < 200; i++) {
		ck_assert(t_frame_is(&t, i, i % 50));
		ck_assert_int_eq(t.frames[i].event_us, t_time_us(i));
	}
	t_source_stop(&t);
}
END_TEST

/* Rows of a file with columns time (auto), a, b, c, truth and what becomes of them: 'f' a frame,
 * 'r' refused, '-' nothing. */
static const struct { const char *row; char becomes; } odd_rows[] = {
	{ "1700000000,1,2,3,0", 'f' },
	{ "2023-11-14T22:13:20Z,1,2,3,0", 'f' },
	{ "2023-11-14 22:13:20.5,1,2,3,0", 'f' },
	{ "1700000000,,nan,x,", 'f' },
	{ "1700000000,1e999,-inf,3,0", 'f' },
	{ "\"1700000000\",\"1\",\"2\",3,0\r", 'f' },
	{ "1700000000,1,2,3", 'r' },
	{ "1700000000,1,2,3,0,9", 'r' },
	{ "yesterday,1,2,3,0", 'r' },
	{ ",1,2,3,0", 'r' },
	{ "-5,1,2,3,0", 'r' },
	{ "99999999999999999999999,1,2,3,0", 'r' },
	{ "1700000000,\"1,2,3,0", 'r' },
	{ "", '-' },
};

START_TEST(odd_rows_are_taken_flagged_or_refused)
{
	char path[128];
	FILE *f;

	t_source_init(&t, "file");
	t_source_path(&t, "odd.csv", path, sizeof path);
	f = fopen(path, "w");
	(void)fprintf(f, "\xef\xbb\xbftime, a ,\"b\",c,truth\n%s\n1700000009,7,8,9,1",
	              odd_rows[_i].row);
	(void)fclose(f);
	t_source_set(&t, "path", path);
	t_source_set(&t, "pace", "fast");
	t_source_set(&t, "time", "time");
	ck_assert_int_eq(t_source_open(&t, NULL), HN_OK);
	ck_assert(t_source_run(&t, ended, 10));
	ck_assert_int_eq(t.n_frames, 1 + (odd_rows[_i].becomes == 'f'));
	ck_assert_int_eq(t_source_refused(&t), odd_rows[_i].becomes == 'r');
	ck_assert_int_eq(t.frames[t.n_frames - 1].raw[2], 9);   /* no newline at the end: taken */
	for (int i = 0; i < t.n_frames; i++)
		for (int k = 0; k < T_CHANNELS; k++)
			ck_assert(t.frames[i].quality[k] == HN_NOT_EVALUATED || _i == 3 || _i == 4);
	if (_i == 3)
		ck_assert(t.frames[0].quality[0] == HN_MISSING && t.frames[0].quality[2] == HN_MISSING);
	if (_i == 4)
		ck_assert(t.frames[0].quality[0] == HN_FAIL && t.frames[0].quality[1] == HN_FAIL);
	t_source_stop(&t);
}
END_TEST

static const struct { const char *header, *key, *value, *says; } bad_files[] = {
	{ "time,a,b\n", "time", "time", "no column 'c'; its header is: time,a,b" },
	{ "a,b,c\n", "time", "when", "no column 'when'" },
	{ "a,b,c\n", "label", "truth", "no column 'truth'" },
	{ "a,b,c,c\n", "pace", "fast", "two columns 'c'" },
	{ "", "pace", "fast", "no line of column names" },
	{ "\"a,b\n", "pace", "fast", "does not begin with column names" },
	{ "a,b,c\n", "stream", "other", "no stream other" },
	{ "a,b,c\n", "start", "noon", "not a time" },
	{ "a,b,c\n", "path", "/nonexistent/x.csv", "No such file" },
	{ "a,b,c\n", "path", "/", "not a regular file" },
};

START_TEST(a_file_that_cannot_work_is_a_clear_error)
{
	struct hn_err err = { .code = HN_OK };
	char path[128];
	FILE *f;

	t_source_init(&t, "file");
	t_source_path(&t, "bad.csv", path, sizeof path);
	f = fopen(path, "w");
	(void)fputs(bad_files[_i].header, f);
	(void)fclose(f);
	t_source_set(&t, "path", path);
	t_source_set(&t, bad_files[_i].key, bad_files[_i].value);
	ck_assert_int_ne(t_source_open(&t, &err), HN_OK);
	ck_assert_msg(strstr(err.text, bad_files[_i].says) != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, "src") != NULL, "%s", err.text);
	ck_assert_ptr_null(t.sources);
	t_source_stop(&t);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
	Suite *s = suite_create("source_file");
	TCase *c = tcase_create("source_file");

	suite_add_tcase(s, c);
	tcase_set_timeout(c, 30);
	tcase_add_test(c, twenty_thousand_rows_come_out_as_they_are_in_the_file);
	tcase_add_test(c, a_fast_replay_leaves_the_loop_free);
	tcase_add_test(c, a_held_replay_stands_still_and_goes_on);
	tcase_add_test(c, a_replay_in_real_time_takes_its_time);
	tcase_add_test(c, without_a_time_column_rows_are_a_period_apart);
	tcase_add_test(c, labels_to_be_asked_for_are_given_only_then);
	tcase_add_test(c, late_labels_come_after_their_delay_and_all_by_the_end);
	tcase_add_test(c, a_looping_file_goes_on_with_later_times);
	tcase_add_loop_test(c, odd_rows_are_taken_flagged_or_refused, 0, COUNT(odd_rows));
	tcase_add_loop_test(c, a_file_that_cannot_work_is_a_clear_error, 0, COUNT(bad_files));
	return t_run(s);
}
