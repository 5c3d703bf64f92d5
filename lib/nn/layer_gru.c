/* gru N [seq]: gated recurrent unit over the frames, the last state, or with "seq" all of them.
 *
 *   r = sigmoid(Wxr x + bxr + Whr h + bhr)          z = sigmoid(Wxz x + bxz + Whz h + bhz)
 *   n = tanh(Wxn x + bxn + r (Whn h + bhn))         h' = (1 - z) n + z h,  h = 0 at the start
 *
 * The reset gate works after the product: torch.nn.GRU, ONNX GRU with linear_before_reset = 1,
 * Keras GRU with reset_after.  Weights, gates in torch's order r, z, n:
 *
 *   Wx [3N][ch]    Wh [3N][N]    bx [3N]    bh [3N]
 *   torch: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0 as they lie
 *   ONNX:  W, R, B = (Wb, Rb) with the gate blocks in the order z, r, n
 *
 * Back-propagation goes through all frames.  The gates of a frame lie in (4N, lanes): r, z, n and
 * the hidden part of n (Whn h + bhn); backward turns them into the gradients of their sums.
 * Source: Cho et al. 2014, arXiv:1406.1078; Werbos 1990, "Backpropagation through time". */
#include "hn_layer.h"

#include <math.h>
#include <string.h>
#include "hd_image.h"

extern const struct hn_layer_type hn_layer_gru;

enum { SEQ };

static const struct hn_option options[] = { [SEQ] = { "seq", false, 0 }, { 0 } };

enum { UNITS_MAX = 1024 };

/* Sizes, weights and the kept buffers of one pass. */
struct gru {
	size_t in, n, len, lanes;        /* n: units                                           */
	const float *wx, *wh, *bx, *bh;
	float *rows;             /* (lanes, n) the state before, transposed; also sums of biases */
	float *gates;            /* (len, 4n, lanes), (4n, lanes) when not trained             */
	float *dh;               /* (n, lanes) gradient of the state                           */
	float *sum;              /* (4n, lanes) gradients of the gates' sums, over the frames  */
	float *states;           /* (len, n, lanes) after each frame; the output when "seq"    */
};

static bool is_seq(const struct hn_layer *l)
{
	return l->opt[SEQ] > 0;
}

static size_t gru_keep(const struct hn_layer *l, bool train)
{
	const size_t n = l->out.ch, len = l->in.len;

	return train ? (6 + 4 * len + (is_seq(l) ? 0 : len)) * n : 5 * n;
}

static struct gru gru_of(const struct hn_pass *p)
{
	const struct hn_layer *l = p->l;
	const size_t n = l->out.ch, in = l->in.ch, block = n * p->lanes;
	struct gru u = { .in = in, .n = n, .len = l->in.len, .lanes = p->lanes };

	u.wx = p->w;
	u.wh = u.wx + 3 * n * in;
	u.bx = u.wh + 3 * n * n;
	u.bh = u.bx + 3 * n;
	u.rows = p->keep;
	u.gates = u.rows + block;
	u.dh = u.gates + 4 * u.len * block;
	u.sum = u.dh + block;
	u.states = is_seq(l) ? p->y : u.sum + 4 * block;
	return u;
}

static hn_status gru_shape(struct hn_layer *l, struct hn_err *err)
{
	const double n = l->arg[0];

	if (!(n >= 1 && n <= UNITS_MAX) || n != floor(n))
		return hn_fail(err, HN_ERANGE, "the number of units must be whole, 1 to %d", UNITS_MAX);
	l->out = (struct hn_shape){ is_seq(l) ? l->in.len : 1, (uint16_t)n };
	l->n_w = (uint32_t)(3 * n * (l->in.ch + n + 2));
	return HN_OK;
}

/* Uniform in +-1 / sqrt(units), as torch; biases zero. */
static void gru_init(const struct hn_layer *l, double gain, struct hn_rng *rng, float *w)
{
	const size_t n = l->out.ch, products = 3 * n * (l->in.ch + n);
	const double limit = 1.0 / sqrt((double)n);

	(void)gain;
	for (size_t i = 0; i < products; i++)
		w[i] = (float)(limit * (2.0 * hn_rng_unit(rng) - 1.0));
	memset(w + products, 0, 6 * n * sizeof *w);
}

static uint64_t gru_macs(const struct hn_layer *l)
{
	return (uint64_t)l->in.len * 3 * l->out.ch * ((uint64_t)l->in.ch + l->out.ch);
}

/* bias: bx + bh of r and z, bx of n; the hidden part of n has its own, inside r. */
static void sum_biases(const struct gru *u, float *bias)
{
	for (size_t i = 0; i < 3 * u->n; i++)
		bias[i] = i < 2 * u->n ? u->bx[i] + u->bh[i] : u->bx[i];
}

/* Sums before the gates of one frame; h is NULL at the first one. */
static void frame_sums(const struct hn_pass *p, const struct gru *u, const float *x, const float *h,
                       float *gate)
{
	const size_t n = u->n, lanes = u->lanes;

	p->kern->gemm(&(struct hn_gemm){
		.m = 3 * n, .n = lanes, .k = u->in, .a = u->wx, .rsa = u->in, .csa = 1,
		.b = x, .ldb = lanes, .c = gate, .ldc = lanes, .bias = u->rows });
	if (h)
		p->kern->gemm(&(struct hn_gemm){
			.m = 2 * n, .n = lanes, .k = n, .a = u->wh, .rsa = n, .csa = 1,
			.b = h, .ldb = lanes, .c = gate, .ldc = lanes, .add = true });
	p->kern->gemm(&(struct hn_gemm){
		.m = n, .n = lanes, .k = h ? n : 0, .a = u->wh + 2 * n * n, .rsa = n, .csa = 1,
		.b = h ? h : x, .ldb = lanes, .c = gate + 3 * n * lanes, .ldc = lanes, .bias = u->bh + 2 * n });
}

