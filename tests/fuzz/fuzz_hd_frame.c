/* fuzz_hd_frame.c - the frame decoder: any bytes; what passes comes back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "hd_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same frame again, from the decoded one. */
static void same_again(const struct hd_frame *f)
{
	uint8_t wire[HD_WIRE_MAX];
	size_t n = hd_frame_write(f->type, f->seq, f->session, f->body, f->len, wire), i;
	struct hd_frame again;
	struct hd_rx rx;
	int frames = 0;

	hd_rx_init(&rx);
	for (i = 0; i < n; i++)
		frames += hd_rx_byte(&rx, wire[i], &again);
	if (n > sizeof wire || frames != 1 || again.len != f->len || again.type != f->type
	    || again.seq != f->seq || again.session != f->session
	    || memcmp(again.body, f->body, f->len) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t body[HD_BODY_MAX], wire[HD_WIRE_MAX];
	size_t len = size < sizeof body ? size : sizeof body, n, i;
	struct hd_frame f;
	struct hd_hello h;
	struct hd_report r;
	struct hd_rx rx;
	int frames = 0;

	hd_rx_init(&rx);
	for (i = 0; i < size; i++) {
		if (!hd_rx_byte(&rx, data[i], &f))
			continue;
		if (f.len > HD_BODY_MAX)
			abort();
		same_again(&f);
		(void)hd_hello_read(&h, f.body, f.len);
		(void)hd_report_read(&r, f.body, f.len);
	}
	/* After any noise one delimiter is enough for the next frame. */
	(void)hd_rx_byte(&rx, 0, &f);
	memcpy(body, data, len);
	n = hd_frame_write(HD_CHUNK, 1, 2, body, len, wire);
	for (i = 0; i < n; i++)
		frames += hd_rx_byte(&rx, wire[i], &f);
	if (frames != 1 || f.len != len || memcmp(f.body, body, len) != 0)
		abort();
	return 0;
}
