/* BBC micro:bit (nRF51822, Cortex-M0), as QEMU has it.  Source: nRF51 Series Reference Manual,
 * chapters UART and TIMER.  One UART, the link: there is no console. */
#include "board.h"

#include "cpu.h"
#include "single.h"

enum { RX_RING = 1024, TX_RING = 1024, IRQ_UART0 = 2, IRQ_TIMER0 = 8 };

#define REG(address) (*(volatile uint32_t *)(address))
#define UART_STARTRX   REG(0x40002000)
#define UART_STARTTX   REG(0x40002008)
#define UART_RXDRDY    REG(0x40002108)
#define UART_TXDRDY    REG(0x4000211c)
#define UART_INTENSET  REG(0x40002304)
#define UART_ENABLE    REG(0x40002500)
#define UART_RXD       REG(0x40002518)
#define UART_TXD       REG(0x4000251c)
#define UART_BAUDRATE  REG(0x40002524)
#define TIMER_START    REG(0x40008000)
#define TIMER_CLEAR    REG(0x4000800c)
#define TIMER_CAPTURE1 REG(0x40008044)
#define TIMER_COMPARE0 REG(0x40008140)
#define TIMER_SHORTS   REG(0x40008200)
#define TIMER_INTENSET REG(0x40008304)
#define TIMER_BITMODE  REG(0x40008508)
#define TIMER_PRESCALE REG(0x40008510)
#define TIMER_CC0      REG(0x40008540)
#define TIMER_CC1      REG(0x40008544)
#define NVIC_ISER0     REG(0xe000e100)
#define SCB_AIRCR      REG(0xe000ed0c)

#define BAUD_115200 0x01d7e000u
#define AIRCR_RESET 0x05fa0004u         /* key, SYSRESETREQ */

enum { INT_RXDRDY = 1 << 2, INT_TXDRDY = 1 << 7, INT_COMPARE0 = 1 << 16, COMPARE0_CLEARS = 1,
       BITS_32 = 3, DIVIDE_16 = 4, UART_ON = 4 };

static uint8_t rings[RX_RING + TX_RING];
struct uart single_link = { .rx_size = RX_RING, .tx_size = TX_RING, .rx = rings,
                            .tx = rings + RX_RING };
static volatile bool sending;            /* a byte is on its way: TXDRDY will come */
static uint32_t frame_us;
static void (*frame_hook)(void);

static void send_next(void)
{
	uint8_t byte;

	sending = uart_goes(&single_link, &byte);
	if (sending)
		UART_TXD = byte;
}

void single_kick(void)
{
	if (!sending)
		send_next();
}

static void on_uart(void)
{
	while (UART_RXDRDY) {
		UART_RXDRDY = 0;
		uart_came(&single_link, (uint8_t)UART_RXD);
	}
	if (UART_TXDRDY) {
		UART_TXDRDY = 0;
		send_next();
	}
}

static void on_timer(void)
{
	TIMER_COMPARE0 = 0;
	single_frames++;
	frame_hook();
}

void board_interrupt(unsigned n)
{
	if (n == IRQ_TIMER0)
		on_timer();
	else if (n == IRQ_UART0)
		on_uart();
}

void board_init(uint32_t period_us, void (*on_frame)(void))
{
	frame_us = period_us;
	frame_hook = on_frame;
	UART_BAUDRATE = BAUD_115200;
	UART_ENABLE = UART_ON;
	UART_INTENSET = INT_RXDRDY | INT_TXDRDY;
	UART_STARTRX = 1;
	UART_STARTTX = 1;
	TIMER_BITMODE = BITS_32;
	TIMER_PRESCALE = DIVIDE_16;      /* 1 MHz */
	TIMER_CC0 = period_us;
	TIMER_SHORTS = COMPARE0_CLEARS;
	TIMER_INTENSET = INT_COMPARE0;
	TIMER_CLEAR = 1;
	TIMER_START = 1;
	NVIC_ISER0 = 1u << IRQ_UART0 | 1u << IRQ_TIMER0;
	cpu_unlock();
}

/* As in board_mps2.c, but the timer counts up. */
uint32_t board_now_us(void)
{
	uint32_t f, value, late;

	do {
		f = single_frames;
		TIMER_CAPTURE1 = 1;
		value = TIMER_CC1;
		late = TIMER_COMPARE0;
	} while (f != single_frames);
	if (late && value < frame_us / 2)
		f++;
	return f * frame_us + value;
}

void board_reset(void)
{
	SCB_AIRCR = AIRCR_RESET;
	for (;;)
		continue;
}
