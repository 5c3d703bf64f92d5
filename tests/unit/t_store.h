/* t_store.h - a store over a database of its own, and frames to fill it with. */
#ifndef T_STORE_H
#define T_STORE_H

#include "conf.h"
#include "db.h"
#include "store.h"
#include "t_dir.h"

struct t_store {
	struct t_dir dir;
	uv_loop_t    loop;
	struct conf *conf;
	struct db   *db;
	struct store *store;
	uint64_t     durable;    /* last argument of on_durable                                */
	int          n_durable_calls, n_room, n_labels;
	struct store_label label;        /* the last one that became durable                   */
	uint64_t     want;       /* `reached` becomes true when durable >= want                */
	bool         reached;
};

/* Two streams: "vib" (3 channels) and "wide" (128 channels). */
struct conf *t_conf_new(int queue_frames);

void t_store_make(struct t_store *t, int queue_frames);  /* directory, loop, configuration      */
void t_store_open(struct t_store *t, double commit_every_s);
void t_store_shut(struct t_store *t);                    /* store_close, db_close               */
void t_store_remove(struct t_store *t);

/* The i-th frame of a stream: event time and values are functions of i alone. */
void t_frame(const struct conf *conf, int stream, uint64_t i, struct hn_frame *f);
bool t_frame_equal(const struct hn_frame *a, const struct hn_frame *b);

/* Append, turning the loop while the store is full. */
void t_store_append(struct t_store *t, const struct hn_frame *f);

/* Turn the loop until `n` frames are durable. */
void t_store_wait(struct t_store *t, uint64_t n);

/* Frames of `stream` in all time, in the order delivered; `cap` at most.  Returns their number. */
size_t t_store_read(const struct t_store *t, const char *stream, struct hn_frame *out, size_t cap,
                    hn_status *rc);

/* First column of the first row. */
long t_sql(const struct t_store *t, const char *sql);
#endif
