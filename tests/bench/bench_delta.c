#include "bench_delta.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_image.h"
#include "hn_quant.h"
#include "hn_rng.h"
#include "hn_train.h"

enum { LEN = 64, N = 2048, HELD = 512, ARENA_BYTES = 64 << 20, SEED = 20261123, FIRST = 11 };
#define SPARSE 6e-4f     /* loss of a weight one grid step away: a wire budget near 4 KB */
#define NET "dense 92, relu, dense 32, relu, dense 92, relu, dense 64"

const char *const bench_update_names[BENCH_UPDATES] = { "full fit", "last layer", "sparse fit" };

static float fresh[(N + HELD) * LEN], drifted[(N + HELD) * LEN];
static struct hn_net net;
static struct hn_arena arena;
static struct hn_scaler scaler;
static struct hn_calib calib;
static float weights[1 << 15], start[1 << 15], step[1 << 15];
static _Alignas(8) uint8_t image[BENCH_PAYLOAD_MAX], old_image[BENCH_PAYLOAD_MAX];
static uint8_t activations[4096] __attribute__((aligned(8)));

/* A window of a machine: see the header. */
static void window(struct hn_rng *rng, const double *drift, float *x)
{
	const double pi2 = 6.283185307179586, p1 = pi2 * hn_rng_unit(rng), p2 = pi2 * hn_rng_unit(rng);
	const double a = 0.6 + 0.5 * hn_rng_unit(rng), b = drift[0] * (0.3 + 0.3 * hn_rng_unit(rng));
	const double level = 0.2 * hn_rng_normal(rng) + drift[2];

	for (int t = 0; t < LEN; t++) {
		const double w = p1 + 0.196 * t * drift[1];

		x[t] = (float)(a * sin(w) + b * sin(p2 + 0.59 * t * drift[1]) + 0.15 * sin(2 * w) + level
		               + 0.05 * hn_rng_normal(rng));
	}
}

static void fill(float *x, const double *drift, uint64_t seed)
{
	struct hn_rng rng;

	hn_rng_seed(&rng, seed);
	for (int i = 0; i < N + HELD; i++)
		window(&rng, drift, x + i * LEN);
}

static bool failed(const char *what, const struct hn_err *err)
{
	fprintf(stderr, "bench-link: %s: %s\n", what, err->text);
	return false;
}

/* The result goes to `weights`. */
static bool fit(const float *x, const struct hn_train_cfg *how, double *loss)
{
	const struct hn_data data = { .train = { .n = N, .x = x },
		.valid = { .n = HELD, .x = x + N * LEN } };
	struct hn_train_job job = { .cfg = how, .data = &data, .arena = &arena };
	struct hn_train_result r;
	struct hn_err err = { HN_OK, "" };
	const size_t mark = arena.used;

	if (hn_train_run(&job, &r, &err) != HN_OK)
		return failed("a fit", &err);
	memcpy(weights, r.weights, net.n_weights * sizeof *weights);
	*loss = r.valid_loss;
	hn_arena_reset(&arena, mark);
	return true;
}

static bool quantise(const float *x, bool on_old_grid, size_t *len)
{
	struct hn_quant_cfg cfg = { .net = &net, .weights = weights, .scaler = &scaler };
	struct hn_err err = { HN_OK, "" };

	if (on_old_grid) {
		cfg.frozen = old_image;
		cfg.frozen_len = (uint32_t)*len;
	} else if (hn_calibrate(&cfg, (struct hn_samples){ x, N }, &arena, &calib, &err) != HN_OK) {
		return failed("calibration", &err);
	}
	if (hn_image_write(&cfg, &calib, (struct hn_bytes){ image, sizeof image }, len, &err) != HN_OK)
		return failed("quantisation", &err);
	return true;
}

static bool pack(struct bench_set *s, struct hn_package_spec *spec, size_t image_len)
{
	struct hn_package_out out = { .payload = s->payload, .cap = sizeof s->payload,
		.arena = activations, .arena_cap = sizeof activations };

	spec->image = image;
	spec->image_len = (uint32_t)image_len;
	spec->version++;
	spec->model_version = spec->version;
	if (hn_package_build(spec, &out) != HN_OK)
		return failed("a package", &(struct hn_err){ HN_OK, "cannot be built" });
	memcpy(s->header, out.header, sizeof s->header);
	s->full = (struct hn_peer_package){ .header = s->header, .payload = s->payload,
		.len = (uint32_t)out.len, .version = spec->version, .model_version = spec->version };
	return true;
}

