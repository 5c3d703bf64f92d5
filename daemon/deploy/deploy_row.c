#include "deploy_row.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"

const char *const rollout_state_names[] = {
	"running", "done", "failed", "superseded", "paused", NULL
};
const char *const step_state_names[] = {
	"waiting", "sending", "trial", "confirming", "confirmed", "failed", NULL
};

struct write {                   /* one queued row; which one says `run`                        */
	struct db_op op;
	struct rollout r;
	struct step s;
	char name[HN_NAME_MAX], uid[17], *state;
	int64_t seen_us;
	void (*then)(void *ctx, hn_status rc);
	void *ctx;
};

static hn_status run_rollout(struct db_op *op, struct db *db)
{
	struct write *w = (struct write *)op;
	sqlite3_stmt *q = db_stmt(db, "INSERT OR REPLACE INTO rollout(id, model, version, state, created, "
		"ended, reason, plan) VALUES(?,?,?,?,?,?,?,json_object('number',?))");

	if (!q)
		return HN_EIO;
	sqlite3_bind_int64(q, 1, w->r.id);
	sqlite3_bind_text(q, 2, w->name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, w->r.version);
	sqlite3_bind_text(q, 4, rollout_state_names[w->r.state], -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 5, w->r.created_us);
	sqlite3_bind_int64(q, 6, w->r.ended_us);
	sqlite3_bind_text(q, 7, w->r.reason, -1, SQLITE_STATIC);
	sqlite3_bind_int(q, 8, w->r.number);
	return db_step(db, q);
}

static hn_status run_step(struct db_op *op, struct db *db)
{
	struct write *w = (struct write *)op;
	sqlite3_stmt *q = db_stmt(db, "INSERT OR REPLACE INTO rollout_device(rollout, device, state, "
		"package_version, attempts, error, started, ended) VALUES(?,?,?,?,?,?,?,?)");

	if (!q)
		return HN_EIO;
	sqlite3_bind_int64(q, 1, w->s.rollout);
	sqlite3_bind_text(q, 2, w->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 3, step_state_names[w->s.state], -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 4, w->s.package_version);
	sqlite3_bind_int(q, 5, w->s.attempts);
	sqlite3_bind_text(q, 6, w->s.error, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 7, w->s.started_us);
	sqlite3_bind_int64(q, 8, w->s.ended_us);
	return db_step(db, q);
}

static hn_status run_device(struct db_op *op, struct db *db)
{
	struct write *w = (struct write *)op;
	sqlite3_stmt *q = db_stmt(db, "INSERT OR REPLACE INTO device(name, uid, state, seen) "
	                          "VALUES(?,?,?,?)");

	if (!q)
		return HN_EIO;
	sqlite3_bind_text(q, 1, w->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, w->uid, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 3, w->state, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 4, w->seen_us);
	return db_step(db, q);
}

static void write_done(struct db_op *op, hn_status rc)
{
	struct write *w = (struct write *)op;

	if (rc != HN_OK)
		log_err("event=deploy_write_failed name=%s reason=\"%s\"", w->name, hn_status_text(rc));
	if (w->then)
		w->then(w->ctx, rc);
	free(w->state);
	free(w);
}

static struct write *write_new(const char *name, hn_status (*run)(struct db_op *, struct db *))
{
	struct write *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->op = (struct db_op){ .run = run, .done = write_done, .urgent = true };
	(void)snprintf(w->name, sizeof w->name, "%s", name);
	return w;
}

static hn_status submit(struct db *db, struct write *w)
{
	const hn_status rc = w ? db_submit(db, &w->op) : HN_ENOMEM;

	if (rc == HN_OK)
		return rc;
	log_warn("event=deploy_not_saved reason=\"%s\"", hn_status_text(rc));
	if (w)
		free(w->state);
	free(w);
	return rc;
}

hn_status rollout_save(struct db *db, const struct rollout *r, const char *model)
{
	struct write *w = write_new(model, run_rollout);

	if (w)
		w->r = *r;
	return submit(db, w);
}

hn_status step_save(struct db *db, const struct step *s, const char *device,
                    void (*then)(void *ctx, hn_status rc), void *ctx)
{
	struct write *w = write_new(device, run_step);

	if (w) {
		w->s = *s;
		w->then = then;
		w->ctx = ctx;
	}
	return submit(db, w);
}

hn_status device_save(struct db *db, const char *name, const char *uid, const char *state,
                      int64_t seen_us)
{
	struct write *w = write_new(name, run_device);

	if (w) {
		w->op.urgent = false;
		w->seen_us = seen_us;
		(void)snprintf(w->uid, sizeof w->uid, "%s", uid);
		w->state = strdup(state ? state : "{}");
	}
	return submit(db, w);
}

/* --- reading ---------------------------------------------------------------------------------- */

