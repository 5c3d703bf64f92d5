/* t_quant.h - from a text to an int8 image: what the tests of lib/quant share. */
#ifndef T_QUANT_H
#define T_QUANT_H

#include "hn_arena.h"
#include "hn_quant.h"

/* The test's own storage and samples. */
struct t_quant {
	struct hn_arena *arena;
	const float *x;                  /* (n, values of a window)                   */
	const int32_t *label;            /* (n,)                                      */
	uint32_t n;
	float *weights;                  /* enough for the net                        */
	struct hn_bytes image;
};

/* Raw counts: every channel has its own offset and spread. */
struct hn_scaler t_quant_scaler(uint16_t ch);

/* Fit a classifier into t->weights, at a rate of 0.01. */
void t_quant_train(const struct t_quant *t, const struct hn_net *net, uint32_t epochs);

/* Calibrate on the samples and write t->image, which opens.  Its length. */
size_t t_quant_image(const struct t_quant *t, const struct hn_quant_cfg *cfg,
                     struct hn_calib *calib);
#endif
