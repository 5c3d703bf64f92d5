/* hd_image.h - the int8 network image that a slot holds, and its interpreter.
 *
 * Layout, little-endian, every part starts on a multiple of 4 from the image's first byte:
 *
 *   0  u32 magic      "HDI2"
 *   4  u32 len        whole image in bytes, a multiple of 4
 *   8  u32 arch       architecture hash, see hd_image_arch()
 *  12  u32 arena      bytes of activation memory that hd_net_run needs
 *  16  u16 in_len     window length in frames            1..4096
 *  18  u16 in_ch      channels                           1..256
 *  20  u16 out_n      number of outputs                  1..256
 *  22  u8  n_layers   1..HD_LAYERS_MAX
 *  23  u8  rq_mode    0 = round twice (gemmlowp, TFLite Micro's reference), 1 = round once
 *  24  i8  in_zp      zero point of the scaled input
 *  25  u8  limit      0: the largest output is the class; else the outputs are compared with the
 *                     inputs, as many and on one grid: see hd_net_answer
 *  26  u16 needs      what a firmware must have: HD_NEEDS_TWICE or HD_NEEDS_ONCE, 1 << op of each
 *                     kind of layer in the table, and HD_NEEDS_DISTANCE when there is a limit
 *  28  input scaler, in_ch entries of 12 bytes: { i32 offset, i32 mult, i32 shift }
 *        q = clamp8(hd_rq(raw - offset, mult, shift) + in_zp)
 *      layer table, n_layers entries of 24 bytes:
 *        { u8 op, u8 keep, u16 at,
 *          u16 in_len, u16 in_ch, u16 out_len, u16 out_ch, u16 p, u16 q,
 *          u16 more_at, u8 rq_mode, u8 zero, u32 constants }
 *        at, more_at: words of 4 bytes from the start of the arena: the output (0 in the last
 *        layer, whose output is the caller's); what an add takes, where a gru works, else 0.
 *        constants: bytes from the start of the image.  rq_mode: that of the image.
 *        keep = 1: the output is kept for a later add; else 0.  Not in the last layer, and at most
 *        HD_KEPT_MAX at a time.  Each add takes the one kept last, and none may be left over.
 *        A layer takes the numbers of the one before as they lie, frame after frame: in_len *
 *        in_ch is the out_len * out_ch before it, but their shapes may differ (flatten).
 *      constants, layer after layer in the order of the table, without a gap:
 *        HD_OP_DENSE  { i8 in_zp, i8 out_zp, i8 act_min, i8 act_max }
 *                     i32 bias[out]   i32 mult[out]   i8 shift[out] (padded to 4)
 *                     i8 w[out][in]   (padded to 4)
 *                     in = in_ch, out = out_ch, in_len = out_len = 1, p = 1, q = 1 | 1 << 8: a
 *                     conv1d of one frame
 *        HD_OP_CONV1D the same with w[out][kernel][in_ch], and
 *                     p = kernel | pad << 8, q = stride | dilation << 8: kernel, stride and
 *                     dilation 1..255, pad 0..(kernel - 1) * dilation frames before the first;
 *                     kernel * in_ch <= 16384, (out_len - 1) * stride - pad < in_len
 *        HD_OP_DWCONV1D as HD_OP_CONV1D with w[ch][kernel]; in_ch = out_ch
 *        HD_OP_MAX_POOL, HD_OP_AVG_POOL
 *                     { i8 act_min, i8 act_max, u8 zero[2] }
 *                     p = frames of a window, q = stride, both >= 1; in_ch = out_ch,
 *                     (out_len - 1) * q + p <= in_len; input and output have one grid
 *        HD_OP_LUT    i8 table[256]   y = table[x + 128]; any shape, in == out
 *        HD_OP_ADD    { i8 in_zp, i8 kept_zp, i8 out_zp, u8 zero }
 *                     { i8 act_min, i8 act_max, u8 zero[2] }
 *                     i32 mult[3]   i8 shift[3], u8 zero: of input, kept output and sum; shift <= 0
 *                     any shape, in == out, as many numbers as the kept output
 *        HD_OP_GRU    product of the input: as HD_OP_DENSE with row = in_ch, out = 3 * units
 *                     product of the state: the same with row = units; both: out_zp, act_min,
 *                     act_max = 0, the state's in_zp = 0
 *                     u16 table[129], u8 zero[2]: tanh(i / 16) * 2^15, at most 2^15 - 1
 *                     units = out_ch, 1..256; p = 1: the states of all frames, out_len = in_len;
 *                     p = 0: the last, out_len = 1.  Output grid: scale 1/128, zero point 0
 *        HD_OP_SOFTMAX i32 exp[256]: exp(-i * in_scale) * 2^31, exp[0] = 2^31 - 1, none negative;
 *                     any shape with in == out and at most 256 channels.  Output grid: scale
 *                     1/256, zero point -128
 *
 *   arena: a multiple of 4.  No output, and no work of a gru (4 * units bytes, a multiple of 4 from
 *          the start), lies on what is still needed: the input of the layer, and what is kept.  But
 *          a LUT or softmax may write over its input, when that is not kept, and an add over the
 *          kept output that it takes.
 *
 *   dense: acc = bias[o] + sum_i w[o][i] * (x[i] - in_zp)        (int32)
 *          y[o] = clamp(hd_rq(acc, mult[o], shift[o]) + out_zp, act_min, act_max)
 *
 *   conv1d: y[t][o] as dense, over i = (j, c) with x[t * stride + j * dilation - pad][c]; frames
 *          outside the window count as in_zp, so they add nothing
 *   max pool:     y[t][c] = clamp(max_k x[t * q + k][c], act_min, act_max), k = 0..p-1
 *   average pool: the same with (sum + p / 2) / p, or (sum - p / 2) / p when sum <= 0; both
 *          divisions toward zero, sum over the int8 numbers themselves
 *   add:   y = clamp(hd_rq(a + b, mult[2], shift[2]) + out_zp, act_min, act_max), with
 *          a = hd_rq((x - in_zp) * 2^20, mult[0], shift[0]), b the same of the kept number
 *   gru:   for each frame, with a = hd_rq(sum of the input's product), b = that of the state's;
 *          the multipliers give steps of 1/2048 for the gates z and r, of 1/4096 for n; h in Q15:
 *          z = (2^15 + T(a_z + b_z)) >> 1     r = (2^15 + T(a_r + b_r)) >> 1
 *          n = T(a_n + hd_rq(b_n, r * 2^16, 0))     h = n + hd_rq(h - n, z * 2^16, 0)
 *          y = clamp8((h + 128) >> 8); h starts at 0; rows of the products: all z, all r, all n;
 *          T(v) with u = |v|, i = u >> 8: table[i] + ((table[i + 1] - table[i]) * (u & 255) >> 8),
 *          from i = 128 on table[128], with the sign of v
 *   softmax: channel by channel, see hd_softmax.c; the numbers of TFLite's reference kernel
 *
 * Source of the arithmetic: Jacob et al. 2018, arXiv:1712.05877; gemmlowp fixedpoint.h; the
 * reference kernels of TFLite Micro for all but the GRU, which has none there. */
