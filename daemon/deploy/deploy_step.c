/* One device's way through a rollout: waiting, sending, trial, confirming, confirmed.
 *
 * Each step is durable before the device is told of it, so that a restart finds the place again;
 * the device's own HELLO decides how much of a transfer is left. */
#include "deploy_step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hd_check.h"
#include "log.h"

enum { ERASE_US = 30000000 };    /* so long may a device look for time to erase             */

/* Another try of the same bytes would be refused as well. */
static bool refused_for_good(uint8_t code)
{
	return code == HD_EARCH || code == HD_EDEVICE || code == HD_EAUTH || code == HD_ESIZE
	       || code == HD_ELAYER;
}

const char *device_error_text(uint8_t code)
{
	static const char *const text[] = {
		"no error", "the bytes do not parse", "built for another architecture", "made for another device",
		"version not above the device's floor", "the MAC or the signature does not verify (wrong key?)",
		"payload damaged", "self-test outputs differ", "larger than the device's slot or arena",
		"flash failed", "not possible in the device's state", "delta for another base",
		"a kind of layer that the device does not have", "the trial ended without a confirmation" };

	return code < sizeof text / sizeof text[0] ? text[code] : "unknown error";
}

static const char *model_name(const struct deploy_device *v)
{
	return v->owner->conf->models[v->model].name;
}

static void note(struct deploy_device *v, const char *kind, const char *reason, json_t *evidence)
{
	const struct rollout *r = &v->owner->target[v->model];

	(void)journal_add(v->owner->journal, (struct journal_entry){ .kind = kind, .model = model_name(v),
		.device = v->conf->name, .rollout = r->id, .version = r->version, .reason = reason,
		.evidence = evidence });
}

static void package_drop(struct deploy_device *v)
{
	hn_peer_drop(&v->peer);
	package_free(&v->package);
}

/* --- saving a step, then acting --------------------------------------------------------------- */

static void act_send(struct deploy_device *v);

static void saved(void *ctx, hn_status rc)
{
	struct deploy_device *v = ctx;
	const int64_t now = clock_mono_us();

	v->saving = false;
	v->unsaved = rc != HN_OK;        /* logged; the next tick tries again */
	if (rc != HN_OK || v->owner->closing)
		return;
	switch (v->step.state) {
	case STEP_SENDING:
		act_send(v);
		break;
	case STEP_CONFIRMING:
		hn_peer_confirm(&v->peer, now);
		break;
	case STEP_FAILED: case STEP_CONFIRMED:
		rollout_step(v->owner, v->model);
		break;
	default:
		break;
	}
}

void step_keep(struct deploy_device *v)
{
	v->saving = step_save(v->owner->db, &v->step, v->conf->name, saved, v) == HN_OK;
	v->unsaved = !v->saving;
}

static void step_to(struct deploy_device *v, enum step_state state)
{
	v->step.state = state;
	if (state == STEP_CONFIRMED || state == STEP_FAILED)
		v->step.ended_us = clock_now_us();
	step_keep(v);
}

void step_retry(struct deploy_device *v)
{
	if (v->unsaved)
		step_keep(v);
}

/* Twice as long after each attempt, up to an hour. */
static int64_t wait_us(double first_s, int attempts)
{
	return (int64_t)(1e6 * fmin(ldexp(first_s, attempts - 1), 3600));
}

static void step_fail(struct deploy_device *v, bool final, const char *why)
{
	const struct conf_model *m = &v->owner->conf->models[v->model];

	(void)snprintf(v->step.error, sizeof v->step.error, "%s", why);
	package_drop(v);
	metric_add(v->m_failed, 1);
	note(v, "swap_failed", why, NULL);
	if (final || v->step.attempts >= m->rollout.attempts) {
		step_to(v, STEP_FAILED);
		return;
	}
	v->step.due_us = clock_mono_us() + wait_us(m->rollout.retry_s, v->step.attempts);
	step_to(v, STEP_WAITING);
}

