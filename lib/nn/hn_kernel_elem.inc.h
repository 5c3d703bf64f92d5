/* hn_kernel_elem.inc.h - part of hn_kernel.inc.h: functions of single elements and of columns. */

/* --- element by element ----------------------------------------------------------------------- */

/* A NaN stays a NaN in all of these: the guard of the fit loop must see it. */

K_FN static void FN(relu)(const float *x, float *y, size_t n)
{
	for (size_t i = 0; i < n; i += VL) {
		const vf v = LD(x + i);

		ST(y + i, (vf)(~(vi)(v < 0.0f) & (vi)v));
	}
}

K_FN static void FN(relu_back)(const float *y, const float *dy, float *dx, size_t n)
{
	for (size_t i = 0; i < n; i += VL)
		ST(dx + i, (vf)((vi)(LD(y + i) > 0.0f) & (vi)LD(dy + i)));
}

K_FN static void FN(tanh_back)(const float *y, const float *dy, float *dx, size_t n)
{
	for (size_t i = 0; i < n; i += VL) {
		const vf v = LD(y + i);

		ST(dx + i, LD(dy + i) * K_FMA(-v, v, SPLAT(1.0f)));
	}
}

K_FN static void FN(bound)(const float *x, float *y, float hi, size_t n)
{
	for (size_t i = 0; i < n; i += VL) {
		vf v = LD(x + i);

		v = (vf)(~(vi)(v < 0.0f) & (vi)v);
		ST(y + i, PICK(v > hi, SPLAT(hi), v));
	}
}

K_FN static void FN(bound_back)(const float *y, const float *dy, float *dx, float hi, size_t n)
{
	for (size_t i = 0; i < n; i += VL) {
		const vf v = LD(y + i);

		ST(dx + i, (vf)((vi)(v > 0.0f) & (vi)(v < hi) & (vi)LD(dy + i)));
	}
}

K_FN static void FN(leaky)(const float *x, float *y, float slope, size_t n)
{
	for (size_t i = 0; i < n; i += VL) {
		const vf v = LD(x + i);

		ST(y + i, PICK(v < 0.0f, v * slope, v));
	}
}

K_FN static void FN(leaky_back)(const float *y, const float *dy, float *dx, float slope, size_t n)
{
	for (size_t i = 0; i < n; i += VL) {
		const vf v = LD(dy + i);

		ST(dx + i, PICK(LD(y + i) > 0.0f, v, v * slope));
	}
}

/* exp: x = k ln 2 + r, |r| <= ln 2 / 2, and a polynomial of degree 6 in r.  Arguments beyond
 * [-87.3, 88.3] are taken as the bound.  ln 2 in two parts: Cody & Waite 1980. */
INLINE vf FN(vexp)(vf x)
{
	const vf magic = SPLAT(12582912.0f);     /* 1.5 * 2^23: adding it rounds to an integer */
	vf k, r, p;

	x = K_MAX(SPLAT(-87.3f), x);
	x = K_MIN(SPLAT(88.3f), x);
	k = K_FMA(x, SPLAT(1.44269504f), magic);
	r = k - magic;
	x = K_FMA(r, SPLAT(-0.693359375f), x);
	x = K_FMA(r, SPLAT(2.12194440e-4f), x);
	p = SPLAT(EXP_C6);
	p = K_FMA(p, x, SPLAT(EXP_C5));
	p = K_FMA(p, x, SPLAT(EXP_C4));
	p = K_FMA(p, x, SPLAT(EXP_C3));
	p = K_FMA(p, x, SPLAT(EXP_C2));
	p = K_FMA(p, x, SPLAT(1.0f));
	p = K_FMA(p, x, SPLAT(1.0f));
	return p * (vf)(((vi)k << 23) + (127 << 23));
}

K_FN static void FN(exp)(const float *x, float *y, size_t n)
{
	for (size_t i = 0; i < n; i += VL)
		ST(y + i, FN(vexp)(LD(x + i)));
}

/* 1 / (1 + exp(-x)) */
INLINE vf FN(vsigmoid)(vf x)
{
	return 1.0f / (1.0f + FN(vexp)(-x));
}

K_FN static void FN(sigmoid)(const float *x, float *y, size_t n)
{
	for (size_t i = 0; i < n; i += VL)
		ST(y + i, FN(vsigmoid)(LD(x + i)));
}

K_FN static void FN(sigmoid_back)(const float *y, const float *dy, float *dx, size_t n)
{
	for (size_t i = 0; i < n; i += VL) {
		const vf v = LD(y + i);

		ST(dx + i, LD(dy + i) * K_FMA(-v, v, v));
	}
}

