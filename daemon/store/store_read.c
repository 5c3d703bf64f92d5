/* store_read.c - frames and labels back out of the database, in time order, with bounded memory.
 *
 * Blocks are visited in order of their first time.  `held` keeps frames, sorted, that a later block
 * may still have to be merged with: what is older than the next block's first time is delivered.
 * When too much overlaps, `cut` moves forward in time: this pass delivers up to `cut`, the next one
 * begins there.  So order and memory are bounded whatever the data; only time is not. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "hn_block.h"

enum { PASS_BLOCKS = 1024, HELD_CELLS = STORE_READ_FRAMES * 64 };

struct rows {                            /* frames in time order                       */
	size_t n, cap;
	int64_t *event_us, *ingest_us;
	int32_t *raw;
	uint8_t *quality;
};

struct store_reader {
	sqlite3 *conn;
	uint64_t damaged;
	/* Sized for one number of channels. */
	uint16_t n_channels;
	struct rows held, merged;
	struct hn_block block;
	uint32_t *order;
	size_t held_max;
};

struct pass {
	struct store_reader *r;
	int64_t stream, from, cut;
	size_t  given;                   /* first frames of `held` that were delivered         */
	bool    stopped;
	bool  (*cb)(void *ctx, const struct hn_frame *f);
	void   *ctx;
};

/* --- memory -------------------------------------------------------------------------------- */

static void rows_free(struct rows *x)
{
	free(x->event_us);
	free(x->ingest_us);
	free(x->raw);
	free(x->quality);
	*x = (struct rows){ 0 };
}

static hn_status rows_alloc(struct rows *x, size_t cap, uint16_t n_channels)
{
	*x = (struct rows){ .cap = cap, .event_us = malloc(cap * sizeof(int64_t)),
		.ingest_us = malloc(cap * sizeof(int64_t)),
		.raw = malloc(cap * n_channels * sizeof(int32_t)), .quality = malloc(cap * n_channels) };
	return x->event_us && x->ingest_us && x->raw && x->quality ? HN_OK : HN_ENOMEM;
}

static void buffers_free(struct store_reader *r)
{
	rows_free(&r->held);
	rows_free(&r->merged);
	free(r->block.event_us);
	free(r->block.ingest_us);
	free(r->block.raw);
	free(r->block.quality);
	free(r->order);
	r->block = (struct hn_block){ 0 };
	r->order = NULL;
	r->n_channels = 0;
}

/* Pages that no frame reaches cost no memory. */
static hn_status buffers_fit(struct store_reader *r, uint16_t n_channels)
{
	const size_t n = HN_BLOCK_FRAMES_MAX, cells = n * n_channels;
	hn_status rc;

	if (r->n_channels == n_channels)
		return HN_OK;
	buffers_free(r);
	r->held_max = (size_t)HELD_CELLS / n_channels;
	if (r->held_max > STORE_READ_FRAMES)
		r->held_max = STORE_READ_FRAMES;
	rc = rows_alloc(&r->held, r->held_max, n_channels);
	if (rc == HN_OK)
		rc = rows_alloc(&r->merged, r->held_max, n_channels);
	r->block = (struct hn_block){ .cap = HN_BLOCK_FRAMES_MAX, .cells = cells,
		.event_us = malloc(n * sizeof(int64_t)), .ingest_us = malloc(n * sizeof(int64_t)),
		.raw = malloc(cells * sizeof(int32_t)), .quality = malloc(cells) };
	r->order = malloc(n * sizeof *r->order);
	if (rc || !r->block.event_us || !r->block.ingest_us || !r->block.raw || !r->block.quality ||
	    !r->order) {
		buffers_free(r);
		return HN_ENOMEM;
	}
	r->n_channels = n_channels;
	return HN_OK;
}

/* --- deliver and merge --------------------------------------------------------------------- */

/* Frames of `held` before time `end` to the caller. */
static void deliver(struct pass *p, int64_t end)
{
	struct rows *h = &p->r->held;
	const uint16_t nc = p->r->n_channels;
	struct hn_frame f = { .stream = 0, .n = nc };

	while (!p->stopped && p->given < h->n && h->event_us[p->given] < end) {
		const size_t i = p->given++;

		f.event_us = h->event_us[i];
		f.ingest_us = h->ingest_us[i];
		memcpy(f.raw, h->raw + i * nc, nc * sizeof f.raw[0]);
		memcpy(f.quality, h->quality + i * nc, nc);
		p->stopped = !p->cb(p->ctx, &f);
	}
	if (p->given == h->n)
		h->n = p->given = 0;
}

static void rows_put(struct rows *to, uint16_t nc, const struct rows *from, size_t i)
{
	const size_t n = to->n++;

	to->event_us[n] = from->event_us[i];
	to->ingest_us[n] = from->ingest_us[i];
	memcpy(to->raw + n * nc, from->raw + i * nc, nc * sizeof to->raw[0]);
	memcpy(to->quality + n * nc, from->quality + i * nc, nc);
}

