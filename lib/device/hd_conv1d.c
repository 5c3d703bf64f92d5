/* Convolution over frames: for each output frame one product with the taps inside the window; all
 * channels together, or each channel by itself (depthwise).  A tap outside counts as the input's
 * zero point: it adds nothing and is left out (TFLite).  Dense is the convolution of one frame.
 * Source: Jacob et al. 2018, arXiv:1712.05877, section 2.2. */
#include "hd_ops.h"

/* What is faster and takes more code; and two products at a time on a Cortex-M4, M7 or M33 (and
 * ARMv7-A).  The sums are the same modulo 2^32, in whatever order. */
#if defined(__OPTIMIZE_SIZE__)
#define FAST 0
#else
#define FAST 1
#endif
#ifndef HD_DSP
#if defined(__ARM_FEATURE_SIMD32) && FAST
#define HD_DSP 1
#else
#define HD_DSP 0
#endif
#endif

enum { ZERO_POINTS = 4 };        /* in_zp, out_zp, act_min, act_max */

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

/* The sum over the taps that lie inside the window. */
HD_NOINLINE static uint32_t taps(const struct hd_layer *l, const uint8_t *w, const int8_t *x,
                                 uint32_t frame, int zp)
{
	uint32_t n = l->in_ch, k = l->p & 255, sum = 0, wide = n;

	if (((HD_OPS) & HD_HAS(DWCONV1D)) != 0 && l->op == HD_OP_DWCONV1D)
		wide = 1;
#if FAST
	if (l->q >> 8 == 1 && wide == n) {       /* neighbours: one run of all */
		uint32_t skip = (int32_t)frame < 0 ? 0u - frame : 0, last = frame + k;

		last = (int32_t)last > l->in_len ? l->in_len : last;
		return dot(w + skip * n, x + (frame + skip) * n, (last - frame - skip) * n, zp, 0);
	}
#endif
	for (; k > 0; k--, frame += l->q >> 8, w += wide) {
		if (frame < l->in_len)
			sum = dot(w, x + frame * n, wide, zp, sum);
	}
	return sum;
}

/* Channel o of frame t. */
static int8_t conv1d(const struct hd_layer *l, const uint8_t *c, const int8_t *x, uint32_t t,
                     uint32_t o)
{
	const uint8_t *bias = c + ZERO_POINTS + 4 * o, *mult = bias + 4 * l->out_ch;
	const uint8_t *shift = c + ZERO_POINTS + 8 * l->out_ch, *w = shift + ((l->out_ch + 3) & ~3);
	uint32_t row = l->p & 255, frame = t * (l->q & 255) - (l->p >> 8), sum = hd_load32(bias);

	if (((HD_OPS) & HD_HAS(DWCONV1D)) != 0 && l->op == HD_OP_DWCONV1D)
		x += o;
	else
		row *= l->in_ch;
	sum += taps(l, w + o * row, x, frame, (int8_t)c[0]);
	return hd_clamp(hd_rescale((int32_t)sum, (int32_t)hd_load32(mult), (int8_t)shift[o], l->rq_mode),
	                (int8_t)c[1], c + 2);
}

void hd_conv1d_run(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y,
                   void *arena)
{
	(void)arena;
	hd_each(l, c, x, y, conv1d);
}
