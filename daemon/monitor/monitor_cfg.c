/* monitor_cfg.c - settings of a monitor: from the configuration, and what stands in for 0. */
#include "monitor.h"

#include <string.h>

#include "monitor_row.h"

enum { LEARN = 128, LEVEL_BLOCKS = 16, LEVEL_LEARN = 256, MARGIN_LEARN = 128, QUIET_LEARNS = 8 };

static const double month_s = 30.0 * 86400.0;

static void or_default(int *x, int def)
{
	if (*x <= 0)
		*x = def;
}

static void text_default(char text[HN_NAME_MAX], const char *def)
{
	if (!text[0])
		(void)snprintf(text, HN_NAME_MAX, "%s", def);
}

void monitor_cfg_complete(struct monitor_cfg *c, const struct conf_model *m)
{
	or_default(&c->block, m->window > 0 ? m->window : 1);
	or_default(&c->learn, LEARN);
	if (c->learn < HN_NOVELTY_MIN)
		c->learn = HN_NOVELTY_MIN;
	if (c->learn > HN_NOVELTY_CAP)
		c->learn = HN_NOVELTY_CAP;
	or_default(&c->settle, c->learn / 2);
	or_default(&c->level_blocks, LEVEL_BLOCKS);
	or_default(&c->level_learn, LEVEL_LEARN);
	c->level_learn = c->level_learn < 16 ? 16 : c->level_learn;
	/* Each stream stays in a state for a while: so many predictions of each of them. */
	or_default(&c->margin_learn, MARGIN_LEARN * (m->n_streams > 1 ? m->n_streams : 1));
	c->margin_learn = c->margin_learn < 16 ? 16 : c->margin_learn;
	or_default(&c->quiet_blocks, QUIET_LEARNS * c->learn);
	if (!(c->alarms_per_month > 0.0))
		c->alarms_per_month = m->policy.alarms_per_month > 0.0 ? m->policy.alarms_per_month : 1.0;
	if (!(c->labels_per_month > 0.0) && m->policy.label_period_s > 0.0)
		c->labels_per_month = m->policy.label_budget * month_s / m->policy.label_period_s;
	text_default(c->errors, "bernoulli");
	text_default(c->levels, "cusum");
}

void monitor_cfg_defaults(struct monitor_cfg *cfg, const struct conf *conf, int model)
{
	const struct conf_model *m = &conf->models[model];

	*cfg = (struct monitor_cfg){ .block = m->monitor.block, .learn = m->monitor.learn,
		.settle = m->monitor.settle, .level_blocks = m->monitor.level_blocks,
		.level_learn = m->monitor.level_learn, .season_s = m->monitor.season_s,
		.margin_learn = m->monitor.margin_learn, .quiet_blocks = m->monitor.quiet_blocks,
		.threshold = m->monitor.threshold };
	monitor_cfg_complete(cfg, m);
}
