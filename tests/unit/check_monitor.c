/* check_monitor.c - frames, predictions and labels of a simulated machine through the monitor and the
 * real database: one alarm an episode, the right verdict, re-arming, and going on after a restart. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hn_rng.h"
#include "log.h"
#include "monitor.h"
#include "t_dir.h"

enum { SEED = 11, N_CH = 3, BLOCK = 32, RATE = 400, LEARN = 128, STATES = 4, MODEL = 0 };
#define PERIOD_US (1000000 / RATE)
#define T0 1700000000000000

static struct t_dir dir;
static uv_loop_t loop;
static struct db *db;
static struct journal *journal;
static struct monitor *mon;
static struct conf *conf;
static struct monitor_cfg cfg;
static struct hn_rng rng;

static struct { int opened, changed, closed; struct monitor_episode last; char evidence[4096]; } seen;

static void on_episode(void *ctx, const struct monitor_episode *e)
{
	char *text = json_dumps(e->evidence, JSON_COMPACT);

	(void)ctx;
	seen.opened += e->event == MONITOR_OPENED;
	seen.changed += e->event == MONITOR_CHANGED;
	seen.closed += e->event == MONITOR_CLOSED;
	seen.last = *e;
	ck_assert_ptr_nonnull(text);
	(void)snprintf(seen.evidence, sizeof seen.evidence, "%s", text);
	free(text);
}

/* --- a machine with four states, two streams -------------------------------------------------------- */

struct machine { long frame; int left, state; double shift; bool confused; };
static struct machine machines[2];

static const double lean[STATES][N_CH] = {
	{ 0, 0, 4096 }, { 620, 240, 3940 }, { 240, -720, 4340 }, { -560, 320, 4660 } };
static const double noise[STATES] = { 40, 250, 400, 450 };

static int64_t now_us(int stream)
{
	return T0 + machines[stream].frame * PERIOD_US;
}

static struct hn_frame frame(int stream)
{
	struct machine *g = &machines[stream];
	struct hn_frame f = { .stream = stream, .n = N_CH };

	if (g->left == 0) {
		g->state = (g->state + 1) % STATES;
		g->left = BLOCK * (10 + (int)hn_rng_below(&rng, 11));
	}
	g->left--;
	g->frame++;
	f.event_us = f.ingest_us = now_us(stream);
	for (int c = 0; c < N_CH; c++) {
		f.raw[c] = (int32_t)lround(lean[g->state][c] + noise[g->state] * hn_rng_normal(&rng)
		                           - (c == 0 ? g->shift : 0.0));
		f.quality[c] = HN_GOOD;
	}
	return f;
}

static void predict(int stream, int64_t version)
{
	const struct machine *g = &machines[stream];
	const struct store_prediction p = { .stream = stream, .event_us = now_us(stream), .version = version,
		.model = MODEL, .class_index = g->confused ? (g->state + 1) % STATES : g->state,
		.margin = 150 + (int)hn_rng_below(&rng, 100) };

	monitor_prediction(mon, &p);
}

/* `n` blocks of one stream; version > 0: with predictions. */
static void blocks(int stream, int n, int64_t version)
{
	for (int b = 0; b < n; b++) {
		for (int i = 0; i < BLOCK; i++) {
			const struct hn_frame f = frame(stream);

			if (i == BLOCK - 1 && version > 0)
				predict(stream, version);
			monitor_frame(mon, &f);
		}
	}
}

static void both(int n, int64_t version)
{
	for (int i = 0; i < n; i++) {
		blocks(0, 1, version);
		blocks(1, 1, version);
	}
}

/* --- life ------------------------------------------------------------------------------------------- */

