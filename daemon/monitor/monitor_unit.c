/* monitor_unit.c - one model x stream: frames to blocks, blocks to features, features to charts. */
#include "monitor_row.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	FAULT_BLOCKS = 3,        /* bad blocks in a row that make a fault                       */
	GAP_PERIODS = 5
};

static const double spread_floor = 0.05;         /* 5 %: least sd of a log variance             */
static const double raw_floor = 1.0 / 12.0;      /* variance of rounding to whole raw counts    */
static const double shift_keep = 0.9;            /* memory of the mean shift: 10 blocks         */
static const double calm_below = 0.5;

/* --- memory ----------------------------------------------------------------------------------- */

static size_t align16(size_t n)
{
	return (n + 15) & ~(size_t)15;
}

static unsigned char *part(const struct unit *u, int which)
{
	unsigned char *p = (unsigned char *)u->kept + align16(sizeof *u->kept);

	if (which > 0)
		p += align16(u->n_ch * sizeof(struct channel_kept));
	if (which > 1)
		p += align16(u->dim * sizeof(float));
	return p;
}

struct channel_kept *unit_channel(const struct unit *u, unsigned c)
{
	return (struct channel_kept *)(void *)part(u, 0) + c;
}

static float *unit_shift(const struct unit *u)
{
	return (float *)(void *)part(u, 1);
}

static size_t novelty_size(const struct unit *u, const struct model *m)
{
	return align16(hn_novelty_size((uint32_t)m->cfg.learn, u->dim));
}

struct hn_novelty *unit_novelty(const struct unit *u, unsigned which)
{
	const struct hn_novelty *first = (const struct hn_novelty *)(const void *)part(u, 2);
	const size_t size = align16(hn_novelty_size(first->cap, u->dim));

	return (struct hn_novelty *)(void *)(part(u, 2) + (which ? size : 0));
}

static struct hn_novelty *reference(const struct unit *u)
{
	return unit_novelty(u, u->kept->active);
}

void unit_opened(struct unit *u)
{
	hn_novelty_clear(unit_novelty(u, !u->kept->active));
}

static struct hn_novelty *successor(const struct unit *u)
{
	return unit_novelty(u, !u->kept->active);
}

/* --- life ------------------------------------------------------------------------------------- */

static uint32_t fingerprint(const struct unit *u, const struct model *m)
{
	const uint32_t layout = u->sketched ? 257 : 1;
	const uint32_t parts[] = { layout, u->n_ch, u->dim, (uint32_t)m->cfg.block,
		(uint32_t)m->cfg.learn, (uint32_t)m->cfg.level_blocks, (uint32_t)m->cfg.level_learn,
		(uint32_t)(m->cfg.season_s), (uint32_t)u->kept_size };

	return hash_bytes(hash_bytes(HASH_START, parts, sizeof parts), m->cfg.levels,
	                  strlen(m->cfg.levels));
}

static hn_status unit_alloc(struct unit *u, const struct model *m)
{
	u->kept_size = align16(sizeof *u->kept) + align16(u->n_ch * sizeof(struct channel_kept))
	             + align16(u->dim * sizeof(float)) + 2 * novelty_size(u, m);
	u->kept = aligned_alloc(64, (u->kept_size + 63) & ~(size_t)63);
	u->good = calloc(u->n_ch, sizeof *u->good);
	u->bad = calloc(u->n_ch, sizeof *u->bad);
	u->sum = calloc(u->n_ch, sizeof *u->sum);
	u->sum2 = calloc(u->n_ch, sizeof *u->sum2);
	u->x = calloc(u->dim, sizeof *u->x);
	u->rest = calloc(u->dim, sizeof *u->rest);
	if (!u->kept || !u->good || !u->bad || !u->sum || !u->sum2 || !u->x || !u->rest)
		return HN_ENOMEM;
	memset(u->kept, 0, u->kept_size);
	return HN_OK;
}

