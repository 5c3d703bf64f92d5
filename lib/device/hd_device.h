/* hd_device.h - everything a firmware needs: link, slots, inference, trial and way back.
 *
 * Use:  hd_init() once.  In the main loop hd_rx_bytes() with what the receive interrupt's ring
 * holds, then hd_poll() with the time that may be spent.  hd_service() at each window boundary.
 * The swap to a new image happens only inside hd_service(), between two inferences: one pointer
 * store.  Nothing here blocks longer than the budget given, except one flash erase, which is
 * started only when the next deadline is further away than the erase takes.
 * All calls come from one context.  The self-test inside hd_poll() writes to cfg.arena: inference
 * that can interrupt hd_poll() needs an arena of its own. */
#ifndef HD_DEVICE_H
#define HD_DEVICE_H

#include "hd_delta.h"
#include "hd_image.h"
#include "hd_msg.h"
#include "hd_sha256.h"
#include "hd_slots.h"

struct hd_config {
	const struct hd_flash *flash;
	uint8_t  uid[HD_UID_LEN];        /* from here to build as in HELLO                     */
	uint32_t arch;                   /* accept only this architecture; 0 = any that fits   */
	uint32_t arena_bytes;
	uint32_t build;                  /* firmware build number                              */
	uint8_t *arena;                  /* (arena_bytes,) for the self-test, 4-byte aligned:
	                                  * activations, and behind them one set of outputs    */
	uint8_t  key[HD_KEY_LEN];        /* this device's key                                  */
	uint8_t  key_id;
	uint8_t  credits;                /* chunks that may be in flight, 1..8                 */
	uint8_t  trial_boots;            /* boot attempts of a trial, 3                        */
	uint32_t trial_inferences;       /* revert by itself when not confirmed after as many  */
	uint32_t nonce;                  /* differs at every boot, not to be guessed           */
	void    *ctx;
	/* Queue `n` bytes for the wire.  Returns false when there is no room: the frame is counted
	 * as lost and not sent. */
	bool   (*send)(void *ctx, const uint8_t *bytes, size_t n);
	uint32_t (*now_us)(void *ctx);   /* free running, wraps                                 */
	/* NULL, or asked instead of key_id and HMAC: did the author of packages sign bytes [0, 92) of
	 * this header, with the key that its key_id names?  `more` (n,) is what BEGIN carries behind
	 * the header, such as a signature; without a verify nothing may be there.  It may call
	 * hd_package_auth, too. */
	bool   (*verify)(void *ctx, const uint8_t *header, const uint8_t *more, size_t n);
	/* TELEMETRY and PULL: hd_sketch_order.  NULL: this device knows neither. */
	hd_status (*order)(void *order_ctx, const struct hd_frame *f);
	void    *order_ctx;
};

struct hd_device;                        /* see below: caller's storage */

/* Boot: read the journal, open the active image.  `cfg` stays the caller's and must outlive `d`.
 * Errors: HD_EFLASH, HD_EFORMAT (geometry). */
hd_status hd_init(struct hd_device *d, const struct hd_config *cfg);

/* Hand over received bytes.  Decodes only; one command at a time is kept until hd_poll has done
 * it.  Returns the number of bytes taken: less than n when a command waits.  Keep the rest and hand
 * it over again after hd_poll, so that the port's ring is the only queue:
 *     while (done < n) { done += hd_rx_bytes(d, bytes + done, n - done); hd_poll(d, ...); } */
HD_MUST_USE size_t hd_rx_bytes(struct hd_device *d, const uint8_t *bytes, size_t n);

/* The port lost `n` received bytes (overrun): counted in STATUS. */
void hd_rx_lost(struct hd_device *d, uint32_t n);

/* Do pending work (erase, program, hash, self-test, answer) for at most about `budget_us`;
 * `idle_us` = time until the next inference is due: an erase starts only if it fits. */
void hd_poll(struct hd_device *d, uint32_t budget_us, uint32_t idle_us);

/* The network in service, or NULL.  Switches to a verified new image here: call it once at each
 * window boundary and use the result until the next.  `*model_version` may be NULL. */
const struct hd_net *hd_service(struct hd_device *d, uint32_t *model_version);

/* Count one inference that was due (done in time or missed).  Drives the trial. */
void hd_inference_done(struct hd_device *d, bool missed);

/* Telemetry.  All three return false when the frame did not fit in the send queue (counted). */
bool hd_send_samples(struct hd_device *d, uint32_t tick_us, uint32_t period_us, uint32_t count,
                     uint8_t n_ch, uint8_t n, const int16_t *raw);
bool hd_send_prediction(struct hd_device *d, uint32_t tick_us, uint32_t count,
                        uint8_t class_index, uint8_t margin);

/* Any other message to the gateway: n <= HD_BODY_MAX. */
bool hd_send(struct hd_device *d, uint8_t type, const void *body, size_t n);

struct hd_device {                       /* private: use the functions; small and hot first */
	uint8_t  type, seq;              /* of the frame that goes out, with the session: its head */
	uint16_t session;
	uint8_t  tell;                   /* frames to send, see hd_stage.h                 */
	uint8_t  tail;                   /* bytes of the waiting CHUNK that are done with  */
	uint8_t  held;                   /* bytes of the result that wait in `out`         */
	uint8_t  vector;                 /* self-test: 0 = not opened, i + 1 = vector i is next */
	bool     waiting, used;          /* used: something was programmed since the erase */
	bool     may_erase, may_note;    /* in this piece of work: there is time for it    */
	struct hd_report report;         /* what STATUS says, and with the two below what  */
	uint8_t  active_digest[8];       /* HELLO begins with                              */
	uint32_t nonce_dev;
	const struct hd_flash *flash;
	const struct hd_config *cfg;
	const uint8_t *active, *spare;   /* mapped slots: in service or NULL; the other    */
	uint32_t spare_at;               /* flash address of the spare slot                */
	uint32_t wire_len;               /* bytes to be sent: payload or patch             */
	uint32_t solid, hash_at;         /* of the payload: in flash without a gap, hashed */
	uint32_t erase_at, erase_to;     /* offsets in the spare slot: erased so far, wanted */
	const struct hd_net *cur, *want; /* in service; to be in service after hd_service  */
	uint32_t nonce_gw, lost_tx;
	struct hd_slots  slots;
	struct hd_frame  frame;          /* the command that waits, in rx                  */
	struct hd_net    net[2];         /* opened image of each slot                      */
	struct hd_sha256 hash;
	uint32_t header[HD_PACKAGE_HEADER / 4];  /* staged header, programmed last; words: aligned */
	struct hd_delta  delta;
	uint32_t out[HD_GRAIN / 4];      /* result of a patch, before it is programmed     */
	struct hd_rx     rx;
};
#endif
