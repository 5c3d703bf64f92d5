#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "hn_kernel.h"
#include "hn_rng.h"
#include "t_must.h"
#include "t_run.h"

enum { M_MAX = 40, K_MAX = 40, SLACK = HN_LANES };

static size_t n_levels(void)
{
	size_t n = 0;

	while (hn_kernels_at(n))
		n++;
	return n;
}

static void fill(float *v, size_t n, uint64_t seed)
{
	struct hn_rng r;

	hn_rng_seed(&r, seed);
	for (size_t i = 0; i < n; i++)
		v[i] = (float)hn_rng_normal(&r);
}

/* C behind the end of each row must stay untouched: 12345 marks it. */
static void check_gemm(const struct hn_kernels *k, const size_t mnk[3], int form)
{
	static float a[M_MAX * K_MAX], b[K_MAX * M_MAX + SLACK], c[M_MAX * (M_MAX + 3)], bias[M_MAX];
	const size_t m = mnk[0], n = mnk[1], kk = mnk[2], ldc = n + 3;
	const size_t rsa = form & 1 ? 1 : kk, csa = form & 1 ? m : 1;

	fill(a, m * kk, 1);
	fill(b, kk * n + SLACK, 2);
	fill(bias, m, 3);
	for (size_t i = 0; i < m * ldc; i++)
		c[i] = 12345;
	k->gemm(&(struct hn_gemm){ .m = m, .n = n, .k = kk, .a = a, .rsa = rsa, .csa = csa, .b = b,
	        .ldb = n, .c = c, .ldc = ldc, .bias = form & 2 ? bias : NULL });
	for (size_t i = 0; i < m; i++)
		for (size_t j = 0; j < ldc; j++) {
			double want = form & 2 ? (double)bias[i] : 0;

			for (size_t q = 0; j < n && q < kk; q++)
				want += (double)a[i * rsa + q * csa] * (double)b[q * n + j];
			if (j < n)
				T_MUST(fabs((double)c[i * ldc + j] - want) <= 2e-5, "%zu x %zu x %zu, "
				       "form %d: [%zu, %zu] is %g, wanted %g", m, n, kk, form, i, j,
				       (double)c[i * ldc + j], want);
			else
				T_MUST(c[i * ldc + j] == 12345, "%zu x %zu x %zu, form %d: wrote beyond "
				       "row %zu", m, n, kk, form, i);
		}
}

START_TEST(products_of_every_small_shape_are_right)
{
	for (size_t m = 1; m <= 20; m++)
		for (size_t n = 1; n <= 40; n += n < 18 ? 1 : 7)
			for (size_t kk = 1; kk <= 33; kk += 8)
				for (int form = 0; form < 4; form++)
					check_gemm(hn_kernels_at((size_t)_i), (size_t[]){ m, n, kk }, form);
}
END_TEST

/* Stretches may overlap and go backwards, as the taps of a convolution do. */
START_TEST(a_sum_over_stretches_has_the_bits_of_its_parts_added)
{
	enum { M = 13, N = 35, K = 9, MORE = 3, LDA = 60, B_STEP = 2 * N };
	const struct hn_kernels *k = hn_kernels_at((size_t)_i);
	static float a[M * LDA], b[(K + 2 * MORE) * N + SLACK], c[M * N], want[M * N];

	fill(a, M * LDA, 1);
	fill(b, sizeof b / sizeof *b, 2);
	fill(want, M * N, 3);
	memcpy(c, want, sizeof c);
	for (int step = -7; step <= 7; step += 14) {
		const struct hn_gemm all = { .m = M, .n = N, .k = K, .a = a + 21, .rsa = LDA, .csa = 1,
			.b = b, .ldb = N, .c = c, .ldc = N, .add = true, .more = MORE, .a_step = step,
			.b_step = B_STEP };

		k->gemm(&all);
		for (int s = 0; s <= MORE; s++) {
			struct hn_gemm part = all;

			part.a += s * step;
			part.b += (size_t)s * B_STEP;
			part.c = want;
			part.more = 0;
			k->gemm(&part);
		}
		ck_assert_mem_eq(c, want, sizeof c);
	}
}
END_TEST

