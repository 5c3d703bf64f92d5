#include "deploy.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "deploy_step.h"
#include "log.h"

enum { TICK_MS = 10, TICK_IDLE_MS = 100 };

/* --- peers ------------------------------------------------------------------------------------ */

static bool peer_send(void *ctx, uint8_t type, uint16_t session, const uint8_t *body, size_t len)
{
	struct deploy_device *v = ctx;
	struct deploy *d = v->owner;

	return d->hooks.send(d->hooks.ctx, v->source, type, session, body, len) == HN_OK;
}

static struct deploy_device *by_source(struct deploy *d, int source)
{
	for (int i = 0; i < d->conf->n_devices; i++)
		if (d->dev[i].source == source)
			return &d->dev[i];
	return NULL;
}

void deploy_on_link(struct deploy *d, int source, bool up)
{
	struct deploy_device *v = by_source(d, source);

	if (!v)
		return;
	log_info("event=link device=%s state=%s", v->conf->name, up ? "up" : "down");
	if (up)
		hn_peer_up(&v->peer, (uint16_t)(1 + randombytes_uniform(0xffff)), randombytes_random(),
		           clock_mono_us());
	else
		hn_peer_down(&v->peer);
}

/* Inferences a second, over at least one second: for the forecast of a rollout. */
static void measure_rate(struct deploy_device *v, uint32_t due)
{
	const int64_t now = clock_mono_us(), dt = now - v->rate_us;

	if (v->rate_us != 0 && due >= v->rate_due && dt < 1000000)
		return;
	if (v->rate_us != 0 && due >= v->rate_due)
		v->due_per_s = (double)(due - v->rate_due) * 1e6 / (double)dt;
	v->rate_us = now;
	v->rate_due = due;
}

/* What the device has counted since it booted.  Fewer: it booted, a trial begins anew. */
static void count(struct deploy_device *v, uint32_t due, uint32_t missed)
{
	measure_rate(v, due);
	if (due < v->due)
		v->trial_seen = false;
	v->due = due;
	v->missed = missed;
}

static void on_prediction(struct deploy_device *v, const uint8_t *b, size_t len)
{
	struct deploy_prediction p;
	const struct deploy *d = v->owner;

	if (len != 22)
		return;
	p = (struct deploy_prediction){ .tick_us = hd_get32(b), .count = hd_get32(b + 4),
		.model_version = hd_get32(b + 8), .class_index = b[12], .margin = b[13],
		.due = hd_get32(b + 14), .missed = hd_get32(b + 18) };
	count(v, p.due, p.missed);
	d->hooks.on_prediction(d->hooks.ctx, v->index, &p);
	step_trial(v);
}

/* What it says by itself: its flash failed, or a trial ended. */
static void on_trouble(struct deploy_device *v, const struct hd_report *r)
{
	const bool news = r->re == 0 && r->error != v->trouble;

	v->trouble = r->error;
	if (!news || (r->error != HD_EFLASH && r->error != HD_ETRIAL))
		return;
	(void)journal_add(v->owner->journal, (struct journal_entry){ .kind = "device_event",
		.device = v->conf->name, .reason = "reported by the device",
		.evidence = json_pack("{ss sI}", "error", device_error_text(r->error), "active_version",
		                      (json_int_t)r->active_version) });
}

static void on_report(struct deploy_device *v, const struct hd_frame *f)
{
	enum hn_peer_event e;

	if (f->type == HD_HELLO && f->session != v->peer.session)
		count(v, 0, 0);          /* it booted */
	e = hn_peer_message(&v->peer, f, clock_mono_us());
	if (f->type == HD_STATUS && v->peer.has_hello) {
		count(v, v->peer.report.due, v->peer.report.missed);
		telemetry_answered(v, v->peer.report.re);
		on_trouble(v, &v->peer.report);
	}
	if (e == HN_PEER_KNOWN) {
		on_trouble(v, &v->peer.hello.report);
		telemetry_known(v);
	}
	step_event(v, e);
	step_trial(v);
}

void deploy_on_message(struct deploy *d, int source, const struct hd_frame *f)
{
	struct deploy_device *v = by_source(d, source);

	if (!v)
		return;
	v->seen_us = clock_now_us();
	switch (f->type) {
	case HD_PREDICTION:
		on_prediction(v, f->body, f->len);
		break;
	case HD_SKETCH:
		d->hooks.on_sketch(d->hooks.ctx, v->index, f->body, f->len);
		break;
	default:
		on_report(v, f);
	}
}

