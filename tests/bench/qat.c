/* qat.c - how many epochs of training for int8, and what they win back, on data that the choice
 * did not see.
 *
 * Batches 1 to 5 of the gas sensors choose among epochs / 8, / 4, / 2 and as many as the fit had;
 * 6 to 10 report.  So do pairs of batches (1, 2: choose) and the demo's pump with the default
 * settings of the daemon, whose fits are short: longer training helps there by itself.  Of each
 * group half trains, 15 % validate, the rest is measured.  Argument: gas_drift.csv. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_check.h"
#include "hn_quant.h"
#include "hn_rng.h"
#include "hn_train.h"
#include "pump.h"

enum { CH = 128, ROWS = 13910, CLASSES = 6, TAKE = 2500, SEEDS = 3, EPOCHS = 60, PATIENCE = 8,
       COMPARE_MAX = 1024, WEIGHTS_MAX = 1 << 15, IMAGE_MAX = 1 << 17, ARENA = 32 << 20,
       VALUES_MAX = 256 };

enum { FLOAT, PTQ, TUNED, LONGER = TUNED + 4, COLUMNS = LONGER + 2 };
static const char *const columns[COLUMNS] = { "float", "ptq", "1/8", "1/4", "1/2", "1x",
                                             "float 1/2", "float 1x" };
static const uint32_t share[COLUMNS] = { [TUNED] = 8, 4, 2, 1, [LONGER] = 2, 1 };

struct data { uint32_t n, n_train, n_valid, in; uint16_t len, ch, classes; };

static float gas[ROWS * CH], x[TAKE * VALUES_MAX], fitted[WEIGHTS_MAX], weights[WEIGHTS_MAX];
static int32_t gas_label[ROWS], gas_batch[ROWS], label[TAKE];
static _Alignas(8) uint8_t image[IMAGE_MAX];
static _Alignas(HN_ARENA_ALIGN) uint8_t memory[ARENA];
static struct hn_arena arena;
static bool settled;     /* fits that longer training does not help: cosine, 3e-3, no early stop */

static void must(hn_status rc, const struct hn_err *err)
{
	if (rc == HN_OK)
		return;
	fprintf(stderr, "qat: %s: %s\n", hn_status_text(rc), err->text);
	exit(1);
}

/* --- data ------------------------------------------------------------------------------------- */

static void read_gas(const char *path)
{
	char line[8192];
	FILE *f = fopen(path, "r");
	uint32_t n = 0;

	if (f && fgets(line, sizeof line, f))
		for (; n < ROWS && fgets(line, sizeof line, f); n++) {
			char *at = line;

			gas_batch[n] = (int32_t)strtol(at, &at, 10);
			gas_label[n] = (int32_t)strtol(at + 1, &at, 10) - 1;
			(void)strtod(at + 1, &at);
			for (uint32_t c = 0; c < CH; c++)
				gas[n * CH + c] = strtof(at + 1, &at);
		}
	if (f)
		(void)fclose(f);
	if (n == ROWS)
		return;
	fprintf(stderr, "qat: %s: %u of %d rows\n", path, n, ROWS);
	exit(1);
}

/* Each channel to mean 0, deviation 1 over the training part. */
static void standardise(const struct data *d)
{
	for (uint32_t c = 0; c < d->ch; c++) {
		const double n = (double)d->n_train * d->len;
		double sum = 0, sq = 0, mean, std;

		for (uint32_t i = c; i < d->n_train * d->in; i += d->ch) {
			sum += (double)x[i];
			sq += (double)x[i] * (double)x[i];
		}
		mean = sum / n;
		std = sqrt(fmax(sq / n - mean * mean, 1e-12));
		for (uint32_t i = c; i < d->n * d->in; i += d->ch)
			x[i] = (float)(((double)x[i] - mean) / std);
	}
}

static void split(struct data *d)
{
	d->n_train = d->n / 2;
	d->n_valid = d->n * 15 / 100;
	standardise(d);
}

/* Groups of `span` batches; first = 0: the pump.  frames: 1, or 16 sensors of 8 features. */
struct source { const char *what; int32_t first, span, last; uint16_t frames; bool settled; };

/* The group from batch `first` on, at most TAKE samples of it in random order. */
static struct data make_gas(const struct source *s, int32_t first, struct hn_rng *rng)
{
	struct data d = { .in = CH, .len = s->frames, .ch = CH / s->frames, .classes = CLASSES };
	const int32_t span = s->span;
	static uint32_t row[ROWS];
	uint32_t n = 0;

	for (uint32_t i = 0; i < ROWS; i++)
		if (gas_batch[i] >= first && gas_batch[i] < first + span)
			row[n++] = i;
	for (d.n = 0; d.n < n && d.n < TAKE; d.n++) {
		const uint32_t at = d.n + hn_rng_below(rng, n - d.n), from = row[at];

		row[at] = row[d.n];
		memcpy(x + d.n * CH, gas + from * CH, CH * sizeof *x);
		label[d.n] = gas_label[from];
	}
	split(&d);
	return d;
}

