/* fuzz_block.c - any bytes as a block of frames, as they are and with the CRC put right; what can
 * be read must come back the same after it is written again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hd_crc32c.h"
#include "hn_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CELLS = HN_BLOCK_FRAMES_MAX * 8 };

struct arrays {
	int64_t event_us[HN_BLOCK_FRAMES_MAX], ingest_us[HN_BLOCK_FRAMES_MAX];
	int32_t raw[CELLS];
	uint8_t quality[CELLS];
};

static struct arrays one, two;
static uint8_t out[1 << 20];

static struct hn_block block_of(struct arrays *a)
{
	return (struct hn_block){ .cap = HN_BLOCK_FRAMES_MAX, .cells = CELLS, .event_us = a->event_us,
		.ingest_us = a->ingest_us, .raw = a->raw, .quality = a->quality };
}

static void same(const struct hn_block *a, const struct hn_block *b)
{
	const size_t cells = (size_t)a->n * a->n_channels;

	if (a->n != b->n || a->n_channels != b->n_channels ||
	    memcmp(a->event_us, b->event_us, a->n * sizeof *a->event_us) != 0 ||
	    memcmp(a->ingest_us, b->ingest_us, a->n * sizeof *a->ingest_us) != 0 ||
	    memcmp(a->raw, b->raw, cells * sizeof *a->raw) != 0 ||
	    memcmp(a->quality, b->quality, cells) != 0)
		abort();
}

static void check(const uint8_t *p, size_t len)
{
	struct hn_block a = block_of(&one), b = block_of(&two);
	size_t n = 0;

	if (hn_block_read(p, len, &a) != HN_OK)
		return;
	if (hn_block_write(&a, NULL, out, sizeof out, &n) != HN_OK ||
	    hn_block_read(out, n, &b) != HN_OK)
		abort();
	same(&a, &b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	check(data, size);
	if (size < 4)
		return 0;
	copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	hd_put32(copy + size - 4, hd_crc32c(0, copy, size - 4));
	check(copy, size);
	free(copy);
	return 0;
}
