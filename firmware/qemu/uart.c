#include "uart.h"

#include "cpu.h"

void uart_came(struct uart *u, uint8_t byte)
{
	if (u->rx_head - u->rx_tail == u->rx_size) {
		u->lost++;
		return;
	}
	u->rx[u->rx_head & (u->rx_size - 1)] = byte;
	u->rx_head++;
}

bool uart_goes(struct uart *u, uint8_t *byte)
{
	if (u->tx_tail == u->tx_head)
		return false;
	*byte = u->tx[u->tx_tail & (u->tx_size - 1)];
	u->tx_tail++;
	return true;
}

size_t uart_peek(const struct uart *u, const uint8_t **bytes)
{
	uint32_t at = u->rx_tail & (u->rx_size - 1), have = u->rx_head - u->rx_tail;

	*bytes = u->rx + at;
	return have < u->rx_size - at ? have : u->rx_size - at;
}

void uart_skip(struct uart *u, size_t n)
{
	u->rx_tail += (uint32_t)n;
}

uint32_t uart_lost(struct uart *u)
{
	uint32_t lost;

	cpu_lock();
	lost = u->lost;
	u->lost = 0;
	cpu_unlock();
	return lost;
}

bool uart_queue(struct uart *u, const uint8_t *bytes, size_t n)
{
	if (n > u->tx_size - (u->tx_head - u->tx_tail))
		return false;
	for (size_t i = 0; i < n; i++)
		u->tx[(u->tx_head + i) & (u->tx_size - 1)] = bytes[i];
	cpu_barrier();                   /* the bytes before their count */
	u->tx_head += (uint32_t)n;
	return true;
}

bool uart_is_empty(const struct uart *u)
{
	return u->rx_head == u->rx_tail;
}
