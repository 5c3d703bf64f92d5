/* The gateway's side of sketches: read, add up, order. */
#include "hd_sketch.h"

static int64_t get64(const uint8_t *p)
{
	uint64_t v = (uint64_t)hd_get32(p + 4) << 32 | hd_get32(p);

	return v > INT64_MAX ? -(int64_t)~v - 1 : (int64_t)v;
}

static int16_t get_i16(const uint8_t *p)
{
	uint16_t v = hd_get16(p);

	return (int16_t)(v > INT16_MAX ? (int32_t)v - 65536 : v);
}

/* Returns their sum. */
static uint32_t get_counts(const uint8_t *p, uint32_t count[HD_SKETCH_BINS])
{
	uint32_t sum = 0;
	unsigned i;

	for (i = 0; i < HD_SKETCH_BINS; i++) {
		count[i] = hd_get16(p + 2 * i);
		sum += count[i];
	}
	return sum;
}

/* The moments of n values of 16 bits: nothing else can be a sketch's. */
static bool possible(const struct hd_sketch_sums *k, uint32_t n)
{
	const int64_t most = (int64_t)n << 30;

	return k->sum >= -((int64_t)n << 15) && k->sum <= (int64_t)n << 15
		&& k->sum2 <= (uint64_t)most && k->lag >= -most && k->lag <= most && k->min <= k->max
		&& k->shift < 16 && k->stuck <= n && k->clip <= n;
}

hd_status hd_sketch_read(struct hd_sketch_report *r, const uint8_t *body, size_t n)
{
	struct hd_sketch_report x;
	unsigned i;

	if (n < HD_SKETCH_HEAD)
		return HD_EFORMAT;
	x.stamp.tick_us = hd_get32(body);
	x.stamp.count = hd_get32(body + 4);
	x.frames = hd_get32(body + 8);
	x.stamp.model_version = hd_get32(body + 12);
	x.windows = hd_get16(body + 16);
	x.reason = body[18];
	x.n_ch = body[19];
	x.first = body[20];
	x.n = body[21];
	if (x.frames == 0 || x.frames > UINT16_MAX || x.windows == 0 || x.windows > x.frames
	    || x.n == 0 || x.n > HD_SKETCH_CHANNELS || x.first + x.n > x.n_ch
	    || n != HD_SKETCH_HEAD + (size_t)x.n * HD_SKETCH_ENTRY)
		return HD_EFORMAT;
	if (get_counts(body + 24, x.classes) != get_counts(body + 40, x.margins))
		return HD_EFORMAT;
	for (i = 0; i < x.n; i++) {
		const uint8_t *p = body + HD_SKETCH_HEAD + i * HD_SKETCH_ENTRY;
		struct hd_sketch_sums *k = &x.channel[i];

		k->sum = get64(p);
		k->sum2 = (uint64_t)get64(p + 8);
		k->lag = get64(p + 16);
		k->min = get_i16(p + 24);
		k->max = get_i16(p + 26);
		k->stuck = hd_get16(p + 28);
		k->clip = hd_get16(p + 30);
		k->low = get_i16(p + 48);
		k->shift = p[50];
		if (get_counts(p + 32, k->bins) != x.frames || !possible(k, x.frames))
			return HD_EFORMAT;
	}
	*r = x;
	return HD_OK;
}

static bool same_kind(const struct hd_sketch_report *a, const struct hd_sketch_report *b)
{
	unsigned i;

	if (a->n_ch != b->n_ch || a->first != b->first || a->n != b->n
	    || a->stamp.model_version != b->stamp.model_version
	    || a->windows > UINT16_MAX - b->windows || a->frames > UINT32_MAX - b->frames)
		return false;
	for (i = 0; i < a->n; i++) {
		if (a->channel[i].low != b->channel[i].low || a->channel[i].shift != b->channel[i].shift)
			return false;
	}
	return true;
}

static void add_counts(uint32_t *to, const uint32_t *more)
{
	unsigned i;

	for (i = 0; i < HD_SKETCH_BINS; i++)
		to[i] += more[i];
}

hd_status hd_sketch_merge(struct hd_sketch_report *r, const struct hd_sketch_report *more)
{
	unsigned i;

	if (!same_kind(r, more))
		return HD_ESTATE;
	r->stamp = more->stamp;
	r->frames += more->frames;
	r->windows = (uint16_t)(r->windows + more->windows);
	r->reason = more->reason > r->reason ? more->reason : r->reason;
	add_counts(r->classes, more->classes);
	add_counts(r->margins, more->margins);
	for (i = 0; i < r->n; i++) {
		struct hd_sketch_sums *a = &r->channel[i];
		const struct hd_sketch_sums *b = &more->channel[i];

		a->sum += b->sum;
		a->sum2 += b->sum2;
		a->lag += b->lag;
		if (b->min < a->min)
			a->min = b->min;
		if (b->max > a->max)
			a->max = b->max;
		a->stuck += b->stuck;
		a->clip += b->clip;
		add_counts(a->bins, b->bins);
	}
	return HD_OK;
}

void hd_telemetry_write(const struct hd_telemetry_order *o, uint8_t body[HD_TELEMETRY_LEN])
{
	body[0] = o->mode;
	body[1] = o->lambda;
	hd_put16(body + 2, o->heartbeat);
	hd_put16(body + 4, o->raw_every);
	hd_put16(body + 6, 0);
}
