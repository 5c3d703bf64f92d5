/* store_write.c - frames into the database.
 *
 * A commit writes one block a stream to `hot`.  When a stream has SEAL_FRAMES frames there, they
 * and the new ones are sorted by event time into chunks, in the transaction that deletes the hot
 * rows. */
#include "store_write.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"

enum { CODEC_BLOCK = 1 };

/* --- streams ------------------------------------------------------------------------------- */

static char *channels_text(const struct conf_stream *s)
{
	json_t *list = json_array();
	char *text = NULL;
	bool good = list != NULL;

	for (int i = 0; good && i < s->n_channels; i++) {
		const struct hn_channel *c = &s->channels[i];

		good = json_array_append_new(list, json_pack("{s:s, s:s, s:f, s:f}", "name", c->name,
		                             "unit", c->unit, "scale", c->scale, "offset", c->offset)) == 0;
	}
	if (good)
		text = json_dumps(list, JSON_COMPACT | JSON_REAL_PRECISION(17));
	json_decref(list);
	return text;
}

/* True when raw integers mean the same under the stored and the present channels. */
static bool channels_agree(const struct conf_stream *s, const char *stored)
{
	json_t *list = json_loads(stored ? stored : "", 0, NULL);
	bool same = json_array_size(list) == (size_t)s->n_channels;

	for (int i = 0; same && i < s->n_channels; i++) {
		const json_t *c = json_array_get(list, (size_t)i);
		const double scale = json_number_value(json_object_get(c, "scale"));
		const double offset = json_number_value(json_object_get(c, "offset"));

		/* Exact by intent: 17 digits bring back the same number. */
		same = !(scale < s->channels[i].scale || scale > s->channels[i].scale ||
		         offset < s->channels[i].offset || offset > s->channels[i].offset);
	}
	json_decref(list);
	return same;
}

static hn_status stream_insert(struct store_writer *w, struct db *db, int i)
{
	sqlite3_stmt *stmt = db_stmt(db, "INSERT INTO stream(name,n_channels,channels) VALUES(?,?,?)");
	hn_status rc;

	if (!stmt || sqlite3_bind_text(stmt, 1, w->conf->streams[i].name, -1, SQLITE_STATIC) ||
	    sqlite3_bind_int(stmt, 2, w->conf->streams[i].n_channels) ||
	    sqlite3_bind_text(stmt, 3, w->channels[i], -1, SQLITE_STATIC))
		return HN_EIO;
	rc = db_step(db, stmt);
	if (rc == HN_OK)
		w->id[i] = sqlite3_last_insert_rowid(db_handle(db));
	return rc;
}

static hn_status stream_update(struct db *db, const char *sql, int64_t id, const char *text)
{
	sqlite3_stmt *stmt = db_stmt(db, sql);

	if (!stmt || sqlite3_bind_int64(stmt, 1, id) ||
	    sqlite3_bind_text(stmt, 2, text, -1, SQLITE_STATIC))
		return HN_EIO;
	return db_step(db, stmt);
}

static hn_status stream_ready(struct store_writer *w, struct db *db, int i)
{
	const struct conf_stream *s = &w->conf->streams[i];
	sqlite3_stmt *stmt = db_stmt(db, "SELECT id,channels FROM stream WHERE name=?");
	const char *stored;
	bool same, agree;
	int code;

	if (!stmt || sqlite3_bind_text(stmt, 1, s->name, -1, SQLITE_STATIC))
		return HN_EIO;
	code = sqlite3_step(stmt);
	if (code == SQLITE_DONE)
		return stream_insert(w, db, i);
	if (code != SQLITE_ROW)
		return HN_EIO;
	w->id[i] = sqlite3_column_int64(stmt, 0);
	stored = (const char *)sqlite3_column_text(stmt, 1);
	same = stored && strcmp(stored, w->channels[i]) == 0;
	agree = same || channels_agree(s, stored);
	(void)sqlite3_reset(stmt);       /* the step succeeded */
	if (same)
		return HN_OK;
	if (agree)                       /* a name or a unit */
		return stream_update(db, "UPDATE stream SET channels=?2 WHERE id=?1", w->id[i],
		                     w->channels[i]);
	log_warn("event=stream_changed stream=%s reason=\"number, scale or offset of its channels\" "
	         "next=\"its old frames are kept as %s@%lld\"", s->name, s->name, (long long)w->id[i]);
	if (stream_update(db, "UPDATE stream SET name=?2||'@'||id WHERE id=?1", w->id[i], s->name))
		return HN_EIO;
	return stream_insert(w, db, i);
}

