/* Softmax over the channels of each frame: exponentials from a table, their sum in Q12.19, one
 * reciprocal by Newton's rule.  Equal to TFLite's reference kernel (reference/softmax.h, int8) when
 * the table holds gemmlowp's exp_on_negative_values. */
#include "hd_ops.h"

enum { SUM_FRACTION = 12 };

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

void hd_softmax_run(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y,
                    void *arena)
{
	uint32_t t;

	(void)arena;
	for (t = 0; t < l->in_len; t++, x += l->in_ch, y += l->in_ch)
		softmax_frame(c, x, y, l->in_ch);
}
