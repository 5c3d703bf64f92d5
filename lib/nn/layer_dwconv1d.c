/* dwconv1d KERNEL [stride N] [dilation N] [same]: channel by channel, (len, ch) to (out_len, ch).
 *
 *   y[t][c] = b[c] + sum_j W[c][j] x[t * stride + j * dilation - pad][c]
 *
 * Weights: W [ch][kernel], then b [ch].  Length and padding as for conv1d. */
#include "hn_conv.h"

#include <string.h>
#include "hd_image.h"

extern const struct hn_layer_type hn_layer_dwconv1d;

static struct hn_conv geometry(const struct hn_layer *l)
{
	return hn_conv_of(l, (size_t)l->arg[0]);
}

static hn_status dwconv1d_shape(struct hn_layer *l, struct hn_err *err)
{
	if (!hn_conv_whole(l->arg[0], 1024))
		return hn_fail(err, HN_ERANGE, "the kernel must be whole, 1 to 1024");
	l->out.ch = l->in.ch;
	l->n_w = l->in.ch * ((uint32_t)l->arg[0] + 1);
	return hn_conv_shape(l, l->arg[0], err);
}

static void dwconv1d_init(const struct hn_layer *l, double gain, struct hn_rng *rng, float *w)
{
	const size_t taps = (size_t)l->arg[0];

	hn_conv_init(l, (struct hn_fan){ taps, taps }, gain, rng, w);
}

static uint64_t dwconv1d_macs(const struct hn_layer *l)
{
	return hn_size(l->out) * (uint64_t)l->arg[0];
}

/* Output frame t with its taps. */
static struct hn_depth_args frame(const struct hn_pass *p, const struct hn_conv *g, size_t t)
{
	const struct hn_taps taps = hn_conv_taps(g, t);
	const size_t block = g->in * p->lanes;

	return (struct hn_depth_args){
		.ch = g->in, .lanes = p->lanes, .taps = taps.n, .step = g->dilation * block,
		.w = p->w + taps.first, .ws = g->kernel, .bias = p->w + g->kernel * g->in,
		.x = p->x + taps.frame * block, .y = p->y + t * block,
		.dy = p->dy ? p->dy + t * block : NULL, .dx = p->dx ? p->dx + taps.frame * block : NULL };
}

static void dwconv1d_forward(const struct hn_pass *p)
{
	const struct hn_conv g = geometry(p->l);

	for (size_t t = 0; t < g.out_len; t++) {
		const struct hn_depth_args a = frame(p, &g, t);

		p->kern->depth(&a);
	}
}

/* dW[c][j] = sum over frames and lanes of dy x, db[c] that of dy. */
static void weight_gradients(const struct hn_pass *p, const struct hn_conv *g)
{
	const size_t block = g->in * p->lanes;

	for (size_t j = 0; j < g->kernel; j++) {
		size_t from, to;

		hn_conv_span(g, j, 1, &from, &to);
		for (size_t c = 0; c < g->in; c++)
			p->g[c * g->kernel + j] = from >= to ? 0 : p->kern->strip_dot(&(struct hn_strip_args){
				.count = to - from, .n = p->lanes, .xs = g->stride * block, .zs = block,
				.x = p->x + (from * g->stride + j * g->dilation - (size_t)g->pad) * block +
				     c * p->lanes,
				.z = p->dy + from * block + c * p->lanes });
	}
	for (size_t c = 0; c < g->in; c++)
		p->g[g->kernel * g->in + c] = p->kern->strip_sum(&(struct hn_strip_args){
			.count = g->out_len, .n = p->lanes, .x = p->dy + c * p->lanes, .xs = block });
}

static void dwconv1d_backward(const struct hn_pass *p)
{
	const struct hn_conv g = geometry(p->l);

	weight_gradients(p, &g);
	if (!p->dx)
		return;
	memset(p->dx, 0, hn_size(p->l->in) * p->lanes * sizeof *p->dx);
	for (size_t t = 0; t < g.out_len; t++) {
		const struct hn_depth_args a = frame(p, &g, t);

		p->kern->depth_back(&a);
	}
}

static size_t dwconv1d_image_bytes(const struct hn_layer *l)
{
	const struct hn_conv g = geometry(l);

	return hn_conv_in_image(&g) ? hn_product_bytes(g.kernel, g.in) : 0;
}

static uint32_t dwconv1d_image_pq(const struct hn_layer *l)
{
	const struct hn_conv g = geometry(l);

	return hn_conv_pq(&g);
}

static hn_status dwconv1d_quantise(const struct hn_layer_q *q)
{
	return hn_product_quantise(q, (size_t)q->l->arg[0]);
}

static void dwconv1d_steps(const struct hn_layer_q *q, float *step)
{
	hn_product_steps(q, (size_t)q->l->arg[0], step);
}

const struct hn_layer_type hn_layer_dwconv1d = {
	.name = "dwconv1d", .id = 17, .usage = "dwconv1d KERNEL [stride N] [dilation N] [same]",
	.args_min = 1, .args_max = 1, .options = hn_conv_options, .op = HD_OP_DWCONV1D,
	.bounds = true, .product = true, .biases = 1,
	.shape = dwconv1d_shape, .init = dwconv1d_init, .macs = dwconv1d_macs,
	.forward = dwconv1d_forward, .backward = dwconv1d_backward,
	.image_bytes = dwconv1d_image_bytes, .image_pq = dwconv1d_image_pq,
	.quantise = dwconv1d_quantise, .steps = dwconv1d_steps,
};
