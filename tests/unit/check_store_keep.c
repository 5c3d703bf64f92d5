/* check_store_keep.c - what the store keeps: damaged blocks, changed streams, retention,
 * rollups. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "t_run.h"
#include "t_store.h"

enum { CAP = 20000 };

static struct t_store t;
static struct hn_frame *got;

static void setup(void)
{
	log_set_level(LOG_ERR);
	t_store_make(&t, 4096);
	got = calloc(CAP, sizeof *got);
	ck_assert_ptr_nonnull(got);
}

static void teardown(void)
{
	free(got);
	t_store_remove(&t);
}

static void append_range(int stream, uint64_t from, uint64_t to)
{
	struct hn_frame f;

	for (uint64_t i = from; i < to; i++) {
		t_frame(t.conf, stream, i, &f);
		t_store_append(&t, &f);
	}
}

static void sql_write(const char *sql)
{
	sqlite3 *conn;
	char *text = NULL;

	ck_assert_int_eq(sqlite3_open(t.dir.db, &conn), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(conn, sql, NULL, NULL, &text) == SQLITE_OK, "%s", text);
	ck_assert_int_eq(sqlite3_close(conn), SQLITE_OK);
}

START_TEST(a_damaged_block_is_skipped_and_counted)
{
	hn_status rc;
	size_t n;

	t_store_open(&t, 0.01);
	for (uint64_t i = 0; i < 3; i++) {
		append_range(0, i * 1100, (i + 1) * 1100);
		t_store_wait(&t, (i + 1) * 1100);
	}
	t_store_shut(&t);
	n = t_store_read(&t, "vib", got, CAP, &rc);
	ck_assert_uint_eq(n, 3300);
	sql_write("UPDATE chunk SET data=substr(data,1,50)||x'ff'||substr(data,52) WHERE id=2");
	n = t_store_read(&t, "vib", got, CAP, &rc);
	ck_assert_int_eq(rc, HN_EFORMAT);
	ck_assert_uint_eq(n, 3300 - (size_t)t_sql(&t, "SELECT n FROM chunk WHERE id=2"));
}
END_TEST

START_TEST(a_damaged_hot_block_does_not_stop_the_seal)
{
	hn_status rc;

	t_store_open(&t, 0.01);
	append_range(0, 0, 500);
	t_store_wait(&t, 500);
	t_store_shut(&t);
	sql_write("UPDATE hot SET data=x'00' WHERE seq=1");
	const long n_bad = t_sql(&t, "SELECT n FROM hot WHERE seq=1");
	t_store_open(&t, 0.01);
	append_range(0, 500, 2000);
	t_store_shut(&t);
	ck_assert_uint_eq(t_store_read(&t, "vib", got, CAP, &rc), 2000 - (size_t)n_bad);
	ck_assert_int_eq(rc, HN_EFORMAT);
	ck_assert_int_ge(t_sql(&t, "SELECT count(*) FROM chunk"), 1);
}
END_TEST

START_TEST(a_changed_scale_starts_a_new_stream_and_keeps_the_old)
{
	hn_status rc;

	t_store_open(&t, 0.01);
	append_range(0, 0, 50);
	t_store_shut(&t);
	t.conf->streams[0].channels[1].scale = 0.02;
	t_store_open(&t, 0.01);
	append_range(0, 0, 20);
	t_store_shut(&t);
	ck_assert_uint_eq(t_store_read(&t, "vib", got, CAP, &rc), 20);
	ck_assert_uint_eq(t_store_read(&t, "vib@1", got, CAP, &rc), 50);
	t_store_open(&t, 0.01);                          /* and only once */
	t_store_shut(&t);
	ck_assert_int_eq(t_sql(&t, "SELECT count(*) FROM stream"), 3);
	(void)snprintf(t.conf->streams[0].channels[1].unit, 16, "m/s");
	t_store_open(&t, 0.01);
	t_store_shut(&t);
	ck_assert_int_eq(t_sql(&t, "SELECT count(*) FROM stream"), 3);
	ck_assert_int_eq(t_sql(&t, "SELECT count(*) FROM stream WHERE channels LIKE '%m/s%'"), 1);
}
END_TEST

static bool retained;

