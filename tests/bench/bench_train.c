/* bench_train.c - training speed of the reference nets, beside the core's own FMA peak, FANN (when
 * built with -DWITH_FANN) and PyTorch (numbers of bench_torch.py, given as a file).
 *
 *   bench_train [-o train.json] [-t torch.txt] [-k level] [-r epochs] [-R rounds] [-n net]
 *
 * N = 4096 samples, batch 32, Adam, shuffled; one thread, CPU time, median of the epochs, median of
 * the rounds; every level of the kernels that has fused multiply-add.  Each run has its own child
 * process so that its resident memory is its own. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "bench_peak.h"
#include "hn_layer.h"
#include "hn_rng.h"
#include "hn_train.h"
#ifdef WITH_FANN
#include <floatfann.h>
#endif

enum { N = 4096, BATCH = 32, EPOCHS_MAX = 2000, WARM = 3, ROUNDS_MAX = 9, LEVELS_MAX = 4 };

/* flop: 2 * multiply-adds of forward, dW and dX (no dX for the first layer) of one sample. */
static const struct workload {
	const char *name, *text;
	enum hn_task task;
	uint16_t in_len, in_ch, out_n;
	double flop;
	int fann[5];                     /* layer widths for FANN; 0 ends                      */
} work[] = {
	{ "W1", "dense 32, relu, dense 16, relu, dense 4", HN_CLASSIFY, 1, 16, 4, 5504,
	  { 16, 32, 16, 4 } },
	{ "W2", "dense 128, relu, dense 64, relu, dense 10", HN_CLASSIFY, 1, 64, 10, 85760,
	  { 64, 128, 64, 10 } },
	{ "W3", "dense 64, relu, dense 16, tanh, dense 64, relu, dense 128", HN_AUTOENCODE, 1, 128, 128,
	  94208, { 128, 64, 16, 64, 128 } },
	{ "W4", "conv1d 16x5 same, relu, maxpool 2, conv1d 32x5 same, relu, maxpool 2, flatten, "
	  "dense 64, relu, dense 6", HN_CLASSIFY, 128, 3, 6, 1501440, { 0 } },
	{ "W5", "gru 32, dense 6", HN_CLASSIFY, 64, 6, 6, 1328256, { 0 } },
};
enum { N_WORK = sizeof work / sizeof *work };

struct figures { double rate, best, fann, rss_mib, loss; size_t plan; };

struct timing { double t[EPOCHS_MAX], last; uint32_t n; };

