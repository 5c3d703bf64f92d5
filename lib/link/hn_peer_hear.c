/* What the device says, and what follows from it; see hn_peer.h. */
#include "hn_peer_private.h"

#include <string.h>

static bool runs_package(const struct hn_peer *p)
{
	return p->report.active_version == p->package.version;
}

/* After HELLO: where does the work stand? */
void hn_peer_resume(struct hn_peer *p)
{
	struct hd_package k;

	if (!p->has_package) {
		hn_peer_enter(p, HN_PEER_READY);
		return;
	}
	if (p->hello.report.active_version == p->package.version) {
		p->tried = true;
		hn_peer_enter(p, p->hello.report.floor >= p->package.version ? HN_PEER_CONFIRM
		       : p->verdict ? p->verdict : HN_PEER_TRIAL);
		return;
	}
	/* the same bytes under an older number: nothing to send */
	if (hd_package_read(&k, p->package.header) == HD_OK && p->hello.report.active_version != 0 &&
	    p->hello.report.state != HD_TRIAL && memcmp(k.digest, p->hello.active_digest, 8) == 0) {
		p->package.version = p->hello.report.active_version;
		hn_peer_enter(p, HN_PEER_CONFIRM);
		return;
	}
	hn_peer_enter(p, p->hello.report.state == HD_TRIAL ? HN_PEER_CLEAR : HN_PEER_BEGIN);
}

/* HELLO with another session: it booted, or another gateway speaks to it. */
static void on_boot(struct hn_peer *p, uint16_t session, int64_t now_us)
{
	p->has_hello = false;
	p->report = (struct hd_report){ .state = HD_IDLE };
	hn_peer_enter(p, HN_PEER_HELLO);
	if (session == 0) {
		hn_peer_renew(p);
		hn_peer_ask_hello(p);
	}
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
	p->report = (struct hd_report){ .state = h->report.state, .floor = h->report.floor,
		.active_version = h->report.active_version, .active_model = h->report.active_model };
}

/* What the device runs is another now: let it say so (digest and floor are in HELLO only). */
static enum hn_peer_event finish(struct hn_peer *p, enum hn_peer_event e)
{
	p->has_package = false;
	hn_peer_enter(p, HN_PEER_HELLO);
	return e;
}

/* A refused delta is sent again as the full set, after a HELLO: until then answers may still be
 * about the delta.  Else the work ends in `phase`. */
static enum hn_peer_event refused(struct hn_peer *p, enum hn_peer_phase phase)
{
	if (p->package.full) {
		p->package = *p->package.full;
		p->has_hello = false;
		hn_peer_enter(p, HN_PEER_HELLO);
		return HN_PEER_NOTHING;
	}
	if (p->report.error == HD_EDIGEST && !p->resent) {
		p->resent = true;        /* replayed chunks of another session: once more, at once */
		hn_peer_enter(p, HN_PEER_BEGIN);
		return HN_PEER_NOTHING;
	}
	p->has_package = false;
	hn_peer_enter(p, phase);
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
		hn_peer_enter(p, HN_PEER_HELLO);
		p->asked_us = now_us;
		return HN_PEER_STRANGER;
	}
	if (p->has_package && p->tried && h.report.active_version != p->package.version)
		return finish(p, HN_PEER_REVERTED);
	hn_peer_resume(p);
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
	hn_peer_enter(p, HN_PEER_ACTIVATE);
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
	if (p->phase == HN_PEER_BEGIN ||
	    (p->phase == HN_PEER_ACTIVATE && p->report.next < p->package.len))
		hn_peer_enter(p, HN_PEER_SEND);
	if (p->phase == HN_PEER_SEND)
		acknowledge(p, now_us);
	(void)hn_peer_tick(p, now_us);
	return HN_PEER_NOTHING;
}

static enum hn_peer_event on_trial(struct hn_peer *p)
{
	if (!runs_package(p)) {          /* of what another gateway sent */
		hn_peer_enter(p, HN_PEER_HELLO);
		return HN_PEER_NOTHING;
	}
	if (p->phase == HN_PEER_TRIAL || p->phase == HN_PEER_CONFIRM || p->phase == HN_PEER_REVERT)
		return HN_PEER_NOTHING;
	p->tried = true;
	hn_peer_enter(p, p->verdict ? p->verdict : HN_PEER_TRIAL);
	return HN_PEER_IN_TRIAL;
}

static enum hn_peer_event on_progress(struct hn_peer *p, int64_t now_us)
{
	const bool answer = p->report.re == HD_BEGIN && p->report.state != HD_TRIAL;

	if (p->report.re == HD_CHUNK && p->report.error == HD_ESTATE) {
		hn_window_forget(&p->window);    /* it came before the slot was ready */
		p->ordered_us = 0;
	}
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
			hn_peer_enter(p, HN_PEER_HELLO); /* these weights run, and HELLO says so */
		else if (p->phase == HN_PEER_SEND || p->phase == HN_PEER_ACTIVATE)
			hn_peer_enter(p, HN_PEER_BEGIN); /* it lost what was staged */
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
	struct hd_report r;

	if (f->session != p->session || !p->has_hello || hd_report_read(&r, f->body, f->len) != HD_OK)
		return HN_PEER_NOTHING;
	p->asks = p->fruitless = 0;
	if (!p->has_package && r.re == HD_CHUNK)
		return HN_PEER_NOTHING;  /* what went out behind a BEGIN that was refused */
	p->report = r;
	if (!p->has_package || p->phase == HN_PEER_HELLO)
		return HN_PEER_NOTHING;  /* before HELLO it may tell of the package before */
	if (p->phase == HN_PEER_CLEAR) {
		if (p->report.state != HD_TRIAL)
			hn_peer_enter(p, HN_PEER_BEGIN);
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
void hn_peer_follow_clock(struct hn_peer *p, int64_t now_us)
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
	hn_peer_follow_clock(p, now_us);
	if (is_stale(p, f, now_us))
		return HN_PEER_NOTHING;
	p->heard_us = now_us;
	return f->type == HD_HELLO ? on_hello(p, f, now_us) : on_report(p, f, now_us);
}
