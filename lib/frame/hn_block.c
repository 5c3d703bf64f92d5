/* hn_block.c - see the format in hn_block.h.
 *
 * All columns go through one 64-bit coder; raw values and flags are "narrow": their differences
 * wrap modulo 2^32.  Encoding looks at a column twice: the cost of each k, then writing. */
#include "hn_block.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "hd_crc32c.h"

enum {
	GROUP = 64, ORDERS = 3, MODE_CONSTANT = 3, FLAG_QUALITY = 1, CRC_LEN = 4, VARINT_MAX = 10
};

enum kind { COL_EVENT, COL_INGEST, COL_RAW, COL_QUALITY };

struct column { enum kind kind; uint16_t channel; };

/* --- differences --------------------------------------------------------------------------- */

struct history { uint64_t value, diff; };        /* of the frame before                        */

static bool is_narrow(struct column c)
{
	return c.kind == COL_RAW || c.kind == COL_QUALITY;
}

static uint64_t wrap(uint64_t d, bool narrow)
{
	const uint64_t low = d & UINT32_MAX;

	if (!narrow)
		return d;
	return low & 0x80000000u ? low | ~(uint64_t)UINT32_MAX : low;
}

static uint64_t zigzag(uint64_t d)
{
	return d << 1 ^ (0u - (d >> 63));
}

static uint64_t unzigzag(uint64_t z)
{
	return z >> 1 ^ (0u - (z & 1));
}

/* k-th difference of the next value. */
static uint64_t residual(struct history *h, unsigned k, uint64_t value, bool narrow)
{
	const uint64_t diff = wrap(value - h->value, narrow);
	const uint64_t r = k == 0 ? value : k == 1 ? diff : wrap(diff - h->diff, narrow);

	h->value = value;
	h->diff = diff;
	return r;
}

/* The value whose k-th difference is `r`. */
static uint64_t restore(struct history *h, unsigned k, uint64_t r, bool narrow)
{
	const uint64_t diff = k == 2 ? wrap(h->diff + r, narrow) : r;
	const uint64_t value = k == 0 ? r : wrap(h->value + diff, narrow);

	h->diff = wrap(value - h->value, narrow);
	h->value = value;
	return value;
}

static unsigned bits_of(uint64_t v)
{
	return v ? 64u - (unsigned)__builtin_clzll(v) : 0;
}

/* --- columns of a block -------------------------------------------------------------------- */

static uint64_t cell(const struct hn_block *b, struct column c, uint32_t i)
{
	const size_t at = (size_t)i * b->n_channels + c.channel;

	switch (c.kind) {
	case COL_EVENT:  return (uint64_t)b->event_us[i];
	case COL_INGEST: return (uint64_t)b->ingest_us[i] - (uint64_t)b->event_us[i];
	case COL_RAW:    return (uint64_t)(int64_t)b->raw[at];
	default:         return b->quality[at];
	}
}

/* Event time comes before ingest time, which builds on it. */
static void cell_put(struct hn_block *b, struct column c, uint32_t i, uint64_t v)
{
	const size_t at = (size_t)i * b->n_channels + c.channel;

	switch (c.kind) {
	case COL_EVENT:  b->event_us[i] = (int64_t)v; break;
	case COL_INGEST: b->ingest_us[i] = (int64_t)(v + (uint64_t)b->event_us[i]); break;
	case COL_RAW:    b->raw[at] = (int32_t)(uint32_t)v; break;
	default:         b->quality[at] = (uint8_t)v; break;
	}
}

/* --- writing ------------------------------------------------------------------------------- */

struct writer {
	uint8_t *p;
	size_t   len;            /* hn_block_bound keeps it in bounds                          */
	uint64_t acc;            /* bits not yet written, fewer than 8 between calls           */
	unsigned n_acc;
};

static void put_byte(struct writer *w, uint8_t v)
{
	w->p[w->len++] = v;
}

