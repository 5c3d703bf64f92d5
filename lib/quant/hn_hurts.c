/* What the rounding of each layer alone costs at the output: two float runs side by side, one of
 * them rounding in one place only. */
#include "hn_calib.h"

#include <math.h>
#include "hn_layer.h"
#include "hn_run.h"

enum { BATCH = 64 };

struct pair { struct hn_run plain, rounding; double power, error; };

static void compare(struct pair *p, const struct hn_quant_cfg *cfg, struct hn_samples s)
{
	const float *y = hn_run_out(&p->plain), *z = hn_run_out(&p->rounding);
	const size_t lanes = p->plain.lanes;
	uint32_t order[BATCH], n;

	p->power = p->error = 0;
	for (uint32_t at = 0;; at += n) {
		n = hn_quant_pick(cfg, s.n, at, BATCH, order);
		if (n == 0)
			break;
		hn_run_load(&p->plain, s.x, order, n);
		hn_run_load(&p->rounding, s.x, order, n);
		hn_run_forward(&p->plain, cfg->weights);
		hn_run_forward(&p->rounding, cfg->weights);
		for (size_t i = 0; i < cfg->net->out_n; i++)
			for (uint32_t j = 0; j < n; j++) {
				const double v = (double)y[i * lanes + j], e = v - (double)z[i * lanes + j];

				p->power += v * v;
				p->error += e * e;
			}
	}
}

/* Rounding in place `at` alone: 0 the input, i + 1 layer i with its weights and what is fused. */
static struct hn_fake only(const struct hn_fake *all, const struct hn_net *net, unsigned at)
{
	struct hn_fake f = *all;

	for (unsigned i = 0; i <= net->n_layers; i++)
		if (i != at && !(i == at + 1 && at > 0 && hn_quant_fused(net, at)))
			f.grid[i].scale = 0;
	f.first = at ? at - 1 : 0;
	f.last = at;
	return f;
}

static void measure(struct pair *p, const struct hn_fake *all, struct hn_samples s,
                    struct hn_hurts *out)
{
	const struct hn_quant_cfg *cfg = all->cfg;
	double least = (double)INFINITY;

	*out = (struct hn_hurts){ .most = 0 };
	for (unsigned at = 0; at <= cfg->net->n_layers; at++) {
		const struct hn_fake one = only(all, cfg->net, at);

		out->snr_db[at] = (double)NAN;
		if (at > 0 && hn_quant_skips(cfg->net, at - 1))
			continue;
		p->rounding.fake = &one;
		compare(p, cfg, s);
		out->snr_db[at] = hn_quant_db(p->power, p->error);
		if (out->snr_db[at] < least) {
			least = out->snr_db[at];
			out->most = (uint8_t)at;
		}
	}
	p->rounding.fake = NULL;
}

hn_status hn_quant_hurts(const struct hn_quant_cfg *cfg, const struct hn_calib *calib,
                         struct hn_samples s, struct hn_arena *arena, struct hn_hurts *out)
{
	const size_t mark = arena->used;
	struct hn_fake all;
	struct pair p;
	hn_status rc = hn_run_init(&p.plain, cfg->net, BATCH, 0, arena);

	if (!rc)
		rc = hn_run_init(&p.rounding, cfg->net, BATCH, HN_RUN_FAKE, arena);
	if (!rc && !hn_arena_dry(arena)) {
		rc = s.n ? hn_fake_init(&all, cfg, calib) : HN_EDATA;
		if (!rc)
			measure(&p, &all, s, out);
	}
	hn_arena_reset(arena, mark);
	return rc;
}
