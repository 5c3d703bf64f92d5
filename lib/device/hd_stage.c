/* Staging: admit, erase, receive, verify, activate, confirm, revert. */
#include "hd_stage.h"
#include <string.h>

enum {
	GRAIN = 56, GRAIN_WIDE = 32,     /* for units up to 8, and above                       */
	HASH_SLICE = 256,
	ORDER_LEN = 4 + HD_TAG_LEN
};

static uint8_t spare(const struct hd_device *d)
{
	return d->slots.active == 0;
}

static const uint8_t *payload(const struct hd_device *d)
{
	return d->spare + HD_PACKAGE_HEADER;
}

bool hd_stage_is_open(const struct hd_device *d)
{
	return d->state >= HD_ERASING && d->state <= HD_VERIFYING;
}

uint32_t hd_stage_grain(const struct hd_flash *f)
{
	return f->unit <= 8 ? GRAIN : GRAIN_WIDE;
}

static void enter(struct hd_device *d, uint8_t state)
{
	d->state = state;
	d->tell |= HD_TELL_STATUS;
}

/* The spare slot is another one or in an unknown state: it must be erased before use. */
static void spare_unknown(struct hd_device *d)
{
	const struct hd_flash *f = d->flash;
	uint8_t active = d->slots.active;

	d->spare_at = f->slot_at[spare(d)];
	d->spare = f->map(f->ctx, d->spare_at);
	d->active = active == HD_SLOT_NONE ? NULL : f->map(f->ctx, f->slot_at[active]);
	d->erase_at = d->erase_to = 0;
	d->used = false;
}

static void refuse(struct hd_device *d, hd_status why)
{
	d->error = (uint8_t)why;
	enter(d, HD_FAILED);
}

hd_status hd_stage_flash_failed(struct hd_device *d, uint32_t at)
{
	d->fault_at = at;
	d->tell |= HD_TELL_FLASH;
	spare_unknown(d);
	if (hd_stage_is_open(d))
		refuse(d, HD_EFLASH);
	return HD_EFLASH;
}

static bool may_erase(const struct hd_device *d, uint32_t idle_us)
{
	return idle_us > d->flash->erase_us || (!d->cur && !d->want);
}

/* A journal record may need the erase of a journal page. */
static bool may_note(const struct hd_device *d, uint32_t idle_us)
{
	return d->slots.journal_next != 0 || may_erase(d, idle_us);
}

static hd_status note(struct hd_device *d, uint8_t kind, uint8_t slot, uint16_t boots,
                      uint32_t floor)
{
	hd_status rc = hd_slots_note(&d->slots, kind, slot, boots, floor);

	return rc == HD_OK ? HD_OK : hd_stage_flash_failed(d, d->flash->journal_at);
}

/* --- BEGIN ------------------------------------------------------------------------------------ */

/* Is it from our gateway, for this device? */
static hd_status authentic(const struct hd_device *d, const uint8_t *raw)
{
	static const uint8_t group[HD_UID_LEN];
	const uint8_t *uid = raw + HD_AT_UID;

	if (d->frame.len != HD_PACKAGE_HEADER || hd_package_check(raw) != HD_OK)
		return HD_EFORMAT;
	if (memcmp(uid, d->cfg.uid, HD_UID_LEN) != 0 && memcmp(uid, group, HD_UID_LEN) != 0)
		return HD_EDEVICE;
	return raw[HD_AT_KEY_ID] == d->cfg.key_id ? hd_package_auth(raw, d->cfg.key) : HD_EAUTH;
}

