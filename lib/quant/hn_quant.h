/* hn_quant.h - post-training quantisation: float weights to an int8 image for devices.
 *
 * Calibration runs samples through the float net and records the range of every tensor; the image
 * then holds per-channel symmetric int8 weights, int32 biases and (multiplier, shift) pairs, so
 * that the device never sees a float.  The arithmetic is that of lib/device/hd_image.h.
 * Source: Jacob et al. 2018, arXiv:1712.05877; TFLite quantisation specification. */
#ifndef HN_QUANT_H
#define HN_QUANT_H

#include <stdbool.h>
#include "hd_image.h"
#include "hn_arena.h"
#include "hn_fake.h"
#include "hn_model.h"
#include "hn_net.h"

/* The range of a tensor: all of it; all but a share at each end; or the one with the least squared
 * error, clipping and rounding together. */
enum hn_calib_rule {
	HN_CALIB_MINMAX = 0, HN_CALIB_PERCENTILE = 1, HN_CALIB_MSE = 2, HN_CALIB_RULES
};

/* One tensor's int8 grid: real = scale * (q - zp). */
struct hn_grid { float scale; int8_t zp; };

/* grid[0] is the net's input, grid[i + 1] the output of layer i. */
struct hn_calib {
	struct hn_grid grid[HN_NET_LAYERS_MAX + 1];
	float lo[HN_NET_LAYERS_MAX + 1], hi[HN_NET_LAYERS_MAX + 1];
};

struct hn_quant_cfg {
	const struct hn_net *net;
	const float *weights;            /* (n_weights,)                                       */
	const struct hn_scaler *scaler;  /* raw counts; n_ch == in_ch                          */
	enum hn_calib_rule rule;
	double tail;                     /* percentile: share cut off at each end, 1e-4         */
	uint32_t compare_max;            /* samples that hn_agree and hn_quant_hurts look at, spread
	                                    evenly; 0 = all                                     */
	const uint8_t *frozen;           /* image whose weight scales are used again, or NULL  */
	uint32_t frozen_len;
	uint8_t rq_mode;                 /* how the device rounds, see hd_image.h; with `frozen`
	                                    that of it                                          */
};

/* Samples of one calibration or comparison: x (n, in), scaled. */
struct hn_samples { const float *x; uint32_t n; };

/* Ranges over the samples.  Buffers from `arena` (may be dry: then only counts), given back.
 * Errors: HN_EDATA (n == 0), HN_ENUMERIC (not finite; layer named), HN_ENOMEM. */
hn_status hn_calibrate(const struct hn_quant_cfg *cfg, struct hn_samples s, struct hn_arena *arena,
                       struct hn_calib *calib, struct hn_err *err);

/* True when layer i is a bound (relu) that the product, pool or add before it applies by itself. */
bool hn_quant_fused(const struct hn_net *net, unsigned i);

/* True when layer i does not appear in the image: fused, or a change of shape only. */
bool hn_quant_skips(const struct hn_net *net, unsigned i);

/* Adds that take the tensor (0: input, k: output of layer k - 1) as it lies in the image; the image
 * keeps it for them, and begins with a copy of the input when that is one. */
unsigned hn_quant_readers(const struct hn_net *net, unsigned tensor);
bool hn_quant_copies_input(const struct hn_net *net);

/* 0, or i + 1 of the layer where adds do not take what was kept in reverse order, each once, at
 * most HD_KEPT_MAX at a time. */
unsigned hn_quant_unordered(const struct hn_net *net);

/* Bytes of the image of `net`, which is folded (hn_net_fold); 0 when a layer has no int8 form: the
 * second says which and why (HN_EINVAL). */
size_t hn_image_need(const struct hn_net *net);
hn_status hn_image_check(const struct hn_net *net, struct hn_err *err);

/* Write the image into out (cap,), 4-byte aligned, cap >= hn_image_need.
 * The scaler's mean is rounded to whole counts: fit it so.
 *
 * With cfg->frozen (4-byte aligned) and the calibration that it was made with (hn_calib_of), the
 * new image differs from it only where a weight has moved by a step of its grid, and in biases:
 * what a delta has to carry.  Weights that have outgrown the grid are held at its ends: see
 * hn_quant_clipped.
 * Errors: HN_EINVAL (no int8 form, scaler, frozen is of another net), HN_ENOMEM (cap),
 * HN_ENUMERIC (also: a bias outside the frozen grid). */
struct hn_bytes { uint8_t *p; size_t cap; };
hn_status hn_image_write(const struct hn_quant_cfg *cfg, const struct hn_calib *calib,
                         struct hn_bytes out, size_t *len, struct hn_err *err);

