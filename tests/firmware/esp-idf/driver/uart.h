/* uart.h - what the example uses of the driver. */
#ifndef UART_H
#define UART_H

#include "esp_partition.h"

typedef int uart_port_t;
enum { UART_NUM_1 = 1 };

esp_err_t uart_driver_install(uart_port_t port, int rx, int tx, int queue, void *handle, int flags);
int uart_write_bytes(uart_port_t port, const void *from, size_t n);
int uart_read_bytes(uart_port_t port, void *to, uint32_t n, uint32_t ticks);
void app_main(void);
#endif
