/* The upper half of an nRF51's flash, by its controller (nRF51 Series Reference Manual, NVMC). */
#include "part.h"

#include <string.h>
#include "board.h"
#include "cpu.h"
#include "nor.h"

enum { SECTOR = 1024, UNIT = 4, SLOT = 32768, ERASE_US = 22300, SIZE = 2 * (SECTOR + SLOT),
       ORIGIN = 0x20000, WORD = 4 };

#define POWERED 0x686f6e65u
#define REG(address) (*(volatile uint32_t *)(address))
#define NVMC_READY     REG(0x4001e400)
#define NVMC_CONFIG    REG(0x4001e504)
#define NVMC_ERASEPAGE REG(0x4001e508)

enum { CONFIG_READ = 0, CONFIG_WRITE = 1, CONFIG_ERASE = 2 };

/* Not initialised at start. */
__attribute__((section(".noinit"))) static struct { uint32_t powered, boots; } life;

static struct nor rules;                 /* its memory is never written, only its rules asked */
static struct hd_flash port;

static int part_read(void *ctx, uint32_t at, void *buf, uint32_t n)
{
	(void)ctx;
	if (!nor_inside(&rules, at, n))
		return -1;
	memcpy(buf, (const uint8_t *)ORIGIN + at, n);
	return 0;
}

static void configure(uint32_t config)
{
	NVMC_CONFIG = config;
	while (!(NVMC_READY & 1))
		continue;
}

/* The core stands still for so long; the frame timer goes on. */
static int part_erase(void *ctx, uint32_t sector_at)
{
	uint32_t from = board_now_us();

	(void)ctx;
	if (sector_at % SECTOR != 0 || !nor_inside(&rules, sector_at, SECTOR)) {
		rules.violations++;
		return -1;
	}
	configure(CONFIG_ERASE);
	NVMC_ERASEPAGE = ORIGIN + sector_at;
	configure(CONFIG_READ);
	while (board_now_us() - from < ERASE_US)
		continue;
	return 0;
}

static int part_program(void *ctx, uint32_t at, const void *buf, uint32_t n)
{
	const uint8_t *from = buf;
	uint32_t word;

	(void)ctx;
	if (at % UNIT != 0 || n % UNIT != 0 || !nor_inside(&rules, at, n)) {
		rules.violations++;
		return -1;
	}
	configure(CONFIG_WRITE);
	for (; n > 0; n -= WORD, at += WORD, from += WORD) {
		volatile uint32_t *to = (volatile uint32_t *)(ORIGIN + at);

		rules.violations += *to != UINT32_MAX;
		memcpy(&word, from, WORD);
		*to = word;
	}
	configure(CONFIG_READ);
	return 0;
}

static const uint8_t *part_map(void *ctx, uint32_t at)
{
	(void)ctx;
	return (const uint8_t *)ORIGIN + at;
}

static void part_barrier(void *ctx)
{
	(void)ctx;
	cpu_barrier();
}

const struct hd_flash *part_open(void)
{
	if (life.powered != POWERED) {
		life.boots = 0;
		life.powered = POWERED;
	}
	life.boots++;
	rules = (struct nor){ .size = SIZE };
	port = (struct hd_flash){
		.read = part_read, .erase = part_erase, .program = part_program, .map = part_map,
		.barrier = part_barrier, .sector = SECTOR, .unit = UNIT, .erase_us = ERASE_US,
		.erased = 0xff, .slot_bytes = SLOT,
	};
	return nor_layout(&port) == SIZE ? &port : NULL;
}

uint32_t part_violations(void)
{
	return rules.violations;
}

uint32_t part_boots(void)
{
	return life.boots;
}
