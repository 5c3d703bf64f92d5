/* Largest and mean of a few frames, channel by channel, on the grid of the input.
 * Source of the mean's rounding (halves away from zero): TFLite Micro, reference kernels. */
#include "hd_ops.h"

static int32_t mean(int32_t sum, int32_t n)
{
	int32_t half = n / 2;

	return (sum + (sum > 0 ? half : -half)) / n;
}

void hd_pool_run(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y, void *more)
{
	uint32_t ch = l->in_ch, t, i, k;

	(void)more;
	for (t = 0; t < l->out_len; t++, x += l->q * ch - ch) {
		for (i = 0; i < ch; i++, x++) {
			const int8_t *from = x;
			int32_t sum = 0, top = -128;

			for (k = l->p; k > 0; k--, from += ch) {
				sum += *from;
				top = *from > top ? *from : top;
			}
			*y++ = hd_clamp(l->op == HD_OP_MAX_POOL ? top : mean(sum, l->p), c);
		}
	}
}
