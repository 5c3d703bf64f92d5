/* aarch64: four floats a vector, fused multiply-add, 32 registers: a tile of 8 x 2. */
#include "hn_kernel_levels.h"

typedef int kernel_neon_is_never_empty;

#if defined(__aarch64__)
#include "hn_kernel_coef.h"
#include <arm_neon.h>

#define K_NAME neon
#define K_TEXT "neon"
#define K_FN
#define VL 4
#define K_MR 8
#define K_FMA(a, b, c) ((vf)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#define K_SQRT(a) ((vf)vsqrtq_f32((float32x4_t)(a)))
#include "hn_kernel.inc.h"
#endif
