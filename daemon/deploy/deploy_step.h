/* deploy_step.h - private to daemon/deploy: one device's way through a rollout. */
#ifndef DEPLOY_STEP_H
#define DEPLOY_STEP_H

#include "deploy.h"
#include "deploy_row.h"
#include "deploy_package.h"
#include "metrics.h"

struct deploy_device {
	struct deploy *owner;
	const struct conf_device *conf;
	int  index, source, model;       /* indices of the configuration                         */
	uint8_t uid[HD_UID_LEN];
	struct hn_peer peer;
	struct step step;                /* step.rollout == 0: none                               */
	bool saving;                     /* a step row is on its way; wait for it                 */
	bool unsaved;                    /* the queue refused it: try again                       */
	bool wrong_uid, trial_seen;
	struct package package;          /* while one is being sent                               */
	uint32_t due, missed;            /* last reported                                         */
	uint32_t trial_due, trial_missed;/* when the trial began                                  */
	uint8_t  trouble;                /* error of the last message                             */
	int64_t  seen_us;
	double   swap_s;                 /* of the last completed swap ...                        */
	int64_t  swap_rollout;           /* ... in this rollout                                   */
	int64_t  began_us;               /* the present attempt                                   */
	int64_t  erasing_us;             /* since when it says that it erases; 0: it does not     */
	bool     erase_told;             /* that it finds no time for it                          */
	int64_t  asleep_us;              /* since when it does not answer; 0: it does             */
	double   due_per_s;              /* inferences a second, 0 = not known; measured since:   */
	int64_t  rate_us;
	uint32_t rate_due;
	bool     mode_wanted;            /* the telemetry mode is to be told                       */
	uint16_t pull;                   /* windows to be asked for, 0 = none                      */
	int64_t  ordered_us;             /* when one of the two was said                          */
	struct metric *m_bytes, *m_ok, *m_failed;
	uint64_t bytes_counted;
};

struct deploy {
	uv_loop_t *loop;
	struct db *db;
	const char *db_path;
	const struct conf *conf;
	struct journal *journal;
	struct deploy_hooks hooks;
	uv_timer_t timer;
	uint8_t master[HD_KEY_LEN];
	struct signer signer;            /* of the devices that are `signed`                      */
	int64_t next_rollout;
	struct rollout target[CONF_MODELS_MAX];  /* the newest of each model; id 0 = none         */
	struct deploy_device *dev;               /* (conf->n_devices,)                             */
	bool closing;
};

/* Move devices of the rollout of `model` forward: who may start, is the rollout over? */
void rollout_step(struct deploy *d, int model);

/* React to what the peer of one device reports. */
void step_event(struct deploy_device *v, enum hn_peer_event e);

/* Begin an attempt. */
void step_start(struct deploy_device *v, const struct rollout *r);

/* Write the step; what follows from it comes when it is durable. */
void step_keep(struct deploy_device *v);

/* Write a step again that could not be written. */
void step_retry(struct deploy_device *v);

/* Does a device that shall make room find no time for it between two inferences?  Said once. */
void step_erase(struct deploy_device *v, int64_t now_us);

/* Look at a trial: enough clean inferences? */
void step_trial(struct deploy_device *v);

/* Telemetry: the device is known; it answered this command; time passes. */
void telemetry_known(struct deploy_device *v);
void telemetry_answered(struct deploy_device *v, uint8_t re);
void telemetry_tick(struct deploy_device *v, int64_t now_us);

/* Words for the error of a STATUS. */
const char *device_error_text(uint8_t code);
#endif
