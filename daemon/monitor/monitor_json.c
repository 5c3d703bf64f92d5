/* monitor_json.c - what people see of a monitor. */
#include "monitor_row.h"

#include <math.h>
#include <string.h>

static json_t *real_or_null(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

static const struct conf_stream *conf_stream_of(const struct model *m, int stream)
{
	return &m->owner->deps.conf->streams[stream];
}

static json_t *channels_json(const struct model *m, const struct hn_verdict *v, int stream)
{
	const struct conf_stream *s = conf_stream_of(m, stream);
	json_t *list = json_array();

	for (int i = 0; i < v->n; i++)
		if (v->channel[i] < s->n_channels)
			json_array_append_new(list, json_pack("{ss so}", "channel",
				s->channels[v->channel[i]].name, "size", json_real((double)v->size[i])));
	return list;
}

static double level_score(const struct unit *u, unsigned *channel)
{
	double top = 0.0;

	*channel = 0;
	for (unsigned c = 0; c < u->n_ch; c++)
		for (unsigned k = 0; k < u->per_channel; k++)
			if (unit_channel(u, c)->level[k].chart.score > top) {
				top = unit_channel(u, c)->level[k].chart.score;
				*channel = c;
			}
	return top;
}

static bool levels_armed(const struct unit *u)
{
	return hn_baseline_armed(&unit_channel(u, 0)->level[0].base);
}

static json_t *unit_json(const struct model *m, const struct unit *u)
{
	const struct hn_novelty *v = unit_novelty(u, u->kept->active);
	unsigned channel;
	const double level = level_score(u, &channel);

	return json_pack("{ss sI sb si si so so so sb so ss}",
		"stream", stream_name(m, u->stream), "blocks", (json_int_t)u->kept->blocks,
		"armed", (int)v->frozen, "learned", (int)v->n, "learn", m->cfg.learn,
		"novelty_score", real_or_null(u->kept->score), "novelty_z", real_or_null(u->kept->z),
		"novelty_threshold", real_or_null(u->kept->threshold), "levels_armed", (int)levels_armed(u),
		"level_score", real_or_null(level), "level_channel",
		conf_stream_of(m, u->stream)->channels[channel].name);
}

static json_t *units_json(const struct model *m)
{
	json_t *list = json_array();

	for (int i = 0; i < m->n_units; i++)
		json_array_append_new(list, unit_json(m, &m->unit[i]));
	return list;
}

json_t *evidence_json(const struct model *m)
{
	const struct model_kept *k = &m->kept;

	return json_pack("{ss ss sI ss so so so so}", "verdict", hn_verdict_names[k->verdict.kind],
		"stream", stream_name(m, k->episode_stream), "since_us", (json_int_t)k->since_us,
		"fault", hn_fault_names[k->verdict.fault],
		"channels", channels_json(m, &k->verdict, k->episode_stream),
		"margin_score", real_or_null(k->margin.score), "error_score", real_or_null(k->errors.score),
		"streams", units_json(m));
}

static json_t *episode_json(const struct model *m)
{
	const struct model_kept *k = &m->kept;

	if (!k->episode.open)
		return json_null();
	return json_pack("{sI ss sI sI ss so}", "id", (json_int_t)k->episode_id, "verdict",
		hn_verdict_names[k->verdict.kind], "opened_us", (json_int_t)k->episode.opened_us, "since_us",
		(json_int_t)k->since_us, "stream", stream_name(m, k->episode_stream),
		"channels", channels_json(m, &k->verdict, k->episode_stream));
}

static const char *state_of(const struct model *m)
{
	if (m->kept.episode.open)
		return hn_verdict_names[m->kept.verdict.kind];
	if (m->kept.version == 0)
		return "no version";
	for (int i = 0; i < m->n_units; i++)
		if (!unit_novelty(&m->unit[i], m->unit[i].kept->active)->frozen)
			return "learning";
	return hn_verdict_names[HN_STEADY];
}

/* Largest score of all charts: how far the model is from an alarm. */
static double top_score(const struct model *m)
{
	double top = fmax(m->kept.margin.score, m->kept.errors.score);
	unsigned channel;

	for (int i = 0; i < m->n_units; i++)
		top = fmax(top, fmax(m->unit[i].kept->score, level_score(&m->unit[i], &channel)));
	return top;
}

json_t *monitor_json(const struct monitor *mon, int model)
{
	const struct model *m = &mon->model[model];
	const struct model_kept *k = &m->kept;
	const double labelled = k->judged ? (double)k->right / k->judged : (double)NAN;

	return json_pack("{ss sI so sf sb so sb so s{sI sI so} so so sI}",
		"state", state_of(m), "version", (json_int_t)k->version, "score", real_or_null(top_score(m)),
		"alarms_per_month", m->cfg.alarms_per_month,
		"margin_armed", (int)k->margin.armed, "margin_score", real_or_null(k->margin.score),
		"errors_armed", (int)k->errors.armed, "error_score", real_or_null(k->errors.score),
		"labelled", "n", (json_int_t)k->judged, "right", (json_int_t)k->right,
		"accuracy", real_or_null(labelled),
		"episode", episode_json(m), "streams", units_json(m), "alarms", (json_int_t)k->alarms);
}
