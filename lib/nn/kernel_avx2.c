/* x86-64 with AVX2 and FMA: eight floats a vector, 16 registers: a tile of 6 x 2 leaves four. */
#include "hn_kernel_levels.h"

typedef int kernel_avx2_is_never_empty;

#if defined(__x86_64__)
#include "hn_kernel_coef.h"
#include <immintrin.h>

#define K_NAME avx2
#define K_TEXT "avx2"
#define K_FN __attribute__((target("avx2,fma")))
#define VL 8
#define K_MR 6
#define K_FMA(a, b, c) ((vf)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define K_SQRT(a) ((vf)_mm256_sqrt_ps((__m256)(a)))
#define K_MAX(a, b) ((vf)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define K_MIN(a, b) ((vf)_mm256_min_ps((__m256)(a), (__m256)(b)))
#include "hn_kernel.inc.h"
#endif