/* --- the package ------------------------------------------------------------------------------ */

static hn_status load_model(struct deploy_device *v, struct hn_model *m)
{
	const struct deploy *d = v->owner;
	const unsigned char *blob;
	size_t len;
	hn_status rc = d->hooks.blob(d->hooks.ctx, d->target[v->model].version, &blob, &len);

	return rc ? rc : hn_model_read(m, blob, len, NULL);
}

/* Words for what an image needs and a firmware lacks: "gru, single rounding". */
static void name_needs(uint32_t lacking, char *out, size_t cap)
{
	size_t n = 0;

	out[0] = '\0';
	for (int bit = 0; bit < 16; bit++) {
		const struct hd_kind *kind = hd_kind_find((uint8_t)bit);
		const uint32_t need = 1u << bit;

		if ((lacking & need) == 0 || n >= cap)
			continue;
		n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? ", " : "", need == HD_NEEDS_TWICE
			? "double rounding" : need == HD_NEEDS_ONCE ? "single rounding"
			: need == HD_NEEDS_DISTANCE ? "anomalies" : kind ? kind->name : "?");
	}
}

/* Refuse before a byte is sent what the device would refuse after all of them. */
static bool fits(struct deploy_device *v, const struct hn_model *m)
{
	const struct hd_hello *h = &v->peer.hello;
	const uint32_t arch = hd_image_arch(m->image);
	struct hd_net net;
	char why[200], lacks[80];

	if (h->arch != 0 && h->arch != arch) {
		(void)snprintf(why, sizeof why, "architecture: the device runs %08x, the version is %08x; "
			"change `network` or the firmware", h->arch, arch);
		step_fail(v, true, why);
		return false;
	}
	if (hd_net_check(&net, m->image, m->image_len) != HD_OK || m->image_len > h->slot_bytes ||
	    net.arena + net.out_n > h->arena_bytes) {
		(void)snprintf(why, sizeof why, "the image needs %u B of flash and %u B of RAM, the device has "
			"%u and %u", m->image_len, net.arena + net.out_n, h->slot_bytes, h->arena_bytes);
		step_fail(v, true, why);
		return false;
	}
	if ((net.needs & ~h->ops) != 0) {
		name_needs(net.needs & ~h->ops, lacks, sizeof lacks);
		(void)snprintf(why, sizeof why, "the firmware does not know: %s; build it with them (HD_OPS, "
			"HD_RQ_MODES), or change the model", lacks);
		step_fail(v, true, why);
		return false;
	}
	return true;
}

/* Where the registry still has what the device runs.  Without one the full set is sent. */
static void add_delta(struct deploy_device *v, const struct hn_package_spec *spec)
{
	const struct deploy *d = v->owner;
	const struct hd_hello *h = &v->peer.hello;
	const unsigned char *blob;
	struct hn_model base;
	size_t len;

	if (h->report.active_version == 0 || h->report.state == HD_TRIAL ||
	    d->hooks.base(d->hooks.ctx, v->model, (int)h->report.active_model, &blob, &len) != HN_OK ||
	    hn_model_read(&base, blob, len, NULL) != HN_OK)
		return;
	(void)package_delta(&v->package, spec, &base, h->active_digest);
}

static void act_send(struct deploy_device *v)
{
	const struct rollout *r = &v->owner->target[v->model];
	struct hn_package_spec spec;
	struct hn_model m;

	if (load_model(v, &m) != HN_OK) {
		step_fail(v, true, "the version's blob cannot be read");
		return;
	}
	if (!fits(v, &m))
		return;
	spec = (struct hn_package_spec){ .version = v->step.package_version,
		.model_version = (uint32_t)r->number };
	if (v->conf->is_signed)
		spec.key_id = v->owner->signer.key_id;
	memcpy(spec.uid, v->uid, HD_UID_LEN);
	memcpy(spec.key, v->peer.key, HD_KEY_LEN);
	if (package_full(&v->package, &spec, &m) != HN_OK) {
		step_fail(v, true, "the package cannot be built");
		return;
	}
	add_delta(v, &spec);             /* `m` is worthless from here on */
	if (v->conf->is_signed)
		package_sign(&v->package, &v->owner->signer);
	v->trial_seen = false;
	hn_peer_install(&v->peer, package_best(&v->package), clock_mono_us());
}

