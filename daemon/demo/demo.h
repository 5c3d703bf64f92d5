/* demo.h - the loop as a story: a pump, three devices, a sensor that ages, honed that puts it right.
 *
 * hone-demo starts the real programs in a directory of its own, makes the sensors age, plays the operator
 * who answers honed's questions, and measures from outside: what the pump really did against what
 * each device said.
 *
 *   main.c        options, start and end
 *   demo_child.c  the processes; none is left behind
 *   demo_conf.c   directory, keys, recorded data, honed.yaml, command lines
 *   demo_truth.c  lines "count,wall_us,state,class,version,missed" of the devices; accuracy
 *   demo_api.c    requests to honed over its unix socket
 *   demo_events.c honed's journal -> facts of the present cycle
 *   demo_story.c  the phases, each with an end and a time limit
 *   demo_card.c   report card, demo.json, expectations */
#ifndef DEMO_H
#define DEMO_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum {
	DEVICES = 3, CYCLES_MAX = 6, STATES = 4, QUESTIONS_MAX = 64, CHILDREN_MAX = 6,
	TRUTH_RING = 4096, LINE_CAP = 128, PATH_CAP = 512, NAME_CAP = 32, TEXT_CAP = 240,
	WINDOW = 32, PERIOD_US = 2500, RECORD_WINDOWS = 1000, CLOCK_WINDOWS = 50
};

/* --- what was seen ---------------------------------------------------------------------------- */

struct truth { int64_t t_us; uint32_t version; int8_t state, answer; };  /* answer -1 = none      */

struct tally { int n, right; };

struct demo;

struct device {
	struct demo *demo;
	char name[NAME_CAP], stream[NAME_CAP], uid[17], key[65];
	bool present, emulated;
	uint32_t seed;
	struct child *child;
	/* truth */
	uv_pipe_t pipe;                  /* a FIFO, or the console of the emulated board           */
	uv_connect_t connect;
	bool pipe_open, reading;
	char line[LINE_CAP];
	size_t line_len;
	bool line_long;
	struct truth *ring;              /* (TRUTH_RING,)                                          */
	uint32_t n_truth, missed, bad_lines;
	int64_t lag[CLOCK_WINDOWS];      /* arrival - device time of the last windows              */
	/* as honed sees it */
	bool online;
	int64_t model, missed_honed, bytes;
	char digest[65];
};

struct question { char stream[NAME_CAP]; int64_t t_us, due_us; bool given; };

/* One time around the loop; cycle 0 is the first version.  Times are wall clock, 0 = not yet. */
struct cycle {
	int64_t age_us, alarm_us, asked_us, labelled_us, job_us, trained_us, decided_us, rollout_us, done_us;
	int64_t from_us, to_us;          /* span of the measurement after it                      */
	int64_t job, version, bytes, labels;
	int alarms, promoted, rejected, failed, n_swapped;
	double swap_s[DEVICES];
	int64_t swapped_us[DEVICES];
	struct tally before[DEVICES], drifted[DEVICES], after[DEVICES];
	char alarm[TEXT_CAP], gate[TEXT_CAP];
};

/* --- the whole -------------------------------------------------------------------------------- */

struct child {
	struct demo *demo;
	uv_process_t process;
	char name[NAME_CAP];
	bool running, wanted;            /* wanted: its end is a failure                          */
	int64_t started_us;
	void (*on_exit)(struct demo *d);
};

struct options {
	int cycles;
	uint32_t seed;
	bool keep, no_firmware, sketch;  /* sketch: devices send sketches, windows are pulled */
	char firmware[PATH_CAP], report[PATH_CAP], bin[PATH_CAP], dir[PATH_CAP];
};

