/* hd_stage.h - between hd_device.c and hd_stage.c: what happens to a package on its way in.
 *
 *   BEGIN -> ERASING -> RECEIVING -> ACTIVATE -> VERIFYING -> TRIAL -> CONFIRM -> IDLE
 *
 * The spare slot is the one that is not active.  Its header is programmed after everything else
 * was verified, and the journal names it only after that. */
#ifndef HD_STAGE_H
#define HD_STAGE_H

#include "hd_device.h"

/* What became of a command: an hd_status, or one of these: call again. */
enum { HD_MORE = 100, HD_LATER = 101 };  /* did some of it; must wait for idle time */

enum hd_tell { HD_TELL_HELLO = 1, HD_TELL_STATUS = 2 };

/* The header of the package that is being received. */
static inline const uint8_t *hd_staged(const struct hd_device *d)
{
	return (const uint8_t *)d->header;
}

/* Nothing in the spare slot is to be trusted; returns HD_EFLASH. */
hd_status hd_stage_flash_failed(struct hd_device *d);

/* Commands; the frame is d->frame. */
int hd_stage_begin(struct hd_device *d);
int hd_stage_chunk(struct hd_device *d);
int hd_stage_order(struct hd_device *d);        /* ACTIVATE, CONFIRM, REVERT */

/* One bounded piece of pending work.  Returns false when there was none, or it must wait. */
bool hd_stage_work(struct hd_device *d);

/* Open the image of the active slot, and on trial that of the other.  Once, at boot. */
hd_status hd_stage_boot(struct hd_device *d);
#endif
