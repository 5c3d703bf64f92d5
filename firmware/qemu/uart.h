/* uart.h - the rings of one UART: an interrupt at one end, the main loop at the other. */
#ifndef UART_H
#define UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uart {
	volatile uint32_t rx_head, rx_tail, tx_head, tx_tail, lost;
	uint32_t rx_size, tx_size;               /* powers of two                            */
	uint8_t *rx, *tx;                        /* (size,) the board's                      */
};

/* From the interrupt: a byte came (counted as lost when the ring is full); the next one to go,
 * false when there is none. */
void uart_came(struct uart *u, uint8_t byte);
bool uart_goes(struct uart *u, uint8_t *byte);

/* From the main loop, see board.h. */
size_t uart_peek(const struct uart *u, const uint8_t **bytes);
void uart_skip(struct uart *u, size_t n);
uint32_t uart_lost(struct uart *u);
bool uart_queue(struct uart *u, const uint8_t *bytes, size_t n);
bool uart_is_empty(const struct uart *u);        /* nothing received waits */
#endif