/* log: x = 2^k m, m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(s), s = (m - 1) / (m + 1), as an odd
 * polynomial.  x must be a positive normal number. */
INLINE vf FN(vlog)(vf x)
{
	const vi k = ((vi)x - 0x3f3504f3) >> 23;         /* 0x3f3504f3: sqrt(1/2) */
	const vf m = (vf)((vi)x - (k << 23)), s = (m - 1.0f) / (m + 1.0f), q = s * s;
	const vf kf = __builtin_convertvector(k, vf);
	vf p = SPLAT(LOG_C9);

	p = K_FMA(p, q, SPLAT(LOG_C7));
	p = K_FMA(p, q, SPLAT(LOG_C5));
	p = K_FMA(p, q, SPLAT(LOG_C3));
	p = p * q;
	p = K_FMA(p, s, s + s);                          /* 2 atanh(s) */
	p = K_FMA(kf, SPLAT(-2.12194440e-4f), p);
	p = K_FMA(kf, SPLAT(0.693359375f), p);
	return PICK(x == x, p, x);
}

K_FN static void FN(log)(const float *x, float *y, size_t n)
{
	for (size_t i = 0; i < n; i += VL)
		ST(y + i, FN(vlog)(LD(x + i)));
}

/* tanh: x P(x^2) / Q(x^2) on [-TANH_MAX, TANH_MAX], where float tanh has reached 1.  Returns the
 * numerator; 1 <= Q < 500. */
INLINE vf FN(tanh_parts)(vf v, vf *below)
{
	vf q, a, b;

	v = K_MAX(SPLAT(-TANH_MAX), v);
	v = K_MIN(SPLAT(TANH_MAX), v);
	q = v * v;
	a = K_FMA(SPLAT(TANH_P4), q, SPLAT(TANH_P3));
	a = K_FMA(a, q, SPLAT(TANH_P2));
	a = K_FMA(a, q, SPLAT(TANH_P1));
	a = K_FMA(a, q, SPLAT(TANH_P0));
	b = K_FMA(SPLAT(TANH_Q4), q, SPLAT(TANH_Q3));
	b = K_FMA(b, q, SPLAT(TANH_Q2));
	b = K_FMA(b, q, SPLAT(TANH_Q1));
	*below = K_FMA(b, q, SPLAT(1.0f));
	return v * a;
}

K_FN static void FN(tanh)(const float *x, float *y, size_t n)
{
	for (size_t i = 0; i < n; i += VL) {
		vf below;
		const vf above = FN(tanh_parts)(LD(x + i), &below);

		ST(y + i, above / below);
	}
}

K_FN static void FN(softmax)(const float *y, const size_t m_lanes[2], float *p, float *mx,
                             float *sum)
{
	const size_t m = m_lanes[0], lanes = m_lanes[1];

	for (size_t j = 0; j < lanes; j += VL) {
		vf top = LD(y + j), s = { 0 };

		for (size_t i = 1; i < m; i++) {
			const vf v = LD(y + i * lanes + j);

			top = PICK(v < top, top, v);     /* a NaN in v wins */
		}
		for (size_t i = 0; i < m; i++) {
			const vf e = FN(vexp)(LD(y + i * lanes + j) - top);

			ST(p + i * lanes + j, e);
			s += e;
		}
		ST(mx + j, top);
		ST(sum + j, s);
		s = 1.0f / s;
		for (size_t i = 0; i < m; i++)
			ST(p + i * lanes + j, LD(p + i * lanes + j) * s);
	}
}

/* --- losses ----------------------------------------------------------------------------------- */

/* Each lane of a column: the smoothed share of one class of weight 1, and what all classes have. */
struct FN(smooth) { vf even, whole; };

INLINE struct FN(smooth) FN(smoothed)(const struct hn_class_args *q, size_t j)
{
	const float each = q->smoothing / (float)q->m, *v = q->class_weight;
	float of[VL], all = 0;
	vf even;

	if (!v)
		return (struct FN(smooth)){ SPLAT(each), SPLAT(1.0f) };
	for (size_t c = 0; c < q->m; c++)
		all += v[c];
	for (size_t l = 0; l < VL; l++)
		of[l] = v[q->label[j + l]];
	even = each / LD(of);
	return (struct FN(smooth)){ even, 1.0f - q->smoothing + even * all };
}

/* Column j of y: the largest value, that of the label, the sum of exp(y - top); exp into e. */
struct FN(column) { vf top, of, sum; };

