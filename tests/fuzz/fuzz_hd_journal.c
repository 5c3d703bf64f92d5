/* fuzz_hd_journal.c - any bytes in the journal and at the head of the slots: the device boots, runs
 * nothing that is not sound, and can still be given a package. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "hd_crc32c.h"
#include "t_hd_gateway.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { JOURNAL = 2 * 128 };

static const struct t_image_spec small = { 1, 1, { { HD_OP_DENSE, 1 } } };
static const struct t_geometry geometry = { 8, 128, 512, 0xff };
static struct t_package old, next;

/* Byte 0 says which records get a right CRC, and which slots hold a sound package. */
static void fill(struct t_flash *f, const uint8_t *data, size_t size)
{
	size_t n = size - 1 < JOURNAL ? size - 1 : JOURNAL;

	memcpy(f->mem, data + 1, n);
	memset(f->mark, 1, f->size);     /* programmed: nothing may be written over */
	for (uint32_t at = 0; at < n; at += HD_RECORD)
		if (data[0] >> (at / HD_RECORD & 3) & 1)
			hd_put32(f->mem + at + 12, hd_crc32c(0, f->mem + at, 12));
	for (int i = 0; i < 2; i++) {
		if (!(data[0] >> (4 + i) & 1))
			continue;
		memcpy(f->mem + f->port.slot_at[i], old.header, HD_PACKAGE_HEADER);
		memcpy(f->mem + f->port.slot_at[i] + HD_PACKAGE_HEADER, old.payload, old.len);
	}
	if (size > 1 + JOURNAL && data[0] & 0x40)        /* a header of any bytes */
		memcpy(f->mem + f->port.slot_at[0], data + 1 + JOURNAL,
		       size - 1 - JOURNAL < HD_PACKAGE_HEADER ? size - 1 - JOURNAL : HD_PACKAGE_HEADER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct t_pair pair;
	struct t_flash flash;
	const uint8_t *active;
	bool may;

	if (size == 0)
		return 0;
	if (old.len == 0) {
		t_package_build(&old, &small, 1, 1);
		t_package_nudge(&next, &old, 0xfffffffe, 1, 1);
	}
	t_flash_init(&flash, &geometry, 1);
	fill(&flash, data, size);
	if (t_pair_init(&pair, &flash, 1) != HD_OK)
		abort();
	active = pair.dev.active;
	if (hd_service(&pair.dev, NULL)
	    && (!active || memcmp(active + HD_AT_DIGEST, old.head.digest, HD_DIGEST_LEN) != 0))
		abort();                 /* what else could have that digest? */
	/* on trial it takes none, and there is no version above the highest floor */
	may = pair.dev.report.state != HD_TRIAL && pair.dev.slots.floor < 0xfffffffe;
	if (may && !(t_install(&pair, &next) && t_serves(&pair, &next)))
		abort();
	if (flash.broken_rules != 0 || t_pair_boot(&pair) != HD_OK)
		abort();
	t_flash_done(&flash);
	return 0;
}
