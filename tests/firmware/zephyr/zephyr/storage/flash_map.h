/* flash_map.h - the declarations of Zephyr 3 that zephyr_slots.c uses. */
#ifndef FLASH_MAP_H
#define FLASH_MAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct flash_area { uint8_t fa_id; off_t fa_off; size_t fa_size; };
struct flash_sector { off_t fs_off; size_t fs_size; };

int flash_area_open(uint8_t id, const struct flash_area **area);
int flash_area_read(const struct flash_area *a, off_t at, void *to, size_t n);
int flash_area_write(const struct flash_area *a, off_t at, const void *from, size_t n);
int flash_area_erase(const struct flash_area *a, off_t at, size_t n);
uint32_t flash_area_align(const struct flash_area *a);
uint8_t flash_area_erased_val(const struct flash_area *a);
int flash_area_get_sectors(int id, uint32_t *count, struct flash_sector *sectors);

#define FIXED_PARTITION_ID(label) 1
#define FIXED_PARTITION_ADDRESS(label) 0x20000
#endif
