/* Random images: see t_net_random. */
#include "t_hd_net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "hn_place.h"

static int pad4(int n)
{
	return (n + 3) / 4 * 4;
}

struct builder {
	struct hn_rng *rng;
	uint8_t *row, *at;
	int len, ch, n_kept;
	struct { uint8_t *row; int size; } kept[HD_KEPT_MAX];
};

static int pick(struct builder *b, int low, int high)
{
	return low + (int)hn_rng_below(b->rng, (uint32_t)(high - low + 1));
}

static void put_row(struct builder *b, uint8_t op, int len, int ch)
{
	b->row[0] = op;
	hd_put16(b->row + 4, (uint16_t)b->len);
	hd_put16(b->row + 6, (uint16_t)b->ch);
	hd_put16(b->row + 8, (uint16_t)len);
	hd_put16(b->row + 10, (uint16_t)ch);
	b->row += HD_LAYER_ENTRY;
	b->len = len;
	b->ch = ch;
}

/* Bounds that leave something between them, now and then the full range. */
static void bounds(struct builder *b, uint8_t *at)
{
	int low = pick(b, 0, 1) ? -128 : pick(b, -128, 60), high = pick(b, 0, 1) ? 127 : pick(b, low, 127);

	at[0] = (uint8_t)low;
	at[1] = (uint8_t)high;
}

/* The sums spread over about the int8 range, whatever the length of a row. */
static void product_constants(struct builder *b, int row, int out)
{
	uint8_t *c = b->at, *shift = c + 4 + 8 * out, *w = shift + pad4(out);
	int typical = 0;

	while (((double)row + 1) * 73 * 73 * 2 > (double)(1 << typical) * (1 << typical))
		typical++;
	c[0] = (uint8_t)pick(b, -128, 127);
	c[1] = (uint8_t)pick(b, -128, 127);
	bounds(b, c + 2);
	for (int o = 0; o < out; o++) {
		hd_put32(c + 4 + 4 * o, (uint32_t)pick(b, -20000, 20000));
		hd_put32(c + 4 + 4 * out + 4 * o, (1u << 30) + hn_rng_below(b->rng, 1u << 30));
		shift[o] = (uint8_t)-pick(b, typical > 2 ? typical - 2 : 0, typical + 2);
	}
	for (int i = 0; i < row * out; i++)
		w[i] = (uint8_t)(pick(b, 0, 9) ? pick(b, -127, 127) : pick(b, 0, 1) ? -128 : 0);
	b->at = w + pad4(row * out);
}

static void add_dense(struct builder *b)
{
	int out = pick(b, 1, 20);

	b->ch *= b->len;                                 /* one frame of all numbers */
	b->len = 1;
	hd_put16(b->row + 12, 1);
	hd_put16(b->row + 14, 1 | 1 << 8);
	product_constants(b, b->ch, out);
	put_row(b, HD_OP_DENSE, 1, out);
}

static void add_conv1d(struct builder *b, uint8_t op)
{
	int kernel = pick(b, 1, 7), stride = pick(b, 1, 4), dilation = pick(b, 1, 3);
	int out = op == HD_OP_CONV1D ? pick(b, 1, 12) : b->ch;
	int reach = (kernel - 1) * dilation + 1, pad = 0, len, rule = pick(b, 0, 2);

	if (rule == 0 && reach <= b->len) {              /* valid */
		len = (b->len - reach) / stride + 1;
	} else if (rule == 1) {                          /* any padding */
		pad = pick(b, 0, reach - 1);
		len = pick(b, 1, (b->len + pad - 1) / stride + 1);
	} else {                                         /* same */
		len = (b->len - 1) / stride + 1;
		pad = (len - 1) * stride + reach - b->len;
		pad = pad > 0 ? pad / 2 : 0;
	}
	hd_put16(b->row + 12, (uint16_t)(kernel | pad << 8));
	hd_put16(b->row + 14, (uint16_t)(stride | dilation << 8));
	product_constants(b, op == HD_OP_CONV1D ? kernel * b->ch : kernel, out);
	put_row(b, op, len, out);
}

static void add_pool(struct builder *b, uint8_t op)
{
	int n = pick(b, 0, 3) ? pick(b, 1, b->len < 5 ? b->len : 5) : b->len, stride = pick(b, 1, 4);

	hd_put16(b->row + 12, (uint16_t)n);
	hd_put16(b->row + 14, (uint16_t)stride);
	bounds(b, b->at);
	b->at += 4;
	put_row(b, op, (b->len - n) / stride + 1, b->ch);
}

static void add_lut(struct builder *b)
{
	for (int i = 0; i < 256; i++)
		*b->at++ = (uint8_t)hn_rng_u64(b->rng);
	put_row(b, HD_OP_LUT, b->len, b->ch);
}

