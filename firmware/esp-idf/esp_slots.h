/* esp_slots.h - journal and slots in a data partition of an ESP32's flash.
 *
 * In partitions.csv:   honed, data, 0x40, , 128K
 * While the flash erases or programs, caches are off and only code in IRAM runs: sample by timer
 * and DMA, and keep erase_us in esp_slots.c above the part's worst sector erase. */
#ifndef ESP_SLOTS_H
#define ESP_SLOTS_H

#include "esp_partition.h"
#include "hd_slots.h"

struct esp_slots {
	struct hd_flash port;            /* give its address to hd_config.flash                */
	const esp_partition_t *part;
	const uint8_t *mapped;
};

/* Find and map the partition: two journal sectors, the rest in two equal slots.  Errors: what
 * esp_partition_mmap says, ESP_ERR_NOT_FOUND, ESP_ERR_INVALID_SIZE (less than four sectors). */
esp_err_t esp_slots_init(struct esp_slots *s, const char *label);
#endif