static void put_varint(struct writer *w, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		put_byte(w, (uint8_t)(v | 0x80));
	put_byte(w, (uint8_t)v);
}

/* Low `n` <= 32 bits of v. */
static void put_bits(struct writer *w, uint64_t v, unsigned n)
{
	w->acc |= (v & ((1ull << n) - 1)) << w->n_acc;
	for (w->n_acc += n; w->n_acc >= 8; w->n_acc -= 8) {
		put_byte(w, (uint8_t)w->acc);
		w->acc >>= 8;
	}
}

static void put_group(struct writer *w, const uint64_t *z, uint32_t n)
{
	uint64_t all = 0;
	unsigned width;

	for (uint32_t i = 0; i < n; i++)
		all |= z[i];
	width = bits_of(all);
	put_byte(w, (uint8_t)width);
	for (uint32_t i = 0; i < n && width; i++) {
		put_bits(w, z[i], width < 32 ? width : 32);
		if (width > 32)
			put_bits(w, z[i] >> 32, width - 32);
	}
	if (w->n_acc)
		put_bits(w, 0, 8 - w->n_acc);
}

struct source { const struct hn_block *b; const uint32_t *order; };

static uint64_t source_at(struct source s, struct column c, uint32_t i)
{
	return cell(s.b, c, s.order ? s.order[i] : i);
}

/* Cheapest mode of a column: sums group widths for every k in one pass. */
static unsigned choose_mode(struct source s, struct column c)
{
	struct history h[ORDERS] = { { 0 } };
	const bool narrow = is_narrow(c);
	const uint64_t first = source_at(s, c, 0);
	uint64_t all[ORDERS] = { 0 }, cost[ORDERS] = { 0 };
	bool constant = true;
	unsigned best = 0;

	for (uint32_t i = 0; i < s.b->n; i++) {
		const uint64_t v = source_at(s, c, i);
		const bool last = (i + 1) % GROUP == 0 || i + 1 == s.b->n;       /* of a group */

		constant = constant && v == first;
		for (unsigned k = 0; k < ORDERS; k++) {
			const uint64_t z = zigzag(residual(&h[k], k, v, narrow));

			all[k] |= i >= k ? z : 0;
			cost[k] += last ? bits_of(all[k]) * (uint64_t)(i % GROUP + 1) : 0;
			all[k] = last ? 0 : all[k];
		}
	}
	if (constant)
		return MODE_CONSTANT;
	for (unsigned k = 1; k < ORDERS; k++)
		if (cost[k] + 16 < cost[best])   /* 16: a start value costs about two bytes */
			best = k;
	return best;
}

static void put_column(struct writer *w, struct source s, struct column c)
{
	const unsigned k = choose_mode(s, c);
	const bool narrow = is_narrow(c);
	struct history h = { 0 };
	uint64_t z[GROUP];
	uint32_t n = 0;

	put_byte(w, (uint8_t)k);
	if (k == MODE_CONSTANT) {
		put_varint(w, zigzag(source_at(s, c, 0)));
		return;
	}
	for (uint32_t i = 0; i < s.b->n; i++) {
		const uint64_t v = source_at(s, c, i);
		const uint64_t r = zigzag(residual(&h, i < k ? i : k, v, narrow));

		if (i < k)
			put_varint(w, r);
		else
			z[n++] = r;
		if ((i + 1) % GROUP == 0 || i + 1 == s.b->n) {
			put_group(w, z, n);
			n = 0;
		}
	}
}

size_t hn_block_bound(uint32_t n, uint16_t n_channels)
{
	const size_t groups = n / GROUP + 1, head = 1 + 2 * VARINT_MAX + groups;

	return 2 + 2 * VARINT_MAX + 2 * (head + 8 * (size_t)n) +
	       n_channels * (head + 5 * (size_t)n) + n_channels * (head + 2 * (size_t)n) + CRC_LEN;
}

static bool quality_is_uniform(const struct hn_block *b)
{
	const size_t n = (size_t)b->n * b->n_channels;

	for (size_t i = 1; i < n; i++)
		if (b->quality[i] != b->quality[0])
			return false;
	return true;
}

