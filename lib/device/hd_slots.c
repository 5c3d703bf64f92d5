/* Two slots and a journal of whole, checked records: the state is always the last good record, so
 * a power cut leaves either the old state or the new one. */
#include "hd_slots.h"
#include <string.h>
#include "hd_crc32c.h"
#include "hd_sha256.h"

enum { TAKEN = 16, TAKEN_CRC = 12, SEQ = 0, STATE = 1, CHECK = 3 /* words */, STATE_LEN = 8 };

typedef char hd_record_is_as_in_flash[offsetof(struct hd_slots, other)
	- offsetof(struct hd_slots, seq) == HD_RECORD ? 1 : -1];

static bool power_of_two(uint32_t x)
{
	return x != 0 && (x & (x - 1)) == 0;
}

static bool apart(uint32_t a, uint32_t a_len, uint32_t b, uint32_t b_len)
{
	return a + a_len <= b || b + b_len <= a;
}

bool hd_flash_ok(const struct hd_flash *f)
{
	uint32_t j = f->journal_at, a = f->slot_at[0], b = f->slot_at[1], n = f->slot_bytes;

	return power_of_two(f->unit) && f->unit <= HD_UNIT_MAX && power_of_two(f->sector)
		&& f->sector >= 4 * HD_RECORD && ((j | a | b | n) & (f->sector - 1)) == 0
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

hd_status hd_slots_header(const struct hd_slots *s, uint8_t slot, struct hd_package *p)
{
	const struct hd_flash *f = s->flash;
	const uint8_t *raw = slot <= 1 ? f->map(f->ctx, f->slot_at[slot]) : NULL;

	if (!raw || hd_package_check(raw, f->slot_bytes) != HD_OK)
		return HD_EFORMAT;
	return hd_package_read(p, raw);
}

bool hd_slots_digest_ok(struct hd_sha256 *hash, const uint8_t *header)
{
	uint8_t digest[HD_DIGEST_LEN];

	hd_sha256_end(hash, digest);
	return memcmp(digest, header + HD_AT_DIGEST, sizeof digest) == 0;
}

/* Does the slot hold a complete package whose payload has its digest? */
static bool slot_good(const struct hd_slots *s, uint8_t slot)
{
	const struct hd_flash *f = s->flash;
	struct hd_sha256 hash;
	const uint8_t *raw;

	if (slot > 1)
		return false;
	raw = f->map(f->ctx, f->slot_at[slot]);
	if (hd_package_check(raw, f->slot_bytes) != HD_OK)
		return false;
	hd_sha256_init(&hash);
	hd_sha256_add(&hash, raw + HD_PACKAGE_HEADER, hd_load32(raw + HD_AT_PAYLOAD_LEN));
	return hd_slots_digest_ok(&hash, raw);
}

/* Write the record that is in `s`. */
static hd_status append(struct hd_slots *s)
{
	const struct hd_flash *f = s->flash;
	uint32_t at = s->journal_next, next;
	hd_status rc;

	if (at == 0) {
		at = f->journal_at + (s->second ? 0 : f->sector);
		if (f->erase(f->ctx, at) != 0)
			return HD_EFLASH;
	}
	next = at + HD_RECORD;
	s->journal_next = (next & (f->sector - 1)) == 0 ? 0 : next;
	s->seq++;
	s->crc = hd_crc32c(0, (const uint8_t *)&s->seq, TAKEN_CRC);
	rc = hd_flash_write(f, at, (const uint8_t *)&s->seq, HD_RECORD);
	if (rc == HD_OK)
		s->second = at - f->journal_at >= f->sector;
	return rc;
}

static void present(struct hd_slots *s, uint32_t state, uint32_t floor)
{
	memcpy(&s->kind, &state, sizeof state);
	s->floor = floor;
}

/* NOLINTNEXTLINE(readability-function-size): nested, but one story */
hd_status hd_slots_note(struct hd_slots *s, uint32_t state, uint32_t floor)
{
	uint32_t old = hd_load32(&s->kind), old_floor = s->floor;
	int tries = 2;                   /* a worn place: the next one, once */
	bool first;

	present(s, state, floor);
	do {
		first = s->journal_next == 0;    /* of a page: is written twice */
		if (append(s) != HD_OK) {
			if (--tries == 0) {
				present(s, old, old_floor);
				return HD_EFLASH;
			}
			first = true;
		}
	} while (first);
	if (s->kind != HD_REC_TRIAL)
		s->other = HD_SLOT_NONE;
	else if (s->active != (uint8_t)(old >> 8))
		s->other = (uint8_t)(old >> 8);
	return HD_OK;
}

/* Find the last good record.  `*settled`: the one before it, in the same page, says the same. */
static hd_status scan(struct hd_slots *s, bool *settled)
{
	const struct hd_flash *f = s->flash;
	uint32_t at, r[TAKEN / 4];
	bool alone = true, second;

	for (at = 0; at < 2 * f->sector; at += HD_RECORD) {
		if (f->read(f->ctx, f->journal_at + at, r, sizeof r) != 0)
			return HD_EFLASH;
		if (r[CHECK] != hd_crc32c(0, (const uint8_t *)r, TAKEN_CRC) || r[SEQ] <= s->seq)
			continue;
		second = at >= f->sector;
		alone = second != s->second || s->seq == 0;
		*settled = !alone && memcmp(r + STATE, &s->kind, STATE_LEN) == 0;
		memcpy(&s->seq, r, sizeof r);
		s->second = second;
	}
	if (alone)                       /* its page was cut off: that one is erased next */
		s->second = !s->second;
	return HD_OK;
}

hd_status hd_slots_boot(struct hd_slots *s, const struct hd_flash *flash)
{
	bool settled = false, good;
	uint32_t state;
	hd_status rc;

	memset(s, 0, sizeof *s);
	s->flash = flash;
	s->kind = HD_REC_EMPTY;
	s->active = s->other = HD_SLOT_NONE;
	rc = scan(s, &settled);
	if (rc != HD_OK || s->seq == 0)
		return rc;               /* nothing written: a new device */
	good = slot_good(s, s->active);
	state = hd_load32(&s->kind);
	if (s->kind == HD_REC_TRIAL) {
		if (slot_good(s, s->active ^ 1))
			s->other = s->active ^ 1;
		s->fell_back = !good || s->boots == 0;
		state -= 1u << 16;
		if (s->fell_back)
			state = HD_REC_REVERTED | (uint32_t)s->other << 8;
	} else if (!good && s->active != HD_SLOT_NONE) {
		s->active = HD_SLOT_NONE;        /* the journal keeps its word until a new package comes */
		return HD_OK;
	} else if (settled) {
		return HD_OK;
	}
	return hd_slots_note(s, state, s->floor);
}