/* Can it be used here, now? */
static hd_status usable(const struct hd_device *d, const uint8_t *raw)
{
	if (d->cfg.arch != 0 && hd_load32(raw + HD_AT_ARCH) != d->cfg.arch)
		return HD_EARCH;
	if (hd_load32(raw + HD_AT_VERSION) <= d->slots.floor)
		return HD_EVERSION;
	if (hd_load32(raw + HD_AT_PAYLOAD_LEN) > d->flash->slot_bytes - HD_PACKAGE_HEADER)
		return HD_ESIZE;
	if (d->state == HD_TRIAL)
		return HD_ESTATE;        /* the spare slot is the way back */
	if (raw[HD_AT_KIND] == HD_KIND_DELTA
	    && (!d->want || memcmp(raw + HD_AT_BASE, d->active + HD_AT_DIGEST, HD_BASE_LEN) != 0))
		return HD_EBASE;
	return HD_OK;
}

static bool same_weights(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a + HD_AT_DIGEST, b + HD_AT_DIGEST, HD_DIGEST_LEN) == 0;
}

/* The same bytes are sent: digest and, of a delta, the base. */
static bool same_bytes(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a + HD_AT_BASE, b + HD_AT_BASE, HD_BASE_LEN + HD_DIGEST_LEN) == 0
		&& hd_load32(a + HD_AT_PATCH_LEN) == hd_load32(b + HD_AT_PATCH_LEN);
}

static void stage(struct hd_device *d, const uint8_t *raw)
{
	uint32_t sector = d->flash->sector, payload_len = hd_load32(raw + HD_AT_PAYLOAD_LEN);

	if (d->used)
		spare_unknown(d);
	d->wire_len = raw[HD_AT_KIND] ? hd_load32(raw + HD_AT_PATCH_LEN) : payload_len;
	d->next = d->bitmap = d->solid = d->hash_at = 0;
	d->held = 0;
	memset(&d->delta, 0, sizeof d->delta);
	d->erase_to = (HD_PACKAGE_HEADER + payload_len + sector - 1) & ~(sector - 1);
	hd_sha256_init(&d->hash);
	d->state = HD_ERASING;
}

int hd_stage_begin(struct hd_device *d)
{
	const uint8_t *raw = d->frame.body;      /* a multiple of 4: head of 4 bytes in rx.buf */
	bool open = hd_stage_is_open(d);
	hd_status rc = authentic(d, raw);

	if (rc == HD_OK && d->want && same_weights(raw, d->active)) {
		if (d->state != HD_TRIAL)
			d->state = HD_IDLE;      /* these weights are in service already */
		return HD_OK;
	}
	if (rc == HD_OK)
		rc = usable(d, raw);
	if (rc != HD_OK) {
		if (!open && d->state != HD_TRIAL)
			refuse(d, rc);
		return (int)rc;
	}
	if (!open || !same_bytes(raw, hd_staged(d)))
		stage(d, raw);
	if (d->state != HD_VERIFYING)
		memcpy(d->header, raw, HD_PACKAGE_HEADER);
	return HD_OK;
}

/* --- ACTIVATE, CONFIRM, REVERT ---------------------------------------------------------------- */

/* Back to the other slot, or to no image when this was the first. */
static hd_status go_back(struct hd_device *d)
{
	struct hd_slots *s = &d->slots;
	uint8_t slot = s->other;
	hd_status rc = note(d, HD_REC_REVERTED, slot, 0, s->floor);

	if (rc != HD_OK)
		return rc;
	d->want = slot == HD_SLOT_NONE ? NULL : &d->net[slot];
	spare_unknown(d);
	enter(d, HD_IDLE);
	return HD_OK;
}

static int activate(struct hd_device *d, uint32_t version, bool is_active)
{
	bool ready = d->state == HD_RECEIVING && d->next == d->wire_len;

	if (is_active)
		return HD_OK;
	if (!ready && d->state != HD_VERIFYING)
		return HD_ESTATE;
	if (version != hd_load32(hd_staged(d) + HD_AT_VERSION))
		return HD_EVERSION;
	if (ready) {
		d->vector = 0;
		d->state = HD_VERIFYING;
	}
	return HD_OK;
}

