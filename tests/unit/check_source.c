/* Contract of every source, by every way to reach it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "hn_rng.h"
#include "t_run.h"
#include "t_source.h"

static struct t_source t;

START_TEST(every_driver_has_a_kit)
{
	for (int i = 0; source_drivers[i]; i++) {
		bool found = false;

		for (const struct t_kit *k = t_kits; k->name; k++)
			found |= strcmp(k->driver, source_drivers[i]->conf.name) == 0;
		ck_assert_msg(found, "driver %s is not tested", source_drivers[i]->conf.name);
		ck_assert_ptr_eq(source_conf_drivers()[i], &source_drivers[i]->conf);
	}
}
END_TEST

START_TEST(open_and_close_leave_nothing_behind)
{
	const struct t_kit *kit = &t_kits[_i];

	t_source_start(&t, kit);
	t_source_spin(&t, 0.05);
	t_source_stop(&t);
	t_source_init(&t, kit->driver);         /* closed before the loop ever ran */
	kit->setup(&t);
	ck_assert_int_eq(t_source_open(&t, NULL), HN_OK);
	t_source_stop(&t);
}
END_TEST

START_TEST(frames_arrive_in_order_with_their_values)
{
	const struct t_kit *kit = &t_kits[_i];

	t_source_start(&t, kit);
	t_source_send_frames(&t, kit, 0, 300);
	ck_assert(t_source_wait_frames(&t, 300));
	t_source_spin(&t, 0.02);
	ck_assert_int_eq(t.n_frames, 300);
	for (int i = 0; i < 300; i++) {
		ck_assert_msg(t_frame_is(&t, i, i), "%s: frame %d", kit->name, i);
		if (strcmp(kit->driver, "link") != 0)
			ck_assert_int_eq(t.frames[i].event_us, t_time_us(i));
		else if (i > 0)
			ck_assert_int_gt(t.frames[i].event_us, t.frames[i - 1].event_us);
	}
	ck_assert_int_eq(t_source_refused(&t), 0);
	ck_assert_int_eq(t_source_count(&t, "frames"), 300);
	t_source_stop(&t);
}
END_TEST

/* Random bytes with the delimiters of all formats in them. */
static void send_garbage(const struct t_kit *kit, size_t n, uint64_t seed)
{
	struct hn_rng rng;
	unsigned char buf[1024];

	hn_rng_seed(&rng, seed);
	for (size_t sent = 0; sent < n; sent += sizeof buf) {
		for (size_t i = 0; i < sizeof buf; i++)
			buf[i] = (unsigned char)hn_rng_u64(&rng);
		t_source_send(&t, buf, sizeof buf);
		if (!kit->stream)               /* a datagram finds its buffer empty */
			(void)uv_run(&t.loop, UV_RUN_NOWAIT);
	}
}

START_TEST(a_megabyte_of_garbage_costs_nothing_but_itself)
{
	const struct t_kit *kit = &t_kits[_i];

	t_source_start(&t, kit);
	t_source_send_frames(&t, kit, 0, 1);
	send_garbage(kit, 1 << 20, 20261122);
	t_source_send(&t, &kit->delimiter, 1);
	t_source_send_frames(&t, kit, 1, 20);
	ck_assert_msg(t_source_wait_frames(&t, 21), "%s: %d frames", kit->name, t.n_frames);
	ck_assert_int_eq(t.n_frames, 21);
	for (int i = 0; i < 21; i++)
		ck_assert(t_frame_is(&t, i, i));
	ck_assert_int_gt(t_source_refused(&t), 100);
	t_source_stop(&t);
}
END_TEST

START_TEST(a_line_without_end_is_skipped)
{
	const struct t_kit *kit = &t_kits[_i];
	size_t n = kit->stream ? 3 << 19 : 60000;
	char *line = malloc(n);

	memset(line, 'x', n);
	t_source_start(&t, kit);
	t_source_send(&t, line, n);
	t_source_send(&t, &kit->delimiter, 1);
	t_source_send_frames(&t, kit, 0, 3);
	ck_assert(t_source_wait_frames(&t, 3));
	ck_assert(t_frame_is(&t, 0, 0) && t_frame_is(&t, 2, 2));
	ck_assert_int_ge(t_source_refused(&t), 1);
	ck_assert_int_le(t_source_refused(&t), 2);
	free(line);
	t_source_stop(&t);
}
END_TEST

