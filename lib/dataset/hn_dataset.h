/* hn_dataset.h - labelled windows: split, scaler, scaling.  Pure; all memory is the caller's. */
#ifndef HN_DATASET_H
#define HN_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hn_model.h"
#include "hn_status.h"

enum hn_part { HN_TRAIN, HN_VALID, HN_HOLDOUT, HN_PARTS };

struct hn_window {
	int64_t end_us;          /* event time of its last frame                               */
	int64_t given_us;        /* when its label was given                                   */
	int32_t stream, label;   /* index of the stream in the job; class                      */
	int64_t label_id;
	uint32_t at;             /* which window of the raw array                              */
	uint8_t part;            /* enum hn_part                                               */
	bool    recent;          /* of the new regime                                          */
	bool    outlier;         /* what must not be learned: always held back                 */
};

/* block_us: windows that end within one such span of time share their part, since neighbours are
 * alike; 0 = each on its own. */
struct hn_split_cfg {
	double holdout, holdout_recent, valid;
	int classes;
	uint64_t seed;
	int64_t block_us;
};

/* Keep one window for each (stream, end): the one labelled last.  Sorts by (stream, end); returns
 * the number kept.  O(n log n). */
uint32_t hn_dataset_unique(struct hn_window *w, uint32_t n);

/* Give each window its part by a hash of (seed, stream, end), so that a window held back once is
 * held back in every later job and never trains.  A class that would have no training window keeps
 * all of its windows for training.  counts (HN_PARTS,).  Errors: HN_ERANGE (label, shares). */
hn_status hn_dataset_split(struct hn_window *w, uint32_t n, const struct hn_split_cfg *cfg,
                           uint32_t counts[HN_PARTS]);

/* Mean and standard deviation a channel of raw (n, len, ch), weights (n,) or NULL, together with
 * those of `fresh` (same ch, weight 1; NULL or n 0: none); the mean is rounded to whole counts (the
 * device's scaler has no fraction), the deviation is at least one count.
 * Errors: HN_EDATA (nothing, all weights 0), HN_ERANGE (ch). */
struct hn_raw { const int32_t *v; uint32_t n; uint16_t len, ch; };
hn_status hn_scaler_fit(const struct hn_raw *raw, const float *weight, const struct hn_raw *fresh,
                        struct hn_scaler *s);

/* z = (raw - mean) / std of one window: raw (len, ch) -> x (len, ch). */
void hn_scaler_apply(const struct hn_scaler *s, const int32_t *raw, uint16_t len, float *x);
#endif
