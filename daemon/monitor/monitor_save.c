/* monitor_save.c - what survives a restart: rows of monitor_state and episode.
 *
 * monitor_state holds one row a model x stream and one a model (stream '').  data = CRC-32C of the
 * rest, then the bytes of unit_kept or model_kept: what does not check is dropped. */
#include "monitor_row.h"

#include <stdlib.h>
#include <string.h>

#include "hd_crc32c.h"
#include "log.h"

struct save {
	struct db_op op;
	char model[HN_NAME_MAX], stream[HN_NAME_MAX];
	int64_t now_us;
	size_t len;
	unsigned char data[];            /* crc u32, then len - 4 bytes                         */
};

static hn_status save_run(struct db_op *op, struct db *db)
{
	struct save *w = (struct save *)op;
	sqlite3_stmt *q = db_stmt(db, "INSERT OR REPLACE INTO monitor_state(model, stream, saved, data) "
	                          "VALUES(?, ?, ?, ?)");

	if (!q)
		return HN_EIO;
	sqlite3_bind_text(q, 1, w->model, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, w->stream, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, w->now_us);
	sqlite3_bind_blob64(q, 4, w->data, w->len, SQLITE_STATIC);
	return db_step(db, q);
}

static void save_done(struct db_op *op, hn_status rc)
{
	if (rc != HN_OK)
		log_warn("event=monitor_not_saved model=%s reason=\"%s\" next=\"saved again within 10 minutes\"",
		         ((struct save *)op)->model, hn_status_text(rc));
	free(op);
}

static void save_one(struct model *m, const char *stream, const void *data, size_t len,
                     int64_t now_us)
{
	const uint32_t crc = hd_crc32c(0, data, len);
	struct save *w = malloc(sizeof *w + sizeof crc + len);

	if (w) {
		*w = (struct save){ .op = { .run = save_run, .done = save_done }, .now_us = now_us,
			.len = sizeof crc + len };
		(void)snprintf(w->model, sizeof w->model, "%s", m->conf->name);
		(void)snprintf(w->stream, sizeof w->stream, "%s", stream);
		memcpy(w->data, &crc, sizeof crc);
		memcpy(w->data + sizeof crc, data, len);
		if (db_submit(m->owner->deps.db, &w->op) == HN_OK)
			return;
	}
	free(w);
	m->owner->unsaved++;
	m->dirty = true;
}

void model_save(struct model *m, int64_t now_us)
{
	m->saved_us = now_us;
	m->dirty = false;
	save_one(m, "", &m->kept, sizeof m->kept, now_us);
	for (int i = 0; i < m->n_units; i++)
		save_one(m, stream_name(m, m->unit[i].stream), m->unit[i].kept, m->unit[i].kept_size, now_us);
}

/* --- loading ---------------------------------------------------------------------------------- */

static void load_model(struct model *m, const void *data, size_t len)
{
	struct model_kept k;

	if (len != sizeof k)
		return;
	memcpy(&k, data, sizeof k);
	if (k.size != m->kept.size || k.fingerprint != m->kept.fingerprint)
		return;
	m->kept = k;
	if (k.episode_stream >= m->owner->n_streams)
		m->kept.episode_stream = m->n_units ? m->unit[0].stream : -1;
}

static void load_unit(struct unit *u, const void *data, size_t len)
{
	const struct unit_kept *k = u->kept;
	struct unit_kept head;

	if (len != u->kept_size)
		return;
	memcpy(&head, data, sizeof head);
	if (head.size == k->size && head.fingerprint == k->fingerprint)
		memcpy(u->kept, data, len);
}

static void load_row(struct monitor *mon, const char *model, const char *stream,
                     const unsigned char *data, size_t len)
{
	uint32_t crc;

	if (len < sizeof crc)
		return;
	memcpy(&crc, data, sizeof crc);
	data += sizeof crc;
	len -= sizeof crc;
	if (crc != hd_crc32c(0, data, len)) {
		log_warn("event=monitor_state_damaged model=%s stream=%s next=\"it learns anew\"", model, stream);
		return;
	}
	for (int i = 0; i < mon->n_models; i++) {
		struct model *m = &mon->model[i];

		if (strcmp(m->conf->name, model) != 0)
			continue;
		if (!stream[0])
			load_model(m, data, len);
		for (int k = 0; stream[0] && k < m->n_units; k++)
			if (strcmp(stream_name(m, m->unit[k].stream), stream) == 0)
				load_unit(&m->unit[k], data, len);
	}
}

