/* The gateway's end of a device link; see hn_peer.h.
 *
 * Round-trip time and repeat timer follow RFC 6298 (Jacobson/Karels), Karn's rule included: a chunk
 * that was repeated gives no sample. */
#include "hn_peer.h"

#include <assert.h>
#include <string.h>

enum { RTO_MIN_US = 60000, RTO_MAX_US = 2000000, ASK_US = 250000 };

static int64_t rto(const struct hn_peer *p)
{
	const int64_t t = p->srtt_us + 4 * p->rttvar_us;

	if (p->srtt_us == 0)
		return 5 * (int64_t)RTO_MIN_US;
	return t < RTO_MIN_US ? RTO_MIN_US : t > RTO_MAX_US ? RTO_MAX_US : t;
}

static void measure(struct hn_peer *p, int64_t rtt)
{
	const int64_t d = rtt > p->srtt_us ? rtt - p->srtt_us : p->srtt_us - rtt;

	if (p->srtt_us == 0) {
		p->srtt_us = rtt > 0 ? rtt : 1;
		p->rttvar_us = rtt / 2;
		return;
	}
	p->rttvar_us += (d - p->rttvar_us) / 4;
	p->srtt_us += (rtt - p->srtt_us) / 8;
	if (p->srtt_us < 1)
		p->srtt_us = 1;
}

static void enter(struct hn_peer *p, enum hn_peer_phase phase)
{
	p->phase = phase;
	p->begun = p->begun && phase != HN_PEER_BEGIN;
	p->asked_us = 0;                 /* the next tick speaks at once */
	p->asks = 0;
}

void hn_peer_init(struct hn_peer *p, const uint8_t key[HD_KEY_LEN])
{
	memset(p, 0, sizeof *p);
	memcpy(p->key, key, HD_KEY_LEN);
}

