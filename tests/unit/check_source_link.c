/* The link source against a device at the other end of a pty; and its clock. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "clock.h"
#include "hd_msg.h"
#include "hn_rng.h"
#include "link_clock.h"
#include "t_run.h"
#include "t_source.h"

static struct t_source t;

/* --- the clock -------------------------------------------------------------------------------- */

/* A device of 400 Hz that sends 8 frames a message. */
struct device {
	double rate;                     /* its seconds a real second                          */
	uint32_t tick0;                  /* counter at real time 0                             */
	uint32_t count;
	int64_t now_us;                  /* real time of the next message's first frame        */
};
enum { PERIOD_US = 2500, N = 8 };

static struct link_stamp device_next(struct device *d, int64_t delay_us, int64_t *true_us)
{
	struct link_stamp m = { .period_us = PERIOD_US, .n = N, .count = d->count };

	*true_us = d->now_us;
	m.tick = (uint32_t)(d->tick0 + (uint64_t)((double)d->now_us * d->rate));
	m.arrival_us = d->now_us + (int64_t)((N - 1) * PERIOD_US / d->rate) + delay_us;
	d->count += N;
	d->now_us += (int64_t)(N * PERIOD_US / d->rate);
	return m;
}

static const struct { double rate; uint32_t tick0; int64_t error_us_max; } clocks[] = {
	{ 1.0, 0, 500 },
	{ 1.0, 4294000000u, 500 },             /* wraps after a second */
	{ 1.0001, 123, 1500 }, { 0.9999, 123, 1500 },
	{ 1.02, 4000000000u, 17000 }, { 0.98, 4000000000u, 170000 },
};

START_TEST(ticks_become_times_near_the_truth_that_never_run_backwards)
{
	struct device d = { .rate = clocks[_i].rate, .tick0 = clocks[_i].tick0, .now_us = 1000000 };
	struct link_clock c = { .set = false };
	struct hn_rng rng;
	int64_t first, truth, last = 0, worst = 0;
	uint32_t lost;

	hn_rng_seed(&rng, 5);
	for (int i = 0; i < 6000; i++) {        /* two minutes; delay 1..17 ms */
		struct link_stamp m = device_next(&d, 1000 + hn_rng_below(&rng, 16000), &truth);

		ck_assert_int_eq(link_clock_step(&c, &m, &first, &lost),
		                 i ? LINK_CLOCK_GOES_ON : LINK_CLOCK_FIRST);
		ck_assert_uint_eq(lost, 0);
		ck_assert_int_gt(first, last);
		last = first + (N - 1) * PERIOD_US;
		if (i > 1000 && llabs(first - truth - 1000) > worst)
			worst = llabs(first - truth - 1000);
	}
	ck_assert_msg(worst <= clocks[_i].error_us_max, "rate %g: %lld us", d.rate, (long long)worst);
}
END_TEST

START_TEST(a_long_silence_and_wraps_do_not_matter)
{
	struct device d = { .rate = 1, .tick0 = 77, .now_us = 1000000 };
	struct link_clock c = { .set = false };
	int64_t first, truth;
	uint32_t lost;

	for (int i = 0; i < 20; i++) {
		struct link_stamp m = device_next(&d, 1000, &truth);

		ck_assert_int_ne(link_clock_step(&c, &m, &first, &lost), LINK_CLOCK_RESTARTED);
		ck_assert_int_eq(first, truth + 1000);
		ck_assert_uint_eq(lost, i == 0 || i % 5 ? 0u : 400u * 3600 * 3);
		if (i % 5 == 4) {               /* three hours */
			d.count += 400u * 3600 * 3;
			d.now_us += INT64_C(3600) * 3 * 1000000;
		}
	}
}
END_TEST

START_TEST(a_burst_of_delay_hardly_moves_the_times)
{
	struct device d = { .rate = 1, .now_us = 1000000 };
	struct link_clock c = { .set = false };
	int64_t first, truth;
	uint32_t lost;

	for (int i = 0; i < 2000; i++) {        /* half a second late, for a second */
		int64_t delay = i >= 1000 && i < 1050 ? 500000 : 1000;
		struct link_stamp m = device_next(&d, delay, &truth);

		(void)link_clock_step(&c, &m, &first, &lost);
		ck_assert_int_le(llabs(first - truth - 1000), 1000);
	}
}
END_TEST

