/* Largest and mean of a few frames, channel by channel, on the grid of the input.
 * Source of the mean's rounding (halves away from zero): TFLite Micro, reference kernels. */
#include "hd_ops.h"

static int8_t pool(const struct hd_layer *l, const uint8_t *c, const int8_t *x, uint32_t t,
                   uint32_t o)
{
	int32_t n = l->p, sum = 0, top = -128, k = n;

	x += t * l->q * l->in_ch + o;
	do {
		sum += *x;
		top = *x > top ? *x : top;
		x += l->in_ch;
	} while (--k > 0);
	if (l->op == HD_OP_AVG_POOL)
		top = (sum + (sum > 0 ? n / 2 : -(n / 2))) / n;
	return hd_clamp(top, 0, c);
}

void hd_pool_run(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y,
                 void *arena)
{
	(void)arena;
	hd_each(l, c, x, y, pool);
}
