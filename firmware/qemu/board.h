/* board.h - the mps2-an386: two UARTs with rings, a frame timer that is also the clock, reset.
 *
 * Source: Arm AN386 (memory map, interrupts), Cortex-M System Design Kit TRM (UART, timer). */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BOARD_CLOCK_HZ = 25000000,
	BOARD_IRQ_UART0_RX = 0, BOARD_IRQ_UART0_TX = 1, BOARD_IRQ_UART1_RX = 2,
	BOARD_IRQ_UART1_TX = 3, BOARD_IRQ_TIMER0 = 8
};

enum board_uart { BOARD_LINK, BOARD_CONSOLE, BOARD_UARTS };

/* Start UARTs and timer.  `on_frame` runs in the timer's interrupt, every period_us. */
void board_init(uint32_t period_us, void (*on_frame)(void));

/* Microseconds since board_init, wraps.  From the main loop only. */
uint32_t board_now_us(void);

/* Frames so far, wraps. */
uint32_t board_frames(void);

/* Received bytes in one piece: their number; *bytes points at them.  Skip what was used. */
size_t board_peek(enum board_uart u, const uint8_t **bytes);
void board_skip(enum board_uart u, size_t n);

/* Bytes lost because the receive ring was full, since the last call. */
uint32_t board_lost(enum board_uart u);

/* Queue all `n` bytes or none. */
bool board_send(enum board_uart u, const uint8_t *bytes, size_t n);

/* Sleep until an interrupt, unless something arrived or a frame was sampled since `seen`. */
void board_wait(uint32_t seen);

/* Keep interrupts out: around what an interrupt also touches. */
void board_lock(void);
void board_unlock(void);

void board_reset(void) __attribute__((noreturn));

/* Interrupt handlers, for the vector table. */
void board_uart0_rx(void);
void board_uart0_tx(void);
void board_uart1_rx(void);
void board_uart1_tx(void);
void board_timer0(void);
#endif
