/* hn_kernel_norm.inc.h - part of hn_kernel.inc.h: normalisation, dropout, depthwise convolution. */

K_FN static void FN(add)(const float *x, const float *y, float *out, size_t n)
{
	for (size_t i = 0; i < n; i += VL)
		ST(out + i, LD(x + i) + LD(y + i));
}

K_FN static void FN(softmax_back)(const float *y, const float *dy, float *dx,
                                  const size_t m_lanes[2])
{
	const size_t lanes = m_lanes[1], all = m_lanes[0] * lanes;

	for (size_t j = 0; j < lanes; j += VL) {
		vf sum = { 0 };

		for (size_t i = j; i < all; i += lanes)
			sum = K_FMA(LD(y + i), LD(dy + i), sum);
		for (size_t i = j; i < all; i += lanes)
			ST(dx + i, LD(y + i) * (LD(dy + i) - sum));
	}
}

/* 0, 1, 2, ... */
INLINE vu FN(count_up)(void)
{
	vu v = { 0 };

	for (unsigned i = 1; i < VL; i++)
		v[i] = i;
	return v;
}

/* All bits of the first `left` lanes. */
INLINE vi FN(first_lanes)(size_t left)
{
	return (vi)(FN(count_up)() < (uint32_t)(left < VL ? left : VL));
}

/* --- sums of a strip, in 16 lanes ---------------------------------------------------------- */

/* The x and z that count from lane j on, less their shifts; 0 behind n. */
INLINE vf FN(strip_at)(const float *x, size_t j, float shift, size_t n)
{
	const vf v = LD(x + j) - shift;

	return j + VL <= n ? v : (vf)((vi)v & FN(first_lanes)(n - j));
}

K_FN static float FN(strip_sum)(const struct hn_strip_args *q)
{
	float s[HN_LANES];

	for (size_t v = 0; v < HN_LANES; v += VL) {
		vf acc = { 0 };

		for (size_t k = 0; k < q->count; k++)
			for (size_t j = v; j < q->n; j += HN_LANES)
				acc += FN(strip_at)(q->x + k * q->xs, j, q->x_shift, q->n);
		ST(s + v, acc);
	}
	return FN(fold)(s);
}

K_FN static float FN(strip_dot)(const struct hn_strip_args *q)
{
	float s[HN_LANES];

	for (size_t v = 0; v < HN_LANES; v += VL) {
		vf acc = { 0 };

		for (size_t k = 0; k < q->count; k++)
			for (size_t j = v; j < q->n; j += HN_LANES)
				acc = K_FMA(FN(strip_at)(q->x + k * q->xs, j, q->x_shift, q->n),
				            FN(strip_at)(q->z + k * q->zs, j, q->z_shift, q->n), acc);
		ST(s + v, acc);
	}
	return FN(fold)(s);
}

K_FN static void FN(norm)(const struct hn_norm_args *q)
{
	for (size_t i = 0, c = 0; i < q->frames * q->ch; i++, c = c + 1 == q->ch ? 0 : c + 1) {
		const vf mean = SPLAT(q->mean[c]), a = SPLAT(q->a[c]), b = SPLAT(q->b[c]);
		const float *x = q->x + i * q->lanes;

		for (size_t j = 0; j < q->lanes; j += VL)
			ST(q->y + i * q->lanes + j, K_FMA(LD(x + j) - mean, a, b));
	}
}

K_FN static void FN(norm_back)(const struct hn_norm_args *q)
{
	for (size_t i = 0, c = 0; i < q->frames * q->ch; i++, c = c + 1 == q->ch ? 0 : c + 1) {
		const vf mean = SPLAT(q->mean[c]), a = SPLAT(q->a[c]), b = SPLAT(q->b[c]);
		const float *x = q->x + i * q->lanes, *dy = q->dy + i * q->lanes;
		float *dx = q->dx + i * q->lanes;

		for (size_t j = 0; j < q->lanes; j += VL) {
			const vf v = K_FMA(LD(dy + j), a, K_FMA(LD(x + j) - mean, b, SPLAT(q->d[c])));

			ST(dx + j, j + VL <= q->n ? v
			                          : (vf)((vi)v & FN(first_lanes)(q->n > j ? q->n - j : 0)));
		}
	}
}

/* --- dropout ------------------------------------------------------------------------------- */

/* Every bit of the result depends on every one of v.  Source: Wellons 2018, "Prospecting for hash
 * functions", the one with the least bias of two multiplications. */
INLINE vu FN(hash)(vu v)
{
	v = (v ^ (v >> 16)) * 0x7feb352du;
	v = (v ^ (v >> 15)) * 0x846ca68bu;
	return v ^ (v >> 16);
}

/* A factor of 0, and no mask: what is not a number stays that. */
K_FN static void FN(drop)(const struct hn_drop_args *q)
{
	const vu limit = (uint32_t)((double)q->share * 4294967296.0) - (vu){ 0 };
	const vf keep = SPLAT(1.0f / (1.0f - q->share));
	const uint32_t low = (uint32_t)q->key, high = (uint32_t)(q->key >> 32);

	for (size_t i = 0; i < q->rows; i++)
		for (size_t j = 0; j < q->lanes; j += VL) {
			const vu at = FN(count_up)() + (uint32_t)(i << 10 | (q->first + j));
			const vu bits = FN(hash)(FN(hash)(at ^ low) + high);
			const vf factor = (vf)((vi)(bits >= limit) & (vi)keep);

			ST(q->y + i * q->lanes + j, LD(q->x + i * q->lanes + j) * factor);
		}
}

/* --- depthwise convolution ----------------------------------------------------------------- */

K_FN static void FN(depth)(const struct hn_depth_args *q)
{
	for (size_t c = 0; c < q->ch; c++) {
		const float *w = q->w + c * q->ws, *x = q->x + c * q->lanes;
		const vf bias = SPLAT(q->bias[c]);

		for (size_t j = 0; j < q->lanes; j += VL) {
			vf sum = bias;

			for (size_t k = 0; k < q->taps; k++)
				sum = K_FMA(SPLAT(w[k]), LD(x + k * q->step + j), sum);
			ST(q->y + c * q->lanes + j, sum);
		}
	}
}

K_FN static void FN(depth_back)(const struct hn_depth_args *q)
{
	for (size_t c = 0; c < q->ch; c++) {
		const float *w = q->w + c * q->ws, *dy = q->dy + c * q->lanes;

		for (size_t k = 0; k < q->taps; k++) {
			float *dx = q->dx + k * q->step + c * q->lanes;

			for (size_t j = 0; j < q->lanes; j += VL)
				ST(dx + j, K_FMA(SPLAT(w[k]), LD(dy + j), LD(dx + j)));
		}
	}
}