static void configure(void)
{
	conf = calloc(1, sizeof *conf);
	ck_assert_ptr_nonnull(conf);
	conf->n_streams = 2;
	conf->n_models = 1;
	for (int s = 0; s < 2; s++) {
		struct conf_stream *st = &conf->streams[s];

		(void)snprintf(st->name, sizeof st->name, "vib-%d", s + 1);
		st->period_s = 1.0 / RATE;
		st->n_channels = N_CH;
		for (int c = 0; c < N_CH; c++) {
			(void)snprintf(st->channels[c].name, sizeof st->channels[c].name, "%c", 'x' + c);
			st->channels[c].scale = 1.0 / 4096;
		}
		(void)snprintf(conf->models[0].streams[s], HN_NAME_MAX, "vib-%d", s + 1);
	}
	(void)snprintf(conf->models[0].name, HN_NAME_MAX, "pump");
	conf->models[0].n_streams = 2;
	conf->models[0].n_classes = STATES;
	conf->models[0].window = conf->models[0].hop = BLOCK;
	conf->models[0].policy.alarms_per_month = 1.0;
	conf->models[0].policy.label_budget = 20.0;
	conf->models[0].policy.label_period_s = 86400.0;
}

static void open_all(void)
{
	const struct db_cfg dbc = { dir.db, 1.0 };
	const struct monitor_deps deps = { .db = NULL, .db_path = dir.db, .conf = conf, .cfg = &cfg,
		.hooks = { NULL, on_episode } };
	struct monitor_deps d = deps;
	struct hn_err err = { 0 };

	ck_assert_msg(db_open(&db, &loop, &dbc, &err) == HN_OK, "%s", err.text);
	ck_assert_msg(journal_open(&journal, db, dir.db, &err) == HN_OK, "%s", err.text);
	d.db = db;
	d.journal = journal;
	ck_assert_msg(monitor_open(&mon, &d, &err) == HN_OK, "%s", err.text);
}

static void close_all(void)
{
	monitor_close(mon);
	db_close(db);
	journal_close(journal);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
}

static void setup(void)
{
	t_dir_make(&dir);
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	log_set_level(LOG_ERR);
	hn_rng_seed(&rng, SEED);
	memset(&seen, 0, sizeof seen);
	memset(machines, 0, sizeof machines);
	memset(&cfg, 0, sizeof cfg);
	cfg.learn = LEARN;
	configure();
	open_all();
}

static void teardown(void)
{
	close_all();
	t_loop_end(&loop);
	t_dir_remove(&dir);
	free(conf);
}

static const char *state(void)
{
	static char out[40];
	json_t *j = monitor_json(mon, MODEL);

	ck_assert_ptr_nonnull(j);
	(void)snprintf(out, sizeof out, "%s", json_string_value(json_object_get(j, "state")));
	json_decref(j);
	return out;
}

/* A champion, and a reference learned. */
static void in_service(void)
{
	ck_assert_str_eq(state(), "no version");
	both(LEARN / 2, 0);
	monitor_rearm(mon, MODEL, 1, 0.95);
	ck_assert_str_eq(state(), "learning");
	both(LEARN / 2 + 1, 1);
	ck_assert_str_eq(state(), "steady");
}

static void label(int stream, int64_t t0, int64_t t1, int class, int *judged, int *right)
{
	const struct store_label l = { .stream = stream, .t0_us = t0, .t1_us = t1, .value = class };

	*judged = monitor_label(mon, MODEL, &l, right);
}

/* --- tests -------------------------------------------------------------------------------------------- */

START_TEST(a_machine_that_changes_its_state_all_the_time_is_steady)
{
	in_service();
	both(10000, 1);                          /* 13 minutes, two streams */
	ck_assert_int_eq(seen.opened, 0);
	ck_assert_str_eq(state(), "steady");
}
END_TEST

START_TEST(an_ageing_sensor_raises_one_alarm_that_names_its_channels)
{
	int n = 0;

	in_service();
	both(300, 1);
	const int64_t began = now_us(0);

	while (!seen.opened && n < 200) {        /* a ramp of 2 s */
		machines[0].shift = fmin(640.0, 640.0 * n++ / 25.0);
		both(1, 1);
	}
	printf("found after %d blocks of 80 ms\n", n);
	ck_assert_int_le(n, 40);
	machines[0].shift = 640.0;
	both(2000, 1);
	ck_assert_int_eq(seen.opened, 1);
	ck_assert_int_eq(seen.closed, 0);
	ck_assert_int_eq(seen.last.verdict.kind, HN_DATA_DRIFT);
	ck_assert_int_eq(seen.last.stream, 0);
	ck_assert_int_eq(seen.last.verdict.channel[0], 0);
	ck_assert_int_ge(seen.last.since_us, began - 2000000);
	ck_assert_int_le(seen.last.since_us, seen.last.opened_us);
	ck_assert_int_eq(monitor_since(mon, MODEL), seen.last.since_us);
	ck_assert_ptr_nonnull(strstr(seen.evidence, "\"verdict\":\"data drift\""));
	ck_assert_str_eq(state(), "data drift");
}
END_TEST

