/* parity_once.c - lib/device with one rounding: x * mult * 2^(shift - 31), halves upwards.
 *
 * The device rounds twice, as TFLite Micro's reference kernels do; the runtimes that `make parity`
 * compares with round once.  The Makefile compiles lib/device a second time with hd_rq replaced by
 * this, so that whatever else differs is seen.
 * Usage: parity_once IMAGE INPUT OUTPUT */
#include <stdio.h>
#include <stdlib.h>
#include "hd_check.h"

enum { BYTES_MAX = 1 << 22 };

static _Alignas(8) uint8_t image[BYTES_MAX];
static int8_t x[BYTES_MAX], y[HD_VALUES_MAX];

int32_t hd_rq(int32_t v, int32_t mult, int shift)
{
	const int64_t product = (int64_t)v * mult, one = 1;
	const int right = 31 - shift;

	return (int32_t)((product + (one << (right - 1))) >> right);
}

static size_t load(const char *path, void *to)
{
	FILE *f = fopen(path, "rbe");
	const size_t n = f ? fread(to, 1, BYTES_MAX, f) : 0;

	if (f)
		(void)fclose(f);
	return n;
}

int main(int argc, char **argv)
{
	size_t len, n, in;
	struct hd_net net;
	uint8_t *work;
	FILE *out;

	if (argc != 4)
		return 2;
	len = load(argv[1], image);
	n = load(argv[2], x);
	out = fopen(argv[3], "wbe");
	if (!out || hd_net_check(&net, image, (uint32_t)len) != HD_OK)
		return 1;
	in = (size_t)net.in_len * net.in_ch;
	work = malloc(net.arena + 4u);
	for (size_t at = 0; work && at + in <= n; at += in) {
		hd_net_run(&net, x + at, work, y);
		if (fwrite(y, 1, net.out_n, out) != net.out_n)
			return 1;
	}
	free(work);
	return fclose(out) == 0 ? 0 : 1;
}
