/* Fully connected layer, int8 weights, int32 sums.
 * Source: Jacob et al. 2018, arXiv:1712.05877, section 2.2. */
#include "hd_ops.h"

enum { ZERO_POINTS = 4 };        /* in_zp, out_zp, act_min, act_max */

static uint32_t pad4(uint32_t n)
{
	return (n + 3) & ~(uint32_t)3;
}

static uint32_t dense_check(const struct hd_layer *l, uint32_t room)
{
	uint32_t in = (uint32_t)l->in_len * l->in_ch, out = l->out_ch, o, need;
	const uint8_t *mult = l->constants + ZERO_POINTS + 4 * out, *shift = mult + 4 * out;

	/* in and out are at most HD_VALUES_MAX = 2^14: the product fits. */
	need = ZERO_POINTS + 8 * out + pad4(out) + pad4(in * out);
	if (((l->out_len ^ 1) | l->p | l->q) != 0 || room < need
	    || (int8_t)l->constants[2] > (int8_t)l->constants[3])
		return 0;
	for (o = 0; o < out; o++) {
		if (!hd_scale_ok(hd_load32(mult + 4 * o), (int8_t)shift[o]))
			return 0;
	}
	return need;
}

static const uint8_t *dense_run(const struct hd_layer *l, const int8_t *x, int8_t *y)
{
	uint32_t in = (uint32_t)l->in_len * l->in_ch, out = l->out_ch, o, i;
	const uint8_t *bias = l->constants + ZERO_POINTS, *mult = bias + 4 * out;
	const uint8_t *shift = mult + 4 * out, *w = shift + pad4(out);
	int zp_in = (int8_t)l->constants[0], zp_out = (int8_t)l->constants[1];
	int32_t low = (int8_t)l->constants[2] - zp_out, high = (int8_t)l->constants[3] - zp_out;

	for (o = 0; o < out; o++) {
		uint32_t sum = hd_load32(bias + 4 * o);   /* unsigned: a hostile image may wrap it */
		int32_t v;

		for (i = 0; i < in; i++)
			sum += (uint32_t)((int8_t)*w++ * (x[i] - zp_in));
		v = hd_rq((int32_t)sum, (int32_t)hd_load32(mult + 4 * o), (int8_t)shift[o]);
		v = v < low ? low : v > high ? high : v;
		y[o] = (int8_t)(v + zp_out);
	}
	return shift + pad4(out) + pad4(in * out);
}

const struct hd_op_row hd_dense = { HD_OP_DENSE, false, "dense", dense_check, dense_run };
