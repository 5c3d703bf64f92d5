/* check_hd_sketch.c - sketches say what the data say, add up, and come when they should. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "hd_sketch.h"
#include "hn_rng.h"
#include "t_run.h"

enum { SEED = 20250614, CHANNELS_MAX = 7, WINDOW = 16, WINDOWS = 40 };

static struct hd_sketch sketch;
static struct hd_sketch_channel channel[CHANNELS_MAX];
static int16_t data[WINDOWS * WINDOW][CHANNELS_MAX];
static const struct hd_sketch_stamp stamp = { 0xfffffff0u, 77, 12 };

static hd_status order(uint8_t type, const uint8_t *body, size_t n)
{
	const struct hd_frame f = { .type = type, .body = body, .len = n };

	return hd_sketch_order(&sketch, &f);
}

static void telemetry(uint8_t mode, uint16_t heartbeat, uint16_t raw_every)
{
	const struct hd_telemetry_order o = { mode, 60, heartbeat, raw_every };
	uint8_t body[HD_TELEMETRY_LEN];

	hd_telemetry_write(&o, body);
	ck_assert_int_eq(order(HD_TELEMETRY, body, sizeof body), HD_OK);
}

/* Now and then an extreme, now and then the value before. */
static void draw(struct hn_rng *rng, uint8_t n_ch)
{
	for (int t = 0; t < WINDOWS * WINDOW; t++)
		for (int c = 0; c < n_ch; c++) {
			const uint32_t how = hn_rng_below(rng, 10);

			data[t][c] = how == 0 ? INT16_MIN : how == 1 ? INT16_MAX
				: how == 2 && t > 0 ? data[t - 1][c] : (int16_t)(uint16_t)hn_rng_u64(rng);
		}
}

/* Windows `from` up to `to` of the first n_ch columns. */
static void feed(uint8_t n_ch, int from, int to)
{
	int16_t raw[WINDOW * CHANNELS_MAX];

	for (int w = from; w < to; w++) {
		for (int i = 0; i < WINDOW * n_ch; i++)
			raw[i] = data[w * WINDOW + i / n_ch][i % n_ch];
		(void)hd_sketch_window(&sketch, raw, WINDOW);
		hd_sketch_answer(&sketch, (uint8_t)(w % 11), (uint8_t)(w * 37));
	}
}

static struct hd_sketch_report report(uint8_t first)
{
	uint8_t body[HD_SKETCH_BODY_MAX];
	size_t n = hd_sketch_write(&sketch, &stamp, first, body);
	struct hd_sketch_report r;

	ck_assert_uint_le(n, HD_BODY_MAX);
	ck_assert_int_eq(hd_sketch_read(&r, body, n), HD_OK);
	return r;
}

/* Frames `from` up to `to` of channel c, the lag product also with the frame before `from`. */
static void check_channel(const struct hd_sketch_sums *k, int c, int from, int to)
{
	int64_t sum = 0, sum2 = 0, lag = 0;
	uint32_t stuck = 0, clip = 0, bins[HD_SKETCH_BINS] = { 0 };
	int low = INT16_MAX, high = INT16_MIN;

	for (int t = from; t < to; t++) {
		const int64_t x = data[t][c];

		sum += x;
		sum2 += x * x;
		low = x < low ? (int)x : low;
		high = x > high ? (int)x : high;
		clip += x == INT16_MIN || x == INT16_MAX;
		bins[(x + 32768) / 8192]++;
		if (t == 0)
			continue;
		lag += x * data[t - 1][c];
		stuck += x == data[t - 1][c];
	}
	ck_assert_int_eq(k->sum, sum);
	ck_assert_int_eq((int64_t)k->sum2, sum2);
	ck_assert_int_eq(k->lag, lag);
	ck_assert_int_eq(k->min, low);
	ck_assert_int_eq(k->max, high);
	ck_assert_uint_eq(k->stuck, stuck);
	ck_assert_uint_eq(k->clip, clip);
	ck_assert_mem_eq(k->bins, bins, sizeof bins);
}

START_TEST(a_sketch_says_what_the_data_say_for_any_number_of_channels)
{
	const uint8_t n_ch = (uint8_t)(_i + 1);
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED + (uint64_t)_i);
	draw(&rng, n_ch);
	hd_sketch_init(&sketch, channel, n_ch);
	feed(n_ch, 0, WINDOWS);
	for (uint8_t first = 0; first < n_ch; first = (uint8_t)(first + HD_SKETCH_CHANNELS)) {
		const struct hd_sketch_report r = report(first);

		ck_assert_uint_eq(r.frames, WINDOWS * WINDOW);
		ck_assert_uint_eq(r.windows, WINDOWS);
		ck_assert_uint_eq(r.stamp.tick_us, stamp.tick_us);
		ck_assert_uint_eq(r.stamp.model_version, stamp.model_version);
		ck_assert_int_eq(r.n, n_ch - first < HD_SKETCH_CHANNELS ? n_ch - first : HD_SKETCH_CHANNELS);
		for (int c = 0; c < r.n; c++)
			check_channel(&r.channel[c], first + c, 0, WINDOWS * WINDOW);
		ck_assert_uint_eq(r.classes[0], 4);              /* 0 11 22 33 */
		ck_assert_uint_eq(r.classes[7], 12);             /* 7, 8, 9 and 10 */
	}
}
END_TEST

