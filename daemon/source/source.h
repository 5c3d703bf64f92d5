/* source.h - where bytes become frames: one driver row a kind of source. */
#ifndef SOURCE_H
#define SOURCE_H

#include <jansson.h>
#include <uv.h>
#include "conf.h"
#include "hd_msg.h"
#include "hn_account.h"
#include "hn_frame.h"

struct sources;                  /* all configured sources                                     */
struct source;                   /* one of them; the driver's state hangs on it                */

struct source_hooks {
	void *ctx;
	/* A decoded frame.  HN_EFULL: not taken; the driver keeps it and pauses if it can (file, TCP,
	 * unix) until sources_resume, else drops and counts (UDP, link). */
	hn_status (*on_frame)(void *ctx, const struct hn_frame *f);
	/* A truth that came with the data (label column of a file): given now or kept for asking. */
	void (*on_label)(void *ctx, int stream, int64_t t0_us, int64_t t1_us, double value);
	/* A message of a device that is not samples; borrowed during the call. */
	void (*on_message)(void *ctx, int source, const struct hd_frame *f);
	/* The link of a device came up or went down. */
	void (*on_link)(void *ctx, int source, bool up);
	/* A finite source (file) has delivered its last frame. */
	void (*on_end)(void *ctx, int source);
};

struct source_driver {
	struct conf_driver conf;         /* name, help, rows of its settings struct              */
	size_t state_bytes;
	/* Open; a device that is not there yet is no error: log once, retry with backoff. */
	hn_status (*open)(struct source *s, struct hn_err *err);
	void (*close)(struct source *s);         /* may be called half-open                      */
	void (*pause)(struct source *s, bool paused);            /* NULL = cannot                */
	/* Link sources: queue one frame for the device.  HN_EFULL, HN_ESTATE (down). */
	hn_status (*send)(struct source *s, uint8_t type, uint16_t session,
	                  const uint8_t *body, size_t len);
	/* A replay: give the labels of these event times through on_label; how many.  NULL = none. */
	int (*ask)(struct source *s, int stream, const int64_t *event_us, int n);
	/* A link: event time of a device's tick.  NULL = none. */
	hn_status (*time)(const struct source *s, uint32_t tick_us, int64_t *event_us);
	/* A link: what went over it, and what a byte costs the device [uJ], 0 = not known; or NULL. */
	const struct hn_account *(*account)(const struct source *s, double *byte_uj);
	/* A link: another device than the wanted one answers.  NULL = nothing can be done. */
	void (*reject)(struct source *s);
	void (*json)(const struct source *s, json_t *out);       /* adds its own fields; or NULL */
};

extern const struct source_driver *const source_drivers[];       /* NULL-terminated            */
const struct conf_driver *const *source_conf_drivers(void);      /* for conf_set_drivers       */

/* `conf` is borrowed until sources_close.  No hook is called before the loop runs.  After a failure
 * the loop must run once more to end the handles, as after sources_close.  Errors with text, for a
 * setting that cannot work: HN_EINVAL, HN_ENOENT, HN_EFORMAT, HN_ERANGE, HN_EIO, HN_ENOMEM. */
hn_status sources_open(struct sources **out, uv_loop_t *loop, const struct conf *conf,
                       const struct source_hooks *hooks, struct hn_err *err);
/* No hook is called any more; the memory goes when the loop has closed the handles.  NULL is a
 * no-op. */
void sources_close(struct sources *s);

/* Hold and continue every replay that goes as fast as it can (`pace: fast`), while a job runs.
 * What is live, and a replay in real time, goes on. */
void sources_hold(struct sources *s, bool held);

/* There is room again after a HN_EFULL: frames that were refused are offered once more.  A replay
 * that is held stays held. */
void sources_resume(struct sources *s);

/* To the device behind source `source` (an index of the configuration). */
hn_status sources_send(struct sources *s, int source, uint8_t type, uint16_t session,
                       const uint8_t *body, size_t len);

/* Event time of the frame that the device behind `source` stamped with `tick_us`: the very time
 * that the frame was given with, when it came lately.  Errors: HN_ESTATE (no frame came yet that
 * ties the device's clock to ours), HN_EINVAL. */
hn_status sources_time(const struct sources *s, int source, uint32_t tick_us, int64_t *event_us);

/* What went over the link of a device; NULL: no link.  *byte_uj as in the driver. */
const struct hn_account *sources_account(const struct sources *s, int source, double *byte_uj);

/* Another device than the wanted one answers at `source`: look elsewhere, if there is a choice. */
void sources_reject(struct sources *s, int source);

/* Answer of a replay to a question for labels: labels that the file's label column has for
 * windows of `stream` ending at the given times come through on_label.  Returns how many. */
int sources_ask(struct sources *s, int stream, const int64_t *event_us, int n);

json_t *sources_json(const struct sources *s);   /* name, type, state, counters                  */
#endif
