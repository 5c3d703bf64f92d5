/* Shapes and constants of each kind of layer, see hd_image.h. */
#include "hd_check.h"

enum { ZERO_POINTS = 4, BOUNDS = 4, LUT_BYTES = 256, ADD_BYTES = 24, CHANNELS_MAX = 256 };

static uint32_t pad4(uint32_t n)
{
	return (n + 3) & ~(uint32_t)3;
}

bool hd_scale_ok(uint32_t mult, int shift)
{
	return mult <= INT32_MAX && shift >= HD_SHIFT_MIN && shift <= HD_SHIFT_MAX;
}

static bool same_shape(const struct hd_layer *l)
{
	return ((l->in_len ^ l->out_len) | (l->in_ch ^ l->out_ch) | l->p | l->q) == 0;
}

/* --- product ---------------------------------------------------------------------------------- */

/* `row` weights for each of `out` channels; both at most 3 * HD_VALUES_MAX: the product fits. */
static uint32_t product_bytes(uint32_t row, uint32_t out)
{
	return ZERO_POINTS + 8 * out + pad4(out) + pad4(row * out);
}

static bool product_ok(const uint8_t *c, uint32_t out)
{
	const uint8_t *mult = c + ZERO_POINTS + 4 * out, *shift = mult + 4 * out;
	uint32_t o;

	for (o = 0; o < out; o++) {
		if (!hd_scale_ok(hd_load32(mult + 4 * o), (int8_t)shift[o]))
			return false;
	}
	return (int8_t)c[2] <= (int8_t)c[3];
}

static uint32_t conv1d_bytes(const struct hd_layer *l)
{
	int32_t kernel = l->p & 255, pad = l->p >> 8, stride = l->q & 255, dilation = l->q >> 8;
	uint32_t row = (uint32_t)kernel * (l->op == HD_OP_DWCONV1D ? 1 : l->in_ch);

	/* 24 bits at most: nothing overflows. */
	if (kernel == 0 || stride == 0 || dilation == 0 || row > HD_VALUES_MAX
	    || (l->op == HD_OP_DWCONV1D && l->in_ch != l->out_ch) || pad > (kernel - 1) * dilation
	    || (l->out_len - 1) * stride - pad >= l->in_len)
		return 0;
	return product_bytes(row, l->out_ch);
}

static uint32_t dense_bytes(const struct hd_layer *l)
{
	return l->in_len == 1 && l->out_len == 1 && l->p == 1 && l->q == (1 | 1 << 8)
		? conv1d_bytes(l) : 0;
}

static bool conv1d_ok(const struct hd_layer *l, const uint8_t *c)
{
	return product_ok(c, l->out_ch);
}

const struct hd_kind hd_dense_kind = { HD_OP_DENSE, false, 0, "dense", dense_bytes, conv1d_ok };
const struct hd_kind hd_conv1d_kind = {
	HD_OP_CONV1D, false, 0, "conv1d", conv1d_bytes, conv1d_ok
};
const struct hd_kind hd_dwconv1d_kind = {
	HD_OP_DWCONV1D, false, 0, "depthwise conv1d", conv1d_bytes, conv1d_ok
};

/* --- pools ------------------------------------------------------------------------------------ */

static uint32_t pool_bytes(const struct hd_layer *l)
{
	/* (2^14 - 1) * (2^16 - 1) + 2^16 fits. */
	return l->p != 0 && l->q != 0 && l->in_ch == l->out_ch
		&& (uint32_t)(l->out_len - 1) * l->q + l->p <= l->in_len ? BOUNDS : 0;
}

static bool pool_ok(const struct hd_layer *l, const uint8_t *c)
{
	(void)l;
	return (int8_t)c[0] <= (int8_t)c[1] && (c[2] | c[3]) == 0;
}

const struct hd_kind hd_max_pool_kind = {
	HD_OP_MAX_POOL, false, 0, "max pool", pool_bytes, pool_ok
};
const struct hd_kind hd_avg_pool_kind = {
	HD_OP_AVG_POOL, false, 0, "average pool", pool_bytes, pool_ok
};

/* --- lut -------------------------------------------------------------------------------------- */

static uint32_t lut_bytes(const struct hd_layer *l)
{
	return same_shape(l) ? LUT_BYTES : 0;
}

static bool lut_ok(const struct hd_layer *l, const uint8_t *c)
{
	(void)l;
	(void)c;
	return true;
}

const struct hd_kind hd_lut_kind = { HD_OP_LUT, true, 0, "lut", lut_bytes, lut_ok };

/* --- add -------------------------------------------------------------------------------------- */

static uint32_t add_bytes(const struct hd_layer *l)
{
	return same_shape(l) ? ADD_BYTES : 0;
}

static bool add_ok(const struct hd_layer *l, const uint8_t *c)
{
	int i;

	(void)l;
	for (i = 0; i < 3; i++) {
		int shift = (int8_t)c[20 + i];

		if (!hd_scale_ok(hd_load32(c + 8 + 4 * i), shift) || shift > 0)
			return false;
	}
	return (c[3] | c[6] | c[7] | c[23]) == 0 && (int8_t)c[4] <= (int8_t)c[5];
}

const struct hd_kind hd_add_kind = { HD_OP_ADD, false, 0, "add", add_bytes, add_ok };

/* --- gru -------------------------------------------------------------------------------------- */

enum { TABLE_BYTES = 260 };

static uint32_t gru_bytes(const struct hd_layer *l)
{
	if (l->out_ch > CHANNELS_MAX || l->p > 1 || l->q != 0 || l->out_len != (l->p ? l->in_len : 1))
		return 0;
	return product_bytes(l->in_ch, 3u * l->out_ch) + product_bytes(l->out_ch, 3u * l->out_ch)
		+ TABLE_BYTES;
}

static bool gru_ok(const struct hd_layer *l, const uint8_t *c)
{
	uint32_t rows = 3u * l->out_ch, i, wrong;
	const uint8_t *state = c + product_bytes(l->in_ch, rows);
	const uint8_t *table = state + product_bytes(l->out_ch, rows);

	wrong = hd_load32(c) >> 8 | hd_load32(state) | hd_load16(table + TABLE_BYTES - 2);
	for (i = 0; i < TABLE_BYTES; i += 4)
		wrong |= hd_load32(table + i) & 0x80008000u;
	return wrong == 0 && product_ok(c, rows) && product_ok(state, rows);
}

const struct hd_kind hd_gru_kind = { HD_OP_GRU, false, 4, "gru", gru_bytes, gru_ok };

/* --- softmax ---------------------------------------------------------------------------------- */

enum { EXPS = 256 };

static uint32_t softmax_bytes(const struct hd_layer *l)
{
	return same_shape(l) && l->in_ch <= CHANNELS_MAX ? 4 * EXPS : 0;
}

static bool softmax_ok(const struct hd_layer *l, const uint8_t *c)
{
	uint32_t i, all = 0;

	(void)l;
	for (i = 0; i < EXPS; i++)
		all |= hd_load32(c + 4 * i);
	return all == INT32_MAX && hd_load32(c) == INT32_MAX;
}

const struct hd_kind hd_softmax_kind = {
	HD_OP_SOFTMAX, true, 0, "softmax", softmax_bytes, softmax_ok
};
