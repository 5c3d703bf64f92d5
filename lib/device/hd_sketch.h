/* hd_sketch.h - report by exception: sketches of the data instead of the data.  Optional.
 *
 * Integers only.  Each sketch stands for the windows since the one before; sketches add up
 * (hd_sketch_merge), so a gateway that lost none can make hours from minutes.
 *
 *   channel: moments, extremes, lag-1 product, a histogram of eight bins on agreed edges, how often
 *            a value equals the one before (stuck) or lies at an end of its type (clip)
 *   model:   how often each class was the answer, a histogram of the margins
 *
 * Body of SKETCH, little-endian; a device with more than HD_SKETCH_CHANNELS channels sends several:
 *
 *   0 u32 tick_us, u32 count   of the last frame that it covers
 *   8 u32 frames, u32 model_version (of the answers, 0 = none)
 *  16 u16 windows
 *  18 u8  reason               see enum hd_reason
 *  19 u8  n_ch                 channels of the device
 *  20 u8  first, u8 n          the channels in this message: first .. first + n - 1
 *  22 u8  zero[2]
 *  24 u16 classes[8]           answers of class i; of class 7 and more in the last
 *  40 u16 margins[8]           answers with a margin of 32 i .. 32 i + 31
 *  56 n times { i64 sum, u64 sum2, i64 lag, i16 min, i16 max, u16 stuck, u16 clip, u16 bins[8],
 *               i16 low, u8 shift, u8 zero }
 *             lag = sum of x[t] x[t-1]; bin i counts (x - low) >> shift == i, the first and the
 *             last bin all that lies before and behind
 *
 * An exception is a Page-Hinkley test (Page 1954; Mouss et al. 2004) on the mean of each channel
 * and on the margin, over windows: the reference and the mean deviation from it are learned from
 * the first HD_SKETCH_LEARN of them. */
#ifndef HD_SKETCH_H
#define HD_SKETCH_H

#include "hd_msg.h"

enum {
	HD_SKETCH_BINS = 8, HD_SKETCH_LEARN = 64, HD_SKETCH_CHANNELS = 3,
	HD_SKETCH_HEAD = 56, HD_SKETCH_ENTRY = 52,
	HD_SKETCH_BODY_MAX = HD_SKETCH_HEAD + HD_SKETCH_CHANNELS * HD_SKETCH_ENTRY,
	HD_SKETCH_FRAMES_MAX = 60000     /* then it must go: no counter can overflow */
};

/* What a device sends.  Permanent. */
enum hd_telemetry {
	HD_TELEMETRY_RAW = 0,            /* every window and its answer                          */
	HD_TELEMETRY_SKETCH = 1,         /* a sketch every `heartbeat` windows                   */
	HD_TELEMETRY_EXCEPTION = 2       /* the same, and at once when something has changed      */
};

/* Why a sketch was sent.  Permanent. */
enum hd_reason { HD_REASON_HEARTBEAT = 0, HD_REASON_MEAN = 1, HD_REASON_MARGIN = 2 };

struct hd_page_hinkley {                 /* values in 1/256                                      */
	int32_t ref, dev;                /* mean and mean deviation of the first values          */
	int32_t up, down;
	uint8_t n;                       /* learned from so many                                 */
};

struct hd_sketch_channel {
	int64_t  sum, lag;
	uint64_t sum2;
	int16_t  min, max, last;
	uint16_t stuck, clip, bins[HD_SKETCH_BINS];
	int16_t  low;                    /* edges of the histogram                               */
	uint8_t  shift;
	struct hd_page_hinkley mean;
};

struct hd_sketch {                       /* private: use the functions                           */
	uint8_t  mode, n_ch, lambda, reason;
	bool     has_last, told;         /* told: an exception since the last heartbeat          */
	uint16_t heartbeat, raw_every;   /* windows; raw_every 0 = none                          */
	uint16_t windows, pull, since_raw;
	uint32_t frames;
	uint16_t classes[HD_SKETCH_BINS], margins[HD_SKETCH_BINS];
	struct hd_page_hinkley margin;
	struct hd_sketch_channel *channel;       /* (n_ch,) the caller's                         */
};

/* Raw telemetry until a gateway says otherwise; edges over the whole 16 bits. */
void hd_sketch_init(struct hd_sketch *s, struct hd_sketch_channel *channel, uint8_t n_ch);

/* Obey TELEMETRY or PULL: hd_config.order calls it.  Errors: HD_EFORMAT. */
hd_status hd_sketch_order(struct hd_sketch *s, const struct hd_frame *f);

/* A complete window: raw (n, n_ch), n >= 1.  Returns true when it is to be sent raw (telemetry is
 * raw, the window was pulled, or it is the turn of a sample). */
bool hd_sketch_window(struct hd_sketch *s, const int16_t *raw, uint16_t n);

/* The network's answer to it.  After a swap the margin is learned anew. */
void hd_sketch_answer(struct hd_sketch *s, uint8_t class_index, uint8_t margin);
void hd_sketch_swapped(struct hd_sketch *s);

/* After window and answer.  True: send the sketch now.  *raw: and this window, too, if it was not
 * sent. */
bool hd_sketch_is_due(struct hd_sketch *s, bool *raw);

/* The message of channels from `first`.  body (HD_SKETCH_BODY_MAX,).  Returns its length; the next
 * message begins with channel first + HD_SKETCH_CHANNELS.  After all, hd_sketch_clear. */
struct hd_sketch_stamp { uint32_t tick_us, count, model_version; };
size_t hd_sketch_write(const struct hd_sketch *s, const struct hd_sketch_stamp *stamp,
                       uint8_t first, uint8_t *body);
void hd_sketch_clear(struct hd_sketch *s);

/* --- the gateway's side (hd_sketch_read.c) ---------------------------------------------------- */

struct hd_sketch_report {                /* one SKETCH, decoded                                  */
	struct hd_sketch_stamp stamp;
	uint32_t frames;
	uint16_t windows;
	uint8_t  reason, n_ch, first, n;
	uint32_t classes[HD_SKETCH_BINS], margins[HD_SKETCH_BINS];
	struct hd_sketch_sums {
		int64_t  sum, lag;
		uint64_t sum2;
		int16_t  min, max, low;
		uint8_t  shift;
		uint32_t stuck, clip, bins[HD_SKETCH_BINS];
	} channel[HD_SKETCH_CHANNELS];
};

/* Errors: HD_EFORMAT (length, channels, numbers that contradict each other). */
hd_status hd_sketch_read(struct hd_sketch_report *r, const uint8_t *body, size_t n);

/* Add `more`, which follows `r`.  Errors: HD_ESTATE (other channels, edges or model version, or a
 * sum that does not fit); r is untouched then. */
hd_status hd_sketch_merge(struct hd_sketch_report *r, const struct hd_sketch_report *more);

/* Body of TELEMETRY.  Returns its length. */
struct hd_telemetry_order { uint8_t mode, lambda; uint16_t heartbeat, raw_every; };
enum { HD_TELEMETRY_LEN = 8 };
void hd_telemetry_write(const struct hd_telemetry_order *o, uint8_t body[HD_TELEMETRY_LEN]);
#endif
