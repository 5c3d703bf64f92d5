/* Sum of two tensors on their own grids.  Source: TFLite, reference kernel of ADD for int8. */
#include "hd_ops.h"

enum { LEFT_SHIFT = 20, BOUNDS = 4, MULT = 8, SHIFT = 20 };

/* Number i of the three through its multiplier. */
static int32_t scaled(const struct hd_layer *l, const uint8_t *c, int i, int32_t v)
{
	return hd_rescale(v, (int32_t)hd_load32(c + MULT + 4 * i), (int8_t)c[SHIFT + i], l->rq_mode);
}

void hd_add_run(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y, void *arena)
{
	uint32_t n = (uint32_t)l->in_len * l->in_ch, i;
	const int8_t *kept = (const int8_t *)arena + 4 * l->more_at;

	for (i = 0; i < n; i++) {
		int32_t v = scaled(l, c, 0, (x[i] - (int8_t)c[0]) * (1 << LEFT_SHIFT))
			+ scaled(l, c, 1, (kept[i] - (int8_t)c[1]) * (1 << LEFT_SHIFT));

		y[i] = hd_clamp(scaled(l, c, 2, v), (int8_t)c[2], c + BOUNDS);
	}
}
