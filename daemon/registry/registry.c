#include "registry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hd_sha256.h"
#include "log.h"

static const char *const version_state_names[] = {
	"candidate", "rejected", "champion", "retired", NULL };

struct registry {
	struct db *db;
	struct journal *journal;
	const struct conf *conf;
	sqlite3 *reader;
	struct version *v;               /* (n,) in the order of their ids                       */
	int n;
	int64_t next_id;
	int next_number[CONF_MODELS_MAX];
	unsigned char *spare;            /* blob of the last non-champion that was asked for     */
};

/* --- writing ---------------------------------------------------------------------------------- */

struct change {                  /* one durable change of the registry                         */
	struct db_op op;
	struct registry *r;
	registry_done done;
	void *ctx;
	struct version v;                /* the new row, or only its id and state                */
	char *metrics;
	char model[HN_NAME_MAX];
	int64_t retire;                  /* former champion, 0 = none                            */
	bool insert;
};

static hn_status insert_row(struct change *c, struct db *db)
{
	sqlite3_stmt *s = db_stmt(db, "INSERT INTO version(id, model, number, digest, state, parent, job, "
		"created, blob, metrics, who, why) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)");

	if (!s)
		return HN_EIO;
	sqlite3_bind_int64(s, 1, c->v.id);
	sqlite3_bind_text(s, 2, c->model, -1, SQLITE_STATIC);
	sqlite3_bind_int(s, 3, c->v.number);
	sqlite3_bind_text(s, 4, c->v.digest, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 5, version_state_names[c->v.state], -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 6, c->v.parent);
	sqlite3_bind_int64(s, 7, c->v.job);
	sqlite3_bind_int64(s, 8, c->v.created_us);
	sqlite3_bind_blob64(s, 9, c->v.blob, c->v.len, SQLITE_STATIC);
	sqlite3_bind_text(s, 10, c->metrics, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 11, c->v.who, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 12, c->v.why, -1, SQLITE_STATIC);
	return db_step(db, s);
}

/* metrics NULL: as they are. */
static hn_status set_state(struct db *db, int64_t id, enum version_state state, const char *metrics)
{
	sqlite3_stmt *s = db_stmt(db, "UPDATE version SET state = ?, metrics = coalesce(?, metrics) "
	                              "WHERE id = ?");

	if (!s)
		return HN_EIO;
	sqlite3_bind_text(s, 1, version_state_names[state], -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, metrics, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, id);
	return db_step(db, s);
}

static hn_status set_champion(struct db *db, const char *model, int64_t id)
{
	sqlite3_stmt *s = db_stmt(db, "INSERT INTO model(name, champion) VALUES(?1, ?2) "
		"ON CONFLICT(name) DO UPDATE SET champion = ?2");

	if (!s)
		return HN_EIO;
	sqlite3_bind_text(s, 1, model, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, id);
	return db_step(db, s);
}

static hn_status change_run(struct db_op *op, struct db *db)
{
	struct change *c = (struct change *)op;
	hn_status rc = c->insert ? insert_row(c, db) : set_state(db, c->v.id, c->v.state, c->metrics);

	if (rc == HN_OK && c->retire)
		rc = set_state(db, c->retire, VERSION_RETIRED, NULL);
	if (rc == HN_OK && c->v.state == VERSION_CHAMPION)
		rc = set_champion(db, c->model, c->v.id);
	return rc;
}

static struct version *find(struct registry *r, int64_t id)
{
	for (int i = r->n - 1; i >= 0; i--)
		if (r->v[i].id == id)
			return &r->v[i];
	return NULL;
}

static void change_done(struct db_op *op, hn_status rc)
{
	struct change *c = (struct change *)op;
	struct version *v = find(c->r, c->v.id);

	if (rc != HN_OK)
		log_err("event=registry_write_failed version=%lld reason=\"%s\"",
		        (long long)c->v.id, hn_status_text(rc));
	if (c->done)
		c->done(c->ctx, rc, v ? v->id : 0);
	if (c->insert)
		free(c->v.blob);
	free(c->metrics);
	free(c);
}

