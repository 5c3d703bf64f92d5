/* The RISC-V machine `virt` of QEMU.  Sources: QEMU hw/riscv/virt.c (memory map, interrupts),
 * National Semiconductor PC16550D data sheet, SiFive PLIC and CLINT (FU540 manual, chapters 9, 10).
 * One UART, the link: there is no console. */
#include "board.h"

#include "cpu.h"
#include "single.h"

enum { RX_RING = 2048, TX_RING = 4096, TICKS_US = 10, IRQ_UART = 10, FIFO = 16 };
enum { CAUSE_TIMER = 7, CAUSE_EXTERNAL = 11, MIE_BITS = 1 << CAUSE_TIMER | 1 << CAUSE_EXTERNAL };
enum { IER_RX = 1, IER_TX = 2, LSR_RX = 1, LSR_TX_EMPTY = 0x20, FCR_ON = 1, LCR_8N1 = 3 };

#define REG8(address)  (*(volatile uint8_t *)(address))
#define REG32(address) (*(volatile uint32_t *)(address))
#define UART_DATA      REG8(0x10000000)
#define UART_IER       REG8(0x10000001)
#define UART_FCR       REG8(0x10000002)
#define UART_LCR       REG8(0x10000003)
#define UART_LSR       REG8(0x10000005)
#define PLIC_PRIORITY  REG32(0x0c000000 + 4 * IRQ_UART)
#define PLIC_ENABLE    REG32(0x0c002000)
#define PLIC_CLAIM     REG32(0x0c200004)
#define MTIMECMP       REG32(0x02004000)
#define MTIMECMP_HIGH  REG32(0x02004004)
#define MTIME          REG32(0x0200bff8)
#define MTIME_HIGH     REG32(0x0200bffc)
#define SYSCON         REG32(0x00100000)
#define SYSCON_RESET   0x7777u

static uint8_t rings[RX_RING + TX_RING];
struct uart single_link = { .rx_size = RX_RING, .tx_size = TX_RING, .rx = rings,
                            .tx = rings + RX_RING };
static uint32_t frame_us;
static uint64_t start, due;              /* ticks */
static void (*frame_hook)(void);

static uint64_t ticks(void)
{
	uint32_t high, low;

	do {
		high = MTIME_HIGH;
		low = MTIME;
	} while (high != MTIME_HIGH);
	return (uint64_t)high << 32 | low;
}

static void timer_set(uint64_t at)
{
	MTIMECMP = UINT32_MAX;           /* never in the past while the halves disagree */
	MTIMECMP_HIGH = (uint32_t)(at >> 32);
	MTIMECMP = (uint32_t)at;
}

/* The transmitter's interrupt is wanted only while something waits for it. */
void single_kick(void)
{
	uint8_t byte;

	if (UART_LSR & LSR_TX_EMPTY) {
		for (int i = 0; i < FIFO && uart_goes(&single_link, &byte); i++)
			UART_DATA = byte;
	}
	UART_IER = single_link.tx_tail == single_link.tx_head ? IER_RX : IER_RX | IER_TX;
}

static void on_uart(void)
{
	while (UART_LSR & LSR_RX)
		uart_came(&single_link, UART_DATA);
	single_kick();
}

void board_interrupt(unsigned n)
{
	uint32_t claim;

	if (n == CAUSE_TIMER) {
		due += (uint64_t)frame_us * TICKS_US;
		timer_set(due);
		single_frames++;
		frame_hook();
	} else if (n == CAUSE_EXTERNAL) {
		claim = PLIC_CLAIM;
		if (claim == IRQ_UART)
			on_uart();
		PLIC_CLAIM = claim;
	}
}

void board_init(uint32_t period_us, void (*on_frame)(void))
{
	frame_us = period_us;
	frame_hook = on_frame;
	UART_LCR = LCR_8N1;
	UART_FCR = FCR_ON;
	UART_IER = IER_RX;
	PLIC_PRIORITY = 1;
	PLIC_ENABLE = 1u << IRQ_UART;
	start = ticks();
	due = start + (uint64_t)period_us * TICKS_US;
	timer_set(due);
	__asm__ volatile ("csrw mie, %0" :: "r"(MIE_BITS));
	cpu_unlock();
}

uint32_t board_now_us(void)
{
	return (uint32_t)((ticks() - start) / TICKS_US);
}

void board_reset(void)
{
	SYSCON = SYSCON_RESET;
	for (;;)
		continue;
}
