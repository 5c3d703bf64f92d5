/* page_hinkley.c - Page-Hinkley test: cumulative deviation from the running mean against its
 * minimum (an increase) and maximum (a decrease).  Meaning and order of operations of river 0.24:
 * forgetting by alpha, the maximum starts at -1, a new start after an alarm. */
#include "hn_drift_rows.h"

#include <math.h>

struct ph {
	struct hn_drift_mean mean;
	double up, up_min, down, down_max;
	double k, alpha, threshold;
	double min_n;
	int    side;
	int    fired;
};

static void ph_start(struct ph *s)
{
	s->mean = (struct hn_drift_mean){ 0 };
	s->up = s->down = 0.0;
	s->up_min = (double)INFINITY;
	s->down_max = -1.0;
	s->fired = 0;
}

static hn_status ph_init(void *state, const struct hn_drift_params *p)
{
	const double sides = p->side == HN_BOTH_SIDES ? 2.0 : 1.0;
	const bool by_arl = p->arl > 0.0;

	if (!(p->alpha > 0.0 && p->alpha <= 1.0) || !(p->k >= 0.0) || p->min_n < 1)
		return HN_ERANGE;
	if (by_arl ? !(p->arl > 1.0 && p->k > 0.0) : !(p->threshold > 0.0))
		return HN_ERANGE;
	struct ph *s = state;

	*s = (struct ph){ .k = p->k, .alpha = p->alpha, .min_n = p->min_n, .side = (int)p->side,
		.threshold = by_arl ? hn_cusum_threshold(p->arl * sides, p->k) : p->threshold };
	ph_start(s);
	return HN_OK;
}

static hn_status ph_step(void *state, double x, double *score)
{
	struct ph *s = state;
	double dev, test = 0.0;

	if (!isfinite(x))
		return HN_ENUMERIC;
	if (s->fired)
		ph_start(s);
	hn_drift_mean_add(&s->mean, x);
	dev = x - s->mean.mean;
	s->up = s->alpha * s->up + dev - s->k;
	s->down = s->alpha * s->down + dev + s->k;
	if (s->up < s->up_min)
		s->up_min = s->up;
	if (s->down > s->down_max)
		s->down_max = s->down;
	if (s->mean.n >= s->min_n) {
		if (s->side != HN_DOWN)
			test = s->up - s->up_min;
		if (s->side != HN_UP)
			test = fmax(test, s->down_max - s->down);
	}
	s->fired = test > s->threshold;
	*score = hn_drift_score(s->fired != 0, test, s->threshold);
	return HN_OK;
}

const struct hn_detector hn_drift_page_hinkley = {
	.name = "page_hinkley",
	.help = "cumulative deviation from the running mean; threshold in units of x",
	.source = "Page 1954, doi:10.1093/biomet/41.1-2.100; river 0.24.2 drift.PageHinkley",
	.kind = HN_DRIFT_INPUT,
	.state_size = sizeof(struct ph),
	.defaults = { .k = 0.005, .threshold = 50.0, .alpha = 1.0 - 0.0001, .min_n = 30 },
	.init = ph_init,
	.step = ph_step,
};
