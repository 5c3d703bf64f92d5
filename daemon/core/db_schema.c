/* db_schema.c - the tables.  A released step is never edited: a change is a new step at the end.
 *
 * Times are us since 1970-01-01 UTC.  In the tables of frames, labels and predictions `stream` is
 * the id of its row; the tables of the loop, which people read, say the names of streams and
 * models. */
#include "db.h"

/* hot:   one compressed block (hn_block.h) per commit and stream, in order of arrival.
 * chunk: sealed blocks, frames in time order; `sealed` is the wall clock at sealing, by which
 *        retention goes (event time may come from a recording of years ago).
 * roll_*: physical values of a sealed minute or hour, flags "fail" and "missing" left out. */
static const char frames[] =
	"CREATE TABLE stream(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
	" n_channels INTEGER NOT NULL, channels TEXT NOT NULL);"
	"CREATE TABLE hot(seq INTEGER PRIMARY KEY, stream INTEGER NOT NULL, t0 INTEGER NOT NULL,"
	" t1 INTEGER NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL);"
	"CREATE TABLE chunk(id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, t0 INTEGER NOT NULL,"
	" t1 INTEGER NOT NULL, n INTEGER NOT NULL, sealed INTEGER NOT NULL,"
	" codec INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL);"
	"CREATE INDEX chunk_time ON chunk(stream, t0, t1);"
	"CREATE TABLE roll_1m(stream INTEGER NOT NULL, channel INTEGER NOT NULL,"
	" t INTEGER NOT NULL, n INTEGER NOT NULL, min REAL, max REAL, sum REAL, sumsq REAL,"
	" PRIMARY KEY(stream, channel, t)) WITHOUT ROWID;"
	"CREATE TABLE roll_1h(stream INTEGER NOT NULL, channel INTEGER NOT NULL,"
	" t INTEGER NOT NULL, n INTEGER NOT NULL, min REAL, max REAL, sum REAL, sumsq REAL,"
	" PRIMARY KEY(stream, channel, t)) WITHOUT ROWID;"
	"CREATE TABLE label(id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, t0 INTEGER NOT NULL,"
	" t1 INTEGER NOT NULL, value REAL NOT NULL, who TEXT, given INTEGER NOT NULL);"
	"CREATE INDEX label_time ON label(stream, t0);"
	"CREATE TABLE prediction(id INTEGER PRIMARY KEY, stream INTEGER NOT NULL,"
	" t INTEGER NOT NULL, model INTEGER, version INTEGER, class INTEGER, margin INTEGER,"
	" device INTEGER NOT NULL, made INTEGER NOT NULL);"
	"CREATE INDEX prediction_time ON prediction(stream, t);"

	"CREATE TABLE label_request(id INTEGER PRIMARY KEY, model TEXT, stream TEXT,"
	" t INTEGER, asked INTEGER, why TEXT, answered INTEGER);"
	"CREATE INDEX label_request_time ON label_request(stream, t);"
	"CREATE TABLE model(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, champion INTEGER,"
	" next_rollout INTEGER);"
	"CREATE TABLE version(id INTEGER PRIMARY KEY, model TEXT, number INTEGER, digest TEXT,"
	" state TEXT, parent INTEGER, job INTEGER, created INTEGER, blob BLOB, metrics TEXT,"
	" who TEXT, why TEXT);"
	"CREATE INDEX version_model ON version(model, number);"
	"CREATE TABLE job(id INTEGER PRIMARY KEY, model TEXT, state TEXT, kind TEXT,"
	" reason TEXT, actor TEXT, created INTEGER, started INTEGER, ended INTEGER,"
	" progress TEXT, report TEXT, error TEXT);"
	"CREATE INDEX job_model ON job(model);"
	"CREATE TABLE episode(id INTEGER PRIMARY KEY, model TEXT, stream TEXT, kind TEXT,"
	" state TEXT, opened INTEGER, closed INTEGER, evidence TEXT);"
	"CREATE INDEX episode_model ON episode(model, stream);"
	"CREATE TABLE device(name TEXT PRIMARY KEY, uid TEXT, state TEXT, seen INTEGER);"
	"CREATE TABLE rollout(id INTEGER PRIMARY KEY, model TEXT, version INTEGER, state TEXT,"
	" created INTEGER, ended INTEGER, reason TEXT, plan TEXT);"
	"CREATE INDEX rollout_model ON rollout(model);"
	"CREATE TABLE rollout_device(rollout INTEGER NOT NULL, device TEXT NOT NULL, state TEXT,"
	" package_version INTEGER, attempts INTEGER, error TEXT, started INTEGER, ended INTEGER,"
	" PRIMARY KEY(rollout, device));"
	"CREATE TABLE monitor_state(model TEXT NOT NULL, stream TEXT NOT NULL,"
	" saved INTEGER, data BLOB, PRIMARY KEY(model, stream));"
	"CREATE TABLE policy_state(model TEXT PRIMARY KEY, data BLOB);"
	"CREATE TABLE journal(id INTEGER PRIMARY KEY, t INTEGER NOT NULL, kind TEXT NOT NULL,"
	" model TEXT, device TEXT, stream TEXT, episode INTEGER, job INTEGER, version INTEGER,"
	" rollout INTEGER, actor TEXT, reason TEXT, evidence TEXT);";

/* What a job needs to be started again: columns of its request, and how often it was started. */
static const char job_again[] =
	"ALTER TABLE job ADD COLUMN champion INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE job ADD COLUMN since INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE job ADD COLUMN episode INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE job ADD COLUMN starts INTEGER NOT NULL DEFAULT 0;";

const char *const db_migrations[] = { frames, job_again };
const int db_n_migrations = sizeof db_migrations / sizeof db_migrations[0];
