/* Frames: COBS (Cheshire and Baker 1999) around head, body and CRC-32C, ended by a zero byte.
 * No byte inside a frame is zero, so a receiver finds the next frame after any damage.  A frame is
 * shorter than the 254 bytes that one code reaches: COBS puts one byte in front and the distance to
 * the next zero into each zero, both ways in place. */
#include <string.h>
#include "hd_crc32c.h"
#include "hd_msg.h"

enum { HEAD = HD_FRAME_HEAD, CRC = HD_FRAME_CRC };

typedef char hd_one_code_reaches_the_end[HD_FRAME_MAX < 254 ? 1 : -1];

static const uint32_t CRC_OF_GOOD = 0x48674bc7;  /* of a message with its own CRC behind it */

size_t hd_frame_seal(uint8_t *out, uint32_t head, size_t body_len)
{
	uint8_t *code = out, *end = out + 1 + HEAD + body_len, *p;

	hd_put32(out + 1, head);
	hd_put32(end, hd_crc32c(0, out + 1, HEAD + body_len));
	end += CRC;
	*end = 0;
	for (p = out + 1; p <= end; p++) {
		if (*p == 0) {
			*code = (uint8_t)(p - code);
			code = p;
		}
	}
	return (size_t)(p - out);
}

size_t hd_frame_write(uint8_t type, uint8_t seq, uint16_t session, const uint8_t *body,
                      size_t body_len, uint8_t *out)
{
	if (body_len > 0)
		memcpy(out + 1 + HEAD, body, body_len);
	return hd_frame_seal(out, type | (uint32_t)seq << 8 | (uint32_t)session << 16, body_len);
}

void hd_rx_init(struct hd_rx *r)
{
	r->len = 0;
	r->refused = 0;
}

/* Undo COBS.  False when the codes do not end where the frame does. */
static bool unstuff(uint8_t *p, uint32_t n)
{
	uint32_t at = 0, code;

	while (at < n) {
		code = p[at];
		p[at] = 0;
		at += code;
	}
	return at == n;
}

bool hd_rx_byte(struct hd_rx *r, uint8_t byte, struct hd_frame *f)
{
	uint32_t n = r->len;
	uint8_t *p = (uint8_t *)(r->word + 1);

	if (byte != 0) {
		if (n < HD_FRAME_MAX + 2)
			r->len++;        /* the last place means too long */
		p[(int)n - 1] = byte;
		return false;
	}
	r->len = 0;
	if (n == 0)
		return false;            /* two delimiters */
	if (n < 1 + HEAD + CRC || n > HD_FRAME_MAX + 1 || !unstuff(p - 1, n)
	    || hd_crc32c(0, p, n - 1) != CRC_OF_GOOD) {
		r->refused++;
		return false;
	}
	f->type = p[0];
	f->seq = p[1];
	f->session = hd_load16(p + 2);
	f->body = p + HEAD;
	f->len = n - 1 - HEAD - CRC;
	return true;
}
