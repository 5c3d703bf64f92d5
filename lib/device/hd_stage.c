/* Staging: admit, erase, verify, activate, confirm, revert. */
#include "hd_stage.h"
#include <string.h>
#include "hd_ops.h"

typedef char hd_header_is_as_hello[offsetof(struct hd_device, active_digest)
	- offsetof(struct hd_device, report.active_version) == HD_AT_DIGEST - HD_AT_VERSION ? 1 : -1];

enum {
	HASH_SLICE = 256, ORDER_LEN = 4 + HD_TAG_LEN,
	KNOWN = 16                       /* bytes of version, model version and digest in HELLO */
};

static uint8_t spare(const struct hd_device *d)
{
	return d->slots.active == 0;
}

static const uint8_t *payload(const struct hd_device *d)
{
	return d->spare + HD_PACKAGE_HEADER;
}

static bool is_open(const struct hd_device *d)   /* a package is on its way in */
{
	return d->report.state - 1u < HD_VERIFYING;
}

static void enter(struct hd_device *d, uint8_t state)
{
	d->report.state = state;
	d->report.trial_left = d->cfg->trial_inferences;
	d->tell |= HD_TELL_STATUS;
}

/* The slots have changed their parts, or the spare one is in an unknown state: it must be erased
 * before use. */
static HD_NOINLINE void look_again(struct hd_device *d)
{
	const struct hd_flash *f = d->flash;
	uint8_t *known = (uint8_t *)d + offsetof(struct hd_device, report.active_version);
	uint8_t active = d->slots.active;

	d->erase_at = d->erase_to = 0;
	d->used = false;
	d->spare_at = f->slot_at[spare(d)];
	d->spare = f->map(f->ctx, d->spare_at);
	d->report.floor = d->slots.floor;
	d->active = NULL;
	memset(known, 0, KNOWN);
	if (active == HD_SLOT_NONE)
		return;
	d->active = f->map(f->ctx, f->slot_at[active]);
	memcpy(known, d->active + HD_AT_VERSION, KNOWN);
}

static void refuse(struct hd_device *d, hd_status why)
{
	d->report.error = (uint8_t)why;
	enter(d, HD_FAILED);
}

hd_status hd_stage_flash_failed(struct hd_device *d)
{
	look_again(d);
	if (is_open(d))
		enter(d, HD_FAILED);
	d->report.error = HD_EFLASH;
	d->tell |= HD_TELL_STATUS;
	return HD_EFLASH;
}

/* Make `kind` of `slot` the state, for good. */
static hd_status note(struct hd_device *d, uint32_t kind, uint8_t slot, uint32_t floor)
{
	uint32_t boots = kind == HD_REC_TRIAL ? d->cfg->trial_boots : 0;

	if (hd_slots_note(&d->slots, kind | (uint32_t)slot << 8 | boots << 16, floor) != HD_OK)
		return hd_stage_flash_failed(d);
	d->want = slot == HD_SLOT_NONE ? NULL : &d->net[slot];
	look_again(d);
	if (kind == HD_REC_TRIAL) {
		enter(d, HD_TRIAL);
	} else {
		enter(d, HD_IDLE);
		d->erase_to = d->flash->slot_bytes;      /* now, when nobody waits for it */
	}
	return HD_OK;
}

/* --- BEGIN ------------------------------------------------------------------------------------ */

/* Is it from our gateway, for this device? */
static hd_status authentic(const struct hd_device *d, const uint8_t *raw)
{
	uint32_t more = (uint32_t)d->frame.len - HD_PACKAGE_HEADER;
	hd_status rc = HD_EFORMAT;

	if (d->frame.len >= HD_PACKAGE_HEADER)
		rc = hd_package_check(raw, d->flash->slot_bytes);
	if (rc != HD_OK)
		return rc;
	if ((hd_load32(raw + HD_AT_UID) | hd_load32(raw + HD_AT_UID + 4)) != 0
	    && memcmp(raw + HD_AT_UID, d->cfg->uid, HD_UID_LEN) != 0)
		return HD_EDEVICE;
	if (d->cfg->verify)
		return d->cfg->verify(d->cfg->ctx, raw, raw + HD_PACKAGE_HEADER, more) ? HD_OK : HD_EAUTH;
	if (more != 0)
		return HD_EFORMAT;
	if (raw[HD_AT_KEY_ID] != d->cfg->key_id)
		return HD_EAUTH;
	return hd_signed(d->cfg->key, raw, HD_PACKAGE_SIGNED, raw + HD_AT_MAC, HD_DIGEST_LEN)
		? HD_OK : HD_EAUTH;
}

/* Can this firmware run what is behind the header? */
static HD_NOINLINE hd_status runs(const struct hd_device *d, const uint8_t *raw)
{
	if (d->cfg->arch != 0 && hd_load32(raw + HD_AT_ARCH) != d->cfg->arch)
		return HD_EARCH;
	if (hd_load32(raw + HD_AT_ARENA) > d->cfg->arena_bytes)
		return HD_ESIZE;
	return (hd_load32(raw + HD_AT_OPS) & ~hd_ops_mask()) != 0 ? HD_ELAYER : HD_OK;
}