static const char *text(sqlite3_stmt *q, int column)
{
	const unsigned char *t = sqlite3_column_text(q, column);

	return t ? (const char *)t : "";
}

static hn_status load_rows(struct monitor *mon, sqlite3 *db)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(db, "SELECT model, stream, data FROM monitor_state", -1, &q, NULL);

	while (rc == SQLITE_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		const void *data = sqlite3_column_blob(q, 2);
		const int len = sqlite3_column_bytes(q, 2);

		if (data && len > 0)
			load_row(mon, text(q, 0), text(q, 1), data, (size_t)len);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(q);
	return rc == SQLITE_DONE ? HN_OK : HN_EIO;
}

static hn_status load_episode_id(struct monitor *mon, sqlite3 *db)
{
	sqlite3_stmt *q = NULL;
	hn_status rc = HN_EIO;

	if (sqlite3_prepare_v2(db, "SELECT coalesce(max(id), 0) FROM episode", -1, &q, NULL) == SQLITE_OK
	    && sqlite3_step(q) == SQLITE_ROW) {
		mon->next_episode = sqlite3_column_int64(q, 0) + 1;
		rc = HN_OK;
	}
	sqlite3_finalize(q);
	return rc;
}

hn_status monitor_load(struct monitor *mon, struct hn_err *err)
{
	sqlite3 *db = NULL;
	hn_status rc = db_reader(mon->deps.db_path, &db, err);

	if (rc != HN_OK)
		return rc;
	rc = load_rows(mon, db);
	if (rc == HN_OK)
		rc = load_episode_id(mon, db);
	if (rc != HN_OK)
		(void)hn_fail(err, rc, "monitor: %s", sqlite3_errmsg(db));
	sqlite3_close(db);
	return rc;
}

/* --- episodes --------------------------------------------------------------------------------- */

struct episode_op {
	struct db_op op;
	int64_t id, opened_us, closed_us;
	char model[HN_NAME_MAX], stream[HN_NAME_MAX];
	const char *kind;
	char *evidence;
};

static hn_status episode_run(struct db_op *op, struct db *db)
{
	struct episode_op *w = (struct episode_op *)op;
	sqlite3_stmt *q = db_stmt(db, "INSERT OR REPLACE INTO episode(id, model, stream, kind, state, "
	                          "opened, closed, evidence) VALUES(?, ?, ?, ?, ?, ?, ?, ?)");

	if (!q)
		return HN_EIO;
	sqlite3_bind_int64(q, 1, w->id);
	sqlite3_bind_text(q, 2, w->model, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 3, w->stream, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 4, w->kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 5, w->closed_us ? "closed" : "open", -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 6, w->opened_us);
	if (w->closed_us)
		sqlite3_bind_int64(q, 7, w->closed_us);
	sqlite3_bind_text(q, 8, w->evidence ? w->evidence : "{}", -1, SQLITE_STATIC);
	return db_step(db, q);
}

static void episode_done(struct db_op *op, hn_status rc)
{
	struct episode_op *w = (struct episode_op *)op;

	if (rc != HN_OK)
		log_err("event=episode_not_saved episode=%lld reason=\"%s\"", (long long)w->id,
		        hn_status_text(rc));
	free(w->evidence);
	free(w);
}

void episode_save(struct model *m, json_t *evidence)
{
	struct episode_op *w = calloc(1, sizeof *w);

	m->dirty = true;
	if (!w) {
		m->owner->unsaved++;
		return;
	}
	w->op = (struct db_op){ .run = episode_run, .done = episode_done };
	w->id = m->kept.episode_id;
	w->opened_us = m->kept.episode.opened_us;
	w->closed_us = m->kept.episode.open ? 0 : m->kept.episode.closed_us;
	w->kind = hn_verdict_names[m->kept.verdict.kind];
	w->evidence = json_dumps(evidence, JSON_COMPACT);
	(void)snprintf(w->model, sizeof w->model, "%s", m->conf->name);
	(void)snprintf(w->stream, sizeof w->stream, "%s", stream_name(m, m->kept.episode_stream));
	if (db_submit(m->owner->deps.db, &w->op) == HN_OK)
		return;
	m->owner->unsaved++;
	free(w->evidence);
	free(w);
}
