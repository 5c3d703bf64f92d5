/* parity.c - runs images and windows that the host names, see parity.h.  For boards with a megabyte
 * of RAM. */
#include <string.h>
#include "board.h"
#include "hd_msg.h"
#include "parity.h"

enum { NEVER_US = 1000000 };

/* Not initialised at start: nothing here is read before it was written. */
__attribute__((section(".noinit"))) static struct {
	uint32_t image[PARITY_IMAGE_MAX / 4], arena[PARITY_ARENA_MAX / 4];
	int8_t   in[PARITY_INPUT_MAX];
} big;

static struct hd_rx rx;
static uint8_t seq;

static void on_frame(void)
{
}

static void answer(uint32_t status, uint32_t value)
{
	uint8_t body[8], wire[32];
	size_t n;

	hd_put32(body, status);
	hd_put32(body + 4, value);
	n = hd_frame_write(PARITY_DONE, seq++, 0, body, sizeof body, wire);
	(void)board_send(BOARD_LINK, wire, n);  /* one answer a command: there is room */
}

static void load(const struct hd_frame *f)
{
	uint32_t at = hd_get32(f->body), n = (uint32_t)f->len - 4;

	if (at > sizeof big.image || n > sizeof big.image - at) {
		answer(HD_ESIZE, at);
		return;
	}
	memcpy((uint8_t *)big.image + at, f->body + 4, n);
	answer(HD_OK, at + n);
}

static void run(const struct hd_frame *f)
{
	uint32_t len = hd_get32(f->body), what[3];
	struct hd_net net = { 0 };
	hd_status rc = HD_ESIZE;

	for (unsigned i = 0; i < 3; i++)
		what[i] = hd_get32(f->body + 4 + 4 * i);
	if (len <= sizeof big.image)
		rc = hd_net_open(&net, (const uint8_t *)big.image, len);
	if (rc == HD_OK && (net.arena > sizeof big.arena
	                    || (uint32_t)net.in_len * net.in_ch > sizeof big.in))
		rc = HD_ESIZE;
	answer(rc, rc == HD_OK ? parity_crc(&net, what, big.in, (uint8_t *)big.arena) : 0);
}

static void obey(const struct hd_frame *f)
{
	if (f->type == PARITY_LOAD && f->len >= 4)
		load(f);
	else if (f->type == PARITY_RUN && f->len == 16)
		run(f);
	else
		answer(HD_EFORMAT, f->type);
}

int main(void)
{
	struct hd_frame f;
	const uint8_t *bytes;
	uint32_t seen;
	size_t n;

	hd_rx_init(&rx);
	board_init(NEVER_US, on_frame);
	for (;;) {
		seen = board_frames();
		n = board_peek(BOARD_LINK, &bytes);
		for (size_t i = 0; i < n; i++)
			if (hd_rx_byte(&rx, bytes[i], &f))
				obey(&f);
		board_skip(BOARD_LINK, n);
		board_wait(seen);
	}
}
