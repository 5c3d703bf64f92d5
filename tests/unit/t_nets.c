#include "t_nets.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include "hn_rng.h"

struct hn_arena t_arena(size_t bytes)
{
	struct hn_arena a;
	void *mem = aligned_alloc(HN_ARENA_ALIGN, (bytes + 63) / 64 * 64 + 64);

	ck_assert_ptr_nonnull(mem);
	hn_arena_init(&a, mem, bytes);
	return a;
}

void t_arena_free(struct hn_arena *a)
{
	free(a->mem);
	a->mem = NULL;
}

struct hn_net t_net_of(const char *text, struct hn_net_io io)
{
	struct hn_err err = { HN_OK, "" };
	struct hn_net net;

	ck_assert_msg(hn_net_parse(&net, text, &io, &err) == HN_OK, "%s: %s", text, err.text);
	return net;
}

struct hn_net t_net(const char *text, enum hn_task task, uint16_t in_ch, uint16_t out_n)
{
	return t_net_of(text, (struct hn_net_io){ task, 1, in_ch, out_n });
}

void t_points(enum t_shape shape, uint64_t seed, uint32_t n, float *x, int32_t *label)
{
	struct hn_rng r;

	hn_rng_seed(&r, seed);
	for (uint32_t i = 0; i < n; i++) {
		double a = 2 * hn_rng_unit(&r) - 1, b = 2 * hn_rng_unit(&r) - 1;
		int32_t c = (int32_t)(i & 1);

		if (shape == T_MOONS) {
			const double t = 3.14159265358979 * hn_rng_unit(&r);

			a = (c ? 1 - cos(t) : cos(t)) + 0.05 * hn_rng_normal(&r) - 0.5;
			b = (c ? 0.5 - sin(t) : sin(t)) + 0.05 * hn_rng_normal(&r) - 0.25;
		} else if (shape == T_XOR) {
			a = copysign(0.1 + fabs(a), a);
			b = copysign(0.1 + fabs(b), c ? -a : a);
		} else {
			a = copysign(0.05 + fabs(a), c ? 1 : -1);
			a += 0.3 * b;
		}
		x[2 * i] = (float)a;
		x[2 * i + 1] = (float)b;
		label[i] = c;
	}
}

void t_clusters(uint64_t seed, const uint32_t q[3], float *x, int32_t *label)
{
	struct hn_rng r, centre;

	hn_rng_seed(&r, seed);
	for (uint32_t i = 0; i < q[0]; i++) {
		label[i] = (int32_t)hn_rng_below(&r, q[2]);
		hn_rng_seed(&centre, 1000 + (uint64_t)label[i]);
		for (uint32_t d = 0; d < q[1]; d++)
			x[i * q[1] + d] = (float)(hn_rng_normal(&centre) + 0.5 * hn_rng_normal(&r));
	}
}
