#include "t_monitor.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hn_rng.h"
#include "log.h"

enum { SEED = 11 };

struct t_dir t_mon_dir;
static uv_loop_t loop;
static struct db *db;
static struct journal *journal;
struct monitor *t_mon;
struct conf *t_conf;
struct monitor_cfg t_cfg;
struct monitor_deps t_deps;
struct t_machine t_machines[2];
struct t_seen t_seen;
static struct hn_rng rng;

static void on_episode(void *ctx, const struct monitor_episode *e)
{
	char *text = json_dumps(e->evidence, JSON_COMPACT);

	(void)ctx;
	t_seen.opened += e->event == MONITOR_OPENED;
	t_seen.changed += e->event == MONITOR_CHANGED;
	t_seen.closed += e->event == MONITOR_CLOSED;
	t_seen.last = *e;
	ck_assert_ptr_nonnull(text);
	(void)snprintf(t_seen.evidence, sizeof t_seen.evidence, "%s", text);
	free(text);
}

/* --- a machine with four states, two streams -------------------------------------------------- */

static const double lean[T_STATES][T_CH] = {
	{ 0, 0, 4096 }, { 620, 240, 3940 }, { 240, -720, 4340 }, { -560, 320, 4660 } };
static const double noise[T_STATES] = { 40, 250, 400, 450 };

int64_t t_now_us(int stream)
{
	return T_T0 + t_machines[stream].frame * T_PERIOD_US;
}

struct hn_frame t_machine_frame(int stream)
{
	struct t_machine *g = &t_machines[stream];
	struct hn_frame f = { .stream = stream, .n = T_CH };

	if (g->left == 0) {
		g->state = (g->state + 1) % T_STATES;
		g->left = T_BLOCK * (10 + (int)hn_rng_below(&rng, 11));
	}
	g->left--;
	g->frame++;
	f.event_us = f.ingest_us = t_now_us(stream);
	for (int c = 0; c < T_CH; c++) {
		f.raw[c] = (int32_t)lround(lean[g->state][c] + noise[g->state] * hn_rng_normal(&rng)
		                           - (c == 0 ? g->shift : 0.0));
		f.quality[c] = HN_GOOD;
	}
	return f;
}

static void predict(int stream, int64_t version)
{
	const struct t_machine *g = &t_machines[stream];
	const struct store_prediction p = { .stream = stream, .event_us = t_now_us(stream),
		.version = version, .model = T_MODEL,
		.class_index = g->confused ? (g->state + 1) % T_STATES : g->state,
		.margin = 150 + (int)hn_rng_below(&rng, 100) };

	monitor_prediction(t_mon, &p);
}

/* `n` t_blocks of one stream; version > 0: with predictions. */
void t_blocks(int stream, int n, int64_t version)
{
	for (int b = 0; b < n; b++) {
		for (int i = 0; i < T_BLOCK; i++) {
			const struct hn_frame f = t_machine_frame(stream);

			if (i == T_BLOCK - 1 && version > 0)
				predict(stream, version);
			monitor_frame(t_mon, &f);
		}
	}
}

void t_both(int n, int64_t version)
{
	for (int i = 0; i < n; i++) {
		t_blocks(0, 1, version);
		t_blocks(1, 1, version);
	}
}

/* --- life ------------------------------------------------------------------------------------- */

static void configure(void)
{
	t_conf = calloc(1, sizeof *t_conf);
	ck_assert_ptr_nonnull(t_conf);
	t_conf->n_streams = 2;
	t_conf->n_models = 1;
	for (int s = 0; s < 2; s++) {
		struct conf_stream *st = &t_conf->streams[s];

		(void)snprintf(st->name, sizeof st->name, "vib-%d", s + 1);
		st->period_s = 1.0 / T_RATE;
		st->n_channels = T_CH;
		for (int c = 0; c < T_CH; c++) {
			(void)snprintf(st->channels[c].name, sizeof st->channels[c].name, "%c", 'x' + c);
			st->channels[c].scale = 1.0 / 4096;
		}
		(void)snprintf(t_conf->models[0].streams[s], HN_NAME_MAX, "vib-%d", s + 1);
	}
	(void)snprintf(t_conf->models[0].name, HN_NAME_MAX, "pump");
	t_conf->models[0].n_streams = 2;
	t_conf->models[0].n_classes = T_STATES;
	t_conf->models[0].window = t_conf->models[0].hop = T_BLOCK;
	t_conf->models[0].policy.alarms_per_month = 1.0;
	t_conf->models[0].policy.label_budget = 20.0;
	t_conf->models[0].policy.label_period_s = 86400.0;
}

void t_open_all(void)
{
	const struct db_cfg dbc = { t_mon_dir.db, 1.0 };
	struct hn_err err = { 0 };

	ck_assert_msg(db_open(&db, &loop, &dbc, &err) == HN_OK, "%s", err.text);
	ck_assert_msg(journal_open(&journal, db, t_mon_dir.db, &err) == HN_OK, "%s", err.text);
	t_deps = (struct monitor_deps){ .db = db, .db_path = t_mon_dir.db, .conf = t_conf, .cfg = &t_cfg,
		.journal = journal, .hooks = { NULL, on_episode } };
	ck_assert_msg(monitor_open(&t_mon, &t_deps, &err) == HN_OK, "%s", err.text);
}

void t_close_all(void)
{
	monitor_close(t_mon);
	db_close(db);
	journal_close(journal);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
}

void t_monitor_setup(void)
{
	t_dir_make(&t_mon_dir);
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	log_set_level(LOG_ERR);
	hn_rng_seed(&rng, SEED);
	memset(&t_seen, 0, sizeof t_seen);
	memset(t_machines, 0, sizeof t_machines);
	memset(&t_cfg, 0, sizeof t_cfg);
	t_cfg.learn = T_LEARN;
	configure();
	t_open_all();
}

void t_monitor_teardown(void)
{
	t_close_all();
	t_loop_end(&loop);
	t_dir_remove(&t_mon_dir);
	free(t_conf);
}

const char *t_state(void)
{
	static char out[40];
	json_t *j = monitor_json(t_mon, T_MODEL);

	ck_assert_ptr_nonnull(j);
	(void)snprintf(out, sizeof out, "%s", json_string_value(json_object_get(j, "state")));
	json_decref(j);
	return out;
}

/* A champion, and a reference learned. */
void t_in_service(void)
{
	ck_assert_str_eq(t_state(), "no version");
	t_both(T_LEARN / 2, 0);
	monitor_rearm(t_mon, T_MODEL, 1, 0.95);
	ck_assert_str_eq(t_state(), "learning");
	t_both(T_LEARN / 2 + 1, 1);
	ck_assert_str_eq(t_state(), "steady");
}

void t_label(int stream, int64_t t0, int64_t t1, int class, int *judged, int *right)
{
	const struct store_label l = { .stream = stream, .t0_us = t0, .t1_us = t1, .value = class };

	*judged = monitor_label(t_mon, T_MODEL, &l, right);
}
