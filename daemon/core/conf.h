/* conf.h - the daemon's settings, read from YAML by one table (conf_rows.c).
 *
 * From the rows and nothing else: defaults, parsing, range checks, the sample file, docs/config.md,
 * the JSON schema, --help-config.  A list (sources, streams, channels, models, devices) is a row
 * that names the rows of its items; an item of `sources` also takes the rows of its driver
 * (`type:`). */
#ifndef CONF_H
#define CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "hn_frame.h"
#include "hn_model.h"

enum {
	CONF_SOURCES_MAX = 64, CONF_STREAMS_MAX = 64, CONF_MODELS_MAX = 16, CONF_DEVICES_MAX = 200,
	CONF_TEXT_MAX = 256, CONF_DRIVER_BYTES = 1024
};

struct conf_driver;

struct conf_source {
	char name[HN_NAME_MAX];
	int  type;                       /* index into the driver table                        */
	/* The driver's own settings struct, filled through the driver's rows. */
	_Alignas(max_align_t) unsigned char settings[CONF_DRIVER_BYTES];
};

struct conf_stream {
	char name[HN_NAME_MAX];
	char source[HN_NAME_MAX];        /* name of the source it comes from                   */
	double period_s;                 /* nominal time between frames; 0 = irregular         */
	double gap_s;                    /* a longer silence raises a gap; 0 = 5 periods       */
	int n_channels;
	struct hn_channel channels[HN_CHANNELS_MAX];
};

struct conf_model {
	char name[HN_NAME_MAX];
	int  n_streams;                  /* windows of all these streams train one model; after
	                                  * loading with the streams of its devices            */
	char streams[CONF_STREAMS_MAX][HN_NAME_MAX];
	int  task;                       /* enum hn_task                                       */
	int  n_classes;
	char classes[HN_CLASSES_MAX][HN_NAME_MAX];
	int  window, hop;                /* frames; after loading hop >= 1                     */
	char network[HN_NET_TEXT_MAX];   /* "dense 32, relu, dense 4"                          */
	bool predict;                    /* also run the champion in the gateway               */
	struct {
		int    epochs, batch, patience;
		int64_t seed;
		int    loss, optimiser;  /* loss: 0 that of the task, else i - 1 of hn_losses; hn_optims */
		double momentum, delta;  /* sgd; huber                                         */
		int    schedule;         /* enum hn_schedule                                   */
		double decay;            /* step, plateau: factor                              */
		int    decay_epochs, warmup;
		double ema, clip;        /* average of the weights; largest gradient norm      */
		int    update;           /* enum hn_update                                     */
		int    last_layers;
		double anchor;           /* pull towards the champion                          */
		double wire_max;         /* sparse: bytes of the delta                         */
		int    quantise;         /* 0 round after the fit, 1 train on for int8         */
		int    rounding;         /* of int8 sums: 0 double, 1 single                   */
		double rate, weight_decay, smoothing;
		double holdout;          /* share of labelled windows held back for the gate   */
		double holdout_recent;   /* the same for windows of the new regime; 0: all train */
		double recent_share;     /* weight of the new regime in the fit; 0: as many as they are */
		int    windows_max;      /* without labels: windows of one job                 */
		int    scaler_frames;    /* newest unlabelled frames that shape the scaler     */
		double memory_max;       /* bytes                                              */
		double time_max_s;       /* a job that runs longer is killed                   */
		double checkpoint_s;     /* time between two checkpoints, 0 = none             */
	} train;
	struct {
		int    mode;             /* 0 auto, 1 advise (ask a person), 2 manual          */
		double cooldown_s;       /* shortest time between two jobs                     */
		int    labels_min;       /* labelled windows since the last version            */
		double label_budget;     /* labels it may ask for ...                          */
		double label_period_s;   /* ... in this time                                   */
		int    ask;              /* 0 in an episode, 1 in the stream, by uncertainty   */
		double ask_margin;       /* [0..1] stream: below it a window is worth a label  */
		double ask_spacing;      /* stream: predictions between two questions          */
		double alarms_per_month; /* false-alarm budget of this model's monitors        */
	} policy;
	struct {
		double quantile;         /* share of normal windows that are within the limit  */
	} anomaly;
	struct {                         /* see monitor.h; 0 and "" ask for its default        */
		int    block, learn, settle, level_blocks, level_learn, margin_learn, quiet_blocks;
		double season_s, threshold;
	} monitor;
	struct {
		int    windows_min;      /* labelled held-back windows needed to decide        */
		double gain_min;         /* challenger - champion, share of windows            */
		double forget_max;       /* loss allowed on windows of the old regime          */
		double int8_loss_max;    /* float accuracy - int8 accuracy                     */
	} gate;
	struct {
		int    canary;           /* devices in the first step                          */
		int    batch;            /* devices at a time after it                         */
		int    failures_max;     /* failed devices that it bears after the canary      */
		int    attempts;         /* of one device                                      */
		double retry_s;          /* before the second one; doubles                     */
		double wait_s;           /* how long its end waits for devices that sleep      */
		int    trial_inferences; /* clean ones before the gateway confirms             */
		double probation_s;      /* watch after the rollout                            */
		double probation_loss_max;/* drop of labelled accuracy that rolls back         */
	} rollout;
};

