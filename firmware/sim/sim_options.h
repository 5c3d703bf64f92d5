/* sim_options.h - the command line of hone-sim. */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include "hd_device.h"
#include "pump.h"
#include "sim_verify.h"

struct sim_options {
	const char *link, *flash, *truth, *record;       /* borrowed from argv; NULL = not given */
	uint8_t  uid[HD_UID_LEN], key[HD_KEY_LEN];
	uint8_t  key_id;
	struct sim_keys keys;                            /* of signatures; none: HMAC only       */
	uint32_t seed, rate_hz, arch;
	uint32_t sector, unit, slot_bytes, erase_us;
	uint32_t age_at[PUMP_EPISODES], n_age;           /* frames after the start               */
	uint32_t ramp_frames;
	uint32_t trial_inferences;
	uint32_t clock_us;                               /* first value of the device's clock    */
	uint32_t record_frames;
	uint64_t record_us;                              /* time of the first recorded frame     */
	bool     durable;                                /* fdatasync at each barrier            */
};

/* Parse.  Returns 0; or a sysexits code after one line on stderr; or -1 after --help. */
int sim_options_parse(struct sim_options *o, int argc, char **argv);

/* "hone-sim: ..." on stderr, one line; returns `code`. */
int sim_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#endif
