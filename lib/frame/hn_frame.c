#include "hn_frame.h"

#include <assert.h>
#include <math.h>

void hn_frame_set(struct hn_frame *f, uint16_t i, const struct hn_channel *c, double value)
{
	double raw;

	assert(i < HN_CHANNELS_MAX);
	f->raw[i] = 0;
	f->quality[i] = HN_FAIL;
	if (isnan(value)) {
		f->quality[i] = HN_MISSING;
		return;
	}
	raw = round((value - c->offset) / c->scale);
	if (!(raw >= (double)INT32_MIN && raw <= (double)INT32_MAX))
		return;                  /* infinite, too large, or a scale that makes no number */
	f->raw[i] = (int32_t)raw;
	f->quality[i] = HN_NOT_EVALUATED;
}

double hn_frame_value(const struct hn_frame *f, uint16_t i, const struct hn_channel *c)
{
	assert(i < HN_CHANNELS_MAX);
	if (f->quality[i] == HN_MISSING || f->quality[i] == HN_FAIL)
		return (double)NAN;
	return (double)f->raw[i] * c->scale + c->offset;
}
