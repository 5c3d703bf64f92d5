/* check_app.c - the firmware's main loop: one inference a window, and honest when it is late. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "app.h"
#include "nor.h"
#include "t_hd_package.h"
#include "t_run.h"

enum { PERIOD = 2500, REGION = 2 * (4096 + 32768) };

struct board {
	struct hd_flash port;
	struct nor nor;
	uint8_t  mem[REGION] __attribute__((aligned(4)));
	struct app app;
	uint32_t clock_us, start_us, frame;
	uint32_t look_us;                /* what a look at the clock costs                      */
	struct hd_rx rx;
	unsigned n_samples, n_predictions, n_windows, gaps;
	uint32_t next_count, last_class;
	struct app_window last;
};

static struct board board;

static int mem_read(void *ctx, uint32_t at, void *buf, uint32_t n)
{
	struct board *b = ctx;

	memcpy(buf, b->mem + at, n);
	return 0;
}

static int mem_erase(void *ctx, uint32_t at)
{
	struct board *b = ctx;

	return nor_erase(&b->nor, at) ? 0 : -1;
}

static int mem_program(void *ctx, uint32_t at, const void *buf, uint32_t n)
{
	struct board *b = ctx;

	return nor_program(&b->nor, at, buf, n) ? 0 : -1;
}

static const uint8_t *mem_map(void *ctx, uint32_t at)
{
	const struct board *b = ctx;

	return b->mem + at;
}

static void mem_barrier(void *ctx)
{
	(void)ctx;
}

static void on_samples(struct board *b, const struct hd_frame *f)
{
	uint32_t count = hd_get32(f->body + f->len - 4);

	ck_assert_uint_eq(f->len, 14 + 2 * APP_WINDOW * APP_CHANNELS);
	ck_assert_uint_eq(hd_get32(f->body), b->start_us + count * PERIOD);
	b->gaps += count != b->next_count;
	b->next_count = count + APP_WINDOW;
	b->n_samples++;
	for (unsigned i = 0; i < APP_WINDOW; i++)       /* channel 0 carries the frame's number */
		ck_assert_uint_eq(hd_get16(f->body + 10 + 2 * APP_CHANNELS * i),
		                  (uint16_t)(count + i));
}

static bool on_send(void *ctx, const uint8_t *bytes, size_t n)
{
	struct board *b = ctx;
	struct hd_frame f;

	for (size_t i = 0; i < n; i++) {
		if (!hd_rx_byte(&b->rx, bytes[i], &f))
			continue;
		if (f.type == HD_SAMPLES)
			on_samples(b, &f);
		if (f.type == HD_PREDICTION) {
			b->n_predictions++;
			b->last_class = f.body[12];
		}
	}
	return true;
}

static uint32_t on_now(void *ctx)
{
	struct board *b = ctx;

	b->clock_us += b->look_us;
	return b->clock_us;
}

static void on_window(void *ctx, const struct app_window *w)
{
	struct board *b = ctx;

	b->n_windows++;
	b->last = *w;
	ck_assert_uint_eq(w->tick_us, b->start_us + w->count * PERIOD);
	ck_assert_uint_eq(w->state, w->count / APP_WINDOW % 4);
}

/* Put a confirmed package into slot 0, as an earlier life of the device would have left it. */
static void put_image(struct board *b, uint16_t in_len)
{
	static struct t_package k;
	struct t_image_spec spec = { .in_len = in_len, .in_ch = APP_CHANNELS,
	                             .layer = { { HD_OP_DENSE, 8 }, { HD_OP_DENSE, 4 } } };
	struct hd_slots s;
	uint32_t len;

	t_package_build(&k, &spec, 1, 2);
	ck_assert_int_eq(hd_slots_boot(&s, &b->port), HD_OK);
	len = (k.len + b->port.unit - 1) / b->port.unit * b->port.unit;
	ck_assert_int_eq(hd_flash_write(&b->port, hd_slots_payload_at(&b->port, 0), k.payload, len),
	                 HD_OK);
	ck_assert_int_eq(hd_flash_write(&b->port, b->port.slot_at[0], k.header,
	                                HD_PACKAGE_HEADER), HD_OK);
	ck_assert_int_eq(hd_slots_note(&s, HD_REC_CONFIRMED, 1), HD_OK);
}

