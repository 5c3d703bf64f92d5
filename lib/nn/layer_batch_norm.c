/* batch_norm: each channel with mean 0 and variance 1, then scaled and shifted.
 *
 *   y = gamma (x - m) / sqrt(v + eps) + beta
 *
 * In training m and v are those of the batch, over samples and frames, v divided by their number N;
 * otherwise the running ones, which move a tenth of the way to each batch (its v divided by N - 1).
 * Weights: gamma [ch], beta [ch], then the state: running mean [ch], running variance [ch].
 * A batch with one number a channel has v = 0: y = beta, and the running variance stays.
 * Source: Ioffe & Szegedy 2015, arXiv:1502.03167; numbers as in torch.nn.BatchNorm1d. */
#include "hn_layer.h"

#include <math.h>
#include <string.h>

extern const struct hn_layer_type hn_layer_batch_norm;

static const float momentum = 0.1f, eps = 1e-5f;

/* Weights and the kept buffer. */
struct norm {
	size_t ch, len, frame;           /* frame: floats of one                               */
	const float *gamma, *beta, *running_mean, *running_var;
	float *mean, *var, *a, *b, *d;   /* (ch,)                                              */
	float count;                     /* numbers of the batch in a channel                  */
};

static struct norm norm_of(const struct hn_pass *p)
{
	const size_t ch = p->l->in.ch;

	return (struct norm){
		.ch = ch, .len = p->l->in.len, .frame = ch * p->lanes,
		.gamma = p->w, .beta = p->w + ch, .running_mean = p->w + 2 * ch,
		.running_var = p->w + 3 * ch, .mean = p->keep, .var = p->keep + ch, .a = p->keep + 2 * ch,
		.b = p->keep + 3 * ch, .d = p->keep + 4 * ch, .count = (float)(p->l->in.len * p->n) };
}

static hn_status batch_norm_shape(struct hn_layer *l, struct hn_err *err)
{
	l->n_w = 4u * l->in.ch;
	l->n_state = 2u * l->in.ch;
	return hn_layer_same_shape(l, err);
}

static void batch_norm_init(const struct hn_layer *l, double gain, struct hn_rng *rng, float *w)
{
	(void)gain;
	(void)rng;
	for (size_t i = 0; i < l->n_w; i++)
		w[i] = i / l->in.ch == 0 || i / l->in.ch == 3 ? 1.0f : 0.0f;
}

/* Five numbers a channel, whatever the lanes. */
static size_t batch_norm_keep(const struct hn_layer *l, size_t lanes, bool train)
{
	(void)lanes;
	(void)train;
	return 5 * (size_t)l->in.ch;
}

static uint64_t batch_norm_macs(const struct hn_layer *l)
{
	return hn_size(l->in);
}

/* The strip of channel c: x, and z = x with the same shift. */
static struct hn_strip_args strip(const struct hn_pass *p, const struct norm *m, size_t c)
{
	const float *x = p->x + c * p->lanes;

	return (struct hn_strip_args){ .count = m->len, .n = p->n, .x = x, .z = x, .xs = m->frame,
	                               .zs = m->frame };
}

/* Sums of differences from the first number: a channel that does not change has exactly its mean,
 * and no variance from rounding. */
static void measure(const struct hn_pass *p, const struct norm *m)
{
	for (size_t c = 0; c < m->ch; c++) {
		struct hn_strip_args s = strip(p, m, c);

		s.x_shift = s.x[0];
		m->mean[c] = s.x[0] + p->kern->strip_sum(&s) / m->count;
		s.x_shift = s.z_shift = m->mean[c];
		m->var[c] = p->kern->strip_dot(&s) / m->count;
	}
}

static void batch_norm_forward(const struct hn_pass *p)
{
	const struct norm m = norm_of(p);

	if (p->learning) {
		measure(p, &m);
	} else {
		memcpy(m.mean, m.running_mean, m.ch * sizeof *m.mean);
		memcpy(m.var, m.running_var, m.ch * sizeof *m.var);
	}
	for (size_t c = 0; c < m.ch; c++)
		m.a[c] = m.gamma[c] / sqrtf(m.var[c] + eps);
	p->kern->norm(&(struct hn_norm_args){ .frames = m.len, .ch = m.ch, .lanes = p->lanes, .n = p->n,
	              .x = p->x, .mean = m.mean, .a = m.a, .b = m.beta, .y = p->y });
}

/* With s = 1 / sqrt(v + eps) and sums over the batch:
 *   dbeta = sum dy     dgamma = s sum dy (x - m)
 *   dx = gamma s (dy - dbeta / N - (x - m) s dgamma / N) */
static void batch_norm_backward(const struct hn_pass *p)
{
	const struct norm m = norm_of(p);

	for (size_t c = 0; c < m.ch; c++) {
		const float s = 1.0f / sqrtf(m.var[c] + eps);
		struct hn_strip_args of = strip(p, &m, c);

		of.x_shift = m.mean[c];
		of.z = p->dy + c * p->lanes;
		p->g[c] = s * p->kern->strip_dot(&of);
		of.x = of.z;
		of.x_shift = 0;
		p->g[m.ch + c] = p->kern->strip_sum(&of);
		m.b[c] = p->learning ? -m.a[c] * s * p->g[c] / m.count : 0;
		m.d[c] = p->learning ? -m.a[c] * p->g[m.ch + c] / m.count : 0;
	}
	memset(p->g + 2 * m.ch, 0, 2 * m.ch * sizeof *p->g);
	if (p->dx)
		p->kern->norm_back(&(struct hn_norm_args){
			.frames = m.len, .ch = m.ch, .lanes = p->lanes, .n = p->n, .x = p->x, .mean = m.mean,
			.a = m.a, .b = m.b, .d = m.d, .dy = p->dy, .dx = p->dx });
}

static void batch_norm_track(const struct hn_pass *p, float *w)
{
	const struct norm m = norm_of(p);
	float *mean = w + 2 * m.ch, *var = w + 3 * m.ch;

	for (size_t c = 0; c < m.ch; c++) {
		mean[c] += momentum * (m.mean[c] - mean[c]);
		if (m.count > 1)
			var[c] += momentum * (m.var[c] * (m.count / (m.count - 1)) - var[c]);
	}
}

static void batch_norm_line(const struct hn_layer *l, const float *w, size_t c, double line[2])
{
	const size_t ch = l->in.ch;

	line[0] = (double)w[c] / sqrt((double)w[3 * ch + c] + (double)eps);
	line[1] = (double)w[ch + c] - line[0] * (double)w[2 * ch + c];
}

/* With the statistics as they are. */
static void batch_norm_set_line(const struct hn_layer *l, float *w, size_t c, const double line[2])
{
	const size_t ch = l->in.ch;

	w[c] = (float)(line[0] * sqrt((double)w[3 * ch + c] + (double)eps));
	w[ch + c] = (float)(line[1] + line[0] * (double)w[2 * ch + c]);
}

const struct hn_layer_type hn_layer_batch_norm = {
	.name = "batch_norm", .id = 16, .usage = "batch_norm",
	.biases = 1, .shape = batch_norm_shape, .init = batch_norm_init, .macs = batch_norm_macs,
	.keep = batch_norm_keep, .forward = batch_norm_forward, .backward = batch_norm_backward,
	.track = batch_norm_track, .line = batch_norm_line, .set_line = batch_norm_set_line,
};
