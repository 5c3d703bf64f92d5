/* hd_ram.h - slots in RAM, for parts that have twice the weights to spare: a package is staged and
 * activated without touching the flash, and written to it later, between two deadlines.
 *
 *   hd_ram_init(&ram, &flash, a, b);      cfg.flash = &ram.port;      hd_init(...)
 *   in the main loop, after hd_poll:      hd_ram_work(&ram, idle_us);
 *
 * Both slots are served from RAM, which is faster than flash on most parts.  What is staged waits
 * in RAM together with the journal's records that name it.  hd_ram_work writes the slot first and
 * the records after it, so the flash goes through the same states as without RAM, only later: a
 * power cut before the end leaves the former image in service.  Until it is written the device does
 * not take CONFIRM, REVERT or another package: what it has confirmed, it has kept.  The journal's
 * own pages are always in flash. */
#ifndef HD_RAM_H
#define HD_RAM_H

#include "hd_slots.h"

enum { HD_RAM_RECORDS = 8 };     /* of the journal that wait; more are an error of the flash */

struct hd_ram {
	struct hd_flash port;            /* for hd_config                                      */
	const struct hd_flash *flash;    /* keeps both                                         */
	uint8_t *slot[2];
	uint32_t at;                     /* bytes of the changed slot that are in flash        */
	bool     changed[2];             /* differs from the flash                             */
	bool     failed;                 /* the flash did; it is tried again                   */
	uint8_t  n, done;                /* records that wait; of these, written               */
	struct hd_ram_record {
		uint32_t at;
		bool     erase;          /* of a page, before the next record                  */
		uint32_t bytes[HD_UNIT_MAX / 4];
	} record[HD_RAM_RECORDS];
};

/* a, b (flash->slot_bytes,), 4-byte aligned, the caller's; both slots are read.
 * Errors: HD_EFLASH. */
hd_status hd_ram_init(struct hd_ram *r, const struct hd_flash *flash, uint8_t *a, uint8_t *b);

/* One bounded piece of writing: a few units, or an erase when `idle_us` is longer than it takes.
 * Returns false when there was nothing to do, or it must wait. */
bool hd_ram_work(struct hd_ram *r, uint32_t idle_us);
#endif
