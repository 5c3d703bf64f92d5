/* Sum of two tensors on their own grids.  Source: TFLite, reference kernel of ADD for int8. */
#include "hd_ops.h"

enum { ADD_BYTES = 24, LEFT_SHIFT = 20, MULT = 8, SHIFT = 20 };

static uint32_t add_check(const struct hd_layer *l, uint32_t room)
{
	const uint8_t *c = l->constants;
	int i, wrong = (l->in_len ^ l->out_len) | (l->in_ch ^ l->out_ch) | l->p | l->q;

	if (wrong != 0 || room < ADD_BYTES || (c[3] | c[6] | c[7] | c[SHIFT + 3]) != 0
	    || (int8_t)c[4] > (int8_t)c[5])
		return 0;
	for (i = 0; i < 3; i++) {
		if (!hd_scale_ok(hd_load32(c + MULT + 4 * i), (int8_t)c[SHIFT + i])
		    || (int8_t)c[SHIFT + i] > 0)
			return 0;
	}
	return ADD_BYTES;
}

/* Number i of the three through its multiplier. */
static int32_t scaled(const uint8_t *c, int i, int32_t v)
{
	return hd_rq(v, (int32_t)hd_load32(c + MULT + 4 * i), (int8_t)c[SHIFT + i]);
}

static const uint8_t *add_run(const struct hd_layer *l, const int8_t *x, int8_t *y)
{
	uint32_t n = (uint32_t)l->in_len * l->in_ch, i;
	const uint8_t *c = l->constants;
	int32_t low = (int8_t)c[4], high = (int8_t)c[5];

	for (i = 0; i < n; i++) {
		int32_t v = scaled(c, 0, (x[i] - (int8_t)c[0]) * (1 << LEFT_SHIFT))
			+ scaled(c, 1, (l->kept[i] - (int8_t)c[1]) * (1 << LEFT_SHIFT));

		v = scaled(c, 2, v) + (int8_t)c[2];
		y[i] = (int8_t)(v < low ? low : v > high ? high : v);
	}
	return c + ADD_BYTES;
}

const struct hd_op_row hd_add = { HD_OP_ADD, false, 0, "add", add_check, add_run };
