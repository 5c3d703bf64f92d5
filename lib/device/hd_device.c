/* The device's end of the link: commands in, answers and telemetry out, work between deadlines. */
#include "hd_device.h"
#include <string.h>
#include "hd_ops.h"
#include "hd_stage.h"

enum { HELLO_ASK_LEN = 7 };

/* HELLO is made of stretches of the device, of its configuration and of the constants. */
#define SPAN(type, from, to) (offsetof(type, to) - offsetof(type, from))
typedef char hd_device_begins_hello[SPAN(struct hd_device, report, flash)
	>= SPAN(struct hd_hello, report, staged_digest)
	&& SPAN(struct hd_device, report, nonce_dev) == SPAN(struct hd_hello, report, nonce_dev) ? 1 : -1];
typedef char hd_config_ends_hello[SPAN(struct hd_config, uid, build)
	== SPAN(struct hd_hello, uid, build) ? 1 : -1];
typedef char hd_frames_begin_with_their_head[SPAN(struct hd_device, type, session) == 2 ? 1 : -1];

/* --- out -------------------------------------------------------------------------------------- */

/* Send the body of n bytes at word[2]; the words before and two behind it are for the frame. */
static HD_NOINLINE bool say(struct hd_device *d, uint8_t type, uint32_t *word, size_t n)
{
	uint8_t *out = (uint8_t *)word + 3;
	bool sent;

	d->type = type;
	n = hd_frame_seal(out, hd_load32(&d->type), n);
	d->seq++;
	sent = d->cfg->send(d->cfg->ctx, out, n);
	d->lost_tx += !sent;
	return sent;
}

bool hd_send(struct hd_device *d, uint8_t type, const void *body, size_t n)
{
	uint32_t word[(3 + HD_WIRE_MAX + 3) / 4];

	memcpy(word + 2, body, n);
	return say(d, type, word, n);
}

static HD_NOINLINE void say_hello(struct hd_device *d)
{
	struct hd_hello h;

	memcpy(&h, (uint8_t *)d + offsetof(struct hd_device, report),
	       SPAN(struct hd_hello, report, staged_digest));
	memcpy(h.staged_digest, hd_staged(d) + HD_AT_DIGEST, sizeof h.staged_digest);
	h.proto = HD_PROTO;
	h.flags = d->cfg->order != NULL;
	h.grain = HD_GRAIN / 4;
	h.body = HD_BODY_MAX / 4;
	memcpy(h.uid, d->cfg->uid, SPAN(struct hd_hello, uid, slot_bytes));
	h.slot_bytes = d->flash->slot_bytes;
	h.erase_us = d->flash->erase_us;
	h.ops = hd_ops_mask();
	hd_send(d, HD_HELLO, &h, sizeof h);
}

static void tell(struct hd_device *d)
{
	unsigned what = d->tell;

	d->tell = 0;
	d->report.overruns = d->rx.refused;
	if (what & HD_TELL_HELLO)
		say_hello(d);
	if (what & HD_TELL_STATUS) {
		hd_send(d, HD_STATUS, &d->report, sizeof d->report);
		d->report.re = 0;
	}
}

/* --- in --------------------------------------------------------------------------------------- */

/* A new session changes our nonce: recorded commands of an old session stay worthless even when its
 * HELLO_ASK is played back.  A repeated HELLO_ASK changes nothing. */
static void meet(struct hd_device *d)
{
	const struct hd_frame *f = &d->frame;
	uint32_t nonce;
	uint16_t session;

	if (f->len != HELLO_ASK_LEN)
		return;
	nonce = hd_load32(f->body);
	session = hd_load16(f->body + 4);
	if (session == 0)
		return;
	if (session != d->session || nonce != d->nonce_gw)
		d->nonce_dev += 0x9e3779b9u;     /* odd: 2^32 sessions without repetition */
	d->session = session;
	d->nonce_gw = nonce;
	d->tell |= HD_TELL_HELLO;
}

/* Obey the waiting command.  Returns HD_MORE or HD_LATER when it is not done yet. */
static int obey(struct hd_device *d)
{
	const struct hd_frame *f = &d->frame;
	unsigned type = f->type;
	int rc = HD_OK;

	if (type == HD_HELLO_ASK)
		meet(d);
	if (type <= HD_HELLO_ASK || f->session == 0 || f->session != d->session)
		return HD_OK;
	if (type > (d->cfg->order ? HD_PULL : HD_TIME)) {
		d->rx.refused++;
		return HD_OK;
	}
	if (type > HD_TIME)
		rc = (int)d->cfg->order(d->cfg->order_ctx, f);
	else if (type == HD_BEGIN)
		rc = hd_stage_begin(d);
	else if (type == HD_CHUNK)
		rc = hd_stage_chunk(d);
	else if (type <= HD_REVERT)
		rc = hd_stage_order(d);
	if (rc >= HD_MORE)
		return rc;
	d->report.re = (uint8_t)type;
	if (d->report.state != HD_FAILED)
		d->report.error = (uint8_t)rc;
	d->tell |= HD_TELL_STATUS;
	return HD_OK;
}

