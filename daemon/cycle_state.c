/* What of the loop's state survives a restart: the policy's memory, and the questions. */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cycle.h"
#include "log.h"

/* --- the saved state ------------------------------------------------------------------------- */

/* What survives a restart, written as one blob; a blob of another size is from another build and is
 * dropped: the policy then starts fresh, which only costs a repeated question. */
struct saved {
	struct hn_policy policy;
	struct hn_ask ask;
	struct hn_probation probation;
	bool on_probation;
	int64_t episode;
	int32_t judged, right;
};

struct save { struct db_op op; char model[HN_NAME_MAX]; struct saved s; };

static hn_status save_run(struct db_op *op, struct db *db)
{
	struct save *w = (struct save *)op;
	sqlite3_stmt *q = db_stmt(db, "INSERT OR REPLACE INTO policy_state(model, data) VALUES(?, ?)");

	if (!q)
		return HN_EIO;
	sqlite3_bind_text(q, 1, w->model, -1, SQLITE_STATIC);
	sqlite3_bind_blob(q, 2, &w->s, sizeof w->s, SQLITE_STATIC);
	return db_step(db, q);
}

static void save_done(struct db_op *op, hn_status rc)
{
	if (rc != HN_OK)
		log_warn("event=policy_not_saved reason=\"%s\"", hn_status_text(rc));
	free(op);
}

void cycle_save(struct honed *h, int model)
{
	struct cycle *c = &h->cycle[model];
	struct save *w = calloc(1, sizeof *w);

	if (!w)
		return;
	c->dirty = false;
	w->op = (struct db_op){ .run = save_run, .done = save_done };
	(void)snprintf(w->model, sizeof w->model, "%s", h->conf->models[model].name);
	w->s.policy = c->policy;
	w->s.ask = c->ask;
	w->s.probation = c->probation;
	w->s.on_probation = c->on_probation;
	w->s.episode = c->episode;
	w->s.judged = c->judged;
	w->s.right = c->right;
	if (db_submit(h->db, &w->op) != HN_OK)
		free(w);                 /* the next event saves again */
}

static void load_one(struct honed *h, sqlite3_stmt *q)
{
	const unsigned char *name = sqlite3_column_text(q, 0);
	const int model = name ? conf_model_find(h->conf, (const char *)name) : -1;
	struct saved s;

	if (model < 0 || sqlite3_column_bytes(q, 1) != (int)sizeof s)
		return;
	memcpy(&s, sqlite3_column_blob(q, 1), sizeof s);
	h->cycle[model].policy = s.policy;
	h->cycle[model].ask = s.ask;
	h->cycle[model].probation = s.probation;
	h->cycle[model].on_probation = s.on_probation;
	h->cycle[model].episode = s.episode;
	h->cycle[model].judged = s.judged;
	h->cycle[model].right = s.right;
}

/* Labels of the model's streams that were given after its champion was made. */
static int32_t count_labels(struct honed *h, sqlite3 *db, int model)
{
	const struct version *v = registry_champion(h->registry, model);
	sqlite3_stmt *q = NULL;
	int32_t n = 0;

	if (sqlite3_prepare_v2(db, "SELECT count(*) FROM label JOIN stream ON label.stream = stream.id "
	                       "WHERE stream.name = ? AND label.given > ?", -1, &q, NULL) != SQLITE_OK)
		return 0;
	for (int i = 0; i < h->conf->models[model].n_streams; i++) {
		sqlite3_reset(q);
		sqlite3_bind_text(q, 1, h->conf->models[model].streams[i], -1, SQLITE_STATIC);
		sqlite3_bind_int64(q, 2, v ? v->created_us : 0);
		if (sqlite3_step(q) == SQLITE_ROW)
			n += sqlite3_column_int(q, 0);
	}
	sqlite3_finalize(q);
	return n;
}

hn_status cycle_open(struct honed *h, struct hn_err *err)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *q = NULL;
	hn_status rc = db_reader(h->db_path, &db, err);

	if (rc != HN_OK)
		return rc;
	if (sqlite3_prepare_v2(db, "SELECT model, data FROM policy_state", -1, &q, NULL) != SQLITE_OK)
		rc = hn_fail(err, HN_EIO, "policy state: %s", sqlite3_errmsg(db));
	while (rc == HN_OK && sqlite3_step(q) == SQLITE_ROW)
		load_one(h, q);
	sqlite3_finalize(q);
	for (int m = 0; rc == HN_OK && m < h->conf->n_models; m++)
		h->cycle[m].labels = hn_tasks[h->conf->models[m].task].labels
			? count_labels(h, db, m) : h->cycle[m].policy.labels;
	sqlite3_close(db);
	return rc;
}

/* --- questions ------------------------------------------------------------------------------- */

struct request {
	struct db_op op;
	char model[HN_NAME_MAX], stream[HN_NAME_MAX], why[160];
	int64_t t_us, now_us;
};

static hn_status request_run(struct db_op *op, struct db *db)
{
	struct request *w = (struct request *)op;
	sqlite3_stmt *q = db_stmt(db, "INSERT INTO label_request(model, stream, t, asked, why, answered) "
		"VALUES(?, ?, ?, ?, ?, 0)");

	if (!q)
		return HN_EIO;
	sqlite3_bind_text(q, 1, w->model, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, w->stream, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, w->t_us);
	sqlite3_bind_int64(q, 4, w->now_us);
	sqlite3_bind_text(q, 5, w->why, -1, SQLITE_STATIC);
	return db_step(db, q);
}

void cycle_save_question(struct honed *h, int model, const struct monitor_pick *p, const char *why)
{
	struct request *w = calloc(1, sizeof *w);

	if (!w)
		return;
	w->op = (struct db_op){ .run = request_run, .done = save_done };
	(void)snprintf(w->model, sizeof w->model, "%s", h->conf->models[model].name);
	(void)snprintf(w->stream, sizeof w->stream, "%s", h->conf->streams[p->stream].name);
	(void)snprintf(w->why, sizeof w->why, "%s", why);
	w->t_us = p->event_us;
	w->now_us = clock_now_us();
	if (db_submit(h->db, &w->op) != HN_OK)
		free(w);
}
