/* hn_peer.h - the gateway's end of one device link: session, transfer, trial, confirmation.
 *
 * A pure state machine: it is told what happened (link up, a message, time passing) and answers by
 * calling `send`.  Transfer is selective repeat (hn_window.h).  It resumes after a reset of either
 * side from what the device says it has.  Late and repeated messages of the device are told by the
 * sequence number of their frames. */
#ifndef HN_PEER_H
#define HN_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hd_msg.h"
#include "hn_status.h"
#include "hn_window.h"

enum hn_peer_phase {
	HN_PEER_DOWN,            /* no link                                                    */
	HN_PEER_HELLO,           /* asking who is there                                        */
	HN_PEER_READY,           /* known, nothing to do                                       */
	HN_PEER_BEGIN,           /* package announced, waiting for the slot                    */
	HN_PEER_SEND,            /* chunks                                                     */
	HN_PEER_ACTIVATE,        /* all there, the device verifies                             */
	HN_PEER_TRIAL,           /* runs the new image; waits for hn_peer_confirm              */
	HN_PEER_CONFIRM,         /* confirmation sent                                          */
	HN_PEER_REVERT,          /* told to go back                                            */
	HN_PEER_CLEAR            /* on trial of something else: told to leave that first       */
};

/* What hn_peer_* functions report to their caller, once each. */
enum hn_peer_event {
	HN_PEER_NOTHING,
	HN_PEER_KNOWN,           /* HELLO arrived: p->hello is fresh                           */
	HN_PEER_IN_TRIAL,        /* the new image runs on trial                                */
	HN_PEER_DONE,            /* confirmed: the package is in service                       */
	HN_PEER_REVERTED,        /* the device went back to its former image                   */
	HN_PEER_REFUSED,         /* p->report.error says why                                   */
	HN_PEER_SILENT,          /* no answer for HN_PEER_SILENCE_US or three keep_us          */
	HN_PEER_STRANGER         /* HELLO of another device: p->hello says of which            */
};

enum { HN_PEER_SILENCE_US = 3000000, HN_PEER_KEEP_US = 1000000 };

struct hn_peer_package {         /* borrowed until the work ends                             */
	const uint8_t *header;   /* (HD_PACKAGE_HEADER,)                                       */
	const uint8_t *payload;  /* (len,)                                                     */
	uint32_t len, version, model_version;
	const uint8_t *more;     /* (more_len,) behind the header in BEGIN: a signature; or NULL */
	uint32_t more_len;       /* at most HD_BODY_MAX - HD_PACKAGE_HEADER                    */
	const struct hn_peer_package *full;      /* of a delta: sent when it is refused; or NULL */
};

struct hn_peer {
	void *ctx;
	bool (*send)(void *ctx, uint8_t type, uint16_t session, const uint8_t *body, size_t len);
	uint8_t uid[HD_UID_LEN], key[HD_KEY_LEN];
	int64_t  keep_us;                /* between questions to a device with nothing to do     */
	enum hn_peer_phase phase;
	struct hd_hello  hello;
	struct hd_report report;
	struct hn_peer_package package;
	bool     has_package, has_hello;
	bool     begun;                  /* the device has answered BEGIN of this package        */
	bool     tried;                  /* it has run this package on trial                     */
	bool     resent;                 /* it has been damaged once                             */
	enum hn_peer_phase verdict;      /* HN_PEER_CONFIRM or HN_PEER_REVERT once it was given  */
	uint16_t session;
	uint32_t nonce_gw;
	struct hn_window window;
	int64_t  now_us, heard_us, asked_us;
	int64_t  entered_us;             /* this phase                                           */
	int64_t  ordered_us, probe_us;   /* when ACTIVATE, STATUS_ASK went out, unanswered; or 0 */
	uint8_t  nudges;                 /* questions behind that ACTIVATE                           */
	int64_t  seq_us;                 /* when seq was heard, 0 = never                        */
	uint8_t  seq;                    /* newest of HELLO and STATUS in this session           */
	uint64_t bytes_sent;             /* chunk and header bytes, repeats included             */
	uint32_t asks;                   /* since the device answered                            */
	uint32_t fruitless;              /* sessions begun since it answered in one              */
	uint32_t stale;                  /* messages that came late or twice                     */
};

void hn_peer_init(struct hn_peer *p, const uint8_t uid[HD_UID_LEN], const uint8_t key[HD_KEY_LEN]);

/* The link came up: begin a session with fresh random `session` (not 0) and `nonce`. */
void hn_peer_up(struct hn_peer *p, uint16_t session, uint32_t nonce, int64_t now_us);
void hn_peer_down(struct hn_peer *p);

/* Transfer this package when the device is known; replaces a former one. */
void hn_peer_install(struct hn_peer *p, const struct hn_peer_package *k, int64_t now_us);
/* Forget the package (a rollout was superseded); the device keeps what it runs. */
void hn_peer_drop(struct hn_peer *p);

/* Trial passed / failed. */
void hn_peer_confirm(struct hn_peer *p, int64_t now_us);
void hn_peer_revert(struct hn_peer *p, int64_t now_us);

/* A message arrived / time passed (call at least every 20 ms while a transfer runs). */
enum hn_peer_event hn_peer_message(struct hn_peer *p, const struct hd_frame *f, int64_t now_us);
enum hn_peer_event hn_peer_tick(struct hn_peer *p, int64_t now_us);
#endif
