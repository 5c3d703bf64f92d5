/* A flash port over a flash port: slots in RAM, records in order. */
#include "hd_ram.h"
#include <string.h>

enum { SLICE = 64 };             /* bytes written at a time: whole units of up to 32        */

/* Which slot has this address?  2 = none: the journal. */
static unsigned slot_of(const struct hd_ram *r, uint32_t at)
{
	const struct hd_flash *f = r->flash;
	unsigned i = 0;

	while (i < 2 && at - f->slot_at[i] >= f->slot_bytes)
		i++;
	return i;
}

static struct hd_ram_record *wait(struct hd_ram *r, uint32_t at)
{
	struct hd_ram_record *w = &r->record[r->n];

	if (r->n == HD_RAM_RECORDS)
		return NULL;
	memset(w, 0, sizeof *w);
	w->at = at;
	r->n++;
	return w;
}

static int ram_read(void *ctx, uint32_t at, void *buf, uint32_t n)
{
	struct hd_ram *r = ctx;

	return r->flash->read(r->flash->ctx, at, buf, n);        /* the journal, at boot */
}

static int ram_erase(void *ctx, uint32_t at)
{
	struct hd_ram *r = ctx;
	unsigned i = slot_of(r, at);
	struct hd_ram_record *w;

	if (i < 2) {
		memset(r->slot[i] + (at - r->flash->slot_at[i]), r->flash->erased, r->flash->sector);
		r->changed[i] = true;
		r->at = 0;
		return 0;
	}
	if (!r->changed[0] && !r->changed[1])
		return r->flash->erase(r->flash->ctx, at);
	w = wait(r, at);
	if (w)
		w->erase = true;
	return w ? 0 : -1;
}

static int ram_program(void *ctx, uint32_t at, const void *buf, uint32_t n)
{
	struct hd_ram *r = ctx;
	unsigned i = slot_of(r, at);
	struct hd_ram_record *w;

	if (i < 2) {
		memcpy(r->slot[i] + (at - r->flash->slot_at[i]), buf, n);
		return 0;
	}
	if (!r->changed[0] && !r->changed[1])
		return r->flash->program(r->flash->ctx, at, buf, n);
	w = wait(r, at);
	if (!w)
		return -1;
	memcpy(w->bytes, buf, n);        /* one record, at most a unit of HD_UNIT_MAX */
	return 0;
}

static const uint8_t *ram_map(void *ctx, uint32_t at)
{
	struct hd_ram *r = ctx;
	unsigned i = slot_of(r, at), k;

	if (i < 2)
		return r->slot[i] + (at - r->flash->slot_at[i]);
	for (k = r->n; k-- > 0; ) {
		if (r->record[k].at == at && !r->record[k].erase)
			return (const uint8_t *)r->record[k].bytes;
	}
	return r->flash->map(r->flash->ctx, at);
}

static void ram_barrier(void *ctx)
{
	struct hd_ram *r = ctx;

	r->flash->barrier(r->flash->ctx);
}

static bool ram_busy(void *ctx)
{
	const struct hd_ram *r = ctx;

	return r->n > 0;
}

hd_status hd_ram_init(struct hd_ram *r, const struct hd_flash *flash, uint8_t *a, uint8_t *b)
{
	unsigned i;

	memset(r, 0, sizeof *r);
	r->flash = flash;
	r->slot[0] = a;
	r->slot[1] = b;
	r->port = *flash;
	r->port.ctx = r;
	r->port.read = ram_read;
	r->port.erase = ram_erase;
	r->port.program = ram_program;
	r->port.map = ram_map;
	r->port.barrier = ram_barrier;
	r->port.busy = ram_busy;
	for (i = 0; i < 2; i++) {
		if (flash->read(flash->ctx, flash->slot_at[i], r->slot[i], flash->slot_bytes) != 0)
			return HD_EFLASH;
	}
	return HD_OK;
}

/* The next piece of slot i.  Returns false when it must wait. */
static bool write_slot(struct hd_ram *r, unsigned i, uint32_t idle_us)
{
	const struct hd_flash *f = r->flash;
	uint32_t at = f->slot_at[i] + r->at;

	if (r->at % f->sector == 0) {
		if (idle_us <= f->erase_us)
			return false;
		r->failed = f->erase(f->ctx, at) != 0;
		if (r->failed)
			return true;
	}
	r->failed = hd_flash_write(f, at, r->slot[i] + r->at, SLICE) != HD_OK;
	r->at = r->failed ? r->at - r->at % f->sector : r->at + SLICE;   /* that sector again */
	return true;
}

/* Bytes of the package in slot i, in slices. */
static uint32_t length_of(const struct hd_ram *r, unsigned i)
{
	uint32_t n = HD_PACKAGE_HEADER + hd_load32(r->slot[i] + HD_AT_PAYLOAD_LEN);

	return (n + SLICE - 1) & ~(uint32_t)(SLICE - 1);
}

static bool write_record(struct hd_ram *r, uint32_t idle_us)
{
	const struct hd_flash *f = r->flash;
	const struct hd_ram_record *w = &r->record[r->done];
	uint32_t size = f->unit > 16 ? f->unit : 16;

	if (w->erase && idle_us <= f->erase_us)
		return false;
	r->failed = w->erase ? f->erase(f->ctx, w->at) != 0
		: hd_flash_write(f, w->at, (const uint8_t *)w->bytes, size) != HD_OK;
	r->done++;                       /* a worn place in the journal has a second one behind it */
	return true;
}

bool hd_ram_work(struct hd_ram *r, uint32_t idle_us)
{
	unsigned i = r->changed[1];

	if (r->n == 0)
		return false;
	if (r->changed[i] && r->at < length_of(r, i))
		return write_slot(r, i, idle_us);
	if (r->done < r->n)
		return write_record(r, idle_us);
	r->changed[0] = r->changed[1] = false;
	r->n = r->done = 0;
	return true;
}