INLINE struct FN(column) FN(columns)(const struct hn_class_args *q, size_t j, vi label)
{
	const size_t rows = q->m * q->lanes;
	struct FN(column) k = { LD(q->y + j), LD(q->y + j), { 0 } };
	vi c = { 0 };

	for (size_t i = j + q->lanes; i < rows; i += q->lanes) {
		const vf v = LD(q->y + i);

		k.top = PICK(v < k.top, k.top, v);       /* a NaN in v wins */
	}
	for (size_t i = j; i < rows; i += q->lanes, c += 1) {
		const vf v = LD(q->y + i), e = FN(vexp)(v - k.top);

		k.of = PICK(label == c, v, k.of);
		k.sum += e;
		if (q->dy)
			ST(q->dy + i, e);
	}
	return k;
}

/* From exp(y - top) in dy to the gradient. */
INLINE void FN(classes_back)(const struct hn_class_args *q, size_t j, const struct FN(smooth) *s,
                             vf by)
{
	const vi label = *(const vi *)(const void *)(q->label + j);
	const vf share = LD(q->share + j), here = (1.0f - q->smoothing) * share;
	const float *v = q->class_weight;
	vi c = { 0 };

	for (size_t i = j; i < q->m * q->lanes; i += q->lanes, c += 1) {
		const vf even = s->even * (v ? v[i / q->lanes] : 1.0f);
		const vf d = (s->whole * (LD(q->dy + i) * by) - even) * share;

		ST(q->dy + i, PICK(label == c, d - here, d));
	}
}

K_FN static void FN(cross_entropy)(const struct hn_class_args *q)
{
	const size_t rows = q->m * q->lanes;
	const float hit = 1.0f - q->smoothing, *v = q->class_weight;

	for (size_t j = 0; j < q->lanes; j += VL) {
		const vi label = *(const vi *)(const void *)(q->label + j);
		const struct FN(smooth) s = FN(smoothed)(q, j);
		const struct FN(column) k = FN(columns)(q, j, label);
		vf loss = s.whole * FN(vlog)(k.sum) - hit * (k.of - k.top);

		for (size_t i = j, c = 0; q->smoothing > 0 && i < rows; i += q->lanes, c++)
			loss -= s.even * (v ? v[c] : 1.0f) * (LD(q->y + i) - k.top);
		ST(q->loss + j, loss);
		if (q->dy)
			FN(classes_back)(q, j, &s, 1.0f / k.sum);
	}
}

K_FN static void FN(mse)(const struct hn_target_args *q)
{
	const float inv = 1.0f / (float)q->m;

	for (size_t j = 0; j < q->lanes; j += VL) {
		const vf share = LD(q->share + j) * (2.0f * inv);
		vf sum = { 0 };

		for (size_t i = j; i < q->m * q->lanes; i += q->lanes) {
			const vf d = LD(q->y + i) - LD(q->t + i);

			sum = K_FMA(d, d, sum);
			if (q->dy)
				ST(q->dy + i, d * share);
		}
		ST(q->loss + j, sum * inv);
	}
}

K_FN static void FN(huber)(const struct hn_target_args *q)
{
	const float inv = 1.0f / (float)q->m;
	const vf delta = SPLAT(q->delta);

	for (size_t j = 0; j < q->lanes; j += VL) {
		const vf share = LD(q->share + j) * inv;
		vf sum = { 0 };

		for (size_t i = j; i < q->m * q->lanes; i += q->lanes) {
			const vf d = LD(q->y + i) - LD(q->t + i);
			const vi sign = (vi)d & INT32_MIN;
			const vf a = (vf)((vi)d & INT32_MAX), cut = PICK(a > delta, delta, a);

			sum = K_FMA(cut, a - 0.5f * cut, sum);
			if (q->dy)
				ST(q->dy + i, (vf)((vi)cut | sign) * share);
		}
		ST(q->loss + j, sum * inv);
	}
}

/* log(1 + exp(y)) = max(y, 0) + log(1 + exp(-|y|)) */
K_FN static void FN(binary)(const struct hn_target_args *q)
{
	const float inv = 1.0f / (float)q->m;

	for (size_t j = 0; j < q->lanes; j += VL) {
		const vf share = LD(q->share + j) * inv;
		vf sum = { 0 };

		for (size_t i = j; i < q->m * q->lanes; i += q->lanes) {
			const vf y = LD(q->y + i), t = LD(q->t + i);
			const vf top = (vf)(~(vi)(y < 0.0f) & (vi)y), minus = (vf)((vi)y | INT32_MIN);

			sum += top - y * t + FN(vlog)(1.0f + FN(vexp)(minus));
			if (q->dy)
				ST(q->dy + i, (FN(vsigmoid)(y) - t) * share);
		}
		ST(q->loss + j, sum * inv);
	}
}
