/* The int8 form of a gru: two products, of the input and of the state in Q15, and a table of tanh.
 * Why so: docs/decisions/011-int8-gru.md; arithmetic: lib/device/hd_image.h. */
#include "hn_layer.h"

#include <math.h>
#include <string.h>
#include "hd_image.h"

enum { UNITS_MAX = 256, TABLE_END = 128, TABLE_BYTES = 260 };

size_t hn_gru_bytes(const struct hn_layer *l)
{
	const size_t n = l->out.ch;

	if (n > UNITS_MAX || l->in.ch > HD_VALUES_MAX)
		return 0;
	return hn_product_bytes(l->in.ch, 3 * n) + hn_product_bytes(n, 3 * n) + TABLE_BYTES;
}

uint32_t hn_gru_pq(const struct hn_layer *l)
{
	return l->opt[0] > 0;
}

/* One gate of one of the two products.  The weights have the gates in the order r, z, n, an image
 * z, r, n.  z and r come in steps of 1/2048, n in 1/4096: a sigmoid is the tanh of half. */
static struct hn_rows_q gate_of(const struct hn_layer_q *q, bool state, size_t gate)
{
	static const unsigned char place[] = { 1, 0, 2 };
	const size_t n = q->l->out.ch, in = q->l->in.ch, row = state ? n : in;
	const float *w = q->w + (state ? 3 * n * in : 0), *bias = q->w + 3 * n * (in + n);

	return (struct hn_rows_q){
		.w = w + gate * n * row, .bias = bias + (state ? 3 * n : 0) + gate * n, .row = row, .n = n,
		.out = 3 * n, .image_row = place[gate] * n,
		.in_scale = state ? 1.0 / 32768 : q->in_scale, .out_scale = gate < 2 ? 1.0 / 2048 : 1.0 / 4096,
		.frozen = q->frozen ? q->frozen + (state ? hn_product_bytes(in, 3 * n) : 0) : NULL };
}

hn_status hn_gru_quantise(const struct hn_layer_q *q)
{
	const size_t n = q->l->out.ch;
	uint8_t *state = q->out + hn_product_bytes(q->l->in.ch, 3 * n);
	uint8_t *table = state + hn_product_bytes(n, 3 * n);
	hn_status rc = HN_OK;

	q->out[0] = (uint8_t)q->in_zp;
	for (size_t gate = 0; gate < 3 && !rc; gate++) {
		const struct hn_rows_q x = gate_of(q, false, gate), h = gate_of(q, true, gate);

		rc = hn_rows_quantise(&x, q->out);
		if (!rc)
			rc = hn_rows_quantise(&h, state);
	}
	for (size_t i = 0; i <= TABLE_END; i++)
		hd_put16(table + 2 * i, (uint16_t)fmin(32767, round(32768 * tanh((double)i / 16))));
	return rc;
}

void hn_gru_steps(const struct hn_layer_q *q, float *step)
{
	const size_t n = q->l->out.ch;

	for (size_t gate = 0; gate < 3; gate++) {
		const struct hn_rows_q x = gate_of(q, false, gate), h = gate_of(q, true, gate);

		hn_rows_steps(&x, step + (x.w - q->w));
		hn_rows_steps(&h, step + (h.w - q->w));
	}
	memset(step + 3 * n * (q->l->in.ch + n), 0, 6 * n * sizeof *step);
}