/* A number above everything the device has confirmed or runs, and above all former rollouts. */
static uint32_t choose_version(const struct deploy_device *v, const struct rollout *r)
{
	const struct hd_hello *h = &v->peer.hello;
	uint32_t n = (uint32_t)r->id;

	if (n <= h->report.floor)
		n = h->report.floor + 1;
	if (n <= h->report.active_version)
		n = h->report.active_version + 1;
	return n;
}

void step_start(struct deploy_device *v, const struct rollout *r)
{
	v->step.attempts++;
	v->step.error[0] = '\0';
	if (v->step.started_us == 0)
		v->step.started_us = clock_now_us();
	v->step.package_version = choose_version(v, r);
	v->step.bytes = (int64_t)v->peer.bytes_sent;
	v->began_us = clock_mono_us();
	v->erase_told = false;
	note(v, "swap_started", "sending the new weights", json_pack("{si sI}",
		"attempt", v->step.attempts, "package_version", (json_int_t)v->step.package_version));
	step_to(v, STEP_SENDING);
}

/* --- events of one device --------------------------------------------------------------------- */

static void begin_trial(struct deploy_device *v)
{
	v->trial_due = v->due;
	v->trial_missed = v->missed;
	v->trial_seen = true;
	note(v, "trial_started", "self-test passed, the new weights run on trial", NULL);
	step_to(v, STEP_TRIAL);
}

void step_trial(struct deploy_device *v)
{
	const struct conf_model *m = &v->owner->conf->models[v->model];
	const uint32_t want = (uint32_t)m->rollout.trial_inferences;
	const uint32_t late = v->missed - v->trial_missed;
	char why[120];

	if (v->saving || !v->trial_seen || v->step.state != STEP_TRIAL || v->peer.phase != HN_PEER_TRIAL)
		return;
	if (late > want / 20 + 1) {
		(void)snprintf(why, sizeof why, "%u inferences missed on trial", late);
		note(v, "revert", why, NULL);
		hn_peer_revert(&v->peer, clock_mono_us());
		return;
	}
	if (v->due - v->trial_due >= want)
		step_to(v, STEP_CONFIRMING);
}

void step_erase(struct deploy_device *v, int64_t now_us)
{
	const double erase_s = v->peer.hello.erase_us * 1e-6;
	char why[200];

	if (v->step.state != STEP_SENDING || v->peer.report.state != HD_ERASING ||
	    v->peer.phase == HN_PEER_DOWN) {
		v->erasing_us = 0;
		return;
	}
	if (v->erasing_us == 0)
		v->erasing_us = now_us;
	if (v->erase_told || now_us - v->erasing_us < ERASE_US)
		return;
	v->erase_told = true;
	(void)snprintf(why, sizeof why, "it finds no time to erase: %.3g s at a time, and %.3g inferences "
		"a second must not wait for it; a pause, slots in RAM or a flash that goes on reading "
		"help",
		erase_s, v->due_per_s);
	note(v, "erase_waits", why, NULL);
}

