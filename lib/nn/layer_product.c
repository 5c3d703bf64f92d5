/* int8 constants of the layers that multiply: dense and conv1d.
 *
 * { i8 in_zp, out_zp, act_min, act_max } i32 bias[out] i32 mult[out] i8 shift[out] i8 w[out][row],
 * the last two padded to 4.  Weights symmetric for each output channel.
 * Source: TFLite quantisation specification. */
#include "hn_layer.h"

#include <math.h>
#include "hd_types.h"

size_t hn_product_bytes(size_t row, size_t out)
{
	return 4 + 8 * out + ((out + 3) & ~(size_t)3) + ((row * out + 3) & ~(size_t)3);
}

/* Symmetric weights: max |w| / 127.  A channel that is all (nearly) zero needs its bias inside
 * int32.  Rounded to float, as other runtimes store it: they then find the same multiplier. */
float hn_product_scale(const float *w, size_t row, float bias, float in_scale)
{
	double top = 0, scale;

	for (size_t i = 0; i < row; i++)
		top = fmax(top, fabs((double)w[i]));
	scale = fmax(top / 127.0, fabs((double)bias) / (double)in_scale / 1e9);
	return (float)fmax(scale, 1e-12);
}

/* Scale of output channel o: that of the frozen image to the bit, or by its weights.  A multiplier
 * holds more bits than a float, so the product with the two other scales finds it again. */
static double scale_of(const struct hn_layer_q *q, size_t row, size_t o)
{
	const size_t out = q->l->out.ch;

	if (q->frozen) {
		const int32_t mult = (int32_t)hd_get32(q->frozen + 4 + 4 * out + 4 * o);
		const int shift = (int8_t)q->frozen[4 + 8 * out + o];

		if (mult > 0)
			return (double)(float)(ldexp(mult, shift - 31) * q->out_scale / q->in_scale);
	}
	return (double)hn_product_scale(q->w + o * row, row, q->w[row * out + o], (float)q->in_scale);
}

void hn_product_steps(const struct hn_layer_q *q, size_t row, float *step)
{
	const size_t out = q->l->out.ch;

	for (size_t o = 0; o < out; o++) {
		const float scale = (float)scale_of(q, row, o);

		for (size_t i = 0; i < row; i++)
			step[o * row + i] = scale;
		step[row * out + o] = 0;
	}
}

/* One output channel. */
static hn_status channel(const struct hn_layer_q *q, size_t row, size_t o, uint8_t *w8)
{
	const size_t out = q->l->out.ch;
	const float *w = q->w + o * row;
	const double bias = (double)q->w[row * out + o];
	const double scale = scale_of(q, row, o);
	const double b = round(bias / (q->in_scale * scale));
	uint8_t *bias_at = q->out + 4 + 4 * o, *mult_at = bias_at + 4 * out;
	int32_t mult;
	int8_t shift;

	if (!isfinite(scale) || !(fabs(b) < 2147483647.0))
		return HN_ENUMERIC;
	hn_quant_mult(q->in_scale * scale / q->out_scale, &mult, &shift);
	hd_put32(bias_at, (uint32_t)(int32_t)b);
	hd_put32(mult_at, (uint32_t)mult);
	q->out[4 + 8 * out + o] = (uint8_t)shift;
	for (size_t i = 0; i < row; i++)
		w8[i] = (uint8_t)(int8_t)fmax(-127.0, fmin(127.0, round((double)w[i] / scale)));
	return HN_OK;
}

hn_status hn_product_quantise(const struct hn_layer_q *q, size_t row)
{
	const size_t out = q->l->out.ch;
	uint8_t *w8 = q->out + 4 + 8 * out + ((out + 3) & ~(size_t)3);
	hn_status rc = HN_OK;

	q->out[0] = (uint8_t)q->in_zp;
	q->out[1] = (uint8_t)q->out_zp;
	q->out[2] = (uint8_t)q->act_min;
	q->out[3] = (uint8_t)q->act_max;
	for (size_t o = 0; o < out && !rc; o++)
		rc = channel(q, row, o, w8 + o * row);
	return rc;
}
