/* zephyr_slots.h - journal and slots in a partition of Zephyr's flash map.
 *
 * In the devicetree a fixed partition of memory-mapped flash with the label honed_partition; then
 *     zephyr_slots_init(&slots, HONED_PARTITION, erase_us)
 * with the part's worst page erase. */
#ifndef ZEPHYR_SLOTS_H
#define ZEPHYR_SLOTS_H

#include <zephyr/storage/flash_map.h>
#include "hd_slots.h"

/* Its number, and the address at which it can be read. */
#define HONED_PARTITION FIXED_PARTITION_ID(honed_partition), \
	(const void *)FIXED_PARTITION_ADDRESS(honed_partition)

struct zephyr_slots {
	struct hd_flash port;            /* give its address to hd_config.flash                */
	const struct flash_area *area;
	const uint8_t *base;
};

/* Two journal sectors, the rest in two equal slots.  Returns 0, a negative errno of the flash map,
 * or -EINVAL: write blocks above 32 bytes, or less than four sectors. */
int zephyr_slots_init(struct zephyr_slots *s, uint8_t area_id, const void *base,
                      uint32_t erase_us);
#endif