static void gru_forward(const struct hn_pass *p)
{
	const struct gru u = gru_of(p);
	const size_t block = u.n * u.lanes;
	const float *h = NULL;

	sum_biases(&u, u.rows);
	for (size_t t = 0; t < u.len; t++) {
		float *gate = u.gates + (p->train ? t * 4 * block : 0);
		float *y = p->train || is_seq(p->l) ? u.states + t * block : p->y;

		frame_sums(p, &u, p->x + t * u.in * u.lanes, h, gate);
		p->kern->gru(&(struct hn_gru_args){ .n = block, .gate = gate, .h = h, .y = y });
		h = y;
	}
	if (p->train && !is_seq(p->l))
		memcpy(p->y, h, block * sizeof *h);
}

/* Gradients of the weights from one frame, added. */
static void frame_weights(const struct hn_pass *p, const struct gru *u, size_t t, const float *gate)
{
	const size_t n = u->n, lanes = u->lanes, frames = u->len * u->in;
	float *gx = p->g, *gh = gx + 3 * n * u->in;

	p->kern->gemm(&(struct hn_gemm){
		.m = 3 * n, .n = u->in, .k = lanes, .a = gate, .rsa = lanes, .csa = 1,
		.b = p->rows + t * u->in, .ldb = frames, .c = gx, .ldc = u->in, .add = true });
	if (t == 0)
		return;
	p->kern->transpose(u->states + (t - 1) * n * lanes, lanes, u->rows, n, (size_t[2]){ n, lanes });
	p->kern->gemm(&(struct hn_gemm){
		.m = 2 * n, .n = n, .k = lanes, .a = gate, .rsa = lanes, .csa = 1,
		.b = u->rows, .ldb = n, .c = gh, .ldc = n, .add = true });
	p->kern->gemm(&(struct hn_gemm){
		.m = n, .n = n, .k = lanes, .a = gate + 3 * n * lanes, .rsa = lanes, .csa = 1,
		.b = u->rows, .ldb = n, .c = gh + 2 * n * n, .ldc = n, .add = true });
}

/* Gradients of the input and of the state before, from one frame. */
static void frame_inputs(const struct hn_pass *p, const struct gru *u, size_t t, const float *gate)
{
	const size_t n = u->n, lanes = u->lanes;

	if (p->dx)
		p->kern->gemm(&(struct hn_gemm){
			.m = u->in, .n = lanes, .k = 3 * n, .a = u->wx, .rsa = 1, .csa = u->in,
			.b = gate, .ldb = lanes, .c = p->dx + t * u->in * lanes, .ldc = lanes });
	if (t == 0)
		return;
	p->kern->gemm(&(struct hn_gemm){
		.m = n, .n = lanes, .k = 2 * n, .a = u->wh, .rsa = 1, .csa = n,
		.b = gate, .ldb = lanes, .c = u->dh, .ldc = lanes, .add = true });
	p->kern->gemm(&(struct hn_gemm){
		.m = n, .n = lanes, .k = n, .a = u->wh + 2 * n * n, .rsa = 1, .csa = n,
		.b = gate + 3 * n * lanes, .ldb = lanes, .c = u->dh, .ldc = lanes, .add = true });
}

static void gru_backward(const struct hn_pass *p)
{
	const struct gru u = gru_of(p);
	const size_t n = u.n, block = n * u.lanes, products = 3 * n * (u.in + n);
	float *gb = p->g + products;

	memset(p->g, 0, products * sizeof *p->g);
	memset(u.sum, 0, 4 * block * sizeof *u.sum);
	if (is_seq(p->l))
		memset(u.dh, 0, block * sizeof *u.dh);
	else
		memcpy(u.dh, p->dy, block * sizeof *u.dh);
	for (size_t t = u.len; t-- > 0;) {
		float *gate = u.gates + t * 4 * block;

		p->kern->gru_back(&(struct hn_gru_args){
			.n = block, .gate = gate, .h = t ? u.states + (t - 1) * block : NULL, .dh = u.dh,
			.dy = is_seq(p->l) ? p->dy + t * block : NULL, .sum = u.sum });
		frame_weights(p, &u, t, gate);
		frame_inputs(p, &u, t, gate);
	}
	p->kern->row_sums(u.sum, 3 * n, u.lanes, gb);
	memcpy(gb + 3 * n, gb, 2 * n * sizeof *gb);
	p->kern->row_sums(u.sum + 3 * block, n, u.lanes, gb + 5 * n);
}

const struct hn_layer_type hn_layer_gru = {
	.name = "gru", .id = 12, .usage = "gru UNITS [seq]", .args_min = 1, .args_max = 1,
	.options = options, .keeps_y = true, .want_rows = true,
	.biases = 6, .shape = gru_shape, .init = gru_init, .macs = gru_macs, .keep = gru_keep,
	.forward = gru_forward, .backward = gru_backward,
	.op = HD_OP_GRU, .image_bytes = hn_gru_bytes, .image_pq = hn_gru_pq,
	.quantise = hn_gru_quantise, .steps = hn_gru_steps, .out_lo = -1.0, .out_hi = 127.0 / 128.0,
};