struct conf_device {
	char name[HN_NAME_MAX];
	char uid[2 * 8 + 1];             /* 16 hex digits, lower case                          */
	char source[HN_NAME_MAX];        /* a source of type link                              */
	char stream[HN_NAME_MAX];        /* its samples become frames of this stream           */
	char model[HN_NAME_MAX];
	int  group;                      /* of a rollout; 0 first                              */
	int  telemetry;                  /* enum hd_telemetry                                  */
	double heartbeat_s;              /* between two sketches                               */
	int  raw_every, pull;            /* windows                                            */
	double keep_alive_s;             /* between two questions to a device with nothing to do */
	bool is_signed;                  /* it takes packages only with a signature            */
};

struct conf {
	struct {
		char   path[CONF_TEXT_MAX];
		double commit_every_s, retain_s, size_max;   /* size_max in bytes */
		int    queue_frames;
	} store;
	struct {
		char socket[CONF_TEXT_MAX];
		int  port;               /* 0 = no TCP; always 127.0.0.1                       */
	} status;
	struct { int level; } log;       /* enum log_level                                     */
	struct { char helper[CONF_TEXT_MAX]; } train;  /* path of hone-train                   */
	struct {
		char master[CONF_TEXT_MAX];      /* file with 32 bytes or 64 hex digits        */
		char sign[CONF_TEXT_MAX];        /* file of the Ed25519 key, "" = none         */
		int  sign_id;
	} keys;
	int n_sources, n_streams, n_models, n_devices;
	struct conf_source sources[CONF_SOURCES_MAX];
	struct conf_stream streams[CONF_STREAMS_MAX];
	struct conf_model  models[CONF_MODELS_MAX];
	struct conf_device devices[CONF_DEVICES_MAX];
};

enum conf_type {
	CONF_BOOL, CONF_INT, CONF_REAL, CONF_TIME, CONF_SIZE, CONF_TEXT, CONF_ENUM,
	CONF_TEXTS,                      /* list of short texts: array of char[HN_NAME_MAX]    */
	CONF_LIST,                       /* list of items described by `item`                  */
	CONF_DRIVER                      /* int: index of a source driver, whose rows then hold
	                                  * too; off_count = offset of the driver's settings   */
};
enum { CONF_ROWS_MAX = 128 };    /* of one table                                           */
enum {
	CONF_RELOAD = 1,                 /* takes effect without a restart                     */
	CONF_SECRET = 2,                 /* never printed                                      */
	CONF_REQUIRED = 4,               /* must be given; `def` is only the sample's example  */
	CONF_NAME = 8,                   /* letters, digits, '_', '-' and '.'; not empty       */
	CONF_RANGE = 16,                 /* may hold one range, "S{01..16}": so many items     */
	CONF_JOIN = 32                   /* a list of texts is joined with ", "                */
};

struct conf_row {
	const char        *key;          /* dotted path inside its struct                      */
	enum conf_type     type;
	size_t             off, size;
	const char        *def;          /* default, written as a user would write it; NULL: 0 */
	double             min, max;     /* inclusive; both 0 = unbounded                      */
	const char        *unit;
	const char *const *choices;      /* CONF_ENUM only, NULL-terminated                    */
	unsigned           flags;
	const char        *help;
	const struct conf_row *item;     /* CONF_LIST: rows of one item, ended by key == NULL  */
	size_t             off_count;    /* CONF_LIST, CONF_TEXTS: int that counts the items   */
	int                max_items;
};

/* What a source driver brings to the configuration; rows address its own settings struct. */
struct conf_driver { const char *name, *help; const struct conf_row *rows; };

/* Rows of a driver end with this. */
#define CONF_END { .key = NULL }

extern const struct conf_row conf_rows[];

/* Tell the table which source drivers exist (NULL-terminated, borrowed for the process's life). */
void conf_set_drivers(const struct conf_driver *const *drivers);
const struct conf_driver *const *conf_driver_list(void);         /* never NULL                 */

/* Heap-allocated defaults; NULL when out of memory.  Free with free(). */
struct conf *conf_new(void);

/* Read `file` over the defaults into a fresh struct.  Every error is printed to `diag` as
 *   file:line:col: error: reason, the source line, a caret and the nearest key.
 * Returns the number of errors; `*out` is set only when it is 0.  -1: the file cannot be read or
 * the memory is exhausted (printed as well). */
int conf_load(struct conf **out, const char *file, FILE *diag);

/* The same from `len` bytes; `name` stands for the file in messages. */
int conf_load_text(struct conf **out, const char *name, const char *text, size_t len, FILE *diag);

/* key=value on top of a loaded configuration (scalars outside lists).  Errors: HN_*, `err` says. */
hn_status conf_set(struct conf *c, const char *assignment, struct hn_err *err);

/* Compare two configurations: names of changed settings to `out`, one a line; returns how many of
 * them need a restart (their row has no CONF_RELOAD). */
int conf_diff(const struct conf *old, const struct conf *fresh, FILE *out);

void conf_print_help(FILE *out);
void conf_print_schema(FILE *out);
void conf_print_sample(FILE *out);
void conf_print_docs(FILE *out);

/* Index by name, or -1. */
int conf_source_find(const struct conf *c, const char *name);
int conf_stream_find(const struct conf *c, const char *name);
int conf_model_find(const struct conf *c, const char *name);
int conf_device_find(const struct conf *c, const char *name);
/* The device that sends sketches of this stream, -1 = none: every frame comes. */
int conf_sketched(const struct conf *c, int stream);
#endif
