/* hn_kernel.h - vector kernels, one table of functions for each level of the CPU.
 *
 * One source (hn_kernel.inc.h) is compiled once a level.  Sums run in the same order at every
 * vector width, so all levels with fused multiply-add (avx2, avx512, neon) give the same bits;
 * "base" rounds twice and differs in the last ones. */
#ifndef HN_KERNEL_H
#define HN_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HN_LANES = 16 };          /* a batch is padded to a multiple of it; floats a cache line */

/* Largest errors against the exact function: relative for exp, sigmoid and tanh, absolute for log
 * in [0.5, 2]; checked in tests/unit/check_kernel.c. */
#define HN_EXP_ERROR  3e-7
#define HN_TANH_ERROR 4e-7
#define HN_LOG_ERROR  1e-7
#define HN_SIGMOID_ERROR 5e-7

/* C[m][n] = A * B, A(i, k) = a[i * rsa + k * csa], B(k, j) = b[k * ldb + j].
 * Up to HN_LANES floats behind the last row of B may be read (and are ignored). */
struct hn_gemm {
	size_t m, n, k;
	const float *a;
	size_t rsa, csa;
	const float *b;
	size_t ldb;
	float *c;
	size_t ldc;
	const float *bias;       /* (m,) start of every sum in row i, or NULL = 0             */
	bool add;                /* start from C instead of 0; not together with a bias       */
	/* The sum goes on over `more` further stretches of k, A and B moved on by a step each time. */
	size_t more;
	ptrdiff_t a_step, b_step;
};

/* rows (n, ld) = rows order[i] of src (., width), row i where order is NULL. */
struct hn_gather_args {
	size_t n, width, ld;
	const float *src;
	const uint32_t *order;
	float *rows;
};

struct hn_adam_args {
	size_t n;
	float *w, *m, *v;        /* (n,) */
	const float *g;
	bool plain;              /* nothing is done to the gradient:                          */
	float g_scale;           /* it is multiplied by this,                                 */
	float l2;                /* and l2 w is added to it                                   */
	float decay;             /* w *= decay first                                          */
	float b1, b2, c1, c2, eps;       /* c = 1 - b, rounded once                        */
	float rate;              /* lr / (1 - b1^t)                                           */
	float v_norm;            /* 1 / sqrt(1 - b2^t)                                        */
	double *change, *norm;   /* out: sums of squares of the change, and of w after it     */
};

/* g' = g_scale g + l2 w;  m = momentum m + g';  w -= rate (by_m m + by_g g') */
struct hn_sgd_args {
	size_t n;
	float *w, *m;            /* (n,) */
	const float *g;
	float g_scale, l2, momentum, rate, by_m, by_g;
	double *change, *norm;   /* as for Adam                                               */
};

/* Losses by targets, means over m. */
struct hn_target_args {
	size_t m, lanes;
	const float *y, *t;      /* (m, lanes) */
	const float *share;      /* (lanes,)   */
	float *loss;             /* (lanes,)                                                  */
	float *dy;               /* (m, lanes) gradient of sum of share * loss, or NULL       */
	float delta;             /* huber                                                     */
};

/* The loss of classes: loss_cross_entropy.c. */
struct hn_class_args {
	size_t m, lanes;
	const float *y;          /* (m, lanes)                                                */
	const int32_t *label;    /* (lanes,) 0 .. m - 1                                       */
	const float *share;      /* (lanes,)                                                  */
	const float *class_weight;       /* (m,) or NULL = 1                                   */
	float smoothing;
	float *loss;             /* (lanes,)                                                  */
	float *dy;               /* (m, lanes) gradient of sum of share * loss, or NULL       */
};

struct hn_pool_args {
	size_t n;                /* floats of one block, a multiple of HN_LANES               */
	size_t taps, step;       /* blocks pooled into one, floats from one to the next       */
	const float *x;          /* first block of the input */
	float *y;                /* (n,) */
	const float *dy;         /* (n,) */
	float *dx;               /* first block; gradients are added to it                    */
};

/* A strip: `count` blocks of n floats, each block xs floats (of z: zs) behind the one before.
 * Blocks are padded to a multiple of HN_LANES; what lies behind n does not count. */
struct hn_strip_args {
	size_t count, n;
	const float *x, *z;
	size_t xs, zs;
	float x_shift, z_shift;  /* taken off every x and z                                   */
};

/* Tensors (frames, ch, lanes); a, b, d, mean (ch,). */
struct hn_norm_args {
	size_t frames, ch, lanes;
	size_t n;                /* lanes that count: dx is 0 in the others                   */
	const float *x, *mean, *a, *b, *d;
	float *y;                /* forward:  a (x - mean) + b                                */
	const float *dy;
	float *dx;               /* backward: a dy + b (x - mean) + d                         */
};

