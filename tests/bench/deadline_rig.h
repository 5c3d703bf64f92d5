/* deadline_rig.h - the firmware's main loop, its flash, a line and a gateway in simulated time.
 *
 * The loop is firmware/common/app.c as it is; the gateway is hn_peer; the line carries 10 bits a
 * byte at 115200 baud each way and damages one byte in RIG_NOISE.  While the flash is busy the CPU
 * stands still: sampling (timer and DMA) and the line go on.  Computing costs time, too: products,
 * hashing and checksums are charged by the byte, on the slow side of what a part of that clock
 * takes.
 *
 * An inference is due at each window's last frame and is missed when its answer is not there
 * `deadline_us` later, is not that of the version it names, or never comes.  This is counted here,
 * beside the firmware's own counter. */
#ifndef DEADLINE_RIG_H
#define DEADLINE_RIG_H

#include "swapper.h"
#include "t_hd_flash.h"

enum { RIG_NOISE = 20000 };

struct rig_part {                        /* a part and what it does all day                      */
	const char *name;
	struct t_geometry flash;
	uint32_t erase_us, unit_us;      /* of a sector, of a write unit                         */
	uint32_t mhz;
	uint32_t window_us, deadline_us;
	bool     hides_erases;           /* the port says that an erase takes no time: a control */
};

struct rig_tally {
	uint64_t due, missed, wrong;     /* inferences; wrong: not the answer of that version    */
	uint64_t firmware_missed;        /* what the firmware itself counted                     */
	uint32_t swaps[SWAPS], all_swaps;
	uint32_t erases, repeats, astray;/* astray: swaps with another end or another image   */
	uint32_t latest_us;              /* longest time from a window's last frame to its answer */
	double   days;                   /* simulated                                            */
};

/* Swap until there were at least `swaps` swaps and `deadlines` inferences due. */
void deadline_rig_run(const struct rig_part *part, uint32_t swaps, uint64_t deadlines,
                      uint64_t seed, struct rig_tally *tally);

extern const struct rig_part rig_parts[];
extern const unsigned rig_n_parts;
#endif
