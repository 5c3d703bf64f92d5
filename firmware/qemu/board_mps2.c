/* Arm MPS2 with the images AN385, AN386 and AN500, as QEMU has it.  Sources: Arm DAI 0385, 0386 and
 * 0500 (memory map, interrupts), Cortex-M System Design Kit TRM (UART, timer). */
#include "board.h"

#include "cpu.h"
#include "uart.h"

enum { CLOCK_HZ = 25000000, RX_RING = 2048, TX_RING = 4096, US_TICKS = CLOCK_HZ / 1000000,
       BAUD = 115200 };
enum { IRQ_UART0_RX = 0, IRQ_UART0_TX = 1, IRQ_UART1_RX = 2, IRQ_UART1_TX = 3, IRQ_TIMER0 = 8 };

struct uart_regs { volatile uint32_t data, state, ctrl, intr, bauddiv; };
struct timer_regs { volatile uint32_t ctrl, value, reload, intr; };

enum {
	STATE_TX_FULL = 1, STATE_RX_FULL = 2,
	CTRL_TX = 1, CTRL_RX = 2, CTRL_TX_INTR = 4, CTRL_RX_INTR = 8,
	INTR_TX = 1, INTR_RX = 2,
	TIMER_ON = 1, TIMER_INTR = 8
};

#define UART0  ((struct uart_regs *)0x40004000)
#define UART1  ((struct uart_regs *)0x40005000)
#define TIMER0 ((struct timer_regs *)0x40000000)
#define NVIC_ISER0 (*(volatile uint32_t *)0xe000e100)
#define SCB_AIRCR  (*(volatile uint32_t *)0xe000ed0c)
#define AIRCR_RESET 0x05fa0004u         /* key, SYSRESETREQ */

static uint8_t rings[BOARD_UARTS][RX_RING + TX_RING];
static struct uart uarts[BOARD_UARTS] = {
	{ .rx_size = RX_RING, .tx_size = TX_RING, .rx = rings[0], .tx = rings[0] + RX_RING },
	{ .rx_size = RX_RING, .tx_size = TX_RING, .rx = rings[1], .tx = rings[1] + RX_RING },
};
static volatile uint32_t frames;
static uint32_t frame_us, frame_ticks;
static void (*frame_hook)(void);

static struct uart_regs *regs_of(enum board_uart u)
{
	return u == BOARD_LINK ? UART0 : UART1;
}

void board_lock(void)
{
	cpu_lock();
}

void board_unlock(void)
{
	cpu_unlock();
}

static void on_rx(enum board_uart u)
{
	struct uart_regs *r = regs_of(u);

	r->intr = INTR_RX;
	while (r->state & STATE_RX_FULL)
		uart_came(&uarts[u], (uint8_t)r->data);
}

/* Fill the transmitter.  With interrupts off or from the interrupt itself. */
static void on_tx(enum board_uart u)
{
	struct uart_regs *r = regs_of(u);
	uint8_t byte;

	r->intr = INTR_TX;
	while (!(r->state & STATE_TX_FULL) && uart_goes(&uarts[u], &byte))
		r->data = byte;
}

static void on_timer(void)
{
	TIMER0->intr = 1;
	frames++;
	frame_hook();
}

void board_interrupt(unsigned n)
{
	if (n == IRQ_TIMER0)
		on_timer();
	else if (n == IRQ_UART0_RX || n == IRQ_UART1_RX)
		on_rx(n == IRQ_UART0_RX ? BOARD_LINK : BOARD_CONSOLE);
	else if (n == IRQ_UART0_TX || n == IRQ_UART1_TX)
		on_tx(n == IRQ_UART0_TX ? BOARD_LINK : BOARD_CONSOLE);
}

static void uart_init(struct uart_regs *r)
{
	r->bauddiv = CLOCK_HZ / BAUD;
	r->ctrl = CTRL_TX | CTRL_RX | CTRL_TX_INTR | CTRL_RX_INTR;
}

void board_init(uint32_t period_us, void (*on_frame)(void))
{
	frame_us = period_us;
	frame_ticks = period_us * US_TICKS;
	frame_hook = on_frame;
	uart_init(UART0);
	uart_init(UART1);
	TIMER0->reload = frame_ticks - 1;
	TIMER0->value = frame_ticks - 1;
	TIMER0->ctrl = TIMER_ON | TIMER_INTR;
	NVIC_ISER0 = 1u << IRQ_UART0_RX | 1u << IRQ_UART0_TX | 1u << IRQ_UART1_RX
	           | 1u << IRQ_UART1_TX | 1u << IRQ_TIMER0;
	cpu_unlock();
}

uint32_t board_frames(void)
{
	return frames;
}

/* The timer counts down through one frame.  It may have begun the next one before its interrupt
 * was taken: then the flag stands while the count is still high. */
uint32_t board_now_us(void)
{
	uint32_t f, value, late;

	do {
		f = frames;
		value = TIMER0->value;
		late = TIMER0->intr & 1;
	} while (f != frames);
	if (late && value > frame_ticks / 2)
		f++;
	return f * frame_us + (frame_ticks - 1 - value) / US_TICKS;
}

size_t board_peek(enum board_uart u, const uint8_t **bytes)
{
	return uart_peek(&uarts[u], bytes);
}

void board_skip(enum board_uart u, size_t n)
{
	uart_skip(&uarts[u], n);
}

uint32_t board_lost(enum board_uart u)
{
	return uart_lost(&uarts[u]);
}

bool board_send(enum board_uart u, const uint8_t *bytes, size_t n)
{
	bool queued = uart_queue(&uarts[u], bytes, n);

	cpu_lock();
	on_tx(u);
	cpu_unlock();
	return queued;
}

void board_wait(uint32_t seen)
{
	cpu_lock();
	if (seen == frames && uart_is_empty(&uarts[BOARD_LINK]) && uart_is_empty(&uarts[BOARD_CONSOLE]))
		cpu_wait();
	cpu_unlock();
}

void board_reset(void)
{
	SCB_AIRCR = AIRCR_RESET;
	for (;;)
		continue;
}
