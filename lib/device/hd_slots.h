/* hd_slots.h - two immutable weight slots and an append-only journal in flash.
 *
 * Geometry (all from the port): two slots that never overlap, each [header unit(s)][payload], and
 * two journal sectors.  The header of a slot is programmed last, after the payload was verified.
 * Journal records are 32 bytes, so whole write units, appended, never rewritten:
 *
 *   0 u32 seq    +1 a record
 *   4 u8  kind   see enum hd_record
 *   5 u8  slot   0, 1 or 0xff = none
 *   6 u16 boots  boot attempts left of the trial
 *   8 u32 floor  highest confirmed version: packages must be above it
 *  12 u32 crc    CRC-32C over bytes [0, 12)
 *  16 zero
 *
 * The state after a reset is the last record with a right CRC (highest seq).  A record that was cut
 * off may read as good, as damaged or as still erased, and differently each time.  Therefore
 *   - the first record after a reset goes to a freshly erased sector, never behind what is there;
 *   - the first record of a sector is written twice: where two are good, all but the last are sound
 *     and the other sector may go; where only one is, it never counted, and its own sector goes;
 *   - at boot the state is written again unless the last two records agree.
 * CONFIRMED, REVERTED and EMPTY keep `slot` active; the other one may hold anything, and nobody
 * looks at it before it is erased.  During TRIAL it holds the way back and is not touched. */
#ifndef HD_SLOTS_H
#define HD_SLOTS_H

#include "hd_types.h"
#include "hd_package.h"
#include "hd_sha256.h"

/* The flash driver: five functions.  Addresses are offsets into the region given to honed.
 * Each returns 0, or non-zero on failure. */
struct hd_flash {
	void *ctx;
	int  (*read)(void *ctx, uint32_t at, void *buf, uint32_t n);
	int  (*erase)(void *ctx, uint32_t sector_at);            /* one sector, blocks */
	/* Whole write units that were erased before; `at` and `n` are multiples of `unit`. */
	int  (*program)(void *ctx, uint32_t at, const void *buf, uint32_t n);
	const uint8_t *(*map)(void *ctx, uint32_t at);           /* memory-mapped view, 4-byte aligned */
	void (*barrier)(void *ctx);                              /* all programs are durable */
	bool (*busy)(void *ctx);                                 /* NULL, but see hd_ram.h */
	uint32_t sector;         /* erase size in bytes, a power of two, at least 128        */
	uint32_t unit;           /* write size: 1, 2, 4, 8, 16 or 32 bytes                   */
	uint32_t erase_us;       /* worst time of one erase                                  */
	uint8_t  erased;         /* 0xff or 0x00                                             */
	uint32_t journal_at;     /* two sectors                                              */
	uint32_t slot_at[2];     /* sector aligned                                           */
	uint32_t slot_bytes;     /* size of one slot, a multiple of `sector`                 */
};

/* Permanent.  2 was the erase of a slot. */
enum hd_record { HD_REC_EMPTY = 1, HD_REC_TRIAL = 3, HD_REC_CONFIRMED = 4, HD_REC_REVERTED = 5 };

enum { HD_SLOT_NONE = 0xff, HD_UNIT_MAX = 32, HD_RECORD = 32 };

struct hd_slots {
	const struct hd_flash *flash;
	uint32_t journal_next;   /* address of the next free record, 0 = the next needs an erase */
	uint32_t seq;            /* from here to `zero` the last record as it is in flash     */
	uint8_t  kind, active;   /* active: slot or HD_SLOT_NONE                              */
	uint16_t boots;          /* boot attempts left of the trial                           */
	uint32_t floor, crc, zero[4];
	uint8_t  other;          /* on trial: the slot to go back to, or HD_SLOT_NONE         */
	bool     second;         /* the last good record is in the second page                */
	bool     fell_back;      /* this boot ended a trial                                   */
};

/* Does the geometry keep the rules above?  For tests and for ports whose geometry is not constant:
 * hd_slots_boot does not ask. */
bool hd_flash_ok(const struct hd_flash *f);

/* Read the journal, repair a torn tail, count a trial boot, revert when the attempts are used up.
 * After it `s->active` is a slot whose header and payload check out, or 0xff.
 * Errors: HD_EFLASH. */
hd_status hd_slots_boot(struct hd_slots *s, const struct hd_flash *flash);

/* Append a record that makes `state` = kind | slot << 8 | boots << 16 and `floor` the present ones.
 * Errors: HD_EFLASH (they are what they were). */
hd_status hd_slots_note(struct hd_slots *s, uint32_t state, uint32_t floor);

/* Is what `hash` has taken the payload of this header? */
bool hd_slots_digest_ok(struct hd_sha256 *hash, const uint8_t *header);

/* Header of a slot, or HD_EFORMAT when it holds no complete package. */
hd_status hd_slots_header(const struct hd_slots *s, uint8_t slot, struct hd_package *p);

/* Address of the payload inside a slot (after the header, write-unit and 4-byte aligned). */
uint32_t hd_slots_payload_at(const struct hd_flash *f, uint8_t slot);

/* Program `n` bytes (whole units), make them durable and compare.  Errors: HD_EFLASH. */
hd_status hd_flash_write(const struct hd_flash *f, uint32_t at, const uint8_t *p, uint32_t n);
#endif
