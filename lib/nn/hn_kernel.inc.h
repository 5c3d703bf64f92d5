/* hn_kernel.inc.h - the kernels, written once; included by each kernel_<level>.c, which defines
 *
 *   K_NAME     suffix of every function          K_FN      attribute of every function
 *   K_TEXT     name of the level                 VL        floats a vector: 4, 8 or 16
 *   K_FMA(a, b, c)   a * b + c                   K_SQRT(a)
 *   K_MR       rows of the large GEMM tile: 4, 6 or 8
 *
 * GEMM: a tile of K_MR rows and two vectors stays in registers over the whole of k; each step loads
 * two vectors of B and broadcasts K_MR values of A.  Source of the shape: Goto & van de Geijn
 * 2008, "Anatomy of high-performance matrix multiplication"; the nets are so small that packing
 * and cache blocking only cost time.
 *
 * Every sum runs over k, or over 16 lanes folded in a fixed tree, in the same order whatever VL. */

#include <string.h>

#define CAT2(a, b) a##_##b
#define CAT(a, b) CAT2(a, b)
#define FN(name) CAT(name, K_NAME)
#define INLINE static inline __attribute__((always_inline)) K_FN

typedef float vf __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(VL * 4), aligned(4), may_alias));

#define LD(p) (*(const vf *)(const void *)(p))
#define ST(p, v) (*(vf *)(void *)(p) = (v))
#define SPLAT(s) ((s) - (vf){ 0 })            /* s - 0 is s, even for -0: only a broadcast stays */
#define PICK(mask, a, b) ((vf)(((mask) & (vi)(a)) | (~(mask) & (vi)(b))))

/* --- GEMM ------------------------------------------------------------------------------------- */

#define ROWS1(X) X(0)
#define ROWS2(X) ROWS1(X) X(1)
#define ROWS4(X) ROWS2(X) X(2) X(3)
#define ROWS6(X) ROWS4(X) X(4) X(5)
#define ROWS8(X) ROWS6(X) X(6) X(7)

#define START(i) vf c##i##0 = SPLAT(bias ? bias[i] : 0.0f), c##i##1 = c##i##0;
#define START1(i) vf c##i##0 = SPLAT(bias ? bias[i] : 0.0f);
#define STEP(i) { const vf s = SPLAT(a[(i) * rsa]); c##i##0 = K_FMA(s, b0, c##i##0); \
                  c##i##1 = K_FMA(s, b1, c##i##1); }
#define STEP1(i) { const vf s = SPLAT(a[(i) * rsa]); c##i##0 = K_FMA(s, b0, c##i##0); }
#define KEEP(i) ST(c + (i) * ldc, c##i##0); ST(c + (i) * ldc + VL, c##i##1);
#define KEEP1(i) ST(c + (i) * ldc, c##i##0);
#define KEEP_PART(i) memcpy(c + (i) * ldc, &c##i##0, part * sizeof *c);

