/* dense N: y = W x + b over the whole input (a sequence is flattened frame after frame).
 *
 * Weights: W [out][in], then b [out].  With the batch as the last axis all three products read W
 * or dy by broadcast and need no transposed copy:
 *   y (out, lanes)  = W (out, in) x (in, lanes)
 *   dx (in, lanes)  = W^T dy
 *   dW (out, in)    = dy (out, lanes) rows (lanes, in) */
#include "hn_layer.h"

#include <math.h>
#include <string.h>
#include "hd_image.h"

extern const struct hn_layer_type hn_layer_dense;

static hn_status dense_shape(struct hn_layer *l, struct hn_err *err)
{
	const double n = l->arg[0];

	if (!(n >= 1 && n <= HN_NET_VALUES_MAX) || n != floor(n))
		return hn_fail(err, HN_ERANGE, "the number of outputs must be whole, 1 to %d",
		               HN_NET_VALUES_MAX);
	l->out = (struct hn_shape){ 1, (uint16_t)n };
	l->n_w = (uint32_t)((hn_size(l->in) + 1) * (size_t)n);
	return HN_OK;
}

static void dense_init(const struct hn_layer *l, double gain, struct hn_rng *rng, float *w)
{
	const size_t in = hn_size(l->in), out = l->out.ch;
	const double fan = gain > 1.0 ? (double)in : (double)(in + out) / 2.0;
	const double limit = sqrt(3.0 * gain / fan);

	for (size_t i = 0; i < in * out; i++)
		w[i] = (float)(limit * (2.0 * hn_rng_unit(rng) - 1.0));
	memset(w + in * out, 0, out * sizeof *w);
}

static uint64_t dense_macs(const struct hn_layer *l)
{
	return (uint64_t)hn_size(l->in) * l->out.ch;
}

static void dense_forward(const struct hn_pass *p)
{
	const size_t in = hn_size(p->l->in), out = p->l->out.ch;

	p->kern->gemm(&(struct hn_gemm){
		.m = out, .n = p->lanes, .k = in, .a = p->w, .rsa = in, .csa = 1,
		.b = p->x, .ldb = p->lanes, .c = p->y, .ldc = p->lanes, .bias = p->w + in * out });
}

static void dense_backward(const struct hn_pass *p)
{
	const size_t in = hn_size(p->l->in), out = p->l->out.ch;

	p->kern->gemm(&(struct hn_gemm){
		.m = out, .n = in, .k = p->lanes, .a = p->dy, .rsa = p->lanes, .csa = 1,
		.b = p->rows, .ldb = p->ld_rows, .c = p->g, .ldc = in });
	p->kern->row_sums(p->dy, out, p->lanes, p->g + in * out);
	if (p->dx)
		p->kern->gemm(&(struct hn_gemm){
			.m = in, .n = p->lanes, .k = out, .a = p->w, .rsa = 1, .csa = in,
			.b = p->dy, .ldb = p->lanes, .c = p->dx, .ldc = p->lanes });
}

static size_t dense_image_bytes(const struct hn_layer *l)
{
	return hn_product_bytes(hn_size(l->in), l->out.ch);
}

static hn_status dense_quantise(const struct hn_layer_q *q)
{
	return hn_product_quantise(q, hn_size(q->l->in));
}

static void dense_steps(const struct hn_layer_q *q, float *step)
{
	hn_product_steps(q, hn_size(q->l->in), step);
}

const struct hn_layer_type hn_layer_dense = {
	.name = "dense", .id = 1, .usage = "dense OUTPUTS", .args_min = 1, .args_max = 1,
	.want_rows = true, .op = HD_OP_DENSE, .bounds = true, .product = true,
	.biases = 1, .shape = dense_shape, .init = dense_init, .macs = dense_macs,
	.forward = dense_forward, .backward = dense_backward,
	.image_bytes = dense_image_bytes, .quantise = dense_quantise,
	.steps = dense_steps,
};
