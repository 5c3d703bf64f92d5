/* t_nets.h - data and nets that several tests of the training core share. */
#ifndef T_NETS_H
#define T_NETS_H

#include "hn_arena.h"
#include "hn_net.h"
#include "hn_train.h"

/* An arena over fresh heap memory of exactly `bytes`; free with t_arena_free. */
struct hn_arena t_arena(size_t bytes);
void t_arena_free(struct hn_arena *a);

/* Parse, or abort the test; t_net: of one frame. */
struct hn_net t_net_of(const char *text, struct hn_net_io io);
struct hn_net t_net(const char *text, enum hn_task task, uint16_t in_ch, uint16_t out_n);

/* n samples in two dimensions, classes 0 and 1, interleaved. */
enum t_shape { T_MOONS, T_XOR, T_LINEAR };
void t_points(enum t_shape shape, uint64_t seed, uint32_t n, float *x, int32_t *label);

/* Gaussian clusters: `classes` centres in `dim` dimensions, spread 0.5, unit centres. */
void t_clusters(uint64_t seed, const uint32_t n_dim_classes[3], float *x, int32_t *label);
#endif
