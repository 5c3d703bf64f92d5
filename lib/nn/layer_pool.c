/* maxpool N [stride N], avgpool N [stride N], globalavgpool: over frames, each channel by itself.
 * The stride is N unless given; frames at the end that fill no window are left out. */
#include "hn_layer.h"

#include <math.h>
#include <string.h>
#include "hd_image.h"

extern const struct hn_layer_type hn_layer_maxpool, hn_layer_avgpool, hn_layer_globalavgpool;

enum { STRIDE };

static const struct hn_option options[] = { [STRIDE] = { "stride", true, 0 }, { 0 } };

static size_t taps(const struct hn_layer *l)
{
	return l->n_args ? (size_t)l->arg[0] : l->in.len;
}

static size_t stride(const struct hn_layer *l)
{
	return l->n_args && l->opt[STRIDE] > 0 ? (size_t)l->opt[STRIDE] : taps(l);
}

static hn_status pool_shape(struct hn_layer *l, struct hn_err *err)
{
	const double n = l->n_args ? l->arg[0] : l->in.len, s = l->opt[STRIDE];

	if (!(n >= 1) || n != floor(n) || !(s >= 0 && s <= 4096) || s != floor(s))
		return hn_fail(err, HN_ERANGE, "size and stride must be whole and positive");
	if (n > l->in.len)
		return hn_fail(err, HN_ERANGE, "pools %g frames, the input has %u", n, l->in.len);
	l->out = (struct hn_shape){ (uint16_t)((l->in.len - taps(l)) / stride(l) + 1), l->in.ch };
	return HN_OK;
}

/* Arguments of output frame t. */
static struct hn_pool_args frame(const struct hn_pass *p, size_t t)
{
	const size_t n = p->l->in.ch * p->lanes, at = t * stride(p->l) * n;

	return (struct hn_pool_args){
		.n = n, .taps = taps(p->l), .step = n, .x = p->x + at, .y = p->y + t * n,
		.dy = p->dy ? p->dy + t * n : NULL, .dx = p->dx ? p->dx + at : NULL };
}

static void clear_dx(const struct hn_pass *p)
{
	memset(p->dx, 0, hn_size(p->l->in) * p->lanes * sizeof *p->dx);
}

static void max_forward(const struct hn_pass *p)
{
	for (size_t t = 0; t < p->l->out.len; t++) {
		const struct hn_pool_args a = frame(p, t);

		p->kern->max_pool(&a);
	}
}

static void max_backward(const struct hn_pass *p)
{
	if (!p->dx)
		return;
	clear_dx(p);
	for (size_t t = 0; t < p->l->out.len; t++) {
		const struct hn_pool_args a = frame(p, t);

		p->kern->max_pool_back(&a);
	}
}

static void avg_forward(const struct hn_pass *p)
{
	for (size_t t = 0; t < p->l->out.len; t++) {
		const struct hn_pool_args a = frame(p, t);

		p->kern->avg_pool(&a);
	}
}

static void avg_backward(const struct hn_pass *p)
{
	if (!p->dx)
		return;
	clear_dx(p);
	for (size_t t = 0; t < p->l->out.len; t++) {
		const struct hn_pool_args a = frame(p, t);

		p->kern->avg_pool_back(&a);
	}
}

static size_t pool_image_bytes(const struct hn_layer *l)
{
	(void)l;
	return 4;
}

static uint32_t pool_image_pq(const struct hn_layer *l)
{
	return (uint32_t)(taps(l) | stride(l) << 16);
}

/* { i8 act_min, act_max, 0, 0 } */
static hn_status pool_quantise(const struct hn_layer_q *q)
{
	q->out[0] = (uint8_t)q->act_min;
	q->out[1] = (uint8_t)q->act_max;
	return HN_OK;
}

const struct hn_layer_type hn_layer_maxpool = {
	.name = "maxpool", .id = 9, .usage = "maxpool SIZE [stride N]", .args_min = 1, .args_max = 1,
	.options = options, .keeps_y = true,
	.shape = pool_shape, .forward = max_forward, .backward = max_backward,
	.same_grid = true, .bounds = true, .op = HD_OP_MAX_POOL,
	.image_bytes = pool_image_bytes, .image_pq = pool_image_pq, .quantise = pool_quantise,
};

const struct hn_layer_type hn_layer_avgpool = {
	.name = "avgpool", .id = 10, .usage = "avgpool SIZE [stride N]", .args_min = 1, .args_max = 1,
	.options = options,
	.shape = pool_shape, .forward = avg_forward, .backward = avg_backward,
	.same_grid = true, .bounds = true, .op = HD_OP_AVG_POOL,
	.image_bytes = pool_image_bytes, .image_pq = pool_image_pq, .quantise = pool_quantise,
};

const struct hn_layer_type hn_layer_globalavgpool = {
	.name = "globalavgpool", .id = 11, .usage = "globalavgpool",
	.shape = pool_shape, .forward = avg_forward, .backward = avg_backward,
	.same_grid = true, .bounds = true, .op = HD_OP_AVG_POOL,
	.image_bytes = pool_image_bytes, .image_pq = pool_image_pq, .quantise = pool_quantise,
};