hn_status unit_open(struct unit *u, const struct model *m, int stream)
{
	const struct conf_stream *s = &m->owner->deps.conf->streams[stream];
	char labels[160];
	hn_status rc;

	*u = (struct unit){ .stream = stream, .n_ch = (uint16_t)s->n_channels,
		.sketched = conf_sketched(m->owner->deps.conf, stream) >= 0 };
	u->per_channel = m->cfg.block >= SPREAD_BLOCK_MIN && 2 * s->n_channels <= HN_NOVELTY_DIM ? 2 : 1;
	u->dim = u->per_channel * u->n_ch;
	rc = unit_alloc(u, m);
	if (rc == HN_OK)
		rc = hn_novelty_init((struct hn_novelty *)(void *)part(u, 2), (uint32_t)m->cfg.learn, u->dim, 1);
	if (rc == HN_OK)
		rc = hn_novelty_init(unit_novelty(u, 1), (uint32_t)m->cfg.learn, u->dim, 2);
	if (rc == HN_OK)
		rc = levels_open(u, m);
	if (rc != HN_OK)
		return rc;
	u->kept->size = (uint32_t)u->kept_size;
	u->kept->fingerprint = fingerprint(u, m);
	(void)snprintf(labels, sizeof labels, "model=\"%s\",stream=\"%s\"", m->conf->name, s->name);
	u->score = metric_gauge("honed_monitor_score", labels,
	                        "Score of the novelty chart; 1 is an alarm.");
	u->blocks = metric_counter("honed_monitor_blocks_total", labels,
	                           "Blocks that the monitor judged.");
	return HN_OK;
}

void unit_close(struct unit *u)
{
	free(u->kept);
	free(u->good);
	free(u->bad);
	free(u->sum);
	free(u->sum2);
	free(u->x);
	free(u->rest);
	*u = (struct unit){ .stream = -1 };
}

/* --- frames to a block ------------------------------------------------------------------------ */

static void block_clear(struct unit *u)
{
	u->frames = 0;
	memset(u->good, 0, u->n_ch * sizeof *u->good);
	memset(u->bad, 0, u->n_ch * sizeof *u->bad);
	memset(u->sum, 0, u->n_ch * sizeof *u->sum);
	memset(u->sum2, 0, u->n_ch * sizeof *u->sum2);
}

static enum hn_fault fault_of(uint8_t quality)
{
	switch (quality) {
	case HN_MISSING: return HN_FAULT_MISSING;
	case HN_FAIL: return HN_FAULT_RANGE;
	case HN_SUSPECT: return HN_FAULT_STUCK;
	default: return HN_FAULT_NONE;
	}
}

static void add_value(struct unit *u, unsigned c, const struct hn_frame *f)
{
	struct channel_kept *k = unit_channel(u, c);
	double x;

	if (f->quality[c] != HN_GOOD) {
		u->bad[c][fault_of(f->quality[c])]++;
		return;
	}
	if (!k->has_origin) {
		k->origin = f->raw[c];
		k->has_origin = true;
	}
	x = f->raw[c] - k->origin;
	u->good[c]++;
	u->sum[c] += x;
	u->sum2[c] += x * x;
}

static void interrupted(struct unit *u)
{
	block_clear(u);
	u->kept->step_blocks = 0;
	for (unsigned c = 0; c < u->n_ch; c++)
		for (unsigned k = 0; k < u->per_channel; k++) {
			unit_channel(u, c)->level[k].sum = 0.0;
			hn_baseline_break(&unit_channel(u, c)->level[k].base);
		}
}

static bool is_gap(const struct unit *u, const struct model *m, int64_t event_us)
{
	const struct conf_stream *s = &m->owner->deps.conf->streams[u->stream];
	const double limit_s = s->gap_s > 0.0 ? s->gap_s : GAP_PERIODS * s->period_s;

	return limit_s > 0.0 && u->kept->last_us != 0
	    && (double)event_us - (double)u->kept->last_us > limit_s * 1e6;
}

/* --- features --------------------------------------------------------------------------------- */

/* A channel with fewer good values than bad ones makes the block useless for the novelty chart. */
static bool channel_block(struct unit *u, unsigned c)
{
	struct channel_kept *k = unit_channel(u, c);
	const double n = u->good[c];
	unsigned worst = HN_FAULT_NONE;

	k->bad_share = 1.0f - (float)n / (float)u->frames;
	if (2 * u->good[c] <= u->frames) {
		for (unsigned f = 1; f < HN_FAULTS; f++)
			if (u->bad[c][f] > u->bad[c][worst])
				worst = f;
		k->fault = (uint8_t)(worst ? worst : HN_FAULT_MISSING);
		if (k->bad_blocks < UINT16_MAX)
			k->bad_blocks++;
		return false;
	}
	k->bad_blocks = 0;
	k->fault = HN_FAULT_NONE;
	const double mean = u->sum[c] / n;

	u->x[c * u->per_channel] = (float)mean;
	if (u->per_channel > 1)
		u->x[c * u->per_channel + 1] = (float)log(fmax(u->sum2[c] / n - mean * mean, 0.0) + raw_floor);
	return true;
}