static struct data make_pump(uint32_t seed)
{
	struct data d = { .n = TAKE, .in = PUMP_WINDOW * PUMP_AXES, .len = PUMP_WINDOW,
	                  .ch = PUMP_AXES, .classes = PUMP_STATES };
	int16_t raw[PUMP_AXES];
	struct pump p;

	pump_init(&p, seed, PUMP_RATE_HZ, 0);
	for (uint32_t i = 0; i < d.n; i++)
		for (uint32_t t = 0; t < PUMP_WINDOW; t++) {
			label[i] = (int32_t)pump_next(&p, raw);
			for (uint32_t c = 0; c < PUMP_AXES; c++)
				x[i * d.in + t * PUMP_AXES + c] = raw[c];
		}
	split(&d);
	return d;
}

/* --- fit and measure -------------------------------------------------------------------------- */

static struct hn_set part(const struct data *d, uint32_t from, uint32_t n)
{
	return (struct hn_set){ .n = n, .x = x + (size_t)from * d->in, .label = label + from };
}

static void train(const struct hn_train_cfg *cfg, const struct data *d, float *out)
{
	const struct hn_data data = { part(d, 0, d->n_train), part(d, d->n_train, d->n_valid) };
	const struct hn_train_job job = { .cfg = cfg, .data = &data, .arena = &arena };
	const size_t mark = arena.used;
	struct hn_train_result res;
	struct hn_err err = { HN_OK, "" };

	must(hn_train_run(&job, &res, &err), &err);
	memcpy(out, res.weights, cfg->net->n_weights * sizeof *out);
	hn_arena_reset(&arena, mark);
}

static double float_accuracy(const struct hn_train_cfg *cfg, const struct data *d, const float *w)
{
	const uint32_t from = d->n_train + d->n_valid;
	const struct hn_set set = part(d, from, d->n - from);
	struct hn_err err = { HN_OK, "" };
	struct hn_score s;

	must(hn_evaluate(cfg, w, &set, &arena, &s), &err);
	return s.accuracy;
}

static double int8_accuracy(const struct hn_quant_cfg *q, const struct hn_calib *calib,
                            const struct data *d)
{
	static uint8_t work[1 << 16] __attribute__((aligned(4)));
	const struct hn_grid g = calib->grid[0];
	const uint32_t from = d->n_train + d->n_valid;
	struct hn_err err = { HN_OK, "" };
	int8_t in[VALUES_MAX], out[256];
	uint32_t right = 0;
	struct hd_net opened;
	uint8_t margin;
	size_t len;

	must(hn_image_write(q, calib, (struct hn_bytes){ image, IMAGE_MAX }, &len, &err), &err);
	if (hd_net_check(&opened, image, (uint32_t)len) != HD_OK || opened.arena > sizeof work)
		must(HN_EINVAL, &err);
	for (uint32_t i = from; i < d->n; i++) {
		for (uint32_t k = 0; k < d->in; k++)
			in[k] = (int8_t)fmaxf(-128, fminf(127, roundf(x[i * d->in + k] / g.scale) +
			                                       (float)g.zp));
		hd_net_run(&opened, in, work, out);
		right += hd_argmax(out, opened.out_n, &margin) == label[i];
	}
	return (double)right / (d->n - from);
}

/* Adds the accuracies of one fit to sum[calibration][column]; calibration 0 min-max, 1 default.
 * Behind the columns: the most that rounding cost one fit. */
static void measure(const struct data *d, const char *text, uint64_t seed,
                    double sum[2][COLUMNS + 1])
{
	const struct hn_net_io io = { HN_CLASSIFY, d->len, d->ch, d->classes };
	const struct hn_samples all = { x, d->n_train };
	struct hn_err err = { HN_OK, "" };
	struct hn_scaler s = { .n_ch = d->ch };
	struct hn_train_cfg cfg, more;
	struct hn_choice c;
	struct hn_fake fake;
	struct hn_net net;
	double exact, rounded;

	must(hn_net_parse(&net, text, &io, &err), &err);
	hn_train_defaults(&cfg, &net);
	cfg.net = &net;
	cfg.epochs = EPOCHS;
	cfg.patience = PATIENCE;
	cfg.seed = seed;
	if (settled) {
		cfg.schedule = HN_COSINE;
		cfg.lr = 3e-3f;
		cfg.patience = 0;
	}
	for (unsigned i = 0; i < d->ch; i++)
		s.std[i] = 1;
	train(&cfg, d, fitted);
	for (int k = 0; k < 2; k++) {
		struct hn_quant_cfg q = { .net = &net, .weights = fitted, .scaler = &s, .tail = 1e-4,
		                          .compare_max = COMPARE_MAX };

		must(k ? hn_calib_choose(&q, all, &arena, &c, &err)
		       : hn_calibrate(&q, all, &arena, &c.calib, &err), &err);
		must(hn_fake_init(&fake, &q, &c.calib), &err);
		exact = float_accuracy(&cfg, d, fitted);
		rounded = int8_accuracy(&q, &c.calib, d);
		sum[k][FLOAT] += exact;
		sum[k][PTQ] += rounded;
		sum[k][COLUMNS] = fmax(sum[k][COLUMNS], exact - rounded);
		q.weights = weights;
		for (int v = TUNED; v < COLUMNS; v++) {
			more = cfg;
			more.start = fitted;
			more.schedule = HN_COSINE;
			more.fake = v < LONGER ? &fake : NULL;
			more.epochs = (EPOCHS + share[v] - 1) / share[v];
			train(&more, d, weights);
			sum[k][v] += int8_accuracy(&q, &c.calib, d);
		}
	}
}

