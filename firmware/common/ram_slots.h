/* ram_slots.h - journal and slots in RAM: a quick start on any board, and a profile of its own.
 *
 * Nothing ever blocks, and inference reads weights from RAM.  After a reset the device has no
 * image; the gateway sees it and sends it again.  For a device that must work by itself after a
 * power cut, write the five functions of struct hd_flash for the part instead (esp_slots.c,
 * zephyr_slots.c). */
#ifndef RAM_SLOTS_H
#define RAM_SLOTS_H

#include "hd_slots.h"

enum { RAM_SLOTS_SECTOR = 128, RAM_SLOTS_UNIT = 4 };

/* Memory for two slots of `slot` bytes, a multiple of RAM_SLOTS_SECTOR: 128 bytes of header, the
 * image, its self-test vectors. */
#define RAM_SLOTS_BYTES(slot) (2 * ((slot) + RAM_SLOTS_SECTOR))

struct ram_slots {
	struct hd_flash port;    /* give its address to hd_config.flash                        */
	uint8_t *mem;
	uint32_t size;
};

/* mem (size,), size = RAM_SLOTS_BYTES(slot), 4-byte aligned; `r` must not move afterwards. */
void ram_slots_init(struct ram_slots *r, uint8_t *mem, uint32_t size);
#endif
