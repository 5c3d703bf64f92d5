/* conv1d FILTERSxKERNEL [stride N] [dilation N] [same]: (len, ch) to (out_len, FILTERS).
 *
 *   y[t][o] = b[o] + sum_j sum_c W[o][j][c] x[t * stride + j * dilation - pad][c]
 *
 * Weights: W [filters][kernel][ch], then b [filters].  "same" pads with zeros so that
 * out_len = ceil(len / stride), the odd one behind (TFLite's rule); otherwise "valid".
 *
 * Frames lie one behind the other, so a run of taps of one output frame is one block of rows: each
 * output frame is one product without any copying (one for each tap when dilated).  Taps outside
 * the window are left out. */
#include "hn_layer.h"

#include <math.h>
#include <string.h>
#include "hd_image.h"

extern const struct hn_layer_type hn_layer_conv1d;

enum { STRIDE, DILATION, SAME };

static const struct hn_option options[] = {
	[STRIDE] = { "stride", true, 1 }, [DILATION] = { "dilation", true, 1 },
	[SAME] = { "same", false, 0 }, { 0 }
};

struct geometry { size_t in, len, out, kernel, stride, dilation, out_len; long pad; };

static long pad_of(const struct hn_layer *l)
{
	const long stride = (long)l->opt[STRIDE], reach = ((long)l->arg[1] - 1) * (long)l->opt[DILATION];
	const long out = ((long)l->in.len + stride - 1) / stride;
	const long total = (out - 1) * stride + reach + 1 - (long)l->in.len;

	return l->opt[SAME] > 0 && total > 0 ? total / 2 : 0;
}

static struct geometry geometry(const struct hn_layer *l)
{
	return (struct geometry){ .in = l->in.ch, .len = l->in.len, .out = l->out.ch,
		.kernel = (size_t)l->arg[1], .stride = (size_t)l->opt[STRIDE],
		.dilation = (size_t)l->opt[DILATION], .out_len = l->out.len, .pad = pad_of(l) };
}

static bool whole(double v, double hi)
{
	return v >= 1 && v <= hi && v == floor(v);
}

static hn_status conv1d_shape(struct hn_layer *l, struct hn_err *err)
{
	const long len = l->in.len;
	long reach, out;

	if (!whole(l->arg[0], 1024) || !whole(l->arg[1], 1024))
		return hn_fail(err, HN_ERANGE, "filters and kernel must be whole, 1 to 1024");
	if (!whole(l->opt[STRIDE], 1024) || !whole(l->opt[DILATION], 1024))
		return hn_fail(err, HN_ERANGE, "stride and dilation must be whole, 1 to 1024");
	reach = ((long)l->arg[1] - 1) * (long)l->opt[DILATION] + 1;
	if (!(l->opt[SAME] > 0) && reach > len)
		return hn_fail(err, HN_ERANGE, "the kernel reaches over %ld frames, the input has %ld",
		               reach, len);
	out = l->opt[SAME] > 0 ? (len - 1) / (long)l->opt[STRIDE] + 1
	                       : (len - reach) / (long)l->opt[STRIDE] + 1;
	l->out = (struct hn_shape){ (uint16_t)out, (uint16_t)l->arg[0] };
	/* Far too many would not fit 32 bits: then any number above the limit of a net will do. */
	l->n_w = (uint32_t)fmin(l->arg[0] * (l->arg[1] * l->in.ch + 1), HN_NET_WEIGHTS_MAX + 1.0);
	return HN_OK;
}

static void conv1d_init(const struct hn_layer *l, double gain, struct hn_rng *rng, float *w)
{
	const size_t fan_in = (size_t)l->arg[1] * l->in.ch, fan_out = (size_t)l->arg[1] * l->out.ch;
	const double fan = gain > 1.0 ? (double)fan_in : (double)(fan_in + fan_out) / 2.0;
	const double limit = sqrt(3.0 * gain / fan);

	for (size_t i = 0; i < fan_in * l->out.ch; i++)
		w[i] = (float)(limit * (2.0 * hn_rng_unit(rng) - 1.0));
	memset(w + fan_in * l->out.ch, 0, l->out.ch * sizeof *w);
}

static uint64_t conv1d_macs(const struct hn_layer *l)
{
	return (uint64_t)l->out.len * l->out.ch * (uint64_t)l->arg[1] * l->in.ch;
}

/* A run of taps [first, first + n) of output frame t that lies inside the window, as one block of
 * input frames from `frame`.  n == 0 behind the last. */
struct taps { size_t first, n, frame; };

static struct taps next_taps(const struct geometry *g, size_t t, size_t from)
{
	const long at = (long)(t * g->stride) - g->pad;

