/* check_store.c - what goes in comes out, in time order, across seals and restarts. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hn_rng.h"
#include "log.h"
#include "metrics.h"
#include "t_run.h"
#include "t_store.h"

enum { CAP = 20000, SEED = 7 };

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

static void assert_range(int stream, uint64_t n)
{
	struct hn_frame f;
	hn_status rc;

	ck_assert_uint_eq(t_store_read(&t, t.conf->streams[stream].name, got, CAP, &rc), n);
	ck_assert_int_eq(rc, HN_OK);
	for (uint64_t i = 0; i < n; i++) {
		t_frame(t.conf, stream, i, &f);
		ck_assert_msg(t_frame_equal(&got[i], &f), "frame %llu", (unsigned long long)i);
	}
}

START_TEST(what_is_durable_is_read_back_equal)
{
	t_store_open(&t, 0.01);
	append_range(0, 0, 100);
	append_range(1, 0, 10);
	t_store_wait(&t, 110);
	assert_range(0, 100);
	assert_range(1, 10);
	ck_assert_int_eq(t_sql(&t, "SELECT count(*) FROM chunk"), 0);
	t_store_shut(&t);
}
END_TEST

START_TEST(seals_and_restarts_lose_and_repeat_nothing)
{
	uint64_t n = 0;

	for (int run = 0; run < 4; run++) {
		t_store_open(&t, 0.002);
		for (int k = 0; k < 12; k++) {
			append_range(0, n, n + 137);
			n += 137;
			if (k % 3 == 0)
				t_store_wait(&t, (uint64_t)(k + 1) * 137);
		}
		t_store_shut(&t);                /* with frames that still wait */
		assert_range(0, n);
	}
	ck_assert_int_ge(t_sql(&t, "SELECT count(*) FROM chunk"), 4);
	ck_assert_int_eq(t_sql(&t, "SELECT (SELECT sum(n) FROM chunk)+(SELECT sum(n) FROM hot)"),
	                 (long)n);
	ck_assert_int_lt(t_sql(&t, "SELECT sum(n) FROM hot"), 1024);
}
END_TEST

START_TEST(a_wide_stream_fills_chunks_of_bounded_size)
{
	t_store_open(&t, 0.01);
	append_range(1, 0, 5000);
	t_store_wait(&t, 5000);
	assert_range(1, 5000);
	ck_assert_int_le(t_sql(&t, "SELECT max(n) FROM chunk"), 1024);
	t_store_shut(&t);
}
END_TEST

START_TEST(a_fast_stream_fills_chunks_of_4096)
{
	t_store_open(&t, 0.2);
	append_range(0, 0, 15000);
	t_store_shut(&t);
	assert_range(0, 15000);
	ck_assert_int_le(t_sql(&t, "SELECT max(n) FROM chunk"), 4096);
}
END_TEST

START_TEST(frames_that_come_late_are_read_in_time_order)
{
	uint64_t order[6000];
	struct hn_rng r;
	struct hn_frame f;

	printf("seed %d\n", SEED);
	hn_rng_seed(&r, SEED);
	for (uint64_t i = 0; i < 6000; i++)
		order[i] = i;
	for (uint32_t i = 5999; i > 0; i--) {            /* as late as it gets */
		const uint32_t k = hn_rng_below(&r, i + 1);
		const uint64_t x = order[i];

		order[i] = order[k];
		order[k] = x;
	}
	t_store_open(&t, 0.001);
	for (int i = 0; i < 6000; i++) {
		t_frame(t.conf, 0, order[i], &f);
		t_store_append(&t, &f);
		if (i % 500 == 0)
			t_store_wait(&t, (uint64_t)i + 1);
	}
	t_store_shut(&t);
	assert_range(0, 6000);
	ck_assert_int_gt(t_sql(&t, "SELECT count(*) FROM chunk"), 1);
}
END_TEST

static bool stop_after_ten(void *ctx, const struct hn_frame *f)
{
	(void)f;
	return ++*(int *)ctx < 10;
}

static bool count_all(void *ctx, const struct hn_frame *f)
{
	(void)f;
	++*(int *)ctx;
	return true;
}

