/* monitor_level.c - charts of the detector table, and the de-trended level and spread of each
 * channel. */
#include "monitor_row.h"

#include <math.h>

static const double month_s = 30.0 * 86400.0;

/* --- charts of the table ---------------------------------------------------------------------- */

void chart_arm(struct chart *c, const struct chart_plan *plan)
{
	const struct hn_detector *d = hn_detector_find(plan->detector);
	struct hn_drift_params p;

	c->armed = false;
	c->score = 0.0;
	if (!d)
		return;
	p = d->defaults;
	p.side = plan->side;
	p.arl = plan->arl;
	p.k = 0.25 + 2.0 * plan->slack;
	c->armed = d->init(c->state, &p) == HN_OK;
}

void chart_step(struct chart *c, const char *detector, double x)
{
	const struct hn_detector *d = hn_detector_find(detector);

	if (c->armed && d)
		(void)d->step(c->state, x, &c->score);   /* not a number: the score stays */
}

double chart_arl(const struct model *m, double a_month, double charts)
{
	const double share = m->cfg.alarms_per_month / 4.0 / fmax(charts, 1.0);

	return fmin(fmax(a_month / share, 50.0), 1e15);
}

double unit_blocks_a_month(const struct unit *u, const struct model *m)
{
	const struct unit_kept *k = u->kept;
	const struct conf_stream *s = &m->owner->deps.conf->streams[u->stream];
	double block_s = s->period_s * m->cfg.block;

	if (k->blocks > 1 && k->last_block_us > k->first_block_us)
		block_s = (double)(k->last_block_us - k->first_block_us) * 1e-6 / (k->blocks - 1);
	return block_s > 0.0 ? month_s / block_s : month_s;
}

/* --- levels ----------------------------------------------------------------------------------- */

/* What one z of a level chart is made of: level_blocks blocks. */
hn_status levels_open(struct unit *u, const struct model *m)
{
	const struct conf_stream *s = &m->owner->deps.conf->streams[u->stream];
	const double step_s = s->period_s * m->cfg.block * m->cfg.level_blocks;
	struct hn_baseline_cfg cfg = { .learn = (uint32_t)m->cfg.level_learn };

	if (m->cfg.season_s > 0.0 && step_s > 0.0) {
		const double steps = m->cfg.season_s / step_s;

		cfg.bins = (uint16_t)fmin(HN_BASELINE_BINS, floor(steps / 4.0));
		if (2.0 * steps > cfg.learn)
			cfg.learn = (uint32_t)fmin(4.0 * steps, 1e8);
	}
	for (unsigned c = 0; c < u->n_ch; c++)
		for (unsigned k = 0; k < u->per_channel; k++) {
			struct level *l = &unit_channel(u, c)->level[k];
			hn_status rc;

			cfg.step = k == 0 ? 1.0 / m->cfg.block / m->cfg.level_blocks : 0.0;
			rc = hn_baseline_init(&l->base, &cfg);
			if (rc != HN_OK)
				return rc;
			l->chart = (struct chart){ .armed = false };
			l->sum = 0.0;
		}
	u->kept->step_blocks = 0;
	return HN_OK;
}

static double season_phase(const struct model *m, int64_t t_us)
{
	if (m->cfg.season_s <= 0.0)
		return 0.0;
	const double at = fmod((double)t_us * 1e-6, m->cfg.season_s) / m->cfg.season_s;

	return at < 0.0 ? at + 1.0 : at;
}

static void level_step(struct unit *u, struct model *m, struct level *l, double x)
{
	double z;

	if (hn_baseline_step(&l->base, x, season_phase(m, u->kept->last_us), &z) != HN_OK)
		return;
	if (!l->chart.armed) {
		const double a_month = unit_blocks_a_month(u, m) / m->cfg.level_blocks
		                     / hn_baseline_pace(&l->base);
		const struct chart_plan plan = { m->cfg.levels, HN_BOTH_SIDES,
			chart_arl(m, a_month, (double)m->n_units * u->dim), hn_baseline_slack(&l->base) };

		chart_arm(&l->chart, &plan);
	}
	if (m->kept.version != 0)
		chart_step(&l->chart, m->cfg.levels, z);
}

void levels_block(struct unit *u, struct model *m)
{
	struct unit_kept *k = u->kept;
	const bool whole = ++k->step_blocks >= (uint32_t)m->cfg.level_blocks;

	for (uint32_t i = 0; i < u->dim; i++) {
		struct level *l = &unit_channel(u, i / u->per_channel)->level[i % u->per_channel];

		l->sum += (double)u->x[i];
		if (!whole)
			continue;
		/* An open episode must not become the new normal. */
		if (hn_baseline_armed(&l->base) || !m->kept.episode.open)
			level_step(u, m, l, l->sum / k->step_blocks);
		l->sum = 0.0;
	}
	if (whole)
		k->step_blocks = 0;
}

double levels_peak(const struct unit *u)
{
	double peak = 0.0;

	for (unsigned c = 0; c < u->n_ch; c++)
		for (unsigned k = 0; k < u->per_channel; k++)
			peak = fmax(peak, unit_channel(u, c)->level[k].chart.score);
	return peak;
}
