/* startup_arm.c - vector table and the way to main() on a Cortex-M. */
#include <stdint.h>
#include "board.h"

extern uint32_t data_start[], data_end[], bss_start[], bss_end[], stack_top[];
extern const uint32_t data_load[];

int main(void);
void reset_handler(void);

void reset_handler(void)
{
	const uint32_t *from = data_load;

	for (uint32_t *to = data_start; (uintptr_t)to < (uintptr_t)data_end; to++)
		*to = *from++;
	for (uint32_t *to = bss_start; (uintptr_t)to < (uintptr_t)bss_end; to++)
		*to = 0;
	(void)main();
	board_reset();
}

/* A fault is a bug: start again, the journal decides what runs. */
static void fault_handler(void)
{
	board_reset();
}

enum { VEC_RESET = 1, VEC_NMI, VEC_HARD, VEC_MEM, VEC_BUS, VEC_USAGE, VEC_IRQ = 16, IRQS = 16,
       VECTORS = VEC_IRQ + IRQS };

static void irq_handler(void)
{
	uint32_t exception;

	__asm__ volatile ("mrs %0, ipsr" : "=r"(exception));
	board_interrupt(exception - VEC_IRQ);
}

#define IRQ_4 irq_handler, irq_handler, irq_handler, irq_handler

typedef void (*handler)(void);

struct vectors {
	uint32_t *stack;
	handler entry[VECTORS - 1];
};

__attribute__((section(".vectors"), used))
static const struct vectors vectors = {
	.stack = stack_top,
	.entry = {
		[VEC_RESET - 1] = reset_handler,
		[VEC_NMI - 1] = fault_handler,
		[VEC_HARD - 1] = fault_handler,
		[VEC_MEM - 1] = fault_handler,
		[VEC_BUS - 1] = fault_handler,
		[VEC_USAGE - 1] = fault_handler,
		[VEC_IRQ - 1] = IRQ_4, IRQ_4, IRQ_4, IRQ_4,
	},
};