void hn_peer_up(struct hn_peer *p, uint16_t session, uint32_t nonce, int64_t now_us)
{
	assert(session != 0);
	p->session = session;
	p->nonce_gw = nonce;
	p->heard_us = now_us;
	p->has_hello = false;
	p->srtt_us = p->rttvar_us = 0;
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

/* Place `i` of the window: 0 is the chunk at `next`.  True when the device has it. */
static bool has_chunk(const struct hn_peer *p, unsigned i)
{
	return i > 0 && (p->bitmap >> (i - 1) & 1);
}

static bool send_chunk(struct hn_peer *p, uint32_t at, int64_t now_us)
{
	const uint32_t left = p->package.len - at, n = left < p->chunk ? left : p->chunk;
	const unsigned place = at / p->chunk % HN_PEER_WINDOW_MAX;
	uint8_t b[HD_BODY_MAX];

	hd_put32(b, at);
	memcpy(b + HD_CHUNK_HEAD, p->package.payload + at, n);
	if (!say(p, HD_CHUNK, b, HD_CHUNK_HEAD + n))
		return false;
	if (p->sent_at[place] == at + 1) {
		p->repeats++;
		p->sent_us[place] = -now_us;             /* negative: repeated, no RTT sample  */
	} else {
		p->sent_us[place] = now_us;
	}
	p->sent_at[place] = at + 1;
	p->bytes_sent += n;
	/* Behind the last chunk at once: refused without harm, and said again, when one is missing. */
	if (n == left)
		command(p, HD_ACTIVATE, p->package.version);
	return true;
}

/* Fill the window: chunks never sent, and those whose timer ran out. */
static void pump_chunks(struct hn_peer *p, int64_t now_us)
{
	const unsigned window = p->report.credits < HN_PEER_WINDOW_MAX
	                      ? p->report.credits : HN_PEER_WINDOW_MAX;

	for (unsigned i = 0; i < window; i++) {
		const uint32_t at = p->next + i * p->chunk;
		const unsigned place = at / p->chunk % HN_PEER_WINDOW_MAX;
		int64_t age;

		if (at >= p->package.len)
			return;
		if (has_chunk(p, i))
			continue;
		age = p->sent_us[place] < 0 ? now_us + p->sent_us[place] : now_us - p->sent_us[place];
		if (p->sent_at[place] == at + 1 && age < rto(p))
			continue;
		if (!send_chunk(p, at, now_us))
			return;          /* the wire is full: the next tick goes on */
	}
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
		enter(p, p->hello.floor >= p->package.version ? HN_PEER_CONFIRM : HN_PEER_TRIAL);
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

static enum hn_peer_event on_hello(struct hn_peer *p, uint16_t session, const uint8_t *body,
                                   size_t len, int64_t now_us)
{
	struct hd_hello h;

	if (hd_hello_read(&h, body, len) != HD_OK)
		return HN_PEER_NOTHING;
	if (session != p->session) {     /* it booted, or remembers another session: start anew */
		p->has_hello = false;
		p->report = (struct hd_report){ .state = HD_IDLE };
		enter(p, HN_PEER_HELLO);
		ask_hello(p);
		return HN_PEER_NOTHING;
	}
	p->hello = h;
	p->has_hello = true;
	p->chunk = (uint32_t)h.chunk * 4;
	if (p->chunk == 0 || p->chunk > HD_BODY_MAX - HD_CHUNK_HEAD)
		p->chunk = (HD_BODY_MAX - HD_CHUNK_HEAD) & ~3u;
	p->report = (struct hd_report){ .state = h.state, .active_version = h.active_version,
		.active_model = h.active_model, .floor = h.floor };
	memset(p->sent_at, 0, sizeof p->sent_at);
	resume(p);
	(void)hn_peer_tick(p, now_us);   /* what comes next is said at once */
	return HN_PEER_KNOWN;
}

static void acknowledge(struct hn_peer *p, int64_t now_us)
{
	const uint32_t old = p->next;

	p->next = p->report.next;
	p->bitmap = p->report.bitmap;
	for (unsigned i = 0; i < HN_PEER_WINDOW_MAX; i++) {
		const uint32_t at = p->sent_at[i];

		if (at == 0 || at - 1 < old || at - 1 >= p->next)
			continue;
		if (p->sent_us[i] > 0)
			measure(p, now_us - p->sent_us[i]);
		p->sent_at[i] = 0;
	}
}

/* What the device runs is another now: let it say so (digest and floor are in HELLO only). */
static enum hn_peer_event finish(struct hn_peer *p, enum hn_peer_event e)
{
	p->has_package = false;
	enter(p, HN_PEER_HELLO);
	return e;
}

static enum hn_peer_event on_progress(struct hn_peer *p, int64_t now_us)
{
	const bool answer = p->report.re == HD_BEGIN && p->report.state != HD_TRIAL;

	if (p->phase == HN_PEER_BEGIN && answer && p->report.error)
		return finish(p, HN_PEER_REFUSED);
	p->begun |= p->phase == HN_PEER_BEGIN && answer;
	if (p->phase == HN_PEER_BEGIN && !p->begun && p->report.state != HD_TRIAL)
		return HN_PEER_NOTHING;  /* before its answer it may tell of another package */
	switch (p->report.state) {
	case HD_RECEIVING:
		if (p->phase == HN_PEER_ACTIVATE && p->report.re == HD_ACTIVATE && p->report.error)
			return finish(p, HN_PEER_REFUSED);
		if (p->phase == HN_PEER_BEGIN)
			enter(p, HN_PEER_SEND);
		if (p->phase != HN_PEER_SEND)
			break;
		acknowledge(p, now_us);
		if (p->next >= p->package.len)
			enter(p, HN_PEER_ACTIVATE);
		(void)hn_peer_tick(p, now_us);
		break;
	case HD_TRIAL:
		if (runs_package(p) && p->phase != HN_PEER_TRIAL && p->phase != HN_PEER_CONFIRM &&
		    p->phase != HN_PEER_REVERT) {
			enter(p, HN_PEER_TRIAL);
			return HN_PEER_IN_TRIAL;
		}
		break;
	case HD_FAILED:
		p->has_package = false;
		enter(p, HN_PEER_READY);
		return HN_PEER_REFUSED;
	case HD_IDLE:
		if (p->phase == HN_PEER_SEND) {  /* it lost what was staged */
			enter(p, HN_PEER_BEGIN);
			(void)hn_peer_tick(p, now_us);
		}
		break;
	default:
		break;
	}
	return HN_PEER_NOTHING;
}

static enum hn_peer_event on_report(struct hn_peer *p, const uint8_t *body, size_t len,
                                    int64_t now_us)
{
	if (hd_report_read(&p->report, body, len) != HD_OK || !p->has_hello)
		return HN_PEER_NOTHING;
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

enum hn_peer_event hn_peer_message(struct hn_peer *p, uint8_t type, uint16_t session,
                                   const uint8_t *body, size_t len, int64_t now_us)
{
	if (p->phase == HN_PEER_DOWN)
		return HN_PEER_NOTHING;
	p->heard_us = now_us;
	if (type == HD_HELLO)
		return on_hello(p, session, body, len, now_us);
	if (type == HD_STATUS && session == p->session)
		return on_report(p, body, len, now_us);
	return HN_PEER_NOTHING;
}

/* --- time ------------------------------------------------------------------------------------- */

static void speak(struct hn_peer *p, int64_t now_us)
{
	switch (p->phase) {
	case HN_PEER_HELLO:
		ask_hello(p);
		break;
	case HN_PEER_BEGIN:
		if (p->asks % 4 == 3)
			ask_hello(p);    /* it may have booted, and its HELLO was lost */
		else
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
	if (p->phase == HN_PEER_READY)
		return HN_PEER_SILENCE_US / 3;
	if (p->phase == HN_PEER_SEND)
		return 2 * rto(p);
	return p->asks > 8 ? 4 * (int64_t)ASK_US : ASK_US;
}

enum hn_peer_event hn_peer_tick(struct hn_peer *p, int64_t now_us)
{
	if (p->phase == HN_PEER_DOWN)
		return HN_PEER_NOTHING;
	if (p->phase != HN_PEER_HELLO && now_us - p->heard_us > HN_PEER_SILENCE_US) {
		p->has_hello = false;
		p->heard_us = now_us;
		enter(p, HN_PEER_HELLO);
		ask_hello(p);
		p->asked_us = now_us;
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
	p->next = p->bitmap = 0;
	memset(p->sent_at, 0, sizeof p->sent_at);
	if (!p->has_hello)
		return;
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
	enter(p, HN_PEER_CONFIRM);
	(void)hn_peer_tick(p, now_us);
}

void hn_peer_revert(struct hn_peer *p, int64_t now_us)
{
	if (p->phase != HN_PEER_TRIAL && p->phase != HN_PEER_CONFIRM)
		return;
	enter(p, HN_PEER_REVERT);
	(void)hn_peer_tick(p, now_us);
}
