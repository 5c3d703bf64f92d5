/* hn_window.h - selective repeat: which bytes of a payload to send next, and in how large pieces.
 *
 * The device acknowledges grains, by the first missing one and a bitmap; a chunk is one or more of
 * them.  A grain is sent again when its timer runs out, or sooner when one that was sent later has
 * arrived.  The chunks become smaller as the device counts more damaged frames, and larger again.
 * Pure; the payload is the caller's. */
#ifndef HN_WINDOW_H
#define HN_WINDOW_H

#include <stdbool.h>
#include <stdint.h>
#include "hd_msg.h"

enum { HN_WINDOW_PLACES = 64 };          /* above HD_GRAINS_AHEAD                                */

struct hn_grain {
	uint32_t at;                     /* offset + 1; 0 = this place has nothing on the way    */
	int64_t  sent_us;
	bool     again;                  /* sent more than once: its time measures nothing       */
};

struct hn_window {
	uint32_t len, grain, most;       /* bytes of the payload, a grain, the largest chunk     */
	uint32_t next, bitmap;           /* as in STATUS                                         */
	struct hn_grain place[HN_WINDOW_PLACES];
	int64_t  srtt_us, rttvar_us;     /* 0 = not measured yet                                 */
	int64_t  least_us;               /* the shortest round trip of this payload; 0 = none    */
	int64_t  arrived_us;             /* when the latest of what has arrived was sent         */
	unsigned backoff, disorder;      /* doublings of the timer; patience with reordering     */
	unsigned unmeasured;             /* answers in a row to repeats only                     */
	uint32_t damaged_seen;           /* last count of the device                             */
	uint32_t damaged, bytes;         /* recent frames damaged, of recent bytes sent          */
	bool     counting;               /* damaged_seen is set                                  */
	uint32_t repeats;                /* chunks sent again                                    */
};

/* A new payload.  What is known of the line stays. */
void hn_window_begin(struct hn_window *w, uint32_t len, uint32_t grain, uint32_t most);

/* Everything on the way is lost: the next chunks are first ones again.  What has arrived stays. */
void hn_window_forget(struct hn_window *w);

/* STATUS: the first missing byte and the bitmap behind it. */
void hn_window_ack(struct hn_window *w, uint32_t next, uint32_t bitmap, int64_t now_us);

/* Something else that was sent then has been answered: chunks before it came or are lost. */
void hn_window_passed(struct hn_window *w, int64_t sent_us);

/* How long the answer to something else took, at most: only until a chunk has been measured. */
void hn_window_guess(struct hn_window *w, int64_t rtt_us);

/* STATUS: the device's count of damaged frames.  It may begin again. */
void hn_window_damage(struct hn_window *w, uint32_t count);

/* What to send now: bytes [*at, *at + *n).  False: nothing, wait. */
bool hn_window_next(struct hn_window *w, unsigned credits, int64_t now_us, uint32_t *at,
                    uint32_t *n);
/* It was sent. */
void hn_window_sent(struct hn_window *w, uint32_t at, uint32_t n, int64_t now_us);

/* Most payload bytes of a chunk on this line. */
uint32_t hn_window_chunk(const struct hn_window *w);
/* Time after which what was not answered is taken as lost, [us]. */
int64_t hn_window_rto(const struct hn_window *w);
#endif
