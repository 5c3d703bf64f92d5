/* The device's end of the link: commands in, answers and telemetry out, work between deadlines. */
#include "hd_device.h"
#include <string.h>
#include "hd_stage.h"

enum { CREDITS_MAX = 8, HELLO_ASK_LEN = 7 };

/* --- out -------------------------------------------------------------------------------------- */

/* Send the body of n bytes at word[2]; the words before and two behind it are for the frame. */
static HD_NOINLINE bool say(struct hd_device *d, uint8_t type, uint32_t *word, size_t n)
{
	uint8_t *out = (uint8_t *)word + 3;
	bool sent;

	n = hd_frame_seal(out, type | (uint32_t)d->seq++ << 8 | (uint32_t)d->session << 16, n);
	sent = d->cfg.send(d->cfg.ctx, out, n);
	d->lost_tx += !sent;
	return sent;
}

static HD_NOINLINE void say_hello(struct hd_device *d)
{
	struct { uint32_t head[2]; struct hd_hello body; uint32_t end[2]; } m;
	const struct hd_flash *f = d->flash;
	struct hd_hello *h = &m.body;

	memset(h, 0, sizeof *h);
	h->proto = HD_PROTO;
	h->state = d->report.state;
	h->credits = d->cfg.credits;
	h->grain = (uint8_t)(hd_stage_grain(f) >> 2);
	memcpy(h->uid, d->cfg.uid, sizeof h->uid);
	h->nonce_dev = d->nonce_dev;
	h->arch = d->cfg.arch;
	memcpy(&h->active_version, &d->report.active_version, 12);       /* model and floor, too */
	if (d->active)
		memcpy(h->active_digest, d->active + HD_AT_DIGEST, sizeof h->active_digest);
	if (hd_stage_is_open(d))
		memcpy(h->staged_digest, hd_staged(d) + HD_AT_DIGEST, sizeof h->staged_digest);
	h->slot_bytes = f->slot_bytes;
	h->arena_bytes = d->cfg.arena_bytes;
	h->erase_us = f->erase_us;
	h->boots = d->slots.boots;
	h->flags = (uint8_t)((d->want != NULL) | (d->cfg.order != NULL) << 1);
	h->body = HD_BODY_MAX / 4;
	h->build = d->cfg.build;
	say(d, HD_HELLO, m.head, sizeof *h);
}

static HD_NOINLINE void say_status(struct hd_device *d)
{
	struct { uint32_t head[2]; struct hd_report body; uint32_t end[2]; } m;

	m.body = d->report;
	m.body.overruns += d->rx.refused;
	if (d->re_error != 0)
		m.body.error = d->re_error;
	d->report.re = d->re_error = 0;
	say(d, HD_STATUS, m.head, sizeof m.body);
}

static HD_NOINLINE void say_event(struct hd_device *d, unsigned code)
{
	uint32_t word[6], argument = d->report.active_version;

	if (code == HD_EVENT_FLASH)
		argument = d->fault_at;
	word[2] = code | argument << 8;
	word[3] = argument >> 24;
	say(d, HD_EVENT, word, 5);
}

static void tell(struct hd_device *d)
{
	unsigned what = d->tell, code;

	d->tell = 0;
	if (what & HD_TELL_HELLO)
		say_hello(d);
	for (code = HD_EVENT_BOOT; code <= HD_EVENT_FLASH; code++) {
		if (what >> code & 1)
			say_event(d, code);
	}
	if (what & HD_TELL_STATUS)
		say_status(d);
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
static int obey(struct hd_device *d, uint32_t idle_us)
{
	const struct hd_frame *f = &d->frame;
	unsigned type = f->type;
	int rc = HD_OK;

	if (type == HD_HELLO_ASK)
		meet(d);
	if (type <= HD_HELLO_ASK || f->session == 0 || f->session != d->session)
		return HD_OK;
	if (type > (d->cfg.order ? HD_PULL : HD_TIME)) {
		d->report.overruns++;
		return HD_OK;
	}
	if (type > HD_TIME)
		rc = (int)d->cfg.order(d->cfg.order_ctx, f);
	else if (type == HD_BEGIN)
		rc = hd_stage_begin(d);
	else if (type == HD_CHUNK)
		rc = hd_stage_chunk(d);
	else if (type <= HD_REVERT)
		rc = hd_stage_order(d, idle_us);
	if (rc >= HD_MORE)
		return rc;
	d->report.re = (uint8_t)type;
	d->re_error = (uint8_t)rc;
	d->tell |= HD_TELL_STATUS;
	return HD_OK;
}

static bool work(struct hd_device *d, uint32_t idle_us)
{
	int rc;

	if (d->waiting) {
		rc = obey(d, idle_us);
		if (rc == HD_OK) {
			d->waiting = false;
			d->tail = 0;
		}
		if (rc != HD_LATER)
			return true;
	}
	return hd_stage_work(d, idle_us);
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
	d->cfg = *cfg;
	if (d->cfg.credits - 1u >= CREDITS_MAX)
		d->cfg.credits = d->cfg.credits ? CREDITS_MAX : 1;
	d->flash = cfg->flash;
	d->nonce_dev = cfg->nonce;
	rc = hd_slots_boot(&d->slots, d->flash);
	if (rc == HD_OK)
		rc = hd_stage_boot(d);
	d->tell = HD_TELL_HELLO | HD_TELL_BOOT;
	if (d->slots.fell_back)
		d->tell |= HD_TELL_REVERT;
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
	d->report.overruns += n;
}

void hd_poll(struct hd_device *d, uint32_t budget_us, uint32_t idle_us)
{
	uint32_t start = d->cfg.now_us(d->cfg.ctx), spent = 0;

	while (work(d, idle_us > spent ? idle_us - spent : 0)) {
		spent = d->cfg.now_us(d->cfg.ctx) - start;
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
	uint32_t word[10], due = d->report.due, missed = d->report.missed;

	word[2] = tick_us;
	word[3] = count;
	word[4] = model_in_service(d);
	word[5] = class_index | (uint32_t)margin << 8 | due << 16;
	word[6] = due >> 16 | missed << 16;
	word[7] = missed >> 16;
	return say(d, HD_PREDICTION, word, 22);
}

bool hd_send(struct hd_device *d, uint8_t type, const uint8_t *body, size_t n)
{
	uint32_t word[(3 + HD_WIRE_MAX + 3) / 4];

	memcpy(word + 2, body, n);
	return say(d, type, word, n);
}
