/* Differences to bytes, a bit at a time: the whole state survives between two pieces. */
#include "hd_delta.h"

enum kind { HEAD, COUNT, RUN, VALUE };

/* One bit.  True when it completes d->value. */
static bool number(struct hd_delta *d, unsigned bit)
{
	if (d->low != 0) {
		d->value = d->value << 1 | bit;
		return --d->low == 1;
	}
	d->value += bit;
	if (d->value == HD_DELTA_ESCAPE) {
		d->value = 0;
		d->low = 32 + 1;
	} else if (bit == 0) {
		d->low = (uint8_t)(d->k[d->kind] + 1);
	}
	return d->low == 1;
}

/* The number is complete: what does it say, and which kind comes next? */
static void obey(struct hd_delta *d)
{
	uint32_t v = d->value, runs = d->k[RUN] != HD_DELTA_NO_RUNS;

	d->add = 0;
	if (d->kind == HEAD) {
		d->k[VALUE] = v & 31;
		d->k[RUN] = v >> 5 & 15;
		d->width = v & HD_DELTA_WIDE ? 4 : 1;
		d->kind = COUNT;
		return;
	}
	if (d->kind == COUNT) {
		d->units = v;
		v = 0;
	} else if (d->kind == RUN) {
		v = v < d->units ? v : d->units;
	} else {
		v += runs;
		d->add = v >> 1 ^ (0 - (v & 1));
		v = 1;
	}
	d->copy = v * d->width;
	d->units -= v;
	d->kind = d->units == 0 ? HEAD : runs && d->kind != RUN ? RUN : VALUE;
}

uint32_t hd_delta_run(struct hd_delta *d, const uint8_t *base, const uint8_t *piece, uint32_t n,
                      uint8_t *out, uint32_t room)
{
	uint32_t done = 0;

	d->k[HEAD] = HD_DELTA_HEAD_K;
	d->k[COUNT] = HD_DELTA_COUNT_K;
	while (done < room) {
		if (d->copy != 0) {
			uint32_t sum = base[d->at] + (d->add & 255);

			out[done++] = (uint8_t)sum;
			d->add = (d->add >> 8) + (sum >> 8);
			d->at++;
			d->copy--;
			continue;
		}
		if (d->bits == 0) {
			if (d->used == n)
				break;
			d->byte = piece[d->used++];
			d->bits = 8;
		}
		if (number(d, d->byte & 1)) {
			obey(d);
			d->value = d->low = 0;
		}
		d->byte >>= 1;
		d->bits--;
	}
	return done;
}
