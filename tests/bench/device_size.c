/* device_size.c - the smallest firmware that uses all of lib/device, or with FEW what every
 * firmware has; `make device-size` links and weighs it.  It is never run: the port behind `port`
 * does not exist. */
#include "hd_device.h"

int main(void);

static struct hd_device device;          /* what a firmware has to keep in RAM */
const struct hd_config *volatile port;
uint8_t *volatile bytes;
volatile uint32_t got;

int main(void)
{
	uint32_t version;

	if (hd_init(&device, port) != HD_OK)
		return 1;
	for (;;) {
		const struct hd_net *net;

		got = (uint32_t)hd_rx_bytes(&device, bytes, got);
		hd_rx_lost(&device, got);
		hd_poll(&device, got, got);
		net = hd_service(&device, &version);
		if (!net)
			continue;
#ifndef FEW
		bytes[0] = (uint8_t)hd_net_scale(net, 0, (int32_t)got);
#endif
		hd_net_run(net, (const int8_t *)bytes, bytes + 64, (int8_t *)bytes);
		hd_inference_done(&device, false);
		(void)hd_send(&device, HD_PREDICTION, bytes, got);
#ifndef FEW
		got = hd_argmax((const int8_t *)bytes, net->out_n, bytes);
		(void)hd_send_prediction(&device, got, got, bytes[0], bytes[1]);
		(void)hd_send_samples(&device, got, got, got, 1, 1, (const int16_t *)(const void *)bytes);
#endif
	}
}
