/* Ranges of all tensors over calibration samples, and the int8 grids that follow from them.
 *
 * Two passes: the first finds minimum and maximum, the second (not for min-max) fills a histogram
 * between them, from which hn_calib_range.c finds a narrower range.  The grid always contains zero
 * exactly (TFLite). */
#include "hn_calib.h"

#include <math.h>
#include "hn_layer.h"
#include "hn_run.h"

enum { BATCH = 64, BINS = HN_CALIB_BINS };

struct pass {
	const struct hn_quant_cfg *cfg;
	struct hn_run run;
	struct hn_calib *calib;
	uint32_t *bins;                  /* (n_layers + 1, BINS) or NULL in the first pass     */
	bool finite;
	uint8_t tensor;                  /* where it was not                                   */
};

static void see_range(struct pass *p, unsigned t, const float *v)
{
	struct hn_calib *c = p->calib;

	for (uint32_t j = 0; j < p->run.n; j++) {
		if (!isfinite(v[j])) {
			p->tensor = p->finite ? (uint8_t)t : p->tensor;
			p->finite = false;
			return;
		}
		c->lo[t] = fminf(c->lo[t], v[j]);
		c->hi[t] = fmaxf(c->hi[t], v[j]);
	}
}

static void see_bins(struct pass *p, unsigned t, const float *v)
{
	const float lo = p->calib->lo[t], hi = p->calib->hi[t];
	const float k = hi > lo ? (float)BINS / (hi - lo) : 0;

	for (uint32_t j = 0; j < p->run.n; j++) {
		const float at = (v[j] - lo) * k;

		p->bins[t * BINS + (at < BINS - 1 ? (size_t)at : BINS - 1)]++;
	}
}

static void see(struct pass *p, unsigned t, const float *y, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		const float *v = y + i * p->run.lanes;

		if (p->bins)
			see_bins(p, t, v);
		else
			see_range(p, t, v);
	}
}

static void walk(struct pass *p, struct hn_samples s)
{
	const struct hn_net *net = p->cfg->net;

	for (uint32_t at = 0; at < s.n; at += BATCH) {
		const uint32_t n = s.n - at < BATCH ? s.n - at : BATCH;

		hn_run_load(&p->run, s.x + at * hn_size(net->in), NULL, n);
		hn_run_forward(&p->run, p->cfg->weights);
		see(p, 0, p->run.x, hn_size(net->in));
		for (unsigned i = 0; i < net->n_layers; i++)
			see(p, i + 1, p->run.y[i], hn_size(net->layer[i].out));
	}
}

static void set_grids(const struct hn_net *net, struct hn_calib *c)
{
	c->grid[0] = hn_calib_grid((double)c->lo[0], (double)c->hi[0]);
	for (unsigned i = 0; i < net->n_layers; i++) {
		const struct hn_layer_type *t = net->layer[i].type;
		const bool fixed = t->out_hi > t->out_lo;

		c->grid[i + 1] = fixed ? (struct hn_grid){ (float)((t->out_hi - t->out_lo) / 255.0), 0 }
		                       : hn_calib_grid((double)c->lo[i + 1], (double)c->hi[i + 1]);
		if (fixed)
			c->grid[i + 1].zp = (int8_t)round(-128.0 - t->out_lo / (double)c->grid[i + 1].scale);
	}
	if (net->task == HN_AUTOENCODE)          /* the device compares the two as they lie */
		c->grid[net->n_layers] = c->grid[0];
	/* A bound fused into the product before it: the product writes the bounded grid directly.
	 * A pool has no choice of its grid, so the bound behind it keeps that one. */
	for (unsigned i = 0; i < net->n_layers; i++) {
		if (net->layer[i].type->same_grid || hn_quant_fused(net, i))
			c->grid[i + 1] = c->grid[i];
		else if (hn_quant_fused(net, i + 1))
			c->grid[i + 1] = c->grid[i + 2];
	}
}

static hn_status measure(struct pass *p, struct hn_samples s, struct hn_arena *arena)
{
	const unsigned tensors = p->cfg->net->n_layers + 1u;

	walk(p, s);
	if (!p->finite)
		return HN_ENUMERIC;
	if (p->cfg->rule == HN_CALIB_MINMAX)
		return HN_OK;
	p->bins = hn_arena_take(arena, (size_t)tensors * BINS * sizeof *p->bins);
	if (!p->bins)
		return HN_ENOMEM;
	walk(p, s);
	for (unsigned t = 0; t < tensors; t++) {
		struct hn_range r = { (double)p->calib->lo[t], (double)p->calib->hi[t] };

		if (p->cfg->rule == HN_CALIB_MSE)
			r = hn_range_mse(r, p->bins + t * BINS);
		else
			r = hn_range_percentile(r, p->bins + t * BINS, p->cfg->tail);
		p->calib->lo[t] = (float)r.lo;
		p->calib->hi[t] = (float)r.hi;
	}
	return HN_OK;
}

static hn_status reserve(const struct hn_quant_cfg *cfg, struct hn_run *run, struct hn_arena *arena)
{
	hn_status rc = hn_run_init(run, cfg->net, BATCH, HN_RUN_KEEP, arena);

	if (!rc && cfg->rule != HN_CALIB_MINMAX && hn_arena_dry(arena))
		(void)hn_arena_take(arena, (cfg->net->n_layers + 1u) * BINS * sizeof(uint32_t));
	return rc;
}

hn_status hn_calibrate(const struct hn_quant_cfg *cfg, struct hn_samples s, struct hn_arena *arena,
                       struct hn_calib *calib, struct hn_err *err)
{
	struct hn_calib c = { .grid = { { 0, 0 } } };
	struct pass p = { .cfg = cfg, .calib = &c, .finite = true };
	const size_t mark = arena->used;
	hn_status rc;

	rc = reserve(cfg, &p.run, arena);
	if (rc || hn_arena_dry(arena))
		goto out;
	if (s.n == 0)
		rc = hn_fail(err, HN_EDATA, "calibration: no samples");
	else
		rc = measure(&p, s, arena);
	if (rc == HN_ENUMERIC)
		(void)hn_fail(err, rc, "calibration: %s %u '%s' is not finite",
		              p.tensor ? "output of layer" : "input", p.tensor,
		              p.tensor ? cfg->net->layer[p.tensor - 1].text : "scaled");
	if (!rc) {
		set_grids(cfg->net, &c);
		*calib = c;
	}
out:
	hn_arena_reset(arena, mark);
	return rc;
}
