/* trainer.h - the parts of hone-train: job in, labelled windows, fit, quantise, compare, report. */
#ifndef TRAINER_H
#define TRAINER_H

#include <jansson.h>
#include "hn_dataset.h"
#include "hn_net.h"
#include "hn_task.h"
#include "hn_train.h"
#include "store.h"

enum { TRAINER_STREAMS_MAX = 64, TRAINER_WINDOWS_MAX = 200000 };

/* Round after training, or train on for int8.  The order of the configuration's words. */
enum trainer_quantise { TRAINER_PTQ = 0, TRAINER_QAT = 1 };

/* The job, decoded (job.h says what the fields mean). */
struct trainer_job {
	int64_t id, now_us, since_us, champion;
	char db[CONF_TEXT_MAX], model[HN_NAME_MAX], net[HN_NET_TEXT_MAX];
	enum hn_task task;
	int classes, window, hop, n_streams;
	char stream[TRAINER_STREAMS_MAX][HN_NAME_MAX];
	double period_s, holdout, holdout_recent, rate, weight_decay, smoothing, recent_share;
	int64_t memory_max;
	uint64_t seed;
	int epochs, batch, patience, scaler_frames, schedule;
	int quantise;                    /* enum trainer_quantise                                 */
	int rounding;                    /* rq_mode of the image                                  */
	bool dry_run;
	/* a net from a file instead of a fit: path, "" = none; value = raw * scale + offset */
	char import[CONF_TEXT_MAX + 32];
	int n_units;
	double unit_scale[128], unit_offset[128];
	char checkpoint[CONF_TEXT_MAX + 16];     /* path, "" = none                           */
	double checkpoint_s;
	const struct hn_loss_type *loss;         /* NULL: that of the task                    */
	const struct hn_optim_type *optim;
	double momentum, delta, decay, ema, clip, anchor;
	int decay_epochs, warmup, update, last_layers;
	int64_t wire_max;
	int windows_max;                 /* without labels: windows that a job takes           */
	double quantile;                 /* anomalies: share of normal windows within the limit */
};
hn_status trainer_job_read(struct trainer_job *job, FILE *in, struct hn_err *err);

/* Windows of all streams; heap arrays. */
struct trainer_data {
	uint16_t ch;
	uint32_t n, n_raw, cap;          /* windows, and those that were cut: of two with the same */
	                                 /* end only one is a window                              */
	struct hn_window *w;             /* (n,)                                                  */
	int32_t *raw;                    /* (cap, window, ch); n_raw filled, w[].at says which    */
	uint32_t labels, refused;        /* labels read; windows with gaps or doubtful values     */
	uint32_t over;                   /* windows beyond the memory limit, not taken            */
	uint32_t anomalous;              /* without labels: left out, they were answered "anomaly" */
	uint32_t counts[HN_PARTS];
	int32_t *fresh;                  /* (n_fresh, ch) newest frames since job.since_us        */
	uint32_t n_fresh;
	int64_t until_us[TRAINER_STREAMS_MAX];   /* in: fresh frames end before it; out: behind the
	                                          * last one of each stream                    */
};
/* What the frames of a task without labels are cut into; or the windows of the labels. */
hn_status trainer_load_labelled(const struct trainer_job *job, struct store_reader *r, int stream,
                                struct trainer_data *d, struct hn_err *err);
hn_status trainer_load_frames(const struct trainer_job *job, struct store_reader *r, int stream,
                              struct trainer_data *d, struct hn_err *err);

/* One more window, out of a ring whose oldest frame is `head`; the caller fills in the rest.  NULL:
 * there is no room. */
struct hn_window *trainer_add(const struct trainer_job *job, struct trainer_data *d,
                              const int32_t *ring, uint32_t head);

hn_status trainer_load(const struct trainer_job *job, struct store_reader *r,
                       struct trainer_data *d, struct hn_err *err);
void trainer_data_done(struct trainer_data *d);

/* Messages to the supervisor (job.h). */
void trainer_say(uint8_t type, const void *body, size_t len);
void trainer_say_json(uint8_t type, json_t *o);          /* steals o */

/* The checkpoint of a job, as a file: where the fresh frames ended, what earlier phases made, then
 * the bytes of the present fit.  A job that goes on must see the data that it saw before, while new
 * frames arrive all the time. */
enum trainer_phase { PHASE_FIT, PHASE_SEARCH, PHASE_INT8, PHASES };

/* What a phase has besides its fit. */
struct trainer_piece { void *p; size_t n; };
enum { TRAINER_PIECES = 2 };

struct trainer_keep {
	const char *path;
	int     n_streams;
	const int64_t *until_us;         /* (n_streams,) of the data                              */
	int     fd;                      /* of the one to go on from, -1 = none               */
	uint32_t phase, found;           /* the present one, that of the file                  */
	struct trainer_piece piece[TRAINER_PIECES];      /* of the present one; n 0: none      */
	uint8_t digest[32];              /* of the job's fit: what pieces must belong to       */
	int64_t job, every_us, last_us;
	uint32_t written, failed;
};
/* Fills d->until_us: from the file when there is one, else without an end. */
void trainer_keep_open(struct trainer_keep *k, const struct trainer_job *job,
                       struct trainer_data *d);
bool trainer_keep_read(struct trainer_keep *k, void *bytes, size_t n);   /* the next n bytes */

/* The job's fit is known.  False when the file is of another one: it is closed. */
bool trainer_keep_match(struct trainer_keep *k, const uint8_t digest[32]);

/* A phase begins.  True when the file is of this phase and the pieces are filled from it; else they
 * may hold anything, and a damaged file is closed. */
bool trainer_keep_begin(struct trainer_keep *k, enum trainer_phase phase,
                        const struct trainer_piece piece[TRAINER_PIECES]);
void trainer_keep_step(struct trainer_keep *k, const struct hn_fit *fit, uint64_t step);
void trainer_keep_close(struct trainer_keep *k);

struct trainer_champion { unsigned char *blob; size_t len; };  /* blob NULL: there is none   */

/* From a file to candidate and report: the windows calibrate and compare. */
hn_status trainer_import(const struct trainer_job *job, struct trainer_data *d,
                         const struct trainer_champion *champion, struct hn_err *err);

/* From windows to candidate and report. */
hn_status trainer_fit(const struct trainer_job *job, const struct trainer_data *d,
                      struct trainer_keep *keep, const struct trainer_champion *champion,
                      struct hn_err *err);
#endif