static hn_status freeze(struct hn_novelty *v, const struct unit *u)
{
	float floor_sd[HN_NOVELTY_DIM];

	for (uint32_t i = 0; i < u->dim; i++)
		floor_sd[i] = (float)(i % u->per_channel ? spread_floor : sqrt(raw_floor));
	return hn_novelty_freeze(v, floor_sd);
}

static void novelty_arm(struct unit *u, const struct model *m)
{
	struct unit_kept *k = u->kept;
	struct hn_novelty *v = reference(u);

	if (freeze(v, u) != HN_OK)
		return;
	k->up = k->score = 0.0;
	k->zero_us = k->last_us;
	k->slack = hn_novelty_slack(v);
	k->threshold = m->cfg.threshold > 0.0 ? m->cfg.threshold
		: hn_novelty_threshold(v, chart_arl(m, unit_blocks_a_month(u, m), m->n_units));
	memset(unit_shift(u), 0, u->dim * sizeof(float));
}

static void novelty_step(struct unit *u)
{
	struct unit_kept *k = u->kept;
	float *shift = unit_shift(u);

	if (hn_novelty_step(reference(u), u->x, &k->z, u->rest) != HN_OK)
		return;
	k->up = fmax(0.0, k->up + fmin(k->z, HN_NOVELTY_CLIP) - k->slack);
	/* Far over the threshold it must not take as long to come down as it took to rise. */
	k->up = fmin(k->up, 2.0 * k->threshold);
	if (k->up == 0.0)
		k->zero_us = k->last_us;
	k->score = k->up / k->threshold;
	for (uint32_t i = 0; i < u->dim; i++)
		shift[i] += (float)(1.0 - shift_keep) * (u->rest[i] - shift[i]);
	metric_set(u->score, k->score);
}

static void novelty_block(struct unit *u, struct model *m)
{
	const bool serving = m->kept.version != 0;
	struct hn_novelty *v = reference(u);

	if (m->kept.episode.open)
		(void)hn_novelty_learn(successor(u), u->x);
	if (v->frozen) {
		novelty_step(u);
		return;
	}
	(void)hn_novelty_learn(v, u->x);
	/* Without a champion there is nothing to protect: the sample goes on over all that is seen. */
	if (serving && !m->kept.episode.open && v->n >= v->cap) {
		novelty_arm(u, m);
		m->dirty = true;
	}
}

/* --- a complete block ------------------------------------------------------------------------- */

static void offer(struct unit *u, struct model *m, int64_t event_us)
{
	const double period_us = m->owner->deps.conf->streams[u->stream].period_s * 1e6;
	const double block_us = period_us * (m->cfg.block - 1);
	struct hn_query_item item = { .event_us = event_us, .stream = u->stream, .margin = -1 };

	/* The prediction may have come before its last frame: then its window is the one to ask for. */
	answer_find(m, u->stream, event_us - (int64_t)block_us, &item);
	(void)hn_query_add(&m->query, &item, u->x);
}

/* The open block's features into u->x; false when a channel has too few good values. */
static bool block_close(struct unit *u)
{
	bool usable = true;

	for (unsigned c = 0; c < u->n_ch; c++)
		usable &= channel_block(u, c);
	block_clear(u);
	return usable;
}

static bool block_judge(struct unit *u, struct model *m)
{
	struct unit_kept *k = u->kept;

	metric_add(u->blocks, 1.0);
	if (!block_close(u))
		return false;
	if (k->blocks == 0)
		k->first_block_us = k->last_us;
	k->last_block_us = k->last_us;
	k->blocks += k->blocks < UINT32_MAX;
	novelty_block(u, m);
	levels_block(u, m);
	return true;
}