START_TEST(a_wide_product_has_the_bits_of_its_columns)
{
	enum { M = 7, N = 700, K = 29 };
	const struct hn_kernels *k = hn_kernels_at((size_t)_i);
	static float a[M * K], b[K * N + SLACK], c[M * N], one[M];

	fill(a, M * K, 1);
	fill(b, K * N + SLACK, 2);
	k->gemm(&(struct hn_gemm){ .m = M, .n = N, .k = K, .a = a, .rsa = K, .csa = 1, .b = b,
	        .ldb = N, .c = c, .ldc = N });
	for (size_t j = 0; j < N; j++) {
		k->gemm(&(struct hn_gemm){ .m = M, .n = 1, .k = K, .a = a, .rsa = K, .csa = 1, .b = b + j,
		        .ldb = N, .c = one, .ldc = 1 });
		for (size_t i = 0; i < M; i++)
			ck_assert_mem_eq(&one[i], &c[i * N + j], sizeof *one);
	}
}
END_TEST

START_TEST(transposes_of_every_small_shape_are_right)
{
	const struct hn_kernels *k = hn_kernels_at((size_t)_i);
	static float s[M_MAX * (M_MAX + 1)], d[M_MAX * (M_MAX + 2)];

	fill(s, M_MAX * (M_MAX + 1), 1);
	for (size_t m = 1; m < M_MAX; m++)
		for (size_t n = 1; n < M_MAX; n++) {
			for (size_t i = 0; i < n * (m + 2); i++)
				d[i] = 12345;
			k->transpose(s, n + 1, d, m + 2, (size_t[2]){ m, n });
			for (size_t i = 0; i < n; i++)
				for (size_t j = 0; j < m + 2; j++)
					T_MUST(d[i * (m + 2) + j] == (j < m ? s[j * (n + 1) + i] : 12345),
					       "%zu x %zu: [%zu, %zu]", m, n, i, j);
		}
}
END_TEST

START_TEST(rows_are_gathered_in_order_and_nothing_behind_them)
{
	enum { N = 5, WIDE = 37, LD = 48 };
	static const uint32_t order[N] = { 3, 0, 4, 4, 1 };
	const struct hn_kernels *k = hn_kernels_at((size_t)_i);
	static float src[N * WIDE], rows[N * LD];

	fill(src, N * WIDE, 6);
	for (size_t width = 1; width <= WIDE; width++)
		for (int shuffled = 0; shuffled < 2; shuffled++) {
			for (size_t i = 0; i < N * LD; i++)
				rows[i] = 12345;
			k->gather(&(struct hn_gather_args){ .n = N, .width = width, .ld = LD, .src = src,
			          .order = shuffled ? order : NULL, .rows = rows });
			for (size_t i = 0; i < N * LD; i++) {
				const size_t from = (shuffled ? order[i / LD] : i / LD) * width + i % LD;

				T_MUST(rows[i] == (i % LD < width ? src[from] : 12345), "width %zu: row %zu, "
				       "column %zu", width, i / LD, i % LD);
			}
		}
}
END_TEST

typedef void (*vector_fn)(const float *, float *, size_t);

/* Largest relative error (absolute where `absolute`) over [lo, hi]. */
static double worst_error(vector_fn f, double (*ref)(double), const double range[2], int absolute)
{
	enum { N = 1 << 16 };
	static float x[N], y[N];
	double worst = 0;

	for (size_t i = 0; i < N; i++)
		x[i] = (float)(range[0] + (range[1] - range[0]) * (double)i / (N - 1));
	f(x, y, N);
	for (size_t i = 0; i < N; i++) {
		const double want = ref((double)x[i]), e = fabs((double)y[i] - want);

		if (want != 0 || absolute)
			worst = fmax(worst, absolute ? e : e / fabs(want));
	}
	return worst;
}

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

