/* check_monitor.c - frames, predictions and labels of a simulated machine through the monitor and
 * the real database: one alarm an episode, the right verdict, re-arming, and going on after a
 * restart. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "t_monitor.h"
#include "t_run.h"

START_TEST(a_machine_that_changes_its_state_all_the_time_is_steady)
{
	t_in_service();
	t_both(10000, 1);                          /* 13 minutes, two streams */
	ck_assert_int_eq(t_seen.opened, 0);
	ck_assert_str_eq(t_state(), "steady");
}
END_TEST

START_TEST(an_ageing_sensor_raises_one_alarm_that_names_its_channels)
{
	int n = 0;

	t_in_service();
	t_both(300, 1);
	const int64_t began = t_now_us(0);

	while (!t_seen.opened && n < 200) {        /* a ramp of 2 s */
		t_machines[0].shift = fmin(640.0, 640.0 * n++ / 25.0);
		t_both(1, 1);
	}
	printf("found after %d blocks of 80 ms\n", n);
	ck_assert_int_le(n, 40);
	t_machines[0].shift = 640.0;
	t_both(2000, 1);
	ck_assert_int_eq(t_seen.opened, 1);
	ck_assert_int_eq(t_seen.closed, 0);
	ck_assert_int_eq(t_seen.last.verdict.kind, HN_DATA_DRIFT);
	ck_assert_int_eq(t_seen.last.stream, 0);
	ck_assert_int_eq(t_seen.last.verdict.channel[0], 0);
	ck_assert_int_ge(t_seen.last.since_us, began - 2000000);
	ck_assert_int_le(t_seen.last.since_us, t_seen.last.opened_us);
	ck_assert_int_eq(monitor_since(t_mon, T_MODEL), t_seen.last.since_us);
	ck_assert_ptr_nonnull(strstr(t_seen.evidence, "\"verdict\":\"data drift\""));
	ck_assert_str_eq(t_state(), "data drift");
}
END_TEST

/* `n` sketches of `windows` blocks each; `raw`: their frames come, too. */
static void sketch(int n, int windows, bool raw)
{
	for (; n > 0; n--) {
		double sum[T_CH] = { 0 }, sum2[T_CH] = { 0 };
		struct monitor_sketch s = { .stream = 0, .n_ch = T_CH, .sum = sum, .sum2 = sum2 };

		for (; s.frames < (uint32_t)(windows * T_BLOCK); s.frames++) {
			const struct hn_frame f = t_machine_frame(0);

			for (int c = 0; c < T_CH; c++) {
				sum[c] += f.raw[c];
				sum2[c] += (double)f.raw[c] * f.raw[c];
			}
			s.event_us = f.event_us;
			if (raw)
				monitor_frame(t_mon, &f);
		}
		monitor_sketch(t_mon, &s);
	}
}

/* A device that sends sketches: stream 0 of the machine. */
static void device_of_stream_0(void)
{
	t_close_all();
	t_conf->n_devices = 1;
	t_conf->devices[0].telemetry = 1;
	(void)snprintf(t_conf->devices[0].stream, HN_NAME_MAX, "%s", t_conf->streams[0].name);
	t_open_all();
}

START_TEST(sketches_of_a_device_raise_the_alarm_that_its_frames_would)
{
	struct monitor_pick pick[4];

	device_of_stream_0();
	sketch(T_LEARN + 8, 2, false);
	t_blocks(1, T_LEARN + 8, 0);
	monitor_rearm(t_mon, T_MODEL, 1, 0.95);
	sketch(300, 2, false);
	ck_assert_int_eq(t_seen.opened, 0);
	ck_assert_int_eq(monitor_pick(t_mon, T_MODEL, "mixed", 4, pick), 0);     /* no frame came */
	t_machines[0].shift = 600;
	sketch(200, 2, true);
	ck_assert_int_eq(t_seen.opened, 1);
	ck_assert_int_eq(t_seen.last.stream, 0);
	ck_assert_int_eq(t_seen.last.verdict.kind, HN_DATA_DRIFT);
	ck_assert_int_eq(t_seen.last.verdict.channel[0], 0);
	ck_assert_int_gt(monitor_pick(t_mon, T_MODEL, "mixed", 4, pick), 0);     /* now they do */
	ck_assert_int_eq(pick[0].stream, 0);
}
END_TEST

START_TEST(the_frames_of_a_sketched_stream_move_no_chart)
{
	device_of_stream_0();
	sketch(T_LEARN + 8, 2, false);
	t_blocks(1, T_LEARN + 8, 0);
	monitor_rearm(t_mon, T_MODEL, 1, 0.95);
	t_machines[0].shift = 600;
	t_blocks(0, 300, 0);
	ck_assert_int_eq(t_seen.opened, 0);
}
END_TEST

