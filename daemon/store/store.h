/* store.h - raw frames, labels and predictions in SQLite.
 *
 * Loop thread: append and label; the db thread writes.  Anyone else reads through a reader. */
#ifndef STORE_H
#define STORE_H

#include <jansson.h>
#include "conf.h"
#include "db.h"
#include "hn_frame.h"

struct store;

struct store_label {
	int64_t id, t0_us, t1_us;        /* span of event time, t0 <= t1                         */
	int     stream;
	double  value;                   /* class index, or the value to regress                 */
	char    who[HN_NAME_MAX];
	int64_t given_us;                /* when it was given                                    */
};

struct store_hooks {
	void *ctx;
	/* All frames appended up to the n-th (counted from 1 since store_open) are durable. */
	void (*on_durable)(void *ctx, uint64_t n);
	/* After a HN_EFULL: there is room again. */
	void (*on_room)(void *ctx);
	/* A label is durable: tells the monitor and the policy. */
	void (*on_label)(void *ctx, const struct store_label *label);
};

struct store_prediction {
	int     stream;
	int64_t event_us;                /* of the window's last frame                           */
	int64_t version;                 /* version id                                           */
	int     model, class_index, margin;      /* margin -1 = unknown                          */
	bool    device;                  /* made by a device (else by the gateway)               */
};

/* `conf`'s streams are borrowed until db_close.  Errors: HN_ENOMEM. */
hn_status store_open(struct store **out, struct db *db, const struct conf *conf,
                     const struct store_hooks *hooks, struct hn_err *err);

/* Flushes; before db_close, which saves the rest and releases the memory.  No hook is called any
 * more. */
void store_close(struct store *s);

/* Copy one frame into the bounded buffer.  HN_EFULL: not taken (the caller's source decides: pause,
 * drop and count).  HN_EINVAL: no such stream, or another number of channels than it has. */
hn_status store_append(struct store *s, const struct hn_frame *f);
/* Would store_append take a frame of this stream, and store_predict the predictions that it leads
 * to?  If not, it counts as refused: on_room follows. */
bool store_has_room(struct store *s, int stream);
void store_flush(struct store *s);               /* commit what waits now                        */

/* Keep a prediction (bounded buffer, oldest dropped and counted when full). */
void store_predict(struct store *s, const struct store_prediction *p);

/* Save a label; hooks.on_label follows when it is durable.  Errors: HN_ERANGE, HN_EFULL. */
hn_status store_label(struct store *s, const struct store_label *l);

/* Delete by age (since sealing) and by size, oldest first, a bounded number at a time; by a
 * timer. */
void store_retain(struct store *s, int64_t now_us);

json_t *store_json(const struct store *s);       /* streams with last frame time, rates, drops   */

/* --- readers: own connection, any thread or process ---------------------------------------- */
enum { STORE_READ_FRAMES = 65536 };

struct store_reader;
hn_status store_reader_open(struct store_reader **out, const char *db_path, struct hn_err *err);
void store_reader_close(struct store_reader *r);

/* Frames of a stream (by name) with t0 <= event time < t1 in time order, whatever the order in
 * which they arrived (equal times: order of arrival within a block).  cb returns false to stop.
 * The frame's `stream` field is 0.  Memory is bounded: where more than STORE_READ_FRAMES frames
 * overlap in time, the span is read in several passes; only more than that many at one microsecond
 * are left out and counted as damaged.  A pass is one snapshot and does not hold a read transaction
 * for long; a caller that needs one snapshot of everything opens a transaction on
 * store_reader_handle first.  Errors: HN_EIO, HN_ENOENT (no such stream, or it never had a frame),
 * HN_EFORMAT (at least one damaged block: skipped and counted, all the rest was delivered). */
hn_status store_read(struct store_reader *r, const char *stream, int64_t t0, int64_t t1,
                     bool (*cb)(void *ctx, const struct hn_frame *f), void *ctx);

/* Labels of a stream overlapping [t0, t1), in order of t0. */
hn_status store_read_labels(struct store_reader *r, const char *stream, int64_t t0, int64_t t1,
                            bool (*cb)(void *ctx, const struct store_label *l), void *ctx);
sqlite3 *store_reader_handle(struct store_reader *r);
#endif
