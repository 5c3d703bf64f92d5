/* The gateway's end of a device link; see hn_peer.h. */
#include "hn_peer_private.h"

#include <assert.h>
#include <string.h>

void hn_peer_enter(struct hn_peer *p, enum hn_peer_phase phase)
{
	p->phase = phase;
	p->begun = p->begun && phase != HN_PEER_BEGIN;
	p->probe_us = 0;
	p->asked_us = 0;                 /* the next tick speaks at once */
	p->entered_us = p->now_us;
	p->asks = 0;
}

void hn_peer_init(struct hn_peer *p, const uint8_t uid[HD_UID_LEN], const uint8_t key[HD_KEY_LEN])
{
	memset(p, 0, sizeof *p);
	memcpy(p->uid, uid, HD_UID_LEN);
	memcpy(p->key, key, HD_KEY_LEN);
	p->keep_us = HN_PEER_KEEP_US;
}

void hn_peer_up(struct hn_peer *p, uint16_t session, uint32_t nonce, int64_t now_us)
{
	assert(session != 0);
	p->session = session;
	p->nonce_gw = nonce;
	p->now_us = p->heard_us = now_us;
	p->has_hello = false;
	p->seq_us = 0;
	p->window.srtt_us = p->window.rttvar_us = p->window.least_us = 0;
	hn_peer_enter(p, HN_PEER_HELLO);
	(void)hn_peer_tick(p, now_us);
}

void hn_peer_down(struct hn_peer *p)
{
	p->has_hello = false;
	hn_peer_enter(p, HN_PEER_DOWN);
}

/* --- what the gateway says -------------------------------------------------------------------- */

static bool say(struct hn_peer *p, uint8_t type, const uint8_t *body, size_t len)
{
	return p->send(p->ctx, type, p->session, body, len);
}

void hn_peer_ask_hello(struct hn_peer *p)
{
	uint8_t b[7];

	hd_put32(b, p->nonce_gw);
	hd_put16(b + 4, p->session);
	b[6] = HD_PROTO;
	(void)say(p, HD_HELLO_ASK, b, sizeof b);         /* lost or full: asked again by the tick */
}

static void command(struct hn_peer *p, uint8_t type, uint32_t version)
{
	uint8_t b[4 + HD_TAG_LEN];

	hd_put32(b, version);
	hd_tag(p->key, type, p->session, p->hello.nonce_dev, p->nonce_gw, version, b + 4);
	(void)say(p, type, b, sizeof b);
}

static bool send_chunk(struct hn_peer *p, uint32_t at, uint32_t n, int64_t now_us)
{
	uint8_t b[HD_BODY_MAX];

	hd_put32(b, at);
	memcpy(b + HD_CHUNK_HEAD, p->package.payload + at, n);
	if (!say(p, HD_CHUNK, b, HD_CHUNK_HEAD + n))
		return false;
	hn_window_sent(&p->window, at, n, now_us);
	p->bytes_sent += n;
	/* Behind the last chunk at once: refused without harm, and said again, when one is missing. */
	if (at + n == p->package.len) {
		command(p, HD_ACTIVATE, p->package.version);
		p->ordered_us = now_us;
		p->nudges = 0;
	}
	return true;
}

static void pump_chunks(struct hn_peer *p, int64_t now_us)
{
	uint32_t at, n;

	while (hn_window_next(&p->window, p->report.credits, now_us, &at, &n))
		if (!send_chunk(p, at, n, now_us))
			return;          /* the wire is full: the next tick goes on */
}

/* Behind the header at once goes what the device's ring holds beside it, when it can be ready: that
 * saves a round trip.  What comes while it still erases is refused without harm, and said again. */
static void begin(struct hn_peer *p)
{
	const struct hn_peer_package *k = &p->package;
	uint8_t b[HD_BODY_MAX];

	hn_window_forget(&p->window);
	p->ordered_us = 0;
	memcpy(b, k->header, HD_PACKAGE_HEADER);
	if (k->more)
		memcpy(b + HD_PACKAGE_HEADER, k->more, k->more_len);
	if (!say(p, HD_BEGIN, b, HD_PACKAGE_HEADER + k->more_len))
		return;
	p->bytes_sent += HD_PACKAGE_HEADER + k->more_len;
	if (p->asks > 0 || p->hello.report.state != HD_IDLE || p->hello.report.credits < 2)
		return;
	p->report.credits = (uint8_t)(p->hello.report.credits - 1);
	pump_chunks(p, p->now_us);
}

/* An adapter may hold the answers to the last chunk and to ACTIVATE back until its timer ends, or
 * until there are more bytes: ask for some about when they are due. */
static void nudge(struct hn_peer *p, int64_t now_us)
{
	const int64_t quarter = p->window.srtt_us / 4, step = quarter > NUDGE_US ? quarter : NUDGE_US;

	if ((p->phase != HN_PEER_SEND && p->phase != HN_PEER_ACTIVATE) || p->ordered_us == 0 ||
	    p->nudges == NUDGES || now_us - p->ordered_us < (p->nudges + 1) * step)
		return;
	p->nudges++;
	(void)say(p, HD_STATUS_ASK, NULL, 0);    /* lost: nothing depends on it */
}

/* --- time ------------------------------------------------------------------------------------- */

void hn_peer_renew(struct hn_peer *p)
{
	p->session = (uint16_t)(p->session == UINT16_MAX ? 1 : p->session + 1);
	p->nonce_gw += 0x9e3779b9u;      /* odd: 2^32 sessions without repetition */
	p->seq_us = 0;
	hn_peer_enter(p, HN_PEER_HELLO);
}

