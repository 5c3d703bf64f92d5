/* A window of readings becomes a class; a honed gateway on the console's UART sends the weights. */
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>
#include <zephyr/random/random.h>
#include "hd_device.h"
#include "zephyr_slots.h"
enum { CHANNELS = 3, WINDOW = 32, PERIOD_US = 10000, BUDGET_US = 2000, ERASE_US = 90000 };
int16_t read_sensor(int channel);        /* yours */
static const struct device *const uart = DEVICE_DT_GET(DT_CHOSEN(zephyr_console));
static struct zephyr_slots slots;
static struct hd_device device;
static uint32_t arena[256];
static int16_t raw[WINDOW * CHANNELS];
static uint32_t now(void *ctx)
{
	ARG_UNUSED(ctx);
	return (uint32_t)k_ticks_to_us_floor64((uint64_t)k_uptime_ticks());
}
static bool send(void *ctx, const uint8_t *p, size_t n)
{
	for (ARG_UNUSED(ctx); n > 0; n--)
		uart_poll_out(uart, *p++);
	return true;
}
static void classify(uint32_t count, uint32_t last)
{
	static int8_t in[WINDOW * CHANNELS], out[256];
	const struct hd_net *net = hd_service(&device, NULL);    /* only here weights change */
	uint8_t margin, answer;
	hd_send_samples(&device, last - (WINDOW - 1) * PERIOD_US, PERIOD_US, count, CHANNELS, WINDOW, raw);
	if (!net || net->in_len != WINDOW || net->in_ch != CHANNELS)
		return;
	for (int i = 0; i < WINDOW * CHANNELS; i++)
		in[i] = hd_net_scale(net, (uint16_t)(i % CHANNELS), raw[i]);
	hd_net_run(net, in, (uint8_t *)arena, out);
	answer = hd_net_answer(net, in, out, &margin);
	hd_inference_done(&device, false);
	hd_send_prediction(&device, last, count + WINDOW - 1, answer, margin);
}

int main(void)
{
	static struct hd_config c = { .flash = &slots.port, .uid = { [7] = 3 }, .credits = 1,
		.arena = (uint8_t *)arena, .arena_bytes = sizeof arena, .trial_boots = 3,
		.trial_inferences = 1000, .send = send, .now_us = now };
	uint32_t next = now(NULL) + PERIOD_US, frame = 0, left;
	unsigned char byte;
	c.nonce = sys_rand32_get();
	if (zephyr_slots_init(&slots, HONED_PARTITION, ERASE_US) || hd_init(&device, &c) != HD_OK)
		return 1;
	for (;; hd_poll(&device, BUDGET_US, left)) {
		left = next - now(NULL) < PERIOD_US ? next - now(NULL) : 0;
		while (uart_poll_in(uart, &byte) == 0)
			for (; hd_rx_bytes(&device, &byte, 1) == 0; hd_poll(&device, BUDGET_US, left)) { }
		for (int ch = 0; left == 0 && ch < CHANNELS; ch++)
			raw[frame % WINDOW * CHANNELS + ch] = read_sensor(ch);
		if (left == 0 && ++frame % WINDOW == 0)
			classify(frame - WINDOW, next);
		next += left == 0 ? PERIOD_US : 0;
	}
}