bool unit_sketch(struct unit *u, struct model *m, const struct monitor_sketch *s)
{
	if (!u->sketched || s->n_ch != u->n_ch || s->event_us <= u->kept->last_us)
		return false;
	block_clear(u);
	u->kept->last_us = s->event_us;
	u->frames = s->frames;
	for (unsigned c = 0; c < u->n_ch; c++) {
		struct channel_kept *k = unit_channel(u, c);

		if (!k->has_origin)
			k->origin = round(s->sum[c] / s->frames);
		k->has_origin = true;
		u->good[c] = s->frames;
		u->sum[c] = s->sum[c] - s->frames * k->origin;
		u->sum2[c] = s->sum2[c] - 2 * k->origin * s->sum[c] + s->frames * k->origin * k->origin;
	}
	(void)block_judge(u, m);
	return true;
}

/* A raw frame of a sketched stream: the sketches have it already, a label may be asked for it. */
static void raw_frame(struct unit *u, struct model *m, const struct hn_frame *f)
{
	const double period_us = m->owner->deps.conf->streams[u->stream].period_s * 1e6;

	if ((double)(f->event_us - u->raw_us) > GAP_PERIODS * period_us || f->event_us <= u->raw_us)
		block_clear(u);
	u->raw_us = f->event_us;
	for (unsigned c = 0; c < u->n_ch; c++)
		add_value(u, c, f);
	if (++u->frames >= (uint32_t)m->cfg.block && block_close(u))
		offer(u, m, f->event_us);
}

bool unit_frame(struct unit *u, struct model *m, const struct hn_frame *f)
{
	if (u->sketched && f->n == u->n_ch)
		raw_frame(u, m, f);
	if (u->sketched || f->n != u->n_ch || (u->kept->last_us != 0 && f->event_us <= u->kept->last_us))
		return false;
	if (is_gap(u, m, f->event_us))
		interrupted(u);
	u->kept->last_us = f->event_us;
	for (unsigned c = 0; c < u->n_ch; c++)
		add_value(u, c, f);
	if (++u->frames < (uint32_t)m->cfg.block)
		return false;
	if (block_judge(u, m))
		offer(u, m, f->event_us);
	return true;
}

/* --- what it shows ---------------------------------------------------------------------------- */

struct hn_signs unit_signs(const struct unit *u)
{
	const double peak = fmax(u->kept->score, levels_peak(u));
	struct hn_signs s = { .input = peak >= 1.0, .calm = peak < calm_below };

	for (unsigned c = 0; c < u->n_ch; c++)
		if (unit_channel(u, c)->bad_blocks >= FAULT_BLOCKS)
			s.fault = (enum hn_fault)unit_channel(u, c)->fault;
	s.calm &= s.fault == HN_FAULT_NONE;
	return s;
}

static double channel_size(const struct unit *u, unsigned c, enum hn_verdict_kind kind)
{
	double size = 0.0;

	if (kind == HN_SENSOR_FAULT)
		return unit_channel(u, c)->bad_blocks >= FAULT_BLOCKS
			? (double)unit_channel(u, c)->bad_share : 0.0;
	for (unsigned k = 0; k < u->per_channel; k++)
		size = fmax(size, fabs((double)unit_shift(u)[c * u->per_channel + k]));
	return size;
}

void unit_describe(const struct unit *u, struct hn_verdict *v)
{
	v->n = 0;
	for (unsigned c = 0; c < u->n_ch; c++) {
		const double size = channel_size(u, c, v->kind);
		int at = v->n < HN_VERDICT_CHANNELS ? v->n++ : HN_VERDICT_CHANNELS - 1;

		if (v->n == HN_VERDICT_CHANNELS && at == HN_VERDICT_CHANNELS - 1 && c >= HN_VERDICT_CHANNELS
		    && size <= (double)v->size[at])
			continue;
		for (; at > 0 && (double)v->size[at - 1] < size; at--) {
			v->size[at] = v->size[at - 1];
			v->channel[at] = v->channel[at - 1];
		}
		v->size[at] = (float)size;
		v->channel[at] = (uint16_t)c;
	}
	while (v->n > 0 && v->size[v->n - 1] <= 0.0f)
		v->n--;
}

/* --- a new champion --------------------------------------------------------------------------- */

void unit_rearm(struct unit *u, const struct model *m, bool was_open)
{
	struct unit_kept *k = u->kept;

	if (was_open) {
		hn_novelty_clear(reference(u));
		k->active = !k->active;
		(void)levels_open(u, m);
	}
	hn_novelty_clear(successor(u));
	k->up = k->score = 0.0;
	metric_set(u->score, 0.0);
	if (!reference(u)->frozen && reference(u)->n >= reference(u)->cap)
		novelty_arm(u, m);
}
