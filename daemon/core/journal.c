#include "journal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "metrics.h"

enum { LINE_MAX_ = 1000, PRUNE_EVERY = 256 };

struct journal {
	struct db *db;
	json_t *ring[JOURNAL_KEEP];      /* entry with id i is at i % JOURNAL_KEEP             */
	int64_t ids[JOURNAL_KEEP];
	int64_t last;
	void (*on_add)(void *ctx, int64_t id);
	void *ctx;
	struct metric *n_entries, *n_unsaved;
};

struct save_op {                         /* one entry on its way to the table          */
	struct db_op op;
	struct journal *j;
	json_t *entry;
	char *evidence;                  /* JSON text, owned; NULL = none              */
};

/* The columns in the order of the SELECT and the INSERT; `number`: an id, 0 is none. */
static const struct { const char *key; bool number; } columns[] = {
	{ "id", true }, { "t_us", true }, { "kind", false }, { "model", false }, { "device", false },
	{ "stream", false }, { "episode", true }, { "job", true }, { "version", true },
	{ "rollout", true }, { "actor", false }, { "reason", false },
};
enum { N_COLUMNS = sizeof columns / sizeof columns[0] };

/* --- JSON ---------------------------------------------------------------------------------- */

static void put_time(json_t *o, int64_t t_us)
{
	char text[40];

	clock_format(t_us, text, sizeof text);
	(void)json_object_set_new(o, "time", json_string(text));        /* no memory: left out */
	(void)json_object_set_new(o, "t_us", json_integer(t_us));
}

static void put_text(json_t *o, const char *key, const char *text)
{
	if (text && *text)
		(void)json_object_set_new(o, key, json_stringn_nocheck(text, strlen(text)));
}

static void put_id(json_t *o, const char *key, int64_t id)
{
	if (id)
		(void)json_object_set_new(o, key, json_integer(id));
}

static json_t *entry_json(const struct journal_entry *e)
{
	json_t *o = json_object();

	if (!o)
		return NULL;
	put_id(o, "id", e->id);
	put_time(o, e->t_us);
	put_text(o, "kind", e->kind);
	put_text(o, "model", e->model);
	put_text(o, "device", e->device);
	put_text(o, "stream", e->stream);
	put_id(o, "episode", e->episode);
	put_id(o, "job", e->job);
	put_id(o, "version", e->version);
	put_id(o, "rollout", e->rollout);
	put_text(o, "actor", e->actor ? e->actor : "honed");
	put_text(o, "reason", e->reason);
	if (e->evidence)
		(void)json_object_set(o, "evidence", e->evidence);
	return o;
}

static json_t *row_json(sqlite3_stmt *row)
{
	json_t *o = json_object();
	const char *evidence = (const char *)sqlite3_column_text(row, N_COLUMNS);

	if (!o)
		return NULL;
	for (int i = 0; i < N_COLUMNS; i++) {
		if (strcmp(columns[i].key, "t_us") == 0)
			put_time(o, sqlite3_column_int64(row, i));
		else if (columns[i].number)
			put_id(o, columns[i].key, sqlite3_column_int64(row, i));
		else
			put_text(o, columns[i].key, (const char *)sqlite3_column_text(row, i));
	}
	if (evidence)
		(void)json_object_set_new(o, "evidence", json_loads(evidence, JSON_DECODE_ANY, NULL));
	return o;
}

/* --- log line ------------------------------------------------------------------------------ */

struct line { char text[LINE_MAX_]; size_t len; };

static void line_char(struct line *l, char c)
{
	if (l->len + 1 < sizeof l->text)
		l->text[l->len++] = c;
	l->text[l->len] = 0;
}

/* ` key=value`, quoted when it has to be; control characters become spaces. */
static void line_text(struct line *l, const char *key, const char *value)
{
	const bool quote = value[strcspn(value, " \"=\\\t\r\n")] != 0 || !*value;

	line_char(l, ' ');
	for (; *key; key++)
		line_char(l, *key);
	line_char(l, '=');
	if (quote)
		line_char(l, '"');
	for (; *value; value++) {
		if (quote && (*value == '"' || *value == '\\'))
			line_char(l, '\\');
		line_char(l, (char)((unsigned char)*value < ' ' ? ' ' : *value));
	}
	if (quote)
		line_char(l, '"');
}

