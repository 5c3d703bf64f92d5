/* check_pump.c - the simulated pump: reproducible, separable when learnt, and ageing hurts. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include "hd_crc32c.h"
#include "pump.h"
#include "t_must.h"
#include "t_run.h"

enum { SEED = 20240501, WINDOWS = 2000 };

struct window { double mean[PUMP_AXES]; enum pump_state state; };
struct centroids { double at[PUMP_STATES][PUMP_AXES]; };

static void start(struct pump *p, uint32_t seed, unsigned episodes)
{
	pump_init(p, seed, PUMP_RATE_HZ, 0);
	for (unsigned k = 0; k < episodes; k++)
		ck_assert(pump_age_next(p));
}

static void next_window(struct pump *p, struct window *w)
{
	int16_t raw[PUMP_AXES];

	*w = (struct window){ .state = PUMP_OFF };
	for (unsigned i = 0; i < PUMP_WINDOW; i++) {
		enum pump_state s = pump_next(p, raw);

		if (i > 0)
			T_MUST(s == w->state, "two states in one window");
		w->state = s;
		for (unsigned c = 0; c < PUMP_AXES; c++) {
			T_MUST(abs(raw[c]) < 32000, "axis %u: %d", c, raw[c]);
			w->mean[c] += raw[c] / (double)PUMP_WINDOW;
		}
	}
}

static void learn(struct centroids *m, unsigned episodes)
{
	struct pump p;
	struct window w;
	unsigned n[PUMP_STATES] = { 0 };

	*m = (struct centroids){ 0 };
	start(&p, SEED + 1, episodes);
	for (unsigned i = 0; i < 400; i++) {
		next_window(&p, &w);
		n[w.state]++;
		for (unsigned c = 0; c < PUMP_AXES; c++)
			m->at[w.state][c] += w.mean[c];
	}
	for (unsigned s = 0; s < PUMP_STATES; s++)
		for (unsigned c = 0; c < PUMP_AXES; c++)
			m->at[s][c] /= n[s];
}

static unsigned nearest(const struct centroids *m, const double *x)
{
	double best = (double)INFINITY;
	unsigned at = 0;

	for (unsigned s = 0; s < PUMP_STATES; s++) {
		double d = 0;

		for (unsigned c = 0; c < PUMP_AXES; c++)
			d += (x[c] - m->at[s][c]) * (x[c] - m->at[s][c]);
		if (d < best) {
			best = d;
			at = s;
		}
	}
	return at;
}

static double accuracy(const struct centroids *m, unsigned episodes)
{
	struct pump p;
	struct window w;
	unsigned right = 0;

	start(&p, SEED + 2, episodes);
	for (unsigned i = 0; i < WINDOWS; i++) {
		next_window(&p, &w);
		right += nearest(m, w.mean) == (unsigned)w.state;
	}
	return right / (double)WINDOWS;
}

/* CRC-32C of 4000 frames, states included, each episode beginning 500 frames after the last. */
static uint32_t fingerprint(uint32_t seed)
{
	struct pump p;
	int16_t raw[PUMP_AXES];
	uint8_t b[2 * PUMP_AXES + 1];
	uint32_t crc = 0;

	pump_init(&p, seed, PUMP_RATE_HZ, 400);
	for (unsigned i = 0; i < 4000; i++) {
		if (i > 0 && i % 500 == 0)
			(void)pump_age_next(&p);
		b[2 * PUMP_AXES] = (uint8_t)pump_next(&p, raw);
		for (unsigned c = 0; c < PUMP_AXES; c++)
			hd_put16(b + 2 * c, (uint16_t)raw[c]);
		crc = hd_crc32c(crc, b, sizeof b);
	}
	return crc;
}

START_TEST(the_same_seed_gives_the_same_samples_everywhere)
{
	ck_assert_uint_eq(fingerprint(1), fingerprint(1));
	ck_assert_uint_ne(fingerprint(1), fingerprint(2));
	ck_assert_uint_eq(fingerprint(1), 0x4e801edfu);
}
END_TEST

