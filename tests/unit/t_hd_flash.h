/* t_hd_flash.h - flash in RAM that keeps the rules and can lose power at any operation.
 *
 * An operation is the program of one write unit or the erase of one sector.  A cut inside leaves a
 * torn unit or sector: each bit that should change reads as old or new, and is drawn again at
 * each reboot, each read and each look at the mapped flash, because such cells are not stable.  A
 * unit counts as programmed even if it reads erased. */
#ifndef T_HD_FLASH_H
#define T_HD_FLASH_H

#include <setjmp.h>
#include "hd_slots.h"
#include "hn_rng.h"

enum t_cut { T_CUT_BEFORE, T_CUT_INSIDE, T_CUT_AFTER, T_CUTS };

enum { T_TORN_MAX = 64 };

struct t_flash {
	struct hd_flash port;
	uint8_t *mem, *old, *goal, *mark;/* (size,) bytes; mark: 0 erased, 1 programmed, 2 torn  */
	uint32_t size, ops, cut_at, erases, faults;
	uint32_t broken_rules;           /* misaligned, outside, or not erased before            */
	uint32_t fail_at, fail_n;        /* operations that report an error and do nothing       */
	uint32_t slow_us;                /* what an erase took, added up                         */
	uint32_t torn[T_TORN_MAX][2], n_torn;    /* [at, end) since the last power up             */
	enum t_cut how;
	jmp_buf *power;                  /* where a cut goes; NULL = never cut                   */
	struct hn_rng rng;
};

struct t_geometry { uint32_t unit, sector, slot_bytes; uint8_t erased; };

enum { T_NEVER = 0x7fffffff };

void t_flash_init(struct t_flash *t, const struct t_geometry *g, uint64_t seed);
void t_flash_done(struct t_flash *t);
/* Same contents as `from`, which has the same geometry. */
void t_flash_copy(struct t_flash *t, const struct t_flash *from);
/* Power comes back: torn cells are drawn again; no cut is planned. */
void t_flash_power_up(struct t_flash *t);
void t_flash_plan(struct t_flash *t, jmp_buf *power, uint32_t after_ops, enum t_cut how);
#endif