hn_status hn_block_write(const struct hn_block *b, const uint32_t *order, uint8_t *out, size_t cap,
                         size_t *len)
{
	struct writer w = { .p = out };
	const struct source s = { b, order };
	const bool uniform = b->n > 0 && quality_is_uniform(b);

	if (b->n == 0 || b->n > HN_BLOCK_FRAMES_MAX || b->n_channels == 0 ||
	    b->n_channels > HN_CHANNELS_MAX)
		return HN_EINVAL;
	if (cap < hn_block_bound(b->n, b->n_channels))
		return HN_EFULL;
	put_byte(&w, HN_BLOCK_FORMAT);
	put_byte(&w, uniform ? FLAG_QUALITY : 0);
	put_varint(&w, b->n_channels);
	put_varint(&w, b->n);
	put_column(&w, s, (struct column){ COL_EVENT, 0 });
	put_column(&w, s, (struct column){ COL_INGEST, 0 });
	for (uint16_t c = 0; c < b->n_channels; c++)
		put_column(&w, s, (struct column){ COL_RAW, c });
	for (uint16_t c = 0; c < b->n_channels && !uniform; c++)
		put_column(&w, s, (struct column){ COL_QUALITY, c });
	if (uniform)
		put_byte(&w, b->quality[0]);
	hd_put32(out + w.len, hd_crc32c(0, out, w.len));
	*len = w.len + CRC_LEN;
	return HN_OK;
}

/* --- reading ------------------------------------------------------------------------------- */

struct reader {
	const uint8_t *p, *end;
	bool bad;                /* ran over the end: every read gives 0 from then on          */
};

static uint8_t get_byte(struct reader *r)
{
	if (r->p == r->end) {
		r->bad = true;
		return 0;
	}
	return *r->p++;
}

static uint64_t get_varint(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 7 * VARINT_MAX; shift += 7) {
		const uint8_t byte = get_byte(r);

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	r->bad = true;
	return 0;
}

static bool get_group(struct reader *r, uint64_t *z, uint32_t n)
{
	const unsigned width = get_byte(r);
	const size_t bytes = ((size_t)width * n + 7) / 8;
	size_t bit = 0;

	if (r->bad || width > 64 || bytes > (size_t)(r->end - r->p))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		z[i] = 0;
		for (unsigned got = 0; got < width;) {
			const unsigned at = (unsigned)(bit % 8);
			const unsigned take = width - got < 8 - at ? width - got : 8 - at;

			z[i] |= ((uint64_t)r->p[bit / 8] >> at & ((1u << take) - 1)) << got;
			got += take;
			bit += take;
		}
	}
	r->p += bytes;
	return true;
}

static bool get_column(struct reader *r, struct hn_block *b, struct column c)
{
	const unsigned k = get_byte(r);
	const bool narrow = is_narrow(c);
	struct history h = { 0 };
	uint64_t z[GROUP];

	if (k == MODE_CONSTANT) {
		const uint64_t v = unzigzag(get_varint(r));

		for (uint32_t i = 0; i < b->n; i++)
			cell_put(b, c, i, v);
		return !r->bad;
	}
	if (k >= ORDERS)
		return false;
	for (uint32_t base = 0; base < b->n; base += GROUP) {
		const uint32_t n = b->n - base < GROUP ? b->n - base : GROUP;
		uint32_t start = 0;

		for (; base == 0 && start < k && start < n; start++)
			cell_put(b, c, start, restore(&h, start, unzigzag(get_varint(r)), narrow));
		if (!get_group(r, z, n - start))
			return false;
		for (uint32_t i = start; i < n; i++)
			cell_put(b, c, base + i, restore(&h, k, unzigzag(z[i - start]), narrow));
	}
	return !r->bad;
}