static void row(const char *what, const char *calib, const double *sum, double n)
{
	printf("%-7s %-8s", what, calib);
	for (int v = 0; v < COLUMNS; v++)
		printf(" %9.2f", 100 * sum[v] / n);
	printf(" %9.2f", 100 * sum[COLUMNS]);
}

static void table(struct source s, const char *const *nets)
{
	const char *what = s.what;
	double all[2][COLUMNS + 1] = { { 0 } }, n = 0;

	settled = s.settled;
	for (; *nets; nets++) {
		double sum[2][COLUMNS + 1] = { { 0 } }, fits = 0;

		for (int32_t b = s.first; b <= s.last; b += s.span)
			for (uint32_t seed = 1; seed <= SEEDS; seed++, fits++) {
				struct hn_rng rng;
				struct data d;

				hn_rng_seed(&rng, seed);
				d = b ? make_gas(&s, b, &rng) : make_pump(seed);
				measure(&d, *nets, seed, sum);
			}
		for (int k = 0; k < 2; k++) {
			row(what, k ? "default" : "min-max", sum[k], fits);
			printf("  %s\n", *nets);
			for (int v = 0; v < COLUMNS; v++)
				all[k][v] += sum[k][v];
			all[k][COLUMNS] = fmax(all[k][COLUMNS], sum[k][COLUMNS]);
		}
		n += fits;
		(void)fflush(stdout);
	}
	for (int k = 0; k < 2; k++) {
		row(what, k ? "default" : "min-max", all[k], n);
		printf("  all\n");
	}
}

int main(int argc, char **argv)
{
	static const char *const gas_nets[] = { "dense 32, relu, dense 6",
		"dense 16, relu, dense 8, relu, dense 6", "dense 4, relu6, dense 6",
		"dense 6, tanh, dense 5, tanh, dense 4, tanh, dense 6",
		"dense 5, relu6, dense 5, relu6, dense 4, relu6, dense 6", NULL };
	static const char *const pump_nets[] = { "dense 4, relu6, dense 4, relu6, dense 4",
		"conv1d 4x1, relu6, dwconv1d 5 stride 2, relu6, conv1d 6x1, relu6, dwconv1d 5 stride 2, "
		"relu6, conv1d 6x1, relu6, globalavgpool, dense 4", NULL };

	static const char *const frame_nets[] = { "conv1d 6x1, relu6, dwconv1d 3 same, relu6, "
		"conv1d 6x1, relu6, dwconv1d 3 same, relu6, conv1d 6x1, relu6, globalavgpool, dense 6",
		"dwconv1d 3 same, conv1d 4x1, tanh, gru 4, dense 6", NULL };

	if (argc != 2) {
		fprintf(stderr, "usage: qat gas_drift.csv\n");
		return 2;
	}
	hn_arena_init(&arena, memory, ARENA);
	read_gas(argv[1]);
	printf("%-16s", "accuracy, %");
	for (int v = 0; v < COLUMNS; v++)
		printf(" %9s", columns[v]);
	printf(" %9s\n", "most lost");
	table((struct source){ "1-5", 1, 5, 1, 1, true }, gas_nets);
	table((struct source){ "6-10", 6, 5, 6, 1, true }, gas_nets);
	table((struct source){ "1-5", 1, 5, 1, 16, true }, frame_nets);
	table((struct source){ "6-10", 6, 5, 6, 16, true }, frame_nets);
	table((struct source){ "1-2", 1, 2, 1, 1, false }, gas_nets);
	table((struct source){ "3-10", 3, 2, 9, 1, false }, gas_nets);
	table((struct source){ "pump", 0, 1, 0, 1, false }, pump_nets);
	return 0;
}
