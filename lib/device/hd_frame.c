/* Frames: COBS (Cheshire and Baker 1999) around head, body and CRC-32C, ended by a zero byte.
 * No byte inside a frame is zero, so a receiver finds the next frame after any damage. */
#include "hd_crc32c.h"
#include "hd_msg.h"

enum { COBS_FULL = 0xff };       /* a block of 254 bytes without an implied zero */

static void close_block(struct hd_tx *t)
{
	t->out[t->code_at] = (uint8_t)(t->at - t->code_at);
	t->code_at = t->at++;
}

static void stuff(struct hd_tx *t, const uint8_t *p, size_t n)
{
	for (; n > 0; n--, p++) {
		if (*p != 0)
			t->out[t->at++] = *p;
		if (*p == 0 || t->at - t->code_at == COBS_FULL)
			close_block(t);
	}
}

void hd_tx_put(struct hd_tx *t, const uint8_t *p, size_t n)
{
	t->crc = hd_crc32c(t->crc, p, n);
	stuff(t, p, n);
}

void hd_tx_begin(struct hd_tx *t, uint8_t type, uint8_t seq, uint16_t session)
{
	uint8_t head[HD_FRAME_HEAD];

	t->at = 1;
	t->code_at = 0;
	t->crc = 0;
	head[0] = type;
	head[1] = seq;
	hd_put16(head + 2, session);
	hd_tx_put(t, head, sizeof head);
}

size_t hd_tx_end(struct hd_tx *t)
{
	uint8_t crc[HD_FRAME_CRC];

	hd_put32(crc, t->crc);
	stuff(t, crc, sizeof crc);
	close_block(t);
	t->out[t->code_at] = 0;
	return t->at;
}

size_t hd_frame_write(uint8_t type, uint8_t seq, uint16_t session, const uint8_t *body,
                      size_t body_len, uint8_t *out)
{
	struct hd_tx t;

	t.out = out;
	hd_tx_begin(&t, type, seq, session);
	hd_tx_put(&t, body, body_len);
	return hd_tx_end(&t);
}

static void restart(struct hd_rx *r)
{
	r->len = 0;
	r->left = 0;
	r->code = COBS_FULL;
	r->bad = false;
}

void hd_rx_init(struct hd_rx *r)
{
	restart(r);
	r->refused = 0;
}

/* A delimiter came: is what was collected a frame? */
static bool finish(struct hd_rx *r, struct hd_frame *f)
{
	bool empty = !r->bad && r->len == 0 && r->left == 0 && r->code == COBS_FULL;
	bool good = !r->bad && r->left == 0 && r->len >= HD_FRAME_HEAD + HD_FRAME_CRC;
	size_t n = (size_t)r->len - HD_FRAME_CRC;

	restart(r);
	if (good)
		good = hd_crc32c(0, r->buf, n) == hd_get32(r->buf + n);
	if (!good) {
		r->refused += !empty;
		return false;
	}
	f->type = r->buf[0];
	f->seq = r->buf[1];
	f->session = hd_get16(r->buf + 2);
	f->body = r->buf + HD_FRAME_HEAD;
	f->len = n - HD_FRAME_HEAD;
	return true;
}

bool hd_rx_byte(struct hd_rx *r, uint8_t byte, struct hd_frame *f)
{
	if (byte == 0)
		return finish(r, f);
	if (r->bad)
		return false;
	if (r->left == 0) {      /* `byte` opens a block; the block before it ended in a zero */
		bool zero = r->code != COBS_FULL;

		r->code = byte;
		r->left = (uint8_t)(byte - 1);
		if (!zero)
			return false;
		byte = 0;
	} else {
		r->left--;
	}
	if (r->len == sizeof r->buf)
		r->bad = true;
	else
		r->buf[r->len++] = byte;
	return false;
}
