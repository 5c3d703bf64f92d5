/* sim_flash.h - a NOR flash part kept in a file, so that it survives the process. */
#ifndef SIM_FLASH_H
#define SIM_FLASH_H

#include "nor.h"
#include "sim_options.h"

struct sim_flash {
	struct hd_flash port;            /* what the device library gets                       */
	struct nor nor;
	int  fd;
	bool durable;
	void (*stalled)(uint32_t us);    /* the CPU stood still for so long; may be NULL       */
};

/* Open or make the file.  Returns 0 or a sysexits code after one line on stderr.  `f` must not
 * move while the port is in use.  sim_flash_done accepts a half-open part. */
int  sim_flash_open(struct sim_flash *f, const struct sim_options *o);
void sim_flash_done(struct sim_flash *f);
#endif