static hn_status submit(struct registry *r, struct change *c)
{
	hn_status rc;

	c->r = r;
	c->op.run = change_run;
	c->op.done = change_done;
	c->op.urgent = true;
	rc = db_submit(r->db, &c->op);
	if (rc != HN_OK) {
		if (c->insert)
			free(c->v.blob);
		free(c->metrics);
		free(c);
	}
	return rc;
}

/* --- memory ----------------------------------------------------------------------------------- */

static void version_done(struct version *v)
{
	json_decref(v->metrics);
	free(v->blob);
	*v = (struct version){ .model = -1 };
}

/* Room for one more: the oldest that is not a champion makes way (it stays in the database). */
static struct version *version_slot(struct registry *r)
{
	int i = 0;

	if (r->n < REGISTRY_VERSIONS_MAX)
		return &r->v[r->n++];
	while (i < r->n - 1 && r->v[i].state == VERSION_CHAMPION)
		i++;
	version_done(&r->v[i]);
	memmove(&r->v[i], &r->v[i + 1], (size_t)(r->n - 1 - i) * sizeof *r->v);
	return &r->v[r->n - 1];
}

static void digest_hex(const unsigned char *p, size_t n, char out[65])
{
	static const char hex[] = "0123456789abcdef";
	struct hd_sha256 s;
	uint8_t d[32];

	hd_sha256_init(&s);
	hd_sha256_add(&s, p, n);
	hd_sha256_end(&s, d);
	for (int i = 0; i < 32; i++) {
		out[2 * i] = hex[d[i] >> 4];
		out[2 * i + 1] = hex[d[i] & 15];
	}
	out[64] = '\0';
}

static unsigned char *blob_copy(const unsigned char *p, size_t n)
{
	unsigned char *q = n ? malloc(n) : NULL;

	if (q)
		memcpy(q, p, n);
	return q;
}

static void set_text(char *to, size_t cap, const char *from)
{
	(void)snprintf(to, cap, "%s", from ? from : "");         /* cut at the end, by intent */
}

/* --- verbs ------------------------------------------------------------------------------------ */

hn_status registry_add(struct registry *r, const struct registry_new *n, registry_done done,
                       void *ctx)
{
	struct change *c = calloc(1, sizeof *c);
	struct version *v;
	struct hn_model model;
	hn_status rc = c ? hn_model_read(&model, n->blob, n->len, NULL) : HN_ENOMEM;

	if (rc != HN_OK) {
		free(c);
		json_decref(n->metrics);
		return rc;
	}
	c->v = (struct version){ .id = r->next_id, .parent = n->parent, .job = n->job,
		.created_us = clock_now_us(), .model = n->model, .state = VERSION_CANDIDATE,
		.number = r->next_number[n->model], .len = n->len };
	digest_hex(n->blob, n->len, c->v.digest);
	set_text(c->v.who, sizeof c->v.who, n->who);
	set_text(c->v.why, sizeof c->v.why, n->why);
	set_text(c->model, sizeof c->model, r->conf->models[n->model].name);
	c->metrics = json_dumps(n->metrics, JSON_COMPACT);
	c->v.blob = blob_copy(n->blob, n->len);
	c->insert = true;
	c->done = done;
	c->ctx = ctx;
	if (!c->v.blob) {
		free(c->metrics);
		free(c);
		json_decref(n->metrics);
		return HN_ENOMEM;
	}
	v = version_slot(r);
	*v = c->v;
	v->metrics = n->metrics;
	v->blob = blob_copy(n->blob, n->len);
	r->next_id++;
	r->next_number[n->model]++;
	rc = submit(r, c);
	if (rc != HN_OK) {
		version_done(v);
		r->n--;
	}
	return rc;
}

static hn_status decide(struct registry *r, const struct registry_decision *d,
                        enum version_state state, registry_done done, void *ctx)
{
	struct version *v = find(r, d->version);
	const struct version *old = v ? registry_champion(r, v->model) : NULL;
	struct change *c = v ? calloc(1, sizeof *c) : NULL;

