/* hddm_a.c - drift detection by Hoeffding's bound on moving averages (A-test): the mean of
 * everything since the start against the mean up to the cut point where it was lowest (highest).
 * Meaning and order of operations of river 0.24. */
#include "hn_drift_rows.h"

#include <math.h>

struct hddm {
	struct hn_drift_mean all, low, high;     /* since the start; up to the two cut points   */
	double confidence;
	int    side;
	int    fired;
};

static hn_status hddm_init(void *state, const struct hn_drift_params *p)
{
	if (!(p->confidence > 0.0 && p->confidence < 1.0))
		return HN_ERANGE;
	*(struct hddm *)state = (struct hddm){ .confidence = p->confidence, .side = (int)p->side };
	return HN_OK;
}

static double bound(const struct hddm *s, double n)
{
	return sqrt(1.0 / (2.0 * n) * log(1.0 / s->confidence));
}

/* Bound of the difference between the mean of all and the mean up to the cut point. */
static double bound_cut(const struct hddm *s, double n_cut)
{
	const double m = (s->all.n - n_cut) / n_cut * (1.0 / s->all.n);

	return sqrt(m / 2.0 * log(2.0 / s->confidence));
}

static void cuts_move(struct hddm *s)
{
	const double eps = bound(s, s->all.n);

	if (s->low.n == 0.0)
		s->low = s->all;
	if (s->high.n == 0.0)
		s->high = s->all;
	if (s->low.mean + bound(s, s->low.n) >= s->all.mean + eps)
		s->low = s->all;
	if (s->high.mean - bound(s, s->high.n) <= s->all.mean - eps)
		s->high = s->all;
}

static void test(const struct hddm *s, const struct hn_drift_mean *cut, double rise, double *score)
{
	if (cut->n == s->all.n)
		return;
	const double eps = bound_cut(s, cut->n);

	*score = fmax(*score, hn_drift_score(rise >= eps, rise, eps));
}

static hn_status hddm_step(void *state, double x, double *score)
{
	struct hddm *s = state;
	double peak = 0.0;

	if (!isfinite(x))
		return HN_ENUMERIC;
	if (x < 0.0 || x > 1.0)
		return HN_ERANGE;
	if (s->fired) {
		s->all = s->low = s->high = (struct hn_drift_mean){ 0 };
		s->fired = 0;
	}
	hn_drift_mean_add(&s->all, x);
	cuts_move(s);
	if (s->side != HN_DOWN)
		test(s, &s->low, s->all.mean - s->low.mean, &peak);
	if (s->side != HN_UP)
		test(s, &s->high, s->high.mean - s->all.mean, &peak);
	s->fired = peak >= 1.0;
	*score = peak;
	return HN_OK;
}

const struct hn_detector hn_drift_hddm_a = {
	.name = "hddm_a",
	.help = "mean error rate against its lowest so far, by Hoeffding's bound",
	.source = "Frias-Blanco et al. 2015, doi:10.1109/TKDE.2014.2345382; river 0.24.2 HDDM_A",
	.kind = HN_DRIFT_ERROR,
	.state_size = sizeof(struct hddm),
	.defaults = { .side = HN_UP, .confidence = 0.001 },
	.init = hddm_init,
	.step = hddm_step,
};
