/* hn_conv.h - what the convolutions share: options, geometry, taps.  Private to the layer files. */
#ifndef HN_CONV_H
#define HN_CONV_H

#include "hn_layer.h"

/* stride N, dilation N, same */
extern const struct hn_option hn_conv_options[];

/* pad: frames of zeros before the first.  "same": out_len = ceil(len / stride), the odd zero behind
 * (TFLite's rule). */
struct hn_conv { size_t in, len, out, kernel, stride, dilation, out_len; long pad; };

struct hn_conv hn_conv_of(const struct hn_layer *l, size_t kernel);

/* Set l->out.len for a kernel of the text, which must be whole, and check the options. */
hn_status hn_conv_shape(struct hn_layer *l, double kernel, struct hn_err *err);

/* A whole number from 1 to hi. */
bool hn_conv_whole(double v, double hi);

/* Taps [first, first + n) of output frame t that lie inside the window, from input frame `frame` on
 * and `dilation` apart; n == 0: none. */
struct hn_taps { size_t first, n, frame; };
struct hn_taps hn_conv_taps(const struct hn_conv *g, size_t t);

/* Output frames [from, to) for which taps [first, first + n), n >= 1, lie inside the window. */
void hn_conv_span(const struct hn_conv *g, size_t first, size_t n, size_t *from, size_t *to);

/* Uniform by fan in and out (hn_net_init); w [l->out.ch][fan_in], then the bias, zero. */
struct hn_fan { size_t in, out; };
void hn_conv_init(const struct hn_layer *l, struct hn_fan fan, double gain, struct hn_rng *rng,
                  float *w);

/* The image holds kernel, stride, dilation and padding as one byte each. */
bool hn_conv_in_image(const struct hn_conv *g);
uint32_t hn_conv_pq(const struct hn_conv *g);
#endif
