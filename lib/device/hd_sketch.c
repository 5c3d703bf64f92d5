/* Sketches and when to send them. */
#include "hd_sketch.h"
#include <string.h>

enum { Q = 8, LAMBDA = 60, LAMBDA_MAX = 100, DEV_MIN = 64 /* a quarter */, OUTLIER = 8,
       FULL_SHIFT = 13 };

static void counters_clear(struct hd_sketch *s)
{
	uint8_t c;

	s->frames = 0;
	s->windows = 0;
	s->reason = HD_REASON_HEARTBEAT;
	memset(s->classes, 0, sizeof s->classes);
	memset(s->margins, 0, sizeof s->margins);
	for (c = 0; c < s->n_ch; c++) {
		struct hd_sketch_channel *k = &s->channel[c];

		k->sum = k->lag = 0;
		k->sum2 = 0;
		k->min = INT16_MAX;
		k->max = INT16_MIN;
		k->stuck = k->clip = 0;
		memset(k->bins, 0, sizeof k->bins);
	}
}

void hd_sketch_init(struct hd_sketch *s, struct hd_sketch_channel *channel, uint8_t n_ch)
{
	uint8_t c;

	memset(s, 0, sizeof *s);
	memset(channel, 0, n_ch * sizeof *channel);
	s->n_ch = n_ch;
	s->channel = channel;
	s->lambda = LAMBDA;
	for (c = 0; c < n_ch; c++) {
		channel[c].low = INT16_MIN;
		channel[c].shift = FULL_SHIFT;
	}
	counters_clear(s);
}

void hd_sketch_clear(struct hd_sketch *s)
{
	if (s->reason == HD_REASON_HEARTBEAT)
		s->told = false;
	counters_clear(s);
}

hd_status hd_sketch_order(struct hd_sketch *s, const struct hd_frame *f)
{
	const uint8_t *b = f->body;

	if (f->type == HD_PULL) {
		if (f->len != 2)
			return HD_EFORMAT;
		s->pull = hd_get16(b);
		return HD_OK;
	}
	if (f->len != HD_TELEMETRY_LEN || b[0] > HD_TELEMETRY_EXCEPTION || b[1] == 0
	    || b[1] > LAMBDA_MAX || hd_get16(b + 2) == 0)
		return HD_EFORMAT;
	s->mode = b[0];
	s->lambda = b[1];
	s->heartbeat = hd_get16(b + 2);
	s->raw_every = hd_get16(b + 4);
	return HD_OK;
}

/* --- data ------------------------------------------------------------------------------------- */

static int32_t clamp(int32_t v, int32_t most)
{
	return v < -most ? -most : v > most ? most : v;
}

/* True when the mean of `x` [1/256] has left its reference.  Then it begins again. */
static bool page_hinkley(struct hd_page_hinkley *p, int32_t x, uint8_t lambda)
{
	int32_t d = x - p->ref, slack, limit;

	if (p->n < HD_SKETCH_LEARN) {
		p->n++;
		p->ref += d / p->n;
		p->dev += ((d < 0 ? -d : d) - p->dev) / p->n;
		return false;
	}
	limit = p->dev > DEV_MIN ? p->dev : DEV_MIN;
	slack = limit / 2;
	d = clamp(d, OUTLIER * limit);
	p->up = p->up + d > slack ? p->up + d - slack : 0;
	p->down = p->down - d > slack ? p->down - d - slack : 0;
	limit *= lambda;                 /* below 2^24 * 100 */
	if (p->up <= limit && p->down <= limit)
		return false;
	p->up = p->down = 0;
	return true;
}

static void add(struct hd_sketch_channel *k, int16_t x, bool has_last)
{
	int32_t bin = (int32_t)x - k->low;

	bin = bin < 0 ? 0 : bin >> k->shift;
	k->bins[bin < HD_SKETCH_BINS ? bin : HD_SKETCH_BINS - 1]++;
	k->sum += x;
	k->sum2 += (uint32_t)((int32_t)x * x);
	if (has_last) {
		k->lag += (int32_t)x * k->last;
		k->stuck = (uint16_t)(k->stuck + (x == k->last));
	}
	k->clip = (uint16_t)(k->clip + (x == INT16_MIN || x == INT16_MAX));
	if (x < k->min)
		k->min = x;
	if (x > k->max)
		k->max = x;
	k->last = x;
}

