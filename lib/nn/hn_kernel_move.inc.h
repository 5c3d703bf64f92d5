/* hn_kernel_move.inc.h - part of hn_kernel.inc.h: transposes and sums. */

/* --- moving and summing ----------------------------------------------------------------------- */

#define MIX(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)

/* One square of 4 x 4 or 8 x 8, transposed in registers by interleaving pairs of rows. */
#if VL == 4
enum { FN(SQ) = 4 };
#define SQ FN(SQ)

INLINE void FN(flip)(const float *src, size_t lds, float *dst, size_t ldd)
{
	const vf r0 = LD(src), r1 = LD(src + lds), r2 = LD(src + 2 * lds), r3 = LD(src + 3 * lds);
	const vf a = MIX(r0, r1, 0, 4, 1, 5), b = MIX(r0, r1, 2, 6, 3, 7);
	const vf c = MIX(r2, r3, 0, 4, 1, 5), d = MIX(r2, r3, 2, 6, 3, 7);

	ST(dst, MIX(a, c, 0, 1, 4, 5));
	ST(dst + ldd, MIX(a, c, 2, 3, 6, 7));
	ST(dst + 2 * ldd, MIX(b, d, 0, 1, 4, 5));
	ST(dst + 3 * ldd, MIX(b, d, 2, 3, 6, 7));
}
#else
enum { FN(SQ) = 8 };
#define SQ FN(SQ)
typedef float FN(vq) __attribute__((vector_size(32), aligned(4), may_alias));
#define LDQ(p) (*(const FN(vq) *)(const void *)(p))
#define STQ(p, v) (*(FN(vq) *)(void *)(p) = (v))
#define LOW1(a, b) MIX(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define TOP1(a, b) MIX(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW2(a, b) MIX(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define TOP2(a, b) MIX(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define LOW4(a, b) MIX(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define TOP4(a, b) MIX(a, b, 4, 5, 6, 7, 12, 13, 14, 15)

INLINE void FN(flip)(const float *src, size_t lds, float *dst, size_t ldd)
{
	const float *const low = src + 4 * lds;
	float *const end = dst + 4 * ldd;
	const FN(vq) r0 = LDQ(src), r1 = LDQ(src + lds), r2 = LDQ(src + 2 * lds);
	const FN(vq) r3 = LDQ(src + 3 * lds), r4 = LDQ(low), r5 = LDQ(low + lds);
	const FN(vq) r6 = LDQ(low + 2 * lds), r7 = LDQ(low + 3 * lds);
	const FN(vq) a0 = LOW1(r0, r1), a1 = TOP1(r0, r1), a2 = LOW1(r2, r3), a3 = TOP1(r2, r3);
	const FN(vq) a4 = LOW1(r4, r5), a5 = TOP1(r4, r5), a6 = LOW1(r6, r7), a7 = TOP1(r6, r7);
	const FN(vq) b0 = LOW2(a0, a2), b1 = TOP2(a0, a2), b2 = LOW2(a1, a3), b3 = TOP2(a1, a3);
	const FN(vq) b4 = LOW2(a4, a6), b5 = TOP2(a4, a6), b6 = LOW2(a5, a7), b7 = TOP2(a5, a7);

	STQ(dst, LOW4(b0, b4));
	STQ(dst + ldd, LOW4(b1, b5));
	STQ(dst + 2 * ldd, LOW4(b2, b6));
	STQ(dst + 3 * ldd, LOW4(b3, b7));
	STQ(end, TOP4(b0, b4));
	STQ(end + ldd, TOP4(b1, b5));
	STQ(end + 2 * ldd, TOP4(b2, b6));
	STQ(end + 3 * ldd, TOP4(b3, b7));
}
#endif

/* Tiles of 16 x 16: whole cache lines on both sides. */
K_FN static void FN(transpose)(const float *src, size_t lds, float *dst, size_t ldd,
                               const size_t mn[2])
{
	enum { TILE = HN_LANES };
	const size_t m = mn[0], n = mn[1], m8 = m / SQ * SQ, n8 = n / SQ * SQ;

	for (size_t i = 0; i < m8; i += TILE)
		for (size_t j = 0; j < n8; j += TILE)
			for (size_t v = i; v < i + TILE && v < m8; v += SQ)
				for (size_t u = j; u < j + TILE && u < n8; u += SQ)
					FN(flip)(src + v * lds + u, lds, dst + u * ldd + v, ldd);
	for (size_t i = 0; i < m; i++)
		for (size_t j = i < m8 ? n8 : 0; j < n; j++)
			dst[j * ldd + i] = src[i * lds + j];
}

K_FN static void FN(gather)(const struct hn_gather_args *q)
{
	for (size_t i = 0; i < q->n; i++) {
		const float *src = q->src + (q->order ? q->order[i] : i) * q->width;
		float *row = q->rows + i * q->ld;
		size_t j = 0;

		for (; j + VL <= q->width; j += VL)
			ST(row + j, LD(src + j));
		for (; j < q->width; j++)
			row[j] = src[j];
	}
}

/* Sum of 16 lanes, halves folded onto each other. */
INLINE float FN(fold)(const float s[HN_LANES])
{
	float a[8];

	for (int i = 0; i < 8; i++)
		a[i] = s[i] + s[i + 8];
	for (int i = 0; i < 4; i++)
		a[i] += a[i + 4];
	return (a[0] + a[2]) + (a[1] + a[3]);
}

K_FN static void FN(row_sums)(const float *x, size_t m, size_t lanes, float *out)
{
	for (size_t i = 0; i < m; i++, x += lanes) {
		float s[HN_LANES];

		for (size_t v = 0; v < HN_LANES; v += VL) {
			vf acc = LD(x + v);

			for (size_t j = HN_LANES + v; j < lanes; j += HN_LANES)
				acc += LD(x + j);
			ST(s + v, acc);
		}
		out[i] = FN(fold)(s);
	}
}

/* 32 sums side by side, so that no addition waits for the one before. */
K_FN static double FN(sum_sq)(const float *x, size_t n)
{
	enum { SIDE = 2 * HN_LANES };
	vf acc[SIDE / VL] = { { 0 } };
	float s[SIDE];
	double tail = 0;
	size_t i = 0;

	for (; i + SIDE <= n; i += SIDE) {
#pragma GCC unroll 8
		for (size_t v = 0; v < SIDE / VL; v++)
			acc[v] = K_FMA(LD(x + i + v * VL), LD(x + i + v * VL), acc[v]);
	}
#pragma GCC unroll 8
	for (size_t v = 0; v < SIDE / VL; v++)
		ST(s + v * VL, acc[v]);
	for (; i < n; i++)
		tail += (double)x[i] * (double)x[i];
	for (i = 0; i < HN_LANES; i++)
		s[i] += s[i + HN_LANES];
	return (double)FN(fold)(s) + tail;
}
