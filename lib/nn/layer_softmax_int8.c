/* The int8 form of softmax: exp(-d * scale) for d = 0..255 steps below the largest, in Q31, with
 * the numbers of gemmlowp's exp_on_negative_values, so that lib/device/hd_softmax.c equals TFLite's
 * reference kernel.  Source: gemmlowp fixedpoint.h; TFLite reference/softmax.h. */
#include "hn_layer.h"

#include <math.h>
#include "hd_image.h"

enum { TABLE = 256, CHANNELS_MAX = 256, INTEGER_BITS = 5, FRACTION_BITS = 31 - INTEGER_BITS };

size_t hn_softmax_bytes(const struct hn_layer *l)
{
	return l->in.ch <= CHANNELS_MAX ? 4 * TABLE : 0;
}

/* Saturating rounding doubling high multiply; never of two times INT32_MIN here. */
static int32_t high_mul(int64_t a, int64_t b)
{
	const int64_t ab = a * b, nudge = ab >= 0 ? (int64_t)1 << 30 : 1 - ((int64_t)1 << 30);

	return (int32_t)((ab + nudge) / ((int64_t)1 << 31));
}

/* a / 2^n, halves away from zero. */
static int32_t rounding_shift(int32_t a, int n)
{
	const int32_t mask = (1 << n) - 1;

	return (a >> n) + ((a & mask) > (mask >> 1) + (a < 0));
}

/* exp(a) for a in [-1/4, 0), Q31: a series around -1/8. */
static int32_t exp_quarter(int32_t a)
{
	const int32_t start = 1895147668, third = 715827883;     /* exp(-1/8), 1/3 */
	const int32_t x = a + (1 << 28), x2 = high_mul(x, x), x3 = high_mul(x2, x);
	const int32_t x4 = rounding_shift(high_mul(x2, x2), 2);
	const int32_t rest = rounding_shift(high_mul(x4 + x3, third) + x2, 1);

	return start + high_mul(start, x + rest);
}

/* exp(a) for a <= 0 in Q5.26, Q31: the rest of a quarter, times exp(-2^k) for each bit above it. */
static int32_t exp_negative(int32_t a)
{
	static const int32_t power[] = { 1672461947, 1302514674, 790015084, 290630308, 39332535, 720401,
	                                 242 };         /* exp(-1/4), exp(-1/2), exp(-1) ... exp(-16) */
	const int32_t quarter = 1 << (FRACTION_BITS - 2);
	const int32_t part = (a & (quarter - 1)) - quarter, rest = part - a;
	int32_t y = exp_quarter(part * (1 << INTEGER_BITS));

	if (a == 0)
		return INT32_MAX;
	for (int k = 0; k < 7; k++)
		if (rest & quarter << k)
			y = high_mul(y, power[k]);
	return y;
}

hn_status hn_softmax_quantise(const struct hn_layer_q *q)
{
	const double m = fmin(q->in_scale * (1 << FRACTION_BITS), 2147483647.0);
	int32_t mult, far;
	int8_t shift;

	hn_quant_mult(m, &mult, &shift);
	if (shift < 0)                           /* a step below 2^-26 */
		return HN_ENUMERIC;
	far = (int32_t)floor(((1 << INTEGER_BITS) - 1) * ldexp(1, FRACTION_BITS - shift));
	for (int32_t d = 0; d < TABLE; d++)
		if (d <= far)
			hd_put32(q->out + 4 * d, (uint32_t)exp_negative(high_mul(-(int64_t)d * (1 << shift), mult)));
	return HN_OK;
}