/* It may have booted, and its HELLO was lost. */
static void give_up(struct hn_peer *p)
{
	p->fruitless += p->fruitless < FRUITLESS_MAX;
	hn_peer_renew(p);
}

static void speak(struct hn_peer *p, int64_t now_us)
{
	if (p->asks >= UNANSWERED && p->phase != HN_PEER_HELLO &&
	    now_us - p->heard_us > 2 * p->window.least_us)
		give_up(p);
	switch (p->phase) {
	case HN_PEER_HELLO:
		hn_peer_ask_hello(p);
		break;
	case HN_PEER_BEGIN:
		begin(p);
		break;
	case HN_PEER_ACTIVATE:
		command(p, HD_ACTIVATE, p->package.version);
		break;
	case HN_PEER_CONFIRM:
		command(p, HD_CONFIRM, p->package.version);
		break;
	case HN_PEER_REVERT:
		command(p, HD_REVERT, p->package.version);
		break;
	case HN_PEER_CLEAR:
		command(p, HD_REVERT, p->report.active_version);
		break;
	case HN_PEER_SEND: case HN_PEER_TRIAL: case HN_PEER_READY:
		if (p->probe_us == 0)
			p->probe_us = now_us;
		(void)say(p, HD_STATUS_ASK, NULL, 0);
		break;
	case HN_PEER_DOWN:
		break;
	}
	p->asked_us = now_us;
	p->asks++;
}

/* How long to wait before saying the same again. */
static int64_t patience(const struct hn_peer *p)
{
	const int64_t twice = 2 * p->window.least_us < ASK_MAX_US ? 2 * p->window.least_us : ASK_MAX_US;
	const int64_t least = twice > ASK_US ? twice : ASK_US;
	const unsigned slower = p->fruitless + p->asks / 4;

	if (p->phase == HN_PEER_READY)
		return p->keep_us;
	if (p->phase == HN_PEER_SEND)    /* only when it says nothing by itself */
		return p->heard_us > p->asked_us ? p->heard_us - p->asked_us + least : least;
	return least << (slower < FRUITLESS_MAX ? slower : FRUITLESS_MAX);
}

static int64_t silence(const struct hn_peer *p)
{
	const int64_t three = 3 * hn_window_rto(&p->window);
	const int64_t least = p->phase == HN_PEER_READY ? 3 * p->keep_us : HN_PEER_SILENCE_US;

	return three > least ? three : least;
}

enum hn_peer_event hn_peer_tick(struct hn_peer *p, int64_t now_us)
{
	if (p->phase == HN_PEER_DOWN)
		return HN_PEER_NOTHING;
	hn_peer_follow_clock(p, now_us);
	if (p->phase != HN_PEER_HELLO && now_us - p->heard_us > silence(p)) {
		p->has_hello = false;
		p->heard_us = now_us;
		give_up(p);
		speak(p, now_us);
		return HN_PEER_SILENT;
	}
	if (p->phase == HN_PEER_SEND)
		pump_chunks(p, now_us);
	nudge(p, now_us);
	if (p->asked_us == 0 ? p->phase != HN_PEER_SEND && p->phase != HN_PEER_READY
	                     : now_us - p->asked_us >= patience(p))
		speak(p, now_us);
	else if (p->asked_us == 0)
		p->asked_us = now_us;
	return HN_PEER_NOTHING;
}

/* --- orders ----------------------------------------------------------------------------------- */

/* HELLO still says what the device is: nothing was done since, and the last STATUS agrees. */
static bool hello_holds(const struct hn_peer *p)
{
	return p->has_hello && p->phase == HN_PEER_READY && p->hello.report.state == HD_IDLE &&
	       p->report.state == HD_IDLE && p->report.active_version == p->hello.report.active_version &&
	       p->report.floor == p->hello.report.floor;
}

void hn_peer_install(struct hn_peer *p, const struct hn_peer_package *k, int64_t now_us)
{
	assert(k->more_len <= HD_BODY_MAX - HD_PACKAGE_HEADER);
	p->package = *k;
	p->has_package = true;
	p->tried = p->resent = false;
	p->verdict = HN_PEER_DOWN;
	p->ordered_us = 0;
	if (!p->has_hello)
		return;
	if (p->phase == HN_PEER_READY)
		p->heard_us = now_us;    /* it was not asked for a while */
	hn_window_begin(&p->window, k->len, p->window.grain, p->window.most);
	if (hello_holds(p))
		hn_peer_resume(p);
	else                             /* ask again: what it says decides where to begin */
		hn_peer_enter(p, HN_PEER_HELLO);
	(void)hn_peer_tick(p, now_us);
}

void hn_peer_drop(struct hn_peer *p)
{
	p->has_package = false;
	if (p->has_hello && p->phase != HN_PEER_HELLO)
		hn_peer_enter(p, HN_PEER_READY);
}

void hn_peer_confirm(struct hn_peer *p, int64_t now_us)
{
	if (p->phase != HN_PEER_TRIAL)
		return;
	p->verdict = HN_PEER_CONFIRM;
	hn_peer_enter(p, HN_PEER_CONFIRM);
	(void)hn_peer_tick(p, now_us);
}

void hn_peer_revert(struct hn_peer *p, int64_t now_us)
{
	if (p->phase != HN_PEER_TRIAL && p->phase != HN_PEER_CONFIRM)
		return;
	p->verdict = HN_PEER_REVERT;
	hn_peer_enter(p, HN_PEER_REVERT);
	(void)hn_peer_tick(p, now_us);
}