static bool get_head(struct reader *r, uint8_t *flags, uint32_t *n, uint16_t *n_channels)
{
	const uint8_t format = get_byte(r);
	uint64_t channels, frames;

	*flags = get_byte(r);
	channels = get_varint(r);
	frames = get_varint(r);
	if (r->bad || format != HN_BLOCK_FORMAT || *flags > FLAG_QUALITY || channels == 0 ||
	    channels > HN_CHANNELS_MAX || frames == 0 || frames > HN_BLOCK_FRAMES_MAX)
		return false;
	*n_channels = (uint16_t)channels;
	*n = (uint32_t)frames;
	return true;
}

uint32_t hn_block_crc(const uint8_t *p, size_t len)
{
	return len < CRC_LEN ? 0 : hd_get32(p + len - CRC_LEN);
}

hn_status hn_block_check(const uint8_t *p, size_t len)
{
	struct reader r = { .p = p };
	uint8_t flags;
	uint32_t frames;
	uint16_t channels;

	if (len < CRC_LEN || hd_crc32c(0, p, len - CRC_LEN) != hn_block_crc(p, len))
		return HN_EFORMAT;
	r.end = p + len - CRC_LEN;
	return get_head(&r, &flags, &frames, &channels) ? HN_OK : HN_EFORMAT;
}

static bool get_columns(struct reader *r, struct hn_block *b, bool uniform)
{
	if (!get_column(r, b, (struct column){ COL_EVENT, 0 }) ||
	    !get_column(r, b, (struct column){ COL_INGEST, 0 }))
		return false;
	for (uint16_t c = 0; c < b->n_channels; c++)
		if (!get_column(r, b, (struct column){ COL_RAW, c }))
			return false;
	for (uint16_t c = 0; c < b->n_channels && !uniform; c++)
		if (!get_column(r, b, (struct column){ COL_QUALITY, c }))
			return false;
	if (uniform)
		memset(b->quality, get_byte(r), (size_t)b->n * b->n_channels);
	return !r->bad && r->p == r->end;
}

hn_status hn_block_read(const uint8_t *p, size_t len, struct hn_block *b)
{
	struct reader r = { .p = p };
	uint8_t flags = 0;

	b->n = 0;
	if (hn_block_check(p, len) != HN_OK)
		return HN_EFORMAT;
	r.end = p + len - CRC_LEN;
	if (!get_head(&r, &flags, &b->n, &b->n_channels))
		return HN_EFORMAT;
	if (b->n > b->cap || (size_t)b->n * b->n_channels > b->cells) {
		b->n = 0;
		return HN_EFULL;
	}
	if (!get_columns(&r, b, flags & FLAG_QUALITY)) {
		b->n = 0;
		return HN_EFORMAT;
	}
	return HN_OK;
}

/* --- frames -------------------------------------------------------------------------------- */

hn_status hn_block_push(struct hn_block *b, const struct hn_frame *f)
{
	if (b->n == 0)
		b->n_channels = f->n;
	if (f->n == 0 || f->n > HN_CHANNELS_MAX || f->n != b->n_channels)
		return HN_EINVAL;
	if (b->n >= b->cap || (size_t)(b->n + 1) * f->n > b->cells)
		return HN_EFULL;
	b->event_us[b->n] = f->event_us;
	b->ingest_us[b->n] = f->ingest_us;
	memcpy(b->raw + (size_t)b->n * f->n, f->raw, f->n * sizeof f->raw[0]);
	memcpy(b->quality + (size_t)b->n * f->n, f->quality, f->n);
	b->n++;
	return HN_OK;
}

void hn_block_frame(const struct hn_block *b, uint32_t i, struct hn_frame *f)
{
	assert(i < b->n);
	f->stream = 0;
	f->event_us = b->event_us[i];
	f->ingest_us = b->ingest_us[i];
	f->n = b->n_channels;
	memcpy(f->raw, b->raw + (size_t)i * b->n_channels, b->n_channels * sizeof f->raw[0]);
	memcpy(f->quality, b->quality + (size_t)i * b->n_channels, b->n_channels);
}
