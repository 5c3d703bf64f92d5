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
 * What a frame multiplies lies together as (ch + 1 + N, lanes): input, ones, state before; the ones
 * make biases part of the products.  The weights are packed to match, four blocks of N rows in the
 * order n, r, z, hidden, where "hidden" is the part of n that r scales:
 *
 *             input   ones      state                gates, and the gradients of their sums:
 *   n         Wxn     bxn       -                    n       (N, lanes)
 *   r, z      Wx      bx + bh   Wh                   r, z
 *   hidden    -       bhn       Whn                  hidden  Whn h + bhn
 *
 * Back-propagation goes through all frames; the products for the gradients of the weights run over
 * GROUP frames at once.
 * Source: Cho et al. 2014, arXiv:1406.1078; Werbos 1990, "Backpropagation through time". */
#include "hn_layer.h"

#include <math.h>
#include <string.h>
#include "hd_image.h"

extern const struct hn_layer_type hn_layer_gru;

enum { SEQ };

static const struct hn_option options[] = { [SEQ] = { "seq", false, 0 }, { 0 } };

enum { UNITS_MAX = 1024 };

/* GROUP: frames of one product.  PAD: floats between buffers, so that what a frame reads and writes
 * side by side does not fall into the same sets of the cache. */
enum { GROUP = 2, PAD = 5 * HN_LANES };

/* Sizes, and the kept buffers of one pass. */
struct gru {
	size_t in, n, len, lanes;        /* n: units                                           */
	size_t k;                /* ch + 1 + n                                                 */
	float *w;                /* (4n, k) packed weights                                     */
	float *frames;           /* (len, k, lanes); one frame when not trained                */
	float *gates;            /* (len, 4n, lanes); one frame when not trained               */
	/* trained only */
	float *dh;               /* (n, lanes) gradient of the state                           */
	float *d;                /* (4n, lanes) gradients of the gates' sums, one frame        */
	float *rows;             /* (GROUP, lanes, 4n) the same of some frames, samples as rows */
	float *g;                /* (k, 4n) gradient of the packed weights, transposed         */
	size_t floats;           /* all together                                               */
};

static bool is_seq(const struct hn_layer *l)
{
	return l->opt[SEQ] > 0;
}

/* The buffers one behind the other from `at`, which may be NULL to count. */
static struct gru lay_out(const struct hn_layer *l, size_t lanes, bool train, float *at)
{
	const size_t n = l->out.ch, k = l->in.ch + 1u + n, frames = train ? l->in.len : 1;
	struct gru u = { .in = l->in.ch, .n = n, .len = l->in.len, .lanes = lanes, .k = k };
	struct { float **to; size_t floats; } part[] = {
		{ &u.w, 4 * n * k }, { &u.frames, frames * k * lanes }, { &u.gates, frames * 4 * n * lanes },
		{ &u.dh, n * lanes }, { &u.d, 4 * n * lanes }, { &u.rows, GROUP * lanes * 4 * n },
		{ &u.g, 4 * n * k },
	};

	for (size_t i = 0; i < (train ? sizeof part / sizeof *part : 3); i++) {
		*part[i].to = at ? at + u.floats : NULL;
		u.floats += (part[i].floats + HN_LANES - 1) / HN_LANES * HN_LANES + PAD;
	}
	return u;
}