/* Frames in `hot` a stream; newest time of sealing. */
static hn_status count_hot(struct store_writer *w, struct db *db)
{
	sqlite3_stmt *stmt = db_stmt(db, "SELECT stream,sum(n) FROM hot GROUP BY stream");
	int code = SQLITE_DONE;

	memset(w->hot, 0, sizeof w->hot);
	while (stmt && (code = sqlite3_step(stmt), code == SQLITE_ROW))
		for (int i = 0; i < w->conf->n_streams; i++)
			if (w->id[i] == sqlite3_column_int64(stmt, 0))
				w->hot[i] = (uint32_t)sqlite3_column_int64(stmt, 1);
	if (!stmt || code != SQLITE_DONE)
		return HN_EIO;
	stmt = db_stmt(db, "SELECT sealed FROM chunk ORDER BY id DESC LIMIT 1");
	code = stmt ? sqlite3_step(stmt) : SQLITE_ERROR;
	if (code == SQLITE_ROW && sqlite3_column_int64(stmt, 0) > w->sealed)
		w->sealed = sqlite3_column_int64(stmt, 0);
	return code == SQLITE_ROW || code == SQLITE_DONE ? HN_OK : HN_EIO;
}

hn_status store_writer_ready(struct store_writer *w, struct db *db)
{
	hn_status rc = HN_OK;

	if (w->known && w->undone == db_undone(db))
		return HN_OK;
	w->known = false;
	for (int i = 0; rc == HN_OK && i < w->conf->n_streams; i++)
		rc = stream_ready(w, db, i);
	if (rc == HN_OK)
		rc = count_hot(w, db);
	w->known = rc == HN_OK;
	w->undone = db_undone(db);
	return rc;
}

/* --- blocks -------------------------------------------------------------------------------- */

/* Bind what hot and chunk share: 1 stream, 2 t0, 3 t1, 4 n, 5 data. */
static bool bind_block(struct store_writer *w, sqlite3_stmt *stmt, int stream, size_t len)
{
	int64_t t0 = w->work.event_us[0], t1 = t0;

	for (uint32_t i = 1; i < w->work.n; i++) {
		const int64_t t = w->work.event_us[i];

		t0 = t < t0 ? t : t0;
		t1 = t > t1 ? t : t1;
	}
	return stmt && sqlite3_bind_int64(stmt, 1, w->id[stream]) == SQLITE_OK &&
	       sqlite3_bind_int64(stmt, 2, t0) == SQLITE_OK &&
	       sqlite3_bind_int64(stmt, 3, t1) == SQLITE_OK &&
	       sqlite3_bind_int64(stmt, 4, w->work.n) == SQLITE_OK &&
	       sqlite3_bind_blob64(stmt, 5, w->out, len, SQLITE_STATIC) == SQLITE_OK;
}

/* The frames of `work` as one hot row; `work` is empty afterwards. */
static hn_status put_hot(struct store_writer *w, struct db *db, int stream)
{
	sqlite3_stmt *stmt = db_stmt(db, "INSERT INTO hot(stream,t0,t1,n,data) VALUES(?,?,?,?,?)");
	size_t len = 0;
	hn_status rc;

	if (w->work.n == 0)
		return HN_OK;
	rc = hn_block_write(&w->work, NULL, w->out, w->out_cap, &len);
	if (rc)
		return rc;
	if (!bind_block(w, stmt, stream, len))
		return HN_EIO;
	rc = db_step(db, stmt);
	w->hot[stream] += w->work.n;
	w->work.n = 0;
	return rc;
}