static void on_tick(uv_timer_t *t)
{
	struct deploy *d = t->data;
	const int64_t now = clock_mono_us();
	bool busy = false;

	for (int i = 0; i < d->conf->n_devices; i++) {
		struct deploy_device *v = &d->dev[i];

		step_retry(v);
		step_event(v, hn_peer_tick(&v->peer, now));
		step_erase(v, now);
		telemetry_tick(v, now);
		busy |= v->peer.has_package;
	}
	for (int m = 0; m < d->conf->n_models; m++)
		rollout_step(d, m);
	(void)uv_timer_start(t, on_tick, busy ? TICK_MS : TICK_IDLE_MS, 0);
}

/* --- verbs ------------------------------------------------------------------------------------ */

bool deploy_busy(const struct deploy *d, int model)
{
	const struct rollout *r = &d->target[model];

	return r->id != 0 && (r->state == ROLLOUT_RUNNING || r->state == ROLLOUT_PAUSED);
}

static int count_devices(const struct deploy *d, int model)
{
	int n = 0;

	for (int i = 0; i < d->conf->n_devices; i++)
		n += d->dev[i].model == model;
	return n;
}

bool deploy_serves(const struct deploy *d, int model, int64_t version)
{
	const struct rollout *r = &d->target[model];

	if (count_devices(d, model) == 0)
		return true;
	return r->id != 0 && r->version == version &&
	       (deploy_busy(d, model) || r->state == ROLLOUT_DONE);
}

static void supersede(struct deploy *d, int model)
{
	struct rollout *old = &d->target[model];

	if (!deploy_busy(d, model))
		return;
	old->state = ROLLOUT_SUPERSEDED;
	old->ended_us = clock_now_us();
	(void)rollout_save(d->db, old, d->conf->models[model].name);     /* logged there */
}

hn_status deploy_rollout(struct deploy *d, int model, int64_t version, int number,
                         const char *reason, int64_t *rollout)
{
	struct rollout *r = &d->target[model];

	if (count_devices(d, model) == 0)
		return HN_ENOENT;
	supersede(d, model);
	*r = (struct rollout){ .id = d->next_rollout++, .version = version, .number = number,
		.model = model, .created_us = clock_now_us() };
	(void)snprintf(r->reason, sizeof r->reason, "%s", reason);
	(void)rollout_save(d->db, r, d->conf->models[model].name);       /* logged there */
	(void)journal_add(d->journal, (struct journal_entry){ .kind = "rollout_started",
		.model = d->conf->models[model].name, .rollout = r->id, .version = version, .reason = reason });
	for (int i = 0; i < d->conf->n_devices; i++) {
		struct deploy_device *v = &d->dev[i];

		if (v->model != model)
			continue;
		hn_peer_drop(&v->peer);
		package_free(&v->package);
		v->step = (struct step){ .rollout = r->id };
	}
	*rollout = r->id;
	rollout_step(d, model);
	return HN_OK;
}

/* --- queries ---------------------------------------------------------------------------------- */

static void hex(const uint8_t *p, size_t n, char *out)
{
	(void)sodium_bin2hex(out, 2 * n + 1, p, n);
}

static const char *const phase_names[] = { "down", "hello", "ready", "begin", "send", "activate",
                                           "trial", "confirm", "revert", "clear" };

/* Bytes and frames by kind, each way; energy when a byte's is known. */
static json_t *traffic_json(const struct hn_account *a, double byte_uj)
{
	json_t *o = json_object();

	for (int way = 0; way < HN_WAYS; way++) {
		json_t *kinds = json_object();

		for (int k = 0; k < HN_KINDS; k++)
			if (a->frames[way][k])
				(void)json_object_set_new(kinds, hn_kind_names[k], json_pack("{sI sI}", "frames",
					(json_int_t)a->frames[way][k], "bytes", (json_int_t)a->bytes[way][k]));
		(void)json_object_set_new(o, hn_way_names[way], kinds);
	}
	if (byte_uj > 0)
		(void)json_object_set_new(o, "energy_mj", json_real(byte_uj * 1e-3 *
			(double)(hn_account_bytes(a, HN_UP) + hn_account_bytes(a, HN_DOWN))));
	return o;
}

