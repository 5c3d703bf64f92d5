/* store_write.h - the writer-thread half of the store: blocks into hot and chunk, rollups,
 * retention.  Private to store*.c. */
#ifndef STORE_WRITE_H
#define STORE_WRITE_H

#include <stdbool.h>
#include "conf.h"
#include "db.h"
#include "hn_block.h"
#include "metrics.h"
#include "store_batch.h"

enum {
	SEAL_FRAMES = 1024,      /* hot frames of a stream that make a chunk                   */
	CHUNK_CELLS = SEAL_FRAMES * HN_CHANNELS_MAX,     /* a chunk is at most this many values */
	RETAIN_CHUNKS = 64, RETAIN_PREDICTIONS = 5000,   /* deleted in one transaction at most */
	RETAIN_1M = 8, RETAIN_1H = 64    /* rollups are kept so many times longer than frames  */
};

struct store_writer {
	const struct conf *conf; /* streams do not change while we run                         */
	char   **channels;       /* (n_streams,) JSON text of each stream's channels, owned    */
	bool     known;          /* the three below agree with the database ...                */
	unsigned undone;         /* ... as long as db_undone is this                           */
	int64_t  id[CONF_STREAMS_MAX];
	uint32_t hot[CONF_STREAMS_MAX];  /* frames in `hot`                                    */
	int64_t  sealed;         /* newest wall clock in `chunk`: never goes back              */
	struct hn_block work;    /* frames on their way into one block                         */
	uint32_t *order;
	uint8_t *out;
	size_t   out_cap;
	int      roll_turn;      /* stream whose rollups are cleaned next                      */
	struct metric *n_chunks, *n_damaged, *n_deleted;
};

hn_status store_writer_init(struct store_writer *w, const struct conf *conf);
void store_writer_done(struct store_writer *w);

/* All below: inside run().  HN_OK or the transaction's error. */

/* Ids of the streams, made when new.  A stream whose channels changed in number, scale or offset
 * gets a new row: old integers keep their meaning under the name <name>@<id>. */
hn_status store_writer_ready(struct store_writer *w, struct db *db);
hn_status store_writer_batch(struct store_writer *w, struct db *db, const struct store_batch *b);

/* Add a sealed, sorted block to the rollups (store_roll.c). */
hn_status store_roll_add(struct store_writer *w, struct db *db, int stream);
hn_status store_roll_clean(struct store_writer *w, struct db *db, int stream, int64_t retain_us);

/* Delete a bounded number of the oldest chunks and predictions (store_retain.c). */
struct store_retain { int64_t now_us; double retain_s, size_max; double bytes; bool more; };
hn_status store_writer_retain(struct store_writer *w, struct db *db, struct store_retain *r);
#endif