static void differ(struct bench_set *s, struct bench_set *old, const struct hn_package_spec *spec)
{
	struct hn_package_out from = { .payload = old->payload, .len = old->full.len };
	struct hn_package_out full = { .payload = s->payload, .len = s->full.len };
	struct hn_package_out out = { .payload = s->patch, .cap = s->full.len - 1 };
	unsigned changed = 0;

	memcpy(from.header, old->header, sizeof from.header);
	memcpy(full.header, s->header, sizeof full.header);
	for (uint32_t i = 0; i < s->full.len; i++)
		changed += s->payload[i] != old->payload[i];
	s->moved = (double)changed / s->full.len;
	s->delta.len = 0;
	if (hn_package_delta(spec, &from, &full, &out) != HN_OK)
		return;
	memcpy(s->patch_header, out.header, sizeof s->patch_header);
	s->delta = s->full;
	s->delta.header = s->patch_header;
	s->delta.payload = s->patch;
	s->delta.len = (uint32_t)out.len;
	s->delta.full = &s->full;
}

static bool train_old(struct bench_set *old, struct hn_package_spec *spec, size_t *len)
{
	struct hn_train_cfg cfg;

	hn_train_defaults(&cfg, &net);
	cfg.seed = SEED;
	cfg.lr = 2e-3f;
	cfg.epochs = 40;
	cfg.patience = 0;
	cfg.schedule = HN_COSINE;
	if (!fit(fresh, &cfg, &old->loss) || !quantise(fresh, false, len))
		return false;
	memcpy(start, weights, sizeof start);
	memcpy(old_image, image, *len);
	return pack(old, spec, *len);
}

static bool train_next(struct bench_set *s, enum bench_update how, size_t *len)
{
	struct hn_quant_cfg steps = { .net = &net, .weights = start, .scaler = &scaler,
		.frozen = old_image, .frozen_len = (uint32_t)*len };
	struct hn_train_cfg cfg;

	hn_train_defaults(&cfg, &net);
	cfg.seed = SEED + 1;
	cfg.start = start;
	cfg.epochs = how == BENCH_SPARSE ? 40 : 8;       /* to find the few that matter takes longer */
	cfg.schedule = how == BENCH_SPARSE ? HN_COSINE : HN_CONSTANT;
	cfg.patience = 0;
	cfg.lr = 1e-3f;
	cfg.weight_decay = 0;
	cfg.update = how == BENCH_FULL ? HN_FULL : how == BENCH_LAST ? HN_LAST : HN_SPARSE;
	if (how == BENCH_SPARSE) {
		if (hn_quant_steps(&steps, &calib, step) != HN_OK)
			return failed("the grid", &(struct hn_err){ HN_OK, "cannot be had" });
		cfg.grid = step;
		cfg.sparse = SPARSE;
	}
	return fit(drifted, &cfg, &s->loss) && quantise(drifted, how != BENCH_FULL, len);
}

/* Loss of the old weights on what has drifted. */
static double old_loss(void)
{
	const struct hn_set held = { .n = HELD, .x = drifted + N * LEN };
	struct hn_train_cfg cfg;
	struct hn_score score = { .loss = NAN };

	hn_train_defaults(&cfg, &net);
	(void)hn_evaluate(&cfg, start, &held, &arena, &score);   /* NAN tells of a failure */
	return score.loss;
}

bool bench_delta_make(struct bench_set *old, struct bench_set *next, const uint8_t *uid,
                      const uint8_t *key, uint8_t key_id)
{
	static const double is_new[] = { 1, 1, 0 }, is_old[] = { 1.3, 1.05, 0.15 };
	const struct hn_net_io io = { HN_AUTOENCODE, LEN, 1, 0 };
	struct hn_package_spec spec = { .key_id = key_id, .version = FIRST - 1 };
	struct hn_err err = { HN_OK, "" };
	struct hn_calib first;
	size_t len = 0;
	void *mem = aligned_alloc(HN_ARENA_ALIGN, ARENA_BYTES);
	bool ok;

	if (!mem || hn_net_parse(&net, NET, &io, &err) != HN_OK)
		return failed("the net", &err);
	hn_arena_init(&arena, mem, ARENA_BYTES);
	memcpy(spec.uid, uid, HD_UID_LEN);
	memcpy(spec.key, key, HD_KEY_LEN);
	scaler = (struct hn_scaler){ .n_ch = 1, .std = { 8192 } };
	fill(fresh, is_new, SEED);
	fill(drifted, is_old, SEED + 7);
	ok = train_old(old, &spec, &len);
	first = calib;
	for (int i = 0; ok && i < BENCH_UPDATES; i++) {
		calib = first;
		ok = train_next(&next[i], (enum bench_update)i, &len) && pack(&next[i], &spec, len);
		next[i].before = old_loss();
		if (ok)
			differ(&next[i], old, &spec);
	}
	free(mem);
	return ok;
}