/* Is this the row that layer `l` has in an image? */
bool hn_image_is_row(const struct hn_layer *l, const struct hd_layer *row);

/* Set the limit of an autoencoder's image, >= 1 (hd_net_answer); it is written as 255. */
void hn_image_limit(uint8_t *image, uint8_t limit);

/* The grids of a version; `net` is folded (hn_net_fold).  Errors: HN_ENOENT (made before versions
 * kept them), HN_EINVAL (another net). */
hn_status hn_calib_of(const struct hn_model *m, const struct hn_net *net, struct hn_calib *calib);

/* Keep the grids in a version that is about to be written: all fields of hn_model about int8 but
 * the image. */
void hn_calib_keep(const struct hn_calib *calib, const struct hn_net *net, struct hn_model *m);

/* step (n_weights,): the int8 step of each weight, 0 where there is none (biases).  On the grid of
 * cfg->frozen, or that of cfg->weights.  Errors: HN_EINVAL. */
hn_status hn_quant_steps(const struct hn_quant_cfg *cfg, const struct hn_calib *calib, float *step);

/* Number of weights that lie outside -127..127 steps. */
size_t hn_quant_clipped(const struct hn_net *net, const float *weights, const float *step);

/* Training for int8: give `f` to a run, or to hn_train_cfg.  Weights are rounded by their largest
 * (or on the grid of cfg->frozen), values on the grids of `calib`.  cfg and calib must outlive it;
 * cfg->weights is not read.  Errors: HN_EINVAL (no int8 form). */
hn_status hn_fake_init(struct hn_fake *f, const struct hn_quant_cfg *cfg,
                       const struct hn_calib *calib);

/* How close int8 is to float on x (n, in), scaled inputs. */
struct hn_agreement {
	uint32_t n, same_argmax;         /* samples; those whose largest output is the same    */
	double   snr_db[HN_NET_LAYERS_MAX];      /* by layer: power of float over power of error;
	                                            NAN for a layer fused into its predecessor */
	double   out_mse;                /* mean squared error of the dequantised outputs      */
	uint8_t  worst;                  /* layer with the lowest snr_db                       */
};
struct hn_agree_job {
	const struct hn_quant_cfg *cfg;
	const struct hn_calib *calib;
	const uint8_t *image;            /* 4-byte aligned                                     */
	uint32_t image_len;
	struct hn_samples samples;
};
/* Buffers from `arena` (may be dry: then only counts), given back.  Errors: HN_EFORMAT (not an
 * image of this net), HN_EDATA (no samples), HN_ENOMEM. */
hn_status hn_agree(const struct hn_agree_job *job, struct hn_arena *arena,
                   struct hn_agreement *out);

/* Calibrate by every rule in turn and keep the one whose image agrees best with float on the
 * samples: most of the same classes, then the least error of the outputs.  cfg->rule is not read.
 * Buffers from `arena` (may be dry), given back.  Errors as hn_calibrate and hn_image_write. */
struct hn_choice {
	struct hn_calib calib;
	enum hn_calib_rule rule;
	struct hn_agreement agreement;
};
hn_status hn_calib_choose(const struct hn_quant_cfg *cfg, struct hn_samples s,
                          struct hn_arena *arena, struct hn_choice *out, struct hn_err *err);

/* What each layer costs by itself: power over error of the outputs when nothing but it is rounded.
 * snr_db[0] is the input, snr_db[i + 1] layer i (NAN when it is fused into the one before).
 * Buffers from `arena` (may be dry), given back.  Errors: HN_EDATA, HN_EINVAL, HN_ENOMEM. */
struct hn_hurts {
	double  snr_db[HN_NET_LAYERS_MAX + 1];
	uint8_t most;                    /* where snr_db is least                              */
};
hn_status hn_quant_hurts(const struct hn_quant_cfg *cfg, const struct hn_calib *calib,
                         struct hn_samples s, struct hn_arena *arena, struct hn_hurts *out);

/* Self-test vectors { i8 in[in_len * in_ch], i8 out[out_n] } * k from raw windows (k, len * ch).
 * out (k * (in + out_n),).  Buffers from `arena`, given back.
 * Errors: HN_EFORMAT (image), HN_ENOMEM. */
struct hn_selftest_job {
	const uint8_t *image;            /* 4-byte aligned                                     */
	uint32_t image_len;
	const int32_t *raw;              /* (k, in_len * in_ch) counts                          */
	uint32_t k;
};
hn_status hn_selftest_make(const struct hn_selftest_job *job, struct hn_arena *arena,
                           struct hn_bytes out, size_t *len);
#endif
