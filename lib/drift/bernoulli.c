/* bernoulli.c - CUSUM of log-likelihood ratios on 0/1 errors: p0 usual, p1 to find.
 *
 *   s = max(0, s + (x ? log(p1 / p0) : log((1 - p1) / (1 - p0)))), alarm at s >= log(arl)
 *
 * The mean time between false alarms is at least `arl` for independent errors of rate <= p0
 * (Lorden 1971, theorem 2), however few there are: no normal approximation. */
#include "hn_drift_rows.h"

#include <math.h>

struct bern {
	double s, h;
	double p0, p1, up, down; /* up, down: log-likelihood ratio of an error, of a right answer */
	double n, wrong, min_n;  /* learning p0 when it was not given                           */
	double p1_given;
	int    learning;
	int    fired;
};

static void bern_set(struct bern *b, double p0)
{
	/* Below 1 % one error would be an alarm; a doubling and at least 10 points are worth one. */
	b->p0 = fmin(fmax(p0, 0.01), 0.9);
	b->p1 = b->p1_given > b->p0 ? b->p1_given : fmin(fmax(2.0 * b->p0, b->p0 + 0.1), 0.98);
	b->up = log(b->p1 / b->p0);
	b->down = log((1.0 - b->p1) / (1.0 - b->p0));
}

static hn_status bern_init(void *state, const struct hn_drift_params *p)
{
	const bool by_arl = p->arl > 0.0;

	if (by_arl ? !(p->arl > 1.0) : !(p->threshold > 0.0))
		return HN_ERANGE;
	if (!(p->p0 >= 0.0 && p->p0 < 1.0 && p->p1 >= 0.0 && p->p1 < 1.0))
		return HN_ERANGE;
	if ((p->p1 > 0.0 && p->p1 <= p->p0) || (p->p0 == 0.0 && p->min_n < 1))
		return HN_ERANGE;
	struct bern *b = state;

	*b = (struct bern){ .h = by_arl ? log(p->arl) : p->threshold, .min_n = p->min_n,
		.p1_given = p->p1, .learning = p->p0 == 0.0 };
	if (!b->learning)
		bern_set(b, p->p0);
	return HN_OK;
}

/* The estimate leans to the high side by one standard error: a rate learned too low is a false
 * alarm for ever, one learned too high a late alarm. */
static void bern_learn(struct bern *b, double x)
{
	b->n += 1.0;
	b->wrong += x;
	if (b->n < b->min_n)
		return;
	const double p = (b->wrong + 1.0) / (b->n + 2.0);

	bern_set(b, p + sqrt(p * (1.0 - p) / (b->n + 2.0)));
	b->learning = 0;
}

static hn_status bern_step(void *state, double x, double *score)
{
	struct bern *b = state;

	if (!isfinite(x))
		return HN_ENUMERIC;
	if (x < 0.0 || x > 1.0)
		return HN_ERANGE;
	*score = 0.0;
	if (b->learning) {
		bern_learn(b, x);
		return HN_OK;
	}
	if (b->fired)
		b->s = 0.0;
	b->s = fmax(0.0, b->s + x * b->up + (1.0 - x) * b->down);
	b->fired = b->s >= b->h;
	*score = hn_drift_score(b->fired != 0, b->s, b->h);
	return HN_OK;
}

const struct hn_detector hn_drift_bernoulli = {
	.name = "bernoulli",
	.help = "likelihood-ratio CUSUM on errors with its threshold from a false-alarm budget",
	.source = "Reynolds & Stoumbos 1999, doi:10.1080/00224065.1999.11979900; Lorden 1971",
	.kind = HN_DRIFT_ERROR,
	.state_size = sizeof(struct bern),
	.defaults = { .arl = 1000.0, .min_n = 30 },
	.init = bern_init,
	.step = bern_step,
};
