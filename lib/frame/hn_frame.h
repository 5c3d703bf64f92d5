/* hn_frame.h - a frame: one row of a stream.
 *
 * Values travel and are stored as raw integers with the channel's scale and offset:
 *     value [unit] = raw * scale + offset
 * so that gateway and device compute from the very same integers. */
#ifndef HN_FRAME_H
#define HN_FRAME_H

#include <stdint.h>
#include "hn_status.h"

enum { HN_CHANNELS_MAX = 128, HN_NAME_MAX = 32 /* bytes of a name, with the final 0 */ };

/* Quality flags, QARTOD numbers; the aggregate of several is the largest ("worst"). */
enum hn_quality {
	HN_GOOD = 1, HN_NOT_EVALUATED = 2, HN_SUSPECT = 3, HN_FAIL = 4, HN_MISSING = 9
};

struct hn_channel {
	char   name[HN_NAME_MAX], unit[16];
	double scale, offset;    /* value = raw * scale + offset; scale > 0                    */
	double min, max;         /* physical range [unit]; min == max: not checked             */
};

struct hn_frame {
	int      stream;         /* index of the stream in the configuration                   */
	int64_t  event_us;       /* when it was measured, us since 1970-01-01 UTC              */
	int64_t  ingest_us;      /* when it arrived here                                       */
	uint16_t n;              /* channels                                                   */
	int32_t  raw[HN_CHANNELS_MAX];
	uint8_t  quality[HN_CHANNELS_MAX];     /* enum hn_quality                              */
};

/* Put a physical value into channel `i`: NaN becomes HN_MISSING, infinite or beyond int32 HN_FAIL
 * (raw 0 in both cases), otherwise raw = round((value - offset) / scale), HN_NOT_EVALUATED. */
void hn_frame_set(struct hn_frame *f, uint16_t i, const struct hn_channel *c, double value);

/* Physical value of channel `i`; NaN when missing or failed. */
double hn_frame_value(const struct hn_frame *f, uint16_t i, const struct hn_channel *c);
#endif
