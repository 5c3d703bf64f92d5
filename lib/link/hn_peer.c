/* The gateway's end of a device link; see hn_peer.h. */
#include "hn_peer.h"

#include <assert.h>
#include <string.h>

enum {
	ASK_US = 250000, ASK_MAX_US = 1000000, UNANSWERED = 3, /* so often asked: HELLO_ASK instead */
	SEQ_BEHIND = 64, SEQ_AGE_US = 4000000,
	LEAP_US = 1000000,               /* longer than between any two ticks */
	FRUITLESS_MAX = 2, SESSIONS_BEHIND = 16, GUESS_US = 4000000
};

static void enter(struct hn_peer *p, enum hn_peer_phase phase)
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
	enter(p, HN_PEER_HELLO);
	(void)hn_peer_tick(p, now_us);
}

void hn_peer_down(struct hn_peer *p)
{
	p->has_hello = false;
	enter(p, HN_PEER_DOWN);
}

/* --- what the gateway says -------------------------------------------------------------------- */

static bool say(struct hn_peer *p, uint8_t type, const uint8_t *body, size_t len)
{
	return p->send(p->ctx, type, p->session, body, len);
}

static void ask_hello(struct hn_peer *p)
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

static void begin(struct hn_peer *p)
{
	if (say(p, HD_BEGIN, p->package.header, HD_PACKAGE_HEADER))
		p->bytes_sent += HD_PACKAGE_HEADER;
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

/* --- what the device says --------------------------------------------------------------------- */

static bool runs_package(const struct hn_peer *p)
{
	return p->report.active_version == p->package.version;
}

/* After HELLO: where does the work stand? */
static void resume(struct hn_peer *p)
{
	struct hd_package k;

	if (!p->has_package) {
		enter(p, HN_PEER_READY);
		return;
	}
	if (p->hello.active_version == p->package.version) {
		p->tried = true;
		enter(p, p->hello.floor >= p->package.version ? HN_PEER_CONFIRM
		       : p->verdict ? p->verdict : HN_PEER_TRIAL);
		return;
	}
	/* the same bytes under an older number: nothing to send */
	if (hd_package_read(&k, p->package.header) == HD_OK && (p->hello.flags & 1) &&
	    p->hello.state != HD_TRIAL && memcmp(k.digest, p->hello.active_digest, 8) == 0) {
		p->package.version = p->hello.active_version;
		enter(p, HN_PEER_CONFIRM);
		return;
	}
	enter(p, p->hello.state == HD_TRIAL ? HN_PEER_CLEAR : HN_PEER_BEGIN);
}

/* HELLO with another session: it booted, or another gateway speaks to it. */
static void on_boot(struct hn_peer *p, uint16_t session, int64_t now_us)
{
	p->has_hello = false;
	p->report = (struct hd_report){ .state = HD_IDLE };
	enter(p, HN_PEER_HELLO);
	if (session == 0)
		ask_hello(p);
	p->asked_us = now_us;            /* two gateways must not answer each other at once */
}

static void learn(struct hn_peer *p, const struct hd_hello *h)
{
	uint32_t most = h->body ? h->body * 4u : HD_BODY_MAX;
	uint32_t grain = h->grain ? h->grain * 4u : HD_CHUNK_MAX;

	most = most > HD_BODY_MAX ? HD_BODY_MAX : most < HD_PACKAGE_HEADER ? HD_PACKAGE_HEADER : most;
	most -= HD_CHUNK_HEAD;
	if (grain > most)
		grain = most & ~3u;
	most = most > HD_CHUNK_MAX && grain <= HD_CHUNK_MAX ? HD_CHUNK_MAX : most;
	hn_window_begin(&p->window, p->package.len, grain, most / grain * grain);
	p->hello = *h;
	p->has_hello = true;
	p->report = (struct hd_report){ .state = h->state, .active_version = h->active_version,
		.active_model = h->active_model, .floor = h->floor };
}

/* What the device runs is another now: let it say so (digest and floor are in HELLO only). */
static enum hn_peer_event finish(struct hn_peer *p, enum hn_peer_event e)
{
	p->has_package = false;
	enter(p, HN_PEER_HELLO);
	return e;
}

/* A refused delta is sent again as the full set, after a HELLO: until then answers may still be
 * about the delta.  Else the work ends in `phase`. */
static enum hn_peer_event refused(struct hn_peer *p, enum hn_peer_phase phase)
{
	if (p->package.full) {
		p->package = *p->package.full;
		p->has_hello = false;
		enter(p, HN_PEER_HELLO);
		return HN_PEER_NOTHING;
	}
	p->has_package = false;
	enter(p, phase);
	return HN_PEER_REFUSED;
}

static enum hn_peer_event on_hello(struct hn_peer *p, const struct hd_frame *f, int64_t now_us)
{
	struct hd_hello h;

	const uint16_t behind = (uint16_t)(p->session - f->session);

	if (hd_hello_read(&h, f->body, f->len) != HD_OK ||
	    (f->session != 0 && behind > 0 && behind < SESSIONS_BEHIND))
		return HN_PEER_NOTHING;  /* a late answer to a session that we gave up */
	if (f->session != p->session) {
		on_boot(p, f->session, now_us);
		return HN_PEER_NOTHING;
	}
	learn(p, &h);
	if (p->fruitless == FRUITLESS_MAX)       /* slower than our patience, perhaps */
		hn_window_guess(&p->window, now_us - p->entered_us < GUESS_US ? now_us - p->entered_us
		                                                              : GUESS_US);
	if (memcmp(h.uid, p->uid, HD_UID_LEN) != 0) {
		p->has_hello = false;
		enter(p, HN_PEER_HELLO);
		p->asked_us = now_us;
		return HN_PEER_STRANGER;
	}
	if (p->has_package && p->tried && h.active_version != p->package.version)
		return finish(p, HN_PEER_REVERTED);
	resume(p);
	(void)hn_peer_tick(p, now_us);   /* what comes next is said at once */
	return HN_PEER_KNOWN;
}

/* The chunks that are missing, or all are there. */
static void acknowledge(struct hn_peer *p, int64_t now_us)
{
	hn_window_ack(&p->window, p->report.next, p->report.bitmap, now_us);
	hn_window_damage(&p->window, p->report.overruns);
	if (p->report.next < p->package.len)
		return;
	enter(p, HN_PEER_ACTIVATE);
	if (p->ordered_us != 0 && now_us - p->ordered_us < hn_window_rto(&p->window))
		p->asked_us = p->ordered_us;     /* it is on its way */
}

/* A package is on its way in.  Too early an order is no refusal: what was missing is repeated. */
static enum hn_peer_event on_receiving(struct hn_peer *p, int64_t now_us)
{
	if (p->report.re == HD_STATUS_ASK) {
		hn_window_passed(&p->window, p->probe_us);
		p->probe_us = 0;
	}
	if (p->report.re == HD_ACTIVATE && p->report.error == HD_ESTATE) {
		hn_window_passed(&p->window, p->ordered_us);
		p->ordered_us = 0;
	}
	if (p->phase == HN_PEER_ACTIVATE && p->report.re == HD_ACTIVATE && p->report.error &&
	    p->report.error != HD_ESTATE)
		return refused(p, HN_PEER_HELLO);
	if (p->phase == HN_PEER_BEGIN) {
		hn_window_forget(&p->window);
		p->ordered_us = 0;
	}
	if (p->phase == HN_PEER_BEGIN ||
	    (p->phase == HN_PEER_ACTIVATE && p->report.next < p->package.len))
		enter(p, HN_PEER_SEND);
	if (p->phase == HN_PEER_SEND)
		acknowledge(p, now_us);
	(void)hn_peer_tick(p, now_us);
	return HN_PEER_NOTHING;
}

static enum hn_peer_event on_trial(struct hn_peer *p)
{
	if (!runs_package(p)) {          /* of what another gateway sent */
		enter(p, HN_PEER_HELLO);
		return HN_PEER_NOTHING;
	}
	if (p->phase == HN_PEER_TRIAL || p->phase == HN_PEER_CONFIRM || p->phase == HN_PEER_REVERT)
		return HN_PEER_NOTHING;
	p->tried = true;
	enter(p, p->verdict ? p->verdict : HN_PEER_TRIAL);
	return HN_PEER_IN_TRIAL;
}

static enum hn_peer_event on_progress(struct hn_peer *p, int64_t now_us)
{
	const bool answer = p->report.re == HD_BEGIN && p->report.state != HD_TRIAL;

	if (p->phase == HN_PEER_BEGIN && answer && p->report.error)
		return refused(p, HN_PEER_HELLO);
	if (p->phase == HN_PEER_BEGIN && answer)
		hn_window_guess(&p->window, now_us - p->entered_us);
	p->begun |= p->phase == HN_PEER_BEGIN && answer;
	if (p->phase == HN_PEER_BEGIN && !p->begun && p->report.state != HD_TRIAL)
		return HN_PEER_NOTHING;  /* before its answer it may tell of another package */
	switch (p->report.state) {
	case HD_RECEIVING:
		return on_receiving(p, now_us);
	case HD_VERIFYING:
		if (p->phase == HN_PEER_SEND)
			acknowledge(p, now_us);
		break;
	case HD_TRIAL:
		return on_trial(p);
	case HD_FAILED:
		return refused(p, HN_PEER_READY);
	case HD_IDLE:
		if (p->phase == HN_PEER_BEGIN && answer)
			enter(p, HN_PEER_HELLO); /* these weights run, and HELLO says so */
		else if (p->phase == HN_PEER_SEND || p->phase == HN_PEER_ACTIVATE)
			enter(p, HN_PEER_BEGIN); /* it lost what was staged */
		else
			break;
		(void)hn_peer_tick(p, now_us);
		break;
	default:
		break;
	}
	return HN_PEER_NOTHING;
}

static enum hn_peer_event on_report(struct hn_peer *p, const struct hd_frame *f, int64_t now_us)
{
	if (f->session != p->session || !p->has_hello ||
	    hd_report_read(&p->report, f->body, f->len) != HD_OK)
		return HN_PEER_NOTHING;
	p->asks = p->fruitless = 0;
	if (!p->has_package || p->phase == HN_PEER_HELLO)
		return HN_PEER_NOTHING;  /* before HELLO it may tell of the package before */
	if (p->phase == HN_PEER_CLEAR) {
		if (p->report.state != HD_TRIAL)
			enter(p, HN_PEER_BEGIN);
		return HN_PEER_NOTHING;
	}
	if (runs_package(p) && p->report.floor >= p->package.version && p->report.state != HD_TRIAL)
		return finish(p, HN_PEER_DONE);
	if ((p->phase == HN_PEER_TRIAL || p->phase == HN_PEER_CONFIRM || p->phase == HN_PEER_REVERT) &&
	    !runs_package(p))
		return finish(p, HN_PEER_REVERTED);
	return on_progress(p, now_us);
}

/* Did it come late, or before?  A long silence may hide that the numbers began again. */
static bool is_stale(struct hn_peer *p, const struct hd_frame *f, int64_t now_us)
{
	const uint8_t behind = (uint8_t)(p->seq - f->seq);

	if (f->session != p->session)
		return false;
	if (p->seq_us != 0 && behind < SEQ_BEHIND && now_us - p->seq_us < SEQ_AGE_US) {
		p->stale++;
		return true;
	}
	p->seq = f->seq;
	p->seq_us = now_us;
	return false;
}

/* A clock that went back must not make anyone wait until it is there again; one that leapt, or a
 * process that was stopped, says nothing about the device. */
static void follow_clock(struct hn_peer *p, int64_t now_us)
{
	if (now_us < p->now_us || now_us > p->now_us + LEAP_US) {
		p->heard_us = p->asked_us = p->seq_us = p->entered_us = now_us;
		p->ordered_us = p->probe_us = 0;
		hn_window_forget(&p->window);
	}
	p->now_us = now_us;
}

enum hn_peer_event hn_peer_message(struct hn_peer *p, const struct hd_frame *f, int64_t now_us)
{
	if (p->phase == HN_PEER_DOWN || (f->type != HD_HELLO && f->type != HD_STATUS))
		return HN_PEER_NOTHING;
	follow_clock(p, now_us);
	if (is_stale(p, f, now_us))
		return HN_PEER_NOTHING;
	p->heard_us = now_us;
	return f->type == HD_HELLO ? on_hello(p, f, now_us) : on_report(p, f, now_us);
}

/* --- time ------------------------------------------------------------------------------------- */

/* It may have booted, and its HELLO was lost.  Another session: its numbers began again. */
static void renew(struct hn_peer *p)
{
	p->session = (uint16_t)(p->session == UINT16_MAX ? 1 : p->session + 1);
	p->nonce_gw += 0x9e3779b9u;      /* odd: 2^32 sessions without repetition */
	p->seq_us = 0;
	p->fruitless += p->fruitless < FRUITLESS_MAX;
	enter(p, HN_PEER_HELLO);
}

static void speak(struct hn_peer *p, int64_t now_us)
{
	if (p->asks >= UNANSWERED && p->phase != HN_PEER_HELLO &&
	    now_us - p->heard_us > 2 * p->window.least_us)
		renew(p);
	switch (p->phase) {
	case HN_PEER_HELLO:
		ask_hello(p);
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
		return HN_PEER_SILENCE_US / 3;
	if (p->phase == HN_PEER_SEND)    /* only when it says nothing by itself */
		return p->heard_us > p->asked_us ? p->heard_us - p->asked_us + least : least;
	return least << (slower < FRUITLESS_MAX ? slower : FRUITLESS_MAX);
}

static int64_t silence(const struct hn_peer *p)
{
	const int64_t three = 3 * hn_window_rto(&p->window);

	return three > HN_PEER_SILENCE_US ? three : HN_PEER_SILENCE_US;
}

enum hn_peer_event hn_peer_tick(struct hn_peer *p, int64_t now_us)
{
	if (p->phase == HN_PEER_DOWN)
		return HN_PEER_NOTHING;
	follow_clock(p, now_us);
	if (p->phase != HN_PEER_HELLO && now_us - p->heard_us > silence(p)) {
		p->has_hello = false;
		p->heard_us = now_us;
		renew(p);
		speak(p, now_us);
		return HN_PEER_SILENT;
	}
	if (p->phase == HN_PEER_SEND)
		pump_chunks(p, now_us);
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
	return p->has_hello && p->phase == HN_PEER_READY && p->hello.state == HD_IDLE &&
	       p->report.state == HD_IDLE && p->report.active_version == p->hello.active_version &&
	       p->report.floor == p->hello.floor;
}

void hn_peer_install(struct hn_peer *p, const struct hn_peer_package *k, int64_t now_us)
{
	p->package = *k;
	p->has_package = true;
	p->tried = false;
	p->verdict = HN_PEER_DOWN;
	p->ordered_us = 0;
	if (!p->has_hello)
		return;
	hn_window_begin(&p->window, k->len, p->window.grain, p->window.most);
	if (hello_holds(p))
		resume(p);
	else                             /* ask again: what it says decides where to begin */
		enter(p, HN_PEER_HELLO);
	(void)hn_peer_tick(p, now_us);
}

void hn_peer_drop(struct hn_peer *p)
{
	p->has_package = false;
	if (p->has_hello && p->phase != HN_PEER_HELLO)
		enter(p, HN_PEER_READY);
}

void hn_peer_confirm(struct hn_peer *p, int64_t now_us)
{
	if (p->phase != HN_PEER_TRIAL)
		return;
	p->verdict = HN_PEER_CONFIRM;
	enter(p, HN_PEER_CONFIRM);
	(void)hn_peer_tick(p, now_us);
}

void hn_peer_revert(struct hn_peer *p, int64_t now_us)
{
	if (p->phase != HN_PEER_TRIAL && p->phase != HN_PEER_CONFIRM)
		return;
	p->verdict = HN_PEER_REVERT;
	enter(p, HN_PEER_REVERT);
	(void)hn_peer_tick(p, now_us);
}
