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
		.b = p->rows, .ldb = in, .c = p->g, .ldc = in });
	p->kern->row_sums(p->dy, out, p->lanes, p->g + in * out);
	if (p->dx)
		p->kern->gemm(&(struct hn_gemm){
			.m = in, .n = p->lanes, .k = out, .a = p->w, .rsa = 1, .csa = in,
			.b = p->dy, .ldb = p->lanes, .c = p->dx, .ldc = p->lanes });
}

/* { i8 in_zp, out_zp, act_min, act_max } i32 bias[out] i32 mult[out] i8 shift[out] i8 w[out][in] */
static size_t dense_image_bytes(const struct hn_layer *l)
{
	const size_t in = hn_size(l->in), out = l->out.ch;

	return 4 + 8 * out + ((out + 3) & ~(size_t)3) + ((in * out + 3) & ~(size_t)3);
}

/* One output channel.  Symmetric weights: scale = max |w| / 127. */
static hn_status dense_channel(const struct hn_layer_q *q, size_t o, uint8_t *w8)
{
	const size_t in = hn_size(q->l->in), out = q->l->out.ch;
	const float *w = q->w + o * in;
	const double bias = (double)q->w[in * out + o];
	uint8_t *bias_at = q->out + 4 + 4 * o, *mult_at = bias_at + 4 * out;
	double top = 0, scale, b;
	int32_t mult;
	int8_t shift;

	for (size_t i = 0; i < in; i++)
		top = fmax(top, fabs((double)w[i]));
	/* A channel that is all (nearly) zero still needs its bias inside int32. */
	scale = fmax(top / 127.0, fabs(bias) / q->in_scale / 1e9);
	scale = fmax(scale, 1e-12);
	b = round(bias / (q->in_scale * scale));
	if (!isfinite(scale) || !(fabs(b) < 2147483647.0))
		return HN_ENUMERIC;
	hn_quant_mult(q->in_scale * scale / q->out_scale, &mult, &shift);
	hd_put32(bias_at, (uint32_t)(int32_t)b);
	hd_put32(mult_at, (uint32_t)mult);
	q->out[4 + 8 * out + o] = (uint8_t)shift;
	for (size_t i = 0; i < in; i++)
		w8[i] = (uint8_t)(int8_t)fmax(-127.0, fmin(127.0, round((double)w[i] / scale)));
	return HN_OK;
}

static hn_status dense_quantise(const struct hn_layer_q *q)
{
	const size_t in = hn_size(q->l->in), out = q->l->out.ch;
	uint8_t *w8 = q->out + 4 + 8 * out + ((out + 3) & ~(size_t)3);
	hn_status rc = HN_OK;

	q->out[0] = (uint8_t)q->in_zp;
	q->out[1] = (uint8_t)q->out_zp;
	q->out[2] = (uint8_t)q->act_min;
	q->out[3] = (uint8_t)q->act_max;
	for (size_t o = 0; o < out && !rc; o++)
		rc = dense_channel(q, o, w8 + o * in);
	return rc;
}

const struct hn_layer_type hn_layer_dense = {
	.name = "dense", .id = 1, .usage = "dense OUTPUTS", .args_min = 1, .args_max = 1,
	.want_rows = true, .op = HD_OP_DENSE,
	.shape = dense_shape, .init = dense_init, .macs = dense_macs,
	.forward = dense_forward, .backward = dense_backward,
	.image_bytes = dense_image_bytes, .quantise = dense_quantise,
};
