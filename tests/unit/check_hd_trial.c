/* check_hd_trial.c - trial and ways out of it, erases that wait, flash errors, telemetry. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_sha256.h"
#include "t_hd_gateway.h"
#include "t_run.h"

enum { SEED = 20240607 };

static const struct t_geometry geometry = { 8, 1024, 4096, 0xff };
static const struct t_image_spec spec = { 8, 3, { { HD_OP_DENSE, 24 }, { HD_OP_LUT, 0 },
                                                  { HD_OP_DENSE, 4 } } };
static struct t_flash flash;
static struct t_pair pair;
static struct t_package v1, v2, v3;

static void setup(void)
{
	t_flash_init(&flash, &geometry, SEED);
	t_package_build(&v1, &spec, 1, 4);
	t_package_build(&v2, &spec, 2, 4);
	t_package_build(&v3, &spec, 3, 4);
	ck_assert_int_eq(t_pair_init(&pair, &flash, SEED), HD_OK);
}

static void teardown(void)
{
	ck_assert_uint_eq(flash.broken_rules, 0);
	t_flash_done(&flash);
}

/* --- trial ------------------------------------------------------------------------------------ */

START_TEST(the_switch_happens_at_the_window_boundary_only)
{
	const struct hd_net *before;

	ck_assert(t_put_in_service(&pair, &v1));
	before = hd_service(&pair.dev, NULL);
	ck_assert(t_hello(&pair));
	ck_assert(t_transfer(&pair, &v2));
	pair.busy = true;
	ck_assert_int_eq(t_command_order(&pair, HD_ACTIVATE, 2), HD_OK);
	ck_assert_uint_eq(pair.report.active_version, 2);
	hd_send_prediction(&pair.dev, 1, 2, 3, 4);       /* still the old one's work */
	t_pair_settle(&pair);
	ck_assert_uint_eq(hd_get32(pair.body + 8), 10);
	ck_assert_ptr_eq(pair.dev.cur, before);
	ck_assert_int_eq(t_command_order(&pair, HD_CONFIRM, 2), HD_OK);
	t_pair_settle(&pair);
	ck_assert_mem_eq(flash.mem + flash.port.slot_at[0], v1.header, HD_PACKAGE_HEADER);
	pair.busy = false;
	ck_assert(t_serves(&pair, &v2));
	t_pair_settle(&pair);            /* now the old slot is erased ahead of time */
	ck_assert_int_eq(flash.mem[flash.port.slot_at[0]], 0xff);
}
END_TEST

START_TEST(the_gateway_can_end_a_trial)
{
	ck_assert(t_put_in_service(&pair, &v1));
	ck_assert(t_install(&pair, &v2));
	ck_assert_int_eq(t_command_order(&pair, HD_REVERT, 2), HD_OK);
	ck_assert_uint_eq(pair.report.state, HD_IDLE);
	ck_assert_uint_eq(pair.report.active_version, 1);
	ck_assert(t_serves(&pair, &v1));
	ck_assert_int_eq(t_command_order(&pair, HD_REVERT, 2), HD_OK);   /* repeated */
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	ck_assert(t_serves(&pair, &v1));
	ck_assert(t_put_in_service(&pair, &v2));                    /* the same version may try again */
	ck_assert(t_serves(&pair, &v2));
}
END_TEST

START_TEST(a_trial_that_nobody_confirms_ends_after_its_inferences)
{
	ck_assert(t_put_in_service(&pair, &v1));
	ck_assert(t_install(&pair, &v2));
	for (int i = 0; i < 99; i++)
		hd_inference_done(&pair.dev, i == 7);
	t_pair_settle(&pair);
	ck_assert(t_serves(&pair, &v2));
	hd_inference_done(&pair.dev, false);
	t_pair_settle(&pair);
	ck_assert(t_serves(&pair, &v1));
	ck_assert_uint_eq(pair.report.error, HD_ETRIAL);
	ck_assert_uint_eq(pair.report.active_version, 1);
	ck_assert_uint_eq(pair.report.state, HD_IDLE);
	ck_assert_uint_eq(pair.report.due, 100);
	ck_assert_uint_eq(pair.report.missed, 1);
}
END_TEST

START_TEST(a_trial_without_a_limit_goes_on)
{
	pair.cfg.trial_inferences = 0;
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	ck_assert(t_install(&pair, &v1));
	for (int i = 0; i < 1000; i++)
		hd_inference_done(&pair.dev, false);
	t_pair_settle(&pair);
	ck_assert(t_serves(&pair, &v1));
}
END_TEST

START_TEST(boots_without_a_confirmation_end_a_trial)
{
	ck_assert(t_put_in_service(&pair, &v1));
	ck_assert(t_install(&pair, &v2));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
		ck_assert(t_serves(&pair, &v2));
	}
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	t_pair_settle(&pair);
	ck_assert(t_serves(&pair, &v1));
	ck_assert_uint_eq(pair.hello.report.error, HD_ETRIAL);
	ck_assert_uint_eq(pair.hello.report.active_version, 1);
}
END_TEST