/* One tile of R rows at (i0, j0): two vectors, one vector, or the first `part` floats of one. */
#define TILE(R) \
INLINE void FN(tile##R##x2)(const struct hn_gemm *g, size_t i0, size_t j0) \
{ \
	const float *a = g->a + i0 * g->rsa, *b = g->b + j0, *bias = g->bias ? g->bias + i0 : NULL; \
	const size_t rsa = g->rsa, csa = g->csa, ldb = g->ldb, ldc = g->ldc; \
	float *c = g->c + i0 * ldc + j0; \
	ROWS##R(START) \
	for (size_t k = g->k; k; k--, a += csa, b += ldb) { \
		const vf b0 = LD(b), b1 = LD(b + VL); \
		ROWS##R(STEP) \
	} \
	ROWS##R(KEEP) \
} \
INLINE void FN(tile##R##x1)(const struct hn_gemm *g, size_t i0, size_t j0, size_t part) \
{ \
	const float *a = g->a + i0 * g->rsa, *b = g->b + j0, *bias = g->bias ? g->bias + i0 : NULL; \
	const size_t rsa = g->rsa, csa = g->csa, ldb = g->ldb, ldc = g->ldc; \
	float *c = g->c + i0 * ldc + j0; \
	ROWS##R(START1) \
	for (size_t k = g->k; k; k--, a += csa, b += ldb) { \
		const vf b0 = LD(b); \
		ROWS##R(STEP1) \
	} \
	if (part == VL) { \
		ROWS##R(KEEP1) \
	} else { \
		ROWS##R(KEEP_PART) \
	} \
} \
/* Rows i0 ... i0 + R - 1, all columns. */ \
K_FN static void FN(band##R)(const struct hn_gemm *g, size_t i0) \
{ \
	size_t j = 0; \
	for (; j + 2 * VL <= g->n; j += 2 * VL) \
		FN(tile##R##x2)(g, i0, j); \
	for (; j < g->n; j += VL) \
		FN(tile##R##x1)(g, i0, j, g->n - j < VL ? g->n - j : VL); \
}

TILE(1)
TILE(2)
TILE(4)
#if K_MR >= 6
TILE(6)
#endif
#if K_MR >= 8
TILE(8)
#endif

K_FN static void FN(gemm)(const struct hn_gemm *g)
{
	size_t i = 0;

#if K_MR >= 8
	for (; i + 8 <= g->m; i += 8)
		FN(band8)(g, i);
#endif
#if K_MR >= 6
	for (; i + 6 <= g->m; i += 6)
		FN(band6)(g, i);
#endif
	for (; i + 4 <= g->m; i += 4)
		FN(band4)(g, i);
	for (; i + 2 <= g->m; i += 2)
		FN(band2)(g, i);
	for (; i < g->m; i++)
		FN(band1)(g, i);
}

/* --- moving and summing ----------------------------------------------------------------------- */

#define MIX(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)

/* Squares of 4 x 4 or 8 x 8 are transposed in registers by interleaving pairs of rows. */
#if VL == 4
enum { FN(SQ) = 4 };
#define SQ FN(SQ)
typedef vf FN(vq);

INLINE void FN(flip)(vf r[SQ])
{
	const vf a = MIX(r[0], r[1], 0, 4, 1, 5), b = MIX(r[0], r[1], 2, 6, 3, 7);
	const vf c = MIX(r[2], r[3], 0, 4, 1, 5), d = MIX(r[2], r[3], 2, 6, 3, 7);

	r[0] = MIX(a, c, 0, 1, 4, 5);
	r[1] = MIX(a, c, 2, 3, 6, 7);
	r[2] = MIX(b, d, 0, 1, 4, 5);
	r[3] = MIX(b, d, 2, 3, 6, 7);
}
#else
enum { FN(SQ) = 8 };
#define SQ FN(SQ)
typedef float FN(vq) __attribute__((vector_size(32), aligned(4), may_alias));
#define LOW1(a, b) MIX(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define TOP1(a, b) MIX(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW2(a, b) MIX(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define TOP2(a, b) MIX(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define LOW4(a, b) MIX(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define TOP4(a, b) MIX(a, b, 4, 5, 6, 7, 12, 13, 14, 15)

INLINE void FN(flip)(FN(vq) r[SQ])
{
	const FN(vq) a0 = LOW1(r[0], r[1]), a1 = TOP1(r[0], r[1]), a2 = LOW1(r[2], r[3]);
	const FN(vq) a3 = TOP1(r[2], r[3]), a4 = LOW1(r[4], r[5]), a5 = TOP1(r[4], r[5]);
	const FN(vq) a6 = LOW1(r[6], r[7]), a7 = TOP1(r[6], r[7]);
	const FN(vq) b0 = LOW2(a0, a2), b1 = TOP2(a0, a2), b2 = LOW2(a1, a3), b3 = TOP2(a1, a3);
	const FN(vq) b4 = LOW2(a4, a6), b5 = TOP2(a4, a6), b6 = LOW2(a5, a7), b7 = TOP2(a5, a7);

	r[0] = LOW4(b0, b4);
	r[1] = LOW4(b1, b5);
	r[2] = LOW4(b2, b6);
	r[3] = LOW4(b3, b7);
	r[4] = TOP4(b0, b4);
	r[5] = TOP4(b1, b5);
	r[6] = TOP4(b2, b6);
	r[7] = TOP4(b3, b7);
}
#endif

#define LDQ(p) (*(const FN(vq) *)(const void *)(p))
#define STQ(p, v) (*(FN(vq) *)(void *)(p) = (v))

INLINE void FN(flip_square)(const float *src, size_t lds, float *dst, size_t ldd)
{
	FN(vq) r[SQ];

	for (size_t i = 0; i < SQ; i++)
		r[i] = LDQ(src + i * lds);
	FN(flip)(r);
	for (size_t i = 0; i < SQ; i++)
		STQ(dst + i * ldd, r[i]);
}

K_FN static void FN(transpose)(const float *src, size_t lds, float *dst, size_t ldd,
                               const size_t mn[2])
{
	const size_t m = mn[0], n = mn[1], m8 = m / SQ * SQ, n8 = n / SQ * SQ;

	for (size_t i = 0; i < m8; i += SQ)
		for (size_t j = 0; j < n8; j += SQ)
			FN(flip_square)(src + i * lds + j, lds, dst + j * ldd + i, ldd);
	for (size_t i = 0; i < m; i++)
		for (size_t j = i < m8 ? n8 : 0; j < n; j++)
			dst[j * ldd + i] = src[i * lds + j];
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

K_FN static double FN(sum_sq)(const float *x, size_t n)
{
	float s[HN_LANES] = { 0 };
	size_t i = 0;
	double tail = 0;

	for (size_t v = 0; v < HN_LANES; v += VL) {
		vf acc = { 0 };

		for (i = 0; i + HN_LANES <= n; i += HN_LANES)
			acc = K_FMA(LD(x + i + v), LD(x + i + v), acc);
		ST(s + v, acc);
	}
	for (; i < n; i++)
		tail += (double)x[i] * (double)x[i];
	return (double)FN(fold)(s) + tail;
}

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

/* exp: x = k ln 2 + r, |r| <= ln 2 / 2, and a polynomial of degree 6 in r.  Arguments beyond
 * [-87.3, 88.3] are taken as the bound.  ln 2 in two parts: Cody & Waite 1980. */
INLINE vf FN(vexp)(vf x)
{
	const vf magic = SPLAT(12582912.0f);     /* 1.5 * 2^23: adding it rounds to an integer */
	vf k, r, p;

	x = PICK(x < -87.3f, SPLAT(-87.3f), x);
	x = PICK(x > 88.3f, SPLAT(88.3f), x);
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

/* tanh: x P(x^2) / Q(x^2) on [-TANH_MAX, TANH_MAX], where float tanh has reached 1. */
K_FN static void FN(tanh)(const float *x, float *y, size_t n)
{
	for (size_t i = 0; i < n; i += VL) {
		vf v = LD(x + i), q, a, b;

		v = PICK(v < -TANH_MAX, SPLAT(-TANH_MAX), v);
		v = PICK(v > TANH_MAX, SPLAT(TANH_MAX), v);
		q = v * v;
		a = K_FMA(SPLAT(TANH_P4), q, SPLAT(TANH_P3));
		a = K_FMA(a, q, SPLAT(TANH_P2));
		a = K_FMA(a, q, SPLAT(TANH_P1));
		a = K_FMA(a, q, SPLAT(TANH_P0));
		b = K_FMA(SPLAT(TANH_Q4), q, SPLAT(TANH_Q3));
		b = K_FMA(b, q, SPLAT(TANH_Q2));
		b = K_FMA(b, q, SPLAT(TANH_Q1));
		b = K_FMA(b, q, SPLAT(1.0f));
		ST(y + i, v * a / b);
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

K_FN static void FN(mse)(const struct hn_mse_args *q)
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

/* --- Adam ------------------------------------------------------------------------------------- */

/* One vector of weights; torch's form, eps outside the root. */
INLINE void FN(adam1)(const struct hn_adam_args *q, const float *g, float *w, float *m, float *v)
{
	const vf grad = LD(g) * q->g_scale;
	const vf m1 = K_FMA(grad, SPLAT(q->c1), LD(m) * q->b1);
	const vf v1 = K_FMA(grad * grad, SPLAT(q->c2), LD(v) * q->b2);
	const vf den = K_FMA(K_SQRT(v1), SPLAT(q->v_norm), SPLAT(q->eps));

	ST(m, m1);
	ST(v, v1);
	ST(w, LD(w) * q->decay - q->rate * m1 / den);
}

K_FN static void FN(adam)(const struct hn_adam_args *q)
{
	size_t i = 0;

	for (; i + VL <= q->n; i += VL)
		FN(adam1)(q, q->g + i, q->w + i, q->m + i, q->v + i);
	if (i < q->n) {
		const size_t left = (q->n - i) * sizeof(float);
		float g[VL] = { 0 }, w[VL] = { 0 }, m[VL] = { 0 }, v[VL] = { 0 };

		memcpy(g, q->g + i, left);
		memcpy(w, q->w + i, left);
		memcpy(m, q->m + i, left);
		memcpy(v, q->v + i, left);
		FN(adam1)(q, g, w, m, v);
		memcpy(q->w + i, w, left);
		memcpy(q->m + i, m, left);
		memcpy(q->v + i, v, left);
	}
}

const struct hn_kernels FN(hn_kernels) = {
	.name = K_TEXT,
	.gemm = FN(gemm), .transpose = FN(transpose), .row_sums = FN(row_sums), .sum_sq = FN(sum_sq),
	.relu = FN(relu), .relu_back = FN(relu_back), .tanh = FN(tanh), .tanh_back = FN(tanh_back),
	.exp = FN(exp), .log = FN(log), .softmax = FN(softmax), .mse = FN(mse),
	.adam = FN(adam),
};
