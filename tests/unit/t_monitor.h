/* t_monitor.h - a simulated machine of four states on two streams, watched by a monitor with the
 * real database; what the monitor told is in t_seen. */
#ifndef T_MONITOR_H
#define T_MONITOR_H

#include "monitor.h"
#include "t_dir.h"

enum { T_CH = 3, T_BLOCK = 32, T_RATE = 400, T_LEARN = 128, T_STATES = 4, T_MODEL = 0 };
#define T_PERIOD_US (1000000 / T_RATE)
#define T_T0 1700000000000000

struct t_machine { long frame; int left, state; double shift; bool confused; };
struct t_seen { int opened, changed, closed; struct monitor_episode last; char evidence[4096]; };

extern struct t_machine t_machines[2];
extern struct t_seen t_seen;
extern struct monitor *t_mon;
extern struct monitor_cfg t_cfg;         /* used by t_open_all */
extern struct monitor_deps t_deps;
extern struct conf *t_conf;
extern struct t_dir t_mon_dir;

void t_monitor_setup(void);              /* Check fixtures */
void t_monitor_teardown(void);
void t_open_all(void);                   /* database, journal, monitor */
void t_close_all(void);

int64_t t_now_us(int stream);
struct hn_frame t_machine_frame(int stream);     /* the machine's next frame */

/* `n` blocks of one stream, of both in turn; version > 0: with predictions. */
void t_blocks(int stream, int n, int64_t version);
void t_both(int n, int64_t version);

const char *t_state(void);               /* "learning", "steady", "data drift", ... */
void t_in_service(void);                 /* version 1 serves, its reference is learned */
void t_label(int stream, int64_t t0, int64_t t1, int class, int *judged, int *right);
#endif
