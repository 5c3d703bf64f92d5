#include "hn_ask.h"

#include <math.h>

/* How much stricter each label used makes the next question. */
static const double margin_decay = 0.95, spacing_growth = 1.05;

static int64_t period_of(const struct hn_ask_cfg *cfg, int64_t now_us)
{
	return (int64_t)floor((double)now_us / (cfg->period_s * 1e6));
}

bool hn_ask_step(struct hn_ask *a, const struct hn_ask_cfg *cfg, double margin, int64_t now_us)
{
	const int64_t period = period_of(cfg, now_us);
	bool ask;

	if (period != a->period) {
		*a = (struct hn_ask){ .period = period };
	} else if (a->since < UINT32_MAX) {
		a->since++;
	}
	ask = a->used < cfg->budget &&
	      (a->used == 0 || (margin < cfg->margin * pow(margin_decay, a->used) &&
	                        a->since >= cfg->spacing * pow(spacing_growth, a->used)));
	if (ask) {
		a->used++;
		a->since = 0;
	}
	return ask;
}

int64_t hn_ask_period_start(const struct hn_ask *a, const struct hn_ask_cfg *cfg)
{
	return a->period ? (int64_t)((double)a->period * cfg->period_s * 1e6) : 0;
}
