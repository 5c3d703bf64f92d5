#include "zephyr_slots.h"
#include <errno.h>
#include <string.h>

static int slots_read(void *ctx, uint32_t at, void *buf, uint32_t n)
{
	const struct zephyr_slots *s = ctx;

	return flash_area_read(s->area, (off_t)at, buf, n);
}

static int slots_erase(void *ctx, uint32_t at)
{
	const struct zephyr_slots *s = ctx;

	return flash_area_erase(s->area, (off_t)at, s->port.sector);
}

static int slots_program(void *ctx, uint32_t at, const void *buf, uint32_t n)
{
	const struct zephyr_slots *s = ctx;

	return flash_area_write(s->area, (off_t)at, buf, n);
}

static const uint8_t *slots_map(void *ctx, uint32_t at)
{
	const struct zephyr_slots *s = ctx;

	return s->base + at;
}

/* flash_area_write returns when the part is done. */
static void slots_barrier(void *ctx)
{
	(void)ctx;
}

int zephyr_slots_init(struct zephyr_slots *s, uint8_t area_id, const void *base,
                      uint32_t erase_us)
{
	struct flash_sector sector;
	uint32_t n = 1, size, unit, slot;
	int rc;

	memset(s, 0, sizeof *s);
	rc = flash_area_open(area_id, &s->area);
	if (rc != 0)
		return rc;
	rc = flash_area_get_sectors(area_id, &n, &sector);
	if (rc != 0 && rc != -ENOMEM)    /* there are more than the one that was asked for */
		return rc;
	size = (uint32_t)sector.fs_size;
	unit = flash_area_align(s->area);
	if (unit == 0 || unit > 32 || size == 0 || s->area->fa_size < 4 * size)
		return -EINVAL;
	slot = ((uint32_t)s->area->fa_size - 2 * size) / 2 / size * size;
	s->base = base;
	s->port = (struct hd_flash){ .ctx = s, .read = slots_read, .erase = slots_erase,
		.program = slots_program, .map = slots_map, .barrier = slots_barrier, .sector = size,
		.unit = unit, .erase_us = erase_us, .erased = flash_area_erased_val(s->area),
		.journal_at = 0, .slot_at = { 2 * size, 2 * size + slot }, .slot_bytes = slot };
	return 0;
}
