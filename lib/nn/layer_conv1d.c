/* conv1d FILTERSxKERNEL [stride N] [dilation N] [same]: (len, ch) to (out_len, FILTERS).
 *
 *   y[t][o] = b[o] + sum_j sum_c W[o][j][c] x[t * stride + j * dilation - pad][c]
 *
 * Weights: W [filters][kernel][ch], then b [filters].  "same" pads with zeros so that
 * out_len = ceil(len / stride); otherwise "valid".
 *
 * Frames lie one behind the other, so a run of taps of one output frame is one block of rows: each
 * output frame is one product without any copying (one for each tap when dilated).  Taps outside
 * the window are left out.  On the way back one product gathers what an input frame gets from all
 * taps, and one adds up the weights' gradient over some output frames. */
#include "hn_conv.h"

#include <math.h>
#include <string.h>
#include "hd_image.h"

extern const struct hn_layer_type hn_layer_conv1d;

static struct hn_conv geometry(const struct hn_layer *l)
{
	return hn_conv_of(l, (size_t)l->arg[1]);
}

static hn_status conv1d_shape(struct hn_layer *l, struct hn_err *err)
{
	if (!hn_conv_whole(l->arg[0], 1024) || !hn_conv_whole(l->arg[1], 1024))
		return hn_fail(err, HN_ERANGE, "filters and kernel must be whole, 1 to 1024");
	l->out.ch = (uint16_t)l->arg[0];
	/* Far too many would not fit 32 bits: then any number above the limit of a net will do. */
	l->n_w = (uint32_t)fmin(l->arg[0] * (l->arg[1] * l->in.ch + 1), HN_NET_WEIGHTS_MAX + 1.0);
	return hn_conv_shape(l, l->arg[1], err);
}

static void conv1d_init(const struct hn_layer *l, double gain, struct hn_rng *rng, float *w)
{
	const size_t taps = (size_t)l->arg[1];

	hn_conv_init(l, (struct hn_fan){ taps * l->in.ch, taps * l->out.ch }, gain, rng, w);
}

static uint64_t conv1d_macs(const struct hn_layer *l)
{
	return (uint64_t)l->out.len * l->out.ch * (uint64_t)l->arg[1] * l->in.ch;
}

/* The next block of taps of output frame t from tap `from` on: all that are left, or one of them
 * when they lie apart. */
static struct hn_taps next_taps(const struct hn_conv *g, size_t t, size_t from)
{
	const struct hn_taps all = hn_conv_taps(g, t);
	const size_t done = from > all.first ? from - all.first : 0;
	const size_t left = all.n > done ? all.n - done : 0;

	return (struct hn_taps){ all.first + done, g->dilation > 1 && left ? 1 : left,
	                         all.frame + done * g->dilation };
}

