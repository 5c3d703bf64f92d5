/* bench_wire.h - a device behind a serial line that keeps the time: a thread at a pty's master.
 *
 * Every 100 us of CLOCK_MONOTONIC (timerfd, absolute) the thread moves as many bytes each way as
 * the rate lets pass, 10 bits a byte, and lets the device work.  The device: lib/device with slots
 * in RAM.  Up goes what an adapter hands over: packets of 62 bytes, and what is left when its
 * latency timer ends, which begins again with each packet; latency 0: at once. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <pthread.h>
#include <stdatomic.h>
#include "hd_device.h"
#include "t_hd_flash.h"

enum { WIRE_TURN_US = 100, WIRE_BIN_US = 20, WIRE_BINS = 1000, WIRE_RING = 2048, WIRE_UP = 1024 };

/* How late the thread was woken: turns in bins of WIRE_BIN_US, the last one open. */
struct bench_late { uint32_t bin[WIRE_BINS]; int64_t worst_us; };

/* `share` of the turns (0 .. 1) were less late than this [us]. */
int64_t bench_late_at(const struct bench_late *l, double share);

struct bench_way { uint8_t bytes[WIRE_RING]; size_t head, tail; double credit; bool idle; };

struct bench_wire {
	int master, slave, timer;
	char path[64];                   /* of the slave                                       */
	uint32_t baud;
	int64_t latency_us;
	pthread_t thread;
	bool running;
	atomic_bool stop;
	struct t_flash flash;
	struct hd_device dev;
	struct hd_config cfg;
	uint32_t arena[4096];
	struct bench_way down, up, adapter;
	int64_t now_us, begun_us, turns, flushed_us, served_us;
	struct bench_late late;
	uint32_t lost;                   /* bytes that found no room                           */
};

/* cfg: uid, key, key_id, credits.  False with a word on stderr. */
bool bench_wire_start(struct bench_wire *w, const struct hd_config *cfg, uint32_t baud,
                      int64_t latency_us);
void bench_wire_stop(struct bench_wire *w);
#endif