static void step_done(struct deploy_device *v)
{
	const int64_t bytes = (int64_t)v->peer.bytes_sent - v->step.bytes;

	v->step.bytes = bytes;
	v->step.package_version = v->peer.package.version;  /* older: it had these weights already */
	v->swap_s = (double)(clock_now_us() - v->step.started_us) * 1e-6;
	v->swap_rollout = v->step.rollout;
	metric_add(v->m_ok, 1);
	note(v, "confirmed", "the new weights are in service", json_pack("{sf sI si sI sb}",
		"swap_s", v->swap_s, "bytes", (json_int_t)bytes, "attempts", v->step.attempts,
		"repeats", (json_int_t)v->peer.window.repeats, "delta", v->peer.package.full != NULL));
	package_drop(v);
	step_to(v, STEP_CONFIRMED);
}

static void save_device(struct deploy_device *v)
{
	const struct hd_report *r = &v->peer.hello.report;
	json_t *o = json_pack("{sI sI sI}", "active_version", (json_int_t)r->active_version,
		"active_model", (json_int_t)r->active_model, "floor", (json_int_t)r->floor);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	/* A failure is logged there. */
	(void)device_save(v->owner->db, v->conf->name, v->conf->uid, text, clock_now_us());
	free(text);
	json_decref(o);
}

/* It answers, but it is another one.  What was to be sent waits for the right one. */
static void on_stranger(struct deploy_device *v)
{
	if (!v->wrong_uid)
		log_err("event=wrong_device device=%s expected=%s advice=\"check uid in the configuration "
		        "or the cabling\"", v->conf->name, v->conf->uid);
	v->wrong_uid = true;
	v->owner->hooks.on_stranger(v->owner->hooks.ctx, v->source);
}

/* A device says who it is.  Does it still run what the rollout left there? */
static void on_known(struct deploy_device *v)
{
	const struct hd_hello *h = &v->peer.hello;
	struct rollout *r = &v->owner->target[v->model];

	v->wrong_uid = false;
	save_device(v);
	if (v->step.state == STEP_CONFIRMED && r->id &&
	    h->report.active_version != v->step.package_version &&
	    h->report.active_model != (uint32_t)r->number) {
		note(v, "device_outdated", "it does not run the rollout's version: sending again", NULL);
		v->step = (struct step){ .rollout = r->id };
		if (r->state == ROLLOUT_DONE)
			r->state = ROLLOUT_RUNNING;
	}
	if (v->step.state == STEP_WAITING && r->id && r->state == ROLLOUT_DONE)
		r->state = ROLLOUT_RUNNING;      /* it slept while the others got it */
	/* after a restart of ours in the middle of a step: the package again, the device says how far */
	if (!v->saving && !v->package.payload &&
	    (v->step.state == STEP_SENDING || v->step.state == STEP_TRIAL ||
	     v->step.state == STEP_CONFIRMING))
		act_send(v);
	rollout_step(v->owner, v->model);
}

void step_event(struct deploy_device *v, enum hn_peer_event e)
{
	char why[160];

	metric_add(v->m_bytes, (double)(v->peer.bytes_sent - v->bytes_counted));
	v->bytes_counted = v->peer.bytes_sent;
	switch (e) {
	case HN_PEER_KNOWN:
		on_known(v);
		break;
	case HN_PEER_STRANGER:
		on_stranger(v);
		break;
	case HN_PEER_DONE:
		step_done(v);
		break;
	case HN_PEER_REVERTED:
		step_fail(v, false, "the device went back to its former weights");
		break;
	case HN_PEER_REFUSED:
		(void)snprintf(why, sizeof why, "refused: %s", device_error_text(v->peer.report.error));
		step_fail(v, refused_for_good(v->peer.report.error), why);
		break;
	case HN_PEER_SILENT:
		log_warn("event=device_silent device=%s phase=%d advice=\"asking again until it answers\"",
		         v->conf->name, v->peer.phase);
		break;
	case HN_PEER_NOTHING: case HN_PEER_IN_TRIAL:
		break;
	}
	/* also after a restart, where the trial is found by HELLO; that does not tell the counters */
	if (!v->saving && v->peer.phase == HN_PEER_TRIAL && !v->trial_seen && v->step.rollout &&
	    v->due > 0)
		begin_trial(v);
}
