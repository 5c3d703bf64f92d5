/* cusum.c - Page's CUSUM on standardised residuals: s = max(0, s + z - k) on each side, alarm at h.
 * h follows from the mean time between false alarms (hn_cusum_threshold).  The mean of the
 * reference is not learned here: the residuals come from a baseline (hn_baseline.h). */
#include "hn_drift_rows.h"

#include <math.h>

struct cu {
	double up, down;         /* [sd of the reference]                                       */
	double k, h, clip;
	int    side;
	int    fired;
};

static hn_status cu_init(void *state, const struct hn_drift_params *p)
{
	const double sides = p->side == HN_BOTH_SIDES ? 2.0 : 1.0;
	const bool by_arl = p->arl > 0.0;

	if (!(p->k > 0.0) || !(p->clip >= 0.0) || (by_arl ? !(p->arl > 1.0) : !(p->threshold > 0.0)))
		return HN_ERANGE;
	*(struct cu *)state = (struct cu){ .k = p->k, .clip = p->clip, .side = (int)p->side,
		.h = by_arl ? hn_cusum_threshold(p->arl * sides, p->k) : p->threshold };
	return HN_OK;
}

static hn_status cu_step(void *state, double x, double *score)
{
	struct cu *s = state;
	double peak;

	if (!isfinite(x))
		return HN_ENUMERIC;
	if (s->fired)
		s->up = s->down = 0.0;
	if (s->clip > 0.0)
		x = fmax(-s->clip, fmin(s->clip, x));
	s->up = s->side == HN_DOWN ? 0.0 : fmax(0.0, s->up + x - s->k);
	s->down = s->side == HN_UP ? 0.0 : fmax(0.0, s->down - x - s->k);
	peak = fmax(s->up, s->down);
	s->fired = peak >= s->h;
	*score = hn_drift_score(s->fired != 0, peak, s->h);
	return HN_OK;
}

const struct hn_detector hn_drift_cusum = {
	.name = "cusum",
	.help = "CUSUM with its threshold from a false-alarm budget; x and threshold in sd",
	.source = "Page 1954, doi:10.1093/biomet/41.1-2.100; Siegmund 1985, (2.57)",
	.kind = HN_DRIFT_INPUT,
	.standard = true,
	.state_size = sizeof(struct cu),
	/* One alarm in 43,200 samples: one a month at one sample a minute. */
	.defaults = { .arl = 43200.0, .k = 0.25, .clip = 4.0 },
	.init = cu_init,
	.step = cu_step,
};
