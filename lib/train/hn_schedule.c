/* The rate over the run: a factor by schedule, times a linear warm-up.
 *
 *   constant   1
 *   cosine     1 for the first 30 % of the steps, then half a cosine down to 5 %
 *   step       decay^k after k times `decay_epochs` epochs
 *   plateau    decay^k, k counts `decay_epochs` epochs in a row without improvement
 *
 * Source: Loshchilov & Hutter 2017, arXiv:1608.03983 (cosine, one cycle); Goyal et al. 2017,
 * arXiv:1706.02677 (warm-up). */
#include "hn_fit.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static double steps_in_all(const struct hn_fit *f)
{
	const uint64_t per_epoch = (f->data->train.n + f->cfg->batch - 1) / f->cfg->batch;

	return (double)per_epoch * f->cfg->epochs;
}

static double constant(const struct hn_fit *f)
{
	(void)f;
	return 1;
}

static double cosine(const struct hn_fit *f)
{
	const double hold = 0.3, least = 0.05, done = (double)f->s.step / steps_in_all(f);

	if (done <= hold)
		return 1;
	return least + (1 - least) * 0.5 * (1 + cos(pi * fmin((done - hold) / (1 - hold), 1)));
}

static double stairs(const struct hn_fit *f)
{
	return pow((double)f->cfg->decay, floor((f->s.epoch - 1) / (double)f->cfg->decay_epochs));
}

static double plateau(const struct hn_fit *f)
{
	return pow((double)f->cfg->decay, f->s.drops);
}

/* By enum hn_schedule. */
static const struct { const char *name; double (*factor)(const struct hn_fit *f); } schedules[] = {
	[HN_CONSTANT] = { "constant", constant }, [HN_COSINE] = { "cosine", cosine },
	[HN_STEP] = { "step", stairs }, [HN_PLATEAU] = { "plateau", plateau },
};
_Static_assert(sizeof schedules / sizeof *schedules == HN_SCHEDULES, "one row each");

const char *hn_schedule_name(enum hn_schedule s)
{
	return (unsigned)s < HN_SCHEDULES ? schedules[s].name : "unknown";
}

double hn_fit_rate(const struct hn_fit *f)
{
	const double warm = f->cfg->warmup ? fmin(((double)f->s.step + 1) / f->cfg->warmup, 1) : 1;

	return f->s.lr * warm * schedules[f->cfg->schedule].factor(f);
}

void hn_fit_watch_plateau(struct hn_fit *f, double loss)
{
	if (loss < f->s.plateau_best - (double)f->cfg->min_delta) {
		f->s.plateau_best = loss;
		f->s.plateau_wait = 0;
	} else if (++f->s.plateau_wait == f->cfg->decay_epochs) {
		f->s.drops++;
		f->s.plateau_wait = 0;
	}
}
