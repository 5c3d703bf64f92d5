/* parity_make.c - nets, inputs and our outputs for the runtimes that `make parity` compares with.
 * Usage: parity_make FOLDER
 *
 * For net K it writes K.txt (the net), K_int8.tflite, K_float.tflite, K_qdq.onnx, K_float.onnx,
 * inputs and outputs as the bytes that a runtime sees: K.in8 (SAMPLES, in), K.twice8 and K.once8
 * of the int8 images that round twice and once (and the files again, K_once.tflite and
 * K_once_qdq.onnx), K.in (SAMPLES, in) float and K.out of the float net.  All seeds are fixed. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_check.h"
#include "hn_export.h"
#include "hn_layer.h"
#include "hn_quant.h"
#include "hn_run.h"

enum { SEED = 20261124, RANDOM = 40, SAMPLES = 32, CALIB = 64, TEXT_MAX = 400, X_MAX = 64 * 4096,
	FILE_MAX = 1 << 22 };

struct shape { const char *text; uint16_t len, ch; };

/* Every operator by itself, every pair that is fused, both kinds of padding. */
static const struct shape fixed[] = {
	{ "dense 4", 1, 16 }, { "dense 32, relu, dense 6", 1, 24 }, { "dense 8, relu6, dense 3", 8, 3 },
	{ "conv1d 8x5 same, flatten, dense 4", 16, 3 }, { "conv1d 8x5, relu, flatten, dense 4", 16, 3 },
	{ "conv1d 6x3 stride 2 same, relu6, globalavgpool, dense 5", 33, 2 },
	{ "conv1d 4x3 dilation 3, relu, globalavgpool", 24, 4 },
	{ "conv1d 4x4 stride 3, maxpool 2, flatten, dense 4", 40, 2 },
	{ "maxpool 3 stride 2, relu, flatten", 16, 4 }, { "avgpool 4, flatten", 32, 3 },
	{ "avgpool 3 stride 1, relu6, flatten, dense 4", 12, 5 }, { "globalavgpool, dense 4", 50, 7 },
	{ "tanh, flatten", 6, 4 }, { "sigmoid, dense 4", 1, 12 }, { "dense 16, tanh, dense 4", 1, 8 },
	{ "dense 16, sigmoid, dense 4", 1, 8 }, { "leaky_relu, flatten", 20, 3 },
	{ "dense 16, leaky_relu 0.2, dense 4", 1, 8 }, { "relu, dense 4", 1, 8 },
	{ "relu6, dense 4", 1, 8 }, { "tanh, relu, dense 4", 1, 8 },
	{ "conv1d 16x5 same, relu, maxpool 2, conv1d 32x5 same, relu, maxpool 2, flatten, dense 64, "
	  "relu, dense 6", 128, 3 },
	{ "dense 64, relu, dense 16, relu, dense 64, relu, dense 128", 1, 128 },
	{ "dwconv1d 3 same, relu, dense 4", 12, 5 }, { "dwconv1d 4 stride 2, flatten", 17, 3 },
	{ "separable 8x5 same, relu6, dwconv1d 3 dilation 2, globalavgpool, dense 3", 20, 4 },
	{ "conv1d 6x3 same, tanh, conv1d 6x3 same, add 2, avgpool 2, dense 4", 16, 2 },
	{ "dense 8, sigmoid, dense 8, add 2, dense 8, add 4, dense 2", 1, 8 },
	{ "gru 8, dense 3", 12, 3 }, { "conv1d 5x3, gru 6 seq, gru 4 seq, flatten", 11, 2 },
	{ "conv1d 4x3 same, relu, conv1d 4x3 same, add 2, relu, dense 4", 10, 4 },
	{ "relu, add 1, flatten", 6, 4 }, { "separable 3x3, flatten", 8, 2 },
	{ "dense 6, softmax", 1, 9 }, { "conv1d 5x3, softmax, dense 3", 10, 2 },
};
enum { FIXED = sizeof fixed / sizeof *fixed };

static float x[X_MAX], y[X_MAX];
static uint8_t file[FILE_MAX];
static _Alignas(8) uint8_t image[FILE_MAX];
static struct hn_arena arena;

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	exit(1);
}

static unsigned pick(struct hn_rng *r, unsigned low, unsigned high)
{
	return low + hn_rng_below(r, high - low + 1);
}

