/* fuzz_hd_delta.c - the patch decoder: any bytes as a patch stay inside and end; any two payloads
 * come back through the encoder. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "hd_delta.h"
#include "hn_delta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RESULT_MAX = 4096, PIECE = 56 };

/* Exact buffers: a byte outside is seen. */
static void decode(const uint8_t *base, const uint8_t *patch, size_t n, uint8_t *out, uint32_t len)
{
	struct hd_delta d = { 0 };
	uint32_t done = 0, got;

	for (size_t at = 0; at < n && done < len; at += PIECE) {
		const uint32_t piece = n - at < PIECE ? (uint32_t)(n - at) : PIECE;

		d.used = 0;
		do {
			const uint32_t room = len - done < 32 ? len - done : 32;

			got = hd_delta_run(&d, base, patch + at, piece, out + done, room);
			if (got > room || d.used > piece || d.at != done + got)
				abort();
			done += got;
		} while (got > 0 && done < len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t half = size / 2;
	const uint32_t len = size > 2 ? (uint32_t)(data[0] | data[1] << 8) % RESULT_MAX : 1;
	uint8_t *base = calloc(len ? len : 1, 1), *out = malloc(len ? len : 1);
	uint8_t *back = malloc(half ? half : 1), *patch = malloc(2 * half + 64);
	size_t n;

	if (base && out && back && patch) {
		decode(base, data, size, out, len);
		if (hn_delta_write(data, data + half, half, patch, 2 * half + 64, &n) == HN_OK) {
			decode(data, patch, n, back, (uint32_t)half);
			if (memcmp(back, data + half, half) != 0 || hn_delta_size(data, data + half, half) != n)
				abort();
		} else {
			abort();         /* 12 bits a byte are always enough */
		}
	}
	free(base);
	free(out);
	free(back);
	free(patch);
	return 0;
}
