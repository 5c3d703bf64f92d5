/* Softmax over the channels of each frame: exponentials from a table, their sum in Q12.19, one
 * reciprocal by Newton's rule.  Equal to TFLite's reference kernel (reference/softmax.h, int8) when
 * the table holds gemmlowp's exp_on_negative_values. */
#include "hd_ops.h"

enum { TABLE = 256, CHANNELS_MAX = 256, SUM_FRACTION = 12 };

static uint32_t softmax_check(const struct hd_layer *l, uint32_t room)
{
	int shape = (l->in_len ^ l->out_len) | (l->in_ch ^ l->out_ch) | l->p | l->q;
	uint32_t i, wrong = 0;

	if (shape != 0 || room < 4 * TABLE || l->in_ch > CHANNELS_MAX)
		return 0;
	for (i = 0; i < TABLE; i++)
		wrong |= hd_load32(l->constants + 4 * i);
	return wrong == INT32_MAX && hd_load32(l->constants) == INT32_MAX ? 4 * TABLE : 0;
}

/* 1 / (d / 2^31) in Q31 for d in [2^31, 2^32), d = (1 + a) * 2^31.  Source: gemmlowp,
 * one_over_one_plus_x_for_x_in_0_1: x = 48/17 - 32/17 half, then x += x (1 - half x), Q2.29. */
static int32_t reciprocal(uint32_t d)
{
	int32_t half = (int32_t)(d >> 1), x = 1515870810 + hd_rq(-1010580540, half, 0), i;

	for (i = 0; i < 3; i++)
		x += hd_rq((1 << 29) - hd_rq(x, half, 0), x, 0) * 4;
	return x >= 1 << 30 ? INT32_MAX : x * 2;
}

static void softmax_frame(const uint8_t *exps, const int8_t *x, int8_t *y, uint32_t n)
{
	uint32_t sum = 0, i;
	int32_t top = -128, shift = SUM_FRACTION + 31 - 8, scale;

	for (i = 0; i < n; i++)
		top = x[i] > top ? x[i] : top;
	for (i = 0; i < n; i++)
		sum += (hd_load32(exps + 4 * (top - x[i])) + (1u << (SUM_FRACTION - 1))) >> SUM_FRACTION;
	for (; sum >> 31 == 0; sum <<= 1)    /* 2^19 <= sum <= 2^27: the largest gives 2^19 */
		shift--;
	scale = reciprocal(sum);
	for (i = 0; i < n; i++) {
		int32_t v = hd_rq((int32_t)hd_load32(exps + 4 * (top - x[i])), scale, -shift) - 128;

		y[i] = (int8_t)(v > 127 ? 127 : v);
	}
}

static const uint8_t *softmax_run(const struct hd_layer *l, const int8_t *x, int8_t *y)
{
	uint32_t t;

	for (t = 0; t < l->in_len; t++, x += l->in_ch, y += l->in_ch)
		softmax_frame(l->constants, x, y, l->in_ch);
	return l->constants + 4 * TABLE;
}

const struct hd_op_row hd_softmax = {
	HD_OP_SOFTMAX, true, 0, "softmax", softmax_check, softmax_run
};