/* Can it be used now? */
static hd_status usable(const struct hd_device *d, const uint8_t *raw)
{
	if (hd_load32(raw + HD_AT_VERSION) <= d->slots.floor)
		return HD_EVERSION;
	if (d->report.state == HD_TRIAL)
		return HD_ESTATE;        /* the spare slot is the way back */
	if (hd_load32(raw + HD_AT_PATCH_LEN) != 0
	    && (!d->active || memcmp(raw + HD_AT_BASE, d->active_digest, HD_BASE_LEN) != 0))
		return HD_EBASE;
	return runs(d, raw);
}

static void stage(struct hd_device *d, const uint8_t *raw)
{
	uint32_t payload_len = hd_load32(raw + HD_AT_PAYLOAD_LEN);

	if (d->used)
		look_again(d);
	d->wire_len = hd_load32(raw + HD_AT_PATCH_LEN);
	if (d->wire_len == 0)
		d->wire_len = payload_len;
	d->report.next = d->report.bitmap = d->solid = d->hash_at = 0;
	d->held = 0;
	memset(&d->delta, 0, sizeof d->delta);
	d->erase_to = HD_PACKAGE_HEADER + payload_len;
	hd_sha256_init(&d->hash);
	enter(d, HD_ERASING);
}

int hd_stage_begin(struct hd_device *d)
{
	const uint8_t *raw = d->frame.body, *old = hd_staged(d);
	uint8_t state = d->report.state;
	bool open = is_open(d);
	hd_status rc = authentic(d, raw);

	if (rc == HD_OK && d->active
	    && memcmp(raw + HD_AT_DIGEST, d->active + HD_AT_DIGEST, HD_DIGEST_LEN) == 0) {
		if (state != HD_TRIAL)
			enter(d, HD_IDLE);       /* these weights are in service already */
		return HD_OK;
	}
	if (rc == HD_OK)
		rc = usable(d, raw);
	if (rc != HD_OK) {
		if (!open && state != HD_TRIAL)
			refuse(d, rc);
		return (int)rc;
	}
	/* Go on when the same bytes are sent: digest and, of a delta, base and length of the patch. */
	if (!open || memcmp(raw + HD_AT_DIGEST, old + HD_AT_DIGEST, HD_AT_IMAGE_LEN - HD_AT_DIGEST) != 0)
		stage(d, raw);
	if (d->report.state != HD_VERIFYING)
		memcpy(d->header, raw, HD_PACKAGE_HEADER);
	return HD_OK;
}

/* --- ACTIVATE, CONFIRM, REVERT ---------------------------------------------------------------- */

/* Back to the other slot, or to no image when this was the first. */
static hd_status go_back(struct hd_device *d)
{
	return note(d, HD_REC_REVERTED, d->slots.other, d->slots.floor);
}

static hd_status activate(struct hd_device *d, uint32_t version)
{
	bool ready = d->report.state == HD_RECEIVING && d->report.next == d->wire_len;

	if (!ready && d->report.state != HD_VERIFYING)
		return HD_ESTATE;
	if (version != hd_load32(hd_staged(d) + HD_AT_VERSION))
		return HD_EVERSION;
	if (ready) {
		d->vector = 0;
		enter(d, HD_VERIFYING);
	}
	return HD_OK;
}

int hd_stage_order(struct hd_device *d)
{
	const struct hd_frame *f = &d->frame;
	bool trial = d->report.state == HD_TRIAL, is_active;
	struct hd_order o;

	if (f->len != ORDER_LEN)
		return HD_EFORMAT;
	if (trial && !d->may_note)
		return HD_LATER;
	o.type = f->type;
	o.zero = 0;
	o.session = d->session;
	o.version = hd_load32(f->body);
	o.nonce_gw = d->nonce_gw;
	o.nonce_dev = d->nonce_dev;
	if (!hd_signed(d->cfg->key, (const uint8_t *)&o, sizeof o, f->body + 4, HD_TAG_LEN))
		return HD_EAUTH;
	is_active = o.version == d->report.active_version;
	if (f->type == HD_ACTIVATE)
		return is_active ? HD_OK : (int)activate(d, o.version);
	if (f->type == HD_CONFIRM) {
		if (!is_active)
			return HD_EVERSION;
		return trial ? (int)note(d, HD_REC_CONFIRMED, d->slots.active, o.version) : HD_OK;
	}
	if (!is_active)                  /* REVERT, repeated when the trial has ended */
		return trial ? HD_EVERSION : HD_OK;
	return trial ? (int)go_back(d) : HD_ESTATE;
}

/* --- work ------------------------------------------------------------------------------------- */

