/* ram_flash.h - flash for slots and journal, emulated in RAM that a reset leaves alone.
 *
 * The board has no flash that the emulator would keep.  The contents survive a reset, and are
 * gone after power-off: then the device starts without an image, as a new one does. */
#ifndef RAM_FLASH_H
#define RAM_FLASH_H

#include "hd_slots.h"

/* The port.  Blank after power-on. */
const struct hd_flash *ram_flash_open(void);

/* Rules broken so far: a bug of the device library when not 0. */
uint32_t ram_flash_violations(void);

/* Boots since power-on, this one included. */
uint32_t ram_flash_boots(void);
#endif