static int confirm(struct hd_device *d, uint32_t version, bool is_active)
{
	if (!is_active)
		return HD_EVERSION;
	if (d->state != HD_TRIAL)
		return HD_OK;            /* a repeated command */
	if (note(d, HD_REC_CONFIRMED, d->slots.active, 0, version) != HD_OK)
		return HD_EFLASH;
	d->state = HD_IDLE;
	spare_unknown(d);
	d->erase_to = d->flash->slot_bytes;  /* now, when nobody waits for it */
	return HD_OK;
}

int hd_stage_order(struct hd_device *d, uint32_t idle_us)
{
	const struct hd_frame *f = &d->frame;
	uint8_t tag[HD_TAG_LEN];
	uint32_t version;
	bool is_active;

	if (f->len != ORDER_LEN)
		return HD_EFORMAT;
	if (d->state == HD_TRIAL && !may_note(d, idle_us))
		return HD_LATER;
	version = hd_load32(f->body);
	hd_tag(d->cfg.key, f->type, d->session, d->nonce_dev, d->nonce_gw, version, tag);
	if (!hd_equal(tag, f->body + 4, sizeof tag))
		return HD_EAUTH;
	is_active = d->active && version == hd_load32(d->active + HD_AT_VERSION);
	if (f->type == HD_ACTIVATE)
		return activate(d, version, is_active);
	if (f->type == HD_CONFIRM)
		return confirm(d, version, is_active);
	if (!is_active)                  /* REVERT; repeated when the trial has ended */
		return d->state == HD_TRIAL ? HD_EVERSION : HD_OK;
	return d->state == HD_TRIAL ? (int)go_back(d) : HD_ESTATE;
}

/* --- work ------------------------------------------------------------------------------------- */

/* Erase one sector of the spare slot.  Not while the image in it may be in service still. */
static bool erase_one(struct hd_device *d, uint32_t idle_us)
{
	const struct hd_flash *f = d->flash;
	struct hd_slots *s = &d->slots;
	uint32_t at = d->spare_at + d->erase_at;

	if (d->erase_at >= d->erase_to || !may_erase(d, idle_us) || d->cur == &d->net[spare(d)])
		return false;
	if (s->kind != HD_REC_ERASE) {   /* whenever the spare slot changes, so does the kind */
		(void)note(d, HD_REC_ERASE, s->active, 0, s->floor);     /* a failure ends the erase */
		return true;
	}
	if (f->erase(f->ctx, at) != 0) {
		hd_stage_flash_failed(d, at);
		return true;
	}
	d->erase_at += f->sector;
	return true;
}

static HD_NOINLINE hd_status open_staged(struct hd_device *d)
{
	const uint8_t *header = hd_staged(d);
	struct hd_net *net = &d->net[spare(d)];
	uint8_t digest[HD_DIGEST_LEN];
	uint32_t vector_len;
	hd_status rc;

	hd_sha256_end(&d->hash, digest);
	if (memcmp(digest, header + HD_AT_DIGEST, sizeof digest) != 0)
		return HD_EDIGEST;
	rc = hd_net_open(net, payload(d), hd_load32(header + HD_AT_IMAGE_LEN));
	if (rc != HD_OK)
		return rc;
	if (net->arch != hd_load32(header + HD_AT_ARCH))
		return HD_EARCH;
	if (net->arena > d->cfg.arena_bytes)
		return HD_ESIZE;
	vector_len = (uint32_t)net->in_len * net->in_ch + net->out_n;
	return header[HD_AT_N_VECTORS] == 0 || vector_len == hd_load16(header + HD_AT_VECTOR_LEN)
		? HD_OK : HD_EFORMAT;
}