static json_t *device_json(const struct deploy_device *v)
{
	const struct hd_hello *h = &v->peer.hello;
	const struct rollout *r = &v->owner->target[v->model];
	const struct hn_account *account;
	double byte_uj = 0;
	uint32_t active = v->peer.report.active_version;
	char digest[17], seen[40];
	json_t *o;

	hex(h->active_digest, 8, digest);
	clock_format(v->seen_us, seen, sizeof seen);
	o = json_pack("{ss ss ss sb ss sI sI ss sI sI sI sI sI si sf ss*}", "name", v->conf->name,
		"uid", v->conf->uid, "model", v->owner->conf->models[v->model].name,
		"online", (int)(v->peer.has_hello && !v->wrong_uid), "phase", phase_names[v->peer.phase],
		"active_version", (json_int_t)active, "active_model", (json_int_t)v->peer.report.active_model,
		"digest", digest, "floor", (json_int_t)h->report.floor,
		"due", (json_int_t)v->due, "missed", (json_int_t)v->missed,
		"bytes_sent", (json_int_t)v->peer.bytes_sent, "repeats", (json_int_t)v->peer.window.repeats,
		"rtt_ms", (int)(v->peer.window.srtt_us / 1000), "swap_s", v->swap_s,
		"seen", v->seen_us ? seen : NULL);
	if (r->id)
		json_object_set_new(o, "rollout", json_pack("{sI ss sI sI si ss*}", "id", (json_int_t)r->id,
			"state", step_state_names[v->step.state], "sent", (json_int_t)v->peer.window.next,
			"size", (json_int_t)v->peer.package.len, "attempts", v->step.attempts,
			"error", v->step.error[0] ? v->step.error : NULL));
	account = v->owner->hooks.account(v->owner->hooks.ctx, v->source, &byte_uj);
	if (account)
		json_object_set_new(o, "traffic", traffic_json(account, byte_uj));
	if (v->wrong_uid)
		json_object_set_new(o, "error", json_string("another device answers: uid differs"));
	return o;
}

json_t *deploy_devices_json(const struct deploy *d)
{
	json_t *list = json_array();

	for (int i = 0; i < d->conf->n_devices; i++)
		json_array_append_new(list, device_json(&d->dev[i]));
	return list;
}

json_t *deploy_history_json(const struct deploy *d, const char *device)
{
	sqlite3 *reader = NULL;
	json_t *list = NULL;
	bool known = false;

	for (int i = 0; i < d->conf->n_devices; i++)
		known |= strcmp(d->dev[i].conf->name, device) == 0;
	if (known && db_reader(d->db_path, &reader, NULL) == HN_OK)
		list = history_load(reader, device, DEPLOY_HISTORY_MAX);
	sqlite3_close(reader);
	return list;
}

/* --- life ------------------------------------------------------------------------------------- */

/* 32 raw bytes, or 64 hex digits with optional white space at the end. */
static hn_status read_master(struct deploy *d, struct hn_err *err)
{
	const char *path = d->conf->keys.master;
	char b[130];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return hn_fail(err, HN_ENOENT, "keys.master: no file %s; make one with `honectl key new %s`",
		               path, path);
	if (fd < 0)
		return hn_fail(err, HN_ENOENT, "keys.master: %s: %s; the user of honed must be able to read it",
		               path, strerror(errno));
	n = read(fd, b, sizeof b);
	(void)close(fd);         /* read-only: nothing to lose */
	if (n > 0 && hn_key_read(b, (size_t)n, d->master) == HN_OK) {
		sodium_memzero(b, sizeof b);
		return HN_OK;
	}
	return hn_fail(err, HN_EFORMAT,
	               "keys.master: %s: expected 32 bytes or 64 hex digits, got %zd bytes",
	               path, n);
}