START_TEST(sketches_of_the_parts_add_up_to_that_of_the_whole)
{
	struct hd_sketch_report r, whole, other;
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED);
	draw(&rng, 3);
	hd_sketch_init(&sketch, channel, 3);
	feed(3, 0, WINDOWS);
	whole = report(0);
	hd_sketch_init(&sketch, channel, 3);
	feed(3, 0, 7);
	r = report(0);
	for (int from = 7; from < WINDOWS; from += 11) {
		struct hd_sketch_report more;

		hd_sketch_clear(&sketch);
		feed(3, from, from + 11);
		more = report(0);
		ck_assert_int_eq(hd_sketch_merge(&r, &more), HD_OK);
	}
	ck_assert_uint_eq(r.frames, whole.frames);
	for (int c = 0; c < 3; c++)
		check_channel(&r.channel[c], c, 0, WINDOWS * WINDOW);
	ck_assert_mem_eq(r.margins, whole.margins, sizeof r.margins);
	other = whole;
	other.channel[1].shift--;
	ck_assert_int_eq(hd_sketch_merge(&r, &other), HD_ESTATE);
	ck_assert_uint_eq(r.frames, whole.frames);
}
END_TEST

START_TEST(a_body_that_no_sketch_can_have_is_refused)
{
	uint8_t body[HD_SKETCH_BODY_MAX + 1] = { 0 }, bad[sizeof body];
	struct hd_sketch_report r;
	struct hn_rng rng;
	unsigned taken = 0;
	size_t n;

	hn_rng_seed(&rng, SEED);
	draw(&rng, 3);
	hd_sketch_init(&sketch, channel, 3);
	feed(3, 0, WINDOWS);
	n = hd_sketch_write(&sketch, &stamp, 0, body);
	for (size_t len = 0; len <= n + 1; len++)
		ck_assert_int_eq(hd_sketch_read(&r, body, len), len == n ? HD_OK : HD_EFORMAT);
	for (int i = 0; i < 100000; i++) {               /* never a crash, seldom a sketch */
		memcpy(bad, body, n);
		bad[8 + hn_rng_below(&rng, (uint32_t)n - 8)] = (uint8_t)hn_rng_u64(&rng);
		bad[8 + hn_rng_below(&rng, (uint32_t)n - 8)] = (uint8_t)hn_rng_u64(&rng);
		taken += hd_sketch_read(&r, bad, n) == HD_OK;
	}
	ck_assert_uint_lt(taken, 50000);
	memcpy(bad, body, n);
	hd_put16(bad + HD_SKETCH_HEAD + 32, (uint16_t)(hd_get16(bad + HD_SKETCH_HEAD + 32) + 1));
	ck_assert_int_eq(hd_sketch_read(&r, bad, n), HD_EFORMAT);        /* a bin too many */
}
END_TEST

/* --- when ------------------------------------------------------------------------------------- */

/* One window around `level`. */
static void one(struct hn_rng *rng, int level, bool *raw)
{
	int16_t x[WINDOW];

	for (int i = 0; i < WINDOW; i++)
		x[i] = (int16_t)(level + (int)hn_rng_below(rng, 201) - 100);
	*raw = hd_sketch_window(&sketch, x, WINDOW);
}

static const struct { uint8_t mode; unsigned quiet, after; } exceptions[] = {
	{ HD_TELEMETRY_RAW, 0, 0 }, { HD_TELEMETRY_SKETCH, 0, 0 }, { HD_TELEMETRY_EXCEPTION, 0, 1 },
};

START_TEST(a_shift_is_told_at_once_in_exception_mode_and_only_once_until_the_heartbeat)
{
	unsigned quiet = 0, after = 0;
	struct hn_rng rng;
	bool raw, late;

	hn_rng_seed(&rng, SEED);
	hd_sketch_init(&sketch, channel, 1);
	telemetry(exceptions[_i].mode, 60000, 0);
	for (int w = 0; w < 2000; w++) {
		one(&rng, 500, &raw);
		quiet += hd_sketch_is_due(&sketch, &late);
	}
	for (int w = 0; w < 200; w++) {
		one(&rng, 600, &raw);    /* about nine mean deviations */
		if (!hd_sketch_is_due(&sketch, &late))
			continue;
		after++;
		ck_assert(late);         /* with the window that shows it */
		ck_assert_int_lt(w, 20);
		ck_assert_uint_eq(report(0).reason, HD_REASON_MEAN);
		hd_sketch_clear(&sketch);
	}
	ck_assert_uint_eq(quiet, exceptions[_i].quiet);
	ck_assert_uint_eq(after, exceptions[_i].after);
}
END_TEST

