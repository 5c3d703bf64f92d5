/* ddm.c - drift detection method: the error rate against its minimum, three standard deviations.
 * Meaning and order of operations of river 0.24: tested when n > min_n, a new start after an
 * alarm. */
#include "hn_drift_rows.h"

#include <math.h>

struct ddm {
	struct hn_drift_mean p;
	double p_min, s_min, sum_min;
	double threshold, min_n;
	int    fired;
};

static void ddm_start(struct ddm *s)
{
	s->p = (struct hn_drift_mean){ 0 };
	s->p_min = s->s_min = s->sum_min = (double)INFINITY;
	s->fired = 0;
}

static hn_status ddm_init(void *state, const struct hn_drift_params *p)
{
	if (!(p->threshold > 0.0) || p->min_n < 1)
		return HN_ERANGE;
	struct ddm *s = state;

	*s = (struct ddm){ .threshold = p->threshold, .min_n = p->min_n };
	ddm_start(s);
	return HN_OK;
}

static hn_status ddm_step(void *state, double x, double *score)
{
	struct ddm *s = state;
	double rate, sd;

	if (!isfinite(x))
		return HN_ENUMERIC;
	if (x < 0.0 || x > 1.0)
		return HN_ERANGE;
	if (s->fired)
		ddm_start(s);
	hn_drift_mean_add(&s->p, x);
	rate = s->p.mean;
	/* Rounding may leave the rate a hair outside 0..1. */
	sd = sqrt(fmax(0.0, rate * (1.0 - rate) / s->p.n));
	*score = 0.0;
	if (s->p.n <= s->min_n)
		return HN_OK;
	if (rate + sd <= s->sum_min) {
		s->p_min = rate;
		s->s_min = sd;
		s->sum_min = s->p_min + s->s_min;
	}
	s->fired = rate + sd > s->p_min + s->threshold * s->s_min;
	*score = hn_drift_score(s->fired != 0, rate + sd - s->p_min, s->threshold * s->s_min);
	return HN_OK;
}

const struct hn_detector hn_drift_ddm = {
	.name = "ddm",
	.help = "error rate against its minimum; threshold in standard deviations",
	.source = "Gama et al. 2004, doi:10.1007/978-3-540-28645-5_29; river 0.24.2 drift.binary.DDM",
	.kind = HN_DRIFT_ERROR,
	.state_size = sizeof(struct ddm),
	.defaults = { .threshold = 3.0, .min_n = 30 },
	.init = ddm_init,
	.step = ddm_step,
};
