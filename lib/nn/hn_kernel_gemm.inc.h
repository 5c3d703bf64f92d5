/* hn_kernel_gemm.inc.h - part of hn_kernel.inc.h: matrix products. */

/* --- GEMM ------------------------------------------------------------------------------------- */

#define ROWS1(X) X(0)
#define ROWS2(X) ROWS1(X) X(1)
#define ROWS4(X) ROWS2(X) X(2) X(3)
#define ROWS6(X) ROWS4(X) X(4) X(5)
#define ROWS8(X) ROWS6(X) X(6) X(7)

#define START(i) vf c##i##0 = SPLAT(bias ? bias[i] : 0.0f), c##i##1 = c##i##0;
#define START1(i) vf c##i##0 = SPLAT(bias ? bias[i] : 0.0f);
#define MORE(i) c##i##0 = LD(at); c##i##1 = LD(at + VL); at += ldc;
#define MORE1(i) c##i##0 = LD(at); at += ldc;
#define MORE_PART(i) memcpy(&c##i##0, at, part * sizeof *at); at += ldc;
#define STEP(i) { const vf s = SPLAT(a[(i) * rsa]); c##i##0 = K_FMA(s, b0, c##i##0); \
                  c##i##1 = K_FMA(s, b1, c##i##1); }
#define STEP1(i) { const vf s = SPLAT(a[(i) * rsa]); c##i##0 = K_FMA(s, b0, c##i##0); }
#define KEEP(i) ST(c, c##i##0); ST(c + VL, c##i##1); c += ldc;
#define KEEP1(i) ST(c, c##i##0); c += ldc;
#define KEEP_PART(i) memcpy(c, &c##i##0, part * sizeof *c); c += ldc;

/* One tile of R rows at (i0, j0): two vectors, one vector, or the first `part` floats of one. */
#define TILE(R) \
INLINE void FN(tile##R##x2)(const struct hn_gemm *g, size_t i0, size_t j0, bool add) \
{ \
	const float *a = g->a + i0 * g->rsa, *b = g->b + j0, *bias = g->bias ? g->bias + i0 : NULL; \
	const size_t rsa = g->rsa, csa = g->csa, ldb = g->ldb, ldc = g->ldc; \
	float *c = g->c + i0 * ldc + j0; \
	const float *at = c; \
	ROWS##R(START) \
	if (add) { \
		ROWS##R(MORE) \
	} \
	for (size_t k = g->k; k; k--, a += csa, b += ldb) { \
		const vf b0 = LD(b), b1 = LD(b + VL); \
		ROWS##R(STEP) \
	} \
	ROWS##R(KEEP) \
} \
INLINE void FN(tile##R##x1)(const struct hn_gemm *g, size_t i0, size_t j0, bool add) \
{ \
	const float *a = g->a + i0 * g->rsa, *b = g->b + j0, *bias = g->bias ? g->bias + i0 : NULL; \
	const size_t rsa = g->rsa, csa = g->csa, ldb = g->ldb, ldc = g->ldc; \
	const size_t part = g->n - j0 < VL ? g->n - j0 : VL; \
	float *c = g->c + i0 * ldc + j0; \
	const float *at = c; \
	ROWS##R(START1) \
	if (add && part == VL) { \
		ROWS##R(MORE1) \
	} else if (add) { \
		ROWS##R(MORE_PART) \
	} \
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
/* Rows i0 ... i0 + R - 1, all columns; `add` is a constant where it is inlined. */ \
INLINE void FN(row##R)(const struct hn_gemm *g, size_t i0, bool add) \
{ \
	size_t j = 0; \
	for (; j + 2 * VL <= g->n; j += 2 * VL) \
		FN(tile##R##x2)(g, i0, j, add); \
	for (; j < g->n; j += VL) \
		FN(tile##R##x1)(g, i0, j, add); \
} \
K_FN static void FN(band##R)(const struct hn_gemm *g, size_t i0) \
{ \
	if (g->add) \
		FN(row##R)(g, i0, true); \
	else \
		FN(row##R)(g, i0, false); \
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