	if (!c) {
		json_decref(d->evidence);
		return v ? HN_ENOMEM : HN_ENOENT;
	}
	c->v.id = v->id;
	c->v.state = state;
	c->metrics = json_dumps(v->metrics, JSON_COMPACT);       /* with what the gate found */
	c->done = done;
	c->ctx = ctx;
	set_text(c->model, sizeof c->model, r->conf->models[v->model].name);
	if (state == VERSION_CHAMPION && old && old != v) {
		c->retire = old->id;
		find(r, old->id)->state = VERSION_RETIRED;
	}
	v->state = state;
	(void)journal_add(r->journal, (struct journal_entry){
		.kind = state == VERSION_CHAMPION ? "promoted" : "rejected", .model = c->model,
		.version = v->id, .job = d->job ? d->job : v->job, .episode = d->episode,
		.actor = d->actor, .reason = d->reason, .evidence = d->evidence });
	return submit(r, c);
}

hn_status registry_promote(struct registry *r, const struct registry_decision *d,
                           registry_done done, void *ctx)
{
	return decide(r, d, VERSION_CHAMPION, done, ctx);
}

hn_status registry_reject(struct registry *r, const struct registry_decision *d, registry_done done,
                          void *ctx)
{
	return decide(r, d, VERSION_REJECTED, done, ctx);
}

/* --- queries ---------------------------------------------------------------------------------- */

const struct version *registry_champion(const struct registry *r, int model)
{
	for (int i = r->n - 1; i >= 0; i--)
		if (r->v[i].model == model && r->v[i].state == VERSION_CHAMPION)
			return &r->v[i];
	return NULL;
}

const struct version *registry_find(const struct registry *r, int64_t id)
{
	for (int i = r->n - 1; i >= 0; i--)
		if (r->v[i].id == id)
			return &r->v[i];
	return NULL;
}

const struct version *registry_number(const struct registry *r, int model, int number)
{
	for (int i = r->n - 1; i >= 0; i--)
		if (r->v[i].model == model && r->v[i].number == number)
			return &r->v[i];
	return NULL;
}

const struct version *registry_next(const struct registry *r, int64_t after)
{
	for (int i = 0; i < r->n; i++)
		if (r->v[i].id > after)
			return &r->v[i];
	return NULL;
}

const struct version *registry_previous(const struct registry *r, int model)
{
	const struct version *now = registry_champion(r, model), *v;

	for (v = now ? registry_find(r, now->parent) : NULL; v; v = registry_find(r, v->parent))
		if (v->state == VERSION_RETIRED)
			return v;
	return NULL;
}

static hn_status blob_load(sqlite3 *db, int64_t id, unsigned char **blob, size_t *len)
{
	sqlite3_stmt *s = NULL;
	hn_status rc = HN_ENOENT;

	if (sqlite3_prepare_v2(db, "SELECT blob FROM version WHERE id = ?", -1, &s, NULL) != SQLITE_OK)
		return HN_EIO;
	sqlite3_bind_int64(s, 1, id);
	if (sqlite3_step(s) == SQLITE_ROW) {
		const int n = sqlite3_column_bytes(s, 0);

		*blob = blob_copy(sqlite3_column_blob(s, 0), (size_t)n);
		*len = (size_t)n;
		rc = *blob ? HN_OK : HN_ENOMEM;
	}
	sqlite3_finalize(s);
	return rc;
}

hn_status registry_blob(struct registry *r, int64_t id, const unsigned char **blob, size_t *len)
{
	struct version *v = find(r, id);
	unsigned char *p = NULL;
	hn_status rc;

	if (v && v->blob) {
		*blob = v->blob;
		*len = v->len;
		return HN_OK;
	}
	rc = blob_load(r->reader, id, &p, len);
	if (rc != HN_OK)
		return rc;
	if (v && v->state == VERSION_CHAMPION) {
		v->blob = p;
		v->len = *len;
	} else {
		free(r->spare);
		r->spare = p;
	}
	*blob = p;
	return HN_OK;
}

static json_t *version_json(const struct version *v)
{
	char t[40];

	clock_format(v->created_us, t, sizeof t);
	return json_pack("{sI si ss ss sI sI ss ss ss sI sO*}", "id", (json_int_t)v->id,
		"number", v->number, "state", version_state_names[v->state], "digest", v->digest,
		"parent", (json_int_t)v->parent, "job", (json_int_t)v->job, "created", t,
		"who", v->who, "why", v->why, "bytes", (json_int_t)v->len, "report", v->metrics);
}

