/* hn_calib.h - a range from a histogram; private to lib/quant. */
#ifndef HN_CALIB_H
#define HN_CALIB_H

#include "hn_quant.h"

enum { HN_CALIB_BINS = 2048 };

struct hn_range { double lo, hi; };

/* The int8 grid of a range. */
struct hn_grid hn_calib_grid(double lo, double hi);

/* `all` spans the bins (HN_CALIB_BINS,).  Both return a part of it.
 * A share `tail` of the values lies outside at each end. */
struct hn_range hn_range_percentile(struct hn_range all, const uint32_t *bins, double tail);

/* The least sum of squared errors of the values, each taken at the middle of its bin. */
struct hn_range hn_range_mse(struct hn_range all, const uint32_t *bins);
#endif