START_TEST(a_span_is_half_open_and_the_reader_can_stop)
{
	struct store_reader *r = NULL;
	struct hn_err err = { 0 };
	struct hn_frame a, b;
	int n = 0;

	t_store_open(&t, 0.01);
	append_range(0, 0, 3000);
	t_store_shut(&t);
	t_frame(t.conf, 0, 500, &a);
	t_frame(t.conf, 0, 2500, &b);
	ck_assert_int_eq(store_reader_open(&r, t.dir.db, &err), HN_OK);
	ck_assert_int_eq(store_read(r, "vib", a.event_us, b.event_us, count_all, &n), HN_OK);
	ck_assert_int_eq(n, 2000);
	n = 0;
	ck_assert_int_eq(store_read(r, "vib", a.event_us, a.event_us, count_all, &n), HN_OK);
	ck_assert_int_eq(store_read(r, "vib", b.event_us, a.event_us, count_all, &n), HN_OK);
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(store_read(r, "vib", INT64_MIN, INT64_MAX, stop_after_ten, &n), HN_OK);
	ck_assert_int_eq(n, 10);
	ck_assert_int_eq(store_read(r, "none", INT64_MIN, INT64_MAX, count_all, &n), HN_ENOENT);
	store_reader_close(r);
}
END_TEST

START_TEST(more_overlap_than_memory_is_read_in_several_passes)
{
	struct hn_frame f;
	struct store_reader *r = NULL;
	struct hn_err err = { 0 };
	const uint64_t n = STORE_READ_FRAMES * 2 + 1000;
	int count = 0;

	t_store_open(&t, 0.2);
	for (uint64_t i = 0; i < n; i++) {               /* every chunk spans nearly all of time */
		t_frame(t.conf, 0, i * 7919 % n, &f);
		t_store_append(&t, &f);
	}
	t_store_shut(&t);
	ck_assert_int_eq(store_reader_open(&r, t.dir.db, &err), HN_OK);
	ck_assert_int_eq(store_read(r, "vib", INT64_MIN, INT64_MAX, count_all, &count), HN_OK);
	ck_assert_int_eq(count, (int)n);
	store_reader_close(r);
}
END_TEST

START_TEST(a_full_buffer_refuses_and_tells_when_there_is_room)
{
	struct hn_frame f;
	uint64_t n = 0;

	t_store_open(&t, 0.5);
	for (;; n++) {                                   /* the loop does not turn meanwhile */
		t_frame(t.conf, 0, n, &f);
		if (store_append(t.store, &f) == HN_EFULL)
			break;
	}
	ck_assert_uint_ge(n, 4096);
	ck_assert_uint_le(n, 2 * 4096);
	t_store_wait(&t, n);
	ck_assert_int_ge(t.n_room, 1);
	t_store_append(&t, &f);
	t_store_shut(&t);
	assert_range(0, n + 1);
}
END_TEST

START_TEST(a_frame_of_another_shape_is_refused)
{
	struct hn_frame f;

	t_store_open(&t, 0.01);
	t_frame(t.conf, 0, 0, &f);
	f.n = 2;
	ck_assert_int_eq(store_append(t.store, &f), HN_EINVAL);
	f.n = 3;
	f.stream = 2;
	ck_assert_int_eq(store_append(t.store, &f), HN_EINVAL);
	f.stream = -1;
	ck_assert_int_eq(store_append(t.store, &f), HN_EINVAL);
	t_store_shut(&t);
}
END_TEST

START_TEST(a_flush_does_not_wait_for_commit_every)
{
	t_store_open(&t, 30);
	append_range(0, 0, 5);
	store_flush(t.store);
	t_store_wait(&t, 5);
	t_store_shut(&t);
}
END_TEST

/* --- labels and predictions ---------------------------------------------------------------- */

static struct store_label labels[16];
static int n_labels;

static bool on_label(void *ctx, const struct store_label *l)
{
	(void)ctx;
	labels[n_labels++] = *l;
	return n_labels < 16;
}

static void give(int64_t t0, int64_t t1, double value)
{
	struct store_label l = { .t0_us = t0, .t1_us = t1, .value = value, .who = "eva", .given_us = 99 };

	t.reached = false;
	ck_assert_int_eq(store_label(t.store, &l), HN_OK);
	ck_assert(t_loop_until(&t.loop, &t.reached, 10));
}