json_t *registry_json(const struct registry *r, int model, bool with_versions)
{
	const struct conf_model *m = &r->conf->models[model];
	const struct version *c = registry_champion(r, model);
	json_t *list, *o = json_pack("{ss ss ss si si so}", "name", m->name, "stream",
		m->n_streams ? m->streams[0] : "", "network", m->network, "window", m->window, "hop", m->hop,
		"champion", c ? version_json(c) : json_null());

	if (!o || !with_versions)
		return o;
	list = json_array();
	for (int i = r->n - 1; i >= 0; i--)
		if (r->v[i].model == model)
			json_array_append_new(list, version_json(&r->v[i]));
	json_object_set_new(o, "versions", list);
	return o;
}

/* --- life ------------------------------------------------------------------------------------- */

static enum version_state state_of(const char *name)
{
	for (int i = 0; name && version_state_names[i]; i++)
		if (strcmp(name, version_state_names[i]) == 0)
			return (enum version_state)i;
	return VERSION_REJECTED;         /* a word we never wrote: do not use the version */
}

static const char *column_text(sqlite3_stmt *s, int i)
{
	const unsigned char *t = sqlite3_column_text(s, i);

	return t ? (const char *)t : "";
}

static void load_row(struct registry *r, sqlite3_stmt *s)
{
	const int64_t id = sqlite3_column_int64(s, 0);
	const int model = conf_model_find(r->conf, column_text(s, 1));
	struct version *v;

	if (id >= r->next_id)
		r->next_id = id + 1;
	if (model < 0)
		return;                  /* a model that is no longer configured: kept on disk only */
	v = version_slot(r);
	*v = (struct version){ .id = id, .model = model, .number = sqlite3_column_int(s, 2),
		.state = state_of(column_text(s, 4)), .parent = sqlite3_column_int64(s, 5),
		.job = sqlite3_column_int64(s, 6), .created_us = sqlite3_column_int64(s, 7),
		.len = (size_t)sqlite3_column_int64(s, 11) };
	set_text(v->digest, sizeof v->digest, column_text(s, 3));
	v->metrics = json_loads(column_text(s, 8), 0, NULL);
	set_text(v->who, sizeof v->who, column_text(s, 9));
	set_text(v->why, sizeof v->why, column_text(s, 10));
	if (v->number >= r->next_number[model])
		r->next_number[model] = v->number + 1;
}

static hn_status load(struct registry *r, struct hn_err *err)
{
	static const char sql[] = "SELECT id, model, number, digest, state, parent, job, created, "
		"metrics, who, why, length(blob) FROM version ORDER BY id";
	sqlite3_stmt *s = NULL;
	int rc;

	if (sqlite3_prepare_v2(r->reader, sql, -1, &s, NULL) != SQLITE_OK)
		return hn_fail(err, HN_EIO, "versions: %s", sqlite3_errmsg(r->reader));
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		load_row(r, s);
	sqlite3_finalize(s);
	return rc == SQLITE_DONE ? HN_OK : hn_fail(err, HN_EIO, "versions: %s", sqlite3_errmsg(r->reader));
}

hn_status registry_open(struct registry **out, struct db *db, const char *db_path,
                        const struct conf *conf, struct journal *journal, struct hn_err *err)
{
	struct registry *r = calloc(1, sizeof *r);
	hn_status rc;

	if (r)
		r->v = calloc(REGISTRY_VERSIONS_MAX, sizeof *r->v);
	if (!r || !r->v) {
		free(r);
		return hn_fail(err, HN_ENOMEM, "registry: out of memory");
	}
	r->db = db;
	r->conf = conf;
	r->journal = journal;
	r->next_id = 1;
	for (int i = 0; i < CONF_MODELS_MAX; i++)
		r->next_number[i] = 1;
	rc = db_reader(db_path, &r->reader, err);
	if (rc == HN_OK)
		rc = load(r, err);
	if (rc != HN_OK) {
		registry_close(r);
		return rc;
	}
	*out = r;
	return HN_OK;
}

void registry_close(struct registry *r)
{
	if (!r)
		return;
	for (int i = 0; i < r->n; i++)
		version_done(&r->v[i]);
	sqlite3_close(r->reader);
	free(r->spare);
	free(r->v);
	free(r);
}