START_TEST(vector_functions_keep_their_stated_error)
{
	const struct hn_kernels *k = hn_kernels_at((size_t)_i);

	ck_assert_double_lt(worst_error(k->exp, exp, (double[]){ -87, 88 }, 0), HN_EXP_ERROR);
	ck_assert_double_lt(worst_error(k->exp, exp, (double[]){ -1, 1 }, 0), HN_EXP_ERROR);
	ck_assert_double_lt(worst_error(k->tanh, tanh, (double[]){ -12, 12 }, 0), HN_TANH_ERROR);
	ck_assert_double_lt(worst_error(k->tanh, tanh, (double[]){ -0.1, 0.1 }, 0), HN_TANH_ERROR);
	ck_assert_double_lt(worst_error(k->sigmoid, sigmoid, (double[]){ -87, 30 }, 0),
	                    HN_SIGMOID_ERROR);
	ck_assert_double_lt(worst_error(k->sigmoid, sigmoid, (double[]){ -8, 8 }, 0),
	                    HN_SIGMOID_ERROR);
	ck_assert_double_lt(worst_error(k->log, log, (double[]){ 0.5, 2 }, 1), HN_LOG_ERROR);
	ck_assert_double_lt(worst_error(k->log, log, (double[]){ 1, 1000 }, 0), 2 * HN_LOG_ERROR);
}
END_TEST

START_TEST(vector_functions_pass_nan_on_and_clamp_infinity)
{
	const struct hn_kernels *k = hn_kernels_at((size_t)_i);
	float x[HN_LANES] = { NAN, INFINITY, -INFINITY, 1e30f, -1e30f }, y[HN_LANES];

	k->exp(x, y, HN_LANES);
	ck_assert(isnan(y[0]) && y[1] > 1e38f && y[2] < 2e-38f && y[2] >= 0);
	k->tanh(x, y, HN_LANES);
	ck_assert(isnan(y[0]) && fabsf(y[1] - 1) < 1e-6f && fabsf(y[4] + 1) < 1e-6f);
	k->relu(x, y, HN_LANES);
	ck_assert(isnan(y[0]) && isinf(y[1]) && y[2] == 0 && y[5] == 0);
	k->log(x, y, HN_LANES);
	ck_assert(isnan(y[0]));
}
END_TEST

START_TEST(sums_are_the_same_bits_at_every_level)
{
	static float x[7 * 48], one[7], want[7];
	const struct hn_kernels *k = hn_kernels_at((size_t)_i);
	double sq = 0;

	fill(x, sizeof x / sizeof *x, 9);
	for (size_t lanes = 16; lanes <= 48; lanes += 16) {
		hn_kernels_at(0)->row_sums(x, 7, lanes, want);
		k->row_sums(x, 7, lanes, one);
		ck_assert_mem_eq(one, want, sizeof one);
	}
	for (size_t n = 0; n < 300; n++) {
		ck_assert_double_eq_tol(k->sum_sq(x, n), sq, 1e-3);
		sq += (double)x[n] * (double)x[n];
	}
}
END_TEST

START_TEST(adam_of_every_length_touches_nothing_behind_it)
{
	enum { P = 50 };
	const struct hn_kernels *k = hn_kernels_at((size_t)_i);
	float w[P], m[P], v[P], g[P];

	for (size_t n = 0; n < 40; n++) {
		double change, norm;

		for (size_t i = 0; i < P; i++) {
			w[i] = 1;
			m[i] = v[i] = 0;
			g[i] = 2;
		}
		k->adam(&(struct hn_adam_args){ .n = n, .w = w, .m = m, .v = v, .g = g, .g_scale = 1,
		        .decay = 1, .b1 = 0.9f, .b2 = 0.999f, .c1 = 0.1f, .c2 = 0.001f, .eps = 1e-8f,
		        .rate = 1e-2f, .v_norm = 31.6227766f, .change = &change, .norm = &norm });
		ck_assert_double_eq_tol(change, 1e-6 * (double)n, 1e-8);
		ck_assert_double_eq_tol(norm, 0.999 * 0.999 * (double)n, 1e-4);
		for (size_t i = 0; i < P; i++) {
			ck_assert_double_eq_tol((double)w[i], i < n ? 0.999 : 1, 1e-6);
			ck_assert_double_eq_tol((double)m[i], i < n ? 0.2 : 0, 1e-6);
			ck_assert_double_eq_tol((double)v[i], i < n ? 0.004 : 0, 1e-6);
		}
	}
}
END_TEST

