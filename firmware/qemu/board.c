#include "board.h"

enum { RX_RING = 2048, TX_RING = 4096, US_TICKS = BOARD_CLOCK_HZ / 1000000, BAUD = 115200 };

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

/* One writer and one reader each: an interrupt at one end, the main loop at the other. */
struct uart {
	struct uart_regs *regs;
	volatile uint32_t rx_head, rx_tail, tx_head, tx_tail, lost;
	uint8_t rx[RX_RING], tx[TX_RING];
};

static struct uart uarts[BOARD_UARTS];
static volatile uint32_t frames;
static uint32_t frame_us, frame_ticks;
static void (*frame_hook)(void);

void board_lock(void)
{
	__asm__ volatile ("cpsid i" ::: "memory");
}

void board_unlock(void)
{
	__asm__ volatile ("cpsie i" ::: "memory");
}

static void on_rx(struct uart *u)
{
	u->regs->intr = INTR_RX;
	while (u->regs->state & STATE_RX_FULL) {
		uint8_t byte = (uint8_t)u->regs->data;

		if (u->rx_head - u->rx_tail == RX_RING) {
			u->lost++;
			continue;
		}
		u->rx[u->rx_head % RX_RING] = byte;
		u->rx_head++;
	}
}

/* Fill the transmitter.  With interrupts off or from the interrupt itself. */
static void on_tx(struct uart *u)
{
	u->regs->intr = INTR_TX;
	while (u->tx_tail != u->tx_head && !(u->regs->state & STATE_TX_FULL)) {
		u->regs->data = u->tx[u->tx_tail % TX_RING];
		u->tx_tail++;
	}
}

void board_uart0_rx(void)
{
	on_rx(&uarts[BOARD_LINK]);
}

void board_uart0_tx(void)
{
	on_tx(&uarts[BOARD_LINK]);
}

void board_uart1_rx(void)
{
	on_rx(&uarts[BOARD_CONSOLE]);
}

void board_uart1_tx(void)
{
	on_tx(&uarts[BOARD_CONSOLE]);
}

void board_timer0(void)
{
	TIMER0->intr = 1;
	frames++;
	frame_hook();
}

static void uart_init(struct uart *u, struct uart_regs *regs)
{
	u->regs = regs;
	regs->bauddiv = BOARD_CLOCK_HZ / BAUD;
	regs->ctrl = CTRL_TX | CTRL_RX | CTRL_TX_INTR | CTRL_RX_INTR;
}

void board_init(uint32_t period_us, void (*on_frame)(void))
{
	frame_us = period_us;
	frame_ticks = period_us * US_TICKS;
	frame_hook = on_frame;
	uart_init(&uarts[BOARD_LINK], UART0);
	uart_init(&uarts[BOARD_CONSOLE], UART1);
	TIMER0->reload = frame_ticks - 1;
	TIMER0->value = frame_ticks - 1;
	TIMER0->ctrl = TIMER_ON | TIMER_INTR;
	NVIC_ISER0 = 1u << BOARD_IRQ_UART0_RX | 1u << BOARD_IRQ_UART0_TX | 1u << BOARD_IRQ_UART1_RX
	           | 1u << BOARD_IRQ_UART1_TX | 1u << BOARD_IRQ_TIMER0;
	board_unlock();
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
	struct uart *r = &uarts[u];
	uint32_t at = r->rx_tail % RX_RING, have = r->rx_head - r->rx_tail;

	*bytes = r->rx + at;
	return have < RX_RING - at ? have : RX_RING - at;
}

void board_skip(enum board_uart u, size_t n)
{
	uarts[u].rx_tail += (uint32_t)n;
}

uint32_t board_lost(enum board_uart u)
{
	uint32_t lost;

	board_lock();
	lost = uarts[u].lost;
	uarts[u].lost = 0;
	board_unlock();
	return lost;
}

bool board_send(enum board_uart u, const uint8_t *bytes, size_t n)
{
	struct uart *r = &uarts[u];

	if (n > TX_RING - (r->tx_head - r->tx_tail))
		return false;
	for (size_t i = 0; i < n; i++)
		r->tx[(r->tx_head + i) % TX_RING] = bytes[i];
	board_lock();
	r->tx_head += (uint32_t)n;
	on_tx(r);
	board_unlock();
	return true;
}

void board_wait(uint32_t seen)
{
	/* With interrupts off a pending one still ends the wait: nothing can slip in between. */
	board_lock();
	if (seen == frames && uarts[BOARD_LINK].rx_head == uarts[BOARD_LINK].rx_tail
	    && uarts[BOARD_CONSOLE].rx_head == uarts[BOARD_CONSOLE].rx_tail)
		__asm__ volatile ("wfi" ::: "memory");
	board_unlock();
}

void board_reset(void)
{
	SCB_AIRCR = AIRCR_RESET;
	for (;;)
		continue;
}