#ifndef HD_IMAGE_H
#define HD_IMAGE_H

#include "hd_types.h"

#define HD_IMAGE_MAGIC 0x32494448u   /* "HDI2" */

enum {
	HD_IMAGE_HEADER = 28, HD_SCALER_ENTRY = 12, HD_LAYER_ENTRY = 24,
	HD_LAYERS_MAX = 24, HD_KEPT_MAX = 4,
	HD_VALUES_MAX = 16384,           /* elements of one activation tensor */
	HD_SHIFT_MIN = -31, HD_SHIFT_MAX = 30
};

/* Permanent, stored in images: never reuse a number. */
enum hd_op {
	HD_OP_DENSE = 1, HD_OP_LUT = 2,
	HD_OP_CONV1D = 3, HD_OP_DWCONV1D = 4, HD_OP_MAX_POOL = 5, HD_OP_AVG_POOL = 6,
	HD_OP_ADD = 7, HD_OP_GRU = 8, HD_OP_SOFTMAX = 9,
	HD_OP_END = 10
};

/* What `needs` says; bits 1 .. HD_OP_END - 1 are kinds of layer. */
enum { HD_NEEDS_TWICE = 1, HD_NEEDS_DISTANCE = 1 << 14, HD_NEEDS_ONCE = 1 << 15 };