/* Erase one sector of the spare slot.  Not while the image in it may be in service still. */
static bool erase_one(struct hd_device *d)
{
	const struct hd_flash *f = d->flash;
	uint32_t at = d->spare_at + d->erase_at;

	if (d->erase_at >= d->erase_to || !d->may_erase || d->cur == &d->net[spare(d)])
		return false;
	d->erase_at += f->sector;
	if (f->erase(f->ctx, at) != 0)
		hd_stage_flash_failed(d);
	return true;
}

/* Open the image of a slot behind its header, which for the staged one is still in RAM. */
static HD_NOINLINE hd_status open_slot(struct hd_device *d, uint8_t slot, const uint8_t *header)
{
	const struct hd_flash *f = d->flash;
	const uint8_t *image = f->map(f->ctx, f->slot_at[slot]) + HD_PACKAGE_HEADER;
	hd_status rc = runs(d, header);

	return rc == HD_OK ? hd_net_open(&d->net[slot], image, hd_load32(header + HD_AT_IMAGE_LEN)) : rc;
}

static HD_NOINLINE hd_status open_staged(struct hd_device *d)
{
	return hd_slots_digest_ok(&d->hash, hd_staged(d)) ? open_slot(d, spare(d), hd_staged(d))
		: HD_EDIGEST;
}

/* Vector i must come out bit for bit. */
static HD_NOINLINE hd_status self_test(struct hd_device *d, uint32_t i)
{
	const struct hd_net *net = &d->net[spare(d)];
	const uint8_t *in = payload(d) + net->len + i * hd_load16(hd_staged(d) + HD_AT_VECTOR_LEN);
	uint8_t *out = d->cfg->arena + net->arena;

	hd_net_run(net, (const int8_t *)in, d->cfg->arena, (int8_t *)out);
	return memcmp(out, in + (uint32_t)net->in_len * net->in_ch, net->out_n) == 0
		? HD_OK : HD_ESELFTEST;
}

/* Everything is proven: header last; then the journal, then the pointer. */
static hd_status commit(struct hd_device *d)
{
	if (hd_flash_write(d->flash, d->spare_at, hd_staged(d), HD_PACKAGE_HEADER) != HD_OK)
		return hd_stage_flash_failed(d);
	return HD_OK;
}

static bool verify(struct hd_device *d)
{
	uint32_t n = hd_staged(d)[HD_AT_N_VECTORS];
	hd_status rc;

	if (d->vector == 0) {
		rc = open_staged(d);
	} else if (d->vector <= n) {
		rc = self_test(d, d->vector - 1u);
	} else if (d->vector == n + 1) {
		rc = commit(d);
	} else {                         /* a piece of its own: it may erase a page of the journal */
		if (!d->flash->busy && !d->may_note)
			return false;
		rc = note(d, HD_REC_TRIAL, spare(d), d->slots.floor);
	}
	d->vector++;
	if (rc != HD_OK)
		refuse(d, rc);
	return true;
}

bool hd_stage_work(struct hd_device *d)
{
	struct hd_report *r = &d->report;
	uint32_t n;

	if (r->state == HD_TRIAL && d->cfg->trial_inferences != 0 && r->trial_left == 0 && d->may_note) {
		if (go_back(d) == HD_OK)
			r->error = HD_ETRIAL;
		else
			r->trial_left = 1;       /* again after an inference */
		return true;
	}
	if (r->state == HD_ERASING && d->erase_at >= d->erase_to) {
		enter(d, HD_RECEIVING);
		return true;
	}
	if (erase_one(d))
		return true;
	if (r->state != HD_RECEIVING && r->state != HD_VERIFYING)
		return false;
	n = d->solid - d->hash_at;
	if (n > 0) {                     /* hash while receiving */
		n = n < HASH_SLICE ? n : HASH_SLICE;
		hd_sha256_add(&d->hash, payload(d) + d->hash_at, n);
		d->hash_at += n;
		return true;
	}
	return r->state == HD_VERIFYING && verify(d);
}

/* --- boot ------------------------------------------------------------------------------------- */

hd_status hd_stage_boot(struct hd_device *d)
{
	struct hd_slots *s = &d->slots;
	bool trial = s->kind == HD_REC_TRIAL;
	hd_status rc = HD_OK;

	look_again(d);
	if (s->other != HD_SLOT_NONE && open_slot(d, s->other, d->spare) != HD_OK)
		s->other = HD_SLOT_NONE;
	if (d->active && open_slot(d, s->active, d->active) == HD_OK)
		d->want = &d->net[s->active];
	enter(d, trial ? HD_TRIAL : HD_IDLE);
	if (trial && !d->want) {
		s->fell_back = true;
		rc = go_back(d);
	} else if (!d->want) {
		s->active = HD_SLOT_NONE;
		look_again(d);
	}
	if (s->fell_back)
		d->report.error = HD_ETRIAL;
	d->cur = d->want;
	return rc;
}