static size_t gru_keep(const struct hn_layer *l, size_t lanes, bool train)
{
	return lay_out(l, lanes, train, NULL).floats;
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

static void pack(const struct gru *u, const float *w)
{
	const size_t in = u->in, n = u->n, k = u->k;
	const float *wx = w, *wh = wx + 3 * n * in, *bx = wh + 3 * n * n, *bh = bx + 3 * n;
	float *rz = u->w + n * k, *hidden = rz + 2 * n * k;

	for (size_t i = 0; i < n; i++) {
		memcpy(u->w + i * k, wx + (2 * n + i) * in, in * sizeof *wx);
		u->w[i * k + in] = bx[2 * n + i];
		memcpy(hidden + i * k + in + 1, wh + (2 * n + i) * n, n * sizeof *wh);
		hidden[i * k + in] = bh[2 * n + i];
	}
	for (size_t i = 0; i < 2 * n; i++) {
		memcpy(rz + i * k, wx + i * in, in * sizeof *wx);
		rz[i * k + in] = bx[i] + bh[i];
		memcpy(rz + i * k + in + 1, wh + i * n, n * sizeof *wh);
	}
}

/* Which columns of the packed weights a block of gates uses. */
struct block { size_t row, rows, col, cols; };

enum { BLOCKS = 3 };

static void blocks_of(const struct gru *u, struct block b[BLOCKS])
{
	b[0] = (struct block){ 0, u->n, 0, u->in + 1 };                  /* n       */
	b[1] = (struct block){ u->n, 2 * u->n, 0, u->k };                /* r, z    */
	b[2] = (struct block){ 3 * u->n, u->n, u->in, u->n + 1 };        /* hidden  */
}

static void gru_forward(const struct hn_pass *p)
{
	const struct gru u = lay_out(p->l, p->lanes, p->train, p->keep);
	const size_t lanes = u.lanes, input = u.in * lanes, state = u.n * lanes;
	struct block b[BLOCKS];
	float *frame = u.frames, *gate = u.gates;

	pack(&u, p->w);
	blocks_of(&u, b);
	memset(frame + (u.in + 1) * lanes, 0, state * sizeof *frame);
	for (size_t t = 0; t < u.len; t++) {
		const bool last = t + 1 == u.len;
		float *const ones = frame + input, *const h = ones + lanes;
		float *const next = last ? p->y + (is_seq(p->l) ? t * state : 0)
		                         : h + (p->train ? u.k * lanes : 0);

		memcpy(frame, p->x + t * input, input * sizeof *frame);
		for (size_t i = 0; i < lanes; i++)
			ones[i] = 1.0f;
		for (size_t i = 0; i < BLOCKS; i++)
			p->kern->gemm(&(struct hn_gemm){
				.m = b[i].rows, .n = lanes, .k = b[i].cols, .a = u.w + b[i].row * u.k + b[i].col,
				.rsa = u.k, .csa = 1, .b = frame + b[i].col * lanes, .ldb = lanes,
				.c = gate + b[i].row * lanes, .ldc = lanes });
		p->kern->gru(&(struct hn_gru_args){ .n = state, .gate = gate, .h = h, .y = next });
		if (is_seq(p->l) && !last)
			memcpy(p->y + t * state, next, state * sizeof *next);
		frame += p->train ? u.k * lanes : 0;
		gate += p->train ? 4 * state : 0;
	}
}

/* Gradients of the packed weights from frames [t, t + n), added unless they are the first. */
static void group_weights(const struct hn_pass *p, const struct gru *u, size_t t, size_t n)
{
	const float *frame = u->frames + t * u->k * u->lanes;
	struct block b[BLOCKS];

	blocks_of(u, b);
	for (size_t i = 0; i < BLOCKS; i++)
		p->kern->gemm(&(struct hn_gemm){
			.m = b[i].cols, .n = b[i].rows, .k = u->lanes, .a = frame + b[i].col * u->lanes,
			.rsa = u->lanes, .csa = 1, .b = u->rows + b[i].row, .ldb = 4 * u->n,
			.c = u->g + b[i].col * 4 * u->n + b[i].row, .ldc = 4 * u->n, .add = t + n < u->len,
			.more = n - 1, .a_step = (ptrdiff_t)(u->k * u->lanes),
			.b_step = (ptrdiff_t)(u->lanes * 4 * u->n) });
}

/* Gradients of the input and of the state before, from the frame in u->d. */
static void frame_inputs(const struct hn_pass *p, const struct gru *u, size_t t)
{
	const size_t n = u->n, lanes = u->lanes;

	if (p->dx)
		p->kern->gemm(&(struct hn_gemm){
			.m = u->in, .n = lanes, .k = 3 * n, .a = u->w, .rsa = 1, .csa = u->k,
			.b = u->d, .ldb = lanes, .c = p->dx + t * u->in * lanes, .ldc = lanes });
	if (t > 0)
		p->kern->gemm(&(struct hn_gemm){
			.m = n, .n = lanes, .k = 3 * n, .a = u->w + n * u->k + u->in + 1, .rsa = 1,
			.csa = u->k, .b = u->d + n * lanes, .ldb = lanes, .c = u->dh, .ldc = lanes,
			.add = true });
}

/* Gradient of the packed weights to where the weights lie. */
static void unpack(const struct hn_pass *p, const struct gru *u)
{
	const size_t in = u->in, n = u->n;
	const float *ones = u->g + in * 4 * n, *state = ones + 4 * n;
	float *wx = p->g, *wh = wx + 3 * n * in, *bx = wh + 3 * n * n, *bh = bx + 3 * n;

	p->kern->transpose(u->g + n, 4 * n, wx, in, (size_t[2]){ in, 2 * n });
	p->kern->transpose(u->g, 4 * n, wx + 2 * n * in, in, (size_t[2]){ in, n });
	p->kern->transpose(state + n, 4 * n, wh, n, (size_t[2]){ n, 3 * n });
	memcpy(bx, ones + n, 2 * n * sizeof *bx);
	memcpy(bx + 2 * n, ones, n * sizeof *bx);
	memcpy(bh, ones + n, 3 * n * sizeof *bh);
}

static void gru_backward(const struct hn_pass *p)
{
	const struct gru u = lay_out(p->l, p->lanes, true, p->keep);
	const size_t n = u.n, lanes = u.lanes, state = n * lanes;
	size_t end = u.len;

	if (is_seq(p->l))
		memset(u.dh, 0, state * sizeof *u.dh);
	else
		memcpy(u.dh, p->dy, state * sizeof *u.dh);
	for (size_t t = u.len; t-- > 0;) {
		p->kern->gru_back(&(struct hn_gru_args){
			.n = state, .gate = u.gates + t * 4 * state,
			.h = u.frames + (t * u.k + u.in + 1) * lanes, .dh = u.dh,
			.dy = is_seq(p->l) ? p->dy + t * state : NULL, .d = u.d });
		p->kern->transpose(u.d, lanes, u.rows + t % GROUP * lanes * 4 * n, 4 * n,
		                   (size_t[2]){ 4 * n, lanes });
		frame_inputs(p, &u, t);
		if (t % GROUP == 0) {
			group_weights(p, &u, t, end - t);
			end = t;
		}
	}
	unpack(p, &u);
}

const struct hn_layer_type hn_layer_gru = {
	.name = "gru", .id = 12, .usage = "gru UNITS [seq]", .args_min = 1, .args_max = 1,
	.options = options, .keeps_y = true,
	.biases = 6, .shape = gru_shape, .init = gru_init, .macs = gru_macs, .keep = gru_keep,
	.forward = gru_forward, .backward = gru_backward,
	.op = HD_OP_GRU, .image_bytes = hn_gru_bytes, .image_pq = hn_gru_pq,
	.quantise = hn_gru_quantise, .steps = hn_gru_steps, .out_lo = -1.0, .out_hi = 127.0 / 128.0,
};
