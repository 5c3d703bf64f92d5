#include "t_ref.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hn_layer.h"
#include "hn_rng.h"

typedef double tensor[T_REF_N][T_REF_VALUES];

/* One layer: its index, its inputs and its output. */
struct at {
	const struct t_ref *r;
	const struct hn_layer *l;
	unsigned i;
	const double *w;
	double (*x)[T_REF_VALUES], (*x2)[T_REF_VALUES], (*y)[T_REF_VALUES];
};

static double logistic(double x)
{
	return 1 / (1 + exp(-x));
}

static void dense(const struct at *a)
{
	const size_t in = hn_size(a->l->in), out = a->l->out.ch;

	for (uint32_t j = 0; j < a->r->n; j++)
		for (size_t o = 0; o < out; o++) {
			double sum = a->w[out * in + o];

			for (size_t i = 0; i < in; i++)
				sum += a->w[o * in + i] * a->x[j][i];
			a->y[j][o] = sum;
		}
}

/* Channels [from, to) of the input make output channel o; weights w (kernel, to - from). */
struct taps { size_t o, from, to; long kernel; const double *w; double bias; };

static void convolve(const struct at *a, const struct taps *k)
{
	const long stride = (long)a->l->opt[0], dilation = (long)a->l->opt[1], len = a->l->in.len;
	const long total = (a->l->out.len - 1) * stride + (k->kernel - 1) * dilation + 1 - len;
	const long before = a->l->opt[2] > 0 && total > 0 ? total / 2 : 0;

	for (uint32_t j = 0; j < a->r->n; j++)
		for (long t = 0; t < a->l->out.len; t++) {
			double sum = k->bias;

			for (long q = 0; q < k->kernel; q++) {
				const long f = t * stride + q * dilation - before;

				for (size_t c = k->from; f >= 0 && f < len && c < k->to; c++)
					sum += k->w[(size_t)q * (k->to - k->from) + c - k->from] *
					       a->x[j][(size_t)f * a->l->in.ch + c];
			}
			a->y[j][(size_t)t * a->l->out.ch + k->o] = sum;
		}
}

static void conv1d(const struct at *a)
{
	const size_t in = a->l->in.ch, row = (size_t)a->l->arg[1] * in;

	for (size_t o = 0; o < a->l->out.ch; o++)
		convolve(a, &(struct taps){ o, 0, in, (long)a->l->arg[1], a->w + o * row,
		         a->w[row * a->l->out.ch + o] });
}

static void dwconv1d(const struct at *a)
{
	const size_t row = (size_t)a->l->arg[0];

	for (size_t c = 0; c < a->l->in.ch; c++)
		convolve(a, &(struct taps){ c, c, c + 1, (long)row, a->w + c * row,
		         a->w[row * a->l->in.ch + c] });
}

/* The sums of one gate of unit i: input and state apart. */
static void gate_sums(const struct at *a, const double *x, const double *h, size_t row, double s[2])
{
	const size_t in = a->l->in.ch, n = a->l->out.ch;
	const double *wh = a->w + 3 * n * in, *bx = wh + 3 * n * n, *bh = bx + 3 * n;

	s[0] = bx[row];
	s[1] = bh[row];
	for (size_t c = 0; c < in; c++)
		s[0] += a->w[row * in + c] * x[c];
	for (size_t c = 0; c < n; c++)
		s[1] += wh[row * n + c] * h[c];
}

static void gru(const struct at *a)
{
	const size_t n = a->l->out.ch;
	const bool seq = a->l->opt[0] > 0;

	for (uint32_t j = 0; j < a->r->n; j++) {
		double h[T_REF_VALUES] = { 0 };

		for (size_t t = 0; t < a->l->in.len; t++) {
			double next[T_REF_VALUES] = { 0 };

			for (size_t i = 0; i < n; i++) {
				const double *x = a->x[j] + t * a->l->in.ch;
				double r[2], z[2], c[2], gate;

				gate_sums(a, x, h, i, r);
				gate_sums(a, x, h, n + i, z);
				gate_sums(a, x, h, 2 * n + i, c);
				gate = logistic(z[0] + z[1]);
				next[i] = (1 - gate) * tanh(c[0] + logistic(r[0] + r[1]) * c[1]) + gate * h[i];
			}
			memcpy(h, next, n * sizeof *h);
			memcpy(a->y[j] + (seq ? t * n : 0), h, n * sizeof *h);
		}
	}
}