/* in_len = window length of the image, 0 = none. */
static void power_on(struct board *b, uint16_t in_len, uint32_t start_us)
{
	struct app_config cfg = {
		.device = { .flash = &b->port, .credits = 4, .trial_boots = 3, .trial_inferences = 99,
		            .ctx = b, .send = on_send, .now_us = on_now },
		.period_us = PERIOD, .on_window = on_window,
	};

	*b = (struct board){ .port = {
		.ctx = b, .read = mem_read, .erase = mem_erase, .program = mem_program, .map = mem_map,
		.barrier = mem_barrier, .sector = 4096, .unit = 8, .erase_us = 20000, .erased = 0xff,
		.slot_bytes = 32768 } };
	ck_assert_uint_eq(nor_layout(&b->port), REGION);
	b->nor = (struct nor){ .mem = b->mem, .size = REGION, .sector = 4096, .unit = 8,
	                       .erased = 0xff };
	memset(b->mem, 0xff, sizeof b->mem);
	hd_rx_init(&b->rx);
	b->clock_us = b->start_us = start_us;
	if (in_len > 0)
		put_image(b, in_len);
	memcpy(cfg.device.uid, t_uid, HD_UID_LEN);
	memcpy(cfg.device.key, t_key, HD_KEY_LEN);
	ck_assert_int_eq(app_init(&b->app, &cfg), HD_OK);
	app_start(&b->app, start_us);
}

/* n frames at their ticks; the main loop runs after each unless it is stalled. */
static void run(struct board *b, unsigned n, bool stalled)
{
	int16_t raw[APP_CHANNELS] = { 0 };

	for (unsigned i = 0; i < n; i++) {
		raw[0] = (int16_t)(uint16_t)b->frame;
		b->clock_us = b->start_us + b->frame * PERIOD;
		app_sample(&b->app, raw, (uint8_t)(b->frame / APP_WINDOW % 4));
		b->frame++;
		if (!stalled)
			app_poll(&b->app);
	}
}

START_TEST(each_window_gets_one_inference_and_all_its_samples_go_out)
{
	power_on(&board, APP_WINDOW, _i ? UINT32_MAX - 1000000 : 0);
	run(&board, 50 * APP_WINDOW, false);
	ck_assert_uint_eq(board.n_windows, 50);
	ck_assert_uint_eq(board.n_predictions, 50);
	ck_assert_uint_eq(board.n_samples, 50);
	ck_assert_uint_eq(board.gaps, 0);
	ck_assert_uint_eq(board.last.count, 50 * APP_WINDOW - 1);
	ck_assert_int_eq(board.last.class_index, (int)board.last_class);
	ck_assert_uint_eq(board.last.model_version, 10);
	ck_assert_uint_eq(board.last.missed, 0);
}
END_TEST

START_TEST(without_an_image_nothing_is_due)
{
	power_on(&board, 0, 0);
	run(&board, 5 * APP_WINDOW, false);
	ck_assert_uint_eq(board.n_samples, 5);
	ck_assert_uint_eq(board.n_predictions, 0);
	ck_assert_int_eq(board.last.class_index, APP_NO_CLASS);
	ck_assert_uint_eq(board.last.model_version, 0);
	ck_assert_uint_eq(board.last.missed, 0);
}
END_TEST

START_TEST(a_window_is_missed_when_the_next_is_complete_first)
{
	power_on(&board, APP_WINDOW, 0);
	run(&board, 4 * APP_WINDOW, false);
	run(&board, 2 * APP_WINDOW - 1, true);  /* one frame before the deadline */
	app_poll(&board.app);
	ck_assert_uint_eq(board.last.missed, 0);
	run(&board, APP_WINDOW, true);          /* the sixth waits; the seventh is complete at .. */
	run(&board, 1, true);                   /* .. its deadline */
	app_poll(&board.app);
	ck_assert_uint_eq(board.last.missed, 1);
	ck_assert_uint_eq(board.n_predictions, 6);
	ck_assert_uint_eq(board.n_samples, 7);
	ck_assert_uint_eq(board.gaps, 0);
}
END_TEST

START_TEST(an_inference_that_takes_too_long_is_reported_and_missed)
{
	power_on(&board, APP_WINDOW, 0);
	run(&board, APP_WINDOW, false);
	run(&board, APP_WINDOW, true);
	board.look_us = APP_WINDOW * PERIOD / 2 + 1;    /* in time before it, late after it */
	app_poll(&board.app);
	ck_assert_uint_eq(board.n_predictions, 2);
	ck_assert_uint_eq(board.last.missed, 1);
}
END_TEST

