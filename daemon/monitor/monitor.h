/* monitor.h - is the world still the one the champion was trained in?
 *
 * One monitor a model; it watches each of the model's streams with three input charts (novelty of
 * blocks, level and spread of each channel), one chart on the margins of predictions, and one on
 * labelled errors.  Charts feed one verdict a model.  One episode latches: it alarms once, and ends
 * when the monitor is re-armed (a new champion) or when everything has been quiet for a while.
 *
 *   frame (after quality) -> block of `block` frames -> features -> charts --+
 *   prediction -> margin -> chart; remembered ------------------------------+-> verdict -> episode
 *   label -> the remembered prediction was right or wrong -> chart ---------+
 *
 * Loop thread only.  All memory is allocated by monitor_open. */
#ifndef MONITOR_H
#define MONITOR_H

#include <jansson.h>
#include "conf.h"
#include "db.h"
#include "hn_episode.h"
#include "hn_frame.h"
#include "hn_query.h"
#include "journal.h"
#include "store.h"

/* Settings of one model's monitor.  0 in a field asks for the default in brackets. */
struct monitor_cfg {
	int    block;            /* frames in one block [the model's window]                    */
	int    learn;            /* blocks that make the reference of the novelty chart [128],  */
	                         /* 16..256; an alarm is possible after them                    */
	int    settle;           /* blocks after an alarm before windows are offered for labels */
	                         /* [learn / 2]: the change may still be under way              */
	int    level_blocks;     /* blocks averaged for one step of the level charts [16]       */
	int    level_learn;      /* such steps before the level charts are armed [256]          */
	double season_s;         /* length of a season removed from the levels [0 = none];      */
	                         /* 86400 for a daily one; level_learn is raised to two seasons  */
	int    margin_learn;     /* predictions before the margin chart is armed [128 a stream]  */
	int    quiet_blocks;     /* calm blocks in a row that end an episode without a new      */
	                         /* champion [8 x learn]                                        */
	double alarms_per_month; /* false-alarm budget of the whole model [policy's]            */
	double labels_per_month; /* expected labels; scales the error chart [policy's budget]   */
	char   errors[HN_NAME_MAX];      /* detector on labelled errors [bernoulli]             */
	char   levels[HN_NAME_MAX];      /* detector on de-trended levels [cusum]               */
	double threshold;        /* > 0: replaces the novelty threshold derived from the budget */
};

/* Settings of a model from its configuration: window, hop, period and policy. */
void monitor_cfg_defaults(struct monitor_cfg *cfg, const struct conf *conf, int model);

enum monitor_event { MONITOR_OPENED, MONITOR_CHANGED, MONITOR_CLOSED };

struct monitor_episode {
	int64_t id;              /* id of the row in table episode                              */
	int     model;
	enum monitor_event event;
	struct hn_verdict verdict;       /* what, which channels, how large                     */
	int     stream;          /* stream (configuration index) that showed it first           */
	int64_t opened_us, closed_us;    /* event time; closed_us 0 = still open                */
	int64_t since_us;        /* event time of the first changed block: where the new regime starts */
	json_t *evidence;        /* borrowed                                                    */
};

struct monitor_hooks {
	void *ctx;
	/* An episode opened (once an episode), its verdict changed, or it ended. */
	void (*on_episode)(void *ctx, const struct monitor_episode *e);
};

struct monitor_deps {
	struct db *db;
	const char *db_path;
	const struct conf *conf;         /* outlives the monitor                                */
	struct journal *journal;
	/* (n_models,) settings, copied; NULL = defaults of every model. */
	const struct monitor_cfg *cfg;
	struct monitor_hooks hooks;
};

struct monitor;

/* Load what was saved for the same configuration; open episodes stay open. */
hn_status monitor_open(struct monitor **out, const struct monitor_deps *deps, struct hn_err *err);

/* Save everything and free.  Before db_close.  NULL is a no-op. */
void monitor_close(struct monitor *m);

/* A frame of stream f->stream, its quality flags already set. */
void monitor_frame(struct monitor *m, const struct hn_frame *f);

/* A sketch of a device that does not send every window: the charts see one block for each sketch,
 * and the frames of such a stream are only offered for labels.  sum, sum2 (n_ch,) of raw values and
 * of their squares over `frames` frames that end at event_us. */
struct monitor_sketch {
	int      stream;
	uint16_t n_ch;
	uint32_t frames;
	const double *sum, *sum2;
	int64_t  event_us;
};
void monitor_sketch(struct monitor *m, const struct monitor_sketch *s);

/* A prediction of the model's champion.  margin in 0..255, -1 = unknown. */
void monitor_prediction(struct monitor *m, const struct store_prediction *p);

/* A label is durable: each remembered prediction inside its span is judged once.
 * Returns how many predictions of `model` it judged; *right of them were right (may be NULL). */
int monitor_label(struct monitor *m, int model, const struct store_label *l, int *right);

/* A new champion serves: its reference is made of the blocks seen since the episode began (or, when
 * there was none, since the start), learning goes on when they are too few.  Ends an open episode.
 * accuracy = the gate's accuracy of the version, NAN = unknown (learned from labels). */
void monitor_rearm(struct monitor *m, int model, int64_t version, double accuracy);

/* Version that the monitor was last re-armed for, 0 = none. */
int64_t monitor_version(const struct monitor *m, int model);

/* Event time from which labels belong to the present regime: start of the open episode, else of the
 * last one, else 0 (everything). */
int64_t monitor_since(const struct monitor *m, int model);

/* Choose up to n recent windows of the model worth a label, by the strategy `how` ("mixed",
 * hn_query.h); each is offered once.  Returns how many were written to out. */
struct monitor_pick { int stream; int64_t event_us; int margin; };
int monitor_pick(struct monitor *m, int model, const char *how, int n, struct monitor_pick *out);

/* A window was chosen elsewhere for being doubtful: its label says nothing of the error rate. */
void monitor_asked(struct monitor *m, int model, int stream, int64_t event_us);

/* Save at most every minute; call from a timer of a few seconds. */
void monitor_tick(struct monitor *m, int64_t now_us);

/* State, charts with score (1 = alarm), labelled accuracy, open episode: new reference. */
json_t *monitor_json(const struct monitor *m, int model);
#endif
