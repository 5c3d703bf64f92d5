/* startup_riscv.c - reset, the trap vector and the way to main() on RV32. */
#include <stdint.h>
#include "board.h"

extern uint32_t data_start[], data_end[], bss_start[], bss_end[];
extern const uint32_t data_load[];

int main(void);
void start(void);
void start_c(void);
void trap(void);

/* An interrupt goes to the board; an exception is a bug: start again, the journal decides what
 * runs. */
__attribute__((interrupt("machine"), aligned(4)))
void trap(void)
{
	uint32_t cause;

	__asm__ volatile ("csrr %0, mcause" : "=r"(cause));
	if (!(cause >> 31))
		board_reset();
	board_interrupt(cause & 0xff);
}

__attribute__((section(".vectors"), naked, used))
void start(void)
{
	__asm__ volatile (
		".option push\n.option norelax\nla gp, __global_pointer$\n.option pop\n"
		"la sp, stack_top\nla t0, trap\ncsrw mtvec, t0\nj start_c");
}

__attribute__((used))
void start_c(void)
{
	const uint32_t *from = data_load;

	for (uint32_t *to = data_start; (uintptr_t)to < (uintptr_t)data_end; to++)
		*to = *from++;
	for (uint32_t *to = bss_start; (uintptr_t)to < (uintptr_t)bss_end; to++)
		*to = 0;
	(void)main();
	board_reset();
}