START_TEST(a_trial_survives_a_reset_and_can_be_confirmed_after_it)
{
	ck_assert(t_put_in_service(&pair, &v1));
	ck_assert(t_install(&pair, &v2));
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	ck_assert(t_hello(&pair));
	ck_assert_uint_eq(pair.hello.report.state, HD_TRIAL);
	ck_assert_uint_eq(pair.dev.slots.boots, 2);
	ck_assert_int_eq(t_command_order(&pair, HD_CONFIRM, 2), HD_OK);
	ck_assert_uint_eq(pair.report.floor, 2);
}
END_TEST

START_TEST(the_first_image_can_be_taken_back_to_none)
{
	ck_assert(t_install(&pair, &v1));
	ck_assert_int_eq(t_command_order(&pair, HD_REVERT, 1), HD_OK);
	ck_assert_ptr_null(hd_service(&pair.dev, NULL));
	ck_assert_uint_eq(pair.report.active_version, 0);
	ck_assert(t_put_in_service(&pair, &v1));
	ck_assert(t_serves(&pair, &v1));
}
END_TEST

START_TEST(firmware_that_cannot_run_the_trial_image_goes_back_at_boot)
{
	ck_assert(t_put_in_service(&pair, &v1));
	ck_assert(t_install(&pair, &v2));
	pair.cfg.arch = 1;
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	ck_assert_ptr_null(hd_service(&pair.dev, NULL)); /* nor the old one */
	pair.cfg.arch = 0;
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	t_pair_settle(&pair);
	ck_assert_uint_eq(pair.dev.slots.active, HD_SLOT_NONE);
}
END_TEST

/* --- time and trouble ------------------------------------------------------------------------- */

START_TEST(an_erase_waits_for_idle_time_unless_nothing_is_in_service)
{
	uint32_t erases;

	pair.idle_us = flash.port.erase_us;      /* too short by one */
	ck_assert(t_install(&pair, &v1));        /* nothing to miss: goes on */
	ck_assert_int_eq(t_command_order(&pair, HD_CONFIRM, 1), HD_OK);
	erases = flash.erases;
	ck_assert_int_eq(t_begin(&pair, &v2), HD_OK);
	ck_assert_uint_eq(pair.report.state, HD_ERASING);
	ck_assert_uint_eq(flash.erases, erases);
	pair.idle_us = 1000000;
	t_pair_settle(&pair);
	ck_assert_uint_eq(pair.report.state, HD_RECEIVING);
	ck_assert_uint_eq(pair.report.credits, 4);
	ck_assert_uint_gt(flash.erases, erases);
}
END_TEST

START_TEST(a_confirmed_slot_is_erased_ahead_of_the_next_package)
{
	uint32_t erases;

	ck_assert(t_put_in_service(&pair, &v1));
	erases = flash.erases;
	ck_assert(t_install(&pair, &v2));
	ck_assert_uint_eq(flash.erases, erases);
	ck_assert(t_confirm(&pair, 2));
	t_pair_settle(&pair);
	ck_assert_uint_eq(flash.erases, erases + geometry.slot_bytes / geometry.sector);
}
END_TEST

START_TEST(a_flash_error_fails_the_transfer_and_the_next_one_works)
{
	ck_assert(t_put_in_service(&pair, &v1));
	ck_assert(t_hello(&pair));
	ck_assert_int_eq(t_begin(&pair, &v2), HD_OK);
	flash.fail_at = flash.ops + (uint32_t)_i;
	flash.fail_n = 1;
	t_chunk(&pair, &v2, 0);
	t_pair_settle(&pair);
	ck_assert_uint_eq(flash.faults, 1);
	ck_assert_uint_eq(pair.report.state, HD_FAILED);
	ck_assert_uint_eq(pair.report.error, HD_EFLASH);
	ck_assert(t_serves(&pair, &v1));
	ck_assert(t_put_in_service(&pair, &v2));
	ck_assert(t_serves(&pair, &v2));
}
END_TEST

START_TEST(a_failed_erase_or_journal_write_fails_the_transfer)
{
	ck_assert(t_hello(&pair));
	if (_i == 1) {
		ck_assert(t_transfer(&pair, &v1));       /* the header comes first */
		flash.fail_at = flash.ops + HD_PACKAGE_HEADER / flash.port.unit;
	} else {
		flash.fail_at = flash.ops;
	}
	flash.fail_n = 1 + (uint32_t)_i;         /* a journal place is tried twice */
	if (_i == 1)
		(void)t_command_order(&pair, HD_ACTIVATE, 1);
	else
		(void)t_begin(&pair, &v1);
	t_pair_settle(&pair);
	ck_assert_uint_eq(flash.faults, flash.fail_n);
	ck_assert_uint_eq(pair.report.state, HD_FAILED);
	ck_assert_uint_eq(pair.report.error, HD_EFLASH);
	ck_assert(t_put_in_service(&pair, &v1));
}
END_TEST

