/* Two slots and a journal of whole, checked records: the state is always the last good record, so
 * a power cut leaves either the old state or the new one. */
#include "hd_slots.h"
#include <string.h>
#include "hd_crc32c.h"
#include "hd_sha256.h"

enum { RECORD = 16, RECORD_CRC = 12 };

static uint32_t record_size(const struct hd_flash *f)
{
	return f->unit > RECORD ? f->unit : RECORD;
}

static bool power_of_two(uint32_t x)
{
	return x != 0 && (x & (x - 1)) == 0;
}

static bool apart(uint32_t a, uint32_t a_len, uint32_t b, uint32_t b_len)
{
	return a + a_len <= b || b + b_len <= a;
}

static bool geometry_ok(const struct hd_flash *f)
{
	uint32_t j = f->journal_at, a = f->slot_at[0], b = f->slot_at[1], n = f->slot_bytes;

	return power_of_two(f->unit) && f->unit <= HD_UNIT_MAX && power_of_two(f->sector)
		&& f->sector >= 4 * record_size(f) && ((j | a | b | n) & (f->sector - 1)) == 0
		&& n > HD_PACKAGE_HEADER && apart(a, n, b, n) && apart(j, 2 * f->sector, a, n)
		&& apart(j, 2 * f->sector, b, n);
}

hd_status hd_flash_write(const struct hd_flash *f, uint32_t at, const uint8_t *p, uint32_t n)
{
	if (f->program(f->ctx, at, p, n) != 0)
		return HD_EFLASH;
	f->barrier(f->ctx);
	return memcmp(f->map(f->ctx, at), p, n) == 0 ? HD_OK : HD_EFLASH;
}

uint32_t hd_slots_payload_at(const struct hd_flash *f, uint8_t slot)
{
	return f->slot_at[slot] + HD_PACKAGE_HEADER;     /* every write unit divides it */
}

/* Mapped header of a slot that holds a complete package, or NULL. */
static const uint8_t *header_of(const struct hd_slots *s, uint8_t slot)
{
	const struct hd_flash *f = s->flash;
	const uint8_t *raw;

	if (slot > 1)
		return NULL;
	raw = f->map(f->ctx, f->slot_at[slot]);
	if (hd_package_check(raw) != HD_OK
	    || hd_load32(raw + HD_AT_PAYLOAD_LEN) > f->slot_bytes - HD_PACKAGE_HEADER)
		return NULL;
	return raw;
}

hd_status hd_slots_header(const struct hd_slots *s, uint8_t slot, struct hd_package *p)
{
	const uint8_t *raw = header_of(s, slot);

	return raw ? hd_package_read(p, raw) : HD_EFORMAT;
}

/* Does the slot hold a complete package whose payload has its digest? */
static bool slot_good(const struct hd_slots *s, uint8_t slot)
{
	const uint8_t *raw = header_of(s, slot);
	struct hd_sha256 hash;
	uint8_t digest[HD_DIGEST_LEN];

	if (!raw)
		return false;
	hd_sha256_init(&hash);
	hd_sha256_add(&hash, raw + HD_PACKAGE_HEADER, hd_load32(raw + HD_AT_PAYLOAD_LEN));
	hd_sha256_end(&hash, digest);
	return memcmp(digest, raw + HD_AT_DIGEST, sizeof digest) == 0;
}

/* Append the record at the next free place.  The page with the last good record is left alone until
 * the other one holds newer ones. */
static hd_status append(struct hd_slots *s, uint8_t record[HD_UNIT_MAX])
{
	const struct hd_flash *f = s->flash;
	uint32_t at = s->journal_next, next;
	hd_status rc;

	if (at == 0) {
		at = f->journal_at + (s->journal_page ? 0 : f->sector);
		if (f->erase(f->ctx, at) != 0)
			return HD_EFLASH;
	}
	next = at + record_size(f);
	s->journal_next = (next & (f->sector - 1)) == 0 ? 0 : next;
	hd_put32(record, s->seq + 1);
	hd_put32(record + RECORD_CRC, hd_crc32c(0, record, RECORD_CRC));
	rc = hd_flash_write(f, at, record, record_size(f));
	if (rc == HD_OK) {
		s->journal_page = at - f->journal_at >= f->sector;
		s->seq++;
	}
	return rc;
}

