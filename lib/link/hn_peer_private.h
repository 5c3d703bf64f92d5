/* hn_peer_private.h - between hn_peer.c (what the gateway says, and when) and hn_peer_hear.c. */
#ifndef HN_PEER_PRIVATE_H
#define HN_PEER_PRIVATE_H

#include "hn_peer.h"

enum {
	ASK_US = 250000, ASK_MAX_US = 1000000, UNANSWERED = 3,  /* so often asked: HELLO_ASK instead */
	SEQ_BEHIND = 64, SEQ_AGE_US = 4000000,
	LEAP_US = 1000000,               /* longer than between any two ticks */
	NUDGE_US = 8000, NUDGES = 4,
	FRUITLESS_MAX = 2, SESSIONS_BEHIND = 16, GUESS_US = 4000000
};

void hn_peer_enter(struct hn_peer *p, enum hn_peer_phase phase);
/* Another session: the device's numbers begin again, and what it said before counts no more. */
void hn_peer_renew(struct hn_peer *p);
void hn_peer_ask_hello(struct hn_peer *p);
/* After HELLO: where does the work stand? */
void hn_peer_resume(struct hn_peer *p);
void hn_peer_follow_clock(struct hn_peer *p, int64_t now_us);
#endif
