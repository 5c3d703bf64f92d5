/* source_drv.h - what the drivers of sources share: counting, giving frames away, handles, backoff.
 *
 * Private to this folder.  A source runs unless it is held (sources_hold) or full (the store
 * refused its frame and it can wait); drivers look at source_running before each frame. */
#ifndef SOURCE_DRV_H
#define SOURCE_DRV_H

#include "conf_row.h"
#include "log.h"
#include "metrics.h"
#include "source.h"

/* Why input was not taken: one row a reason, name in metrics and JSON. */
#define SOURCE_REASONS(X)                                                               \
	X(REFUSED_FORMAT,      "format")        /* does not parse                     */ \
	X(REFUSED_LONG,        "too_long")                                              \
	X(REFUSED_HALF,        "half")          /* cut off by the end of a connection */ \
	X(REFUSED_COLUMNS,     "columns")       /* another number of values           */ \
	X(REFUSED_STREAM,      "unknown_stream")                                        \
	X(REFUSED_CHANNEL,     "no_channel")    /* no field is a channel              */ \
	X(REFUSED_TIME,        "time")                                                  \
	X(REFUSED_CRC,         "crc")           /* noise on a link                    */ \
	X(REFUSED_DUPLICATE,   "duplicate")                                             \
	X(REFUSED_RETAINED,    "retained")      /* kept by a broker: an old message   */ \
	X(REFUSED_CONNECTION,  "connections")   /* more than allowed                  */ \
	X(REFUSED_PIPELINE,    "pipeline")      /* refused behind on_frame            */

#define X(name, text) name,
enum source_reason { SOURCE_REASONS(X) REFUSED_REASONS };
#undef X
extern const char *const source_reasons[];       /* in the order above                         */

enum source_state { SOURCE_WAITING, SOURCE_UP, SOURCE_ENDED, SOURCE_STATES };

struct source {
	struct sources *all;
	int index;                       /* in the configuration                               */
	const struct source_driver *driver;
	const struct conf_source *conf;
	void *state;                     /* (driver->state_bytes,) zeroed before open          */
	enum source_state status;
	bool can_wait;                   /* set by open: a full store pauses it                */
	bool replay;                     /* set by open: sources_hold holds it; needs can_wait */
	bool held, full;
	bool told;                       /* the present outage has been logged                 */
	double backoff_s;
	uint64_t frames, bytes, dropped, refused[REFUSED_REASONS];
	struct metric *m_frames, *m_bytes, *m_dropped, *m_up, *m_refused[REFUSED_REASONS];
	struct log_limit limit, outages;
};

struct sources {
	uv_loop_t *loop;
	const struct conf *conf;
	struct source_hooks hooks;
	bool closing;
	int refs;                        /* handles that are not closed yet, and the owner     */
	int n;
	struct source item[];            /* (conf->n_sources,) the first n have been opened    */
};

/* One row of source.c's table each. */
extern const struct source_driver src_file, src_line, src_link;

static inline const void *source_settings(const struct source *s)
{
	return s->conf->settings;
}

static inline bool source_running(const struct source *s)
{
	return !s->held && !s->full && !s->all->closing;
}

/* Hand over one frame.  HN_EFULL: the caller keeps it and offers it again when the source runs (it
 * is paused now).  Everything else is settled: counted as a frame, dropped or refused. */
hn_status source_emit(struct source *s, const struct hn_frame *f);

void source_bytes(struct source *s, size_t n);

/* Count `n` refused pieces of input; one line in the log at a bounded rate: where and what. */
void source_refuse(struct source *s, enum source_reason why, uint64_t n, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Text from outside, for a log line: at most cap - 1 bytes of printable ASCII, no quote. */
const char *source_quote(char *out, size_t cap, const char *text);

/* Index of the stream `name` that this source feeds; an empty name: the only one.  -1: none;
 * -2: the name is empty and there are several. */
int source_stream(const struct source *s, const char *name);

/* The source delivers (again), or something is missing: one line an outage, the rest at debug.
 * Returns after how many ms to try again: twice the last time, between min_s and max_s. */
void source_up(struct source *s, const char *what);
uint64_t source_outage(struct source *s, double min_s, double max_s, const char *why);

/* A handle was initialised: its memory (and that of the state) must stay until it is closed. */
void source_ref(struct source *s);
void source_unref(struct source *s);             /* in its close callback; may free everything  */

/* Initialise bookkeeping of / close a handle inside the state: data = s.  Closing a handle that was
 * never initialised, or twice, does nothing. */
void source_own(struct source *s, uv_handle_t *h);
void source_disown(struct source *s, uv_handle_t *h);
#endif
