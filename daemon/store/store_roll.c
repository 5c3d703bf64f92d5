/* store_roll.c - per-minute and per-hour sums of what was sealed.
 *
 * A chunk goes into a rollup only when it has at least ROLL_FRAMES frames a bucket: below that the
 * frames themselves are the smaller table.  Late frames add to the bucket that is there. */
#include <stdbool.h>

#include "store_write.h"

enum { ROLL_FRAMES = 4, N_ROLLS = 2 };

#define UPSERT(table) \
	"INSERT INTO " table "(stream,channel,t,n,min,max,sum,sumsq) VALUES(?,?,?,?,?,?,?,?) " \
	"ON CONFLICT(stream,channel,t) DO UPDATE SET n=n+excluded.n,min=min(min,excluded.min)," \
	"max=max(max,excluded.max),sum=sum+excluded.sum,sumsq=sumsq+excluded.sumsq"
#define CLEAN(table) \
	"DELETE FROM " table " WHERE stream=?1 AND channel=?2 AND t<" \
	"(SELECT max(t) FROM " table " WHERE stream=?1 AND channel=?2)-?3"

static const struct roll { int64_t width_us, keep; const char *upsert, *clean; } rolls[N_ROLLS] = {
	{ 60 * INT64_C(1000000), RETAIN_1M, UPSERT("roll_1m"), CLEAN("roll_1m") },
	{ 3600 * INT64_C(1000000), RETAIN_1H, UPSERT("roll_1h"), CLEAN("roll_1h") },
};

struct sums { int64_t t, n; double min, max, sum, sumsq; };

static int64_t bucket(int64_t t, int64_t width)
{
	int64_t rest = t % width;

	if (rest < 0)
		rest += width;
	return t < INT64_MIN + width ? INT64_MIN : t - rest;
}

static hn_status put(struct db *db, const struct roll *r, int64_t stream, int channel,
                     const struct sums *s)
{
	sqlite3_stmt *stmt;

	if (s->n == 0)
		return HN_OK;
	stmt = db_stmt(db, r->upsert);
	if (!stmt || sqlite3_bind_int64(stmt, 1, stream) || sqlite3_bind_int(stmt, 2, channel) ||
	    sqlite3_bind_int64(stmt, 3, s->t) || sqlite3_bind_int64(stmt, 4, s->n) ||
	    sqlite3_bind_double(stmt, 5, s->min) || sqlite3_bind_double(stmt, 6, s->max) ||
	    sqlite3_bind_double(stmt, 7, s->sum) || sqlite3_bind_double(stmt, 8, s->sumsq))
		return HN_EIO;
	return db_step(db, stmt);
}

static void add(struct sums *s, double v)
{
	s->min = s->n == 0 || v < s->min ? v : s->min;
	s->max = s->n == 0 || v > s->max ? v : s->max;
	s->sum += v;
	s->sumsq += v * v;
	s->n++;
}

static hn_status roll_channel(struct store_writer *w, struct db *db, int stream, int channel,
                              const struct roll *r)
{
	const struct hn_block *b = &w->work;
	const struct hn_channel *c = &w->conf->streams[stream].channels[channel];
	struct sums s = { .t = INT64_MIN };
	hn_status rc = HN_OK;

	for (uint32_t i = 0; rc == HN_OK && i < b->n; i++) {
		const uint32_t at = w->order[i];
		const size_t cell = (size_t)at * b->n_channels + (size_t)channel;
		const int64_t t = bucket(b->event_us[at], r->width_us);

		if (t != s.t) {
			rc = put(db, r, w->id[stream], channel, &s);
			s = (struct sums){ .t = t };
		}
		if (b->quality[cell] != HN_FAIL && b->quality[cell] != HN_MISSING)
			add(&s, (double)b->raw[cell] * c->scale + c->offset);
	}
	return rc ? rc : put(db, r, w->id[stream], channel, &s);
}

static uint32_t count_buckets(const struct store_writer *w, int64_t width)
{
	const struct hn_block *b = &w->work;
	uint32_t n = 1;

	for (uint32_t i = 1; i < b->n; i++)
		n += bucket(b->event_us[w->order[i]], width) !=
		     bucket(b->event_us[w->order[i - 1]], width);
	return n;
}

hn_status store_roll_add(struct store_writer *w, struct db *db, int stream)
{
	hn_status rc = HN_OK;

	for (int k = 0; k < N_ROLLS; k++) {
		if (count_buckets(w, rolls[k].width_us) * ROLL_FRAMES > w->work.n)
			continue;
		for (int c = 0; rc == HN_OK && c < w->work.n_channels; c++)
			rc = roll_channel(w, db, stream, c, &rolls[k]);
	}
	return rc;
}

hn_status store_roll_clean(struct store_writer *w, struct db *db, int stream, int64_t retain_us)
{
	hn_status rc = HN_OK;

	for (int k = 0; k < N_ROLLS; k++)
		for (int c = 0; rc == HN_OK && c < w->conf->streams[stream].n_channels; c++) {
			sqlite3_stmt *stmt = db_stmt(db, rolls[k].clean);

			if (!stmt || sqlite3_bind_int64(stmt, 1, w->id[stream]) ||
			    sqlite3_bind_int(stmt, 2, c) ||
			    sqlite3_bind_int64(stmt, 3, retain_us < INT64_MAX / rolls[k].keep ?
			                       retain_us * rolls[k].keep : INT64_MAX))
				return HN_EIO;
			rc = db_step(db, stmt);
		}
	return rc;
}