/* One step of either optimiser over n weights at the level: sums and weights. */
struct stepped { double sums[4]; float w[3][100]; };

static struct stepped step_all(const struct hn_kernels *k, size_t n, float l2)
{
	struct stepped s = { { 0 }, { { 0 } } };
	float g[100], v[100] = { 0 };

	fill(s.w[0], 100, 3);
	fill(s.w[1], 100, 3);
	fill(s.w[2], 100, 4);
	fill(g, 100, 5);
	k->adam(&(struct hn_adam_args){ .n = n, .w = s.w[0], .m = s.w[2], .v = v, .g = g,
	        .plain = !(l2 > 0), .g_scale = 1, .l2 = l2, .decay = 0.99f, .b1 = 0.9f, .b2 = 0.999f,
	        .c1 = 0.1f, .c2 = 0.001f, .eps = 1e-8f, .rate = 1e-2f, .v_norm = 31.6227766f,
	        .change = &s.sums[0], .norm = &s.sums[1] });
	k->sgd(&(struct hn_sgd_args){ .n = n, .w = s.w[1], .m = s.w[2], .g = g, .g_scale = 1, .l2 = l2,
	       .momentum = 0.9f, .rate = 0.01f, .by_m = 1, .change = &s.sums[2],
	       .norm = &s.sums[3] });
	return s;
}

START_TEST(steps_and_their_sums_are_the_same_bits_at_every_level_with_fused_multiply_add)
{
	for (size_t n = 0; n < 100; n++) {
		const float l2 = n & 1 ? 0.1f : 0;
		const struct stepped want = step_all(hn_kernels_at(1), n, l2);
		const struct stepped got = step_all(hn_kernels_at((size_t)_i), n, l2);

		ck_assert_mem_eq(&got, &want, sizeof got);
	}
}
END_TEST

START_TEST(a_plain_gradient_is_one_that_nothing_is_done_to)
{
	const struct hn_kernels *k = hn_kernels_at((size_t)_i);
	const struct stepped plain = step_all(k, 99, 0), other = step_all(k, 99, 1e-30f);

	ck_assert_mem_eq(&plain, &other, sizeof plain);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("kernel");
	TCase *t = tcase_create("kernel");
	const int n = (int)n_levels();

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, products_of_every_small_shape_are_right, 0, n);
	tcase_add_loop_test(t, a_sum_over_stretches_has_the_bits_of_its_parts_added, 0, n);
	tcase_add_loop_test(t, a_wide_product_has_the_bits_of_its_columns, 0, n);
	tcase_add_loop_test(t, transposes_of_every_small_shape_are_right, 0, n);
	tcase_add_loop_test(t, rows_are_gathered_in_order_and_nothing_behind_them, 0, n);
	tcase_add_loop_test(t, vector_functions_keep_their_stated_error, 0, n);
	tcase_add_loop_test(t, vector_functions_pass_nan_on_and_clamp_infinity, 0, n);
	tcase_add_loop_test(t, sums_are_the_same_bits_at_every_level, 0, n);
	tcase_add_loop_test(t, adam_of_every_length_touches_nothing_behind_it, 0, n);
	tcase_add_loop_test(t, a_plain_gradient_is_one_that_nothing_is_done_to, 0, n);
	if (n > 2)                       /* level 0 of x86 has none, other machines have one level  */
		tcase_add_loop_test(
			t, steps_and_their_sums_are_the_same_bits_at_every_level_with_fused_multiply_add, 2, n);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return t_run(suite());
}