	for (size_t j = from; j < g->kernel; j++) {
		const long f = at + (long)(j * g->dilation);
		size_t n = 1;

		if (f < 0)
			continue;
		if (f >= (long)g->len)
			break;
		while (g->dilation == 1 && j + n < g->kernel && f + (long)n < (long)g->len)
			n++;
		return (struct taps){ j, n, (size_t)f };
	}
	return (struct taps){ 0, 0, 0 };
}

static void conv1d_forward(const struct hn_pass *p)
{
	const struct geometry g = geometry(p->l);
	const size_t row = g.kernel * g.in;
	const float *bias = p->w + row * g.out;

	for (size_t t = 0; t < g.out_len; t++) {
		struct taps j = next_taps(&g, t, 0);
		bool more = false;

		do {                             /* no tap inside the window: the bias alone */
			p->kern->gemm(&(struct hn_gemm){
				.m = g.out, .n = p->lanes, .k = j.n * g.in, .a = p->w + j.first * g.in,
				.rsa = row, .csa = 1, .b = p->x + j.frame * g.in * p->lanes, .ldb = p->lanes,
				.c = p->y + t * g.out * p->lanes, .ldc = p->lanes,
				.bias = more ? NULL : bias, .add = more });
			more = true;
			j = next_taps(&g, t, j.first + j.n);
		} while (j.n);
	}
}

/* Sum of dy over frames and lanes. */
static void bias_gradient(const struct hn_pass *p, const struct geometry *g, float *out)
{
	float part[64];

	memset(out, 0, g->out * sizeof *out);
	for (size_t t = 0; t < g->out_len; t++)
		for (size_t o = 0; o < g->out; o += 64) {
			const size_t n = g->out - o < 64 ? g->out - o : 64;

			p->kern->row_sums(p->dy + (t * g->out + o) * p->lanes, n, p->lanes, part);
			for (size_t i = 0; i < n; i++)
				out[o + i] += part[i];
		}
}

static void conv1d_backward(const struct hn_pass *p)
{
	const struct geometry g = geometry(p->l);
	const size_t row = g.kernel * g.in, frames = g.len * g.in;

	memset(p->g, 0, row * g.out * sizeof *p->g);
	if (p->dx)
		memset(p->dx, 0, frames * p->lanes * sizeof *p->dx);
	for (size_t t = 0; t < g.out_len; t++) {
		const float *dy = p->dy + t * g.out * p->lanes;

		for (struct taps j = next_taps(&g, t, 0); j.n; j = next_taps(&g, t, j.first + j.n)) {
			p->kern->gemm(&(struct hn_gemm){
				.m = g.out, .n = j.n * g.in, .k = p->lanes, .a = dy, .rsa = p->lanes, .csa = 1,
				.b = p->rows + j.frame * g.in, .ldb = frames, .c = p->g + j.first * g.in,
				.ldc = row, .add = true });
			if (p->dx)
				p->kern->gemm(&(struct hn_gemm){
					.m = j.n * g.in, .n = p->lanes, .k = g.out, .a = p->w + j.first * g.in,
					.rsa = 1, .csa = row, .b = dy, .ldb = p->lanes,
					.c = p->dx + j.frame * g.in * p->lanes, .ldc = p->lanes, .add = true });
		}
	}
	bias_gradient(p, &g, p->g + row * g.out);
}

/* Kernel, stride, dilation and padding are one byte each in the image. */
static size_t conv1d_image_bytes(const struct hn_layer *l)
{
	const struct geometry g = geometry(l);

	if (g.kernel > 255 || g.stride > 255 || g.dilation > 255 || g.pad > 255 ||
	    g.kernel * g.in > HD_VALUES_MAX)
		return 0;
	return hn_product_bytes(g.kernel * g.in, g.out);
}

static uint32_t conv1d_image_pq(const struct hn_layer *l)
{
	const struct geometry g = geometry(l);

	return (uint32_t)(g.kernel | (size_t)g.pad << 8 | g.stride << 16 | g.dilation << 24);
}

static hn_status conv1d_quantise(const struct hn_layer_q *q)
{
	return hn_product_quantise(q, (size_t)q->l->arg[1] * q->l->in.ch);
}

static void conv1d_steps(const struct hn_layer_q *q, float *step)
{
	hn_product_steps(q, (size_t)q->l->arg[1] * q->l->in.ch, step);
}

const struct hn_layer_type hn_layer_conv1d = {
	.name = "conv1d", .id = 8, .usage = "conv1d FILTERSxKERNEL [stride N] [dilation N] [same]",
	.args_min = 2, .args_max = 2, .options = options, .want_rows = true, .op = HD_OP_CONV1D,
	.bounds = true,
	.biases = 1, .shape = conv1d_shape, .init = conv1d_init, .macs = conv1d_macs,
	.forward = conv1d_forward, .backward = conv1d_backward,
	.image_bytes = conv1d_image_bytes, .image_pq = conv1d_image_pq, .quantise = conv1d_quantise,
	.steps = conv1d_steps,
};
