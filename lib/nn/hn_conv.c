#include "hn_conv.h"

#include <math.h>
#include <string.h>

enum { STRIDE, DILATION, SAME };

const struct hn_option hn_conv_options[] = {
	[STRIDE] = { "stride", true, 1 }, [DILATION] = { "dilation", true, 1 },
	[SAME] = { "same", false, 0 }, { 0 }
};

static long pad_of(const struct hn_layer *l, long kernel)
{
	const long stride = (long)l->opt[STRIDE], reach = (kernel - 1) * (long)l->opt[DILATION];
	const long out = ((long)l->in.len + stride - 1) / stride;
	const long total = (out - 1) * stride + reach + 1 - (long)l->in.len;

	return l->opt[SAME] > 0 && total > 0 ? total / 2 : 0;
}

struct hn_conv hn_conv_of(const struct hn_layer *l, size_t kernel)
{
	return (struct hn_conv){ .in = l->in.ch, .len = l->in.len, .out = l->out.ch, .kernel = kernel,
		.stride = (size_t)l->opt[STRIDE], .dilation = (size_t)l->opt[DILATION],
		.out_len = l->out.len, .pad = pad_of(l, (long)kernel) };
}

bool hn_conv_whole(double v, double hi)
{
	return v >= 1 && v <= hi && v == floor(v);
}

hn_status hn_conv_shape(struct hn_layer *l, double kernel, struct hn_err *err)
{
	const long len = l->in.len;
	long reach, out;

	if (!hn_conv_whole(l->opt[STRIDE], 1024) || !hn_conv_whole(l->opt[DILATION], 1024))
		return hn_fail(err, HN_ERANGE, "stride and dilation must be whole, 1 to 1024");
	reach = ((long)kernel - 1) * (long)l->opt[DILATION] + 1;
	if (!(l->opt[SAME] > 0) && reach > len)
		return hn_fail(err, HN_ERANGE, "the kernel reaches over %ld frames, the input has %ld",
		               reach, len);
	out = l->opt[SAME] > 0 ? (len - 1) / (long)l->opt[STRIDE] + 1
	                       : (len - reach) / (long)l->opt[STRIDE] + 1;
	l->out.len = (uint16_t)out;
	return HN_OK;
}

struct hn_taps hn_conv_taps(const struct hn_conv *g, size_t t)
{
	const long at = (long)(t * g->stride) - g->pad, step = (long)g->dilation, len = (long)g->len;
	const size_t first = at < 0 ? (size_t)((step - 1 - at) / step) : 0;
	const long frame = at + (long)first * step;
	size_t n;

	if (first >= g->kernel || frame >= len)
		return (struct hn_taps){ 0, 0, 0 };
	n = (size_t)((len - 1 - frame) / step) + 1;
	return (struct hn_taps){ first, n < g->kernel - first ? n : g->kernel - first, (size_t)frame };
}

void hn_conv_span(const struct hn_conv *g, size_t first, size_t n, size_t *from, size_t *to)
{
	const long at = (long)(first * g->dilation) - g->pad, step = (long)g->stride;
	const long room = (long)g->len - 1 - at - (long)((n - 1) * g->dilation);
	const size_t end = room < 0 ? 0 : (size_t)(room / step) + 1;

	*from = at < 0 ? (size_t)((step - 1 - at) / step) : 0;
	*to = end < g->out_len ? end : g->out_len;
}

void hn_conv_init(const struct hn_layer *l, struct hn_fan of, double gain, struct hn_rng *rng,
                  float *w)
{
	const double fan = gain > 1.0 ? (double)of.in : (double)(of.in + of.out) / 2.0;
	const double limit = sqrt(3.0 * gain / fan);

	for (size_t i = 0; i < of.in * l->out.ch; i++)
		w[i] = (float)(limit * (2.0 * hn_rng_unit(rng) - 1.0));
	memset(w + of.in * l->out.ch, 0, l->out.ch * sizeof *w);
}

bool hn_conv_in_image(const struct hn_conv *g)
{
	return g->kernel <= 255 && g->stride <= 255 && g->dilation <= 255 && g->pad <= 255;
}

uint32_t hn_conv_pq(const struct hn_conv *g)
{
	return (uint32_t)(g->kernel | (size_t)g->pad << 8 | g->stride << 16 | g->dilation << 24);
}