/* Vector i must come out bit for bit. */
static HD_NOINLINE hd_status self_test(struct hd_device *d, uint32_t i)
{
	const uint8_t *header = hd_staged(d);
	const struct hd_net *net = &d->net[spare(d)];
	const uint8_t *in = payload(d) + net->len + i * hd_load16(header + HD_AT_VECTOR_LEN);
	int8_t out[256];

	hd_net_run(net, (const int8_t *)in, d->cfg.arena, out);
	return memcmp(out, in + (uint32_t)net->in_len * net->in_ch, net->out_n) == 0
		? HD_OK : HD_ESELFTEST;
}

/* Everything is proven: header last, then the journal, then the pointer. */
static hd_status commit(struct hd_device *d)
{
	uint8_t slot = spare(d);

	if (hd_flash_write(d->flash, d->spare_at, hd_staged(d), HD_PACKAGE_HEADER) != HD_OK)
		return hd_stage_flash_failed(d, d->spare_at);
	if (note(d, HD_REC_TRIAL, slot, d->cfg.trial_boots, d->slots.floor) != HD_OK)
		return HD_EFLASH;
	d->want = &d->net[slot];
	d->trial_left = d->cfg.trial_inferences;
	spare_unknown(d);
	enter(d, HD_TRIAL);
	return HD_OK;
}

static bool verify(struct hd_device *d, uint32_t idle_us)
{
	hd_status rc;

	if (d->vector == 0) {
		rc = open_staged(d);
	} else if (d->vector <= hd_staged(d)[HD_AT_N_VECTORS]) {
		rc = self_test(d, d->vector - 1u);
	} else {
		if (!may_note(d, idle_us))
			return false;
		rc = commit(d);
	}
	d->vector++;
	if (rc != HD_OK)
		refuse(d, rc);
	return true;
}

bool hd_stage_work(struct hd_device *d, uint32_t idle_us)
{
	uint32_t n;

	if (d->state == HD_TRIAL && d->cfg.trial_inferences != 0 && d->trial_left == 0
	    && may_note(d, idle_us)) {
		d->tell |= HD_TELL_REVERT;
		d->trial_left = go_back(d) != HD_OK;     /* on failure again after an inference */
		return true;
	}
	if (d->state == HD_ERASING && d->erase_at >= d->erase_to) {
		enter(d, HD_RECEIVING);
		return true;
	}
	if (erase_one(d, idle_us))
		return true;
	if (d->state != HD_RECEIVING && d->state != HD_VERIFYING)
		return false;
	n = d->solid - d->hash_at;
	if (n > 0) {                     /* hash while receiving */
		n = n < HASH_SLICE ? n : HASH_SLICE;
		hd_sha256_add(&d->hash, payload(d) + d->hash_at, n);
		d->hash_at += n;
		return true;
	}
	return d->state == HD_VERIFYING && verify(d, idle_us);
}

/* --- boot ------------------------------------------------------------------------------------- */

/* `slot` holds a sound package, mapped at `raw`. */
static bool open_slot(struct hd_device *d, uint8_t slot, const uint8_t *raw)
{
	struct hd_net *net = &d->net[slot];

	return hd_net_open(net, raw + HD_PACKAGE_HEADER, hd_load32(raw + HD_AT_IMAGE_LEN)) == HD_OK
		&& net->arena <= d->cfg.arena_bytes && (d->cfg.arch == 0 || net->arch == d->cfg.arch);
}

hd_status hd_stage_boot(struct hd_device *d)
{
	struct hd_slots *s = &d->slots;
	bool trial = s->kind == HD_REC_TRIAL;
	hd_status rc = HD_OK;

	spare_unknown(d);
	d->state = trial ? HD_TRIAL : HD_IDLE;
	if (d->active && open_slot(d, s->active, d->active))
		d->want = &d->net[s->active];
	if (s->other != HD_SLOT_NONE && !open_slot(d, s->other, d->spare))
		s->other = HD_SLOT_NONE;
	if (trial && !d->want) {
		s->fell_back = true;
		rc = go_back(d);
	}
	d->cur = d->want;
	return rc;
}
