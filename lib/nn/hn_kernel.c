#include "hn_kernel.h"
#include "hn_kernel_levels.h"
#if defined(__arm__)
#include <sys/auxv.h>

enum { HAS_NEON = 1 << 12, HAS_VFPV4 = 1 << 16 };        /* HWCAP bits of Linux on 32-bit ARM */
#endif

const struct hn_kernels *hn_kernels_at(size_t i)
{
	const struct hn_kernels *level[4] = { &hn_kernels_base };
	size_t n = 1;

#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
		level[n++] = &hn_kernels_avx2;
		if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
		    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
			level[n++] = &hn_kernels_avx512;
	}
#elif defined(__aarch64__)
	level[n++] = &hn_kernels_neon;
#elif defined(__arm__)
	if ((getauxval(AT_HWCAP) & HAS_NEON) != 0 && (getauxval(AT_HWCAP) & HAS_VFPV4) != 0)
		level[n++] = &hn_kernels_neon;
#endif
	return i < n ? level[i] : NULL;
}

const struct hn_kernels *hn_kernels_best(void)
{
	size_t i = 0;

	while (hn_kernels_at(i + 1))
		i++;
	return hn_kernels_at(i);
}