START_TEST(a_margin_that_falls_is_an_exception_and_a_swap_begins_anew)
{
	struct hn_rng rng;
	bool raw, late;
	unsigned told = 0;

	hn_rng_seed(&rng, SEED);
	hd_sketch_init(&sketch, channel, 1);
	telemetry(HD_TELEMETRY_EXCEPTION, 60000, 0);
	for (int w = 0; w < 700; w++) {
		const int margin = w < 300 || w >= 400 ? 200 : 20;

		if (w == 300 && _i == 1)
			hd_sketch_swapped(&sketch);      /* another network: nothing fell */
		one(&rng, 0, &raw);
		hd_sketch_answer(&sketch, 1, (uint8_t)(margin + (int)hn_rng_below(&rng, 20)));
		told += w < 400 && hd_sketch_is_due(&sketch, &late);
	}
	ck_assert_uint_eq(told, _i == 0);
}
END_TEST

START_TEST(windows_go_raw_when_pulled_or_when_it_is_their_turn)
{
	static const uint8_t three[2] = { 3, 0 };
	struct hn_rng rng;
	bool raw, late;
	unsigned n = 0, sketches = 0;

	hn_rng_seed(&rng, SEED);
	hd_sketch_init(&sketch, channel, 1);
	one(&rng, 0, &raw);
	ck_assert(raw);                  /* until a gateway says otherwise */
	telemetry(HD_TELEMETRY_SKETCH, 10, 0);
	for (int w = 0; w < 100; w++) {
		if (w == 50)
			ck_assert_int_eq(order(HD_PULL, three, 2), HD_OK);
		one(&rng, 0, &raw);
		n += raw;
		if (hd_sketch_is_due(&sketch, &late)) {
			ck_assert(!late);
			sketches++;
			hd_sketch_clear(&sketch);
		}
	}
	ck_assert_uint_eq(n, 3);
	ck_assert_uint_eq(sketches, 10);
	telemetry(HD_TELEMETRY_SKETCH, 10, 25);
	for (int w = 0; w < 100; w++) {
		one(&rng, 0, &raw);
		n += raw;
	}
	ck_assert_uint_eq(n, 3 + 4);
}
END_TEST

START_TEST(an_order_out_of_range_changes_nothing)
{
	static const uint8_t bad[][HD_TELEMETRY_LEN] = {
		{ 3, 60, 1, 0 }, { 1, 0, 1, 0 }, { 1, 101, 1, 0 }, { 1, 60, 0, 0 }
	};
	struct hn_rng rng;
	bool raw;

	hn_rng_seed(&rng, SEED);
	hd_sketch_init(&sketch, channel, 1);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_int_eq(order(HD_TELEMETRY, bad[i], HD_TELEMETRY_LEN), HD_EFORMAT);
	ck_assert_int_eq(order(HD_TELEMETRY, bad[0], 4), HD_EFORMAT);
	ck_assert_int_eq(order(HD_PULL, bad[0], 1), HD_EFORMAT);
	one(&rng, 0, &raw);
	ck_assert(raw);
}
END_TEST

START_TEST(a_sketch_goes_before_a_counter_can_overflow)
{
	struct hn_rng rng;
	bool raw, late;
	unsigned w = 0;

	hn_rng_seed(&rng, SEED);
	hd_sketch_init(&sketch, channel, 1);
	telemetry(HD_TELEMETRY_SKETCH, UINT16_MAX, 0);
	do
		one(&rng, 32600, &raw);          /* all in one bin */
	while (!hd_sketch_is_due(&sketch, &late) && ++w < UINT16_MAX);
	ck_assert_uint_lt(report(0).frames, UINT16_MAX);
	ck_assert_uint_eq(report(0).channel[0].bins[7], report(0).frames);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hd_sketch");
	TCase *t = tcase_create("hd_sketch");

	tcase_add_loop_test(t, a_sketch_says_what_the_data_say_for_any_number_of_channels, 0,
	                    CHANNELS_MAX);
	tcase_add_test(t, sketches_of_the_parts_add_up_to_that_of_the_whole);
	tcase_add_test(t, a_body_that_no_sketch_can_have_is_refused);
	tcase_add_loop_test(t, a_shift_is_told_at_once_in_exception_mode_and_only_once_until_the_heartbeat,
	                    0, (int)(sizeof exceptions / sizeof *exceptions));
	tcase_add_loop_test(t, a_margin_that_falls_is_an_exception_and_a_swap_begins_anew, 0, 2);
	tcase_add_test(t, windows_go_raw_when_pulled_or_when_it_is_their_turn);
	tcase_add_test(t, an_order_out_of_range_changes_nothing);
	tcase_add_test(t, a_sketch_goes_before_a_counter_can_overflow);
	suite_add_tcase(s, t);
	return t_run(s);
}
