#include "esp_slots.h"
#include <string.h>

enum { SECTOR = 4096, UNIT = 16, ERASE_US = 400000 };    /* worst of such parts */

static int slots_read(void *ctx, uint32_t at, void *buf, uint32_t n)
{
	const struct esp_slots *s = ctx;

	return esp_partition_read(s->part, at, buf, n);
}

static int slots_erase(void *ctx, uint32_t at)
{
	const struct esp_slots *s = ctx;

	return esp_partition_erase_range(s->part, at, SECTOR);
}

static int slots_program(void *ctx, uint32_t at, const void *buf, uint32_t n)
{
	const struct esp_slots *s = ctx;

	return esp_partition_write(s->part, at, buf, n);
}

static const uint8_t *slots_map(void *ctx, uint32_t at)
{
	const struct esp_slots *s = ctx;

	return s->mapped + at;
}

/* esp_partition_write returns when the chip is done, and drops what the cache held of it. */
static void slots_barrier(void *ctx)
{
	(void)ctx;
}

esp_err_t esp_slots_init(struct esp_slots *s, const char *label)
{
	esp_partition_mmap_handle_t handle;
	const void *mapped;
	uint32_t slot;
	esp_err_t rc;

	memset(s, 0, sizeof *s);
	s->part = esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, label);
	if (!s->part)
		return ESP_ERR_NOT_FOUND;
	if (s->part->size < 4 * SECTOR)
		return ESP_ERR_INVALID_SIZE;
	slot = (s->part->size - 2 * SECTOR) / 2 / SECTOR * SECTOR;
	rc = esp_partition_mmap(s->part, 0, 2 * SECTOR + 2 * slot, ESP_PARTITION_MMAP_DATA, &mapped,
	                        &handle);
	if (rc != ESP_OK)
		return rc;
	s->mapped = mapped;
	s->port = (struct hd_flash){ .ctx = s, .read = slots_read, .erase = slots_erase,
		.program = slots_program, .map = slots_map, .barrier = slots_barrier, .sector = SECTOR,
		.unit = UNIT, .erase_us = ERASE_US, .erased = 0xff, .journal_at = 0,
		.slot_at = { 2 * SECTOR, 2 * SECTOR + slot }, .slot_bytes = slot };
	return ESP_OK;
}