/* How the second of two messages differs from its due values, and what it is. */
static const struct { int32_t count, tick; int64_t late_us; enum link_clock_event event; }
changes[] = {
	{ 0, 0, 0, LINK_CLOCK_GOES_ON },
	{ 80, 80 * PERIOD_US, 0, LINK_CLOCK_GOES_ON },  /* ten messages lost */
	{ 0, 900000, 0, LINK_CLOCK_GOES_ON },
	{ 0, 5000000, 0, LINK_CLOCK_RESTARTED },
	{ -1000 * N, -1000 * N * PERIOD_US, 0, LINK_CLOCK_RESTARTED },
	{ -1000 * N, 0, 0, LINK_CLOCK_RESTARTED },
	{ -N, -N * PERIOD_US, 0, LINK_CLOCK_DUPLICATE },
	{ -N, -N * PERIOD_US, 2000000, LINK_CLOCK_RESTARTED },
	{ -3, -3 * PERIOD_US, 0, LINK_CLOCK_RESTARTED },
};

START_TEST(counters_that_jump_mean_that_the_device_began_again)
{
	struct device d = { .rate = 1, .tick0 = 9000000, .count = 100000, .now_us = 50000000 };
	struct link_clock c = { .set = false };
	int64_t first, truth;
	uint32_t lost = 0;
	struct link_stamp m = device_next(&d, 1000, &truth);

	ck_assert_int_eq(link_clock_step(&c, &m, &first, &lost), LINK_CLOCK_FIRST);
	m = device_next(&d, 1000, &truth);
	m.count += (uint32_t)changes[_i].count;
	m.tick += (uint32_t)changes[_i].tick;
	m.arrival_us += changes[_i].late_us;
	ck_assert_int_eq(link_clock_step(&c, &m, &first, &lost), changes[_i].event);
	if (changes[_i].event == LINK_CLOCK_RESTARTED)
		ck_assert_int_eq(first, m.arrival_us - (N - 1) * PERIOD_US);
	if (changes[_i].event == LINK_CLOCK_GOES_ON)
		ck_assert_uint_eq(lost, (uint32_t)changes[_i].count);
}
END_TEST

START_TEST(any_stamps_at_all_are_survived)
{
	struct link_clock c = { .set = false };
	struct hn_rng rng;
	int64_t first, arrival = 0;
	uint32_t lost;

	hn_rng_seed(&rng, 99);
	for (int i = 0; i < 200000; i++) {
		struct link_stamp m = { .n = 1 + hn_rng_below(&rng, 255), .arrival_us = arrival };

		m.period_us = hn_rng_below(&rng, 2) ? 0 : hn_rng_below(&rng, (uint32_t)INT32_MAX / m.n);
		m.tick = (uint32_t)hn_rng_u64(&rng);
		m.count = hn_rng_below(&rng, 3) ? c.last.count + m.n : (uint32_t)hn_rng_u64(&rng);
		arrival += (int64_t)(hn_rng_u64(&rng) >> 28);
		(void)link_clock_step(&c, &m, &first, &lost);
	}
}
END_TEST

/* --- the driver ------------------------------------------------------------------------------- */

static size_t put_frame(uint8_t type, uint16_t session, const void *body, size_t len)
{
	uint8_t wire[HD_WIRE_MAX];
	size_t n = hd_frame_write(type, 1, session, body, len, wire);

	t_source_send(&t, wire, n);
	return n;
}

/* n frames of three channels from frame number `count`, 2.5 ms apart. */
static void put_samples(uint32_t count, uint8_t n)
{
	uint8_t body[HD_BODY_MAX], *p = body + 10;

	hd_put32(body, 4294900000u + count * 2500);     /* wraps after 38 frames */
	hd_put32(body + 4, 2500);
	body[8] = 3;
	body[9] = n;
	for (uint32_t i = count; i < count + n; i++, p += 6) {
		hd_put16(p, (uint16_t)i);
		hd_put16(p + 2, (uint16_t)-i);
		hd_put16(p + 4, (uint16_t)(i % 7));
	}
	hd_put32(p, count);
	(void)put_frame(HD_SAMPLES, 0, body, (size_t)(p + 4 - body));
}

static bool one_message(const struct t_source *x)
{
	return x->n_messages == 1;
}

