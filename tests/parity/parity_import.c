/* parity_import.c - read files of other makers and run them as our nets.
 * Usage: parity_import FOLDER NAME...
 *
 * For each NAME reads NAME.file, NAME.shape ("LEN CHANNELS"), NAME.in (float windows, frame after
 * frame), and writes NAME.got (float outputs); prints the net that it became. */
#include <stdio.h>
#include <stdlib.h>
#include "hn_import.h"
#include "hn_layer.h"
#include "hn_run.h"

enum { FILE_MAX = 1 << 22, X_MAX = 1 << 20, ARENA = 128 << 20 };

static uint8_t file[FILE_MAX];
static float x[X_MAX], y[X_MAX];

static size_t load(const char *folder, const char *name, const char *end, void *to, size_t max)
{
	char path[600];
	size_t n = 0;
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s%s", folder, name, end);
	f = fopen(path, "rbe");
	if (f) {
		n = fread(to, 1, max, f);
		(void)fclose(f);
	}
	return n;
}

static int save(const char *folder, const char *name, size_t n)
{
	char path[600];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s.got", folder, name);
	f = fopen(path, "wbe");
	return f && fwrite(y, sizeof *y, n, f) == n && fclose(f) == 0 ? 0 : 1;
}

/* What the file does to its input goes before the net. */
static void scale(const struct hn_scaler *s, size_t n)
{
	for (size_t i = 0; s->n_ch && i < n; i++)
		x[i] = (x[i] - s->mean[i % s->n_ch]) / s->std[i % s->n_ch];
}

static int run(const char *folder, const char *name, struct hn_arena *arena)
{
	struct hn_err err = { HN_OK, "" };
	struct hn_import_job job = { .file = file, .io = { .task = HN_REGRESS }, .arena = arena };
	char shape[40] = "", *end;
	struct hn_import got;
	size_t n, values;

	job.len = load(folder, name, ".file", file, sizeof file);
	(void)load(folder, name, ".shape", shape, sizeof shape - 1);
	job.io.in_len = (uint16_t)strtoul(shape, &end, 10);
	job.io.in_ch = (uint16_t)strtoul(end, NULL, 10);
	values = (size_t)job.io.in_len * job.io.in_ch;
	n = load(folder, name, ".in", x, sizeof x) / sizeof *x;
	if (hn_import_read(&job, &got, &err) != HN_OK) {
		(void)fprintf(stderr, "%s: %s\n", name, err.text);
		return 1;
	}
	scale(&got.scaler, n);
	printf("  %-24s %s\n", name, got.net);
	n /= values;
	if (hn_predict(&(struct hn_predict){ &got.parsed, got.weights }, x, (uint32_t)n, y, arena))
		return 1;
	return save(folder, name, n * got.parsed.out_n);
}

int main(int argc, char **argv)
{
	void *mem = aligned_alloc(HN_ARENA_ALIGN, ARENA);
	int bad = 0;

	if (!mem || argc < 3)
		return 2;
	for (int i = 2; i < argc; i++) {
		struct hn_arena arena;

		hn_arena_init(&arena, mem, ARENA);
		bad += run(argv[1], argv[i], &arena);
	}
	free(mem);
	return bad ? 1 : 0;
}
