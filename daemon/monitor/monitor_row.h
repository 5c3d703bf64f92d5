/* monitor_row.h - inside of the monitor: what is kept, and which file does what.
 *
 *   monitor.c         open and close, the public verbs, episodes
 *   monitor_unit.c    one model x stream: frames -> blocks -> features -> input charts
 *   monitor_level.c   its de-trended levels, and charts of the detector table
 *   monitor_answer.c  predictions and labels of one model: margin and error charts
 *   monitor_save.c    what survives a restart
 *   monitor_json.c    what people see
 *
 * Everything that survives a restart is plain memory without pointers: struct unit_kept (with the
 * arrays behind it) and struct model_kept.  It is saved as bytes with a fingerprint of the
 * settings; bytes with another fingerprint are dropped and the monitor learns anew. */
#ifndef MONITOR_ROW_H
#define MONITOR_ROW_H

#include "hn_baseline.h"
#include "hn_drift.h"
#include "hn_novelty.h"
#include "metrics.h"
#include "monitor.h"

enum {
	REMEMBERED = 8192,       /* predictions of a model that a label can still judge: ring   */
	OFFERED = 256,           /* recent windows among which labels are asked for             */
	SPREAD_BLOCK_MIN = 8,    /* frames of a block that make a variance worth having         */
	CHARTS_LEVEL = 2,        /* level and spread                                            */
	EVIDENCE_MAX = HN_VERDICT_CHANNELS
};

/* A detector behind the table, with what it said last. */
struct chart {
	_Alignas(16) unsigned char state[HN_DRIFT_STATE_MAX];
	double score;            /* >= 1: alarm                                                 */
	bool   armed;
};

struct level {                           /* one statistic of one channel, de-trended           */
	struct hn_baseline base;
	struct chart chart;
	double sum;              /* over the open step                                          */
};

struct channel_kept {
	double  origin;          /* first good raw value: subtracted, so that floats keep digits */
	bool    has_origin;
	uint16_t bad_blocks;     /* in a row with more bad values than good ones                */
	uint8_t fault;           /* enum hn_fault of the last bad block                         */
	float   bad_share;
	struct level level[CHARTS_LEVEL];
};

struct unit_kept {                       /* then: channel[n_ch], float shift[dim], novelty x 2  */
	uint32_t fingerprint, size;
	uint32_t active;         /* which of the two novelties is the reference                 */
	int64_t last_us;         /* newest frame                                                */
	int64_t first_block_us, last_block_us;
	uint32_t blocks;         /* since first_block_us                                        */
	uint32_t step_blocks;    /* blocks in the open level step                               */
	double  up, score, threshold;            /* novelty chart                               */
	double  slack;
	int64_t zero_us;         /* event time of the last block with up == 0: change point     */
	double  z;               /* of the last block                                           */
};

struct unit {                            /* one model x stream                                  */
	int     stream;
	uint16_t n_ch;
	uint32_t dim;            /* features of a block                                         */
	uint32_t per_channel;    /* 1: mean, 2: mean and log variance                           */
	struct unit_kept *kept;  /* (kept_size,)                                                */
	size_t  kept_size;
	bool    sketched;        /* its blocks are sketches of a device                         */
	int64_t raw_us;          /* then: the newest frame that came raw                        */
	/* The open block; lost in a restart. */
	uint32_t frames;
	uint32_t *good;          /* (n_ch,)                                                     */
	uint32_t (*bad)[HN_FAULTS];              /* (n_ch, HN_FAULTS)                           */
	double  *sum, *sum2;     /* (n_ch,)                                                     */
	float   *x, *rest;       /* (dim,)                                                      */
	struct metric *score, *blocks;
};

struct remembered {
	int64_t event_us, version;
	int16_t stream, answer, margin;
	bool judged, asked;
};

