#include "t_hd_flash.h"
#include <stdlib.h>
#include <string.h>

enum { ERASED, PROGRAMMED, TORN };
enum { MAP_LOOK = 256 };         /* bytes behind a mapped address that are drawn again */

/* Contents of a torn range: sometimes as if nothing had happened, sometimes as if all had. */
static void draw_torn(struct t_flash *t, uint32_t at, uint32_t n)
{
	uint32_t luck = hn_rng_below(&t->rng, 4);

	for (uint32_t i = at; i < at + n; i++) {
		uint8_t bits = (uint8_t)hn_rng_u64(&t->rng);

		bits = luck == 0 ? 0 : luck == 1 ? 0xff : bits;
		t->mem[i] = (uint8_t)(t->old[i] ^ ((t->old[i] ^ t->goal[i]) & bits));
	}
}

/* Change [at, at + n) to goal, or lose power. */
static int change(struct t_flash *t, uint32_t at, uint32_t n, uint8_t mark)
{
	bool cut = t->power && t->ops == t->cut_at;

	if (t->ops++ - t->fail_at < t->fail_n) {         /* unsigned: false before fail_at */
		t->faults++;
		return -1;
	}
	if (cut && t->how == T_CUT_BEFORE)
		longjmp(*t->power, 1);
	memcpy(t->old + at, t->mem + at, n);
	if (cut && t->how == T_CUT_INSIDE) {
		memset(t->mark + at, TORN, n);
		draw_torn(t, at, n);
		longjmp(*t->power, 1);
	}
	memcpy(t->mem + at, t->goal + at, n);
	memset(t->mark + at, mark, n);
	if (cut)
		longjmp(*t->power, 1);
	return 0;
}

/* What of [at, at + n) is torn and was not erased since reads as something else each time. */
static void tremble(struct t_flash *t, uint32_t at, uint32_t n)
{
	for (uint32_t i = 0; i < t->n_torn; i++) {
		uint32_t from = t->torn[i][0] > at ? t->torn[i][0] : at;
		uint32_t to = t->torn[i][1] < at + n ? t->torn[i][1] : at + n;

		if (from < to && t->mark[from] == TORN)
			draw_torn(t, from, to - from);
	}
}

static int flash_read(void *ctx, uint32_t at, void *buf, uint32_t n)
{
	struct t_flash *t = ctx;

	if (at > t->size || n > t->size - at)
		return -1;
	tremble(t, at, n);
	memcpy(buf, t->mem + at, n);
	return 0;
}

static int flash_erase(void *ctx, uint32_t at)
{
	struct t_flash *t = ctx;

	if (at >= t->size || at % t->port.sector != 0) {
		t->broken_rules++;
		return -1;
	}
	t->erases++;
	t->slow_us += t->port.erase_us;
	memset(t->goal + at, t->port.erased, t->port.sector);
	return change(t, at, t->port.sector, ERASED);
}

static int program_unit(struct t_flash *t, uint32_t at, const uint8_t *p)
{
	uint32_t unit = t->port.unit;

	for (uint32_t i = 0; i < unit; i++)
		t->broken_rules += t->mark[at + i] != ERASED;
	memcpy(t->goal + at, p, unit);
	return change(t, at, unit, PROGRAMMED);
}

static int flash_program(void *ctx, uint32_t at, const void *buf, uint32_t n)
{
	struct t_flash *t = ctx;
	uint32_t unit = t->port.unit;

	if (at % unit != 0 || n % unit != 0 || at > t->size || n > t->size - at) {
		t->broken_rules++;
		return -1;
	}
	for (uint32_t i = 0; i < n; i += unit) {
		int rc = program_unit(t, at + i, (const uint8_t *)buf + i);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static const uint8_t *flash_map(void *ctx, uint32_t at)
{
	struct t_flash *t = ctx;

	tremble(t, at, MAP_LOOK);
	return t->mem + at;
}

static void flash_barrier(void *ctx)
{
	(void)ctx;                       /* RAM: every program is durable at once */
}

void t_flash_init(struct t_flash *t, const struct t_geometry *g, uint64_t seed)
{
	*t = (struct t_flash){ .cut_at = T_NEVER, .fail_at = T_NEVER };
	t->size = 2 * g->sector + 2 * g->slot_bytes;
	t->mem = malloc(t->size);
	t->old = malloc(t->size);
	t->goal = malloc(t->size);
	t->mark = calloc(t->size, 1);
	if (!t->mem || !t->old || !t->goal || !t->mark)
		abort();
	memset(t->mem, g->erased, t->size);
	memset(t->old, g->erased, t->size);
	memset(t->goal, g->erased, t->size);
	hn_rng_seed(&t->rng, seed);
	t->port = (struct hd_flash){ .ctx = t, .read = flash_read, .erase = flash_erase,
		.program = flash_program, .map = flash_map, .barrier = flash_barrier,
		.sector = g->sector, .unit = g->unit, .erase_us = 1000, .erased = g->erased,
		.journal_at = 0, .slot_at = { 2 * g->sector, 2 * g->sector + g->slot_bytes },
		.slot_bytes = g->slot_bytes };
}

void t_flash_done(struct t_flash *t)
{
	free(t->mem);
	free(t->old);
	free(t->goal);
	free(t->mark);
}

void t_flash_copy(struct t_flash *t, const struct t_flash *from)
{
	memcpy(t->mem, from->mem, t->size);
	memcpy(t->old, from->old, t->size);
	memcpy(t->goal, from->goal, t->size);
	memcpy(t->mark, from->mark, t->size);
	t->ops = t->erases = t->broken_rules = t->n_torn = 0;
	t->power = NULL;
}

void t_flash_power_up(struct t_flash *t)
{
	uint32_t unit = t->port.unit;

	t->n_torn = 0;
	for (uint32_t at = 0; at < t->size; at += unit) {
		if (t->mark[at] != TORN)
			continue;
		draw_torn(t, at, unit);
		if (t->n_torn > 0 && t->torn[t->n_torn - 1][1] == at && at % t->port.sector != 0)
			t->torn[t->n_torn - 1][1] += unit;
		else if (t->n_torn < T_TORN_MAX)
			memcpy(t->torn[t->n_torn++], (uint32_t[]){ at, at + unit }, sizeof t->torn[0]);
	}
	t->power = NULL;
}

void t_flash_plan(struct t_flash *t, jmp_buf *power, uint32_t after_ops, enum t_cut how)
{
	t->power = power;
	t->cut_at = t->ops + after_ops;
	t->how = how;
}
