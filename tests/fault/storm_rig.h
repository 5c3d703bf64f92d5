/* storm_rig.h - the parts of a run: private to the storm. */
#ifndef STORM_RIG_H
#define STORM_RIG_H

#include <setjmp.h>
#include "hd_device.h"
#include "hn_peer.h"
#include "storm.h"
#include "storm_wire.h"
#include "t_hd_flash.h"
#include "t_hd_package.h"

enum { SETS = 3, DEVICES = 2, OURS = 1, THEIRS = 2 };

/* A device with its flash: 0 is the one of the configuration, 1 the one that takes its place. */
struct storm_device {
	struct t_flash flash;
	struct hd_device dev;
	struct hd_config cfg;
	uint32_t arena[512];
	int64_t  busy_us;                /* until then an erase stalls it                      */
	uint32_t boots, floor;
	const uint8_t *active;           /* last seen                                          */
};

/* A gateway: 0 is ours, 1 the rival. */
struct storm_gateway {
	struct hn_peer peer;
	struct hd_rx rx;
	struct t_package *set;
	uint8_t  header[HD_PACKAGE_HEADER];
	uint8_t  seq;
	int64_t  skew_us, again_us, trial_us;    /* clock; when to install, confirm; 0 = not   */
	bool     alive;
};

struct storm_rig {
	const struct storm_spec *spec;
	struct storm_result *out;
	struct t_package *sets;          /* (SETS,) what may run: at first, ours, the rival's  */
	struct storm_device dev[DEVICES];
	struct storm_gateway gw[2];
	struct wire down, up;
	struct hn_rng rng, world;        /* of the line; of what happens                       */
	jmp_buf  power;
	int64_t  now_us, telemetry_us, stop_us, baud_us, hush_us[2], swapped_us, rival_us, dark_us;
	uint32_t down_bytes, up_bytes;   /* by now                                             */
	uint32_t cut_at;                 /* byte of spec->cut; UINT32_MAX = not (any more)     */
	int      at;                     /* which device is at the line                        */
	bool     cut_gateway;            /* it is to be killed after this call                 */
	uint32_t count;
};

/* Power for device `d` again: RAM is lost. */
void rig_boot(struct storm_rig *g, int d);
/* The gateway's process begins (again), with a new session. */
void rig_start(struct storm_rig *g, int who);
/* One turn: until the next thing happens, at most a tick. */
void rig_turn(struct storm_rig *g);
/* Our set is in service, confirmed, and both sides know. */
bool rig_is_done(const struct storm_rig *g);
void rig_init(struct storm_rig *g, const struct storm_spec *spec, struct storm_result *out);
void rig_done(struct storm_rig *g);

/* What the world does now (storm_world.c). */
void world_turn(struct storm_rig *g);
#endif