static void load_targets(struct deploy *d, sqlite3 *db)
{
	for (int m = 0; m < d->conf->n_models; m++) {
		if (rollout_load(db, d->conf->models[m].name, &d->target[m]) != HN_OK)
			continue;
		d->target[m].model = m;
		d->target[m].told = d->target[m].state == ROLLOUT_DONE;
		/* a rollout that ended "failed" stays ended; one that was running or done is still wanted */
		for (int i = 0; i < d->conf->n_devices; i++) {
			struct deploy_device *v = &d->dev[i];

			if (v->model != m)
				continue;
			v->step.rollout = d->target[m].id;
			if (step_load(db, d->target[m].id, v->conf->name, &v->step) != HN_OK &&
			    d->target[m].state == ROLLOUT_DONE)
				d->target[m].state = ROLLOUT_RUNNING;    /* a new device */
		}
	}
	d->next_rollout = rollout_last(db) + 1;
}

static hn_status init_device(struct deploy *d, int i, struct hn_err *err)
{
	struct deploy_device *v = &d->dev[i];
	const struct conf_device *c = &d->conf->devices[i];
	char labels[96];
	uint8_t key[HD_KEY_LEN];

	v->owner = d;
	v->conf = c;
	v->index = i;
	v->source = conf_source_find(d->conf, c->source);
	v->model = conf_model_find(d->conf, c->model);
	if (strlen(c->uid) != 2 * HD_UID_LEN || hn_hex_read(c->uid, 2 * HD_UID_LEN, v->uid) != HN_OK)
		return hn_fail(err, HN_EFORMAT, "device %s: uid '%s' is not 16 hex digits", c->name, c->uid);
	hn_device_key(d->master, v->uid, key);
	hn_peer_init(&v->peer, v->uid, key);
	v->peer.ctx = v;
	v->peer.keep_us = (int64_t)(c->keep_alive_s * 1e6);
	v->peer.send = peer_send;
	(void)snprintf(labels, sizeof labels, "device=\"%s\"", c->name);
	v->m_bytes = metric_counter("honed_device_bytes_sent_total", labels,
	                            "Package bytes sent to devices.");
	(void)snprintf(labels, sizeof labels, "device=\"%s\",result=\"ok\"", c->name);
	v->m_ok = metric_counter("honed_device_swaps_total", labels, "Swaps of weights, by result.");
	(void)snprintf(labels, sizeof labels, "device=\"%s\",result=\"failed\"", c->name);
	v->m_failed = metric_counter("honed_device_swaps_total", labels, "Swaps of weights, by result.");
	return HN_OK;
}

hn_status deploy_open(struct deploy **out, uv_loop_t *loop, struct db *db, const char *db_path,
                      const struct conf *conf, struct journal *journal,
                      const struct deploy_hooks *hooks, struct hn_err *err)
{
	struct deploy *d = calloc(1, sizeof *d);
	sqlite3 *reader = NULL;
	hn_status rc = HN_OK;

	if (d)
		d->dev = calloc((size_t)conf->n_devices + 1, sizeof *d->dev);
	if (!d || !d->dev || sodium_init() < 0) {
		free(d);
		return hn_fail(err, HN_ENOMEM, "deploy: out of memory");
	}
	d->loop = loop;
	d->db = db;
	d->db_path = db_path;
	d->conf = conf;
	d->journal = journal;
	d->hooks = *hooks;
	if (conf->n_devices > 0)
		rc = read_master(d, err);
	if (rc == HN_OK && conf->keys.sign[0])
		rc = signer_open(&d->signer, conf->keys.sign, conf->keys.sign_id, err);
	for (int i = 0; i < conf->n_devices && rc == HN_OK; i++)
		rc = init_device(d, i, err);
	if (rc == HN_OK)
		rc = db_reader(db_path, &reader, err);
	if (rc == HN_OK)
		load_targets(d, reader);
	sqlite3_close(reader);
	if (rc != HN_OK) {
		deploy_close(d);
		return rc;
	}
	(void)uv_timer_init(loop, &d->timer);
	d->timer.data = d;
	(void)uv_timer_start(&d->timer, on_tick, TICK_MS, 0);
	*out = d;
	return HN_OK;
}

void deploy_stop(struct deploy *d)
{
	d->closing = true;
	uv_close((uv_handle_t *)&d->timer, NULL);
}

void deploy_close(struct deploy *d)
{
	if (!d)
		return;
	for (int i = 0; i < d->conf->n_devices; i++)
		package_free(&d->dev[i].package);
	sodium_memzero(d->master, sizeof d->master);
	sodium_memzero(&d->signer, sizeof d->signer);
	free(d->dev);
	free(d);
}