/* Is this window wanted raw? */
static bool take_raw(struct hd_sketch *s)
{
	if (s->mode == HD_TELEMETRY_RAW)
		return true;
	s->since_raw++;
	if (s->pull > 0) {
		s->pull--;
		return true;
	}
	if (s->raw_every == 0 || s->since_raw < s->raw_every)
		return false;
	s->since_raw = 0;
	return true;
}

bool hd_sketch_window(struct hd_sketch *s, const int16_t *raw, uint16_t n)
{
	uint16_t i;
	uint8_t c;

	if (n == 0)
		return false;
	for (c = 0; c < s->n_ch; c++) {
		struct hd_sketch_channel *k = &s->channel[c];
		int32_t sum = 0;

		for (i = 0; i < n; i++) {
			int16_t x = raw[(uint32_t)i * s->n_ch + c];

			sum += x;
			add(k, x, s->has_last || i > 0);
		}
		/* sum * 256 / n would overflow from 256 frames on */
		if (page_hinkley(&k->mean, sum / n * (1 << Q) + sum % n * (1 << Q) / n, s->lambda))
			s->reason = HD_REASON_MEAN;
	}
	s->has_last = true;
	s->frames += n;
	s->windows++;
	return take_raw(s);
}

void hd_sketch_answer(struct hd_sketch *s, uint8_t class_index, uint8_t margin)
{
	s->classes[class_index < HD_SKETCH_BINS ? class_index : HD_SKETCH_BINS - 1]++;
	s->margins[margin >> 5]++;
	if (page_hinkley(&s->margin, margin * (1 << Q), s->lambda))
		s->reason = HD_REASON_MARGIN;
}

void hd_sketch_swapped(struct hd_sketch *s)
{
	memset(&s->margin, 0, sizeof s->margin);
}

bool hd_sketch_is_due(struct hd_sketch *s, bool *raw)
{
	bool exception = s->mode == HD_TELEMETRY_EXCEPTION && s->reason != HD_REASON_HEARTBEAT
		&& !s->told;

	*raw = exception;
	if (s->mode == HD_TELEMETRY_RAW) {
		if (s->frames >= HD_SKETCH_FRAMES_MAX)
			counters_clear(s);       /* nobody asks for it */
		return false;
	}
	if (exception) {
		s->told = true;
		return true;
	}
	if (s->windows < s->heartbeat && s->frames < HD_SKETCH_FRAMES_MAX)
		return false;
	s->reason = HD_REASON_HEARTBEAT;
	return true;
}

/* --- message ---------------------------------------------------------------------------------- */

static void put64(uint8_t *p, uint64_t v)
{
	hd_put32(p, (uint32_t)v);
	hd_put32(p + 4, (uint32_t)(v >> 32));
}

static void put_counts(uint8_t *p, const uint16_t *count)
{
	unsigned i;

	for (i = 0; i < HD_SKETCH_BINS; i++)
		hd_put16(p + 2 * i, count[i]);
}

static void channel_write(const struct hd_sketch_channel *k, uint8_t *p)
{
	put64(p, (uint64_t)k->sum);
	put64(p + 8, k->sum2);
	put64(p + 16, (uint64_t)k->lag);
	hd_put16(p + 24, (uint16_t)k->min);
	hd_put16(p + 26, (uint16_t)k->max);
	hd_put16(p + 28, k->stuck);
	hd_put16(p + 30, k->clip);
	put_counts(p + 32, k->bins);
	hd_put16(p + 48, (uint16_t)k->low);
	p[50] = k->shift;
	p[51] = 0;
}

size_t hd_sketch_write(const struct hd_sketch *s, const struct hd_sketch_stamp *stamp,
                       uint8_t first, uint8_t *body)
{
	unsigned left = (unsigned)s->n_ch - first, i;
	unsigned n = left < HD_SKETCH_CHANNELS ? left : HD_SKETCH_CHANNELS;

	hd_put32(body, stamp->tick_us);
	hd_put32(body + 4, stamp->count);
	hd_put32(body + 8, s->frames);
	hd_put32(body + 12, stamp->model_version);
	hd_put16(body + 16, s->windows);
	body[18] = s->reason;
	body[19] = s->n_ch;
	body[20] = first;
	body[21] = (uint8_t)n;
	hd_put16(body + 22, 0);
	put_counts(body + 24, s->classes);
	put_counts(body + 40, s->margins);
	for (i = 0; i < n; i++)
		channel_write(&s->channel[first + i], body + HD_SKETCH_HEAD + i * HD_SKETCH_ENTRY);
	return HD_SKETCH_HEAD + (size_t)n * HD_SKETCH_ENTRY;
}
