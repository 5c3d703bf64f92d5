/* hn_kernel_levels.h - tables of the levels compiled in; private to the kernel files. */
#ifndef HN_KERNEL_LEVELS_H
#define HN_KERNEL_LEVELS_H

#include "hn_kernel.h"

extern const struct hn_kernels hn_kernels_base;
#if defined(__x86_64__)
extern const struct hn_kernels hn_kernels_avx2, hn_kernels_avx512;
#elif defined(__aarch64__) || defined(__arm__)
extern const struct hn_kernels hn_kernels_neon;
#endif
#endif
