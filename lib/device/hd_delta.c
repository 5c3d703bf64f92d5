/* Differences to bytes, a bit at a time: the whole state survives between two pieces. */
#include "hd_delta.h"

/* One bit.  True when it completes d->value. */
static bool number(struct hd_delta *d, uint32_t bit)
{
	if (d->low != 0) {
		d->value = d->value << 1 | bit;
		d->low--;
	} else if (bit == 0) {
		d->low = hd_delta_k(d->mean[d->kind]) + 1;
	} else if (++d->value == HD_DELTA_ESCAPE) {
		d->value = 0;
		d->low = 32 + 1;
	}
	return d->low == 1;
}

/* The number is complete: what does it say?  The other kind comes next. */
static void obey(struct hd_delta *d)
{
	uint32_t v = d->value, *mean = &d->mean[d->kind];

	*mean += v - (*mean >> 4);
	d->copy = v;
	d->add = 0;
	if (d->kind == HD_DELTA_VALUE) {
		d->copy = 1;
		v++;
		d->add = v >> 1 ^ (0 - (v & 1));
	}
	d->kind ^= 1;
	d->value = d->low = 0;
}

uint32_t hd_delta_run(struct hd_delta *d, const uint8_t *base, const uint8_t *piece, uint32_t n,
                      uint8_t *out, uint32_t room)
{
	uint32_t done = 0, bit;

	while (done < room) {
		if (d->copy != 0) {
			out[done++] = (uint8_t)(base[d->at++] + d->add);
			d->copy--;
			continue;
		}
		if (d->bits <= 1) {
			if (d->used == n)
				break;
			d->bits = piece[d->used++] | 0x100u;
		}
		bit = d->bits & 1;
		d->bits >>= 1;
		if (number(d, bit))
			obey(d);
	}
	return done;
}