/* Scalars only: nested evidence is in the table. */
static void line_value(struct line *l, const char *key, const json_t *v)
{
	char number[40];

	if (json_is_string(v)) {
		line_text(l, key, json_string_value(v));
		return;
	}
	if (json_is_integer(v))
		(void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		(void)snprintf(number, sizeof number, "%.6g", json_real_value(v));
	else if (json_is_boolean(v))
		(void)snprintf(number, sizeof number, "%s", json_is_true(v) ? "true" : "false");
	else
		return;
	line_text(l, key, number);
}

static void write_line(json_t *entry)
{
	struct line l = { .len = 0 };
	const json_t *kind = json_object_get(entry, "kind");
	const char *key;
	json_t *v;

	json_object_foreach(entry, key, v)
		if (strcmp(key, "kind") != 0 && strcmp(key, "time") != 0 && strcmp(key, "t_us") != 0 &&
		    strcmp(key, "id") != 0)
			line_value(&l, key, v);
	json_object_foreach(json_object_get(entry, "evidence"), key, v)
		line_value(&l, key, v);
	log_note("event=%s%s", kind ? json_string_value(kind) : "unknown", l.text);
}

/* --- database ------------------------------------------------------------------------------ */

static const char insert_sql[] =
	"INSERT INTO journal(id,t,kind,model,device,stream,episode,job,version,rollout,actor,reason,"
	"evidence) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)";

static hn_status save_run(struct db_op *op, struct db *db)
{
	struct save_op *s = (struct save_op *)op;
	sqlite3_stmt *stmt = db_stmt(db, insert_sql);
	const int64_t id = json_integer_value(json_object_get(s->entry, "id"));
	int bad = 0;
	hn_status rc;

	if (!stmt)
		return HN_EIO;
	for (int i = 0; i < N_COLUMNS; i++) {
		const json_t *v = json_object_get(s->entry, columns[i].key);

		if (json_is_integer(v))
			bad |= sqlite3_bind_int64(stmt, i + 1, json_integer_value(v));
		else if (json_is_string(v))
			bad |= sqlite3_bind_text(stmt, i + 1, json_string_value(v), -1, SQLITE_STATIC);
	}
	if (s->evidence)
		bad |= sqlite3_bind_text(stmt, N_COLUMNS + 1, s->evidence, -1, SQLITE_STATIC);
	if (bad)
		return HN_ENOMEM;
	rc = db_step(db, stmt);
	if (rc || id % PRUNE_EVERY != 0)
		return rc;
	stmt = db_stmt(db, "DELETE FROM journal WHERE id<=?");
	if (!stmt || sqlite3_bind_int64(stmt, 1, id - JOURNAL_ROWS_MAX))
		return HN_EIO;
	return db_step(db, stmt);
}

static void save_free(struct save_op *s)
{
	json_decref(s->entry);
	free(s->evidence);
	free(s);
}

static void save_done(struct db_op *op, hn_status rc)
{
	struct save_op *s = (struct save_op *)op;

	if (rc)
		metric_add(s->j->n_unsaved, 1);
	save_free(s);
}

static void save(struct journal *j, json_t *entry)
{
	struct save_op *s = calloc(1, sizeof *s);
	const json_t *evidence = json_object_get(entry, "evidence");

	if (!s) {
		metric_add(j->n_unsaved, 1);
		return;
	}
	s->op = (struct db_op){ .run = save_run, .done = save_done };
	s->j = j;
	s->entry = json_incref(entry);
	s->evidence = evidence ? json_dumps(evidence, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	if (db_submit(j->db, &s->op) != HN_OK) {
		metric_add(j->n_unsaved, 1);
		save_free(s);
	}
}

/* --- memory -------------------------------------------------------------------------------- */

static void keep(struct journal *j, int64_t id, json_t *entry)
{
	const size_t i = (size_t)(id % JOURNAL_KEEP);

	json_decref(j->ring[i]);
	j->ring[i] = entry;
	j->ids[i] = id;
	j->last = id;
}

int64_t journal_add(struct journal *j, struct journal_entry e)
{
	json_t *entry;

	assert(e.kind);
	e.id = j->last + 1;
	e.t_us = clock_now_us();
	entry = entry_json(&e);
	json_decref(e.evidence);
	metric_add(j->n_entries, 1);
	if (!entry) {
		metric_add(j->n_unsaved, 1);
		return j->last;
	}
	keep(j, e.id, entry);
	write_line(entry);
	save(j, entry);
	if (j->on_add)
		j->on_add(j->ctx, e.id);
	return e.id;
}

int64_t journal_last(const struct journal *j)
{
	return j->last;
}

int64_t journal_first(const struct journal *j)
{
	int64_t first = 0;

	for (int i = 0; i < JOURNAL_KEEP; i++)
		if (j->ring[i] && (!first || j->ids[i] < first))
			first = j->ids[i];
	return first;
}

json_t *journal_since(const struct journal *j, int64_t after, int limit)
{
	json_t *out = json_array();
	int64_t id = j->last - JOURNAL_KEEP + 1;

	if (after >= id)
		id = after < j->last ? after + 1 : j->last + 1;
	if (id < 1)
		id = 1;
	for (; out && id <= j->last && (int)json_array_size(out) < limit; id++) {
		const size_t i = (size_t)(id % JOURNAL_KEEP);

		if (j->ring[i] && j->ids[i] == id)
			(void)json_array_append(out, j->ring[i]);       /* no memory: left out */
	}
	return out;
}

json_t *journal_read(sqlite3 *reader, int64_t after, int limit)
{
	json_t *out = json_array();
	sqlite3_stmt *stmt = NULL;

	if (out && sqlite3_prepare_v2(reader, "SELECT id,t,kind,model,device,stream,episode,job,version,"
	    "rollout,actor,reason,evidence FROM journal WHERE id>? ORDER BY id LIMIT ?", -1, &stmt,
	    NULL) == SQLITE_OK && sqlite3_bind_int64(stmt, 1, after) == SQLITE_OK &&
	    sqlite3_bind_int(stmt, 2, limit) == SQLITE_OK)
		while (sqlite3_step(stmt) == SQLITE_ROW)
			(void)json_array_append_new(out, row_json(stmt));       /* no memory: left out */
	(void)sqlite3_finalize(stmt);    /* read-only: what came is delivered */
	return out;
}

void journal_on_add(struct journal *j, void (*cb)(void *ctx, int64_t id), void *ctx)
{
	j->on_add = cb;
	j->ctx = ctx;
}

/* Newest entries of former runs, so that ids go on and the page has a past. */
static hn_status recall(struct journal *j, const char *db_path, struct hn_err *err)
{
	sqlite3 *reader = NULL;
	sqlite3_stmt *stmt = NULL;
	json_t *rows = NULL, *entry;
	int64_t last = 0;
	size_t i;
	hn_status rc = db_reader(db_path, &reader, err);

	if (rc)
		return rc;
	if (sqlite3_prepare_v2(reader, "SELECT max(id) FROM journal", -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		last = sqlite3_column_int64(stmt, 0);
	else
		rc = hn_fail(err, HN_EIO, "database %s: journal: %s", db_path, sqlite3_errmsg(reader));
	(void)sqlite3_finalize(stmt);    /* its error was seen at the step */
	if (rc == HN_OK)
		rows = journal_read(reader, last - JOURNAL_KEEP, JOURNAL_KEEP);
	json_array_foreach(rows, i, entry)
		keep(j, json_integer_value(json_object_get(entry, "id")), json_incref(entry));
	if (rc == HN_OK)
		j->last = last;
	json_decref(rows);
	(void)sqlite3_close(reader);     /* read-only: nothing to lose */
	return rc;
}

hn_status journal_open(struct journal **out, struct db *db, const char *db_path, struct hn_err *err)
{
	struct journal *j = calloc(1, sizeof *j);
	hn_status rc;

	if (!j)
		return hn_fail(err, HN_ENOMEM, "journal: out of memory");
	j->db = db;
	j->n_entries = metric_counter("honed_journal_entries_total", "", "journal entries written");
	j->n_unsaved = metric_counter("honed_journal_unsaved_total", "",
	                              "journal entries that could not be saved in the database");
	rc = recall(j, db_path, err);
	if (rc) {
		journal_close(j);
		return rc;
	}
	*out = j;
	return HN_OK;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	for (int i = 0; i < JOURNAL_KEEP; i++)
		json_decref(j->ring[i]);
	free(j);
}
