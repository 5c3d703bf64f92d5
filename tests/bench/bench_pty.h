/* bench_pty.h - a swap in real time: the daemon's link source and lib/link at the slave of a pty, a
 * device behind a paced line at its master (bench_wire.h). */
#ifndef BENCH_PTY_H
#define BENCH_PTY_H

#include "bench_wire.h"
#include "hn_peer.h"

struct bench_pty_plan {
	const struct hd_config *device;          /* uid, key, key_id, credits                  */
	uint32_t baud;
	int64_t  latency_us;                     /* of the adapter                             */
	const struct hn_peer_package *first;     /* put in service, confirmed: not measured    */
	const struct hn_peer_package *second;    /* measured                                   */
	const struct hn_peer_package *same;      /* the weights of `second` again, or NULL     */
};

struct bench_pty_result {
	double   swap_s, worst_s;        /* install until on trial                              */
	double   noop_s;                 /* install until done                                  */
	unsigned noop_said;              /* frames of the gateway: most of all runs             */
	uint32_t repeats, lost;
};

enum { BENCH_PTY_RUNS = 5 };

/* The median of BENCH_PTY_RUNS runs, each with a device of its own.  `late` gets their turns added.
 * False with a word on stderr. */
bool bench_pty_run(const struct bench_pty_plan *plan, struct bench_late *late,
                   struct bench_pty_result *out);
#endif
