/* pump.h - a simulated centrifugal pump and the ageing accelerometer on its bearing housing.
 *
 * Integer arithmetic only: the same seed gives the same samples on every machine.  Units are raw
 * counts of a 16-bit sensor of +-8 g: PUMP_COUNTS_PER_G counts a g.  Axes: x along the shaft, y
 * horizontal, z vertical (gravity is + 1 g on z).
 *
 *   true acceleration of a frame =
 *       lean[state]            static: thrust and torque tilt the base, gravity leaks into x and y
 *     + once[state] sin(p)     imbalance, once a revolution; y and z lag x by a quarter and a half
 *     + twice[state] sin(2 p)  misalignment, twice a revolution
 *     + ring                   bearing: an impact each 1/3.57 turn, decaying with changing sign
 *     + noise[state]           approximately normal (sum of four uniform bytes)
 *
 *   raw = clip16(gain . true + offset), the sensor: gain (3, 3), offset (3,).  Fresh: identity, 0.
 *
 * Ageing comes in episodes that add up.  Episode k moves gain and offset by age[k] / 1000 of row k
 * of a table (loss of gain on an axis, leakage into another, a shift), ramping from 0 to 1000.
 *
 * Schedule: the four states come in rounds, each round a seeded shuffle of all four, so that any
 * stretch of a few rounds holds them in nearly equal parts; none follows itself.  A state lasts 10
 * to 20 whole windows (0.8 to 1.6 s at 400 Hz): no window mixes states, its truth is always known.
 * The shaft turns at 25 Hz +- 3 %, drawn anew each time: the phase of a window is arbitrary. */
#ifndef PUMP_H
#define PUMP_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PUMP_COUNTS_PER_G = 4096,
	PUMP_AXES = 3,
	PUMP_WINDOW = 32,           /* frames                                            */
	PUMP_RATE_HZ = 400,         /* default                                           */
	PUMP_EPISODES = 6,
	PUMP_AGE_FULL = 1000        /* per mille                                         */
};

enum pump_state { PUMP_OFF, PUMP_NORMAL, PUMP_CAVITATION, PUMP_BEARING, PUMP_STATES };

struct pump {                       /* private: use the functions                        */
	uint32_t noise_rng, plan_rng;
	uint32_t rate_hz, ramp_frames;
	uint32_t frame;             /* frames made so far, wraps                         */
	uint32_t left;              /* frames left of the present state                  */
	uint32_t phase, step;       /* of the shaft, 2^32 = one revolution               */
	uint32_t impact;            /* phase of the bearing's impacts                    */
	int32_t  ring;              /* counts                                            */
	uint8_t  round[PUMP_STATES], turn, state, episodes;
	uint32_t age_ramp[PUMP_EPISODES];   /* frames since the episode began, <= ramp_frames */
	int32_t  gain[PUMP_AXES][PUMP_AXES];/* 1 << 12 = 1                               */
	int32_t  offset[PUMP_AXES];         /* counts                                    */
};

/* Start at frame 0.  rate_hz 10..10000; ramp_frames = length of an episode's ramp, 0 = at once. */
void pump_init(struct pump *p, uint32_t seed, uint32_t rate_hz, uint32_t ramp_frames);

/* The next frame.  raw (PUMP_AXES,).  Returns its true state. */
enum pump_state pump_next(struct pump *p, int16_t raw[PUMP_AXES]);

/* Begin the next ageing episode.  False when all PUMP_EPISODES have begun. */
bool pump_age_next(struct pump *p);

/* Age of episode k in per mille, 0 when it has not begun. */
uint32_t pump_age(const struct pump *p, unsigned k);
#endif
