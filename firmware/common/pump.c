#include "pump.h"
#include <stddef.h>

enum {
	GAIN_BITS = 12, GAIN_ONE = 1 << GAIN_BITS,
	SINE_BITS = 15,
	SHAFT_MHZ = 25000, SHAFT_SPREAD_MHZ = 750,      /* millihertz: 25 Hz +- 3 %        */
	DWELL_MIN = 10, DWELL_SPREAD = 11,              /* windows                         */
	NOISE_STD = 148        /* standard deviation of a sum of four uniform bytes        */
};

/* Counts.  Means differ by 0.1 to 0.3 g, so that a window's mean tells the states apart although
 * its phase is arbitrary; the vibration grows from state to state as it does on a real pump. */
struct signature {
	int16_t lean[PUMP_AXES], once[PUMP_AXES], twice[PUMP_AXES];
	int16_t noise, impact;
};

static const struct signature signatures[PUMP_STATES] = {
	[PUMP_OFF]        = { {    0,    0, 4096 }, {   0,   0,   0 }, {   0,   0,   0 },  40,    0 },
	[PUMP_NORMAL]     = { {  640,  240, 3920 }, { 160, 260, 200 }, {  40,  60,  50 },  70,    0 },
	[PUMP_CAVITATION] = { {  240, -740, 4360 }, { 200, 320, 260 }, {  60,  80,  70 }, 240,    0 },
	[PUMP_BEARING]    = { { -600,  300, 4680 }, { 240, 400, 340 }, { 100, 160, 140 }, 100,  440 },
};

/* What an episode adds when it is complete.  gain in 1 / 4096, offset in counts.
 *
 * Made so that after episode k the mount has crept around one more axis (z 55, x 50, y 45, x 45,
 * x 45, y 55 degrees), one axis has lost 15 % of its gain (x, y, z, then none), and the mean of all
 * states has moved by about 0.2 g.  The creep is what a refit of the input scaler cannot undo: the
 * axes mix, so the states must be learned again. */
struct episode {
	int16_t gain[PUMP_AXES][PUMP_AXES];
	int16_t offset[PUMP_AXES];
};

static const struct episode episodes[PUMP_EPISODES] = {
	{ { { -2099, -2852,     0 }, {  3355, -1747,     0 }, {     0,     0,     0 } },
	  {  -620,   240,   160 } },
	{ { {     0,     0,     0 }, { -1522, -1066, -2667 }, {  2570,  1799, -1463 } },
	  {   300,  2040,  1700 } },
	{ { {  1232,  2107,  1862 }, {     0,     0,     0 }, { -2226,   996, -1050 } },
	  { -1260,   -60,  1100 } },
	{ { {     0,     0,     0 }, {  -780, -2352,  -338 }, {  1195,    89, -2350 } },
	  {   200,   120,  1800 } },
	{ { {     0,     0,     0 }, { -1397, -1726,  1422 }, {   294, -1601, -1900 } },
	  {    80,  -860,  1380 } },
	{ { {   125,  1369, -2979 }, {     0,     0,     0 }, { -3427,    63,  -388 } },
	  {  2620,  -640,   880 } },
};

/* round(32767 sin(i / 64 * pi / 2)) */
static const int16_t quarter[65] = {
	    0,   804,  1608,  2410,  3212,  4011,  4808,  5602,  6393,  7179,  7962,  8739,  9512,
	10278, 11039, 11793, 12539, 13279, 14010, 14732, 15446, 16151, 16846, 17530, 18204, 18868,
	19519, 20159, 20787, 21403, 22005, 22594, 23170, 23731, 24279, 24811, 25329, 25832, 26319,
	26790, 27245, 27683, 28105, 28510, 28898, 29268, 29621, 29956, 30273, 30571, 30852, 31113,
	31356, 31580, 31785, 31971, 32137, 32285, 32412, 32521, 32609, 32678, 32728, 32757, 32767,
};

/* Division by 2^bits that rounds down for both signs, without a shift of a negative number. */
static int32_t div_pow2(int32_t x, unsigned bits)
{
	int32_t d = (int32_t)1 << bits;

	return x >= 0 ? x / d : -((-x + d - 1) / d);
}

static int32_t sine(uint32_t phase)
{
	uint32_t i = phase >> 24;               /* 256 steps a revolution */
	uint32_t j = i & 127;
	int32_t v = quarter[j <= 64 ? j : 128 - j];

	return i < 128 ? v : -v;
}

/* Marsaglia 2003, "Xorshift RNGs"; the state is never 0. */
static uint32_t xorshift32(uint32_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return *s;
}

/* Uniform in [0, n), n small: the bias of the product is below n / 2^32. */
static uint32_t below(uint32_t *s, uint32_t n)
{
	return (uint32_t)(((uint64_t)xorshift32(s) * n) >> 32);
}

static int32_t noise(uint32_t *s, int32_t std)
{
	uint32_t u = xorshift32(s);
	int32_t sum = (int32_t)((u & 255) + (u >> 8 & 255) + (u >> 16 & 255) + (u >> 24)) - 510;

	return sum * std / NOISE_STD;
}

static void swap_turns(struct pump *p, uint32_t i, uint32_t j)
{
	uint8_t t = p->round[i];

	p->round[i] = p->round[j];
	p->round[j] = t;
}

