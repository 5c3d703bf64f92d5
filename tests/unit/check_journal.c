/* check_journal.c - entries in memory, in the table, after a restart, and over the limits. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "journal.h"
#include "log.h"
#include "metrics.h"
#include "t_dir.h"
#include "t_run.h"

static struct t_dir dir;
static uv_loop_t loop;
static struct db *db;
static struct journal *journal;
static int64_t announced;

static void on_add(void *ctx, int64_t id)
{
	*(int64_t *)ctx = id;
}

static void start(void)
{
	const struct db_cfg cfg = { dir.db, 30.0 };
	struct hn_err err = { 0 };

	ck_assert_msg(db_open(&db, &loop, &cfg, &err) == HN_OK, "%s", err.text);
	ck_assert_msg(journal_open(&journal, db, dir.db, &err) == HN_OK, "%s", err.text);
	journal_on_add(journal, on_add, &announced);
}

static void stop(void)
{
	db_close(db);
	journal_close(journal);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
}

static void setup(void)
{
	log_set_level(LOG_ERR);
	t_dir_make(&dir);
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	clock_set_virtual(1700000000000000);
	start();
}

static void teardown(void)
{
	stop();
	clock_set_virtual(-1);
	t_loop_end(&loop);
	t_dir_remove(&dir);
}

static int64_t add(const char *kind, int number)
{
	return journal_add(journal, (struct journal_entry){ .kind = kind, .model = "pump",
		.device = "node \"7\"\n", .job = number, .reason = "error rate 31 % above 12 %",
		.evidence = json_pack("{s:f, s:[i,i]}", "score", 1.42, "channels", 0, 2) });
}

static void assert_entry(const json_t *e, int64_t id, int number)
{
	ck_assert_int_eq(json_integer_value(json_object_get(e, "id")), id);
	ck_assert_str_eq(json_string_value(json_object_get(e, "time")), "2023-11-14T22:13:20.000000Z");
	ck_assert_int_eq(json_integer_value(json_object_get(e, "t_us")), 1700000000000000);
	ck_assert_str_eq(json_string_value(json_object_get(e, "kind")), "alarm");
	ck_assert_str_eq(json_string_value(json_object_get(e, "model")), "pump");
	ck_assert_str_eq(json_string_value(json_object_get(e, "device")), "node \"7\"\n");
	ck_assert_str_eq(json_string_value(json_object_get(e, "actor")), "honed");
	ck_assert_int_eq(json_integer_value(json_object_get(e, "job")), number);
	ck_assert_ptr_null(json_object_get(e, "stream"));
	ck_assert_ptr_null(json_object_get(e, "rollout"));
	ck_assert_double_eq(json_real_value(json_object_get(json_object_get(e, "evidence"), "score")),
	                    1.42);
}

START_TEST(an_entry_is_in_memory_at_once)
{
	json_t *list;

	ck_assert_int_eq(journal_last(journal), 0);
	ck_assert_int_eq(add("alarm", 5), 1);
	ck_assert_int_eq(announced, 1);
	ck_assert_int_eq(add("promoted", 6), 2);
	list = journal_since(journal, 0, 10);
	ck_assert_uint_eq(json_array_size(list), 2);
	assert_entry(json_array_get(list, 0), 1, 5);
	json_decref(list);
	list = journal_since(journal, 1, 10);
	ck_assert_uint_eq(json_array_size(list), 1);
	json_decref(list);
	list = journal_since(journal, 0, 1);
	ck_assert_uint_eq(json_array_size(list), 1);
	json_decref(list);
	for (int64_t after = 2; after < 4; after++) {
		list = journal_since(journal, after, 10);
		ck_assert_uint_eq(json_array_size(list), 0);
		json_decref(list);
	}
}
END_TEST

START_TEST(after_a_restart_memory_and_table_agree_and_ids_go_on)
{
	struct hn_err err = { 0 };
	sqlite3 *reader;
	json_t *a, *b;

	for (int i = 1; i <= 600; i++)
		ck_assert_int_eq(add("alarm", i), i);
	stop();
	start();
	ck_assert_int_eq(journal_last(journal), 600);
	ck_assert_int_eq(journal_first(journal), 600 - JOURNAL_KEEP + 1);
	ck_assert_int_eq(db_reader(dir.db, &reader, &err), HN_OK);
	a = journal_since(journal, 0, 1000);
	b = journal_read(reader, 600 - JOURNAL_KEEP, 1000);
	ck_assert_uint_eq(json_array_size(a), JOURNAL_KEEP);
	ck_assert_int_eq(json_equal(a, b), 1);
	assert_entry(json_array_get(b, 0), 600 - JOURNAL_KEEP + 1, 600 - JOURNAL_KEEP + 1);
	json_decref(a);
	json_decref(b);
	b = journal_read(reader, 0, 3);
	ck_assert_uint_eq(json_array_size(b), 3);
	assert_entry(json_array_get(b, 2), 3, 3);
	json_decref(b);
	ck_assert_int_eq(sqlite3_close(reader), SQLITE_OK);
	ck_assert_int_eq(add("alarm", 1), 601);
}
END_TEST

START_TEST(what_the_full_queue_refuses_stays_in_memory_and_is_counted)
{
	struct metric *unsaved = metric_counter("honed_journal_unsaved_total", "", "");
	const double before = metric_value(unsaved);
	json_t *list;

	for (int i = 1; i <= DB_QUEUE_MAX + 10; i++)
		ck_assert_int_eq(add("alarm", i), i);
	ck_assert_double_eq(metric_value(unsaved) - before, 10);
	list = journal_since(journal, DB_QUEUE_MAX, 100);
	ck_assert_uint_eq(json_array_size(list), 10);
	json_decref(list);
}
END_TEST

START_TEST(only_the_newest_rows_are_kept_in_the_table)
{
	struct hn_err err = { 0 };
	sqlite3 *reader;
	json_t *list;

	stop();
	ck_assert_int_eq(sqlite3_open(dir.db, &reader), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(reader, "INSERT INTO journal(id,t,kind) VALUES(5,1,'old'),"
	                              "(200000,2,'new')", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(reader), SQLITE_OK);
	start();
	for (int i = 0; i < 300; i++)
		(void)add("alarm", i);
	stop();
	start();
	ck_assert_int_eq(db_reader(dir.db, &reader, &err), HN_OK);
	list = journal_read(reader, 0, 1);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 0), "id")), 200000);
	json_decref(list);
	ck_assert_int_eq(sqlite3_close(reader), SQLITE_OK);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("journal");
	TCase *c = tcase_create("journal");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, an_entry_is_in_memory_at_once);
	tcase_add_test(c, after_a_restart_memory_and_table_agree_and_ids_go_on);
	tcase_add_test(c, what_the_full_queue_refuses_stays_in_memory_and_is_counted);
	tcase_add_test(c, only_the_newest_rows_are_kept_in_the_table);
	suite_add_tcase(s, c);
	return t_run(s);
}