static void conv1d_forward(const struct hn_pass *p)
{
	const struct hn_conv g = geometry(p->l);
	const size_t row = g.kernel * g.in;
	const float *bias = p->w + row * g.out;

	for (size_t t = 0; t < g.out_len; t++) {
		struct hn_taps j = next_taps(&g, t, 0);
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

/* Gradient of the weights of some taps from `frames` output frames, `first` being the first of
 * them, and added. */
static void add_weights(const struct hn_pass *p, const struct hn_conv *g, struct hn_taps j,
                        const size_t first_frames[2])
{
	p->kern->gemm(&(struct hn_gemm){
		.m = g->out, .n = j.n * g->in, .k = p->lanes, .a = p->dy + first_frames[0] * g->out * p->lanes,
		.rsa = p->lanes, .csa = 1, .b = p->rows + j.frame * g->in, .ldb = p->ld_rows,
		.c = p->g + j.first * g->in, .ldc = g->kernel * g->in, .add = true,
		.more = first_frames[1] - 1, .a_step = (ptrdiff_t)(g->out * p->lanes),
		.b_step = (ptrdiff_t)(g->stride * g->in) });
}

/* Taps [first, first + n): frames where all of them lie inside the window, in groups that stay in
 * the cache; then the frames at the edges. */
static void block_weights(const struct hn_pass *p, const struct hn_conv *g, size_t first, size_t n)
{
	enum { COLUMNS = 128 };                  /* frames * lanes of one product */
	const size_t group = p->lanes < COLUMNS ? COLUMNS / p->lanes : 1;
	size_t from, to;

	hn_conv_span(g, first, n, &from, &to);
	for (size_t t = from; t < to; t += group) {
		const size_t frame = t * g->stride + first * g->dilation - (size_t)g->pad;

		add_weights(p, g, (struct hn_taps){ first, n, frame },
		            (size_t[2]){ t, to - t < group ? to - t : group });
	}
	for (size_t t = 0; n > 1 && t < g->out_len; t++) {
		const struct hn_taps j = hn_conv_taps(g, t);

		if ((t < from || t >= to) && j.n)
			add_weights(p, g, j, (size_t[2]){ t, 1 });
	}
}

/* Gradient of input frame f: from every output frame that a tap reads it for, in one product. */
static void frame_input(const struct hn_pass *p, const struct hn_conv *g, size_t f)
{
	const size_t row = g->kernel * g->in, block = g->in * p->lanes;
	float *dx = p->dx + f * block;
	size_t n = 0, first = 0, t = 0, step = 0, back = 0;

	for (size_t j = 0; j < g->kernel; j++) {
		const long at = (long)f + g->pad - (long)(j * g->dilation);

		if (at < 0 || at % (long)g->stride || at / (long)g->stride >= (long)g->out_len)
			continue;
		step = n == 1 ? j - first : step;        /* the taps that fit are evenly apart */
		back = n == 1 ? t - (size_t)at / g->stride : back;
		first = n == 0 ? j : first;
		t = n == 0 ? (size_t)at / g->stride : t;
		n++;
	}
	if (n == 0)
		memset(dx, 0, block * sizeof *dx);
	else
		p->kern->gemm(&(struct hn_gemm){
			.m = g->in, .n = p->lanes, .k = g->out, .a = p->w + first * g->in, .rsa = 1,
			.csa = row, .b = p->dy + t * g->out * p->lanes, .ldb = p->lanes, .c = dx,
			.ldc = p->lanes, .more = n - 1, .a_step = (ptrdiff_t)(step * g->in),
			.b_step = -(ptrdiff_t)(back * g->out * p->lanes) });
}

static void conv1d_backward(const struct hn_pass *p)
{
	const struct hn_conv g = geometry(p->l);
	const size_t row = g.kernel * g.in, block = g.dilation > 1 ? 1 : g.kernel;

	memset(p->g, 0, row * g.out * sizeof *p->g);
	for (size_t j = 0; j < g.kernel; j += block)
		block_weights(p, &g, j, block);
	for (size_t o = 0; o < g.out; o++)
		p->g[row * g.out + o] = p->kern->strip_sum(&(struct hn_strip_args){
			.count = g.out_len, .n = p->lanes, .x = p->dy + o * p->lanes, .xs = g.out * p->lanes });
	for (size_t f = 0; p->dx && f < g.len; f++)
		frame_input(p, &g, f);
}

static size_t conv1d_image_bytes(const struct hn_layer *l)
{
	const struct hn_conv g = geometry(l);

	if (!hn_conv_in_image(&g) || g.kernel * g.in > HD_VALUES_MAX)
		return 0;
	return hn_product_bytes(g.kernel * g.in, g.out);
}

static uint32_t conv1d_image_pq(const struct hn_layer *l)
{
	const struct hn_conv g = geometry(l);

	return hn_conv_pq(&g);
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
	.args_min = 2, .args_max = 2, .options = hn_conv_options, .want_rows = true, .op = HD_OP_CONV1D,
	.bounds = true, .product = true,
	.biases = 1, .shape = conv1d_shape, .init = conv1d_init, .macs = conv1d_macs,
	.forward = conv1d_forward, .backward = conv1d_backward,
	.image_bytes = conv1d_image_bytes, .image_pq = conv1d_image_pq, .quantise = conv1d_quantise,
	.steps = conv1d_steps,
};