/* The frames of `work`, sorted, as one chunk; `work` is empty afterwards. */
static hn_status put_chunk(struct store_writer *w, struct db *db, int stream)
{
	sqlite3_stmt *stmt = db_stmt(db, "INSERT INTO chunk(stream,t0,t1,n,data,sealed,codec,crc)"
	                             " VALUES(?,?,?,?,?,?,?,?)");
	const int64_t now = clock_now_us();
	size_t len = 0;
	hn_status rc;

	if (w->work.n == 0)
		return HN_OK;
	w->sealed = now > w->sealed ? now : w->sealed;
	hn_block_sort(&w->work, w->order);
	rc = hn_block_write(&w->work, w->order, w->out, w->out_cap, &len);
	if (rc)
		return rc;
	if (!bind_block(w, stmt, stream, len) || sqlite3_bind_int64(stmt, 6, w->sealed) ||
	    sqlite3_bind_int(stmt, 7, CODEC_BLOCK) ||
	    sqlite3_bind_int64(stmt, 8, hn_block_crc(w->out, len)))
		return HN_EIO;
	rc = db_step(db, stmt);
	if (rc == HN_OK)
		rc = store_roll_add(w, db, stream);
	w->work.n = 0;
	metric_add(w->n_chunks, 1);
	return rc;
}

static hn_status push(struct store_writer *w, struct db *db, int stream, const struct hn_frame *f)
{
	hn_status rc = hn_block_push(&w->work, f);

	if (rc != HN_EFULL)
		return rc;
	rc = put_chunk(w, db, stream);
	return rc ? rc : hn_block_push(&w->work, f);
}

static hn_status push_all(struct store_writer *w, struct db *db, int stream,
                          const struct store_batch *b)
{
	struct hn_frame f;
	size_t at = 0;
	hn_status rc = HN_OK;

	while (rc == HN_OK && store_batch_next(b, stream, &at, &f))
		rc = push(w, db, stream, &f);
	return rc;
}

/* --- sealing ------------------------------------------------------------------------------- */

/* A hot block that cannot be read stays as a chunk: readers count it, nothing is destroyed. */
static hn_status keep_damaged(struct store_writer *w, struct db *db, int stream, int64_t seq)
{
	sqlite3_stmt *stmt = db_stmt(db, "INSERT INTO chunk(stream,t0,t1,n,sealed,codec,crc,data) "
	                             "SELECT stream,t0,t1,n,?2,?3,0,data FROM hot WHERE seq=?1");

	metric_add(w->n_damaged, 1);
	log_warn("event=block_damaged stream=%s hot=%lld next=\"its frames are lost, the others are "
	         "kept\"", w->conf->streams[stream].name, (long long)seq);
	if (!stmt || sqlite3_bind_int64(stmt, 1, seq) || sqlite3_bind_int64(stmt, 2, w->sealed) ||
	    sqlite3_bind_int(stmt, 3, CODEC_BLOCK))
		return HN_EIO;
	return db_step(db, stmt);
}

/* Decode behind what `work` holds.  HN_EFULL: no room, HN_EFORMAT: damaged. */
static hn_status append_block(struct store_writer *w, int stream, const uint8_t *p, size_t len)
{
	struct hn_block *b = &w->work;
	const uint16_t n_channels = (uint16_t)w->conf->streams[stream].n_channels;
	const size_t cell = (size_t)b->n * n_channels;
	struct hn_block part = { .cap = b->cap - b->n, .cells = b->cells - cell,
		.event_us = b->event_us + b->n, .ingest_us = b->ingest_us + b->n,
		.raw = b->raw + cell, .quality = b->quality + cell };
	hn_status rc = hn_block_read(p, len, &part);

	if (rc == HN_OK && part.n_channels != n_channels)
		rc = HN_EFORMAT;
	if (rc == HN_OK) {
		b->n_channels = n_channels;
		b->n += part.n;
	}
	return rc;
}

static hn_status take_hot_row(struct store_writer *w, struct db *db, int stream, sqlite3_stmt *row)
{
	const uint8_t *p = sqlite3_column_blob(row, 1);
	const size_t len = (size_t)sqlite3_column_bytes(row, 1);
	hn_status rc = append_block(w, stream, p, p ? len : 0);

	if (rc == HN_EFULL && w->work.n > 0) {
		rc = put_chunk(w, db, stream);
		if (rc)
			return rc;
		rc = append_block(w, stream, p, p ? len : 0);
	}
	return rc ? keep_damaged(w, db, stream, sqlite3_column_int64(row, 0)) : HN_OK;
}