START_TEST(a_new_champion_ends_the_episode_and_the_next_drift_is_another_one)
{
	in_service();
	for (int cycle = 1; cycle <= 3; cycle++) {
		machines[0].shift += 640.0;
		machines[1].shift += 640.0;
		both(60, 1);
		ck_assert_int_eq(seen.opened, cycle);
		both(100, 1);
		monitor_rearm(mon, MODEL, cycle + 1, 0.9);
		ck_assert_int_eq(seen.closed, cycle);
		both(200, cycle + 1);
		ck_assert_str_eq(state(), "steady");
		ck_assert_int_eq(seen.opened, cycle);
	}
}
END_TEST

START_TEST(recovery_ends_an_episode_without_a_new_champion)
{
	cfg.quiet_blocks = 200;
	close_all();
	open_all();
	in_service();
	machines[0].shift = 800.0;
	both(60, 1);
	ck_assert_int_eq(seen.opened, 1);
	machines[0].shift = 0.0;
	both(600, 1);
	ck_assert_int_eq(seen.closed, 1);
	ck_assert_str_eq(state(), "steady");
}
END_TEST

START_TEST(wrong_answers_on_unchanged_inputs_are_concept_drift)
{
	int judged, right, n = 0;

	in_service();
	both(100, 1);
	for (int i = 0; i < 30; i++) {
		both(10, 1);
		label(0, now_us(0) - (BLOCK - 1) * PERIOD_US, now_us(0), machines[0].state, &judged, &right);
		ck_assert_int_eq(judged, 1);
		ck_assert_int_eq(right, 1);
	}
	ck_assert_int_eq(seen.opened, 0);
	machines[0].confused = machines[1].confused = true;
	while (!seen.opened && n++ < 40) {
		both(10, 1);
		label(0, now_us(0) - (BLOCK - 1) * PERIOD_US, now_us(0), machines[0].state, &judged, &right);
		ck_assert_int_eq(right, 0);
	}
	printf("found after %d labels\n", n);
	ck_assert_int_le(n, 12);
	ck_assert_int_eq(seen.last.verdict.kind, HN_CONCEPT_DRIFT);
}
END_TEST

START_TEST(a_label_judges_each_prediction_of_its_span_once)
{
	int judged, right;
	int64_t t0, t1;

	in_service();
	t0 = now_us(1) + PERIOD_US;
	machines[1].left = BLOCK * 20;           /* one state for the whole span */
	blocks(1, 5, 1);
	t1 = now_us(1);
	label(1, t0, t1, machines[1].state, &judged, &right);
	ck_assert_int_eq(judged, 5);
	ck_assert_int_eq(right, 5);
	label(1, t0, t1, machines[1].state, &judged, &right);
	ck_assert_int_eq(judged, 0);
	label(0, t0, t1, 0, &judged, &right);    /* nothing was predicted there then */
	ck_assert_int_eq(judged, 0);
	label(7, t0, t1, 0, &judged, &right);    /* no such stream */
	ck_assert_int_eq(judged, 0);
	blocks(1, 1, 99);                        /* another version's answer does not count */
	label(1, t1 + PERIOD_US, now_us(1), machines[1].state, &judged, &right);
	ck_assert_int_eq(judged, 0);
}
END_TEST

static void faulty(int stream, int channel, uint8_t quality, int n)
{
	for (int i = 0; i < n * BLOCK; i++) {
		struct hn_frame f = frame(stream);

		f.quality[channel] = quality;
		f.raw[channel] = 32767;
		monitor_frame(mon, &f);
	}
}