START_TEST(a_new_champion_ends_the_episode_and_the_next_drift_is_another_one)
{
	t_in_service();
	for (int cycle = 1; cycle <= 3; cycle++) {
		t_machines[0].shift += 640.0;
		t_machines[1].shift += 640.0;
		t_both(60, 1);
		ck_assert_int_eq(t_seen.opened, cycle);
		t_both(100, 1);
		monitor_rearm(t_mon, T_MODEL, cycle + 1, 0.9);
		ck_assert_int_eq(t_seen.closed, cycle);
		t_both(200, cycle + 1);
		ck_assert_str_eq(t_state(), "steady");
		ck_assert_int_eq(t_seen.opened, cycle);
	}
}
END_TEST

START_TEST(recovery_ends_an_episode_without_a_new_champion)
{
	t_cfg.quiet_blocks = 200;
	t_close_all();
	t_open_all();
	t_in_service();
	t_machines[0].shift = 800.0;
	t_both(60, 1);
	ck_assert_int_eq(t_seen.opened, 1);
	t_machines[0].shift = 0.0;
	t_both(600, 1);
	ck_assert_int_eq(t_seen.closed, 1);
	ck_assert_str_eq(t_state(), "steady");
}
END_TEST

START_TEST(wrong_answers_on_unchanged_inputs_are_concept_drift)
{
	int judged, right, n = 0;

	t_in_service();
	t_both(100, 1);
	for (int i = 0; i < 30; i++) {
		t_both(10, 1);
		t_label(0, t_now_us(0) - (T_BLOCK - 1) * T_PERIOD_US, t_now_us(0), t_machines[0].state, &judged,
		        &right);
		ck_assert_int_eq(judged, 1);
		ck_assert_int_eq(right, 1);
	}
	ck_assert_int_eq(t_seen.opened, 0);
	t_machines[0].confused = t_machines[1].confused = true;
	while (!t_seen.opened && n++ < 40) {
		t_both(10, 1);
		t_label(0, t_now_us(0) - (T_BLOCK - 1) * T_PERIOD_US, t_now_us(0), t_machines[0].state, &judged,
		        &right);
		ck_assert_int_eq(right, 0);
	}
	printf("found after %d labels\n", n);
	ck_assert_int_le(n, 12);
	ck_assert_int_eq(t_seen.last.verdict.kind, HN_CONCEPT_DRIFT);
}
END_TEST

START_TEST(a_label_judges_each_prediction_of_its_span_once)
{
	int judged, right;
	int64_t t0, t1;

	t_in_service();
	t0 = t_now_us(1) + T_PERIOD_US;
	t_machines[1].left = T_BLOCK * 20;           /* one state for the whole span */
	t_blocks(1, 5, 1);
	t1 = t_now_us(1);
	t_label(1, t0, t1, t_machines[1].state, &judged, &right);
	ck_assert_int_eq(judged, 5);
	ck_assert_int_eq(right, 5);
	t_label(1, t0, t1, t_machines[1].state, &judged, &right);
	ck_assert_int_eq(judged, 0);
	t_label(0, t0, t1, 0, &judged, &right);    /* nothing was predicted there then */
	ck_assert_int_eq(judged, 0);
	t_label(7, t0, t1, 0, &judged, &right);    /* no such stream */
	ck_assert_int_eq(judged, 0);
	t_blocks(1, 1, 99);                        /* another version's answer does not count */
	t_label(1, t1 + T_PERIOD_US, t_now_us(1), t_machines[1].state, &judged, &right);
	ck_assert_int_eq(judged, 0);
}
END_TEST

static void faulty(int stream, int channel, uint8_t quality, int n)
{
	for (int i = 0; i < n * T_BLOCK; i++) {
		struct hn_frame f = t_machine_frame(stream);

		f.quality[channel] = quality;
		f.raw[channel] = 32767;
		monitor_frame(t_mon, &f);
	}
}

START_TEST(bad_values_are_a_sensor_fault_and_never_drift)
{
	static const struct { uint8_t quality; enum hn_fault fault; } kinds[] = {
		{ HN_FAIL, HN_FAULT_RANGE }, { HN_SUSPECT, HN_FAULT_STUCK }, { HN_MISSING, HN_FAULT_MISSING } };

	t_in_service();
	faulty(0, 2, kinds[_i].quality, 100);
	ck_assert_int_eq(t_seen.opened, 1);
	ck_assert_int_eq(t_seen.last.verdict.kind, HN_SENSOR_FAULT);
	ck_assert_int_eq(t_seen.last.verdict.fault, kinds[_i].fault);
	ck_assert_int_eq(t_seen.last.verdict.n, 1);
	ck_assert_int_eq(t_seen.last.verdict.channel[0], 2);
	t_machines[1].shift = 640.0;               /* the other stream drifts meanwhile */
	t_blocks(1, 60, 1);
	ck_assert_int_eq(t_seen.opened, 1);
	ck_assert_int_eq(t_seen.changed, 1);
	ck_assert_int_eq(t_seen.last.verdict.kind, HN_DATA_DRIFT);
	ck_assert_int_eq(t_seen.last.stream, 1);
}
END_TEST