static int layer_text(struct hn_rng *r, char *out, size_t cap)
{
	static const char *const plain[] = { "relu", "relu6", "tanh", "sigmoid", "leaky_relu 0.3",
		"flatten", "globalavgpool" };

	switch (pick(r, 0, 6)) {
	case 0:
	case 1:
		return snprintf(out, cap, "conv1d %ux%u stride %u dilation %u%s, ", pick(r, 1, 12),
		                pick(r, 1, 7), pick(r, 1, 3), pick(r, 1, 3), pick(r, 0, 1) ? " same" : "");
	case 2:
		return snprintf(out, cap, "%s %u stride %u, ", pick(r, 0, 1) ? "maxpool" : "avgpool",
		                pick(r, 1, 4), pick(r, 1, 4));
	case 3:
		return snprintf(out, cap, "dense %u, ", pick(r, 1, 40));
	case 4:
		return snprintf(out, cap, "dwconv1d %u stride %u dilation %u%s, ", pick(r, 1, 6),
		                pick(r, 1, 3), pick(r, 1, 3), pick(r, 0, 1) ? " same" : "");
	default:
		return snprintf(out, cap, "%s, ", plain[pick(r, 0, 6)]);
	}
}

static bool has(const struct hn_net *net, const char *layer)
{
	for (unsigned i = 0; i < net->n_layers; i++)
		if (strcmp(net->layer[i].type->name, layer) == 0)
			return true;
	return false;
}

/* Means and leaky_relu each have a runtime that rounds them as we do, but not the same one. */
static bool comparable(const struct hn_net *net)
{
	return !has(net, "leaky_relu") || !(has(net, "avgpool") || has(net, "globalavgpool"));
}

/* A net that parses; its text goes to `text`. */
static struct hn_net random_net(struct hn_rng *r, char *text)
{
	for (;;) {
		const struct hn_net_io io = { HN_REGRESS, (uint16_t)pick(r, 1, 60), (uint16_t)pick(r, 1, 9),
			0 };
		const unsigned layers = pick(r, 1, 7);
		struct hn_net net;
		size_t at = 0;

		for (unsigned i = 0; i < layers; i++)
			at += (size_t)layer_text(r, text + at, TEXT_MAX - at);
		(void)snprintf(text + at, TEXT_MAX - at, "dense %u", pick(r, 1, 12));
		if (hn_net_parse(&net, text, &io, NULL) == HN_OK && comparable(&net))
			return net;
	}
}

/* Initial weights with biases; now and then a channel of zeros, a large bias, a tiny weight. */
static void fill_weights(const struct hn_net *net, struct hn_rng *r, float *w)
{
	hn_net_init(net, hn_rng_u64(r), w);
	for (unsigned i = 0; i < net->n_layers; i++) {
		const struct hn_layer *l = &net->layer[i];
		const size_t row = l->n_w / l->out.ch - 1;

		for (size_t o = 0; l->type->product && o < l->out.ch; o++) {
			float *bias = w + l->w_at + row * l->out.ch + o;

			*bias = (float)(0.3 * hn_rng_normal(r));
			if (hn_rng_below(r, 16) == 0)
				memset(w + l->w_at + o * row, 0, row * sizeof *w);
			if (hn_rng_below(r, 16) == 0)
				*bias = 3;
			if (hn_rng_below(r, 16) == 0)
				w[l->w_at + o * row] *= 1e-4f;
		}
	}
}

/* Inputs: noise, then all at the ends of the range. */
static void fill_inputs(struct hn_rng *r, size_t n, uint32_t samples)
{
	for (uint32_t j = 0; j < samples; j++)
		for (size_t i = 0; i < n; i++)
			x[j * n + i] = j == 0 ? 3.0f : j == 1 ? -3.0f : j == 2 ? 0.0f
			             : (float)(1.2 * hn_rng_normal(r));
}

static void save(const char *folder, unsigned k, const char *end, const void *p, size_t n)
{
	char path[600];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%02u%s", folder, k, end);
	f = fopen(path, "wbe");
	if (!f || fwrite(p, 1, n, f) != n || fclose(f) != 0)
		die("parity: %s cannot be written", path);
}

static void save_form(const char *folder, unsigned k, const struct hn_export *e, const char *end)
{
	struct hn_err err = { HN_OK, "" };
	size_t need = 0, len = 0;

	if (hn_export_write(e, (struct hn_bytes){ NULL, 0 }, &need, &err) != HN_OK || need > FILE_MAX ||
	    hn_export_write(e, (struct hn_bytes){ file, need }, &len, &err) != HN_OK || len != need)
		die("parity: net %u: %s (%zu, %zu)", k, err.text, need, len);
	save(folder, k, end, file, len);
}

