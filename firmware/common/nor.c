#include "nor.h"
#include <string.h>

enum { REGION_MAX = 16 << 20, SECTOR_MIN = 128 };   /* 128: four records of the largest unit */

uint32_t nor_layout(struct hd_flash *f)
{
	uint64_t size = 2 * ((uint64_t)f->sector + f->slot_bytes);

	if (f->unit == 0 || f->unit > 32 || (f->unit & (f->unit - 1)) != 0)
		return 0;
	if (f->sector < SECTOR_MIN || (f->sector & (f->sector - 1)) != 0)
		return 0;
	if (f->slot_bytes == 0 || f->slot_bytes % f->sector != 0 || size > REGION_MAX)
		return 0;
	f->journal_at = 0;
	f->slot_at[0] = 2 * f->sector;
	f->slot_at[1] = f->slot_at[0] + f->slot_bytes;
	return (uint32_t)size;
}

bool nor_inside(const struct nor *r, uint32_t at, uint32_t n)
{
	return at <= r->size && n <= r->size - at;
}

bool nor_erase(struct nor *r, uint32_t sector_at)
{
	if (sector_at % r->sector != 0 || !nor_inside(r, sector_at, r->sector)) {
		r->violations++;
		return false;
	}
	r->erases++;
	memset(r->mem + sector_at, r->erased, r->sector);
	return true;
}

static bool is_erased(const struct nor *r, uint32_t at, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (r->mem[at + i] != r->erased)
			return false;
	return true;
}

bool nor_program(struct nor *r, uint32_t at, const void *buf, uint32_t n)
{
	if (at % r->unit != 0 || n % r->unit != 0 || !nor_inside(r, at, n) || !is_erased(r, at, n)) {
		r->violations++;
		return false;
	}
	r->programs++;
	memcpy(r->mem + at, buf, n);
	return true;
}
