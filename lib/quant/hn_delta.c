/* The same numbers, means and parameters as in hd_delta.c, the other way round. */
#include "hn_delta.h"

#include "hd_delta.h"

struct coder {
	uint8_t *out;                    /* (cap,) NULL: count only                            */
	size_t cap;
	uint64_t bits;
	uint32_t rest;                   /* bits of the last, unfinished byte                  */
	uint32_t mean[2];                /* of runs and of values, as in struct hd_delta       */
};

static void put_bit(struct coder *c, unsigned bit)
{
	const size_t at = (size_t)(c->bits >> 3);

	c->rest |= bit << (c->bits++ & 7);
	if (c->out && at < c->cap)
		c->out[at] = (uint8_t)c->rest;
	if ((c->bits & 7) == 0)
		c->rest = 0;
}

static void put_number(struct coder *c, unsigned kind, uint32_t v)
{
	uint32_t *mean = &c->mean[kind];
	const unsigned k = hd_delta_k(*mean);
	const bool escape = v >> k >= HD_DELTA_ESCAPE;

	for (uint32_t i = 0; i < (escape ? HD_DELTA_ESCAPE : v >> k); i++)
		put_bit(c, 1);
	if (!escape)
		put_bit(c, 0);
	for (unsigned left = escape ? 32 : k; left > 0; left--)
		put_bit(c, v >> (left - 1) & 1);
	*mean += v - (*mean >> 4);
}

static void encode(struct coder *c, const uint8_t *base, const uint8_t *next, size_t len)
{
	uint32_t run = 0;

	for (size_t at = 0; at < len; at++) {
		const int8_t d = (int8_t)(next[at] - base[at]);

		if (d == 0) {
			run++;
			continue;
		}
		put_number(c, HD_DELTA_RUN, run);
		put_number(c, HD_DELTA_VALUE, (uint32_t)(d < 0 ? -2 * d - 1 : 2 * d) - 1);
		run = 0;
	}
	if (run > 0)
		put_number(c, HD_DELTA_RUN, run);
}

size_t hn_delta_size(const uint8_t *base, const uint8_t *next, size_t len)
{
	struct coder c = { 0 };

	encode(&c, base, next, len);
	return (size_t)((c.bits + 7) / 8);
}

hn_status hn_delta_write(const uint8_t *base, const uint8_t *next, size_t len, uint8_t *out,
                         size_t cap, size_t *n)
{
	struct coder c = { .out = out, .cap = cap };
	size_t need;

	encode(&c, base, next, len);
	need = (size_t)((c.bits + 7) / 8);
	if (need > cap)
		return HN_ENOMEM;
	*n = need;
	return HN_OK;
}
