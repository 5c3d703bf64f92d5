/* Fully connected layer, int8 weights, int32 sums; and the product that it shares with conv1d.
 * Source: Jacob et al. 2018, arXiv:1712.05877, section 2.2. */
#include "hd_ops.h"

/* Two products at a time on a Cortex-M4, M7 or M33 (and ARMv7-A), unless small code is asked for.
 * The sums are the same modulo 2^32, in whatever order. */
#ifndef HD_DSP
#if defined(__ARM_FEATURE_SIMD32) && !defined(__OPTIMIZE_SIZE__)
#define HD_DSP 1
#else
#define HD_DSP 0
#endif
#endif

enum { ZERO_POINTS = 4 };        /* in_zp, out_zp, act_min, act_max */

static uint32_t pad4(uint32_t n)
{
	return (n + 3) & ~(uint32_t)3;
}

uint32_t hd_product_check(const struct hd_layer *l, uint32_t row, uint32_t room)
{
	uint32_t out = l->out_ch, o, need;
	const uint8_t *mult = l->constants + ZERO_POINTS + 4 * out, *shift = mult + 4 * out;

	/* row and out are at most HD_VALUES_MAX = 2^14: the product fits. */
	need = ZERO_POINTS + 8 * out + pad4(out) + pad4(row * out);
	if (room < need || (int8_t)l->constants[2] > (int8_t)l->constants[3])
		return 0;
	for (o = 0; o < out; o++) {
		if (!hd_scale_ok(hd_load32(mult + 4 * o), (int8_t)shift[o]))
			return 0;
	}
	return need;
}

/* sum + sum_i w[i] * (x[i] - zp), modulo 2^32. */
static inline uint32_t dot(const uint8_t *w, const int8_t *x, uint32_t n, int zp, uint32_t sum)
{
#if HD_DSP
	const int32_t pair = (int32_t)((uint32_t)zp << 16 | ((uint32_t)zp & 0xffff));

	for (; n >= 4; n -= 4, w += 4, x += 4) {
		int32_t a, b, even, odd;

		__builtin_memcpy(&a, w, sizeof a);       /* these cores load from any address */
		__builtin_memcpy(&b, x, sizeof b);
		even = __builtin_arm_ssub16(__builtin_arm_sxtb16(b), pair);
		odd = __builtin_arm_ssub16(__builtin_arm_sxtb16(b >> 8), pair);
		sum = (uint32_t)__builtin_arm_smlad(__builtin_arm_sxtb16(a), even, (int32_t)sum);
		sum = (uint32_t)__builtin_arm_smlad(__builtin_arm_sxtb16(a >> 8), odd, (int32_t)sum);
	}
#endif
	for (; n > 0; n--)
		sum += (uint32_t)((int8_t)*w++ * (*x++ - zp));
	return sum;
}

const uint8_t *hd_product_run(const struct hd_layer *l, const struct hd_taps *t, int8_t *y)
{
	uint32_t out = l->out_ch, o, r;
	const uint8_t *bias = l->constants + ZERO_POINTS, *mult = bias + 4 * out;
	const uint8_t *shift = mult + 4 * out, *all = shift + pad4(out), *w;
	int zp_in = (int8_t)l->constants[0], zp_out = (int8_t)l->constants[1];
	int32_t low = (int8_t)l->constants[2] - zp_out, high = (int8_t)l->constants[3] - zp_out;

	for (o = 0; o < out; o++) {
		uint32_t sum = hd_load32(bias + 4 * o);   /* a hostile image may wrap it */
		int32_t v;

		w = all + o * t->row + t->first;
		for (r = 0; r < t->runs; r++, w += t->n)
			sum = dot(w, t->x + o * t->each + r * t->step, t->n, zp_in, sum);
		v = hd_rq((int32_t)sum, (int32_t)hd_load32(mult + 4 * o), (int8_t)shift[o]);
		v = v < low ? low : v > high ? high : v;
		y[o] = (int8_t)(v + zp_out);
	}
	return all + pad4(t->row * out);
}

static uint32_t dense_check(const struct hd_layer *l, uint32_t room)
{
	if (((l->out_len ^ 1) | l->p | l->q) != 0)
		return 0;
	return hd_product_check(l, (uint32_t)l->in_len * l->in_ch, room);
}

static const uint8_t *dense_run(const struct hd_layer *l, const int8_t *x, int8_t *y)
{
	struct hd_taps t;

	t.x = x;
	t.first = 0;
	t.row = t.n = (uint32_t)l->in_len * l->in_ch;
	t.runs = 1;
	t.step = t.each = 0;
	return hd_product_run(l, &t, y);
}

const struct hd_op_row hd_dense = { HD_OP_DENSE, false, 0, "dense", dense_check, dense_run };