static void shuffle(struct pump *p)
{
	uint8_t last = p->state;

	for (uint32_t i = PUMP_STATES - 1; i > 0; i--)
		swap_turns(p, i, below(&p->plan_rng, i + 1));
	if (p->round[0] == last)                /* a state never follows itself */
		swap_turns(p, 0, PUMP_STATES - 1);
	p->turn = 0;
}

static void next_state(struct pump *p)
{
	uint32_t mhz = SHAFT_MHZ - SHAFT_SPREAD_MHZ + below(&p->plan_rng, 2 * SHAFT_SPREAD_MHZ + 1);

	if (p->turn == PUMP_STATES)
		shuffle(p);
	p->state = p->round[p->turn++];
	p->left = (DWELL_MIN + below(&p->plan_rng, DWELL_SPREAD)) * PUMP_WINDOW;
	p->step = (uint32_t)(((uint64_t)mhz << 32) / ((uint64_t)p->rate_hz * 1000));
}

/* Gain and offset from the ages of all episodes. */
static void sensor_update(struct pump *p)
{
	for (unsigned i = 0; i < PUMP_AXES; i++) {
		p->offset[i] = 0;
		for (unsigned j = 0; j < PUMP_AXES; j++)
			p->gain[i][j] = i == j ? GAIN_ONE : 0;
	}
	for (unsigned k = 0; k < p->episodes; k++) {
		int32_t age = (int32_t)pump_age(p, k);

		for (unsigned i = 0; i < PUMP_AXES; i++) {
			p->offset[i] += episodes[k].offset[i] * age / PUMP_AGE_FULL;
			for (unsigned j = 0; j < PUMP_AXES; j++)
				p->gain[i][j] += episodes[k].gain[i][j] * age / PUMP_AGE_FULL;
		}
	}
}

static void sensor_age(struct pump *p)
{
	bool changed = false;

	for (unsigned k = 0; k < p->episodes; k++)
		if (p->age_ramp[k] < p->ramp_frames) {
			p->age_ramp[k]++;
			changed = true;
		}
	if (changed)
		sensor_update(p);
}

static int16_t clip16(int32_t x)
{
	return (int16_t)(x > INT16_MAX ? INT16_MAX : x < INT16_MIN ? INT16_MIN : x);
}

static void sensor_read(const struct pump *p, const int32_t *a, int16_t *raw)
{
	for (unsigned i = 0; i < PUMP_AXES; i++) {
		int32_t v = 1 << (GAIN_BITS - 1);

		for (unsigned j = 0; j < PUMP_AXES; j++)
			v += p->gain[i][j] * a[j];
		raw[i] = clip16(div_pow2(v, GAIN_BITS) + p->offset[i]);
	}
}

static void ring_step(struct pump *p, int32_t impact)
{
	uint32_t before = p->impact;

	p->impact += (uint32_t)((uint64_t)p->step * 357 / 100);
	p->ring = -p->ring * 5 / 8;
	if (p->impact < before)
		p->ring += impact;
}

enum pump_state pump_next(struct pump *p, int16_t raw[PUMP_AXES])
{
	const struct signature *s;
	int32_t a[PUMP_AXES];

	if (p->left == 0)
		next_state(p);
	p->left--;
	p->frame++;
	sensor_age(p);
	s = &signatures[p->state];
	p->phase += p->step;
	ring_step(p, s->impact);
	for (unsigned i = 0; i < PUMP_AXES; i++) {
		uint32_t lag = (uint32_t)i << 30;       /* a quarter of a revolution an axis */

		a[i] = s->lean[i] + noise(&p->noise_rng, s->noise) + (i == 0 ? 0 : p->ring)
		     + div_pow2(s->once[i] * sine(p->phase - lag), SINE_BITS)
		     + div_pow2(s->twice[i] * sine(2 * p->phase - lag), SINE_BITS);
	}
	sensor_read(p, a, raw);
	return (enum pump_state)p->state;
}

void pump_init(struct pump *p, uint32_t seed, uint32_t rate_hz, uint32_t ramp_frames)
{
	*p = (struct pump){ .rate_hz = rate_hz, .ramp_frames = ramp_frames, .turn = PUMP_STATES };
	/* Two streams, so that the plan does not depend on how much noise was drawn; | 1: not 0. */
	p->noise_rng = (seed * 2654435761u) | 1;
	p->plan_rng = ((seed ^ 0x9e3779b9u) * 2246822519u) | 1;
	for (unsigned i = 0; i < 8; i++) {              /* small seeds start with few bits set */
		(void)xorshift32(&p->noise_rng);
		(void)xorshift32(&p->plan_rng);
	}
	for (unsigned i = 0; i < PUMP_STATES; i++)
		p->round[i] = (uint8_t)i;
	sensor_update(p);
}

bool pump_age_next(struct pump *p)
{
	if (p->episodes == PUMP_EPISODES)
		return false;
	p->age_ramp[p->episodes++] = 0;
	sensor_update(p);
	return true;
}

uint32_t pump_age(const struct pump *p, unsigned k)
{
	if (k >= p->episodes)
		return 0;
	if (p->ramp_frames == 0)
		return PUMP_AGE_FULL;
	return (uint32_t)((uint64_t)p->age_ramp[k] * PUMP_AGE_FULL / p->ramp_frames);
}
