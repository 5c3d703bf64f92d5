/* hn_kernel_pool.inc.h - part of hn_kernel.inc.h: pooling. */

/* --- pooling: `taps` blocks of n floats, `step` floats apart, become one ---------------------- */

K_FN static void FN(max_pool)(const struct hn_pool_args *q)
{
	for (size_t i = 0; i < q->n; i += VL) {
		vf top = LD(q->x + i);

		for (size_t k = 1; k < q->taps; k++) {
			const vf v = LD(q->x + k * q->step + i);

			top = PICK(v <= top, top, v);    /* a NaN in v wins */
		}
		ST(q->y + i, top);
	}
}

/* The gradient goes to the first of equal values. */
K_FN static void FN(max_pool_back)(const struct hn_pool_args *q)
{
	for (size_t i = 0; i < q->n; i += VL) {
		const vf top = LD(q->y + i), dy = LD(q->dy + i);
		/* NOLINTNEXTLINE(misc-redundant-expression): false where it is not a number */
		vi open = (vi)(top == top);

		for (size_t k = 0; k < q->taps; k++) {
			const vi here = (vi)(LD(q->x + k * q->step + i) == top) & open;

			open &= ~here;
			ST(q->dx + k * q->step + i, LD(q->dx + k * q->step + i) + (vf)(here & (vi)dy));
		}
	}
}

K_FN static void FN(avg_pool)(const struct hn_pool_args *q)
{
	const float inv = 1.0f / (float)q->taps;

	for (size_t i = 0; i < q->n; i += VL) {
		vf sum = LD(q->x + i);

		for (size_t k = 1; k < q->taps; k++)
			sum += LD(q->x + k * q->step + i);
		ST(q->y + i, sum * inv);
	}
}

K_FN static void FN(avg_pool_back)(const struct hn_pool_args *q)
{
	const float inv = 1.0f / (float)q->taps;

	for (size_t i = 0; i < q->n; i += VL) {
		const vf d = LD(q->dy + i) * inv;

		for (size_t k = 0; k < q->taps; k++)
			ST(q->dx + k * q->step + i, LD(q->dx + k * q->step + i) + d);
	}
}
