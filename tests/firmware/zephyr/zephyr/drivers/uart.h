/* uart.h - what the sample uses of the driver. */
#ifndef UART_H
#define UART_H

struct device { int unused; };
extern const struct device uart_device;
#define DT_CHOSEN(x) 0
#define DEVICE_DT_GET(x) &uart_device
int uart_poll_in(const struct device *d, unsigned char *byte);
void uart_poll_out(const struct device *d, unsigned char byte);
#endif
