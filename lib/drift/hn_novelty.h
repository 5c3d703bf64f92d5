/* hn_novelty.h - has this block been seen before?  Distance to the nearest of a sample of reference
 * blocks, all channels together.
 *
 * A stream whose machine changes its state every second has block means that jump about; what is
 * usual is not one level but a set of places.  The nearest reference block stands for the present
 * state, so the distance to it is about the same in every state, and a shift of the sensors shows
 * at once however the states are mixed.
 *
 *   learning:  a uniform sample of the blocks seen (reservoir of `cap`)
 *   frozen:    x -> d = rms over the dimensions of (x - nearest) / sd of the reference
 *                -> z = (log d - median) / spread, median and spread from the reference itself:
 *                   each of its blocks against the others that are not its neighbours in time
 *
 * One block of memory without pointers: saved by copying hn_novelty_size bytes.
 * Source: Angiulli & Pizzuti 2002 (distance to neighbours as outlier score); the calibration leaves
 * one out, with a gap in time against correlation. */
#ifndef HN_NOVELTY_H
#define HN_NOVELTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hn_rng.h"
#include "hn_status.h"

enum { HN_NOVELTY_CAP = 256, HN_NOVELTY_DIM = 128, HN_NOVELTY_MIN = 16 };

struct hn_novelty {              /* fields are private                                          */
	uint32_t cap, dim, n;    /* blocks kept                                                 */
	uint32_t seen;           /* blocks offered since the last clear                         */
	bool     frozen;
	struct hn_rng rng;
	double   median, spread; /* of log d inside the reference                               */
	double   peak;           /* largest CUSUM of its own z, in time order                   */
	/* then float scale[dim] (1 / sd), float place[cap][dim], uint32_t when[cap]             */
	_Alignas(8) unsigned char data[];
};

/* Bytes for `cap` blocks of `dim` numbers; 0 when out of range. */
size_t hn_novelty_size(uint32_t cap, uint32_t dim);
hn_status hn_novelty_init(struct hn_novelty *v, uint32_t cap, uint32_t dim, uint64_t seed);

/* Offer a block to the reference; x (dim,) finite.  HN_ESTATE when frozen, HN_ENUMERIC. */
hn_status hn_novelty_learn(struct hn_novelty *v, const float *x);

/* End of learning.  floor_sd (dim,): least standard deviation of each dimension (its resolution),
 * so that a constant one does not divide by 0.  HN_EDATA: fewer than HN_NOVELTY_MIN blocks. */
hn_status hn_novelty_freeze(struct hn_novelty *v, const float *floor_sd);

/* Judge a block: *z [1], rest (dim,) = (x - nearest) / sd, or NULL.  HN_ESTATE unless frozen,
 * HN_ENUMERIC. */
hn_status hn_novelty_step(const struct hn_novelty *v, const float *x, double *z, float *rest);

/* Slack and threshold of a one-sided CUSUM on z, clipped at HN_NOVELTY_CLIP, for a mean time `arl`
 * [blocks] between false alarms.  Blocks in a row are alike (the machine stays in a state), so the
 * threshold is twice Siegmund's for independent ones and twice what the reference itself reached:
 * measured on the simulated pump, 128 learned blocks, 48 runs of 60,000: 2 false alarms (120 with
 * Siegmund's threshold alone), a sensor that ages over 25 blocks found after 11 on average. */
#define HN_NOVELTY_CLIP 4.0
double hn_novelty_slack(const struct hn_novelty *v);
double hn_novelty_threshold(const struct hn_novelty *v, double arl);

void hn_novelty_clear(struct hn_novelty *v);
#endif
