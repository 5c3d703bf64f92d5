/* bench_train.c - training speed of the reference nets, beside the core's own FMA peak, FANN (when
 * built with -DWITH_FANN) and PyTorch (numbers of bench_torch.py, given as a file).
 *
 *   bench_train [-o train.json] [-t torch.txt] [-k level] [-r epochs]
 *
 * N = 4096 samples, batch 32, Adam, shuffled; one thread, CPU time, median of the epochs.  Each net
 * runs in its own child process so that its resident memory is its own. */
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

enum { N = 4096, BATCH = 32, EPOCHS_MAX = 2000, WARM = 3 };

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

static void number(FILE *out, const char *key, double v, const char *end)
{
	if (v > 0)
		fprintf(out, "\"%s\": %.6g%s", key, v, end);
	else
		fprintf(out, "\"%s\": null%s", key, end);
}

static int write_json(const char *path, const struct figures *f, double peak, const char *torch)
{
	FILE *out = fopen(path, "w");

	if (!out) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	fprintf(out, "{ \"peak_gflops\": %.4g, \"n\": %d, \"batch\": %d, \"nets\": {\n", peak / 1e9, N,
	        BATCH);
	for (int i = 0; i < N_WORK; i++) {
		const double t = torch_rate(torch, work[i].name);

		fprintf(out, "  \"%s\": { ", work[i].name);
		number(out, "samples_per_s", f[i].rate, ", ");
		number(out, "limit_share", f[i].rate * work[i].flop / peak, ", ");
		number(out, "vs_torch", t > 0 ? f[i].rate / t : 0, ", ");
		number(out, "vs_fann", f[i].fann > 0 ? f[i].rate / f[i].fann : 0, ", ");
		number(out, "rss_mib", f[i].rss_mib, ", ");
		number(out, "plan_bytes", (double)f[i].plan, i + 1 < N_WORK ? " },\n" : " }\n");
	}
	fprintf(out, "} }\n");
	return fclose(out) != 0;
}

int main(int argc, char **argv)
{
	const char *json = NULL, *torch = NULL, *kern = NULL, *only = NULL;
	struct figures f[N_WORK] = { { 0 } };
	uint32_t epochs = 101;
	double peak;
	int opt;

	while ((opt = getopt(argc, argv, "o:t:k:r:n:")) != -1) {
		if (opt == 'o')
			json = optarg;
		else if (opt == 't')
			torch = optarg;
		else if (opt == 'k')
			kern = optarg;
		else if (opt == 'n')
			only = optarg;
		else if (opt == 'r')
			epochs = (uint32_t)strtoul(optarg, NULL, 10);
		else
			return 64;
	}
	if (epochs < 1 || epochs > EPOCHS_MAX)
		return 64;
	peak = bench_peak(cpu_s);
	printf("FMA peak of one core %.1f GFLOP/s; kernels %s; N %d, batch %d, median of %u epochs\n",
	       peak / 1e9, level(kern)->name, N, BATCH, epochs);
	printf("net   samples/s      best  limit share  PyTorch    x   FANN    x  plan kB  RSS MiB\n");
	for (int i = 0; i < N_WORK; i++) {
		const double t = torch_rate(torch, work[i].name);

		if (only && strcmp(only, work[i].name) != 0)
			continue;
		if (run(&work[i], kern, epochs, &f[i]))
			return 1;
		printf("%s  %10.0f %10.0f        %.3f %8.0f %4.0f %6.0f %4.0f %8.1f %8.1f\n", work[i].name,
		       f[i].rate, f[i].best, f[i].rate * work[i].flop / peak, t,
		       t > 0 ? f[i].rate / t : 0, f[i].fann, f[i].fann > 0 ? f[i].rate / f[i].fann : 0,
		       (double)f[i].plan / 1e3, f[i].rss_mib);
		fflush(stdout);
	}
	return json ? write_json(json, f, peak, torch) : 0;
}
