/* Any CPU: vectors of four floats, multiply and add rounded apart.  SSE2 on x86-64. */
#include "hn_kernel_levels.h"
#include "hn_kernel_coef.h"

#include <math.h>

#define K_NAME base
#define K_TEXT "base"
#define K_FN
#define VL 4
#define K_MR 6
#define K_FMA(a, b, c) ((a) * (b) + (c))
#if defined(__SSE2__)
#include <emmintrin.h>
#define K_SQRT(a) ((vf)_mm_sqrt_ps((__m128)(a)))
#define K_MAX(a, b) ((vf)_mm_max_ps((__m128)(a), (__m128)(b)))
#define K_MIN(a, b) ((vf)_mm_min_ps((__m128)(a), (__m128)(b)))
#else
#define K_MAX(a, b) PICK((a) > (b), a, b)
#define K_MIN(a, b) PICK((a) < (b), a, b)
#define K_SQRT(a) ((vf){ sqrtf((a)[0]), sqrtf((a)[1]), sqrtf((a)[2]), sqrtf((a)[3]) })
#endif
#include "hn_kernel.inc.h"
