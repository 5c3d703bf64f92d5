/* bench_delta.h - packages as a gateway makes them after drift: a trained set, and what it becomes.
 *
 * An autoencoder 64-92-32-92-64 learns windows of a vibration (two sines of random phase, a
 * harmonic, a level, noise), is quantised, and goes into service.  Then the machine drifts (the
 * second sine louder, both faster by a twentieth, the level shifted) and the set is fitted again in
 * three ways: all weights, quantised anew; the last layer, and all weights with a price on leaving
 * their int8 step (L1-proximal), both on the old int8 grid.  Losses are those of the float weights
 * on held-back drifted windows. */
#ifndef BENCH_DELTA_H
#define BENCH_DELTA_H

#include "hn_package.h"
#include "hn_peer.h"

enum bench_update { BENCH_FULL, BENCH_LAST, BENCH_SPARSE, BENCH_UPDATES };
extern const char *const bench_update_names[BENCH_UPDATES];

enum { BENCH_PAYLOAD_MAX = 32768 };

struct bench_set {
	_Alignas(8) uint8_t payload[BENCH_PAYLOAD_MAX], patch[BENCH_PAYLOAD_MAX];
	uint8_t header[HD_PACKAGE_HEADER], patch_header[HD_PACKAGE_HEADER];
	struct hn_peer_package full, delta;      /* delta.len == 0: not smaller                */
	double  before, loss, moved;     /* on drifted data: of the old set, of this one; share of
	                                    bytes that changed                                 */
};

/* Train all: `old` is in service, `next` (BENCH_UPDATES,) takes its place.  Versions begin at 11.
 * False, with a word on stderr, when something fails. */
bool bench_delta_make(struct bench_set *old, struct bench_set *next, const uint8_t *uid,
                      const uint8_t *key, uint8_t key_id);
#endif