START_TEST(received_bytes_wait_behind_a_command)
{
	uint8_t wire[2 * HD_WIRE_MAX];
	size_t n;

	ck_assert(t_hello(&pair));
	n = hd_frame_write(HD_STATUS_ASK, 0, pair.session, NULL, 0, wire);
	memcpy(wire + n, wire, n);
	ck_assert_uint_eq(hd_rx_bytes(&pair.dev, wire, 2 * n), n);
	ck_assert_uint_eq(hd_rx_bytes(&pair.dev, wire + n, n), 0);
	hd_poll(&pair.dev, 0, 0);
	ck_assert_uint_eq(hd_rx_bytes(&pair.dev, wire + n, n), n);
	hd_rx_lost(&pair.dev, 5);
	t_pair_settle(&pair);
	ck_assert_uint_eq(pair.report.overruns, 5);
}
END_TEST

START_TEST(telemetry_has_the_layout_of_the_protocol)
{
	int16_t raw[113];
	uint32_t lost;

	ck_assert(t_put_in_service(&pair, &v1));
	for (int i = 0; i < 113; i++)
		raw[i] = (int16_t)(-i * 100);
	hd_inference_done(&pair.dev, true);
	ck_assert(hd_send_prediction(&pair.dev, 0x01020304, 9, 2, 77));
	t_pair_settle(&pair);
	ck_assert_uint_eq(pair.body_len, 22);
	ck_assert_uint_eq(hd_get32(pair.body), 0x01020304);
	ck_assert_uint_eq(hd_get32(pair.body + 4), 9);
	ck_assert_uint_eq(hd_get32(pair.body + 8), 10);
	ck_assert_uint_eq(pair.body[12], 2);
	ck_assert_uint_eq(pair.body[13], 77);
	ck_assert_uint_eq(hd_get32(pair.body + 14), 1);
	ck_assert_uint_eq(hd_get32(pair.body + 18), 1);
	ck_assert(hd_send_samples(&pair.dev, 5, 6, 7, 113, 1, raw));
	t_pair_settle(&pair);
	ck_assert_uint_eq(pair.body_len, 240);
	ck_assert_uint_eq(hd_get32(pair.body + 4), 6);
	ck_assert_uint_eq(pair.body[8], 113);
	ck_assert_uint_eq(pair.body[9], 1);
	for (int i = 0; i < 113; i++)
		ck_assert_int_eq((int16_t)hd_get16(pair.body + 10 + 2 * i), raw[i]);
	ck_assert_uint_eq(hd_get32(pair.body + 236), 7);
	lost = pair.dev.lost_tx;
	ck_assert(!hd_send_samples(&pair.dev, 5, 6, 7, 57, 2, raw));     /* does not fit a frame */
	pair.mute = true;
	ck_assert(!hd_send_prediction(&pair.dev, 1, 2, 3, 4));
	ck_assert_uint_eq(pair.dev.lost_tx, lost + 2);
}
END_TEST

static void cases(TCase *t)
{
	tcase_add_test(t, the_switch_happens_at_the_window_boundary_only);
	tcase_add_test(t, the_gateway_can_end_a_trial);
	tcase_add_test(t, a_trial_that_nobody_confirms_ends_after_its_inferences);
	tcase_add_test(t, a_trial_without_a_limit_goes_on);
	tcase_add_test(t, boots_without_a_confirmation_end_a_trial);
	tcase_add_test(t, a_trial_survives_a_reset_and_can_be_confirmed_after_it);
	tcase_add_test(t, the_first_image_can_be_taken_back_to_none);
	tcase_add_test(t, firmware_that_cannot_run_the_trial_image_goes_back_at_boot);
	tcase_add_test(t, an_erase_waits_for_idle_time_unless_nothing_is_in_service);
	tcase_add_test(t, a_confirmed_slot_is_erased_ahead_of_the_next_package);
	tcase_add_loop_test(t, a_flash_error_fails_the_transfer_and_the_next_one_works, 0, 3);
	tcase_add_loop_test(t, a_failed_erase_or_journal_write_fails_the_transfer, 0, 2);
	tcase_add_test(t, received_bytes_wait_behind_a_command);
	tcase_add_test(t, telemetry_has_the_layout_of_the_protocol);
}

int main(void)
{
	Suite *s = suite_create("hd_trial");
	TCase *t = tcase_create("hd_trial");

	printf("hd_trial: seed %d\n", SEED);
	fflush(stdout);
	tcase_add_checked_fixture(t, setup, teardown);
	cases(t);
	suite_add_tcase(s, t);
	return t_run(s);
}