struct demo {
	struct options opt;
	uv_loop_t *loop;
	bool tty, redrawn;               /* redrawn: the cursor stands behind a line to be replaced */
	int64_t start_us;                /* monotonic                                             */
	struct child child[CHILDREN_MAX];
	int n_children;
	struct child *honed, *recorder;
	uv_signal_t on_int, on_term, on_hup;
	uv_timer_t tick, stop_timer;
	int log_fd, devices_fd;          /* stderr of honed, of the devices                       */
	uv_file null_fd;
	struct device device[DEVICES];
	int n_devices;
	char qemu[PATH_CAP];             /* empty: goes without                                   */
	/* honed */
	double first_answer_s, rss_mib;
	int64_t last_event, champion;    /* number of the version in service, as honed has it      */
	bool answered, events_running, status_running, job_running, armed;
	int64_t status_us, job_seen_us;
	int epochs_told;
	/* the story */
	int phase, cycle;                /* cycle: the present one, 0 = first version             */
	int64_t phase_us;
	struct cycle c[CYCLES_MAX + 1];
	struct question question[QUESTIONS_MAX];
	int n_questions, n_given, n_pending;
	int alarms_early;                /* before any sensor aged                                */
	bool stopping, finished, interrupted;
	char failure[TEXT_CAP];
};

extern const char *const state_names[STATES];    /* also the classes of the model              */

static inline struct cycle *now_cycle(struct demo *d)
{
	return &d->c[d->cycle];
}

/* --- main.c ----------------------------------------------------------------------------------- */
/* One line of the story, with the time since the start. */
void say(struct demo *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line that the next one replaces; nothing unless on a terminal. */
void say_for_now(struct demo *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The first failure counts: remember it and stop everything. */
void fail(struct demo *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void stop(struct demo *d);

/* --- demo_child.c ----------------------------------------------------------------------------- */
/* argv[0] is the program; its stdout and stderr go to `fd`.  NULL: the failure has been told. */
struct child *child_start(struct demo *d, const char *name, char *const *argv, int fd);
void child_signal(struct child *c, int signum);
void children_stop(struct demo *d, int signum);
bool children_ended(const struct demo *d);
/* Become `argv` and end when the process `parent` does; returns only on failure. */
int child_become(const char *parent, char *const *argv);

/* --- demo_conf.c ------------------------------------------------------------------------------ */
bool conf_prepare(struct demo *d);       /* directory, keys, FIFOs; false: told                  */
bool conf_start_devices(struct demo *d);
bool conf_start_recorder(struct demo *d);
bool conf_label_windows(struct demo *d); /* recorded frames -> labels at the ends of windows     */
bool conf_start_honed(struct demo *d);
void conf_remove(struct demo *d);

/* --- demo_truth.c ----------------------------------------------------------------------------- */
bool truth_open(struct device *v);       /* FIFO: before the device starts                       */
void truth_poll(struct device *v);       /* console of the board: connect when it is there        */
void truth_close(struct device *v);
void truth_age(struct device *v);        /* begin the next ageing episode                         */
/* Answers of `version` to windows that ended in [from, to). */
struct tally truth_tally(const struct device *v, int64_t from_us, int64_t to_us, int64_t version);
/* What the pump did in the window that ended nearest to t_us; NULL when none did within a window. */
const struct truth *truth_at(const struct device *v, int64_t t_us);
double tally_share(struct tally t);
struct tally tally_sum(const struct tally *t, int n);

/* --- demo_api.c ------------------------------------------------------------------------------- */
/* `body` is borrowed; status < 0: no answer. */
typedef void (*api_done)(struct demo *d, int status, json_t *body);
void api_get(struct demo *d, const char *path, api_done done);
void api_post(struct demo *d, const char *path, json_t *body, api_done done);     /* steals body */

/* --- demo_events.c ---------------------------------------------------------------------------- */
void events_follow(struct demo *d);      /* ask for the next entries, for ever                   */
void status_poll(struct demo *d);        /* devices, memory, monitor, training: a few times a second */

/* --- demo_story.c ----------------------------------------------------------------------------- */
void story_tick(struct demo *d);

/* --- demo_card.c ------------------------------------------------------------------------------ */
/* Print the card, write the JSON; returns the number of expectations that were not met. */
int card(struct demo *d);
#endif