START_TEST(labels_are_announced_when_durable_and_read_by_overlap)
{
	struct store_reader *r = NULL;
	struct hn_err err = { 0 };

	t_store_open(&t, 0.005);
	give(300, 400, 2);
	give(100, 200, 1);
	give(250, 250, 3);
	ck_assert_int_eq(t.n_labels, 3);
	ck_assert_int_eq(t.label.id, 3);
	ck_assert_int_eq(t.label.t0_us, 250);
	ck_assert_str_eq(t.label.who, "eva");
	ck_assert_int_eq(store_reader_open(&r, t.dir.db, &err), HN_OK);
	n_labels = 0;
	ck_assert_int_eq(store_read_labels(r, "vib", 200, 300, on_label, NULL), HN_OK);
	ck_assert_int_eq(n_labels, 2);
	ck_assert_int_eq(labels[0].t0_us, 100);
	ck_assert_double_eq(labels[1].value, 3);
	ck_assert_int_eq(labels[1].given_us, 99);
	n_labels = 0;
	ck_assert_int_eq(store_read_labels(r, "vib", INT64_MIN, INT64_MAX, on_label, NULL), HN_OK);
	ck_assert_int_eq(n_labels, 3);
	ck_assert_int_eq(store_read_labels(r, "none", 0, 1, on_label, NULL), HN_ENOENT);
	store_reader_close(r);
	t_store_shut(&t);
}
END_TEST

START_TEST(labels_that_mean_nothing_are_refused)
{
	struct store_label l = { .t0_us = 2, .t1_us = 1 };

	t_store_open(&t, 0.005);
	ck_assert_int_eq(store_label(t.store, &l), HN_ERANGE);
	l = (struct store_label){ .stream = 2 };
	ck_assert_int_eq(store_label(t.store, &l), HN_ERANGE);
	l = (struct store_label){ .value = (double)NAN };
	ck_assert_int_eq(store_label(t.store, &l), HN_ERANGE);
	l = (struct store_label){ .value = 1 };
	memset(l.who, 'x', sizeof l.who);
	ck_assert_int_eq(store_label(t.store, &l), HN_ERANGE);
	t_store_shut(&t);
}
END_TEST

START_TEST(predictions_are_kept_and_the_oldest_dropped_when_too_many_wait)
{
	struct store_prediction p = { .stream = 0, .version = 4, .class_index = 2, .margin = -1 };
	struct metric *lost = metric_counter("honed_store_predictions_dropped_total", "", "");
	const double before = metric_value(lost);

	t_store_open(&t, 30);
	for (int i = 0; i < 1000 && db_backlog(t.db) > 0; i++)
		(void)uv_run(&t.loop, UV_RUN_ONCE);      /* the streams' rows exist */
	for (int i = 0; i < 5000; i++) {
		p.event_us = i;
		store_predict(t.store, &p);
	}
	t_store_shut(&t);
	ck_assert_double_eq(metric_value(lost) - before, 5000 - 4096);
	ck_assert_int_eq(t_sql(&t, "SELECT count(*) FROM prediction"), 4096);
	ck_assert_int_eq(t_sql(&t, "SELECT min(t) FROM prediction"), 5000 - 4096);
	ck_assert_int_eq(t_sql(&t, "SELECT count(*) FROM prediction WHERE margin IS NULL AND "
	                       "version=4 AND class=2 AND device=0"), 4096);
}
END_TEST

START_TEST(the_status_tells_streams_and_counts)
{
	t_store_open(&t, 0.01);
	append_range(0, 0, 1500);
	t_store_wait(&t, 1500);
	json_t *o = store_json(t.store);
	const json_t *s = json_array_get(json_object_get(o, "streams"), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(o, "durable")), 1500);
	ck_assert_int_eq(json_integer_value(json_object_get(s, "frames")), 1500);
	ck_assert_double_eq_tol(json_real_value(json_object_get(s, "rate_hz")), 100, 2);
	ck_assert_ptr_nonnull(json_object_get(s, "last_event"));
	json_decref(o);
	t_store_shut(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store");
	TCase *c = tcase_create("store");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, what_is_durable_is_read_back_equal);
	tcase_add_test(c, seals_and_restarts_lose_and_repeat_nothing);
	tcase_add_test(c, a_wide_stream_fills_chunks_of_bounded_size);
	tcase_add_test(c, a_fast_stream_fills_chunks_of_4096);
	tcase_add_test(c, frames_that_come_late_are_read_in_time_order);
	tcase_add_test(c, a_span_is_half_open_and_the_reader_can_stop);
	tcase_add_test(c, more_overlap_than_memory_is_read_in_several_passes);
	tcase_add_test(c, a_full_buffer_refuses_and_tells_when_there_is_room);
	tcase_add_test(c, a_frame_of_another_shape_is_refused);
	tcase_add_test(c, a_flush_does_not_wait_for_commit_every);
	tcase_add_test(c, labels_are_announced_when_durable_and_read_by_overlap);
	tcase_add_test(c, labels_that_mean_nothing_are_refused);
	tcase_add_test(c, predictions_are_kept_and_the_oldest_dropped_when_too_many_wait);
	tcase_add_test(c, the_status_tells_streams_and_counts);
	suite_add_tcase(s, c);
	return t_run(s);
}
