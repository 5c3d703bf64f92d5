/* store_private.h - what store.c and store_answers.c share. */
#ifndef STORE_PRIVATE_H
#define STORE_PRIVATE_H

#include "metrics.h"
#include "store.h"
#include "store_write.h"

enum { PREDICTIONS_MAX = 4096 };

struct stream_state {
	uint64_t frames, refused;
	int64_t  last_event_us, last_ingest_us;
	int64_t  rate_from_us;           /* start of the present counting window               */
	uint32_t rate_n;
	double   rate_hz;
	struct metric *n_frames, *n_refused;
};

struct append_op {
	struct db_op op;
	struct store *s;
	bool taken;                      /* `save` holds its frames                            */
	uint64_t upto;                   /* frames appended up to the last one in it           */
};

struct predict_op { struct db_op op; struct store *s; bool taken; int n; };
struct retain_op { struct db_op op; struct store *s; struct store_retain r; };
struct label_op { struct db_op op; struct store *s; struct store_label label; };
struct ready_op { struct db_op op; struct store *s; };

struct store {
	struct db *db;
	const struct conf *conf;
	struct store_hooks hooks;
	struct store_writer writer;      /* writer thread only                                 */

	uv_mutex_t lock;                 /* guards the next six                                */
	struct store_batch batch[2];
	int fill;                        /* index of the buffer that is filled                 */
	uint64_t n_appended;
	struct store_prediction guess[PREDICTIONS_MAX];  /* ring of n_guesses from guess_head  */
	int guess_head, n_guesses;

	struct store_prediction guess_save[PREDICTIONS_MAX];     /* writer, while taken        */
	struct append_op append;
	struct predict_op predict;
	struct retain_op retain;
	bool append_queued, predict_queued, retain_queued;
	bool hurry, refused, closing;
	int n_ops;                       /* operations whose `done` has not come yet           */
	uint64_t n_durable;
	struct stream_state state[CONF_STREAMS_MAX];
	struct metric *n_lost, *bytes, *waiting;
};

/* Queue an operation of the store.  HN_OK: its `done` will come and ends with store_op_ended, which
 * after store_close frees the store with the last one. */
hn_status store_submit(struct store *s, struct db_op *op);
void store_op_ended(struct store *s);

/* The one operation that saves predictions. */
void store_predict_init(struct store *s);
#endif
