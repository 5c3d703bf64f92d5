#include "hn_quality.h"

#include <math.h>
#include <stddef.h>

enum {
	FLAT_N = 16,
	SHARE_SPAN = 256,        /* pairs that the usual share of repeats looks back on             */
	SHARE_ODD = 8,           /* pairs that a suspect run counts for                              */
	SHARE_MIN = 32           /* pairs before a share is known                                   */
};
#define DAY_US 86400000000

/* A run is too long when chance gives it less than once in 1e9 values: share^run < 1e-9. */
static const double log_rare = -20.7;

static bool rule_missing(const struct hn_quality_cfg *cfg, const struct hn_quality_state *st,
                         const struct hn_frame *f, int i)
{
	(void)cfg;
	(void)st;
	return f->quality[i] == HN_MISSING;
}

static bool rule_range(const struct hn_quality_cfg *cfg, const struct hn_quality_state *st,
                       const struct hn_frame *f, int i)
{
	const struct hn_channel *c = &cfg->channels[i];
	const double x = f->raw[i] * c->scale + c->offset;

	(void)st;
	if (f->quality[i] == HN_MISSING)
		return false;
	/* Negated, so that a value that is not a number is outside. */
	return c->min < c->max && !(x >= c->min && x <= c->max);
}

static uint32_t run_limit(const struct hn_quality_cfg *cfg, const struct hn_quality_channel *c)
{
	const double base = cfg->flat_n ? cfg->flat_n : FLAT_N;
	const double share = fmin(fmax((double)c->share, 1e-3), 0.999);

	return (uint32_t)fmin(fmax(base, ceil(log_rare / log(share))), (double)UINT32_MAX);
}

/* A channel that never moved since the start has no quiet variance: nothing is known, nothing
 * said. */
static bool rule_flat(const struct hn_quality_cfg *cfg, const struct hn_quality_state *st,
                      const struct hn_frame *f, int i)
{
	const struct hn_quality_channel *c = &st->channel[i];

	if (f->quality[i] == HN_MISSING || c->run == 0 || c->seen < SHARE_MIN || c->last != f->raw[i])
		return false;
	return cfg->flat_n != UINT32_MAX && c->share < 1.0f && c->run + 1 >= run_limit(cfg, c);
}

static bool rule_order(const struct hn_quality_cfg *cfg, const struct hn_quality_state *st,
                       const struct hn_frame *f, int i)
{
	(void)cfg;
	(void)i;
	return st->last_us != 0 && f->event_us <= st->last_us;
}

static bool rule_gap(const struct hn_quality_cfg *cfg, const struct hn_quality_state *st,
                     const struct hn_frame *f, int i)
{
	(void)i;
	return cfg->gap_us > 0 && st->last_us != 0 && f->event_us > st->last_us
	    && (uint64_t)f->event_us - (uint64_t)st->last_us > (uint64_t)cfg->gap_us;
}

static bool rule_future(const struct hn_quality_cfg *cfg, const struct hn_quality_state *st,
                        const struct hn_frame *f, int i)
{
	const int64_t limit = cfg->future_us > 0 ? cfg->future_us : DAY_US;

	(void)st;
	(void)i;
	return f->ingest_us > 0 && f->event_us > f->ingest_us
	    && (uint64_t)f->event_us - (uint64_t)f->ingest_us > (uint64_t)limit;
}

enum { RULE_GAP = 4, RULE_ORDER = 3, RULE_FUTURE = 5 };

/* A gap is no fault of the values after it: it is reported and ends history, they stay good. */
const struct hn_quality_rule hn_quality_rules[HN_QUALITY_RULES] = {
	{ "missing", "no value came", HN_MISSING, false, rule_missing },
	{ "range", "outside min..max of the channel", HN_FAIL, false, rule_range },
	{ "flat", "the same value for longer than usual", HN_SUSPECT, false, rule_flat },
	[RULE_ORDER] = { "order", "event time not after the one before", HN_SUSPECT, true, rule_order },
	[RULE_GAP] = { "gap", "silence longer than gap", HN_GOOD, true, rule_gap },
	[RULE_FUTURE] = { "future", "event time far ahead of the clock", HN_FAIL, true, rule_future },
};

/* A run is learned when it has ended, and counts little when it was suspect: one stuck hour must
 * not teach that stuck is normal, yet a channel that has become quiet for good is learned in the
 * end. */
static void run_learn(const struct hn_quality_cfg *cfg, struct hn_quality_channel *c)
{
	const bool odd = c->seen >= SHARE_MIN && c->run >= run_limit(cfg, c);
	const uint32_t most = odd ? SHARE_ODD : SHARE_SPAN, pairs = c->run < most ? c->run : most;

	for (uint32_t k = 0; k < pairs; k++) {
		const float x = k + 1 < pairs ? 1.0f : 0.0f;

		c->seen += c->seen < SHARE_SPAN;
		c->share += (x - c->share) / (float)c->seen;
	}
}

static void channel_learn(const struct hn_quality_cfg *cfg, struct hn_quality_channel *c,
                          int32_t raw)
{
	const bool same = c->run > 0 && c->last == raw;

	if (c->run > 0 && !same)
		run_learn(cfg, c);
	c->run = same ? c->run + (c->run < UINT32_MAX - 1) : 1;
	c->last = raw;
}

static void raise_flag(uint8_t *flag, uint8_t to)
{
	if (to > *flag)
		*flag = to;
}

static void apply(const struct hn_quality_cfg *cfg, const struct hn_quality_state *st,
                  struct hn_frame *f, struct hn_quality_report *report, int rule)
{
	const struct hn_quality_rule *r = &hn_quality_rules[rule];
	const int n = r->whole ? 1 : f->n;

	for (int i = 0; i < n; i++) {
		if (!r->broken(cfg, st, f, i))
			continue;
		report->hits[rule]++;
		for (int k = i; k < (r->whole ? f->n : i + 1); k++)
			raise_flag(&f->quality[k], r->flag);
	}
}

hn_status hn_quality_step(struct hn_quality_state *st, const struct hn_quality_cfg *cfg,
                          struct hn_frame *f, struct hn_quality_report *report)
{
	struct hn_quality_report rep = { .worst = HN_GOOD };

	if (f->n != cfg->n || cfg->n > HN_CHANNELS_MAX)
		return HN_EINVAL;
	for (int i = 0; i < f->n; i++)           /* what was not evaluated is good until a rule objects */
		if (f->quality[i] <= HN_NOT_EVALUATED)
			f->quality[i] = HN_GOOD;
	for (int r = 0; r < HN_QUALITY_RULES; r++)
		apply(cfg, st, f, &rep, r);
	rep.gap = rep.hits[RULE_GAP] > 0;
	rep.late = rep.hits[RULE_ORDER] > 0;
	for (int i = 0; i < f->n; i++)
		raise_flag(&rep.worst, f->quality[i]);
	if (!rep.late && rep.hits[RULE_FUTURE] == 0) {
		st->last_us = f->event_us;
		for (int i = 0; i < f->n; i++)
			if (f->quality[i] == HN_GOOD || f->quality[i] == HN_SUSPECT)
				channel_learn(cfg, &st->channel[i], f->raw[i]);
	}
	*report = rep;
	return HN_OK;
}
