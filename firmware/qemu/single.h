/* single.h - a board with one UART, the link: its half of board.h. */
#ifndef SINGLE_H
#define SINGLE_H

#include <stdint.h>
#include "uart.h"

/* Of the board: the link's rings; let the UART send what is queued, unless it already does
 * (interrupts are locked). */
extern struct uart single_link;
void single_kick(void);

/* Frames so far: the timer's interrupt of the board counts them. */
extern volatile uint32_t single_frames;
#endif
