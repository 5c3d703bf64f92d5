/* Train a classifier from a CSV of numbers whose last column is the class 0, 1, ...
 * cc train_csv.c $(pkg-config --cflags --libs hone) -o train_csv
 * ./train_csv data.csv "dense 32, relu, dense 4" */
#include <hone.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 20000, COLS = 64 };
static float x[ROWS * COLS];
static int32_t y[ROWS];

int main(int argc, char **argv)
{
	FILE *f = argc == 3 ? fopen(argv[1], "r") : NULL;
	struct hn_train_result result;
	struct hn_train_cfg cfg;
	struct hn_err err = { .code = HN_OK };
	struct hn_arena arena;
	struct hn_net net;
	char line[4096], *field[COLS + 1];
	size_t n = 0, cols = 0, bytes = 0;

	while (f && n < ROWS && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (hn_csv_split(line, strlen(line), field, COLS + 1, &cols) || cols < 2)
			return fprintf(stderr, "row %zu: not comma-separated numbers\n", n + 1), 1;
		for (size_t c = 0; c + 1 < cols; c++)
			x[n * (cols - 1) + c] = (float)hn_csv_number(field[c]);
		y[n++] = (int32_t)hn_csv_number(field[cols - 1]);
	}
	struct hn_data data = { .train = { (uint32_t)(n - n / 5), x, y, NULL, NULL },
		.valid = { (uint32_t)(n / 5), x + (n - n / 5) * (cols - 1), y + (n - n / 5), NULL, NULL } };
	struct hn_net_io io = { HN_CLASSIFY, 1, (uint16_t)(cols - 1), 0 };
	if (!f || hn_net_parse(&net, argv[2], &io, &err))
		return fprintf(stderr, "usage: train_csv FILE NET; %s\n", err.text), 2;
	hn_train_defaults(&cfg, &net);
	if (hn_train_need(&cfg, &data, &bytes, &err) == HN_OK)
		hn_arena_init(&arena, aligned_alloc(HN_ARENA_ALIGN, bytes), bytes);
	if (err.code || hn_train_run(&(struct hn_train_job){ &cfg, &data, &arena, NULL, NULL }, &result, &err))
		return fprintf(stderr, "%s\n", err.text), 1;
	printf("%u weights, %zu bytes, %u epochs, held-back accuracy %.1f %%\n", net.n_weights, bytes,
	       result.epochs, 100 * result.valid_score);
	return 0;
}
