/* Gated recurrent unit, reset after the product: int8 inputs and weights, the state in Q15.
 * The scheme is ours (docs/decisions/011-int8-gru.md): TFLite has no GRU. */
#include "hd_ops.h"
#include <string.h>

enum { TABLE_END = 128, ZERO_POINTS = 4 };

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
	int rq_mode;
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

static int32_t product_row(const struct cell *cell, const struct product *p, uint32_t o)
{
	const uint8_t *bias = p->c + ZERO_POINTS + 4 * o, *w = p->w + o * p->n;
	uint32_t sum = hd_load32(bias), i;   /* a hostile image may wrap it */
	int zp = (int8_t)p->c[0];

	for (i = 0; i < p->n; i++)
		sum += (uint32_t)((int8_t)w[i] * (p->x ? p->x[i] - zp : p->h[i]));
	return hd_rescale((int32_t)sum, (int32_t)hd_load32(bias + 4 * cell->rows),
	                  (int8_t)p->c[ZERO_POINTS + 8 * cell->rows + o], cell->rq_mode);
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
		a = product_row(c, &c->in, u);
		b = product_row(c, &c->state, u);
		if (i == 2)
			break;
		gate[i] = ((squash(c, a, b) + 0x8000) >> 1) * 0x10000;
	}
	a = squash(c, a, hd_rq(b, gate[1], 0));
	return a + hd_rq(h - a, gate[0], 0);
}

void hd_gru_run(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y, void *arena)
{
	uint32_t units = l->out_ch, t, u;
	int16_t *h = (int16_t *)arena + 2 * l->more_at, *fresh = h + units;
	struct cell cell;

	cell.units = units;
	cell.rows = 3 * units;
	cell.rq_mode = l->rq_mode;
	cell.table = product_init(&cell.in, c, cell.rows, l->in_ch);
	cell.table = product_init(&cell.state, cell.table, cell.rows, units);
	cell.in.x = x;
	cell.state.x = NULL;
	cell.state.h = cell.in.h = h;
	memset(h, 0, 2 * units);
	for (t = 0; t < l->in_len; t++, cell.in.x += l->in_ch) {
		for (u = 0; u < units; u++)
			fresh[u] = (int16_t)unit(&cell, u);
		memcpy(h, fresh, 2 * units);
		for (u = 0; u < units; u++)
			y[u] = (int8_t)(h[u] < 0x7f80 ? (h[u] + 128) >> 8 : 127);
		y += l->p ? units : 0;
	}
}