START_TEST(bad_values_are_a_sensor_fault_and_never_drift)
{
	static const struct { uint8_t quality; enum hn_fault fault; } kinds[] = {
		{ HN_FAIL, HN_FAULT_RANGE }, { HN_SUSPECT, HN_FAULT_STUCK }, { HN_MISSING, HN_FAULT_MISSING } };

	in_service();
	faulty(0, 2, kinds[_i].quality, 100);
	ck_assert_int_eq(seen.opened, 1);
	ck_assert_int_eq(seen.last.verdict.kind, HN_SENSOR_FAULT);
	ck_assert_int_eq(seen.last.verdict.fault, kinds[_i].fault);
	ck_assert_int_eq(seen.last.verdict.n, 1);
	ck_assert_int_eq(seen.last.verdict.channel[0], 2);
	machines[1].shift = 640.0;               /* the other stream drifts meanwhile */
	blocks(1, 60, 1);
	ck_assert_int_eq(seen.opened, 1);
	ck_assert_int_eq(seen.changed, 1);
	ck_assert_int_eq(seen.last.verdict.kind, HN_DATA_DRIFT);
	ck_assert_int_eq(seen.last.stream, 1);
}
END_TEST

START_TEST(everything_goes_on_after_a_restart)
{
	char before[40];
	int64_t since;

	in_service();
	close_all();
	open_all();
	ck_assert_str_eq(state(), "steady");     /* no new learning */
	machines[0].shift = 640.0;
	both(60, 1);
	ck_assert_int_eq(seen.opened, 1);
	since = monitor_since(mon, MODEL);
	(void)snprintf(before, sizeof before, "%s", state());
	close_all();
	open_all();
	ck_assert_str_eq(state(), before);
	ck_assert_int_eq(monitor_since(mon, MODEL), since);
	both(100, 1);
	ck_assert_int_eq(seen.opened, 1);        /* still the same episode */
	monitor_rearm(mon, MODEL, 2, 0.9);
	both(200, 2);
	machines[0].shift = -640.0;
	both(60, 2);
	ck_assert_int_eq(seen.opened, 2);
	ck_assert_int_eq(seen.last.id, 2);
}
END_TEST

static int query_int(const char *sql)
{
	struct hn_err err = { 0 };
	sqlite3 *r = NULL;
	sqlite3_stmt *q = NULL;
	int n;

	ck_assert_msg(db_reader(dir.db, &r, &err) == HN_OK, "%s", err.text);
	ck_assert_int_eq(sqlite3_prepare_v2(r, sql, -1, &q, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(q), SQLITE_ROW);
	n = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(r);
	return n;
}

START_TEST(alarm_and_end_are_in_the_database_with_their_evidence)
{
	struct hn_err err = { 0 };
	sqlite3 *r = NULL;
	json_t *list;

	in_service();
	machines[0].shift = 640.0;
	both(60, 1);
	both(100, 1);
	monitor_rearm(mon, MODEL, 2, 0.9);
	close_all();
	ck_assert_int_eq(query_int("SELECT count(*) FROM episode WHERE state = 'closed'"), 1);
	ck_assert_int_eq(query_int("SELECT count(*) FROM journal WHERE kind = 'alarm' AND episode = 1"), 1);
	ck_assert_int_eq(query_int("SELECT count(*) FROM journal WHERE kind = 'episode_closed'"), 1);
	ck_assert_int_eq(query_int("SELECT count(*) FROM monitor_state"), 3);
	ck_assert_int_eq(db_reader(dir.db, &r, &err), HN_OK);
	list = monitor_episodes(r, "pump", 10);
	ck_assert_uint_eq(json_array_size(list), 1);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "verdict")), "data drift");
	ck_assert(json_is_object(json_object_get(json_array_get(list, 0), "evidence")));
	json_decref(list);
	list = monitor_episodes(r, "other", 10);
	ck_assert_uint_eq(json_array_size(list), 0);
	json_decref(list);
	sqlite3_close(r);
	open_all();
}
END_TEST