/* What may be done now?  An erase stops the processor: only when no inference is due before its
 * end, or none at all.  Slots in RAM are erased at any time, but nothing else may happen while what
 * was activated is not in flash yet. */
static void look(struct hd_device *d, uint32_t idle_us)
{
	const struct hd_flash *f = d->flash;
	bool quiet = idle_us > f->erase_us || ((uintptr_t)d->cur | (uintptr_t)d->want) == 0;
	bool ram = f->busy != NULL, ready = !ram || !f->busy(f->ctx);

	d->may_erase = ready & (quiet | ram);
	d->may_note = ready & (quiet | (d->slots.journal_next != 0));
}

static bool work(struct hd_device *d, uint32_t idle_us)
{
	int rc;

	look(d, idle_us);
	if (d->waiting) {
		rc = obey(d);
		if (rc == HD_OK) {
			d->waiting = false;
			d->tail = 0;
		}
		if (rc != HD_LATER)
			return true;
	}
	return hd_stage_work(d);
}

/* 0 = none.  Not the active slot's: that may have changed since the last hd_service(). */
static uint32_t model_in_service(const struct hd_device *d)
{
	const struct hd_flash *f = d->flash;

	return d->cur ? hd_load32(f->map(f->ctx, f->slot_at[d->cur == &d->net[1]]) + HD_AT_MODEL) : 0;
}

/* --- the firmware's side ---------------------------------------------------------------------- */

hd_status hd_init(struct hd_device *d, const struct hd_config *cfg)
{
	hd_status rc;

	memset(d, 0, sizeof *d);         /* also begins d->rx */
	d->cfg = cfg;
	d->flash = cfg->flash;
	d->nonce_dev = cfg->nonce;
	d->report.credits = cfg->credits;
	rc = hd_slots_boot(&d->slots, d->flash);
	if (rc == HD_OK)
		rc = hd_stage_boot(d);
	d->tell = HD_TELL_HELLO;
	return rc;
}

size_t hd_rx_bytes(struct hd_device *d, const uint8_t *bytes, size_t n)
{
	size_t i;

	for (i = 0; i < n && !d->waiting; i++)
		d->waiting = hd_rx_byte(&d->rx, bytes[i], &d->frame);
	return i;
}

void hd_rx_lost(struct hd_device *d, uint32_t n)
{
	d->rx.refused += n;
}

void hd_poll(struct hd_device *d, uint32_t budget_us, uint32_t idle_us)
{
	uint32_t start = d->cfg->now_us(d->cfg->ctx), spent = 0;

	while (work(d, idle_us > spent ? idle_us - spent : 0)) {
		spent = d->cfg->now_us(d->cfg->ctx) - start;
		if (spent >= budget_us)
			break;
	}
	tell(d);
}

const struct hd_net *hd_service(struct hd_device *d, uint32_t *model_version)
{
	d->cur = d->want;
	if (model_version)
		*model_version = model_in_service(d);
	return d->cur;
}

void hd_inference_done(struct hd_device *d, bool missed)
{
	struct hd_report *r = &d->report;

	r->due++;
	r->missed += missed;
	if (d->cur == d->want && r->trial_left > 0)
		r->trial_left--;
}

bool hd_send_samples(struct hd_device *d, uint32_t tick_us, uint32_t period_us, uint32_t count,
                     uint8_t n_ch, uint8_t n, const int16_t *raw)
{
	uint32_t word[(3 + HD_WIRE_MAX + 3) / 4], bytes = 2u * n * n_ch;
	uint8_t *b = (uint8_t *)(word + 4);

	if (bytes + 14 > HD_BODY_MAX) {
		d->lost_tx++;
		return false;
	}
	word[2] = tick_us;
	word[3] = period_us;
	*b++ = n_ch;
	*b++ = n;
	memcpy(b, raw, bytes);
	memcpy(b + bytes, &count, sizeof count);
	return say(d, HD_SAMPLES, word, bytes + 14);
}

bool hd_send_prediction(struct hd_device *d, uint32_t tick_us, uint32_t count,
                        uint8_t class_index, uint8_t margin)
{
	uint32_t body[6], due = d->report.due, missed = d->report.missed;

	body[0] = tick_us;
	body[1] = count;
	body[2] = model_in_service(d);
	body[3] = class_index | (uint32_t)margin << 8 | due << 16;
	body[4] = due >> 16 | missed << 16;
	body[5] = missed >> 16;
	return hd_send(d, HD_PREDICTION, body, 22);
}
