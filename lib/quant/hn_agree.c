/* int8 beside float, layer by layer, with the device's own kernels. */
#include "hn_calib.h"

#include <math.h>
#include "hd_check.h"
#include "hd_ops.h"
#include "hn_layer.h"
#include "hn_run.h"

enum { BATCH = 64 };

struct compare {
	const struct hn_agree_job *job;
	struct hn_run run;
	struct hd_net image;
	int8_t *in, *out;                /* (in,), (out_n,)                                    */
	uint8_t *arena;                  /* (arena_max,)                                       */
	size_t arena_max;
	double power[HN_NET_LAYERS_MAX], error[HN_NET_LAYERS_MAX];
	uint32_t n, same;
};

/* Column j of a float tensor against q (size,) on its grid. */
static void compare_layer(struct compare *c, unsigned i, size_t j, const int8_t *q)
{
	const struct hn_net *net = c->job->cfg->net;
	const bool fused = i + 1 < net->n_layers && hn_quant_fused(net, i + 1);
	const float *y = c->run.y[fused ? i + 1 : i];
	const struct hn_grid g = c->job->calib->grid[i + 1];

	for (size_t k = 0; k < hn_size(net->layer[i].out); k++) {
		const double v = (double)y[k * c->run.lanes + j];
		const double e = v - (double)g.scale * (q[k] - g.zp);

		c->power[i] += v * v;
		c->error[i] += e * e;
	}
}

/* Layer i of the image; returns its output. */
static const int8_t *run_layer(const struct compare *c, unsigned i, const int8_t *x)
{
	const struct hd_layer *l = hd_net_layer(&c->image, i);
	int8_t *y = i + 1u < c->image.n_layers ? (int8_t *)c->arena + 4 * l->at : c->out;

	hd_ops[l->op](l, c->image.image + l->constants, x, y, c->arena);
	return y;
}

/* Sample j of the loaded batch through the image, as hd_net_run does it. */
static void run_sample(struct compare *c, size_t j)
{
	const struct hn_net *net = c->job->cfg->net;
	const struct hn_grid in = c->job->calib->grid[0];
	const int8_t *x = c->in;
	unsigned row = 0;

	for (size_t k = 0; k < hn_size(net->in); k++) {
		const double q = round((double)c->run.x[k * c->run.lanes + j] / (double)in.scale) + in.zp;

		c->in[k] = (int8_t)fmax(-128, fmin(127, q));
	}
	if (hn_quant_copies_input(net))
		x = run_layer(c, row++, x);
	for (unsigned i = 0; i < net->n_layers; i++) {
		if (hn_quant_skips(net, i))
			continue;
		x = run_layer(c, row++, x);
		compare_layer(c, i, j, x);
	}
}

static void compare_batch(struct compare *c)
{
	const uint16_t out_n = c->job->cfg->net->out_n;
	const float *y = hn_run_out(&c->run);
	uint8_t margin;

	for (uint32_t j = 0; j < c->run.n; j++) {
		uint16_t top = 0;

		run_sample(c, j);
		for (uint16_t k = 1; k < out_n; k++)
			if (y[k * c->run.lanes + j] > y[top * c->run.lanes + j])
				top = k;
		c->same += hd_argmax(c->out, out_n, &margin) == top;
	}
}

double hn_quant_db(double power, double error)
{
	if (!(error > 1e-20 * power))
		return 200;
	return power > 1e-20 * error ? 10.0 * log10(power / error) : -200;
}

uint32_t hn_quant_pick(const struct hn_quant_cfg *cfg, uint32_t n, uint32_t at, uint32_t batch,
                       uint32_t *order)
{
	const uint32_t all = cfg->compare_max && cfg->compare_max < n ? cfg->compare_max : n;
	uint32_t k = 0;

	for (; k < batch && at + k < all; k++)
		order[k] = (uint32_t)((uint64_t)(at + k) * n / all);
	return k;
}

static void compare_all(struct compare *c)
{
	const struct hn_agree_job *job = c->job;
	uint32_t order[BATCH], n;

	for (;; c->n += n) {
		n = hn_quant_pick(job->cfg, job->samples.n, c->n, BATCH, order);
		if (n == 0)
			break;
		hn_run_load(&c->run, job->samples.x, order, n);
		hn_run_forward(&c->run, job->cfg->weights);
		compare_batch(c);
	}
}

static void report(const struct compare *c, struct hn_agreement *out)
{
	const struct hn_net *net = c->job->cfg->net;
	const double n = (double)c->n * net->out_n;
	unsigned last = net->n_layers - 1u;
	double worst = (double)INFINITY;

	*out = (struct hn_agreement){ .n = c->n, .same_argmax = c->same };
	while (last > 0 && hn_quant_skips(net, last))
		last--;
	out->out_mse = c->error[last] / n;
	for (unsigned i = 0; i < net->n_layers; i++) {
		out->snr_db[i] = (double)NAN;
		if (hn_quant_skips(net, i))
			continue;
		out->snr_db[i] = hn_quant_db(c->power[i], c->error[i]);
		if (out->snr_db[i] < worst) {
			worst = out->snr_db[i];
			out->worst = (uint8_t)i;
		}
	}
}

/* The image must be one of this net: its layer table is walked beside the net's layers. */
static hn_status open_image(struct compare *c)
{
	const struct hn_net *net = c->job->cfg->net;
	unsigned n = hn_quant_copies_input(net);

	if (hd_net_check(&c->image, c->job->image, c->job->image_len) != HD_OK)
		return HN_EFORMAT;
	for (unsigned i = 0; i < net->n_layers; i++) {
		if (hn_quant_skips(net, i))
			continue;
		if (n == c->image.n_layers || !hn_image_is_row(&net->layer[i], hd_net_layer(&c->image, n++)))
			return HN_EFORMAT;
	}
	if (c->image.arena > c->arena_max)
		return HN_EFORMAT;
	return n == c->image.n_layers ? HN_OK : HN_EFORMAT;
}

static hn_status take_buffers(struct compare *c, struct hn_arena *arena)
{
	const struct hn_net *net = c->job->cfg->net;
	size_t all = hn_size(net->in) + 4;       /* no image of this net needs more: every output */

	for (unsigned i = 0; i < net->n_layers; i++)
		all += hn_size(net->layer[i].out) + 4u * net->layer[i].out.ch + 4;
	c->in = hn_arena_take(arena, hn_size(net->in));
	c->out = hn_arena_take(arena, net->out_n);
	c->arena = hn_arena_take(arena, all);
	c->arena_max = all;
	if (hn_arena_dry(arena))
		return HN_OK;
	if (!c->in || !c->out || !c->arena)
		return HN_ENOMEM;
	return c->job->samples.n ? open_image(c) : HN_EDATA;
}

hn_status hn_agree(const struct hn_agree_job *job, struct hn_arena *arena,
                   struct hn_agreement *out)
{
	const struct hn_net *net = job->cfg->net;
	struct compare c = { .job = job };
	const size_t mark = arena->used;
	hn_status rc;

	rc = hn_run_init(&c.run, net, BATCH, HN_RUN_KEEP, arena);
	if (rc)
		return rc;
	rc = take_buffers(&c, arena);
	if (!rc && !hn_arena_dry(arena)) {
		compare_all(&c);
		report(&c, out);
	}
	hn_arena_reset(arena, mark);
	return rc;
}