static void pool(const struct at *a)
{
	const bool top = strcmp(a->l->type->name, "maxpool") == 0;
	const size_t size = a->l->n_args ? (size_t)a->l->arg[0] : a->l->in.len, ch = a->l->in.ch;
	const size_t stride = a->l->n_args && a->l->opt[0] > 0 ? (size_t)a->l->opt[0] : size;

	for (uint32_t j = 0; j < a->r->n; j++)
		for (size_t i = 0; i < hn_size(a->l->out); i++) {
			const double *from = a->x[j] + i / ch * stride * ch + i % ch;
			double v = from[0];

			for (size_t k = 1; k < size; k++)
				v = top ? fmax(v, from[k * ch]) : v + from[k * ch];
			a->y[j][i] = top ? v : v / (double)size;
		}
}

static void element(const struct at *a)
{
	for (uint32_t j = 0; j < a->r->n; j++)
		for (size_t i = 0; i < hn_size(a->l->in); i++) {
			const char *name = a->l->type->name;
			const double x = a->x[j][i];

			a->y[j][i] = strcmp(name, "tanh") == 0 ? tanh(x)
			           : strcmp(name, "sigmoid") == 0 ? logistic(x)
			           : strcmp(name, "relu") == 0 ? fmax(x, 0)
			           : strcmp(name, "relu6") == 0 ? fmin(fmax(x, 0), 6)
			           : strcmp(name, "leaky_relu") == 0 ? (x < 0 ? a->l->arg[0] * x : x)
			           : strcmp(name, "add") == 0 ? x + a->x2[j][i] : x;
		}
}

static void softmax(const struct at *a)
{
	const size_t ch = a->l->in.ch;

	for (uint32_t j = 0; j < a->r->n; j++)
		for (size_t t = 0; t < a->l->in.len; t++) {
			double sum = 0;

			for (size_t c = 0; c < ch; c++)
				sum += exp(a->x[j][t * ch + c]);
			for (size_t c = 0; c < ch; c++)
				a->y[j][t * ch + c] = exp(a->x[j][t * ch + c]) / sum;
		}
}

/* Mean and variance of channel c over samples and frames. */
static void moments(const struct at *a, size_t c, double *mean, double *var)
{
	const double count = (double)a->r->n * a->l->in.len;

	*mean = *var = 0;
	for (uint32_t j = 0; j < a->r->n; j++)
		for (size_t t = 0; t < a->l->in.len; t++)
			*mean += a->x[j][t * a->l->in.ch + c] / count;
	for (uint32_t j = 0; j < a->r->n; j++)
		for (size_t t = 0; t < a->l->in.len; t++)
			*var += pow(a->x[j][t * a->l->in.ch + c] - *mean, 2) / count;
}

static void batch_norm(const struct at *a)
{
	const size_t ch = a->l->in.ch;

	for (size_t c = 0; c < ch; c++) {
		double mean = a->w[2 * ch + c], var = a->w[3 * ch + c];

		if (a->r->learning)
			moments(a, c, &mean, &var);
		if (a->r->least)
			*a->r->least = fmin(*a->r->least, var);
		for (uint32_t j = 0; j < a->r->n; j++)
			for (size_t i = c; i < hn_size(a->l->in); i += ch)
				a->y[j][i] = (a->x[j][i] - mean) / sqrt(var + 1e-5) * a->w[c] + a->w[ch + c];
	}
}

static uint32_t mixed(uint32_t v)
{
	v = (v ^ v >> 16) * 0x7feb352du;
	v = (v ^ v >> 15) * 0x846ca68bu;
	return v ^ v >> 16;
}

static void dropout(const struct at *a)
{
	struct hn_rng rng;
	uint64_t key;

	hn_rng_seed(&rng, a->r->seed + a->r->step * HN_NET_LAYERS_MAX + a->i);
	key = hn_rng_u64(&rng);
	for (uint32_t j = 0; j < a->r->n; j++)
		for (size_t i = 0; i < hn_size(a->l->in); i++) {
			const uint32_t at = (uint32_t)(i * 1024 + j);
			const uint32_t bits = mixed(mixed(at ^ (uint32_t)key) + (uint32_t)(key >> 32));
			const bool gone = (double)bits < floor((double)(float)a->l->arg[0] * 4294967296.0);

			a->y[j][i] = !a->r->learning ? a->x[j][i]
			                             : gone ? 0 : a->x[j][i] / (1 - a->l->arg[0]);
		}
}

static const struct { const char *name; void (*run)(const struct at *); } layers[] = {
	{ "dense", dense }, { "conv1d", conv1d }, { "dwconv1d", dwconv1d }, { "gru", gru },
	{ "maxpool", pool }, { "avgpool", pool }, { "globalavgpool", pool }, { "softmax", softmax },
	{ "relu", element }, { "relu6", element }, { "leaky_relu", element }, { "tanh", element },
	{ "sigmoid", element }, { "flatten", element }, { "add", element },
	{ "batch_norm", batch_norm }, { "dropout", dropout },
};

static void run_layer(const struct at *a)
{
	for (size_t k = 0; k < sizeof layers / sizeof *layers; k++)
		if (strcmp(layers[k].name, a->l->type->name) == 0) {
			layers[k].run(a);
			return;
		}
	ck_abort_msg("no reference for the layer %s", a->l->type->name);
}

