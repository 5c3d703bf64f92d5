/* Segments are found greedily: a block of BLOCK bytes joins the present segment when its best code
 * costs no more there than in a segment of its own, head included.  Costs are exact: the code
 * lengths of all parameters are added up as the bytes go by. */
#include "hn_delta.h"

#include <string.h>
#include "hd_delta.h"

enum { BLOCK = 32, VALUE_KS = 27, RUN_KS = HD_DELTA_NO_RUNS, HEAD_BITS = HD_DELTA_HEAD_K + 1 };

/* Bits of the number v with parameter k. */
static uint64_t cost_of(uint32_t v, unsigned k)
{
	const uint32_t q = v >> k;

	return q < HD_DELTA_ESCAPE ? q + 1 + k : HD_DELTA_ESCAPE + 32;
}

/* What a segment costs in bits, for every parameter, in units of one width. */
struct tally {
	uint64_t plain[VALUE_KS];        /* a value for each unit                              */
	uint64_t value[VALUE_KS];        /* values behind runs                                 */
	uint64_t run[RUN_KS];
	uint32_t pending;                /* units since the last value: a run that is open     */
};

struct span {                            /* a segment: [at, at + len)                          */
	size_t at, len;
	struct tally narrow, wide;
};

/* The best code of a tally. */
struct choice { uint64_t bits; unsigned k_value, k_run; };

struct coder {
	const uint8_t *base, *next;
	size_t len, cap;
	uint8_t *out;                    /* NULL: count only                                   */
	uint64_t bits;
	uint32_t rest;                   /* bits of the last, unfinished byte                  */
};

/* Difference of the unit at `at`, in zig-zag order: 0, -1, 1, -2, .. are 0, 1, 2, 3, .. */
static uint32_t difference(const struct coder *c, size_t at, unsigned width)
{
	uint32_t d;

	if (width == 1) {
		const int8_t small = (int8_t)(c->next[at] - c->base[at]);

		return (uint32_t)(small < 0 ? -2 * small - 1 : 2 * small);
	}
	d = hd_get32(c->next + at) - hd_get32(c->base + at);
	return d << 1 ^ (0 - (d >> 31));
}

static void count_unit(struct tally *t, uint32_t u)
{
	for (unsigned k = 0; k < VALUE_KS; k++)
		t->plain[k] += cost_of(u, k);
	if (u == 0) {
		t->pending++;
		return;
	}
	for (unsigned k = 0; k < VALUE_KS; k++)
		t->value[k] += cost_of(u - 1, k);
	for (unsigned k = 0; k < RUN_KS; k++)
		t->run[k] += cost_of(t->pending, k);
	t->pending = 0;
}

/* A block more; only whole words can be wide. */
static void extend(const struct coder *c, struct span *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		count_unit(&s->narrow, difference(c, s->at + s->len + i, 1));
	for (size_t i = 0; i + 4 <= n; i += 4)
		count_unit(&s->wide, difference(c, s->at + s->len + i, 4));
	s->len += n;
}

static unsigned least(const uint64_t *bits, unsigned n)
{
	unsigned best = 0;

	for (unsigned k = 1; k < n; k++)
		if (bits[k] < bits[best])
			best = k;
	return best;
}

static struct choice choose_one(const struct tally *t)
{
	uint64_t run[RUN_KS];
	struct choice plain = { .k_value = least(t->plain, VALUE_KS), .k_run = HD_DELTA_NO_RUNS }, runs;

	memcpy(run, t->run, sizeof run);
	for (unsigned k = 0; k < RUN_KS && t->pending; k++)
		run[k] += cost_of(t->pending, k);
	runs.k_value = least(t->value, VALUE_KS);
	runs.k_run = least(run, RUN_KS);
	runs.bits = t->value[runs.k_value] + run[runs.k_run];
	plain.bits = t->plain[plain.k_value];
	return runs.bits < plain.bits ? runs : plain;
}

static struct choice choose(const struct span *s, unsigned *width)
{
	const struct choice narrow = choose_one(&s->narrow), wide = choose_one(&s->wide);
	const bool words = s->len % 4 == 0 && wide.bits < narrow.bits;

	*width = words ? 4 : 1;
	return words ? wide : narrow;
}

static uint64_t span_bits(const struct span *s)
{
	unsigned width;
	const uint64_t bits = choose(s, &width).bits;

	return HEAD_BITS + cost_of((uint32_t)(s->len / width), HD_DELTA_COUNT_K) + bits;
}

/* --- writing --------------------------------------------------------------------------------- */

static void put_bit(struct coder *c, unsigned bit)
{
	const size_t at = (size_t)(c->bits >> 3);

	c->rest |= bit << (c->bits++ & 7);
	if (c->out && at < c->cap)
		c->out[at] = (uint8_t)c->rest;
	if ((c->bits & 7) == 0)
		c->rest = 0;
}

static void put_number(struct coder *c, uint32_t v, unsigned k)
{
	const uint32_t q = v >> k;
	const bool escape = q >= HD_DELTA_ESCAPE;

	for (uint32_t i = 0; i < (escape ? HD_DELTA_ESCAPE : q); i++)
		put_bit(c, 1);
	if (!escape)
		put_bit(c, 0);
	for (unsigned left = escape ? 32 : k; left > 0; left--)
		put_bit(c, v >> (left - 1) & 1);
}

static void put_units(struct coder *c, const struct span *s, const struct choice *best,
                      unsigned width)
{
	const bool runs = best->k_run != HD_DELTA_NO_RUNS;
	uint32_t run = 0;

	for (size_t i = 0; i < s->len; i += width) {
		const uint32_t u = difference(c, s->at + i, width);

		if (runs && u == 0) {
			run++;
			continue;
		}
		if (runs)
			put_number(c, run, best->k_run);
		put_number(c, u - runs, best->k_value);
		run = 0;
	}
	if (run > 0)
		put_number(c, run, best->k_run);
}

static void put_span(struct coder *c, const struct span *s)
{
	unsigned width;
	const struct choice best = choose(s, &width);

	put_number(c, best.k_value | best.k_run << 5 | (width == 4 ? HD_DELTA_WIDE : 0u), HD_DELTA_HEAD_K);
	put_number(c, (uint32_t)(s->len / width), HD_DELTA_COUNT_K);
	put_units(c, s, &best, width);
}

static void encode(struct coder *c)
{
	struct span held = { 0 };

	for (size_t at = 0; at < c->len; ) {
		const size_t n = c->len - at < BLOCK ? c->len - at : BLOCK;
		struct span alone = { .at = at }, longer = held;

		extend(c, &alone, n);
		extend(c, &longer, n);
		if (held.len > 0 && span_bits(&held) + span_bits(&alone) < span_bits(&longer)) {
			put_span(c, &held);
			held = alone;
		} else {
			held = longer;
		}
		at += n;
	}
	if (held.len > 0)
		put_span(c, &held);
}

size_t hn_delta_size(const uint8_t *base, const uint8_t *next, size_t len)
{
	struct coder c = { .base = base, .next = next, .len = len };

	encode(&c);
	return (size_t)((c.bits + 7) / 8);
}

hn_status hn_delta_write(const uint8_t *base, const uint8_t *next, size_t len, uint8_t *out,
                         size_t cap, size_t *n)
{
	struct coder c = { .base = base, .next = next, .len = len, .out = out, .cap = cap };
	size_t need;

	encode(&c);
	need = (size_t)((c.bits + 7) / 8);
	if (need > cap)
		return HN_ENOMEM;
	*n = need;
	return HN_OK;
}
