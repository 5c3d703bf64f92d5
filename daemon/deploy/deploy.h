/* deploy.h - devices and rollouts: canary, then the rest; resumes after a restart of either side.
 *
 * A rollout is a row with one row a device; every step is written before the device is told. */
#ifndef DEPLOY_H
#define DEPLOY_H

#include <jansson.h>
#include <uv.h>
#include "conf.h"
#include "db.h"
#include "hd_msg.h"
#include "hn_account.h"
#include "journal.h"

struct deploy;

struct deploy_prediction {
	uint32_t tick_us, count, model_version;  /* device clock, frame count, version number    */
	uint8_t  class_index, margin;
	uint32_t due, missed;
};

struct deploy_hooks {
	void *ctx;
	/* One message to the device behind a source. */
	hn_status (*send)(void *ctx, int source, uint8_t type, uint16_t session,
	                  const uint8_t *body, size_t len);
	/* Another device than that of the configuration answers at the source. */
	void (*on_stranger)(void *ctx, int source);
	/* What went over the link; NULL = not known.  *byte_uj: what a byte costs, 0 = not known. */
	const struct hn_account *(*account)(void *ctx, int source, double *byte_uj);
	/* The blob of a version (registry); borrowed during the call. */
	hn_status (*blob)(void *ctx, int64_t version, const unsigned char **blob, size_t *len);
	/* The blob of version number `number` of a model, as above; HN_ENOENT: not kept. */
	hn_status (*base)(void *ctx, int model, int number, const unsigned char **blob, size_t *len);
	/* A device reported a prediction of version number `number` of its model. */
	void (*on_prediction)(void *ctx, int device, const struct deploy_prediction *p);
	/* A device sent a SKETCH; borrowed during the call. */
	void (*on_sketch)(void *ctx, int device, const uint8_t *body, size_t len);
	/* A rollout ended: ok = every device runs the version, confirmed. */
	void (*on_rollout)(void *ctx, int model, int64_t rollout, int64_t version, bool ok,
	                   const char *why);
};

hn_status deploy_open(struct deploy **out, uv_loop_t *loop, struct db *db, const char *db_path,
                      const struct conf *conf, struct journal *journal,
                      const struct deploy_hooks *hooks, struct hn_err *err);
/* Shut-down: stop the timer; devices keep what they run. */
void deploy_stop(struct deploy *d);
void deploy_close(struct deploy *d);

/* From the link source. */
void deploy_on_link(struct deploy *d, int source, bool up);
void deploy_on_message(struct deploy *d, int source, const struct hd_frame *f);

/* Bring `version` (its model number is `number`) to all devices of `model`.  A running rollout of
 * the model is superseded.  *rollout gets the id; HN_ENOENT: the model has no devices. */
hn_status deploy_rollout(struct deploy *d, int model, int64_t version, int number,
                         const char *reason, int64_t *rollout);
bool deploy_busy(const struct deploy *d, int model);
/* True when the model has no devices, or its newest rollout is of this version and not failed. */
bool deploy_serves(const struct deploy *d, int model, int64_t version);

enum deploy_verb { DEPLOY_PAUSE, DEPLOY_RESUME, DEPLOY_RETRY /* the devices that failed */ };

/* Errors: HN_ENOENT (no rollout yet), HN_ESTATE; with a sentence. */
hn_status deploy_steer(struct deploy *d, int model, enum deploy_verb verb, const char *actor,
                       struct hn_err *err);

/* What became of each rollout on a device, newest first, at most DEPLOY_HISTORY_MAX.
 * NULL: no such device. */
enum { DEPLOY_HISTORY_MAX = 100 };
json_t *deploy_history_json(const struct deploy *d, const char *device);

/* Ask device (an index of the configuration) for its next `windows` raw, 1..65535; it is repeated
 * until the device has heard it.  Errors: HN_ESTATE, with a sentence. */
hn_status deploy_pull(struct deploy *d, int device, int windows, struct hn_err *err);

json_t *deploy_devices_json(const struct deploy *d);
json_t *deploy_rollouts_json(const struct deploy *d, int model); /* model -1: all              */
#endif