/* The two terms and their sum, each somewhere between a quarter and the whole of its range. */
static void add_add(struct builder *b)
{
	uint8_t *c = b->at;

	for (int i = 0; i < 3; i++) {
		c[i] = (uint8_t)pick(b, -128, 127);
		hd_put32(c + 8 + 4 * i, (1u << 30) + hn_rng_below(b->rng, 1u << 30));
		c[20 + i] = (uint8_t)-(i == 2 ? 19 - pick(b, 0, 1) : pick(b, 0, 2));
	}
	bounds(b, c + 4);
	b->at += 24;
	put_row(b, HD_OP_ADD, b->len, b->ch);
}

/* Sums of about 2 in Q12, states of either sign. */
static void gru_constants(struct builder *b, int row, int out, bool state)
{
	uint8_t *c = b->at;

	product_constants(b, row, out);
	memset(c + (state ? 0 : 1), 0, state ? 4 : 3);
	for (int o = 0; o < out; o++) {
		int8_t *shift = (int8_t *)c + 4 + 8 * out + o;

		if (state)
			hd_put32(c + 4 + 4 * o, hd_get32(c + 4 + 4 * o) << 7);
		*shift = (int8_t)(*shift + (state ? -1 : 7));
	}
}

static void add_gru(struct builder *b)
{
	const int units = pick(b, 0, 7) || b->ch > 16 ? pick(b, 1, 12) : b->ch, all = pick(b, 0, 2) > 0;

	gru_constants(b, b->ch, 3 * units, false);
	gru_constants(b, units, 3 * units, true);
	for (int i = 0; i <= 128; i++)
		hd_put16(b->at + 2 * i, (uint16_t)lround(32767 * tanh(i / 16.0)));
	b->at += 260;
	hd_put16(b->row + 12, (uint16_t)all);
	put_row(b, HD_OP_GRU, all ? b->len : 1, units);
}

static void add_softmax(struct builder *b)
{
	const double scale = 0.01 * pick(b, 1, 40);

	for (int i = 0; i < 256; i++)
		hd_put32(b->at + 4 * i, (uint32_t)floor(exp(-i * scale) * INT32_MAX));
	b->at += 1024;
	put_row(b, HD_OP_SOFTMAX, b->len, b->ch);
}

/* Now and then the output is kept; an add takes it when it may. */
static void maybe_keep(struct builder *b)
{
	const int size = b->len * b->ch;

	if (b->n_kept < HD_KEPT_MAX && pick(b, 0, 2) == 0) {
		b->row[1 - HD_LAYER_ENTRY] = 1;
		b->kept[b->n_kept].row = b->row - HD_LAYER_ENTRY;
		b->kept[b->n_kept++].size = size;
	}
}

static void add_any(struct builder *b)
{
	if (b->n_kept > 0 && b->kept[b->n_kept - 1].size == b->len * b->ch && pick(b, 0, 1)) {
		b->n_kept--;
		add_add(b);
		return;
	}
	if (pick(b, 0, 9) == 0) {                        /* the same numbers in another shape */
		b->ch *= b->len;
		b->len = 1;
	}
	switch (pick(b, 0, 12)) {
	case 0: add_dense(b); break;
	case 1: case 2: add_lut(b); break;
	case 3: case 4: add_pool(b, HD_OP_MAX_POOL); break;
	case 5: add_pool(b, HD_OP_AVG_POOL); break;
	case 6: case 7: add_conv1d(b, HD_OP_DWCONV1D); break;
	case 8: case 9: add_gru(b); break;
	case 10: b->ch <= 256 ? add_softmax(b) : add_lut(b); break;
	default: add_conv1d(b, HD_OP_CONV1D); break;
	}
}

static void put_head(uint8_t *out, int len, int ch)
{
	hd_put32(out, HD_IMAGE_MAGIC);
	hd_put16(out + 16, (uint16_t)len);
	hd_put16(out + 18, (uint16_t)ch);
	for (int i = 0; i < ch; i++)
		hd_put32(out + HD_IMAGE_HEADER + HD_SCALER_ENTRY * i + 4, 1u << 30);
}

uint32_t t_net_random(struct hn_rng *rng, uint8_t *out)
{
	struct builder b = { .rng = rng };
	int n = pick(&b, 1, 9);

	memset(out, 0, T_NET_MAX);
	b.len = pick(&b, 1, 40);
	b.ch = pick(&b, 1, 8);
	put_head(out, b.len, b.ch);
	out[23] = (uint8_t)pick(&b, 0, 1);
	b.row = out + HD_IMAGE_HEADER + HD_SCALER_ENTRY * b.ch;
	b.at = b.row + HD_LAYER_ENTRY * (n + 1);
	for (int i = 0; i < n; i++) {
		add_any(&b);
		maybe_keep(&b);
	}
	add_dense(&b);
	while (b.n_kept > 0)                             /* what no add took */
		b.kept[--b.n_kept].row[1] = 0;
	hd_put32(out + 4, (uint32_t)(b.at - out));
	hd_put16(out + 20, (uint16_t)(b.len * b.ch));
	out[22] = (uint8_t)(n + 1);
	if (hn_image_place(out) != (uint32_t)(b.at - out))
		abort();                                 /* also called outside of a test */
	return (uint32_t)(b.at - out);
}