hd_status hd_slots_note(struct hd_slots *s, uint8_t kind, uint8_t slot, uint16_t boots,
                        uint32_t floor)
{
	uint8_t record[HD_UNIT_MAX];
	bool failed = false, done = false;

	memset(record, s->flash->erased, sizeof record);
	record[4] = kind;
	record[5] = slot;
	hd_put16(record + 6, boots);
	hd_put32(record + 8, floor);
	while (!done) {
		bool first = s->journal_next == 0;       /* of a page: is written twice */

		if (append(s, record) == HD_OK)
			done = !first;
		else if (failed)
			return HD_EFLASH;
		else
			failed = true;                   /* a worn place: the next one, once */
	}
	if (kind != HD_REC_TRIAL)
		s->other = HD_SLOT_NONE;
	else if (slot != s->active)
		s->other = s->active;
	s->kind = kind;
	s->active = slot;
	s->boots = boots;
	s->floor = floor;
	return HD_OK;
}

static bool record_ok(const uint8_t *r)
{
	return hd_get32(r + RECORD_CRC) == hd_crc32c(0, r, RECORD_CRC)
		&& r[4] >= HD_REC_EMPTY && r[4] <= HD_REC_REVERTED
		&& (r[5] <= 1 || (r[5] == HD_SLOT_NONE && r[4] != HD_REC_TRIAL));
}

/* Find the last good record.  `*settled`: the one before it, in the same page, says the same. */
static hd_status scan(struct hd_slots *s, bool *settled)
{
	const struct hd_flash *f = s->flash;
	uint32_t size = record_size(f), at;
	uint8_t r[RECORD], last[RECORD];
	bool alone = true;

	*settled = false;
	memset(last, 0, sizeof last);
	for (at = 0; at < 2 * f->sector; at += size) {
		uint8_t page = at >= f->sector;

		if (f->read(f->ctx, f->journal_at + at, r, sizeof r) != 0)
			return HD_EFLASH;
		if (!record_ok(r) || hd_get32(r) <= hd_get32(last))
			continue;
		alone = page != s->journal_page || hd_get32(last) == 0;
		*settled = !alone && memcmp(r + 4, last + 4, RECORD_CRC - 4) == 0;
		memcpy(last, r, sizeof last);
		s->journal_page = page;
	}
	if (alone)                       /* its page was cut off: that one is erased next */
		s->journal_page ^= 1;
	s->seq = hd_get32(last);         /* 0: none; the first has 1 */
	s->kind = last[4];
	s->active = last[5];
	s->boots = hd_get16(last + 6);
	s->floor = hd_get32(last + 8);
	return HD_OK;
}

hd_status hd_slots_boot(struct hd_slots *s, const struct hd_flash *flash, uint8_t max_boots)
{
	bool settled, good;
	hd_status rc;

	memset(s, 0, sizeof *s);
	s->flash = flash;
	s->other = HD_SLOT_NONE;
	if (!geometry_ok(flash))
		return HD_EFORMAT;
	rc = scan(s, &settled);
	if (rc != HD_OK)
		return rc;
	if (s->seq == 0) {               /* nothing written: a new device */
		s->kind = HD_REC_EMPTY;
		s->active = HD_SLOT_NONE;
		return HD_OK;
	}
	good = slot_good(s, s->active);
	if (s->kind == HD_REC_TRIAL) {
		if (slot_good(s, s->active ^ 1))
			s->other = s->active ^ 1;
		if (s->boots > max_boots)
			s->boots = max_boots;
		s->fell_back = !good || s->boots == 0;
		if (s->fell_back)
			return hd_slots_note(s, HD_REC_REVERTED, s->other, 0, s->floor);
		return hd_slots_note(s, HD_REC_TRIAL, s->active, (uint16_t)(s->boots - 1), s->floor);
	}
	if (!good && s->active != HD_SLOT_NONE)
		s->active = HD_SLOT_NONE;        /* the journal keeps its word until a new package comes */
	else if (!settled)
		return hd_slots_note(s, s->kind, s->active, s->boots, s->floor);
	return HD_OK;
}
