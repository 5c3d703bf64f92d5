/* The device's end of the link: commands in, answers and telemetry out, work between deadlines. */
#include "hd_device.h"
#include <string.h>
#include "hd_stage.h"

enum { CREDITS_MAX = 8, HELLO_ASK_LEN = 7 };

/* --- out -------------------------------------------------------------------------------------- */

static void frame_begin(struct hd_device *d, struct hd_tx *t, uint8_t type)
{
	hd_tx_begin(t, type, d->seq++, d->session);
}

static bool frame_end(struct hd_device *d, struct hd_tx *t)
{
	size_t n = hd_tx_end(t);
	bool sent = d->cfg.send(d->cfg.ctx, t->out, n);

	d->lost_tx += !sent;
	return sent;
}

/* A short frame: n <= HD_HELLO_LEN. */
static HD_NOINLINE bool say(struct hd_device *d, uint8_t type, const uint8_t *body, size_t n)
{
	uint8_t wire[HD_FRAME_HEAD + HD_HELLO_LEN + HD_FRAME_CRC + 2];   /* one COBS code, one zero */
	struct hd_tx t;

	t.out = wire;
	frame_begin(d, &t, type);
	hd_tx_put(&t, body, n);
	return frame_end(d, &t);
}

static uint8_t credits(const struct hd_device *d)
{
	return d->state == HD_RECEIVING ? d->cfg.credits : 0;
}

/* A number from the header of the active package, 0 = none. */
static uint32_t active_word(const struct hd_device *d, unsigned at)
{
	return d->active ? hd_load32(d->active + at) : 0;
}

static HD_NOINLINE void say_hello(struct hd_device *d)
{
	const struct hd_flash *f = d->flash;
	struct hd_hello h;

	memset(&h, 0, sizeof h);
	h.proto = HD_PROTO;
	h.state = d->state;
	h.credits = credits(d);
	h.grain = (uint8_t)(hd_stage_grain(f) >> 2);
	h.body = HD_BODY_MAX / 4;
	memcpy(h.uid, d->cfg.uid, sizeof h.uid);
	h.nonce_dev = d->nonce_dev;
	h.arch = d->cfg.arch;
	h.floor = d->slots.floor;
	h.slot_bytes = f->slot_bytes;
	h.arena_bytes = d->cfg.arena_bytes;
	h.erase_us = f->erase_us;
	h.boots = d->slots.boots;
	h.flags = d->want != NULL;
	h.build = d->cfg.build;
	h.active_version = active_word(d, HD_AT_VERSION);
	h.active_model = active_word(d, HD_AT_MODEL);
	if (d->active)
		memcpy(h.active_digest, d->active + HD_AT_DIGEST, sizeof h.active_digest);
	if (hd_stage_is_open(d))
		memcpy(h.staged_digest, (const uint8_t *)d->header + HD_AT_DIGEST, sizeof h.staged_digest);
	say(d, HD_HELLO, hd_hello_body(&h), sizeof h);
}

static HD_NOINLINE void say_status(struct hd_device *d)
{
	struct hd_report r;

	memset(&r, 0, sizeof r);
	r.state = d->state;
	r.error = d->re_error != 0 ? d->re_error : d->state == HD_FAILED ? d->error : 0;
	r.credits = credits(d);
	r.re = d->re;
	if (hd_stage_is_open(d)) {
		r.next = d->next;
		r.bitmap = d->bitmap;
	}
	r.active_version = active_word(d, HD_AT_VERSION);
	r.active_model = active_word(d, HD_AT_MODEL);
	r.floor = d->slots.floor;
	r.due = d->due;
	r.missed = d->missed;
	r.trial_left = d->state == HD_TRIAL ? d->trial_left : 0;
	r.overruns = d->lost_rx + d->rx.refused;
	say(d, HD_STATUS, hd_report_body(&r), sizeof r);
	d->re = d->re_error = 0;
}

static void say_event(struct hd_device *d, uint8_t code, uint32_t argument)
{
	uint8_t body[5];

	body[0] = code;
	hd_put32(body + 1, argument);
	say(d, HD_EVENT, body, sizeof body);
}

static void tell(struct hd_device *d)
{
	unsigned what = d->tell, code;

	d->tell = 0;
	if (what & HD_TELL_HELLO)
		say_hello(d);
	for (code = HD_EVENT_BOOT; code <= HD_EVENT_FLASH; code++) {
		if (what >> code & 1)
			say_event(d, (uint8_t)code, code == HD_EVENT_FLASH ? d->fault_at
			                   : active_word(d, HD_AT_VERSION));
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
	int rc;

	if (f->type == HD_HELLO_ASK) {
		meet(d);
		return HD_OK;
	}
	if (d->session == 0 || f->session != d->session)
		return HD_OK;
	if (f->type == HD_BEGIN) {
		rc = hd_stage_begin(d);
	} else if (f->type == HD_CHUNK) {
		rc = hd_stage_chunk(d);
	} else if (f->type >= HD_ACTIVATE && f->type <= HD_REVERT) {
		rc = hd_stage_order(d, idle_us);
	} else if (f->type == HD_STATUS_ASK || f->type == HD_TIME) {
		rc = HD_OK;
	} else {
		d->lost_rx++;
		return HD_OK;
	}
	if (rc == HD_MORE || rc == HD_LATER)
		return rc;
	d->re = f->type;
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

	memset(d, 0, sizeof *d);
	d->cfg = *cfg;
	if (d->cfg.credits == 0 || d->cfg.credits > CREDITS_MAX)
		d->cfg.credits = d->cfg.credits ? CREDITS_MAX : 1;
	d->flash = cfg->flash;
	d->nonce_dev = cfg->nonce;
	d->trial_left = cfg->trial_inferences;
	hd_rx_init(&d->rx);
	rc = hd_slots_boot(&d->slots, cfg->flash, cfg->trial_boots);
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
	d->lost_rx += n;
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
	d->due++;
	d->missed += missed;
	if (d->state == HD_TRIAL && d->cur == d->want && d->trial_left > 0)
		d->trial_left--;
}

bool hd_send_samples(struct hd_device *d, uint32_t tick_us, uint32_t period_us, uint32_t count,
                     uint8_t n_ch, uint8_t n, const int16_t *raw)
{
	uint32_t values = (uint32_t)n * n_ch, i;
	uint8_t wire[HD_WIRE_MAX], b[10];
	struct hd_tx t;

	if (2 * values + 14 > HD_BODY_MAX) {
		d->lost_tx++;
		return false;
	}
	hd_put32(b, tick_us);
	hd_put32(b + 4, period_us);
	b[8] = n_ch;
	b[9] = n;
	t.out = wire;
	frame_begin(d, &t, HD_SAMPLES);
	hd_tx_put(&t, b, 10);
	for (i = 0; i < values; i++) {
		hd_put16(b, (uint16_t)raw[i]);
		hd_tx_put(&t, b, 2);
	}
	hd_put32(b, count);
	hd_tx_put(&t, b, 4);
	return frame_end(d, &t);
}

bool hd_send_prediction(struct hd_device *d, uint32_t tick_us, uint32_t count,
                        uint8_t class_index, uint8_t margin)
{
	uint8_t b[22];

	hd_put32(b, tick_us);
	hd_put32(b + 4, count);
	hd_put32(b + 8, model_in_service(d));
	b[12] = class_index;
	b[13] = margin;
	hd_put32(b + 14, d->due);
	hd_put32(b + 18, d->missed);
	return say(d, HD_PREDICTION, b, sizeof b);
}