static int word(const char *const *names, const unsigned char *text)
{
	for (int i = 0; text && names[i]; i++)
		if (strcmp((const char *)text, names[i]) == 0)
			return i;
	return 0;
}

hn_status rollout_load(sqlite3 *db, const char *model, struct rollout *r)
{
	sqlite3_stmt *q = NULL;
	hn_status rc = HN_ENOENT;

	if (sqlite3_prepare_v2(db, "SELECT id, version, state, created, ended, reason, "
		"json_extract(plan,'$.number') FROM rollout WHERE model = ? ORDER BY id DESC LIMIT 1",
		-1, &q, NULL) != SQLITE_OK)
		return HN_EIO;
	sqlite3_bind_text(q, 1, model, -1, SQLITE_STATIC);
	if (sqlite3_step(q) == SQLITE_ROW) {
		const unsigned char *why = sqlite3_column_text(q, 5);

		*r = (struct rollout){ .id = sqlite3_column_int64(q, 0), .version = sqlite3_column_int64(q, 1),
			.state = (enum rollout_state)word(rollout_state_names, sqlite3_column_text(q, 2)),
			.created_us = sqlite3_column_int64(q, 3), .ended_us = sqlite3_column_int64(q, 4),
			.number = sqlite3_column_int(q, 6) };
		(void)snprintf(r->reason, sizeof r->reason, "%s", why ? (const char *)why : "");
		rc = HN_OK;
	}
	sqlite3_finalize(q);
	return rc;
}

hn_status step_load(sqlite3 *db, int64_t rollout, const char *device, struct step *s)
{
	sqlite3_stmt *q = NULL;
	hn_status rc = HN_ENOENT;

	if (sqlite3_prepare_v2(db, "SELECT state, package_version, attempts, error, started, ended "
		"FROM rollout_device WHERE rollout = ? AND device = ?", -1, &q, NULL) != SQLITE_OK)
		return HN_EIO;
	sqlite3_bind_int64(q, 1, rollout);
	sqlite3_bind_text(q, 2, device, -1, SQLITE_STATIC);
	if (sqlite3_step(q) == SQLITE_ROW) {
		const unsigned char *e = sqlite3_column_text(q, 3);

		*s = (struct step){ .rollout = rollout,
			.state = (enum step_state)word(step_state_names, sqlite3_column_text(q, 0)),
			.package_version = (uint32_t)sqlite3_column_int64(q, 1),
			.attempts = sqlite3_column_int(q, 2), .started_us = sqlite3_column_int64(q, 4),
			.ended_us = sqlite3_column_int64(q, 5) };
		(void)snprintf(s->error, sizeof s->error, "%s", e ? (const char *)e : "");
		rc = HN_OK;
	}
	sqlite3_finalize(q);
	return rc;
}

static json_t *history_row(sqlite3_stmt *q)
{
	const char *error = (const char *)sqlite3_column_text(q, 4);
	const int64_t started = sqlite3_column_int64(q, 5), ended = sqlite3_column_int64(q, 6);
	char from[40], to[40];

	clock_format(started, from, sizeof from);
	clock_format(ended, to, sizeof to);
	return json_pack("{sI sI ss sI ss* ss* ss*}",
		"rollout", (json_int_t)sqlite3_column_int64(q, 0),
		"number", (json_int_t)sqlite3_column_int64(q, 1),
		"state", (const char *)sqlite3_column_text(q, 2),
		"attempts", (json_int_t)sqlite3_column_int64(q, 3), "error", error && *error ? error : NULL,
		"started", started ? from : NULL, "ended", ended ? to : NULL);
}

json_t *history_load(sqlite3 *db, const char *device, int max)
{
	sqlite3_stmt *q = NULL;
	json_t *list = json_array();

	if (sqlite3_prepare_v2(db, "SELECT d.rollout, json_extract(r.plan,'$.number'), d.state, "
		"d.attempts, d.error, d.started, d.ended "
		"FROM rollout_device d JOIN rollout r ON r.id = d.rollout "
		"WHERE d.device = ? ORDER BY d.rollout DESC LIMIT ?", -1, &q, NULL) != SQLITE_OK) {
		log_err("event=history_not_read reason=\"%s\"", sqlite3_errmsg(db));
		return list;
	}
	sqlite3_bind_text(q, 1, device, -1, SQLITE_STATIC);
	sqlite3_bind_int(q, 2, max);
	while (sqlite3_step(q) == SQLITE_ROW)
		(void)json_array_append_new(list, history_row(q));       /* no memory: left out */
	sqlite3_finalize(q);
	return list;
}

int64_t rollout_last(sqlite3 *db)
{
	sqlite3_stmt *q = NULL;
	int64_t id = 0;

	if (sqlite3_prepare_v2(db, "SELECT max(id) FROM rollout", -1, &q, NULL) == SQLITE_OK &&
	    sqlite3_step(q) == SQLITE_ROW)
		id = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return id;
}
