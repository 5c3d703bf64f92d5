/* fuzz_hd_image.c - the image: any bytes; what passes the check also runs, inside its arena and its
 * bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "hd_check.h"
#include "hn_place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_MAX = 2 * HD_VALUES_MAX };

static void run(const struct hd_net *net, const uint8_t *data, size_t size)
{
	size_t in_n = (size_t)net->in_len * net->in_ch, i;
	int8_t *in = malloc(in_n), *out = malloc(net->out_n);
	uint8_t *arena = malloc(net->arena ? net->arena : 1), margin;

	if (in && out && arena) {
		for (i = 0; i < in_n; i++)
			in[i] = hd_net_scale(net, (uint16_t)(i % net->in_ch), data[i % size] * 257 - 32768);
		hd_net_run(net, in, arena, out);
		if (hd_argmax(out, net->out_n, &margin) >= net->out_n)
			abort();
	}
	free(in);
	free(out);
	free(arena);
}

static bool table_fits(const uint8_t *image, uint32_t len)
{
	const uint32_t scaler = (uint32_t)HD_SCALER_ENTRY * hd_get16(image + 18);

	return HD_IMAGE_HEADER + scaler + (uint32_t)HD_LAYER_ENTRY * image[22] <= len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len = (uint32_t)size & ~3u;
	uint8_t *image = malloc(len ? len : 1);  /* exact: a read outside is seen */
	struct hd_net net;

	if (!image || size == 0) {
		free(image);
		return 0;
	}
	memcpy(image, data, len);
	if (len >= 28) {                 /* past the first checks */
		hd_put32(image, HD_IMAGE_MAGIC);
		hd_put32(image + 4, len);
		image[23] &= 1;
		image[25] = 0;
		if (table_fits(image, len) && (data[size - 1] & 1))      /* half of them: placed anew */
			(void)hn_image_place(image);
		hd_put16(image + 26, (uint16_t)(hd_get16(image + 26) & hd_ops_mask()));
	}
	if (hd_net_check(&net, image, len) == HD_EARCH)
		hd_put32(image + 8, hd_image_arch(image));
	if (hd_net_check(&net, image, len) == HD_OK && net.arena <= ARENA_MAX)
		run(&net, data, size);
	free(image);
	return 0;
}
