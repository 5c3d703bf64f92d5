/* trainer_fit.h - the state of one fit; private to the files of a fit. */
#ifndef TRAINER_FIT_H
#define TRAINER_FIT_H

#include "hd_image.h"
#include "hn_gate.h"
#include "hn_quant.h"
#include "hn_sparse.h"
#include "trainer.h"

/* Sums over windows of what a task without classes is measured by, in standard deviations of the
 * challenger's scaler. */
struct measured {
	struct hn_gate_errors recent, kept;
	double float_error, int8_error, plain;   /* held-back windows                             */
	int    normal, inside;           /* windows compared; of them within the limit            */
	int    outliers, found;          /* windows labelled as anomalies; above the limit        */
	uint8_t limit;                   /* see hd_net_answer                                     */
};

struct fit {
	const struct trainer_job *job;
	const struct trainer_data *d;
	struct hn_net net, folded;       /* as trained; as the device has it                      */
	float *folded_w;                 /* (folded.n_weights,)                                   */
	struct hn_scaler scaler;
	struct hn_train_cfg cfg;
	struct hn_arena arena;
	void *memory;
	size_t plan;                     /* bytes of the arena                                    */
	uint32_t n[HN_PARTS];
	float *x[HN_PARTS];              /* (n, values) scaled                                    */
	int32_t *y[HN_PARTS];
	float *weight[2];                /* (n[p],) of HN_TRAIN and HN_VALID                      */
	uint8_t *image, *blob;
	size_t image_len, blob_len, blob_cap;
	int64_t t0_us, t1_us;
	int confusion[HN_CLASSES_MAX][HN_CLASSES_MAX];
	int float_right, int8_right, majority;
	struct measured measured;
	struct tally { int n, champion, challenger, both; } recent, kept;
	struct hn_train_result result;
	struct trainer_keep *keep;
	int64_t said_us;                 /* last progress message                                 */
	float *tuned;                    /* (net.n_weights,) trained for int8                     */
	size_t fit_mark;                 /* of the arena, before the fit                          */
	uint32_t tuned_epochs;           /* trained for int8                                      */
	const struct hn_calib *given;    /* grids of an imported file, or NULL                    */
	bool imported;
	struct hn_model champion;        /* what an update begins with                            */
	const char *not_updated;         /* why it was a full one after all, or NULL              */
	float *grid, *lean;              /* (net.n_weights,) sparse: int8 steps; weights that fit */
	struct hn_sparse_result search;
	bool fitted;                     /* the fit was found in a checkpoint of the next phase   */
	int wire_bytes;                  /* sparse: of the delta                                  */
	uint32_t search_runs;
	int64_t measure_until_us;        /* dry run: when to stop measuring                       */
	uint64_t measured_steps;
	struct hn_choice choice;
	struct hn_hurts hurts;
};

static inline size_t values_of(const struct fit *f)
{
	return (size_t)f->job->window * f->d->ch;
}

/* f->n of the windows' parts, and the span of their times. */
void trainer_count(struct fit *f);

/* An image that runs as on a device. */
struct runner { struct hd_net net; int8_t *in; uint8_t *arena; int8_t out[HN_NET_OUT_MAX]; };
hn_status trainer_runner_open(struct runner *r, const struct fit *f, const uint8_t *image,
                              size_t len);
void trainer_runner_close(struct runner *r);
void trainer_runner_run(struct runner *r, const struct fit *f, const struct hn_window *w);

/* Does the gate see this window? */
static inline bool trainer_judges(const struct fit *f, const struct hn_window *w)
{
	return w->part == HN_HOLDOUT || (w->recent && f->job->holdout_recent == 0);
}

/* Champion and challenger over the held-back windows, both as int8 images, exactly as a device
 * runs them; then the challenger in float32.  By classes, or by errors: that finds the limit of
 * the challenger's image, too. */
hn_status trainer_compare(struct fit *f, const struct trainer_champion *champion);
hn_status trainer_compare_errors(struct fit *f, const struct trainer_champion *champion);

/* The image in f->image.  Trains on for int8 when the job says
 * so: then f->result.weights are those. */
hn_status trainer_int8(struct fit *f, const struct hn_data *data, struct hn_err *err);

/* The version in f->blob. */
hn_status trainer_version(struct fit *f, struct hn_err *err);

/* Bytes of the fit and of what comes after it, when the fit takes *bytes. */
hn_status trainer_int8_need(struct fit *f, const struct hn_data *data, size_t *bytes,
                            struct hn_err *err);

/* The fit's hooks, with f as their context; `found`: the phase goes on from the checkpoint. */
struct hn_train_job trainer_hooks(struct fit *f, bool found);

/* What the checkpoint of the phase that trains for int8 holds besides its fit; is it there? */
bool trainer_int8_found(struct fit *f);

/* The checkpoint cannot be used. */
void trainer_refuse(const char *why);

/* The job's update kind into f->cfg, or why it is a full one into f->not_updated. */
void trainer_update(struct fit *f, const struct trainer_champion *champion);

/* The version whose int8 grid stays, or NULL. */
const struct hn_model *trainer_frozen(const struct fit *f);

/* The fit of a sparse update: the delta stays within the job's wire_max. */
hn_status trainer_sparse(struct fit *f, const struct hn_train_job *job, struct hn_err *err);

json_t *trainer_int8_json(const struct fit *f);          /* for the report */

void trainer_report(const struct fit *f, double seconds);
#endif
