/* fuzz_import.c - .onnx and .tflite: any bytes; what is read also runs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "hn_import.h"
#include "hn_layer.h"
#include "hn_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA = 24 << 20 };

static void run(const struct hn_import *got, struct hn_arena *arena)
{
	const size_t in = hn_size(got->parsed.in);
	float *x = calloc(in, sizeof *x), *y = calloc(got->parsed.out_n, sizeof *y);

	if (x && y && hn_net_macs(&got->parsed) < 1000000)
		(void)hn_predict(&(struct hn_predict){ &got->parsed, got->weights }, x, 1, y, arena);
	free(x);
	free(y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char *mem;
	const struct hn_net_io open = { .task = HN_REGRESS };
	uint8_t *exact = malloc(size ? size : 1);        /* a read outside is seen */
	struct hn_err err = { HN_OK, "" };
	struct hn_arena arena;
	struct hn_import got;

	mem = mem ? mem : aligned_alloc(HN_ARENA_ALIGN, ARENA);
	if (!mem || !exact || hn_import_need(size) > ARENA) {
		free(exact);
		return 0;
	}
	memcpy(exact, data, size);
	hn_arena_init(&arena, mem, ARENA);
	if (hn_import_read(&(struct hn_import_job){ exact, size, open, &arena }, &got, &err) == HN_OK)
		run(&got, &arena);
	else if (err.text[0] == '\0')
		abort();                 /* every refusal says why */
	free(exact);
	return 0;
}
