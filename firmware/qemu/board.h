/* board.h - the peripherals of an emulated board: two UARTs and one timer.
 *
 * The timer interrupts once a frame; between its interrupts its count gives the microseconds.  So
 * the clock never disagrees with the number of frames sampled.  Bytes go through rings.  A board
 * with a single UART has no console: what is sent there is dropped, nothing is received.
 *
 *   board_mps2.c      mps2-an385 (Cortex-M3), -an386 (M4), -an500 (M7)
 *   board_microbit.c  microbit (nRF51822, Cortex-M0), with its own flash in part_nvmc.c
 *   board_virt.c      the RISC-V machine `virt`
 *   single.c          what the two with a single UART share */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* Interrupt `n` of the board's controller, for the start-up code. */
void board_interrupt(unsigned n);
#endif
