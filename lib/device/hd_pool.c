/* Largest and mean of a few frames, channel by channel, on the grid of the input.
 * Source of the mean's rounding (halves away from zero): TFLite Micro, reference kernels. */
#include "hd_ops.h"

enum { BOUNDS = 4 };             /* act_min, act_max, two bytes of zero */

static uint32_t pool_check(const struct hd_layer *l, uint32_t room)
{
	const uint8_t *c = l->constants;

	/* (2^14 - 1) * (2^16 - 1) + 2^16 fits. */
	if (room < BOUNDS || l->p == 0 || l->q == 0 || l->in_ch != l->out_ch
	    || (uint32_t)(l->out_len - 1) * l->q + l->p > l->in_len
	    || (int8_t)c[0] > (int8_t)c[1] || (c[2] | c[3]) != 0)
		return 0;
	return BOUNDS;
}

static int32_t mean(int32_t sum, int32_t n)
{
	return (sum > 0 ? sum + n / 2 : sum - n / 2) / n;
}

/* One window of one channel; p >= 1. */
static int32_t window(const struct hd_layer *l, const int8_t *x)
{
	int32_t sum = 0, top = -128, n = 0;

	do {
		int8_t v = x[(uint32_t)n * l->in_ch];

		sum += v;
		top = v > top ? v : top;
		n++;
	} while (n < l->p);
	return l->op == HD_OP_AVG_POOL ? mean(sum, n) : top;
}

static const uint8_t *pool_run(const struct hd_layer *l, const int8_t *x, int8_t *y)
{
	int32_t low = (int8_t)l->constants[0], high = (int8_t)l->constants[1];
	uint32_t ch = l->in_ch, t, c;

	for (t = 0; t < l->out_len; t++) {
		const int8_t *from = x + ch * t * l->q;

		for (c = 0; c < ch; c++) {
			int32_t v = window(l, from + c);

			*y++ = (int8_t)(v < low ? low : v > high ? high : v);
		}
	}
	return l->constants + BOUNDS;
}

const struct hd_op_row hd_max_pool = {
	HD_OP_MAX_POOL, false, 0, "max pool", pool_check, pool_run
};
const struct hd_op_row hd_avg_pool = {
	HD_OP_AVG_POOL, false, 0, "average pool", pool_check, pool_run
};