/* One output frame of a depthwise convolution over taps that lie inside the window. */
struct hn_depth_args {
	size_t ch, lanes, taps;
	size_t step;             /* floats from the frame of one tap to the next              */
	const float *w;          /* first tap of channel 0, the next channel ws floats behind */
	size_t ws;
	const float *bias;       /* (ch,)                                                     */
	const float *x;          /* (ch, lanes) frame of the first tap                        */
	float *y;                /* (ch, lanes)                                               */
	const float *dy;         /* (ch, lanes)                                               */
	float *dx;               /* frame of the first tap; gradients are added to it         */
};

/* Multiplies by 0 with probability share, otherwise by 1 / (1 - share).  The bits of row i and lane
 * j are a hash of (key, i, first + j). */
struct hn_drop_args {
	size_t rows, lanes, first;
	uint64_t key;
	float share;             /* [0, 1)                                                    */
	const float *x;
	float *y;                /* may be x                                                  */
};

struct hn_gru_args {
	size_t n;                /* units * lanes                                             */
	float *gate;             /* (4, n) n, r, z, hidden: see layer_gru.c; read by backward */
	const float *h;          /* (n,) state before                                         */
	float *y;                /* (n,) forward: state after; may be h                       */
	float *dh;               /* (n,) backward: gradient of the state, after to before     */
	const float *dy;         /* (n,) is added to dh first, or NULL                        */
	float *d;                /* (4, n) gradients of the gates' sums                       */
};

struct hn_kernels {
	const char *name;
	void (*gemm)(const struct hn_gemm *g);
	/* dst[j][i] = src[i][j]; src (m, n) rows lds apart, dst (n, m) rows ldd apart. */
	void (*transpose)(const float *src, size_t lds, float *dst, size_t ldd, const size_t mn[2]);
	void (*gather)(const struct hn_gather_args *a);
	/* out[i] = sum over lanes of x[i][.]; x (m, lanes). */
	void (*row_sums)(const float *x, size_t m, size_t lanes, float *out);
	double (*sum_sq)(const float *x, size_t n);
	/* n is a multiple of HN_LANES in all that follow; y may be x, dx may be dy. */
	void (*relu)(const float *x, float *y, size_t n);
	void (*relu_back)(const float *y, const float *dy, float *dx, size_t n);
	void (*tanh)(const float *x, float *y, size_t n);
	void (*tanh_back)(const float *y, const float *dy, float *dx, size_t n);
	void (*exp)(const float *x, float *y, size_t n);
	void (*log)(const float *x, float *y, size_t n);
	/* Softmax over the rows of y (m, lanes): p = exp(y - max) / sum; mx, sum (lanes,). */
	void (*softmax)(const float *y, const size_t m_lanes[2], float *p, float *mx, float *sum);
	/* y = min(max(x, 0), hi) */
	void (*bound)(const float *x, float *y, float hi, size_t n);
	void (*bound_back)(const float *y, const float *dy, float *dx, float hi, size_t n);
	/* y = x >= 0 ? x : slope x, slope > 0 */
	void (*leaky)(const float *x, float *y, float slope, size_t n);
	void (*leaky_back)(const float *y, const float *dy, float *dx, float slope, size_t n);
	void (*sigmoid)(const float *x, float *y, size_t n);
	void (*sigmoid_back)(const float *y, const float *dy, float *dx, size_t n);
	void (*max_pool)(const struct hn_pool_args *a);  /* reads x, writes y                 */
	void (*max_pool_back)(const struct hn_pool_args *a);     /* reads x, y, dy; adds to dx */
	void (*avg_pool)(const struct hn_pool_args *a);
	void (*avg_pool_back)(const struct hn_pool_args *a);     /* reads dy; adds to dx      */
	/* out = x + y; any two may be the same array. */
	void (*add)(const float *x, const float *y, float *out, size_t n);
	/* dx = y (dy - sum over the rows of dy y); y (m, lanes); dx may be dy. */
	void (*softmax_back)(const float *y, const float *dy, float *dx, const size_t m_lanes[2]);
	void (*drop)(const struct hn_drop_args *a);
	float (*strip_sum)(const struct hn_strip_args *a);       /* of x - x_shift            */
	float (*strip_dot)(const struct hn_strip_args *a);       /* of (x - x_shift) (z - z_shift) */
	void (*norm)(const struct hn_norm_args *a);
	void (*norm_back)(const struct hn_norm_args *a);
	void (*depth)(const struct hn_depth_args *a);
	void (*depth_back)(const struct hn_depth_args *a);
	void (*gru)(const struct hn_gru_args *a);
	void (*gru_back)(const struct hn_gru_args *a);
	void (*cross_entropy)(const struct hn_class_args *a);
	void (*mse)(const struct hn_target_args *a);
	void (*huber)(const struct hn_target_args *a);
	void (*binary)(const struct hn_target_args *a);  /* cross-entropy of logits           */
	void (*sgd)(const struct hn_sgd_args *a);
	void (*adam)(const struct hn_adam_args *a);
};

/* The best level of this CPU; never NULL. */
const struct hn_kernels *hn_kernels_best(void);

/* Level i that this CPU can run, slowest first; NULL behind the last. */
const struct hn_kernels *hn_kernels_at(size_t i);
#endif