START_TEST(a_device_says_hello_and_sends_samples_through_noise)
{
	struct hd_hello hello = { .proto = HD_PROTO, .grain = 16, .ops = 3, .build = 77 }, got;
	uint8_t body[HD_HELLO_LEN], noise[] = { 0x55, 0xaa, 1, 2, 3, 4, 5, 6, 7, 0 };
	int64_t event_us, late_us;

	t_source_start(&t, t_kit("link-pty"));
	ck_assert_int_eq(sources_time(t.sources, 0, 5, &event_us), HN_ESTATE);
	hd_hello_write(&hello, body);
	t_source_send(&t, noise, sizeof noise);
	(void)put_frame(HD_HELLO, 0x1234, body, sizeof body);
	ck_assert(t_source_run(&t, one_message, 5));
	ck_assert_uint_eq(t.message[0].type, HD_HELLO);
	ck_assert_uint_eq(t.message[0].session, 0x1234);
	ck_assert_int_eq(hd_hello_read(&got, t.message[0].body, t.message[0].len), HD_OK);
	ck_assert_uint_eq(got.build, 77);
	for (uint32_t i = 0; i < 100; i++) {
		put_samples(i * 10, 10);
		t_source_send(&t, noise, sizeof noise);
	}
	ck_assert(t_source_wait_frames(&t, 1000));
	for (int i = 0; i < 1000; i++) {
		ck_assert(t_frame_is(&t, i, i));
		ck_assert_int_eq(t.frames[i].quality[0], HN_NOT_EVALUATED);
		if (i % 10)
			ck_assert_int_eq(t.frames[i].event_us, t.frames[i - 1].event_us + 2500);
		else if (i > 0)
			ck_assert_int_gt(t.frames[i].event_us, t.frames[i - 1].event_us);
	}
	ck_assert_int_eq(t_source_count(&t, "crc"), 101);
	ck_assert_int_eq(t_source_count(&t, "missed_frames"), 0);
	for (uint32_t i = 700; i < 1000; i++) { /* the very time, a few us of jitter allowed */
		late_us = (int64_t)(i % 3) * 400 - 400;
		ck_assert_int_eq(sources_time(t.sources, 0, (uint32_t)(4294900000u + i * 2500 + late_us),
		                              &event_us), HN_OK);
		ck_assert_int_eq(event_us, t.frames[i].event_us);
	}
	t_source_stop(&t);
}
END_TEST

START_TEST(missing_frames_restarts_and_wrong_shapes_are_counted)
{
	uint8_t body[40] = { 0 };

	t_source_start(&t, t_kit("link-unix"));
	put_samples(0, 5);
	put_samples(25, 5);
	put_samples(0, 5);
	put_samples(5, 5);
	body[8] = 2;                            /* two channels */
	body[9] = 1;
	(void)put_frame(HD_SAMPLES, 0, body, 10 + 4 + 4);
	body[8] = 3;
	(void)put_frame(HD_SAMPLES, 0, body, 10 + 6 + 3);       /* too short by one */
	(void)put_frame(HD_SAMPLES, 0, body, 0);
	body[9] = 0;
	(void)put_frame(HD_SAMPLES, 0, body, 14);
	put_samples(10, 5);
	ck_assert(t_source_wait_frames(&t, 25));
	ck_assert_int_eq(t.n_frames, 25);
	ck_assert_int_eq(t_source_count(&t, "missed_frames"), 20);
	ck_assert_int_eq(t_source_count(&t, "restarts"), 1);
	ck_assert_int_eq(t_source_count(&t, "columns"), 1);
	ck_assert_int_eq(t_source_count(&t, "format"), 3);
	t_source_stop(&t);
}
END_TEST

/* Read what the device gets until n frames have come. */
static int receive(struct hd_rx *rx, struct hd_frame *last, int n)
{
	uint8_t bytes[256];
	uint64_t end = uv_hrtime() + UINT64_C(5000000000);
	int got = 0;

	while (got < n && uv_hrtime() < end) {
		ssize_t k = read(t.peer, bytes, sizeof bytes);

		for (ssize_t i = 0; i < k; i++)
			got += hd_rx_byte(rx, bytes[i], last);
		if (k <= 0)
			(void)uv_run(&t.loop, UV_RUN_ONCE);
	}
	return got;
}