START_TEST(everything_goes_on_after_a_restart)
{
	char before[40];
	int64_t since;

	t_in_service();
	t_close_all();
	t_open_all();
	ck_assert_str_eq(t_state(), "steady");     /* no new learning */
	t_machines[0].shift = 640.0;
	t_both(60, 1);
	ck_assert_int_eq(t_seen.opened, 1);
	since = monitor_since(t_mon, T_MODEL);
	(void)snprintf(before, sizeof before, "%s", t_state());
	t_close_all();
	t_open_all();
	ck_assert_str_eq(t_state(), before);
	ck_assert_int_eq(monitor_since(t_mon, T_MODEL), since);
	t_both(100, 1);
	ck_assert_int_eq(t_seen.opened, 1);        /* still the same episode */
	monitor_rearm(t_mon, T_MODEL, 2, 0.9);
	t_both(200, 2);
	t_machines[0].shift = -640.0;
	t_both(60, 2);
	ck_assert_int_eq(t_seen.opened, 2);
	ck_assert_int_eq(t_seen.last.id, 2);
}
END_TEST

static int query_int(const char *sql)
{
	struct hn_err err = { 0 };
	sqlite3 *r = NULL;
	sqlite3_stmt *q = NULL;
	int n;

	ck_assert_msg(db_reader(t_mon_dir.db, &r, &err) == HN_OK, "%s", err.text);
	ck_assert_int_eq(sqlite3_prepare_v2(r, sql, -1, &q, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(q), SQLITE_ROW);
	n = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(r);
	return n;
}

START_TEST(alarm_and_end_are_in_the_database_with_their_evidence)
{
	t_in_service();
	t_machines[0].shift = 640.0;
	t_both(60, 1);
	t_both(100, 1);
	monitor_rearm(t_mon, T_MODEL, 2, 0.9);
	t_close_all();
	ck_assert_int_eq(query_int("SELECT count(*) FROM episode WHERE state = 'closed'"), 1);
	ck_assert_int_eq(query_int("SELECT count(*) FROM journal WHERE kind = 'alarm' AND episode = 1"),
	                 1);
	ck_assert_int_eq(query_int("SELECT count(*) FROM journal WHERE kind = 'episode_closed'"), 1);
	ck_assert_int_eq(query_int("SELECT count(*) FROM monitor_state"), 3);
	ck_assert_int_eq(query_int("SELECT count(*) FROM episode WHERE model = 'pump' AND "
	                           "kind = 'data drift' AND json_type(evidence) = 'object'"), 1);
	t_open_all();
}
END_TEST

/* Replace the saved state by bytes that were not written by this build. */
static void damage(const char *sql)
{
	sqlite3 *w = NULL;

	t_close_all();
	ck_assert_int_eq(sqlite3_open(t_mon_dir.db, &w), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(w, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(w);
	t_open_all();
}

START_TEST(damaged_or_foreign_state_is_dropped_and_learned_anew)
{
	static const char *const sql[] = {
		"UPDATE monitor_state SET data = zeroblob(length(data))",
		"UPDATE monitor_state SET data = randomblob(length(data))",
		"UPDATE monitor_state SET data = substr(data, 1, 100)",
		"UPDATE monitor_state SET data = x'00'",
		"UPDATE monitor_state SET data = NULL",
		"UPDATE monitor_state SET model = 'gone'",
	};

	t_in_service();
	damage(sql[_i]);
	ck_assert_str_eq(t_state(), "no version");
	t_in_service();
	t_machines[0].shift = 640.0;
	t_both(60, 1);
	ck_assert_int_eq(t_seen.opened, 1);
}
END_TEST

START_TEST(other_settings_drop_the_old_state)
{
	t_in_service();
	t_close_all();
	t_cfg.learn = 64;
	t_open_all();
	ck_assert_str_eq(t_state(), "learning");   /* the champion is known, its reference is not */
}
END_TEST

START_TEST(windows_to_label_are_recent_distinct_and_offered_once)
{
	struct monitor_pick pick[32], more[32];
	int n, m;

	t_in_service();
	t_machines[0].shift = t_machines[1].shift = 640.0;
	t_both(30, 1);
	ck_assert_int_eq(t_seen.opened, 1);
	ck_assert_int_eq(monitor_pick(t_mon, T_MODEL, "mixed", 16, pick), 0);        /* not settled */
	t_both(T_LEARN / 2, 1);
	n = monitor_pick(t_mon, T_MODEL, "mixed", 16, pick);
	ck_assert_int_eq(n, 16);
	m = monitor_pick(t_mon, T_MODEL, "mixed", 16, more);
	ck_assert_int_eq(m, 16);
	for (int i = 0; i < n; i++) {
		ck_assert_int_gt(pick[i].event_us, t_seen.last.opened_us);
		ck_assert_int_ge(pick[i].margin, 0);
		ck_assert_int_eq((pick[i].event_us - T_T0) % (T_BLOCK * T_PERIOD_US), 0);
		for (int k = 0; k < m; k++)
			ck_assert(pick[i].stream != more[k].stream || pick[i].event_us != more[k].event_us);
	}
	ck_assert_int_eq(monitor_pick(t_mon, T_MODEL, "no such way", 4, pick), 0);
	ck_assert_int_eq(monitor_pick(t_mon, 5, "mixed", 4, pick), 0);
}
END_TEST

START_TEST(late_frames_gaps_and_other_streams_do_no_harm)
{
	struct hn_frame f;

	t_in_service();
	f = t_machine_frame(0);
	for (int i = 0; i < 1000; i++)
		monitor_frame(t_mon, &f);          /* the same time again and again */
	f.n = 2;
	f.event_us++;
	monitor_frame(t_mon, &f);
	f.stream = 63;
	monitor_frame(t_mon, &f);
	t_machines[0].frame += 100000;             /* silence, in the middle of a block */
	t_blocks(0, 300, 1);
	ck_assert_int_eq(t_seen.opened, 0);
}
END_TEST

START_TEST(an_unknown_detector_or_stream_is_refused_with_a_sentence)
{
	struct monitor *other = NULL;
	struct hn_err err = { 0 };

	(void)snprintf(t_cfg.errors, sizeof t_cfg.errors, "cusum");
	ck_assert_int_eq(monitor_open(&other, &t_deps, &err), HN_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "cusum"));
	err = (struct hn_err){ 0 };
	(void)snprintf(t_cfg.errors, sizeof t_cfg.errors, "nothing");
	ck_assert_int_eq(monitor_open(&other, &t_deps, &err), HN_ENOENT);
	t_cfg.errors[0] = 0;
	(void)snprintf(t_conf->models[0].streams[1], HN_NAME_MAX, "gone");
	err = (struct hn_err){ 0 };
	ck_assert_int_eq(monitor_open(&other, &t_deps, &err), HN_ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "gone"));
	ck_assert_ptr_null(other);
	(void)snprintf(t_conf->models[0].streams[1], HN_NAME_MAX, "vib-2");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("monitor");
	TCase *t = tcase_create("machine");

	printf("seed 11\n");
	tcase_add_checked_fixture(t, t_monitor_setup, t_monitor_teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_machine_that_changes_its_state_all_the_time_is_steady);
	tcase_add_test(t, an_ageing_sensor_raises_one_alarm_that_names_its_channels);
	tcase_add_test(t, sketches_of_a_device_raise_the_alarm_that_its_frames_would);
	tcase_add_test(t, the_frames_of_a_sketched_stream_move_no_chart);
	tcase_add_test(t, a_new_champion_ends_the_episode_and_the_next_drift_is_another_one);
	tcase_add_test(t, recovery_ends_an_episode_without_a_new_champion);
	tcase_add_test(t, wrong_answers_on_unchanged_inputs_are_concept_drift);
	tcase_add_test(t, a_label_judges_each_prediction_of_its_span_once);
	tcase_add_loop_test(t, bad_values_are_a_sensor_fault_and_never_drift, 0, 3);
	tcase_add_test(t, everything_goes_on_after_a_restart);
	tcase_add_test(t, alarm_and_end_are_in_the_database_with_their_evidence);
	tcase_add_loop_test(t, damaged_or_foreign_state_is_dropped_and_learned_anew, 0, 6);
	tcase_add_test(t, other_settings_drop_the_old_state);
	tcase_add_test(t, windows_to_label_are_recent_distinct_and_offered_once);
	tcase_add_test(t, late_frames_gaps_and_other_streams_do_no_harm);
	tcase_add_test(t, an_unknown_detector_or_stream_is_refused_with_a_sentence);
	suite_add_tcase(s, t);
	return t_run(s);
}