/* Part of a frame, then the end of the connection: never a frame, and the next one is as it should
 * be.  (That one also tells a link that there is a device, so that it does not wait longer and
 * longer before it connects again.) */
START_TEST(half_a_frame_is_never_a_frame)
{
	const struct t_kit *kit = &t_kits[_i];
	char buf[512];
	size_t n = kit->encode(1234, buf, sizeof buf);
	int whole = 0;

	if (!kit->stream || kit->once)
		return;
	t_source_start(&t, kit);
	for (size_t cut = 1; cut < n; cut += n / 5) {
		t_source_send(&t, buf, cut);
		t_source_spin(&t, 0.02);
		t_source_disconnect(&t);
		t_source_spin(&t, 0.02);
		kit->connect(&t);
		ck_assert_int_eq(t.n_frames, whole);
		t_source_send_frames(&t, kit, whole++, 1);
		ck_assert(t_source_wait_frames(&t, whole));
	}
	ck_assert_int_ge(whole, 5);
	for (int i = 0; i < whole; i++)
		ck_assert(t_frame_is(&t, i, i));
	t_source_stop(&t);
}
END_TEST

START_TEST(a_sender_may_vanish_and_come_back)
{
	const struct t_kit *kit = &t_kits[_i];

	if (kit->once)
		return;
	t_source_start(&t, kit);
	for (int round = 0; round < 3; round++) {
		t_source_send_frames(&t, kit, round * 10, 10);
		ck_assert(t_source_wait_frames(&t, round * 10 + 10));
		t_source_disconnect(&t);
		t_source_spin(&t, 0.05);
		kit->connect(&t);
	}
	for (int i = 0; i < 30; i++)
		ck_assert(t_frame_is(&t, i, i));
	if (strcmp(kit->driver, "link") == 0) {
		ck_assert_int_eq(t.n_up, 4);
		ck_assert_int_eq(t.n_down, 3);
	}
	t_source_stop(&t);
}
END_TEST

/* The store takes 2 frames each 5 ms. */
START_TEST(a_full_store_loses_nothing_or_counts_what_it_loses)
{
	const struct t_kit *kit = &t_kits[_i];
	const int n = 500;

	t_source_start(&t, kit);
	t.room = t.refill = 2;
	t_source_send_frames(&t, kit, 0, n);
	if (kit->waits)
		ck_assert(t_source_wait_frames(&t, n));
	t_source_spin(&t, 0.05);
	ck_assert(kit->waits == (t_source_count(&t, "dropped") == 0));
	ck_assert_int_eq(t.n_frames + t_source_count(&t, "dropped"), n);
	ck_assert_int_gt(t.n_refills, 0);
	if (kit->waits)                         /* it does not ask again and again */
		ck_assert_int_le(t.n_full, t.n_refills + 1);
	for (int i = 1; i < t.n_frames; i++)
		ck_assert(kit->waits ? t_frame_is(&t, i, i)
		                     : t.frames[i].raw[0] > t.frames[i - 1].raw[0]);
	t_source_stop(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("source");
	TCase *c = tcase_create("source");
	int kits = 0;

	while (t_kits[kits].name)
		kits++;
	suite_add_tcase(s, c);
	tcase_set_timeout(c, 30);
	tcase_add_test(c, every_driver_has_a_kit);
	tcase_add_loop_test(c, open_and_close_leave_nothing_behind, 0, kits);
	tcase_add_loop_test(c, frames_arrive_in_order_with_their_values, 0, kits);
	tcase_add_loop_test(c, a_megabyte_of_garbage_costs_nothing_but_itself, 0, kits);
	tcase_add_loop_test(c, a_line_without_end_is_skipped, 0, kits);
	tcase_add_loop_test(c, half_a_frame_is_never_a_frame, 0, kits);
	tcase_add_loop_test(c, a_sender_may_vanish_and_come_back, 0, kits);
	tcase_add_loop_test(c, a_full_store_loses_nothing_or_counts_what_it_loses, 0, kits);
	return t_run(s);
}