/* Move the hot rows of a stream into `work` (and chunks, as it fills) and delete them. */
static hn_status take_hot(struct store_writer *w, struct db *db, int stream)
{
	sqlite3_stmt *rows = db_stmt(db, "SELECT seq,data FROM hot WHERE stream=? ORDER BY seq");
	sqlite3_stmt *gone = db_stmt(db, "DELETE FROM hot WHERE stream=?");
	hn_status rc = HN_OK;
	int code = SQLITE_DONE;

	if (!rows || !gone || sqlite3_bind_int64(rows, 1, w->id[stream]) ||
	    sqlite3_bind_int64(gone, 1, w->id[stream]))
		return HN_EIO;
	while (rc == HN_OK && (code = sqlite3_step(rows), code == SQLITE_ROW))
		rc = take_hot_row(w, db, stream, rows);
	if (rc == HN_OK && code != SQLITE_DONE)
		rc = HN_EIO;
	if (rc == HN_OK)
		rc = db_step(db, gone);
	w->hot[stream] = 0;
	return rc;
}

static hn_status put_stream(struct store_writer *w, struct db *db, int stream,
                            const struct store_batch *b)
{
	const bool seal = w->hot[stream] + b->of[stream].n >= SEAL_FRAMES;
	hn_status rc = HN_OK;

	w->work.n = 0;
	if (seal)
		rc = take_hot(w, db, stream);
	if (rc == HN_OK)
		rc = push_all(w, db, stream, b);
	if (rc)
		return rc;
	return w->work.n >= SEAL_FRAMES ? put_chunk(w, db, stream) : put_hot(w, db, stream);
}

hn_status store_writer_batch(struct store_writer *w, struct db *db, const struct store_batch *b)
{
	hn_status rc = store_writer_ready(w, db);

	for (int i = 0; rc == HN_OK && i < w->conf->n_streams; i++)
		if (b->of[i].n > 0)
			rc = put_stream(w, db, i, b);
	if (rc)
		w->known = false;        /* the savepoint takes back what hot[] has counted */
	return rc;
}

/* --- life cycle ---------------------------------------------------------------------------- */

static uint16_t channels_max(const struct conf *conf)
{
	int max = 1;

	for (int i = 0; i < conf->n_streams; i++)
		if (conf->streams[i].n_channels > max)
			max = conf->streams[i].n_channels;
	assert(max <= HN_CHANNELS_MAX);
	return (uint16_t)max;
}

hn_status store_writer_init(struct store_writer *w, const struct conf *conf)
{
	const uint16_t widest = channels_max(conf);
	const size_t n = HN_BLOCK_FRAMES_MAX;
	const size_t cells = n * widest < CHUNK_CELLS ? n * widest : CHUNK_CELLS;

	*w = (struct store_writer){ .conf = conf };
	w->channels = calloc(CONF_STREAMS_MAX, sizeof *w->channels);
	w->work = (struct hn_block){ .cap = HN_BLOCK_FRAMES_MAX, .cells = cells,
		.event_us = malloc(n * sizeof(int64_t)), .ingest_us = malloc(n * sizeof(int64_t)),
		.raw = malloc(cells * sizeof(int32_t)), .quality = malloc(cells) };
	w->order = malloc(n * sizeof *w->order);
	/* The bound grows with frames x channels and with channels: the widest stream has the largest. */
	w->out_cap = hn_block_bound(HN_BLOCK_FRAMES_MAX, 1) +
	             hn_block_bound((uint32_t)(cells / widest) + 1, widest);
	w->out = malloc(w->out_cap);
	if (!w->channels || !w->work.event_us || !w->work.ingest_us || !w->work.raw ||
	    !w->work.quality || !w->order || !w->out)
		return HN_ENOMEM;
	for (int i = 0; i < conf->n_streams; i++) {
		w->channels[i] = channels_text(&conf->streams[i]);
		if (!w->channels[i])
			return HN_ENOMEM;
	}
	w->n_chunks = metric_counter("honed_store_chunks_total", "", "sealed chunks written");
	w->n_damaged = metric_counter("honed_store_damaged_total", "", "blocks that could not be read");
	w->n_deleted = metric_counter("honed_store_deleted_chunks_total", "",
	                              "chunks deleted by age or size");
	return HN_OK;
}

void store_writer_done(struct store_writer *w)
{
	for (int i = 0; w->channels && i < CONF_STREAMS_MAX; i++)
		free(w->channels[i]);
	free(w->channels);
	free(w->work.event_us);
	free(w->work.ingest_us);
	free(w->work.raw);
	free(w->work.quality);
	free(w->order);
	free(w->out);
}