void t_ref_forward(const struct t_ref *r, double *out)
{
	static tensor y[HN_NET_LAYERS_MAX + 1];
	const size_t in = hn_size(r->net->in);

	ck_assert(r->n >= 1 && r->n <= T_REF_N && in <= T_REF_VALUES);
	for (uint32_t j = 0; j < r->n; j++)
		for (size_t i = 0; i < in; i++)
			y[0][j][i] = (double)r->x[j * in + i];
	for (unsigned i = 0; i < r->net->n_layers; i++) {
		const struct hn_layer *l = &r->net->layer[i];

		ck_assert_uint_le(hn_size(l->out), T_REF_VALUES);
		run_layer(&(struct at){ r, l, i, r->w + l->w_at, y[i], y[l->from], y[i + 1] });
	}
	for (uint32_t j = 0; j < r->n; j++)
		memcpy(out + (size_t)j * r->net->out_n, y[r->net->n_layers][j],
		       r->net->out_n * sizeof *out);
}

/* --- random nets ------------------------------------------------------------------------------ */

/* A random item for the text; what does not fit there, the parser refuses. */
static void random_item(struct hn_rng *g, char *out, size_t cap)
{
	static const char *const forms[] = {
		"conv1d %ux%u same", "conv1d %ux%u", "conv1d %ux%u stride 2 same", "conv1d %ux%u dilation 2",
		"separable %ux%u same", "separable %ux%u stride 2", "gru %u seq", "gru %u", "dense %u",
	};
	static const char *const small[] = {
		"dwconv1d %u same", "dwconv1d %u", "dwconv1d %u stride 2", "maxpool %u", "avgpool %u stride 1",
		"avgpool %u", "maxpool %u stride 1", "add %u", "add %u", "add %u", "add %u",
	};
	static const char *const plain[] = {
		"relu", "tanh", "sigmoid", "relu6", "leaky_relu 0.2", "flatten", "batch_norm", "batch_norm",
		"dropout 0.25", "softmax", "globalavgpool",
	};
	const uint32_t kind = hn_rng_below(g, 3), a = 1 + hn_rng_below(g, 6), b = 1 + hn_rng_below(g, 4);

	if (kind == 0)
		(void)snprintf(out, cap, forms[hn_rng_below(g, sizeof forms / sizeof *forms)], a, b);
	else if (kind == 1)
		(void)snprintf(out, cap, small[hn_rng_below(g, sizeof small / sizeof *small)], b);
	else
		(void)snprintf(out, cap, "%s", plain[hn_rng_below(g, sizeof plain / sizeof *plain)]);
}

/* Longer by one item that fits; false when none of some tries does. */
static bool grow(struct hn_rng *g, const struct hn_net_io *io, struct t_limits most,
                 struct t_random *r)
{
	const size_t len = strlen(r->text);

	for (int tries = 0; tries < 40; tries++) {
		char item[HN_LAYER_TEXT_MAX], text[HN_NET_TEXT_MAX];
		struct hn_net net;

		random_item(g, item, sizeof item);
		if ((size_t)snprintf(text, sizeof text, "%s%s%s", r->text, len ? ", " : "", item) >=
		    sizeof text)
			return false;
		if (hn_net_parse(&net, text, io, NULL) != HN_OK || net.n_weights > most.weights ||
		    net.n_layers > most.layers)
			continue;
		r->net = net;
		memcpy(r->text, text, sizeof text);
		return true;
	}
	return false;
}

void t_random_net(uint64_t seed, struct t_limits most, struct t_random *out, float *w)
{
	struct hn_net_io io = { HN_REGRESS, 0, 0, 0 };
	struct hn_rng g;
	unsigned wanted;

	hn_rng_seed(&g, seed);
	io.in_len = (uint16_t)(1 + hn_rng_below(&g, 9));
	io.in_ch = (uint16_t)(1 + hn_rng_below(&g, 4));
	wanted = 1 + hn_rng_below(&g, most.layers);
	*out = (struct t_random){ .text = "" };
	while (out->net.n_layers < wanted && grow(&g, &io, most, out))
		;
	ck_assert_uint_gt(out->net.n_layers, 0);
	hn_net_init(&out->net, seed, w);
	for (uint32_t i = 0; i < out->net.n_weights; i++)
		w[i] += (float)(0.1 * hn_rng_normal(&g));
	for (unsigned i = 0; i < out->net.n_layers; i++) {
		const struct hn_layer *l = &out->net.layer[i];

		/* running variances */
		for (uint32_t k = 0; l->type->track && k < l->in.ch; k++)
			w[l->w_at + 3u * l->in.ch + k] = (float)(0.3 + hn_rng_unit(&g));
	}
}