static double cpu_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool tick(void *ctx, const struct hn_epoch *e)
{
	struct timing *t = ctx;
	const double now = cpu_s();

	if (e->epoch > WARM && t->n < EPOCHS_MAX)
		t->t[t->n++] = now - t->last;
	t->last = cpu_s();
	return true;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void fill(const struct workload *w, float *x, int32_t *label)
{
	struct hn_rng r;

	hn_rng_seed(&r, 42);
	for (size_t i = 0; i < (size_t)N * w->in_len * w->in_ch; i++)
		x[i] = (float)(2 * hn_rng_unit(&r) - 1);
	for (size_t i = 0; i < N; i++)
		label[i] = (int32_t)hn_rng_below(&r, w->out_n);
}

#ifdef WITH_FANN
/* Incremental training, its fastest mode for these sizes: samples/s, median of epochs. */
static double run_fann(const struct workload *w, const float *x, const int32_t *label)
{
	unsigned width[5], n = 0;
	struct fann *net;
	double t[5];

	while (n < 5 && w->fann[n]) {
		width[n] = (unsigned)w->fann[n];
		n++;
	}
	if (n == 0)                              /* FANN has no convolution */
		return 0;
	net = fann_create_standard_array(n, width);
	if (!net)
		return 0;
	fann_set_activation_function_hidden(net, FANN_SIGMOID_SYMMETRIC);
	fann_set_activation_function_output(net, FANN_LINEAR);
	fann_set_learning_rate(net, 0.001f);
	for (int e = 0; e < 5; e++) {
		const double from = cpu_s();

		for (size_t i = 0; i < N; i++) {
			float in[256], out[256] = { 0 };

			memcpy(in, x + i * width[0], width[0] * sizeof *in);
			if (w->task == HN_AUTOENCODE)
				memcpy(out, in, sizeof out);
			else
				out[label[i]] = 1;
			fann_train(net, in, out);
		}
		t[e] = cpu_s() - from;
	}
	fann_destroy(net);
	qsort(t, 5, sizeof *t, by_value);
	return N / t[2];
}
#endif

static const struct hn_kernels *level(const char *name)
{
	for (size_t i = 0; name && hn_kernels_at(i); i++)
		if (strcmp(hn_kernels_at(i)->name, name) == 0)
			return hn_kernels_at(i);
	return hn_kernels_best();
}

static int train(const struct workload *w, const char *kern, uint32_t epochs, struct figures *f)
{
	const struct hn_net_io io = { w->task, w->in_len, w->in_ch, w->out_n };
	const size_t in = (size_t)w->in_len * w->in_ch;
	float *x = malloc(N * in * sizeof *x);
	int32_t *label = malloc(N * sizeof *label);
	static struct timing t;
	struct hn_data data = { .train = { .n = N, .x = x, .label = label } };
	struct hn_train_result res;
	struct hn_train_cfg cfg;
	struct hn_arena arena;
	struct hn_err err = { HN_OK, "" };
	struct hn_net net;
	struct rusage use;
	hn_status rc;

	if (!x || !label)
		return 1;
	fill(w, x, label);
	rc = hn_net_parse(&net, w->text, &io, &err);
	if (!rc) {
		hn_train_defaults(&cfg, &net);
		cfg.epochs = epochs + WARM;
		cfg.batch = BATCH;
		cfg.kern = level(kern);
		rc = hn_train_need(&cfg, &data, &f->plan, &err);
	}
	if (!rc) {
		hn_arena_init(&arena, aligned_alloc(64, (f->plan + 63) / 64 * 64), f->plan);
		t.last = cpu_s();
		rc = hn_train_run(&(struct hn_train_job){ .cfg = &cfg, .data = &data,
		                  .arena = &arena, .progress = tick, .ctx = &t }, &res, &err);
	}
	if (rc) {
		fprintf(stderr, "%s: %s\n", w->name, err.text);
		return 1;
	}
	qsort(t.t, t.n, sizeof *t.t, by_value);
	f->rate = N / t.t[t.n / 2];
	f->best = N / t.t[0];
	f->loss = res.train_loss;
	(void)getrusage(RUSAGE_SELF, &use);
	f->rss_mib = (double)use.ru_maxrss / 1024;
#ifdef WITH_FANN
	f->fann = run_fann(w, x, label);
#endif
	return 0;
}

/* One net in its own process. */
static int run(const struct workload *w, const char *kern, uint32_t epochs, struct figures *f)
{
	int ends[2], status = 1;
	pid_t pid;

	if (pipe(ends))
		return 1;
	pid = fork();
	if (pid == 0) {
		struct figures made = { 0 };
		int bad = train(w, kern, epochs, &made);

		bad |= write(ends[1], &made, sizeof made) != (ssize_t)sizeof made;
		_exit(bad);
	}
	(void)close(ends[1]);
	if (pid < 0 || read(ends[0], f, sizeof *f) != (ssize_t)sizeof *f)
		status = 1;
	if (pid > 0 && waitpid(pid, &status, 0) != pid)
		status = 1;
	(void)close(ends[0]);
	return status;
}

/* "W1 64800" lines of bench_torch.py; 0 where there is none. */
static double torch_rate(const char *path, const char *name)
{
	FILE *in = path ? fopen(path, "r") : NULL;
	char word[16];
	double v, found = 0;

	while (in && fscanf(in, "%15s %lf", word, &v) == 2)
		if (strcmp(word, name) == 0)
			found = v;
	if (in)
		(void)fclose(in);
	return found;
}

/* --- rounds and levels ------------------------------------------------------------------------ */

/* Levels with fused multiply-add, or the one that was asked for; the last is what honed uses. */
struct levels { const char *name[LEVELS_MAX]; int n; };

static struct levels levels_of(const char *only)
{
	struct levels l = { { NULL }, 0 };

	for (size_t i = 0; hn_kernels_at(i) && l.n < LEVELS_MAX; i++) {
		const char *name = hn_kernels_at(i)->name;

		if (only ? strcmp(only, name) == 0 : i > 0 || !hn_kernels_at(1))
			l.name[l.n++] = name;
	}
	return l;
}

/* Medians of the rounds: other programs on the machine disturb one round more than another. */
static struct figures middle(struct figures *round, int n)
{
	struct figures f = round[0];
	double rate[ROUNDS_MAX] = { 0 }, fann[ROUNDS_MAX] = { 0 };

	for (int r = 0; r < n; r++) {
		rate[r] = round[r].rate;
		fann[r] = round[r].fann;
		f.best = round[r].best > f.best ? round[r].best : f.best;
		f.rss_mib = round[r].rss_mib > f.rss_mib ? round[r].rss_mib : f.rss_mib;
	}
	qsort(rate, (size_t)n, sizeof *rate, by_value);
	qsort(fann, (size_t)n, sizeof *fann, by_value);
	f.rate = rate[n / 2];
	f.fann = fann[n / 2];
	return f;
}

struct bench {
	struct levels levels;
	uint32_t epochs;
	int rounds;
	double peak;
	const char *torch;
	struct figures f[N_WORK][LEVELS_MAX];
};

/* One net at every level, round by round. */
static int measure(struct bench *b, int i)
{
	struct figures round[LEVELS_MAX][ROUNDS_MAX] = { { { 0 } } };

	for (int r = 0; r < b->rounds; r++)
		for (int k = 0; k < b->levels.n; k++)
			if (run(&work[i], b->levels.name[k], b->epochs, &round[k][r]))
				return 1;
	for (int k = 0; k < b->levels.n; k++)
		b->f[i][k] = middle(round[k], b->rounds);
	return 0;
}

static double share(const struct bench *b, int i, int k)
{
	return b->f[i][k].rate * work[i].flop / b->peak;
}

static void print_net(const struct bench *b, int i)
{
	const double t = torch_rate(b->torch, work[i].name);

	for (int k = 0; k < b->levels.n; k++) {
		const struct figures *f = &b->f[i][k];

		printf("%s %-7s %10.0f %10.0f        %.3f %8.0f %6.1f %8.0f %5.1f %8.1f %8.1f\n",
		       work[i].name, b->levels.name[k], f->rate, f->best, share(b, i, k), t,
		       t > 0 ? f->rate / t : 0, f->fann, f->fann > 0 ? f->rate / f->fann : 0,
		       (double)f->plan / 1e3, f->rss_mib);
	}
	fflush(stdout);
}

static void number(FILE *out, const char *key, double v, const char *end)
{
	if (v > 0)
		fprintf(out, "\"%s\": %.6g%s", key, v, end);
	else
		fprintf(out, "\"%s\": null%s", key, end);
}

static void write_net(FILE *out, const struct bench *b, int i)
{
	const int used = b->levels.n - 1;
	const struct figures *f = &b->f[i][used];
	const double t = torch_rate(b->torch, work[i].name);

	fprintf(out, "  \"%s\": { ", work[i].name);
	number(out, "samples_per_s", f->rate, ", ");
	number(out, "limit_share", share(b, i, used), ", ");
	number(out, "vs_torch", t > 0 ? f->rate / t : 0, ", ");
	number(out, "torch_samples_per_s", t, ", ");
	/* What a program at the very limit would reach: above it no target can be met. */
	number(out, "vs_torch_at_limit", t > 0 ? b->peak / work[i].flop / t : 0, ", ");
	number(out, "vs_fann", f->fann > 0 ? f->rate / f->fann : 0, ", ");
	number(out, "rss_mib", f->rss_mib, ", ");
	number(out, "plan_bytes", (double)f->plan, ", \"levels\": { ");
	for (int k = 0; k < b->levels.n; k++) {
		fprintf(out, "\"%s\": { ", b->levels.name[k]);
		number(out, "samples_per_s", b->f[i][k].rate, ", ");
		number(out, "limit_share", share(b, i, k), k < used ? " }, " : " } ");
	}
	fprintf(out, "} }%s\n", i + 1 < N_WORK ? "," : "");
}

static int write_json(const char *path, const struct bench *b)
{
	FILE *out = fopen(path, "w");

	if (!out) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	fprintf(out, "{ \"peak_gflops\": %.4g, \"n\": %d, \"batch\": %d, \"kernels\": \"%s\", "
	        "\"nets\": {\n", b->peak / 1e9, N, BATCH, b->levels.name[b->levels.n - 1]);
	for (int i = 0; i < N_WORK; i++)
		write_net(out, b, i);
	fprintf(out, "} }\n");
	return fclose(out) != 0;
}

static double load_1min(void)
{
	double load[1] = { 0 };

	return getloadavg(load, 1) == 1 ? load[0] : 0;
}

static int bench(struct bench *b, const char *only, const char *json)
{
	const double load = load_1min();

	printf("FMA peak of one core %.1f GFLOP/s; N %d, batch %d, one thread; median of %d rounds, each "
	       "the median of %u epochs\n", b->peak / 1e9, N, BATCH, b->rounds, b->epochs);
	printf("net kernels  samples/s       best  limit share  PyTorch      x     FANN     x  plan kB"
	       "  RSS MiB\n");
	for (int i = 0; i < N_WORK; i++) {
		if (only && strcmp(only, work[i].name) != 0)
			continue;
		if (measure(b, i))
			return 1;
		print_net(b, i);
	}
	printf("load of the machine %.1f before, %.1f after\n", load, load_1min());
	return json ? write_json(json, b) : 0;
}

int main(int argc, char **argv)
{
	static struct bench b = { .epochs = 41, .rounds = 5 };
	const char *json = NULL, *kern = NULL, *only = NULL;
	int opt;

	while ((opt = getopt(argc, argv, "o:t:k:r:R:n:")) != -1) {
		if (opt == 'o')
			json = optarg;
		else if (opt == 't')
			b.torch = optarg;
		else if (opt == 'k')
			kern = optarg;
		else if (opt == 'n')
			only = optarg;
		else if (opt == 'r')
			b.epochs = (uint32_t)strtoul(optarg, NULL, 10);
		else if (opt == 'R')
			b.rounds = (int)strtol(optarg, NULL, 10);
		else
			return 64;
	}
	b.levels = levels_of(kern);
	if (b.epochs < 1 || b.epochs > EPOCHS_MAX - WARM || b.rounds < 1 || b.rounds > ROUNDS_MAX ||
	    b.levels.n == 0)
		return 64;
	b.peak = bench_peak(cpu_s);
	return bench(&b, only, json);
}
