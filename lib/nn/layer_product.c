/* int8 constants of the layers that multiply: dense, conv1d, and the two products of a gru.
 *
 * { i8 in_zp, out_zp, act_min, act_max } i32 bias[out] i32 mult[out] i8 shift[out] i8 w[out][row],
 * the last two padded to 4.  Weights symmetric for each output channel.
 * Source: TFLite quantisation specification. */
#include "hn_layer.h"

#include <math.h>
#include "hd_types.h"

static size_t pad4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

size_t hn_product_bytes(size_t row, size_t out)
{
	return 4 + 8 * out + pad4(out) + pad4(row * out);
}

/* Symmetric weights: max |w| / 127.  A channel that is all (nearly) zero needs its bias inside
 * int32.  Rounded to float, as other runtimes store it: they then find the same multiplier. */
static float product_scale(const float *w, size_t row, float bias, float in_scale)
{
	double top = 0, scale;

	for (size_t i = 0; i < row; i++)
		top = fmax(top, fabs((double)w[i]));
	scale = fmax(top / 127.0, fabs((double)bias) / (double)in_scale / 1e9);
	return (float)fmax(scale, 1e-12);
}

/* That of the frozen image to the bit, or by the weights.  A multiplier has more bits than a float,
 * so the product with the two other scales finds it again. */
static double scale_of(const struct hn_rows_q *q, size_t o)
{
	const float *w = q->w + o * q->row;

	if (q->frozen) {
		const size_t at = q->image_row + o;
		const int32_t mult = (int32_t)hd_get32(q->frozen + 4 + 4 * q->out + 4 * at);
		const int shift = (int8_t)q->frozen[4 + 8 * q->out + at];

		if (mult > 0)
			return (double)(float)(ldexp(mult, shift - 31) * q->out_scale / q->in_scale);
	}
	return (double)product_scale(w, q->row, q->bias[o], (float)q->in_scale);
}

void hn_rows_steps(const struct hn_rows_q *q, float *step)
{
	for (size_t o = 0; o < q->n; o++) {
		const float scale = (float)scale_of(q, o);

		for (size_t i = 0; i < q->row; i++)
			step[o * q->row + i] = scale;
	}
}

hn_status hn_rows_quantise(const struct hn_rows_q *q, uint8_t *block)
{
	for (size_t o = 0; o < q->n; o++) {
		const size_t at = q->image_row + o;
		const double scale = scale_of(q, o), b = round((double)q->bias[o] / (q->in_scale * scale));
		uint8_t *bias_at = block + 4 + 4 * at;
		uint8_t *w8 = block + 4 + 8 * q->out + pad4(q->out) + at * q->row;
		int32_t mult;
		int8_t shift;

		if (!isfinite(scale) || !(fabs(b) < 2147483647.0))
			return HN_ENUMERIC;
		hn_quant_mult(q->in_scale * scale / q->out_scale, &mult, &shift);
		hd_put32(bias_at, (uint32_t)(int32_t)b);
		hd_put32(bias_at + 4 * q->out, (uint32_t)mult);
		block[4 + 8 * q->out + at] = (uint8_t)shift;
		for (size_t i = 0; i < q->row; i++) {
			const double v = round((double)q->w[o * q->row + i] / scale);

			w8[i] = (uint8_t)(int8_t)fmax(-127.0, fmin(127.0, v));
		}
	}
	return HN_OK;
}

/* All of a layer's weights as one block. */
static struct hn_rows_q whole(const struct hn_layer_q *q, size_t row)
{
	const size_t out = q->l->out.ch;

	return (struct hn_rows_q){ .w = q->w, .bias = q->w + row * out, .row = row, .n = out, .out = out,
	                           .in_scale = q->in_scale, .out_scale = q->out_scale,
	                           .frozen = q->frozen };
}

void hn_product_steps(const struct hn_layer_q *q, size_t row, float *step)
{
	const struct hn_rows_q all = whole(q, row);

	hn_rows_steps(&all, step);
	for (size_t o = 0; o < all.n; o++)
		step[row * all.n + o] = 0;
}

hn_status hn_product_quantise(const struct hn_layer_q *q, size_t row)
{
	const struct hn_rows_q all = whole(q, row);

	q->out[0] = (uint8_t)q->in_zp;
	q->out[1] = (uint8_t)q->out_zp;
	q->out[2] = (uint8_t)q->act_min;
	q->out[3] = (uint8_t)q->act_max;
	return hn_rows_quantise(&all, q->out);
}
