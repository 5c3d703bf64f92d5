/* option.h - what a build leaves open: identity, key, seed.
 *
 * Text of words "name=value" separated by blanks or line ends, put into memory before the start:
 *     qemu-system-arm ... -device loader,file=FILE,addr=ADDRESS,force-raw=on
 * ADDRESS is OPTION of the board's linker script.
 * No text means the defaults. */
#ifndef OPTION_H
#define OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include "hd_device.h"

enum { OPTION_TEXT_MAX = 4096 };

struct option {
	uint8_t  uid[HD_UID_LEN];        /* uid=HEX16      [0000000000000386]                  */
	uint8_t  key[HD_KEY_LEN];        /* key=HEX64      [all zero: for tests]               */
	uint32_t key_id;                 /* key_id=N       [0]                                 */
	uint32_t seed;                   /* seed=N         [386] of the pump                   */
	uint32_t rate_hz;                /* rate=HZ        [400] divides 1000000               */
	uint32_t ramp_ms;                /* ramp_ms=N      [3000] of an ageing episode         */
	uint32_t deadline_us;            /* deadline_us=N  [0] of an inference; 0 = one window  */
	uint32_t trial;                  /* trial=N        [750] inferences                    */
	uint32_t nonce;                  /* nonce=N        [0] differs at every power-on       */
};

/* Parse text (at most `max` bytes; ends at the first byte that is not printable ASCII, blank, line
 * end).  False when a word is unknown or its value does not parse: `o` then has the rest. */
bool option_read(struct option *o, const char *text, size_t max);
#endif
