/* What rounds in a net that trains for int8: weights by the scales of hn_image_write, values by the
 * grids of a calibration. */
#include "hn_quant.h"

#include "hn_layer.h"

static void round_weights(const struct hn_fake *f, const float *w, float *out)
{
	struct hn_quant_cfg cfg = *f->cfg;
	const struct hn_net *net = cfg.net;
	const uint32_t n = net->n_weights;

	cfg.weights = w;
	for (uint32_t i = 0; i < n; i++)
		out[i] = 0;
	(void)hn_quant_steps(&cfg, f->calib, out);       /* hn_fake_init asked before */
	for (unsigned i = 0; i < net->n_layers; i++)
		for (uint32_t k = 0; (i < f->first || i >= f->last) && k < net->layer[i].n_w; k++)
			out[net->layer[i].w_at + k] = 0;
	hn_fake_round_each(out, 127, w, n);
}

hn_status hn_fake_init(struct hn_fake *f, const struct hn_quant_cfg *cfg,
                       const struct hn_calib *calib)
{
	const struct hn_net *net = cfg->net;

	if (hn_image_need(net) == 0 || (cfg->frozen && cfg->frozen_len != hn_image_need(net)))
		return HN_EINVAL;
	*f = (struct hn_fake){ .weights = round_weights, .cfg = cfg, .calib = calib,
	                       .last = net->n_layers };
	for (unsigned i = 0; i <= net->n_layers; i++) {
		const struct hn_grid g = calib->grid[i];

		/* What is fused appears on the grid of the layer that bounds it; a new shape changes
		 * nothing. */
		if (i > 0 && (hn_quant_fused(net, i) || net->layer[i - 1].type->only_shape))
			continue;
		f->grid[i] = (struct hn_fake_grid){ g.scale, (float)(-128 - g.zp), (float)(127 - g.zp) };
	}
	return HN_OK;
}
