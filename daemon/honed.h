/* honed.h - the daemon as a whole: all modules, and the glue between them.
 *
 * The files of daemon/ itself are the composition root: the only place that knows every module.
 *   main.c     options, the list of inits and the mirrored list of exits, signals
 *   intake.c   frame -> quality -> store, predictor, monitor;  labels
 *   anomaly.c  answers of models that tell the normal from the rest -> journal
 *   telemetry.c  sketches of devices -> monitor; raw windows on demand
 *   cycle*.c   episode -> policy -> job -> gate -> registry -> rollout -> probation
 *   answers.c  what the REST interface says and does */
#ifndef HONED_H
#define HONED_H

#include "api.h"
#include "conf.h"
#include "db.h"
#include "deploy.h"
#include "hd_image.h"
#include "hn_ask.h"
#include "hn_policy.h"
#include "hn_probation.h"
#include "hn_quality.h"
#include "hn_task.h"
#include "journal.h"
#include "monitor.h"
#include "registry.h"
#include "source.h"
#include "store.h"
#include "supervise.h"

/* Runs the champion in the gateway over one stream (`predict: true`). */
struct predictor {
	int32_t *raw;                    /* (window, channels) ring of the last frames            */
	uint32_t n, hop;                 /* frames since the last break; frames since a prediction */
	uint32_t head;
};

/* One model's way around the loop. */
struct cycle {
	struct hn_policy policy;         /* with `probation` and the counts below: saved as one   */
	struct hn_probation probation;
	struct hn_ask ask;               /* policy.ask: stream                                    */
	bool on_probation;
	int64_t episode;                 /* open one, 0 = none                                    */
	int32_t judged, right;           /* labelled predictions of the champion in this regime   */
	int32_t labels;                  /* usable labels since the champion was made             */
	int32_t asked, answered;         /* since the start of the daemon                         */
	int32_t frames;                  /* good ones since the last new window: no labels        */
	int64_t now_us;                  /* event clock: newest frame of its streams              */
	bool dirty;                      /* to be saved by the next tick                          */
	bool deciding;                   /* between a job's result and its durable outcome        */
};

struct telemetry;

struct honed {
	uv_loop_t *loop;
	struct conf *conf;
	char *conf_path;
	char *db_path;
	struct db *db;
	struct journal *journal;
	struct store *store;
	struct registry *registry;
	struct monitor *monitor;
	struct supervise *supervise;
	struct deploy *deploy;
	struct sources *sources;
	struct api *api;
	struct cycle cycle[CONF_MODELS_MAX];
	struct hn_quality_state *quality;        /* (n_streams,)                                 */
	struct predictor *predictor;             /* (n_models, n_streams)                        */
	unsigned char *image[CONF_MODELS_MAX];   /* champion's image, aligned copy, or NULL      */
	struct hd_net net[CONF_MODELS_MAX];
	float out_scale[CONF_MODELS_MAX];        /* real value of one step of its outputs         */
	uint8_t *arena;                          /* activations of the largest champion          */
	size_t arena_len;
	struct anomaly *anomaly;                 /* (n_models, n_streams)                        */
	struct telemetry *telemetry;             /* (n_devices,)                                 */
	struct store_prediction predicted;       /* last one made here; margin -1 = none         */
	int pending_labels;                      /* handed to the store, not durable yet ...     */
	int pending_answers;                     /* ... of them, answers to our questions        */
	bool damaged, stopping, held;
	int64_t started_us;
};

/* --- intake.c -------------------------------------------------------------------------------- */
hn_status intake_open(struct honed *h, struct hn_err *err);
void intake_close(struct honed *h);
hn_status intake_frame(void *ctx, const struct hn_frame *f);             /* source hook          */
void intake_truth(void *ctx, int stream, int64_t t0_us, int64_t t1_us, double value);
void intake_prediction(void *ctx, int device, const struct deploy_prediction *p);
void intake_label(void *ctx, const struct store_label *l);               /* store hook: durable  */
hn_status intake_give_label(struct honed *h, const struct store_label *l);
/* The champion of `model` changed: open its image for the predictor. */
void intake_champion(struct honed *h, int model);
bool intake_uses(const struct honed *h, int model, int stream);

/* --- anomaly.c -------------------------------------------------------------------------------- */
hn_status anomaly_open(struct honed *h, struct hn_err *err);
void anomaly_close(struct honed *h);
/* The champion's answer to a window: journal entries where an anomaly begins and where it ends. */
void anomaly_answer(struct honed *h, const struct store_prediction *p);
json_t *anomaly_json(const struct honed *h, int model);  /* NULL: its task has none             */

/* --- telemetry.c ----------------------------------------------------------------------------- */
hn_status telemetry_open(struct honed *h, struct hn_err *err);
void telemetry_close(struct honed *h);
void telemetry_sketch(void *ctx, int device, const uint8_t *body, size_t len);   /* deploy hook  */
/* The monitor alarms: ask the devices of the model's sketched streams for raw windows. */
void telemetry_alarm(struct honed *h, int model);
hn_status telemetry_pull(struct honed *h, int device, int windows, const char *actor,
                         struct hn_err *err);
void telemetry_json(const struct honed *h, int device, json_t *out);     /* adds its own object  */

/* --- cycle*.c -------------------------------------------------------------------------------- */
hn_status cycle_open(struct honed *h, struct hn_err *err);
/* Put right what a crash cut off: gate open candidates, roll out the champion, free the policy. */
void cycle_resume(struct honed *h);
void cycle_event(struct honed *h, int model, enum hn_policy_kind kind, int n);
/* A prediction of the champion: is its window worth a label? */
void cycle_prediction(struct honed *h, const struct store_prediction *p);
void cycle_label(struct honed *h, int model, int judged, int right);
/* For a task without labels: a frame came that windows are made of; the champion answered. */
void cycle_frame(struct honed *h, int model);
void cycle_answer(struct honed *h, int model, bool normal);
void cycle_tick(struct honed *h);
void cycle_on_episode(void *ctx, const struct monitor_episode *e);       /* monitor hook         */
void cycle_on_result(void *ctx, const struct job_result *r);             /* supervise hook       */
void cycle_on_rollout(void *ctx, int model, int64_t rollout, int64_t version, bool ok,
                      const char *why);
hn_status cycle_retrain(struct honed *h, int model, const char *actor, const char *reason,
                        bool dry_run, int64_t *job);
/* A job that takes a net from a file; the first version of a model needs no gate. */
hn_status cycle_import(struct honed *h, int model, const struct api_net_file *file, int64_t *job);
hn_status cycle_roll_back(struct honed *h, int model, const char *actor, const char *reason,
                          int64_t *version);
/* Replays that wait for the loop are held while a job, a label or a decision is on its way. */
void cycle_hold(struct honed *h);

/* --- answers.c ------------------------------------------------------------------------------- */
struct api_ops answers_ops(struct honed *h);
#endif
