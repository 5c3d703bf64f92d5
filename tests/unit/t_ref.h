/* t_ref.h - nets in double, written down from the definitions of the layers: slow, and independent
 * of lib/nn but for the parsed shapes. */
#ifndef T_REF_H
#define T_REF_H

#include <stdbool.h>
#include "hn_model.h"
#include "hn_net.h"

enum { T_REF_N = 40, T_REF_VALUES = 1024 };

struct t_ref {
	const struct hn_net *net;        /* tensors of T_REF_VALUES numbers at most            */
	const double *w;                 /* (n_weights,)                                       */
	const float *x;                  /* (n, in)                                            */
	uint32_t n;                      /* 1 .. T_REF_N                                       */
	bool learning;                   /* statistics of the batch, dropout                   */
	uint64_t seed, step;
	double *least;                   /* NULL, or lowered to the smallest variance of a norm */
};

/* out (n, out_n). */
void t_ref_forward(const struct t_ref *r, double *out);

/* A random net within `most`, with add, gru, norms, pools and convolutions, and its text; the shape
 * of its input and its weights w (most.weights,) are random, too.  The same seed, the same. */
struct t_random { struct hn_net net; char text[HN_NET_TEXT_MAX]; };
struct t_limits { unsigned layers; uint32_t weights; };
void t_random_net(uint64_t seed, struct t_limits most, struct t_random *out, float *w);
#endif
