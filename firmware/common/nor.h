/* nor.h - the rules of NOR flash on a piece of memory, for ports that only emulate a part.
 *
 * Whole units, aligned, inside the region, and only into erased units: a unit is programmed once
 * per erase.  Breaking a rule is a bug of the caller; the port decides how loudly to say so. */
#ifndef NOR_H
#define NOR_H

#include <stdbool.h>
#include "hd_slots.h"

struct nor {
	uint8_t *mem;            /* (size,) borrowed                                         */
	uint32_t size, sector, unit;
	uint8_t  erased;
	uint32_t erases, programs, violations;
};

/* Lay out two journal sectors, then the two slots, by f->sector and f->slot_bytes.
 * Returns the bytes of the whole region, 0 when the numbers do not fit together: unit a power
 * of two up to 32, sector a power of two from 128, slot_bytes a multiple of sector. */
uint32_t nor_layout(struct hd_flash *f);

/* Both return false, change nothing and count a violation when a rule is broken. */
bool nor_erase(struct nor *r, uint32_t sector_at);
bool nor_program(struct nor *r, uint32_t at, const void *buf, uint32_t n);

bool nor_inside(const struct nor *r, uint32_t at, uint32_t n);
#endif