START_TEST(a_first_network_owes_nothing_for_a_window_whose_time_was_over)
{
	power_on(&board, APP_WINDOW, 0);
	run(&board, 2 * APP_WINDOW + 1, true);  /* the first is over, the second is not */
	app_poll(&board.app);
	ck_assert_uint_eq(board.n_windows, 2);
	ck_assert_uint_eq(board.n_predictions, 1);
	ck_assert_uint_eq(board.last.missed, 0);
}
END_TEST

START_TEST(a_stall_longer_than_the_ring_loses_whole_windows_and_counts_them)
{
	power_on(&board, APP_WINDOW, 0);
	run(&board, APP_WINDOW, false);
	run(&board, APP_RING + 2 * APP_WINDOW, true);
	app_poll(&board.app);
	run(&board, 3 * APP_WINDOW, false);
	ck_assert_uint_eq(board.gaps, 1);
	ck_assert_uint_eq(board.app.overruns, 3 * APP_WINDOW);
	ck_assert_uint_eq(board.last.missed, 9);        /* all ten of the stall but the newest */
	ck_assert_uint_eq(board.n_predictions, 5);
	ck_assert_uint_eq(board.n_samples, 14 - 3);
}
END_TEST

START_TEST(an_image_of_another_window_length_is_never_run)
{
	power_on(&board, APP_WINDOW / 2, 0);
	run(&board, 3 * APP_WINDOW, false);
	ck_assert_uint_eq(board.n_predictions, 0);
	ck_assert_uint_eq(board.last.missed, 3);
}
END_TEST

START_TEST(the_flash_rules_refuse_what_a_part_cannot_do)
{
	static const uint8_t word[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	power_on(&board, 0, 0);
	memset(board.mem, 0xff, sizeof board.mem);
	board.nor.violations = 0;
	ck_assert(nor_program(&board.nor, 64, word, 8));
	ck_assert(!nor_program(&board.nor, 64, word, 8));       /* twice */
	ck_assert(!nor_program(&board.nor, 76, word, 8));       /* misaligned */
	ck_assert(!nor_program(&board.nor, 80, word, 4));       /* part of a unit */
	ck_assert(!nor_program(&board.nor, REGION, word, 8));   /* outside */
	ck_assert(!nor_erase(&board.nor, 8));
	ck_assert_uint_eq(board.nor.violations, 5);
	ck_assert(nor_erase(&board.nor, 0));
	ck_assert(nor_program(&board.nor, 64, word, 8));
}
END_TEST

static const struct { uint32_t sector, unit, slot; bool good; } geometries[] = {
	{ 4096, 8, 32768, true }, { 128, 1, 128, true }, { 2048, 32, 16384, true },
	{ 4096, 3, 32768, false }, { 4096, 64, 32768, false }, { 4096, 0, 32768, false },
	{ 100, 4, 1000, false }, { 0, 8, 4096, false }, { 4096, 8, 5000, false },
	{ 4096, 8, 0, false }, { 0x80000000u, 8, 0x80000000u, false },
};

START_TEST(a_layout_is_made_only_from_numbers_that_fit_together)
{
	struct hd_flash f = { .sector = geometries[_i].sector, .unit = geometries[_i].unit,
	                      .slot_bytes = geometries[_i].slot };

	ck_assert_int_eq(nor_layout(&f) != 0, geometries[_i].good);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("app");
	TCase *t = tcase_create("app");

	tcase_add_loop_test(t, each_window_gets_one_inference_and_all_its_samples_go_out, 0, 2);
	tcase_add_test(t, without_an_image_nothing_is_due);
	tcase_add_test(t, a_window_is_missed_when_the_next_is_complete_first);
	tcase_add_test(t, an_inference_that_takes_too_long_is_reported_and_missed);
	tcase_add_test(t, a_first_network_owes_nothing_for_a_window_whose_time_was_over);
	tcase_add_test(t, a_stall_longer_than_the_ring_loses_whole_windows_and_counts_them);
	tcase_add_test(t, an_image_of_another_window_length_is_never_run);
	tcase_add_test(t, the_flash_rules_refuse_what_a_part_cannot_do);
	tcase_add_loop_test(t, a_layout_is_made_only_from_numbers_that_fit_together, 0,
	                    (int)(sizeof geometries / sizeof *geometries));
	suite_add_tcase(s, t);
	return t_run(s);
}
