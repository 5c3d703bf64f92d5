/* storm.h - gateway ends, devices and a bad line between them, in simulated time.
 *
 * One run: a device runs version 1; the gateway is told to bring another set of weights; faults act
 * for a while and stop; then the device must run that set, confirmed, within three times the time
 * that the same swap takes on the same line without faults.  Everything follows from the spec. */
#ifndef STORM_H
#define STORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the line or the world does.  The order is that of storm_fault_names. */
enum storm_fault {
	STORM_BITS,              /* single bits flip                                           */
	STORM_BURST,             /* 2 to 64 bits in a row are drawn anew                       */
	STORM_BYTE_LOST, STORM_BYTE_MORE, STORM_BYTE_TWICE,
	STORM_FRAME_LOST, STORM_FRAME_TWICE,
	STORM_DISORDER,          /* frames overtake each other                                 */
	STORM_TRUNCATE,          /* a frame ends early, its delimiter is lost                  */
	STORM_ZERO_MORE, STORM_ZERO_LOST,        /* delimiters                                 */
	STORM_BOOT_NOISE,        /* text before the first frame of a boot, as a boot ROM's     */
	STORM_ECHO,              /* a side hears what it said                                  */
	STORM_HALF_OPEN,         /* one direction is dead for a while                          */
	STORM_JITTER,            /* 0 to 2 s more latency                                      */
	STORM_STARVE,            /* STATUS without credits                                     */
	STORM_RESET,             /* of the device, anywhere                                    */
	STORM_POWER_CUT,         /* of the device, in an erase or a program                    */
	STORM_KILL,              /* of the gateway                                             */
	STORM_REPLUG,            /* the line goes away and comes back                          */
	STORM_RIVAL,             /* a second gateway with other weights                        */
	STORM_SWAPPED,           /* another device at the line for a while                     */
	STORM_CLOCK,             /* the gateway's clock jumps, either way                      */
	STORM_REPLAY,            /* recorded bytes come again                                  */
	STORM_RETAINED,          /* a chunk of an old session comes first                      */
	STORM_BAUD,              /* an end at another rate for a while: noise, both ways       */
	STORM_FAULTS
};
extern const char *const storm_fault_names[STORM_FAULTS];

/* At one byte instead: what goes down at byte `at_byte` of which direction. */
enum storm_cut { STORM_CUT_NONE, STORM_CUT_DEVICE_DOWN, STORM_CUT_DEVICE_UP, STORM_CUT_GATEWAY_DOWN,
                 STORM_CUT_GATEWAY_UP, STORM_CUTS };
extern const char *const storm_cut_names[STORM_CUTS];

struct storm_spec {
	uint64_t seed;
	uint32_t faults;                 /* bit set of enum storm_fault                        */
	unsigned level;                  /* per mille of frames that something happens to      */
	uint32_t baud;
	int64_t  latency_us, storm_us;   /* of the line; how long the faults act               */
	enum storm_cut cut;
	uint32_t at_byte;
};

struct storm_result {
	int64_t  clean_us, after_us;     /* without faults; from their end on                  */
	uint32_t down_bytes, up_bytes;   /* of the run without faults                          */
	uint32_t hurt, resets, repeats, refusals;
	bool     done;                   /* converged at all                                   */
	char     broken[128];            /* an invariant that does not hold; "" = none         */
};

static inline bool storm_is_down(enum storm_cut c)
{
	return c == STORM_CUT_DEVICE_DOWN || c == STORM_CUT_GATEWAY_DOWN;
}

/* A spec drawn from a seed. */
struct storm_spec storm_draw(uint64_t seed);

/* Run it, without faults first. */
void storm_run(const struct storm_spec *spec, struct storm_result *out);

/* done within three times the clean time, nothing broken. */
bool storm_passed(const struct storm_result *r);
double storm_ratio(const struct storm_result *r);
#endif
