/* registry.h - the store of versions: immutable, content-addressed, with lineage.
 *
 * One champion a model.  Metadata of all versions is in memory; the blobs of champions too, others
 * are read on demand.  Loop thread only; every change is durable before its `done` is called. */
#ifndef REGISTRY_H
#define REGISTRY_H

#include <jansson.h>
#include "conf.h"
#include "db.h"
#include "journal.h"

enum { REGISTRY_VERSIONS_MAX = 1024 };   /* kept in memory; older ones stay in the database    */

enum version_state { VERSION_CANDIDATE, VERSION_REJECTED, VERSION_CHAMPION, VERSION_RETIRED };

struct version {
	int64_t id, parent, job, created_us;
	int     model, number;           /* number counts from 1 in each model                   */
	enum version_state state;
	char    digest[65];              /* SHA-256 of the blob, hex                             */
	char    who[HN_NAME_MAX], why[192];
	json_t *metrics;                 /* the report of its job                                */
	unsigned char *blob;             /* (len,) or NULL when not in memory                    */
	size_t  len;
};

struct registry;

/* `done` of the verbs below: id of the version, or a negative status in `rc`. */
typedef void (*registry_done)(void *ctx, hn_status rc, int64_t version);

hn_status registry_open(struct registry **out, struct db *db, const char *db_path,
                        const struct conf *conf, struct journal *journal, struct hn_err *err);
void registry_close(struct registry *r);

struct registry_new {
	int model;
	int64_t parent, job;
	const char *who, *why;
	const unsigned char *blob;       /* checked (hn_model_read) and copied                   */
	size_t len;
	json_t *metrics;                 /* reference is stolen                                  */
};

/* Add a candidate.  Errors: HN_EFORMAT, HN_EFULL. */
hn_status registry_add(struct registry *r, const struct registry_new *n, registry_done done,
                       void *ctx);

/* Decide about a version; `reason` and `evidence` (stolen, may be NULL) go to the journal.
 * promote: it becomes the champion, the former one is retired.  Errors: HN_ENOENT, HN_EFULL. */
struct registry_decision {
	int64_t version;
	const char *actor, *reason;
	json_t *evidence;
	int64_t job, episode;
};
hn_status registry_promote(struct registry *r, const struct registry_decision *d,
                           registry_done done, void *ctx);
hn_status registry_reject(struct registry *r, const struct registry_decision *d, registry_done done,
                          void *ctx);

/* Champion of a model, or NULL.  Borrowed until the next promote or close. */
const struct version *registry_champion(const struct registry *r, int model);
/* The version a rollback goes to: the parent of the champion's line that last was champion. */
const struct version *registry_previous(const struct registry *r, int model);
const struct version *registry_find(const struct registry *r, int64_t id);
/* By number inside a model / the first with an id above `after`; NULL: none in memory. */
const struct version *registry_number(const struct registry *r, int model, int number);
const struct version *registry_next(const struct registry *r, int64_t after);

/* Bytes of a version; reads the database when they are not in memory.  Borrowed. */
hn_status registry_blob(struct registry *r, int64_t id, const unsigned char **blob, size_t *len);

/* One model: its settings, its champion, and all versions if asked for (newest first). */
json_t *registry_json(const struct registry *r, int model, bool with_versions);
#endif
