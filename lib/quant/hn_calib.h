/* hn_calib.h - a range from a histogram; private to lib/quant. */
#ifndef HN_CALIB_H
#define HN_CALIB_H

#include "hn_quant.h"

enum { HN_CALIB_BINS = 2048 };

/* The samples that are compared: every one, or cfg->compare_max spread evenly.  `order` of those
 * from `at` on, at most `batch`; returns their number, 0 behind the last. */
uint32_t hn_quant_pick(const struct hn_quant_cfg *cfg, uint32_t n, uint32_t at, uint32_t batch,
                       uint32_t *order);

/* Power over error in dB, held within -200..200. */
double hn_quant_db(double power, double error);

struct hn_range { double lo, hi; };

/* The int8 grid of a range. */
struct hn_grid hn_calib_grid(double lo, double hi);

/* `all` spans the bins (HN_CALIB_BINS,).  Both return a part of it.
 * A share `tail` of the values lies outside at each end. */
struct hn_range hn_range_percentile(struct hn_range all, const uint32_t *bins, double tail);

/* The least sum of squared errors of the values, each taken at the middle of its bin. */
struct hn_range hn_range_mse(struct hn_range all, const uint32_t *bins);
#endif
