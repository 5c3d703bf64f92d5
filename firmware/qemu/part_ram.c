#include "part.h"

#include <string.h>
#include "board.h"
#include "cpu.h"
#include "nor.h"

enum { SECTOR = 4096, UNIT = 8, SLOT = 32768, ERASE_US = 20000, SIZE = 2 * (SECTOR + SLOT) };

#define POWERED 0x686f6e65u

/* Not initialised at start. */
struct part {
	uint32_t powered, boots;
	uint32_t mem[SIZE / 4];
};

__attribute__((section(".noinit"))) static struct part part;

static struct nor nor;
static struct hd_flash port;

static int part_read(void *ctx, uint32_t at, void *buf, uint32_t n)
{
	(void)ctx;
	if (!nor_inside(&nor, at, n))
		return -1;
	memcpy(buf, nor.mem + at, n);
	return 0;
}

/* The core waits as it would for a single-bank part; the frame timer's interrupt goes on, in the
 * place of an ADC with DMA. */
static int part_erase(void *ctx, uint32_t sector_at)
{
	uint32_t from = board_now_us();

	(void)ctx;
	if (!nor_erase(&nor, sector_at))
		return -1;
	while (board_now_us() - from < ERASE_US)
		continue;
	return 0;
}

static int part_program(void *ctx, uint32_t at, const void *buf, uint32_t n)
{
	(void)ctx;
	return nor_program(&nor, at, buf, n) ? 0 : -1;
}

static const uint8_t *part_map(void *ctx, uint32_t at)
{
	(void)ctx;
	return nor.mem + at;
}

static void part_barrier(void *ctx)
{
	(void)ctx;
	cpu_barrier();
}

const struct hd_flash *part_open(void)
{
	if (part.powered != POWERED) {
		memset(part.mem, 0xff, sizeof part.mem);
		part.boots = 0;
		part.powered = POWERED;
	}
	part.boots++;
	nor = (struct nor){ .mem = (uint8_t *)part.mem, .size = SIZE, .sector = SECTOR,
	                    .unit = UNIT, .erased = 0xff };
	port = (struct hd_flash){
		.read = part_read, .erase = part_erase, .program = part_program, .map = part_map,
		.barrier = part_barrier, .sector = SECTOR, .unit = UNIT, .erase_us = ERASE_US,
		.erased = 0xff, .slot_bytes = SLOT,
	};
	return nor_layout(&port) == SIZE ? &port : NULL;
}

uint32_t part_violations(void)
{
	return nor.violations;
}

uint32_t part_boots(void)
{
	return part.boots;
}
