/* t_hd_net.h - the device's arithmetic written a second time, and random nets to compare with. */
#ifndef T_HD_NET_H
#define T_HD_NET_H

#include "hd_image.h"
#include "hn_rng.h"

/* gemmlowp fixedpoint.h: SaturatingRoundingDoublingHighMul, then RoundingDivideByPOT. */
int32_t t_rq(int32_t x, int32_t mult, int shift);
/* TFLite with one rounding: floor(x * mult * 2^(shift - 31) + 1/2), held. */
int32_t t_rq_once(int32_t x, int32_t mult, int shift);
int t_clamp(int64_t v, int low, int high);

/* An opened image by the formulas of hd_image.h, in 64-bit integers and with real padding:
 * in (in_len, in_ch) -> out (out_n,). */
void t_net_reference(const uint8_t *image, const int8_t *in, int8_t *out);

/* TFLite's reference int8 softmax over n numbers; exps[d] = exp of d steps down, Q31. */
void t_softmax(const int32_t exps[256], const int8_t *x, int8_t *y, int n);

/* A net of two to ten random layers of all kinds: windows, strides, dilations, both kinds of
 * padding and any in between; outputs kept for a later add, one inside the other.
 * out (T_NET_MAX,) 4-byte aligned.  Returns the length. */
enum { T_NET_MAX = 1 << 18 };
uint32_t t_net_random(struct hn_rng *rng, uint8_t *out);

/* Row i of the image's table. */
struct hd_layer t_net_layer(const uint8_t *image, unsigned i);
#endif
