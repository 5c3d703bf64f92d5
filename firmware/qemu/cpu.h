/* cpu.h - what the boards need of the core itself. */
#ifndef CPU_H
#define CPU_H

#include <stdint.h>

#if defined(__riscv)
static inline void cpu_lock(void)
{
	__asm__ volatile ("csrci mstatus, 8" ::: "memory");     /* MIE */
}

static inline void cpu_unlock(void)
{
	__asm__ volatile ("csrsi mstatus, 8" ::: "memory");
}
#else
static inline void cpu_lock(void)
{
	__asm__ volatile ("cpsid i" ::: "memory");
}

static inline void cpu_unlock(void)
{
	__asm__ volatile ("cpsie i" ::: "memory");
}
#endif

/* With interrupts off a pending one still ends it: nothing slips in between. */
static inline void cpu_wait(void)
{
	__asm__ volatile ("wfi" ::: "memory");
}

static inline void cpu_barrier(void)
{
	__asm__ volatile ("" ::: "memory");
#if !defined(__riscv)
	__asm__ volatile ("dmb" ::: "memory");
#else
	__asm__ volatile ("fence" ::: "memory");
#endif
}
#endif
