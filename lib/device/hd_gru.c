/* Gated recurrent unit, reset after the product: int8 inputs and weights, the state in Q15.
 * The scheme is ours (docs/decisions/011-int8-gru.md): TFLite has no GRU. */
#include "hd_ops.h"
#include <string.h>

enum { UNITS_MAX = 256, TABLE_END = 128, TABLE_BYTES = 2 * TABLE_END + 4, ZERO_POINTS = 4 };

static uint32_t gru_check(const struct hd_layer *l, uint32_t room)
{
	struct hd_layer product = *l;
	uint32_t took, i, wrong = 0;

	if (l->out_ch > UNITS_MAX || l->p > 1 || l->q != 0
	    || l->out_len != (l->p ? l->in_len : 1))
		return 0;
	product.out_ch = (uint16_t)(3 * l->out_ch);
	for (i = 0; i < 2; i++) {
		took = hd_product_check(&product, i ? l->out_ch : l->in_ch, room);
		if (took == 0)
			return 0;
		wrong |= hd_load32(product.constants) >> (i ? 0 : 8);
		product.constants += took;
		room -= took;
	}
	if (room < TABLE_BYTES)
		return 0;
	for (i = 0; i < TABLE_BYTES; i += 4)
		wrong |= hd_load32(product.constants + i) & 0x80008000u;
	wrong |= hd_load16(product.constants + TABLE_BYTES - 2);
	product.constants += TABLE_BYTES;
	return wrong == 0 ? (uint32_t)(product.constants - l->constants) : 0;
}

/* One of the two products: of int8 inputs, or of the Q15 state. */
struct product {
	const uint8_t *c, *w;    /* constants; the weights among them */
	uint32_t n;
	const int8_t *x;         /* NULL: h */
	const int16_t *h;
};

struct cell {
	struct product in, state;
	const uint8_t *table;
	uint32_t units, rows;
};

/* Returns the end of its constants. */
HD_NOINLINE static const uint8_t *product_init(struct product *p, const uint8_t *c,
                                               uint32_t rows, uint32_t n)
{
	p->n = n;
	p->c = c;
	p->w = c + ZERO_POINTS + 8 * rows + ((rows + 3) & ~(uint32_t)3);
	return p->w + ((rows * n + 3) & ~(uint32_t)3);
}

static int32_t product_row(const struct product *p, uint32_t o, uint32_t rows)
{
	const uint8_t *bias = p->c + ZERO_POINTS + 4 * o, *w = p->w + o * p->n;
	uint32_t sum = hd_load32(bias), i;   /* a hostile image may wrap it */
	int zp = (int8_t)p->c[0];

	for (i = 0; i < p->n; i++)
		sum += (uint32_t)((int8_t)w[i] * (p->x ? p->x[i] - zp : p->h[i]));
	return hd_rq((int32_t)sum, (int32_t)hd_load32(bias + 4 * rows),
	             (int8_t)p->c[ZERO_POINTS + 8 * rows + o]);
}

/* T(a + b), Q15. */
static int32_t squash(const struct cell *c, int32_t a, int32_t b)
{
	uint32_t v = (uint32_t)a + (uint32_t)b, u = v >> 31 ? 0u - v : v, i = u >> 8;
	int32_t t = hd_load16(c->table + 2 * (i < TABLE_END ? i : TABLE_END));

	if (i < TABLE_END)
		t += (hd_load16(c->table + 2 * i + 2) - t) * (int32_t)(u & 255) >> 8;
	return v >> 31 ? -t : t;
}

/* New state of unit u. */
static int32_t unit(const struct cell *c, uint32_t u)
{
	int32_t gate[2], a, b, h = c->state.h[u], i;

	for (i = 0;; i++, u += c->units) {       /* z, r, n */
		a = product_row(&c->in, u, c->rows);
		b = product_row(&c->state, u, c->rows);
		if (i == 2)
			break;
		gate[i] = ((squash(c, a, b) + 0x8000) >> 1) * 0x10000;
	}
	a = squash(c, a, hd_rq(b, gate[1], 0));
	return a + hd_rq(h - a, gate[0], 0);
}

static const uint8_t *gru_run(const struct hd_layer *l, const int8_t *x, int8_t *y)
{
	uint32_t units = l->out_ch, t, u;
	int16_t *h = l->work, *fresh = h + units;
	struct cell c;

	c.units = units;
	c.rows = 3 * units;
	c.table = product_init(&c.in, l->constants, c.rows, l->in_ch);
	c.table = product_init(&c.state, c.table, c.rows, units);
	c.in.x = x;
	c.state.x = NULL;
	c.state.h = c.in.h = h;
	memset(h, 0, 2 * units);
	for (t = 0; t < l->in_len; t++, c.in.x += l->in_ch) {
		for (u = 0; u < units; u++)
			fresh[u] = (int16_t)unit(&c, u);
		memcpy(h, fresh, 2 * units);
		for (u = 0; u < units; u++)
			y[u] = (int8_t)(h[u] < 0x7f80 ? (h[u] + 128) >> 8 : 127);
		y += l->p ? units : 0;
	}
	return c.table + TABLE_BYTES;
}

const struct hd_op_row hd_gru = { HD_OP_GRU, false, 4, "gru", gru_check, gru_run };
