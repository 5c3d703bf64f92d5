/* deploy_row.h - the rollout's rows in the database; private to daemon/deploy. */
#ifndef DEPLOY_ROW_H
#define DEPLOY_ROW_H

#include <jansson.h>
#include "conf.h"
#include "db.h"

enum rollout_state {
	ROLLOUT_RUNNING, ROLLOUT_DONE, ROLLOUT_FAILED, ROLLOUT_SUPERSEDED, ROLLOUT_PAUSED
};
extern const char *const rollout_state_names[];

/* Where one device stands in a rollout. */
enum step_state {
	STEP_WAITING, STEP_SENDING, STEP_TRIAL, STEP_CONFIRMING, STEP_CONFIRMED, STEP_FAILED
};
extern const char *const step_state_names[];

struct rollout {
	int64_t id, version, created_us, ended_us;
	int model, number;
	enum rollout_state state;
	bool told;                       /* its end was reported                                  */
	char reason[192];
};

struct step {
	int64_t rollout, started_us, ended_us, due_us /* not before */, bytes;
	enum step_state state;
	uint32_t package_version;
	int attempts;
	char error[160];
};

/* `then(ctx)` runs on the loop thread when the row is durable; NULL = nothing follows. */
hn_status rollout_save(struct db *db, const struct rollout *r, const char *model);
hn_status step_save(struct db *db, const struct step *s, const char *device,
                    void (*then)(void *ctx, hn_status rc), void *ctx);
hn_status device_save(struct db *db, const char *name, const char *uid, const char *state,
                      int64_t seen_us);

/* The newest rollout of a model into *r (HN_ENOENT: none), the step of a device in it into *s. */
hn_status rollout_load(sqlite3 *db, const char *model, struct rollout *r);
hn_status step_load(sqlite3 *db, int64_t rollout, const char *device, struct step *s);
/* Rows { rollout, version number, state, attempts, error, started, ended } of a device as a list,
 * newest first, at most `max`. */
json_t *history_load(sqlite3 *db, const char *device, int max);
/* Highest rollout id ever used. */
int64_t rollout_last(sqlite3 *db);
#endif
