/* kernel.h - what the sample uses of it. */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdint.h>

#define ARG_UNUSED(x) (void)(x)
int64_t k_uptime_ticks(void);
uint64_t k_ticks_to_us_floor64(uint64_t ticks);
#endif