START_TEST(frames_to_the_device_arrive_and_the_queue_is_bounded)
{
	uint8_t body[HD_BODY_MAX + 1] = { 9, 0, 0, 7 };
	struct hd_frame f = { .type = 0 };
	struct hd_rx rx;
	int queued = 0;

	hd_rx_init(&rx);
	t_source_init(&t, "link");
	t_kit(_i ? "link-tcp" : "link-pty")->setup(&t);
	ck_assert_int_eq(t_source_open(&t, NULL), HN_OK);
	ck_assert_int_eq(sources_send(t.sources, 0, HD_STATUS_ASK, 5, NULL, 0), HN_ESTATE);
	t_kit(_i ? "link-tcp" : "link-pty")->connect(&t);
	ck_assert_int_eq(sources_send(t.sources, 1, HD_STATUS_ASK, 5, NULL, 0), HN_EINVAL);
	ck_assert_int_eq(sources_send(t.sources, 0, HD_CHUNK, 5, body, HD_BODY_MAX + 1), HN_ERANGE);
	while (sources_send(t.sources, 0, HD_CHUNK, 5, body, HD_BODY_MAX) == HN_OK)
		queued++;
	ck_assert_int_eq(queued, 64);
	ck_assert_int_eq(sources_send(t.sources, 0, HD_CHUNK, 5, body, 1), HN_EFULL);
	ck_assert_int_eq(receive(&rx, &f, 64), 64);
	ck_assert_uint_eq(f.type, HD_CHUNK);
	ck_assert_uint_eq(f.session, 5);
	ck_assert_uint_eq(f.len, HD_BODY_MAX);
	ck_assert_int_eq(memcmp(f.body, body, f.len), 0);
	ck_assert_uint_eq(rx.refused, 0);
	t_source_stop(&t);
}
END_TEST

static bool is_down(const struct t_source *x)
{
	return x->n_down == 1;
}

START_TEST(a_device_that_vanishes_takes_its_queue_along)
{
	const struct t_kit *kit = t_kit("link-unix");
	struct hd_frame f = { .type = 0 };
	struct hd_rx rx;

	hd_rx_init(&rx);
	t_source_start(&t, kit);
	ck_assert_int_eq(sources_send(t.sources, 0, HD_REVERT, 5, NULL, 0), HN_OK);
	t_source_disconnect(&t);
	ck_assert(t_source_run(&t, is_down, 5));
	ck_assert_int_eq(sources_send(t.sources, 0, HD_STATUS_ASK, 5, NULL, 0), HN_ESTATE);
	kit->connect(&t);
	ck_assert_int_eq(sources_send(t.sources, 0, HD_STATUS_ASK, 6, NULL, 0), HN_OK);
	ck_assert_int_eq(receive(&rx, &f, 1), 1);
	ck_assert_uint_eq(f.type, HD_STATUS_ASK);       /* not the old REVERT */
	t_source_stop(&t);
}
END_TEST

static const struct { const char *key, *value, *says; } bad[] = {
	{ "port", "COM3", "none of tcp:" },
	{ "port", "tcp:127.0.0.1", "port of 1 to 65535" },
	{ "port", "tcp:127.0.0.1:0", "port of 1 to 65535" },
	{ "port", "tcp:example.test:5", "numeric address" },
	{ "port", "udp:127.0.0.1:5", "not udp:" },
	{ "port", "unix:", "path of 1 to" },
	{ "baud", "115201", "not a standard rate" },
};

START_TEST(a_setting_that_cannot_work_is_a_clear_error)
{
	struct hn_err err = { .code = HN_OK };

	t_source_init(&t, "link");
	t_source_set(&t, "port", "/dev/nothing-here");
	t_source_set(&t, bad[_i].key, bad[_i].value);
	ck_assert_int_ne(t_source_open(&t, &err), HN_OK);
	ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "%s", err.text);
	t_source_stop(&t);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
	Suite *s = suite_create("source_link");
	TCase *c = tcase_create("source_link");

	suite_add_tcase(s, c);
	tcase_set_timeout(c, 30);
	tcase_add_loop_test(c, ticks_become_times_near_the_truth_that_never_run_backwards, 0,
	                    COUNT(clocks));
	tcase_add_test(c, a_long_silence_and_wraps_do_not_matter);
	tcase_add_test(c, a_burst_of_delay_hardly_moves_the_times);
	tcase_add_loop_test(c, counters_that_jump_mean_that_the_device_began_again, 0, COUNT(changes));
	tcase_add_test(c, any_stamps_at_all_are_survived);
	tcase_add_test(c, a_device_says_hello_and_sends_samples_through_noise);
	tcase_add_test(c, missing_frames_restarts_and_wrong_shapes_are_counted);
	tcase_add_loop_test(c, frames_to_the_device_arrive_and_the_queue_is_bounded, 0, 2);
	tcase_add_test(c, a_device_that_vanishes_takes_its_queue_along);
	tcase_add_loop_test(c, a_setting_that_cannot_work_is_a_clear_error, 0, COUNT(bad));
	return t_run(s);
}
