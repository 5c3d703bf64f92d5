#include "single.h"

#include "board.h"
#include "cpu.h"

volatile uint32_t single_frames;

void board_lock(void)
{
	cpu_lock();
}

void board_unlock(void)
{
	cpu_unlock();
}

uint32_t board_frames(void)
{
	return single_frames;
}

size_t board_peek(enum board_uart u, const uint8_t **bytes)
{
	return u == BOARD_LINK ? uart_peek(&single_link, bytes) : 0;
}

void board_skip(enum board_uart u, size_t n)
{
	if (u == BOARD_LINK)
		uart_skip(&single_link, n);
}

uint32_t board_lost(enum board_uart u)
{
	return u == BOARD_LINK ? uart_lost(&single_link) : 0;
}

bool board_send(enum board_uart u, const uint8_t *bytes, size_t n)
{
	bool queued = u == BOARD_LINK && uart_queue(&single_link, bytes, n);

	cpu_lock();
	single_kick();
	cpu_unlock();
	return queued;
}

void board_wait(uint32_t seen)
{
	cpu_lock();
	if (seen == single_frames && uart_is_empty(&single_link))
		cpu_wait();
	cpu_unlock();
}