/* Replace the saved state by bytes that were not written by this build. */
static void damage(const char *sql)
{
	sqlite3 *w = NULL;

	close_all();
	ck_assert_int_eq(sqlite3_open(dir.db, &w), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(w, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(w);
	open_all();
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

	in_service();
	damage(sql[_i]);
	ck_assert_str_eq(state(), "no version");
	in_service();
	machines[0].shift = 640.0;
	both(60, 1);
	ck_assert_int_eq(seen.opened, 1);
}
END_TEST

START_TEST(other_settings_drop_the_old_state)
{
	in_service();
	close_all();
	cfg.learn = 64;
	open_all();
	ck_assert_str_eq(state(), "learning");   /* the champion is known, its reference is not */
}
END_TEST

START_TEST(windows_to_label_are_recent_distinct_and_offered_once)
{
	struct monitor_pick pick[32], more[32];
	int n, m;

	in_service();
	machines[0].shift = machines[1].shift = 640.0;
	both(30, 1);
	ck_assert_int_eq(seen.opened, 1);
	ck_assert_int_eq(monitor_pick(mon, MODEL, "mixed", 16, pick), 0);        /* not settled */
	both(LEARN / 2, 1);
	n = monitor_pick(mon, MODEL, "mixed", 16, pick);
	ck_assert_int_eq(n, 16);
	m = monitor_pick(mon, MODEL, "mixed", 16, more);
	ck_assert_int_eq(m, 16);
	for (int i = 0; i < n; i++) {
		ck_assert_int_gt(pick[i].event_us, seen.last.opened_us);
		ck_assert_int_ge(pick[i].margin, 0);
		ck_assert_int_eq((pick[i].event_us - T0) % (BLOCK * PERIOD_US), 0);
		for (int k = 0; k < m; k++)
			ck_assert(pick[i].stream != more[k].stream || pick[i].event_us != more[k].event_us);
	}
	ck_assert_int_eq(monitor_pick(mon, MODEL, "no such way", 4, pick), 0);
	ck_assert_int_eq(monitor_pick(mon, 5, "mixed", 4, pick), 0);
}
END_TEST

START_TEST(late_frames_gaps_and_other_streams_do_no_harm)
{
	struct hn_frame f;

	in_service();
	f = frame(0);
	for (int i = 0; i < 1000; i++)
		monitor_frame(mon, &f);          /* the same time again and again */
	f.n = 2;
	f.event_us++;
	monitor_frame(mon, &f);
	f.stream = 63;
	monitor_frame(mon, &f);
	machines[0].frame += 100000;             /* silence, in the middle of a block */
	blocks(0, 300, 1);
	ck_assert_int_eq(seen.opened, 0);
}
END_TEST

START_TEST(an_unknown_detector_or_stream_is_refused_with_a_sentence)
{
	struct monitor_deps deps = { .db = db, .db_path = dir.db, .conf = conf, .journal = journal, .cfg = &cfg };
	struct monitor *other = NULL;
	struct hn_err err = { 0 };

	(void)snprintf(cfg.errors, sizeof cfg.errors, "cusum");
	ck_assert_int_eq(monitor_open(&other, &deps, &err), HN_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "cusum"));
	err = (struct hn_err){ 0 };
	(void)snprintf(cfg.errors, sizeof cfg.errors, "nothing");
	ck_assert_int_eq(monitor_open(&other, &deps, &err), HN_ENOENT);
	cfg.errors[0] = 0;
	(void)snprintf(conf->models[0].streams[1], HN_NAME_MAX, "gone");
	err = (struct hn_err){ 0 };
	ck_assert_int_eq(monitor_open(&other, &deps, &err), HN_ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "gone"));
	ck_assert_ptr_null(other);
	(void)snprintf(conf->models[0].streams[1], HN_NAME_MAX, "vib-2");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("monitor");
	TCase *t = tcase_create("machine");
	SRunner *r;
	int failed;

	printf("seed %d\n", SEED);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_machine_that_changes_its_state_all_the_time_is_steady);
	tcase_add_test(t, an_ageing_sensor_raises_one_alarm_that_names_its_channels);
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
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