static void retain_until(const char *sql, long most)
{
	for (int i = 0; i < 200 && t_sql(&t, sql) > most; i++) {
		retained = false;
		store_retain(t.store, clock_now_us());
		(void)t_loop_until(&t.loop, &retained, 0.02);
	}
	ck_assert_int_le(t_sql(&t, sql), most);
}

START_TEST(retention_by_age_goes_by_the_time_of_sealing)
{
	clock_set_virtual(1000000000);
	t_store_open(&t, 0.002);
	append_range(0, 0, 2000);
	store_flush(t.store);
	t_store_wait(&t, 2000);
	clock_set_virtual(1000000000 + 50 * INT64_C(1000000));
	append_range(0, 2000, 4000);
	store_flush(t.store);
	t_store_wait(&t, 4000);
	const long before = t_sql(&t, "SELECT count(*) FROM chunk");
	t.conf->store.retain_s = 60;
	store_retain(t.store, clock_now_us());
	(void)t_loop_until(&t.loop, &retained, 0.1);
	ck_assert_int_eq(t_sql(&t, "SELECT count(*) FROM chunk"), before);
	clock_set_virtual(1000000000 + 70 * INT64_C(1000000));
	retain_until("SELECT count(*) FROM chunk WHERE sealed<1050000000", 0);
	ck_assert_int_ge(t_sql(&t, "SELECT count(*) FROM chunk"), 1);
	t_store_shut(&t);
	clock_set_virtual(-1);
}
END_TEST

START_TEST(retention_by_size_deletes_the_oldest)
{
	t_store_open(&t, 0.002);
	append_range(1, 0, 12000);
	store_flush(t.store);
	t_store_wait(&t, 12000);
	const long last = t_sql(&t, "SELECT max(id) FROM chunk");
	t.conf->store.size_max = 1500000;
	retain_until("SELECT sum(length(data)) FROM chunk", 1500000);
	ck_assert_int_eq(t_sql(&t, "SELECT max(id) FROM chunk"), last);
	ck_assert_int_ge(t_sql(&t, "SELECT sum(length(data)) FROM chunk"), 500000);
	t_store_shut(&t);
}
END_TEST

START_TEST(rollups_hold_physical_values_without_missing_ones)
{
	t_store_open(&t, 0.01);
	append_range(0, 0, 12000);                       /* 120 s at 100 Hz */
	t_store_shut(&t);
	ck_assert_int_eq(t_sql(&t, "SELECT count(DISTINCT channel) FROM roll_1m"), 3);
	/* 12000 frames, channel 0 is missing in every 97th; what is still hot is not rolled up. */
	const long hot = t_sql(&t, "SELECT coalesce(sum(n),0) FROM hot");
	const long n = t_sql(&t, "SELECT sum(n) FROM roll_1m WHERE channel=0");
	ck_assert_int_eq(n, (12000 - hot) - (12000 - hot + 96) / 97);
	ck_assert_int_eq(t_sql(&t, "SELECT sum(n) FROM roll_1h WHERE channel=0"), n);

	double sum = 0;
	struct hn_frame f;
	for (uint64_t i = 0; i < (uint64_t)(12000 - hot); i++) {
		t_frame(t.conf, 0, i, &f);
		if (f.quality[2] == HN_GOOD)
			sum += f.raw[2] * 0.01 + 2;
	}
	ck_assert_double_eq_tol((double)t_sql(&t, "SELECT sum(sum) FROM roll_1m WHERE channel=2"), sum,
	                        fabs(sum) * 1e-9 + 1);
	ck_assert_int_eq(t_sql(&t, "SELECT count(*) FROM roll_1m WHERE sumsq<sum*sum/n*0.999 OR "
	                       "min>max OR t%60000000!=0"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_keep");
	TCase *c = tcase_create("store_keep");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, a_damaged_block_is_skipped_and_counted);
	tcase_add_test(c, a_damaged_hot_block_does_not_stop_the_seal);
	tcase_add_test(c, a_changed_scale_starts_a_new_stream_and_keeps_the_old);
	tcase_add_test(c, retention_by_age_goes_by_the_time_of_sealing);
	tcase_add_test(c, retention_by_size_deletes_the_oldest);
	tcase_add_test(c, rollups_hold_physical_values_without_missing_ones);
	suite_add_tcase(s, c);
	return t_run(s);
}
