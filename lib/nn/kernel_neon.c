/* ARM, four floats a vector, fused multiply-add.  aarch64 has 32 registers: a tile of 8 x 2.  ARMv7
 * has 16, a tile of 6 x 2; its NEON takes numbers below 1.2e-38 as zero, all else is the same, and
 * what is not a fused multiply-add is computed float by float. */
#if defined(__arm__)
#pragma GCC target("fpu=neon-vfpv4")     /* before any header; hn_kernel.c asks the CPU */
#endif
#include "hn_kernel_levels.h"

typedef int kernel_neon_is_never_empty;

#if defined(__aarch64__) || defined(__arm__)
#include "hn_kernel_coef.h"
#include <arm_neon.h>
#include <math.h>

#define K_NAME neon
#define K_TEXT "neon"
#define K_FN
#define VL 4
#define K_FMA(a, b, c) ((vf)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#if defined(__aarch64__)
#define K_MR 8
#define K_SQRT(a) ((vf)vsqrtq_f32((float32x4_t)(a)))
#else
#define K_MR 6
#define K_SQRT(a) ((vf){ sqrtf((a)[0]), sqrtf((a)[1]), sqrtf((a)[2]), sqrtf((a)[3]) })
#endif
#define K_MAX(a, b) ((vf)vmaxq_f32((float32x4_t)(a), (float32x4_t)(b)))
#define K_MIN(a, b) ((vf)vminq_f32((float32x4_t)(a), (float32x4_t)(b)))
#include "hn_kernel.inc.h"
#endif
