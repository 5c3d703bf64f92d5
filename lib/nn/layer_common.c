/* What several layers share: element-wise shape, int8 tables, fixed-point multipliers. */
#include "hn_layer.h"

#include <math.h>

hn_status hn_layer_same_shape(struct hn_layer *l, struct hn_err *err)
{
	(void)err;
	l->out = l->in;
	return HN_OK;
}

size_t hn_lut_bytes(const struct hn_layer *l)
{
	(void)l;
	return 256;
}

hn_status hn_lut_quantise(const struct hn_layer_q *q)
{
	for (int x = -128; x < 128; x++) {
		const double v = q->l->type->value(q->l, q->in_scale * (x - q->in_zp));
		const double y = round(v / q->out_scale) + q->out_zp;

		if (!isfinite(y))
			return HN_ENUMERIC;
		q->out[x + 128] = (uint8_t)(int8_t)fmax(-128.0, fmin(127.0, y));
	}
	return HN_OK;
}

void hn_quant_mult(double m, int32_t *mult, int8_t *shift)
{
	int e;
	const double f = frexp(m, &e);           /* m = f * 2^e, f in [0.5, 1) */
	int64_t q = (int64_t)round(f * 2147483648.0);

	if (q == (int64_t)1 << 31) {
		q /= 2;
		e++;
	}
	if (e < -31) {                           /* below every output step: flush to zero */
		q = 0;
		e = 0;
	}
	if (e > 30) {                            /* saturates any non-zero sum */
		q = INT32_MAX;
		e = 30;
	}
	*mult = (int32_t)q;
	*shift = (int8_t)e;
}