/* Merge the frames of the decoded block that lie in [from, cut) with what is held. */
static void merge(struct pass *p, int64_t from)
{
	struct store_reader *r = p->r;
	const struct hn_block *b = &r->block;
	const struct rows block = { .event_us = b->event_us, .ingest_us = b->ingest_us,
		.raw = b->raw, .quality = b->quality };
	struct rows old = r->held;
	size_t i = p->given, k = 0;

	hn_block_sort(b, r->order);
	while (k < b->n && b->event_us[r->order[k]] < from)
		k++;
	r->merged.n = 0;
	for (; k < b->n && b->event_us[r->order[k]] < p->cut; k++) {
		while (i < old.n && old.event_us[i] <= b->event_us[r->order[k]])
			rows_put(&r->merged, r->n_channels, &old, i++);
		rows_put(&r->merged, r->n_channels, &block, r->order[k]);
	}
	while (i < old.n)
		rows_put(&r->merged, r->n_channels, &old, i++);
	r->held = r->merged;
	r->merged = old;
	p->given = 0;
}

/* Move `cut` back so that fewer frames are held.  False: all are of the same microsecond. */
static bool shrink(struct pass *p)
{
	struct rows *h = &p->r->held;
	size_t mid = p->given + (h->n - p->given) / 2;

	while (mid < h->n && h->event_us[mid] == h->event_us[p->given])
		mid++;
	if (mid == h->n)
		return false;
	p->cut = h->event_us[mid];
	while (mid > p->given && h->event_us[mid - 1] == p->cut)
		mid--;
	h->n = mid;
	return true;
}

/* --- blocks -------------------------------------------------------------------------------- */

/* Read a block by table and id into r->block.  HN_EFORMAT: damaged. */
static hn_status fetch(struct store_reader *r, sqlite3_stmt *get, int64_t id)
{
	hn_status rc = HN_EFORMAT;

	if (sqlite3_bind_int64(get, 1, id) == SQLITE_OK && sqlite3_step(get) == SQLITE_ROW) {
		const void *data = sqlite3_column_blob(get, 0);

		if (data)
			rc = hn_block_read(data, (size_t)sqlite3_column_bytes(get, 0), &r->block);
		if (rc == HN_OK && r->block.n_channels != r->n_channels)
			rc = HN_EFORMAT;
	}
	(void)sqlite3_reset(get);        /* repeats the code of the step */
	return rc;
}

static void take_block(struct pass *p, sqlite3_stmt *get, int64_t id, int64_t t0)
{
	struct store_reader *r = p->r;
	bool room = true;

	if (fetch(r, get, id) != HN_OK) {
		r->damaged++;
		return;
	}
	while (room && r->held.n - p->given + r->block.n > r->held_max)
		room = shrink(p);
	if (room)
		merge(p, t0 > p->from ? t0 : p->from);
	else
		r->damaged++;
}

static const char list_sql[] =
	"SELECT 0,id,t0 FROM chunk WHERE stream=?1 AND t0<?2 AND t1>=?3 UNION ALL "
	"SELECT 1,seq,t0 FROM hot WHERE stream=?1 AND t0<?2 AND t1>=?3 ORDER BY 3,1,2";

/* Visit the blocks between p->from and p->cut. */
static hn_status visit_blocks(struct pass *p, sqlite3_stmt *list, sqlite3_stmt *const get[2])
{
	int code = SQLITE_DONE;

	for (int n = 0; !p->stopped; n++) {
		code = sqlite3_step(list);
		if (code != SQLITE_ROW)
			break;
		const int64_t t0 = sqlite3_column_int64(list, 2);

		if (t0 >= p->cut)
			break;
		if (n >= PASS_BLOCKS && t0 > p->from) {
			p->cut = t0;             /* let the writer checkpoint */
			break;
		}
		deliver(p, t0);
		take_block(p, get[sqlite3_column_int(list, 0) != 0], sqlite3_column_int64(list, 1), t0);
	}
	return code == SQLITE_ROW || code == SQLITE_DONE ? HN_OK : HN_EIO;
}

