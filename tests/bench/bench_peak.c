#include "bench_peak.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

__attribute__((target("avx2,fma"))) static float run_avx2(long n)
{
	__m256 b = _mm256_set1_ps(0.999f), c = _mm256_set1_ps(1e-3f), s = c;
#define START(i) __m256 a##i = _mm256_set1_ps(2.0f + (float)i);
#define STEP(i) a##i = _mm256_fmadd_ps(a##i, b, c);
#define USE(i) s = _mm256_add_ps(s, a##i);
	CHAINS(START)
	for (long k = 0; k < n; k++) {
		CHAINS(STEP) CHAINS(STEP) CHAINS(STEP) CHAINS(STEP)
	}
	CHAINS(USE)
	return _mm256_cvtss_f32(s);
}

#undef START
#undef STEP
#undef USE

__attribute__((target("avx512f"))) static float run_avx512(long n)
{
	__m512 b = _mm512_set1_ps(0.999f), c = _mm512_set1_ps(1e-3f), s = c;
#define START(i) __m512 a##i = _mm512_set1_ps(2.0f + (float)i);
#define STEP(i) a##i = _mm512_fmadd_ps(a##i, b, c);
#define USE(i) s = _mm512_add_ps(s, a##i);
	CHAINS(START)
	for (long k = 0; k < n; k++) {
		CHAINS(STEP) CHAINS(STEP) CHAINS(STEP) CHAINS(STEP)
	}
	CHAINS(USE)
	return _mm512_cvtss_f32(s);
}
#endif

typedef float v4 __attribute__((vector_size(16)));

static float run_base(long n)
{
	v4 a[12], b = { 0.999f, 0.999f, 0.999f, 0.999f }, c = { 1e-3f, 1e-3f, 1e-3f, 1e-3f }, s = c;

	for (int i = 0; i < 12; i++)
		a[i] = b + (float)(i + 1);
	for (long k = 0; k < n; k++) {
		a[0] = a[0] * b + c; a[1] = a[1] * b + c; a[2] = a[2] * b + c; a[3] = a[3] * b + c;
		a[4] = a[4] * b + c; a[5] = a[5] * b + c; a[6] = a[6] * b + c; a[7] = a[7] * b + c;
		a[8] = a[8] * b + c; a[9] = a[9] * b + c; a[10] = a[10] * b + c; a[11] = a[11] * b + c;
	}
	for (int i = 0; i < 12; i++)
		s += a[i];
	return s[0];
}

static double rate(double (*cpu_s)(void), float (*run)(long), double flop_a_step)
{
	volatile long steps = 500000;           /* read anew: no round can be computed ahead */
	double best = 0;

	for (int r = 0; r < 9; r++) {
		const double from = cpu_s();
		const long n = steps;
		volatile float keep = run(n);
		const double took = cpu_s() - from;

		(void)keep;
		if (flop_a_step * (double)n / took > best)
			best = flop_a_step * (double)n / took;
	}
	return best;
}

double bench_peak(double (*cpu_s)(void))
{
	double best = rate(cpu_s, run_base, 12 * 4 * 2);

#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
		const double r = rate(cpu_s, run_avx2, 4 * 12 * 8 * 2);

		best = r > best ? r : best;
	}
	if (__builtin_cpu_supports("avx512f")) {
		const double r = rate(cpu_s, run_avx512, 4 * 12 * 16 * 2);

		best = r > best ? r : best;
	}
#endif
	return best;
}