START_TEST(every_round_of_four_holds_every_state_for_whole_windows)
{
	struct pump p;
	struct window w;
	unsigned seen = 0, stays = 0, stay = 0, last;

	start(&p, SEED, 0);
	next_window(&p, &w);
	for (last = w.state; stays < 400; last = w.state) {
		stay++;
		next_window(&p, &w);
		if ((unsigned)w.state == last)
			continue;
		ck_assert(stay >= 10 && stay <= 20);
		stay = 0;
		seen |= 1u << last;
		if (++stays % PUMP_STATES == 0) {
			ck_assert_uint_eq(seen, (1u << PUMP_STATES) - 1);
			seen = 0;
		}
	}
}
END_TEST

START_TEST(window_means_tell_the_states_of_a_fresh_sensor_apart)
{
	struct centroids m;

	learn(&m, 0);
	ck_assert_double_ge(accuracy(&m, 0), 0.98);
}
END_TEST

START_TEST(each_episode_costs_twenty_points_until_the_states_are_learnt_again)
{
	struct centroids before, after;
	unsigned k = (unsigned)_i;

	learn(&before, k);
	learn(&after, k + 1);
	ck_assert_double_le(accuracy(&before, k + 1), accuracy(&before, k) - 0.20);
	ck_assert_double_ge(accuracy(&after, k + 1), 0.98);
}
END_TEST

START_TEST(an_episode_ramps_in_and_the_episodes_end)
{
	struct pump p;
	int16_t raw[PUMP_AXES];

	pump_init(&p, SEED, PUMP_RATE_HZ, 200);
	ck_assert_uint_eq(pump_age(&p, 0), 0);
	for (unsigned k = 0; k < PUMP_EPISODES; k++) {
		ck_assert(pump_age_next(&p));
		ck_assert_uint_eq(pump_age(&p, k), 0);
		for (unsigned i = 0; i < 100; i++)
			(void)pump_next(&p, raw);
		ck_assert_uint_eq(pump_age(&p, k), PUMP_AGE_FULL / 2);
		for (unsigned i = 0; i < 150; i++)
			(void)pump_next(&p, raw);
		ck_assert_uint_eq(pump_age(&p, k), PUMP_AGE_FULL);
	}
	ck_assert(!pump_age_next(&p));
	ck_assert_uint_eq(pump_age(&p, PUMP_EPISODES), 0);
}
END_TEST

START_TEST(other_rates_keep_the_states_separable)
{
	static const uint32_t rates[] = { 200, 400, 1000 };
	struct centroids m = { 0 };
	unsigned right = 0, n[PUMP_STATES] = { 0 };
	struct window w;
	struct pump p;

	pump_init(&p, SEED, rates[_i], 0);
	for (unsigned i = 0; i < 400; i++) {
		next_window(&p, &w);
		n[w.state]++;
		for (unsigned c = 0; c < PUMP_AXES; c++)
			m.at[w.state][c] += (w.mean[c] - m.at[w.state][c]) / n[w.state];
	}
	for (unsigned i = 0; i < 400; i++) {
		next_window(&p, &w);
		right += nearest(&m, w.mean) == (unsigned)w.state;
	}
	ck_assert_uint_ge(right, 360);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pump");
	TCase *t = tcase_create("pump");

	tcase_add_test(t, the_same_seed_gives_the_same_samples_everywhere);
	tcase_add_test(t, every_round_of_four_holds_every_state_for_whole_windows);
	tcase_add_test(t, window_means_tell_the_states_of_a_fresh_sensor_apart);
	tcase_add_loop_test(t, each_episode_costs_twenty_points_until_the_states_are_learnt_again,
	                    0, PUMP_EPISODES);
	tcase_add_test(t, an_episode_ramps_in_and_the_episodes_end);
	tcase_add_loop_test(t, other_rates_keep_the_states_separable, 0, 3);
	suite_add_tcase(s, t);
	return t_run(s);
}
