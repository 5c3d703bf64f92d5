/* Convolution over frames: for each output frame one product with the taps inside the window; all
 * channels together, or each channel by itself (depthwise).  A tap outside counts as the input's
 * zero point: it adds nothing and is left out (TFLite). */
#include "hd_ops.h"

struct geometry { int32_t kernel, pad, stride, dilation; uint32_t ch; /* in one product */ };

static struct geometry geometry(const struct hd_layer *l)
{
	struct geometry g;

	g.kernel = l->p & 255;
	g.pad = l->p >> 8;
	g.stride = l->q & 255;
	g.dilation = l->q >> 8;
	g.ch = l->op == HD_OP_CONV1D ? l->in_ch : 1;
	return g;
}

static uint32_t conv1d_check(const struct hd_layer *l, uint32_t room)
{
	struct geometry g = geometry(l);
	uint32_t row = (uint32_t)g.kernel * g.ch;

	/* 24 bits at most: nothing overflows. */
	if (g.kernel == 0 || g.stride == 0 || g.dilation == 0 || row > HD_VALUES_MAX
	    || (g.ch != l->in_ch && l->in_ch != l->out_ch) || g.pad > (g.kernel - 1) * g.dilation
	    || (l->out_len - 1) * g.stride - g.pad >= l->in_len)
		return 0;
	return hd_product_check(l, row, room);
}

static const uint8_t *conv1d_run(const struct hd_layer *l, const int8_t *x, int8_t *y)
{
	struct geometry g = geometry(l);
	uint32_t ch = g.ch, t;
	const uint8_t *end = l->constants;
	struct hd_taps taps;

	taps.row = (uint32_t)g.kernel * ch;
	taps.step = (uint32_t)g.dilation * l->in_ch;
	taps.each = ch != l->in_ch;
	for (t = 0; t < l->out_len; t++, y += l->out_ch) {
		int32_t frame = (int32_t)t * g.stride - g.pad, last, tap = 0;

		for (; frame < 0 && tap < g.kernel; tap++)
			frame += g.dilation;
		taps.first = (uint32_t)tap * ch;
		taps.x = x;
		taps.runs = 0;
		for (last = frame; tap < g.kernel && last < l->in_len; tap++, last += g.dilation)
			taps.runs++;
		if (taps.runs > 0)
			taps.x += (uint32_t)frame * l->in_ch;
		taps.n = ch;
		if (taps.step == ch) {           /* neighbours: one run of all */
			taps.n *= taps.runs;
			taps.runs = 1;
		}
		end = hd_product_run(l, &taps, y);
	}
	return end;
}

const struct hd_op_row hd_conv1d = {
	HD_OP_CONV1D, false, 0, "conv1d", conv1d_check, conv1d_run
};
const struct hd_op_row hd_dwconv1d = {
	HD_OP_DWCONV1D, false, 0, "depthwise conv1d", conv1d_check, conv1d_run
};
