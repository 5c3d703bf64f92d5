/* part.h - the flash for slots and journal of an emulated board.
 *
 * part_ram.c emulates one in RAM that a reset leaves alone; after power-off it is blank and the
 * device starts without an image, as a new one does.  part_nvmc.c drives the flash of an nRF51.
 * Both wait as long as an erase takes: the emulator erases at once. */
#ifndef PART_H
#define PART_H

#include "hd_slots.h"

/* The port, NULL when its geometry is impossible. */
const struct hd_flash *part_open(void);

/* Rules broken so far: a bug of the device library when not 0. */
uint32_t part_violations(void);

/* Boots since power-on, this one included. */
uint32_t part_boots(void);
#endif