/* One row of the layer table, as it lies in the image. */
struct hd_layer {
	uint8_t  op, keep;
	uint16_t at;
	uint16_t in_len, in_ch, out_len, out_ch, p, q;
	uint16_t more_at;
	uint8_t  rq_mode, zero;
	uint32_t constants;
} __attribute__((may_alias));

/* An opened image: points into the caller's bytes, which must outlive it. */
struct hd_net {
	const uint8_t *image;
	uint32_t len, arch, arena;       /* from here on as in the image                       */
	uint16_t in_len, in_ch, out_n;
	uint8_t  n_layers, rq_mode;
	int8_t   in_zp;
	uint8_t  limit;
	uint16_t needs;
};

/* round(x * mult * 2^(shift - 31)), the double-rounding rule of gemmlowp: saturating rounding
 * doubling high multiply, then a rounding right shift (halves away from zero).
 * mult in [0, 2^31), shift in [HD_SHIFT_MIN, HD_SHIFT_MAX]; a left shift holds x so
 * that it does not overflow. */
int32_t hd_rq(int32_t x, int32_t mult, int shift);

/* Open `len` bytes at `image`, 4-byte aligned, that are known to be right: packages are authentic,
 * and who makes them has called hd_net_check (hd_check.h).  Looks only whether this is an image of
 * this length, and whether this firmware has all that it needs.  `*net` is untouched on error.
 * Errors: HD_EFORMAT. */
hd_status hd_net_open(struct hd_net *net, const uint8_t *image, uint32_t len);

/* The `needs` that this firmware can have: see HD_OPS and HD_RQ_MODES in hd_ops.h. */
uint32_t hd_ops_mask(void);

/* Row i of the layer table. */
static inline const struct hd_layer *hd_net_layer(const struct hd_net *net, uint32_t i)
{
	const void *table = net->image + HD_IMAGE_HEADER + (uint32_t)HD_SCALER_ENTRY * net->in_ch;

	return (const struct hd_layer *)table + i;
}

/* Raw counts of channel `ch` to the network's int8 input. */
int8_t hd_net_scale(const struct hd_net *net, uint16_t ch, int32_t raw);

/* Run the network.
 *   in     (in_len, in_ch) int8, scaled, frame after frame
 *   arena  (net->arena,) bytes, 4-byte aligned, contents undefined before and after
 *   out    (out_n,) int8 logits; must not overlap `in` or `arena`
 * Work: one multiply-add a weight, for conv1d one a weight and output frame.  Never fails on an
 * image that hd_net_check takes. */
void hd_net_run(const struct hd_net *net, const int8_t *in, uint8_t *arena, int8_t *out);

/* Index of the largest output (the first of equals) and its distance to the second, 0..255.
 * n >= 1; with one output the distance is that to -128. */
uint8_t hd_argmax(const int8_t *out, uint16_t n, uint8_t *margin);

/* What a run says about its window; `in` and `out` are those of hd_net_run.
 *   limit 0   hd_argmax
 *   else      1 = anomaly: the mean of |in - out| is above limit / 4 int8 steps; 0 = normal.  The
 *             margin is 255 at distance 0, 128 at the limit, 0 from twice the limit on. */
uint8_t hd_net_answer(const struct hd_net *net, const int8_t *in, const int8_t *out,
                      uint8_t *margin);
#endif
