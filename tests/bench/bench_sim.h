/* bench_sim.h - transfers over a line in simulated time.
 *
 * hn_peer and a device, as they are, over a serial line in simulated time: 10 bits a byte each way,
 * a gateway whose loop ticks every 10 ms and sees received bytes at once (native) or when an USB
 * adapter hands over: packets of 62 of them, and what is left when its latency timer of 16 ms ends,
 * which begins again with each packet.  The device calls hd_poll every
 * 100 us and is busy while its flash is (RAM: never; nrf52840: 41 us a word, 85 ms a page, and the
 * CPU halts).  Time of computing (SHA-256, HMAC, self-test) is not in it.
 * Telemetry, where it is sent: SAMPLES of 32 frames of 3 channels at a steady rate, through a queue
 * of 1 KB as a device has.
 * Measured: hn_peer_install until the gateway knows that the new image runs.  The spare slot was
 * erased ahead of time, as it is after every confirmation. */
#ifndef BENCH_SIM_H
#define BENCH_SIM_H

#include "bench_delta.h"
#include "t_hd_package.h"

enum { BENCH_CREDITS = 4, BENCH_CREDITS_RAM = 8 };       /* as in the firmware              */

/* Packages of random weights: 1 and 2, and 3 = the weights of 2 under a new number. */
extern struct t_package bench_packages[4];
extern const uint32_t bench_bauds[2];
/* Trained ones, by bench_sim_deltas: in service, and what takes its place. */
extern struct bench_set bench_old, bench_next[BENCH_UPDATES];

void bench_packages_build(void);
struct hn_peer_package bench_view(const struct t_package *k);

/* Full set, then the same weights once more: ratio to the wire limit; round trips. */
double bench_sim_full(const char *name, bool ram, uint32_t baud, int64_t latency_us,
                      unsigned *rtts);

/* Time [s] of the delta of a sparse fit at each baud. */
void bench_sim_deltas(double s[2]);

struct bench_share { double swap_s, mean_ms, worst_ms; unsigned lost; };

/* Samples that share the line with a transfer, and alone. */
void bench_sim_shares(struct bench_share *usual, struct bench_share *alone);
#endif