struct model_kept {
	uint32_t fingerprint, size;
	int64_t version;         /* champion, 0 = none                                          */
	double  accuracy;        /* of the gate, NAN = unknown                                  */
	struct hn_episode episode;
	int64_t episode_id, since_us, last_us;
	int32_t episode_stream;
	struct hn_verdict verdict;
	struct hn_baseline margin_base;
	struct chart margin, errors;
	int64_t first_margin_us, last_margin_us;
	uint32_t margins;
	uint32_t judged, right;  /* labelled predictions of the champion                        */
	uint32_t alarms;         /* since the database was made                                 */
};

struct model {
	struct monitor *owner;
	int     index;           /* in the configuration                                        */
	const struct conf_model *conf;
	struct monitor_cfg cfg;
	int     n_units;
	struct unit *unit;       /* (n_units,)                                                  */
	struct model_kept kept;
	struct remembered *ring; /* (REMEMBERED,)                                               */
	uint32_t head, n;
	struct hn_query query;
	void   *query_mem;
	struct metric *alarms, *accuracy;
	bool    dirty;
	int64_t saved_us;
};

struct monitor {
	struct monitor_deps deps;
	int     n_models;
	struct model *model;     /* (n_models,)                                                 */
	int     n_streams;
	int64_t next_episode;
	uint64_t unsaved;        /* saves refused by the full queue                             */
};

/* --- monitor_unit.c */
hn_status unit_open(struct unit *u, const struct model *m, int stream);
void unit_close(struct unit *u);
struct channel_kept *unit_channel(const struct unit *u, unsigned c);
struct hn_novelty *unit_novelty(const struct unit *u, unsigned which);
/* One frame; true when a block is complete and the charts have moved. */
bool unit_frame(struct unit *u, struct model *m, const struct hn_frame *f);
/* The same for a sketch. */
bool unit_sketch(struct unit *u, struct model *m, const struct monitor_sketch *s);
/* An episode begins: so does the sample of the new regime. */
void unit_opened(struct unit *u);
/* The episode is over because a new champion serves: next reference. */
void unit_rearm(struct unit *u, const struct model *m, bool was_open);
/* What this unit shows. */
struct hn_signs unit_signs(const struct unit *u);
/* The most changed channels, for the verdict. */
void unit_describe(const struct unit *u, struct hn_verdict *v);

/* --- monitor_level.c */
hn_status levels_open(struct unit *u, const struct model *m);    /* forget and learn anew        */
void levels_block(struct unit *u, struct model *m);              /* u->x is the block's features */
double levels_peak(const struct unit *u);                        /* largest score                */
double unit_blocks_a_month(const struct unit *u, const struct model *m);

/* --- monitor_answer.c */
void answer_open(struct model *m);
void answer_rearm(struct model *m);
bool answer_prediction(struct model *m, const struct store_prediction *p);
int answer_label(struct model *m, const struct store_label *l, double tolerance_us, int *right);
/* Newest prediction of the stream after from_us: its end and margin into the item, if there is
 * one. */
void answer_find(const struct model *m, int stream, int64_t from_us, struct hn_query_item *item);
void answer_asked(struct model *m, int stream, int64_t event_us);

/* --- monitor_cfg.c */
void monitor_cfg_complete(struct monitor_cfg *c, const struct conf_model *m);

/* --- monitor_save.c */
hn_status monitor_load(struct monitor *m, struct hn_err *err);
void model_save(struct model *m, int64_t now_us);
void episode_save(struct model *m, json_t *evidence);

/* --- monitor_json.c */
json_t *evidence_json(const struct model *m);

/* Arm a chart of the table for x in standard deviations with a mean time of `arl` samples between
 * false alarms; `slack` is the uncertainty of the mean [sd]. */
struct chart_plan { const char *detector; enum hn_drift_side side; double arl, slack; };
void chart_arm(struct chart *c, const struct chart_plan *plan);
void chart_step(struct chart *c, const char *detector, double x);
/* Samples between false alarms, when `a_month` samples come in a month and `charts` charts share a
 * quarter of the model's budget. */
double chart_arl(const struct model *m, double a_month, double charts);
/* FNV-1a: fingerprints of settings. */
#define HASH_START 2166136261u
uint32_t hash_bytes(uint32_t h, const void *data, size_t len);
const char *stream_name(const struct model *m, int stream);
#endif
