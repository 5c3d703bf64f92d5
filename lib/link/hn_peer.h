/* hn_peer.h - the gateway's end of one device link: session, transfer, trial, confirmation.
 *
 * A pure state machine: it is told what happened (link up, a message, time passing) and answers by
 * calling `send`.  Transfer is selective repeat: as many chunks in flight as the device grants
 * credits, acknowledged by position and bitmap, repeated after a measured round-trip time.  It
 * resumes after a reset of either side from what the device says it has. */
#ifndef HN_PEER_H
#define HN_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hd_msg.h"
#include "hn_status.h"

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
	HN_PEER_SILENT           /* no answer for HN_PEER_SILENCE_US: asking again             */
};

enum { HN_PEER_SILENCE_US = 3000000, HN_PEER_WINDOW_MAX = 8 };

struct hn_peer_package {         /* borrowed until the work ends                             */
	const uint8_t *header;   /* (HD_PACKAGE_HEADER,)                                       */
	const uint8_t *payload;  /* (len,)                                                     */
	uint32_t len, version, model_version;
};

struct hn_peer {
	void *ctx;
	bool (*send)(void *ctx, uint8_t type, uint16_t session, const uint8_t *body, size_t len);
	uint8_t key[HD_KEY_LEN];
	enum hn_peer_phase phase;
	struct hd_hello  hello;
	struct hd_report report;
	struct hn_peer_package package;
	bool     has_package, has_hello;
	bool     begun;                  /* the device has answered BEGIN of this package        */
	uint16_t session;
	uint32_t nonce_gw, chunk;        /* chunk: payload bytes a CHUNK carries                 */
	uint32_t next, bitmap;           /* acknowledged so far                                  */
	int64_t  heard_us, asked_us, sent_us[HN_PEER_WINDOW_MAX];
	uint32_t sent_at[HN_PEER_WINDOW_MAX];    /* offset + 1 of the chunk last sent in a place */
	int64_t  srtt_us, rttvar_us;
	uint64_t bytes_sent;             /* chunk and header bytes, repeats included             */
	uint32_t repeats, asks;
};

void hn_peer_init(struct hn_peer *p, const uint8_t key[HD_KEY_LEN]);

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
enum hn_peer_event hn_peer_message(struct hn_peer *p, uint8_t type, uint16_t session,
                                   const uint8_t *body, size_t len, int64_t now_us);
enum hn_peer_event hn_peer_tick(struct hn_peer *p, int64_t now_us);
#endif
