/* hd_ops.h - the kinds of layer that a firmware can run.  A kind is one file, one line in hd_ops.c
 * and one row in hd_check.c. */
#ifndef HD_OPS_H
#define HD_OPS_H

#include "hd_image.h"

/* A firmware that will never get some kinds of layer names those that it takes, and the linker
 * leaves out the rest: -DHD_OPS='HD_HAS(DENSE) | HD_HAS(LUT)'.  Images with others are refused. */
#define HD_HAS(kind) (1u << HD_OP_##kind)
#ifndef HD_OPS
#define HD_OPS ((1u << HD_OP_END) - 2)
#endif

/* The ways of rounding that a firmware takes: 1 = twice (rq_mode 0), 2 = once (rq_mode 1), 3 =
 * both; images with another are refused.  Gru and softmax divide with two roundings in all. */
#ifndef HD_RQ_MODES
#define HD_RQ_MODES 1
#endif

/* Run one layer: x (in_len, in_ch) to y (out_len, out_ch).
 *   c      its constants, 4-byte aligned
 *   arena  where the kept output of an add lies, which may be y, and the work of a gru:
 *          (2, out_ch) int16; both at l->more_at */
typedef void (*hd_run)(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y,
                       void *arena);
void hd_conv1d_run(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y,
                   void *arena);         /* and dense, and depthwise                       */
void hd_pool_run(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y,
                 void *arena);           /* largest and mean                               */
void hd_lut_run(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y,
                void *arena);
void hd_add_run(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y,
                void *arena);
void hd_gru_run(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y,
                void *arena);
void hd_softmax_run(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y,
                    void *arena);

/* One number of an output: channel o of frame t. */
typedef int8_t (*hd_one)(const struct hd_layer *l, const uint8_t *c, const int8_t *x, uint32_t t,
                         uint32_t o);

/* All numbers of an output. */
void hd_each(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y, hd_one one);

/* By op number; NULL for those that this firmware has not. */
extern const hd_run hd_ops[HD_OP_END];

/* round(x * mult * 2^(shift - 31)), halves up, held at the ends of the 32-bit range. */
int32_t hd_rq_once(int32_t x, int32_t mult, int shift);

/* hd_rq or hd_rq_once, as rq_mode says. */
static inline int32_t hd_rescale(int32_t x, int32_t mult, int shift, int rq_mode)
{
	bool once = HD_RQ_MODES == 2 || (HD_RQ_MODES == 3 && rq_mode != 0);

	return once ? hd_rq_once(x, mult, shift) : hd_rq(x, mult, shift);
}

/* v + zp, which may be more than 32 bits, held between the two int8 numbers at `bounds`. */
int8_t hd_clamp(int32_t v, int zp, const uint8_t *bounds);
#endif
