/* hn_kernel_gemm.inc.h - part of hn_kernel.inc.h: matrix products. */

/* --- GEMM ------------------------------------------------------------------------------------- */

#define ROWS1(X) X(0)
#define ROWS2(X) ROWS1(X) X(1)
#define ROWS3(X) ROWS2(X) X(2)
#define ROWS4(X) ROWS3(X) X(3)
#define ROWS5(X) ROWS4(X) X(4)
#define ROWS6(X) ROWS5(X) X(5)
#define ROWS7(X) ROWS6(X) X(6)
#define ROWS8(X) ROWS7(X) X(7)

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
	const ptrdiff_t a_on = g->a_step - (ptrdiff_t)(g->k * csa); \
	const ptrdiff_t b_on = g->b_step - (ptrdiff_t)(g->k * ldb); \
	float *c = g->c + i0 * ldc + j0; \
	const float *at = c; \
	ROWS##R(START) \
	if (add) { \
		ROWS##R(MORE) \
	} \
	for (size_t left = g->more + 1; left; left--, a += a_on, b += b_on) \
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
	const ptrdiff_t a_on = g->a_step - (ptrdiff_t)(g->k * csa); \
	const ptrdiff_t b_on = g->b_step - (ptrdiff_t)(g->k * ldb); \
	const size_t part = g->n - j0 < VL ? g->n - j0 : VL; \
	float *c = g->c + i0 * ldc + j0; \
	const float *at = c; \
	ROWS##R(START1) \
	if (add && part == VL) { \
		ROWS##R(MORE1) \
	} else if (add) { \
		ROWS##R(MORE_PART) \
	} \
	for (size_t left = g->more + 1; left; left--, a += a_on, b += b_on) \
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
/* Rows i0 ... i0 + R - 1, columns [j, end); `add` is a constant where it is inlined. */ \
INLINE void FN(row##R)(const struct hn_gemm *g, size_t i0, const size_t j_end[2], bool add) \
{ \
	size_t j = j_end[0]; \
	for (; j + 2 * VL <= j_end[1]; j += 2 * VL) \
		FN(tile##R##x2)(g, i0, j, add); \
	for (; j < j_end[1]; j += VL) \
		FN(tile##R##x1)(g, i0, j, add); \
} \
K_FN static void FN(band##R)(const struct hn_gemm *g, size_t i0, const size_t j_end[2]) \
{ \
	if (g->add) \
		FN(row##R)(g, i0, j_end, true); \
	else \
		FN(row##R)(g, i0, j_end, false); \
}

TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
#if K_MR >= 8
TILE(7)
TILE(8)
#endif

static void (*const FN(band)[])(const struct hn_gemm *, size_t, const size_t [2]) = {
	FN(band1), FN(band2), FN(band3), FN(band4), FN(band5), FN(band6),
#if K_MR >= 8
	FN(band7), FN(band8),
#endif
};

/* Rows of the next band: full tiles, and the last two alike, because a low one starves the FMA
 * units. */
INLINE size_t FN(height)(size_t left)
{
	return left >= 2 * K_MR ? K_MR : left > K_MR ? (left + 1) / 2 : left;
}

/* Columns in panels: what a panel reads of B stays in the L1 cache over all bands. */
K_FN static void FN(gemm)(const struct hn_gemm *g)
{
	enum { PANEL = 4096 };                   /* floats: half of a small L1 cache */
#ifdef K_NARROW
	if (g->n <= VL) {
		K_NARROW(g);
		return;
	}
#endif
	const size_t fit = PANEL / (g->k + 1) / (2 * VL) * (2 * VL), wide = fit ? fit : 2 * VL;

	for (size_t j = 0; j < g->n; j += wide) {
		const size_t j_end[2] = { j, g->n - j < wide ? g->n : j + wide };

		for (size_t i = 0, r; i < g->m; i += r) {
			r = FN(height)(g->m - i);
			FN(band)[r - 1](g, i, j_end);
		}
	}
}
