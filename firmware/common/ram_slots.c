#include "ram_slots.h"
#include <string.h>

static int slots_read(void *ctx, uint32_t at, void *buf, uint32_t n)
{
	struct ram_slots *r = (struct ram_slots *)ctx;

	if (at > r->size || n > r->size - at)
		return -1;
	memcpy(buf, r->mem + at, n);
	return 0;
}

static int slots_erase(void *ctx, uint32_t at)
{
	struct ram_slots *r = (struct ram_slots *)ctx;

	if (at % RAM_SLOTS_SECTOR != 0 || at >= r->size)
		return -1;
	memset(r->mem + at, 0xff, RAM_SLOTS_SECTOR);
	return 0;
}

static int slots_program(void *ctx, uint32_t at, const void *buf, uint32_t n)
{
	struct ram_slots *r = (struct ram_slots *)ctx;

	if (at > r->size || n > r->size - at)
		return -1;
	memcpy(r->mem + at, buf, n);
	return 0;
}

static const uint8_t *slots_map(void *ctx, uint32_t at)
{
	const struct ram_slots *r = (const struct ram_slots *)ctx;

	return r->mem + at;
}

static void slots_barrier(void *ctx)
{
	(void)ctx;
}

void ram_slots_init(struct ram_slots *r, uint8_t *mem, uint32_t size)
{
	memset(r, 0, sizeof *r);
	memset(mem, 0xff, size);
	r->mem = mem;
	r->size = size;
	r->port.ctx = r;
	r->port.read = slots_read;
	r->port.erase = slots_erase;
	r->port.program = slots_program;
	r->port.map = slots_map;
	r->port.barrier = slots_barrier;
	r->port.sector = RAM_SLOTS_SECTOR;
	r->port.unit = RAM_SLOTS_UNIT;
	r->port.erased = 0xff;
	r->port.slot_bytes = size / 2 - RAM_SLOTS_SECTOR;
	r->port.slot_at[0] = 2 * RAM_SLOTS_SECTOR;
	r->port.slot_at[1] = 2 * RAM_SLOTS_SECTOR + r->port.slot_bytes;
}