static void save_int8(const char *folder, unsigned k, const struct hn_export *e, uint8_t rq_mode)
{
	const size_t in = hn_size(e->net->in), out = e->net->out_n;
	const struct hn_grid g = e->calib->grid[0];
	int8_t *q = malloc(SAMPLES * in), *r = malloc(SAMPLES * out);
	struct hd_net net;
	uint8_t *work;

	if (!q || !r || hd_net_check(&net, e->image, e->image_len) != HD_OK)
		die("parity: net %u: image does not open", k);
	work = malloc(net.arena + 4u);
	if (!work)
		die("parity: no memory");
	for (size_t i = 0; i < SAMPLES * in; i++)
		q[i] = (int8_t)fmax(-128, fmin(127, round((double)x[i] / (double)g.scale) + g.zp));
	for (size_t j = 0; j < SAMPLES; j++)
		hd_net_run(&net, q + j * in, work, r + j * out);
	save(folder, k, ".in8", q, SAMPLES * in);
	save(folder, k, rq_mode ? ".once8" : ".twice8", r, SAMPLES * out);
	free(q);
	free(r);
	free(work);
}

/* The image and the files of one way of rounding: the files must not differ. */
static void make_int8(const char *folder, unsigned k, struct hn_export *e,
                      const struct hn_quant_cfg *cfg)
{
	struct hn_err err = { HN_OK, "" };
	size_t len = 0;

	if (hn_image_write(cfg, e->calib, (struct hn_bytes){ image, FILE_MAX }, &len, &err) != HN_OK)
		die("parity: net %u: %s", k, err.text);
	e->image = image;
	e->image_len = (uint32_t)len;
	save_int8(folder, k, e, cfg->rq_mode);
	e->format = HN_FORMAT_ONNX;
	save_form(folder, k, e, cfg->rq_mode ? "_once_qdq.onnx" : "_qdq.onnx");
	e->format = HN_FORMAT_TFLITE;
	save_form(folder, k, e, cfg->rq_mode ? "_once.tflite" : "_int8.tflite");
}

static void make(const char *folder, unsigned k, const struct hn_net *net, const char *text,
                 struct hn_rng *r)
{
	const size_t in = hn_size(net->in);
	struct hn_scaler s = { .n_ch = net->in.ch };
	float *w = hn_arena_take(&arena, net->n_weights * sizeof *w + 4);
	struct hn_quant_cfg cfg = { .net = net, .weights = w, .scaler = &s };
	struct hn_err err = { HN_OK, "" };
	struct hn_calib calib;
	struct hn_export e = { .net = net, .weights = w, .scaler = &s };

	for (unsigned c = 0; c < s.n_ch; c++)
		s.std[c] = 100;
	fill_weights(net, r, w);
	fill_inputs(r, in, CALIB);
	if (hn_predict(&(struct hn_predict){ net, w }, x, SAMPLES, y, &arena) != HN_OK)
		die("parity: net %u '%s': %s", k, text, err.text);
	save(folder, k, ".txt", text, strlen(text));
	save(folder, k, ".in", x, SAMPLES * in * sizeof *x);
	save(folder, k, ".out", y, SAMPLES * net->out_n * sizeof *y);
	e.format = HN_FORMAT_ONNX;
	save_form(folder, k, &e, "_float.onnx");
	e.format = HN_FORMAT_TFLITE;
	if (has(net, "gru"))             /* there is no such operator; nor a QDQ one */
		return;
	save_form(folder, k, &e, "_float.tflite");
	if (hn_image_need(net) == 0)
		return;
	if (hn_calibrate(&cfg, (struct hn_samples){ x, CALIB }, &arena, &calib, &err) != HN_OK)
		die("parity: net %u '%s': %s", k, text, err.text);
	e.calib = &calib;
	make_int8(folder, k, &e, &cfg);
	cfg.rq_mode = 1;
	make_int8(folder, k, &e, &cfg);
}

int main(int argc, char **argv)
{
	struct hn_rng r;

	if (argc != 2)
		die("usage: parity_make FOLDER");
	hn_arena_init(&arena, aligned_alloc(HN_ARENA_ALIGN, 64 << 20), 64 << 20);
	if (!arena.mem)
		die("parity: no memory");
	hn_rng_seed(&r, SEED);
	for (unsigned k = 0; k < FIXED + RANDOM; k++) {
		char text[TEXT_MAX];
		struct hn_net net;

		if (k < FIXED) {
			const struct hn_net_io io = { HN_REGRESS, fixed[k].len, fixed[k].ch, 0 };
			struct hn_err err = { HN_OK, "" };

			(void)snprintf(text, sizeof text, "%s", fixed[k].text);
			if (hn_net_parse(&net, text, &io, &err) != HN_OK)
				die("parity: '%s': %s", text, err.text);
		} else {
			net = random_net(&r, text);
		}
		make(argv[1], k, &net, text, &r);
		hn_arena_reset(&arena, 0);
	}
	free(arena.mem);
	printf("parity: %d nets of %d samples, seed %d\n", FIXED + RANDOM, SAMPLES, SEED);
	return 0;
}
