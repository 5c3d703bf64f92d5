/* t_source.h - one source under test: a configuration with one stream, a loop, and a recorder
 * behind the hooks.  A kit is a way to reach a driver: the same tests run with all of them. */
#ifndef T_SOURCE_H
#define T_SOURCE_H

#include <uv.h>
#include "source.h"
#include "t_dir.h"

enum { T_FRAMES_MAX = 32768, T_CHANNELS = 3, T_MESSAGES_MAX = 256 };

struct t_label { int64_t t0_us, t1_us; double value; };
struct t_message { uint8_t type; uint16_t session; size_t len; uint8_t body[256]; };

struct t_source {
	uv_loop_t loop;
	uv_timer_t tick;
	struct conf *conf;
	struct sources *sources;
	struct t_dir dir;
	struct hn_frame *frames;         /* (T_FRAMES_MAX,) */
	int n_frames, room;              /* room: frames still taken before HN_EFULL; -1 = all */
	int refill, n_refills;           /* room after each tick of 5 ms; 0 = none             */
	int n_full, n_up, n_down, n_end;
	struct t_label *labels;          /* (T_FRAMES_MAX,) */
	int n_labels, n_messages;
	struct t_message message[T_MESSAGES_MAX];
	int peer, listener;              /* descriptors of the other side, -1 = none           */
};

struct t_kit {
	const char *name, *driver;
	bool waits;                      /* a full store stops it                              */
	bool stream;                     /* bytes in order over connections that can end       */
	char delimiter;                  /* ends a frame                                       */
	bool once;                       /* bytes must be there before the loop runs: a file   */
	void (*setup)(struct t_source *t);       /* settings, before open                      */
	void (*connect)(struct t_source *t);     /* after open: t->peer                        */
	/* Frame i with values i, -i, i % 7 and time t_time_us(i), as this kit's bytes. */
	size_t (*encode)(int i, char *out, size_t cap);
};

extern const struct t_kit t_kits[];      /* name == NULL ends it                               */
const struct t_kit *t_kit(const char *name);

int64_t t_time_us(int i);

/* A configuration with one source "src" of that driver, its defaults, and the stream "vib" with
 * channels a, b, c and one device behind it. */
void t_source_init(struct t_source *t, const char *driver);
void t_source_set(struct t_source *t, const char *key, const char *value);
void t_source_path(const struct t_source *t, const char *name, char *out, size_t cap);
hn_status t_source_open(struct t_source *t, struct hn_err *err);

/* init, setup, open, connect. */
void t_source_start(struct t_source *t, const struct t_kit *kit);

/* Run the loop until `done`; false when max_s have passed. */
bool t_source_run(struct t_source *t, bool (*done)(const struct t_source *t), double max_s);
bool t_source_wait_frames(struct t_source *t, int n);    /* 10 s                             */
void t_source_spin(struct t_source *t, double s);

/* Send through the peer while the loop runs. */
void t_source_send(struct t_source *t, const void *bytes, size_t len);
void t_source_send_frames(struct t_source *t, const struct t_kit *kit, int from, int n);
void t_source_disconnect(struct t_source *t);
int64_t t_source_count(const struct t_source *t, const char *key);       /* of its JSON       */
int64_t t_source_refused(const struct t_source *t);                      /* sum of reasons    */

/* Close everything; fails when a handle is left. */
void t_source_stop(struct t_source *t);

/* Does recorded frame k carry frame i's values? */
bool t_frame_is(const struct t_source *t, int k, int i);

/* A file of n rows "time,a,b,c,truth" with label i % 5 + 1. */
void t_write_csv(const struct t_source *t, const char *name, int n, char *path, size_t cap);
#endif
