/* A window of readings becomes a class; a honed gateway on UART1 sends the weights. */
#include "driver/uart.h"
#include "esp_random.h"
#include "esp_slots.h"
#include "esp_timer.h"
#include "hd_device.h"

enum { CHANNELS = 3, WINDOW = 32, PERIOD_US = 10000, BUDGET_US = 2000 };
int16_t read_sensor(int channel);        /* yours */
static struct esp_slots slots;
static struct hd_device device;
static uint32_t arena[256];
static int16_t raw[WINDOW * CHANNELS];

static uint32_t now(void *ctx) { (void)ctx; return (uint32_t)esp_timer_get_time(); }
static bool send(void *ctx, const uint8_t *p, size_t n)
{
	(void)ctx;
	return uart_write_bytes(UART_NUM_1, p, n) == (int)n;
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

void app_main(void)
{
	static struct hd_config c = { .flash = &slots.port, .uid = { [7] = 2 }, .credits = 4,
		.arena = (uint8_t *)arena, .arena_bytes = sizeof arena, .trial_boots = 3,
		.trial_inferences = 1000, .send = send, .now_us = now };
	uint32_t next = now(NULL) + PERIOD_US, frame = 0, left;
	uint8_t bytes[64];
	c.nonce = esp_random();
	uart_driver_install(UART_NUM_1, 2048, 4096, 0, NULL, 0);
	if (esp_slots_init(&slots, "honed") != ESP_OK || hd_init(&device, &c) != HD_OK)
		return;
	for (;; hd_poll(&device, BUDGET_US, left)) {
		int n = uart_read_bytes(UART_NUM_1, bytes, sizeof bytes, 0);
		left = next - now(NULL) < PERIOD_US ? next - now(NULL) : 0;
		for (int done = 0; done < n; hd_poll(&device, BUDGET_US, left))
			done += (int)hd_rx_bytes(&device, bytes + done, (size_t)(n - done));
		for (int ch = 0; left == 0 && ch < CHANNELS; ch++)
			raw[frame % WINDOW * CHANNELS + ch] = read_sensor(ch);
		if (left == 0 && ++frame % WINDOW == 0)
			classify(frame - WINDOW, next);
		next += left == 0 ? PERIOD_US : 0;
	}
}
