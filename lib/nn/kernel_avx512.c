/* x86-64 with AVX-512: sixteen floats a vector, 32 registers: a tile of 8 x 2. */
#include "hn_kernel_levels.h"

typedef int kernel_avx512_is_never_empty;

#if defined(__x86_64__)
#include "hn_kernel_coef.h"
#include <immintrin.h>

#define K_NAME avx512
#define K_TEXT "avx512"
#define K_FN __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")))
#define VL 16
#define K_MR 8
#define K_NARROW(g) hn_kernels_avx2.gemm(g)
#define K_FMA(a, b, c) ((vf)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define K_SQRT(a) ((vf)_mm512_sqrt_ps((__m512)(a)))
#define K_MAX(a, b) ((vf)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define K_MIN(a, b) ((vf)_mm512_min_ps((__m512)(a), (__m512)(b)))
#include "hn_kernel.inc.h"
#endif