static hn_status run_pass(struct pass *p)
{
	sqlite3_stmt *list = NULL, *get[2] = { NULL, NULL };
	sqlite3 *conn = p->r->conn;
	hn_status rc = HN_EIO;

	p->r->held.n = p->given = 0;
	if (sqlite3_prepare_v2(conn, list_sql, -1, &list, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(conn, "SELECT data FROM chunk WHERE id=?", -1, &get[0], NULL) ==
	    SQLITE_OK &&
	    sqlite3_prepare_v2(conn, "SELECT data FROM hot WHERE seq=?", -1, &get[1], NULL) ==
	    SQLITE_OK &&
	    sqlite3_bind_int64(list, 1, p->stream) == SQLITE_OK &&
	    sqlite3_bind_int64(list, 2, p->cut) == SQLITE_OK &&
	    sqlite3_bind_int64(list, 3, p->from) == SQLITE_OK)
		rc = visit_blocks(p, list, get);
	if (rc == HN_OK)
		deliver(p, p->cut);
	(void)sqlite3_finalize(list);    /* read-only: errors were seen at the step */
	(void)sqlite3_finalize(get[0]);
	(void)sqlite3_finalize(get[1]);
	return rc;
}

/* --- whole --------------------------------------------------------------------------------- */

hn_status store_reader_open(struct store_reader **out, const char *db_path, struct hn_err *err)
{
	struct store_reader *r = calloc(1, sizeof *r);
	hn_status rc;

	if (!r)
		return hn_fail(err, HN_ENOMEM, "reader: out of memory");
	rc = db_reader(db_path, &r->conn, err);
	if (rc) {
		free(r);
		return rc;
	}
	*out = r;
	return HN_OK;
}

void store_reader_close(struct store_reader *r)
{
	if (!r)
		return;
	buffers_free(r);
	(void)sqlite3_close(r->conn);    /* read-only: nothing to lose */
	free(r);
}

sqlite3 *store_reader_handle(struct store_reader *r)
{
	return r->conn;
}

static hn_status find_stream(struct store_reader *r, const char *name, int64_t *id, int *n_channels)
{
	sqlite3_stmt *stmt = NULL;
	hn_status rc = HN_EIO;
	int code = SQLITE_ERROR;

	if (sqlite3_prepare_v2(r->conn, "SELECT id,n_channels FROM stream WHERE name=?", -1, &stmt,
	    NULL) == SQLITE_OK && sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC) == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW) {
		*id = sqlite3_column_int64(stmt, 0);
		*n_channels = sqlite3_column_int(stmt, 1);
		rc = *n_channels >= 1 && *n_channels <= HN_CHANNELS_MAX ? HN_OK : HN_EFORMAT;
	} else if (code == SQLITE_DONE) {
		rc = HN_ENOENT;
	}
	(void)sqlite3_finalize(stmt);    /* read-only */
	return rc;
}

hn_status store_read(struct store_reader *r, const char *stream, int64_t t0, int64_t t1,
                     bool (*cb)(void *ctx, const struct hn_frame *f), void *ctx)
{
	struct pass p = { .r = r, .from = t0, .cb = cb, .ctx = ctx };
	const uint64_t damaged = r->damaged;
	int n_channels = 0;
	hn_status rc = find_stream(r, stream, &p.stream, &n_channels);

	if (rc == HN_OK)
		rc = buffers_fit(r, (uint16_t)n_channels);
	while (rc == HN_OK && !p.stopped && p.from < t1) {
		p.cut = t1;
		rc = run_pass(&p);
		p.from = p.cut;
	}
	return rc == HN_OK && r->damaged != damaged ? HN_EFORMAT : rc;
}

/* --- labels -------------------------------------------------------------------------------- */

static bool label_row(sqlite3_stmt *row, struct store_label *l)
{
	const char *who = (const char *)sqlite3_column_text(row, 4);

	*l = (struct store_label){ .id = sqlite3_column_int64(row, 0),
		.t0_us = sqlite3_column_int64(row, 1), .t1_us = sqlite3_column_int64(row, 2),
		.value = sqlite3_column_double(row, 3), .given_us = sqlite3_column_int64(row, 5) };
	(void)snprintf(l->who, sizeof l->who, "%s", who ? who : "");    /* longer names are cut */
	return true;
}

hn_status store_read_labels(struct store_reader *r, const char *stream, int64_t t0, int64_t t1,
                            bool (*cb)(void *ctx, const struct store_label *l), void *ctx)
{
	sqlite3_stmt *stmt = NULL;
	struct store_label l;
	int64_t id = 0;
	int n_channels = 0, code = SQLITE_ERROR;
	hn_status rc = find_stream(r, stream, &id, &n_channels);

	if (rc)
		return rc;
	if (sqlite3_prepare_v2(r->conn, "SELECT id,t0,t1,value,who,given FROM label WHERE stream=?1 AND "
	    "t0<?3 AND t1>=?2 ORDER BY t0,id", -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_bind_int64(stmt, 1, id) == SQLITE_OK &&
	    sqlite3_bind_int64(stmt, 2, t0) == SQLITE_OK && sqlite3_bind_int64(stmt, 3, t1) == SQLITE_OK)
		code = SQLITE_ROW;
	while (code == SQLITE_ROW) {
		code = sqlite3_step(stmt);
		if (code == SQLITE_ROW && label_row(stmt, &l) && !cb(ctx, &l))
			break;
	}
	(void)sqlite3_finalize(stmt);    /* read-only: errors were seen at the step */
	return code == SQLITE_ROW || code == SQLITE_DONE ? HN_OK : HN_EIO;
}
