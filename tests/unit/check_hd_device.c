/* check_hd_device.c - a device and a small gateway on one wire: what is accepted, what is refused
 * with which code, and what happens when the wire or the device does not cooperate. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_sha256.h"
#include "hd_ops.h"
#include "t_hd_gateway.h"
#include "t_run.h"

enum { SEED = 20240606 };

static const struct t_geometry geometry = { 8, 1024, 4096, 0xff };
static const struct t_image_spec spec = { 8, 3, { { HD_OP_DENSE, 24 }, { HD_OP_LUT, 0 },
                                                  { HD_OP_DENSE, 4 } } };
static const struct t_image_spec other_spec = { 8, 3, { { HD_OP_DENSE, 12 }, { HD_OP_DENSE, 4 } } };
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

START_TEST(a_swap_on_a_perfect_wire_goes_through_all_states)
{
	uint32_t model = 0;

	t_pair_step(&pair);              /* says hello by itself */
	ck_assert_uint_eq(pair.n_hello, 1);
	ck_assert_uint_eq(pair.heard, 0);
	ck_assert_uint_eq(pair.hello.report.active_version, 0);
	ck_assert_uint_eq(pair.hello.report.error, HD_OK);
	ck_assert_ptr_null(hd_service(&pair.dev, &model));
	ck_assert(t_put_in_service(&pair, &v1));
	ck_assert(t_serves(&pair, &v1));
	ck_assert(t_install(&pair, &v2));
	ck_assert_uint_eq(pair.report.state, HD_TRIAL);
	ck_assert_uint_eq(pair.report.floor, 1);
	ck_assert_uint_eq(pair.report.active_model, 20);
	ck_assert_uint_eq(pair.report.trial_left, 100);
	ck_assert(t_serves(&pair, &v2));
	ck_assert(t_confirm(&pair, 2));
	ck_assert_uint_eq(pair.report.state, HD_IDLE);
	ck_assert_ptr_nonnull(hd_service(&pair.dev, &model));
	ck_assert_uint_eq(model, 20);
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	ck_assert(t_hello(&pair));
	ck_assert_uint_eq(pair.hello.report.active_version, 2);
	ck_assert_uint_eq(pair.hello.report.active_model, 20);
	ck_assert_uint_eq(pair.hello.report.floor, 2);
	ck_assert_uint_eq(pair.hello.flags, 0);
	ck_assert_uint_eq(pair.hello.ops, hd_ops_mask());
	ck_assert_uint_eq(pair.hello.slot_bytes, geometry.slot_bytes);
	ck_assert_uint_eq(pair.hello.build, 7);
	ck_assert_mem_eq(pair.hello.active_digest, v2.head.digest, 8);
	ck_assert_mem_eq(pair.hello.uid, t_uid, 8);
	ck_assert(t_serves(&pair, &v2));
}
END_TEST

/* --- refused at BEGIN ------------------------------------------------------------------------- */

static void edit_uid(struct t_package *k) { k->head.uid[3] ^= 1; t_package_sign(k); }
static void edit_key_id(struct t_package *k) { k->head.key_id = 2; t_package_sign(k); }
static void edit_arch(struct t_package *k) { k->head.arch ^= 1; t_package_sign(k); }
static void edit_version(struct t_package *k) { k->head.version = 1; t_package_sign(k); }
static void edit_arena(struct t_package *k) { k->head.arena = T_ARENA + 1; t_package_sign(k); }
static void edit_ops(struct t_package *k) { k->head.ops |= 1u << HD_OP_END; t_package_sign(k); }
static void edit_crc(struct t_package *k) { k->header[127] ^= 1; }

static void edit_mac(struct t_package *k)
{
	uint8_t key[HD_KEY_LEN];

	memcpy(key, t_key, sizeof key);
	key[31] ^= 1;
	hd_package_write(&k->head, key, k->header);
}

static void edit_size(struct t_package *k)
{
	k->head.image_len = geometry.slot_bytes;
	k->head.payload_len = k->head.image_len + (uint32_t)k->head.n_vectors * k->head.vector_len;
	t_package_sign(k);
}

static const struct { void (*edit)(struct t_package *k); hd_status rc; } headers[] = {
	{ edit_uid, HD_EDEVICE }, { edit_key_id, HD_EAUTH }, { edit_arch, HD_EARCH },
	{ edit_version, HD_EVERSION }, { edit_crc, HD_EFORMAT }, { edit_mac, HD_EAUTH },
	{ edit_size, HD_ESIZE }, { edit_arena, HD_ESIZE }, { edit_ops, HD_ELAYER },
};

START_TEST(a_header_that_does_not_fit_is_refused_before_a_byte_is_erased)
{
	uint32_t ops;

	pair.cfg.arch = v1.head.arch;
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	ck_assert(t_put_in_service(&pair, &v1));
	ops = flash.ops;
	headers[_i].edit(&v2);
	ck_assert_int_eq(t_begin(&pair, &v2), headers[_i].rc);
	ck_assert_uint_eq(pair.report.state, HD_FAILED);
	ck_assert_int_eq(t_command(&pair, HD_STATUS_ASK, NULL, 0), headers[_i].rc);
	ck_assert_uint_eq(flash.ops, ops);
	ck_assert(t_serves(&pair, &v1));
	ck_assert(t_put_in_service(&pair, &v3));                    /* a refusal is not the end */
	ck_assert(t_serves(&pair, &v3));
}
END_TEST

START_TEST(a_header_of_the_wrong_length_is_refused)
{
	ck_assert(t_hello(&pair));
	ck_assert_int_eq(t_command(&pair, HD_BEGIN, v1.header, HD_PACKAGE_HEADER - 1), HD_EFORMAT);
	ck_assert_int_eq(t_command(&pair, HD_BEGIN, NULL, 0), HD_EFORMAT);
}
END_TEST

START_TEST(a_group_package_is_accepted)
{
	memset(v1.head.uid, 0, sizeof v1.head.uid);
	t_package_sign(&v1);
	ck_assert(t_put_in_service(&pair, &v1));
	ck_assert(t_serves(&pair, &v1));
}
END_TEST

/* --- refused at ACTIVATE ---------------------------------------------------------------------- */

static void edit_payload(struct t_package *k) { k->payload[200] ^= 1; }

static void edit_vector(struct t_package *k)
{
	k->payload[k->len - 1] ^= 1;
	t_package_seal(k);
}

static void edit_weight(struct t_package *k)     /* the gateway would have computed otherwise */
{
	k->payload[28 + 36 + 48 + 4] ^= 0x40;
	k->payload[28 + 36 + 3 * HD_LAYER_ENTRY + 5] ^= 0x40;
	t_package_seal(k);
}

static void edit_image(struct t_package *k)
{
	k->payload[27] |= 0x20;          /* needs a kind of layer that there is not */
	t_package_seal(k);
}

static const struct { void (*edit)(struct t_package *k); hd_status rc; } payloads[] = {
	{ edit_payload, HD_EDIGEST }, { edit_vector, HD_ESELFTEST }, { edit_weight, HD_ESELFTEST },
	{ edit_image, HD_EFORMAT },
};

START_TEST(a_payload_that_does_not_hold_is_never_in_service)
{
	ck_assert(t_put_in_service(&pair, &v1));
	payloads[_i].edit(&v2);
	ck_assert(t_hello(&pair));
	ck_assert(t_transfer(&pair, &v2));
	ck_assert_int_ge(t_command_order(&pair, HD_ACTIVATE, 2), 0);     /* answered */
	ck_assert_uint_eq(pair.report.state, HD_FAILED);
	ck_assert_uint_eq(pair.report.error, payloads[_i].rc);
	ck_assert_uint_eq(pair.report.active_version, 1);
	ck_assert(t_serves(&pair, &v1));
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	ck_assert(t_serves(&pair, &v1));
	ck_assert(t_put_in_service(&pair, &v3));
	ck_assert(t_serves(&pair, &v3));
}
END_TEST

START_TEST(another_architecture_is_accepted_when_the_firmware_names_none)
{
	ck_assert(t_put_in_service(&pair, &v1));
	t_package_build(&v2, &other_spec, 2, 3);
	ck_assert_uint_ne(v1.head.arch, v2.head.arch);
	ck_assert(t_put_in_service(&pair, &v2));
	ck_assert(t_serves(&pair, &v2));
}
END_TEST

/* --- commands out of place -------------------------------------------------------------------- */

START_TEST(orders_need_the_right_tag_state_and_version)
{
	static const uint8_t orders[] = { HD_ACTIVATE, HD_CONFIRM, HD_REVERT };
	uint8_t body[12] = { 0 };

	ck_assert(t_put_in_service(&pair, &v1));
	for (size_t i = 0; i < sizeof orders; i++) {
		hd_put32(body, 1);
		ck_assert_int_eq(t_command(&pair, orders[i], body, sizeof body), HD_EAUTH);
		ck_assert_int_eq(t_command(&pair, orders[i], body, 11), HD_EFORMAT);
	}
	ck_assert_int_eq(t_command_order(&pair, HD_ACTIVATE, 2), HD_ESTATE);
	ck_assert_int_eq(t_command_order(&pair, HD_CONFIRM, 2), HD_EVERSION);
	ck_assert_int_eq(t_command_order(&pair, HD_REVERT, 1), HD_ESTATE);
	ck_assert_int_eq(t_begin(&pair, &v2), HD_OK);
	ck_assert_int_eq(t_command_order(&pair, HD_ACTIVATE, 2), HD_ESTATE);     /* chunks are missing */
	ck_assert(t_transfer(&pair, &v2));
	ck_assert_int_eq(t_command_order(&pair, HD_ACTIVATE, 3), HD_EVERSION);
	ck_assert_uint_eq(pair.report.state, HD_RECEIVING);
	ck_assert_int_eq(t_command_order(&pair, HD_ACTIVATE, 2), HD_OK);
	ck_assert_uint_eq(pair.report.state, HD_TRIAL);
	ck_assert_int_eq(t_command_order(&pair, HD_ACTIVATE, 2), HD_OK);         /* repeated */
	ck_assert_int_eq(t_command_order(&pair, HD_CONFIRM, 1), HD_EVERSION);
	ck_assert_int_eq(t_command_order(&pair, HD_REVERT, 1), HD_EVERSION);
	ck_assert_int_eq(t_begin(&pair, &v3), HD_ESTATE);         /* the other slot is the way back */
	ck_assert_uint_eq(pair.report.state, HD_TRIAL);
	ck_assert_int_eq(t_command_order(&pair, HD_CONFIRM, 2), HD_OK);
	ck_assert_int_eq(t_command_order(&pair, HD_CONFIRM, 2), HD_OK);
	ck_assert_uint_eq(pair.report.floor, 2);
}
END_TEST

START_TEST(commands_of_another_session_and_before_the_first_are_ignored)
{
	t_pair_settle(&pair);
	ck_assert_int_eq(t_command(&pair, HD_STATUS_ASK, NULL, 0), -1);
	ck_assert(t_hello(&pair));
	ck_assert_int_eq(t_command(&pair, HD_STATUS_ASK, NULL, 0), 0);
	pair.session++;
	ck_assert_int_eq(t_command(&pair, HD_STATUS_ASK, NULL, 0), -1);
	ck_assert_int_eq(t_begin(&pair, &v1), -1);
	pair.session--;
	ck_assert_int_eq(t_command(&pair, HD_TIME, (const uint8_t *)"12345678", 8), 0);
	ck_assert_uint_eq(pair.report.state, HD_IDLE);
	ck_assert_int_eq(t_command(&pair, 0x55, NULL, 0), -1);   /* unknown: ignored and counted */
	ck_assert_int_eq(t_command(&pair, HD_STATUS_ASK, NULL, 0), 0);
	ck_assert_uint_eq(pair.report.overruns, 1);
}
END_TEST

START_TEST(recorded_orders_are_worthless_in_a_replayed_session)
{
	uint8_t ask[7], order[4 + HD_TAG_LEN];
	uint32_t nonce;

	ck_assert(t_put_in_service(&pair, &v1));
	ck_assert(t_install(&pair, &v2));
	hd_put32(ask, pair.nonce_gw);
	hd_put16(ask + 4, pair.session);
	ask[6] = HD_PROTO;
	nonce = pair.hello.nonce_dev;
	hd_put32(order, 2);
	hd_tag(t_key, HD_REVERT, pair.session, nonce, pair.nonce_gw, 2, order + 4);
	t_send(&pair, HD_HELLO_ASK, ask, sizeof ask);    /* a repeated ask changes nothing */
	t_pair_settle(&pair);
	ck_assert_uint_eq(pair.hello.nonce_dev, nonce);
	ck_assert(t_hello(&pair));       /* the gateway moves on */
	pair.session = hd_get16(ask + 4);
	t_send(&pair, HD_HELLO_ASK, ask, sizeof ask);
	t_pair_settle(&pair);
	ck_assert_uint_ne(pair.hello.nonce_dev, nonce);
	ck_assert_int_eq(t_command(&pair, HD_REVERT, order, sizeof order), HD_EAUTH);
	ck_assert_uint_eq(pair.report.active_version, 2);
}
END_TEST

/* --- the transfer ----------------------------------------------------------------------------- */

START_TEST(the_active_digest_is_a_no_op_of_one_answer)
{
	uint32_t ops;

	ck_assert(t_put_in_service(&pair, &v1));
	ops = flash.ops;
	v1.head.version = 9;
	t_package_sign(&v1);
	ck_assert_int_eq(t_begin(&pair, &v1), HD_OK);
	ck_assert_uint_eq(pair.last.state, HD_IDLE);
	ck_assert_uint_eq(pair.last.active_version, 1);
	ck_assert_uint_eq(flash.ops, ops);
	ck_assert_int_eq(t_begin(&pair, &v2), HD_OK);
	ck_assert_int_eq(t_begin(&pair, &v1), HD_OK);     /* ends what was staged */
	ck_assert_uint_eq(pair.report.state, HD_IDLE);
}
END_TEST

START_TEST(a_new_session_or_a_repeated_begin_resumes)
{
	uint32_t chunk, erases;

	ck_assert(t_put_in_service(&pair, &v1));
	chunk = pair.hello.grain * 4u;
	ck_assert_int_eq(t_begin(&pair, &v2), HD_OK);
	t_chunk(&pair, &v2, 0);
	t_chunk(&pair, &v2, 2 * chunk);
	t_pair_settle(&pair);
	erases = flash.erases;
	ck_assert(t_hello(&pair));
	ck_assert_mem_eq(pair.hello.staged_digest, v2.head.digest, 8);
	ck_assert_uint_eq(pair.hello.report.state, HD_RECEIVING);
	ck_assert_int_eq(t_begin(&pair, &v2), HD_OK);
	ck_assert_uint_eq(pair.report.next, chunk);
	ck_assert_uint_eq(pair.report.bitmap, 2);
	ck_assert_uint_eq(pair.report.credits, 4);
	ck_assert_uint_eq(flash.erases, erases);
	ck_assert_int_eq(t_begin(&pair, &v3), HD_OK);     /* another package starts anew */
	ck_assert_uint_eq(pair.report.next, 0);
	ck_assert_uint_eq(pair.report.bitmap, 0);
	ck_assert_uint_gt(flash.erases, erases);
	ck_assert(t_put_in_service(&pair, &v3));
	ck_assert(t_serves(&pair, &v3));
}
END_TEST

START_TEST(a_wire_that_loses_a_third_of_all_frames_only_costs_time)
{
	ck_assert_int_eq(t_pair_init(&pair, &flash, SEED + (uint64_t)_i), HD_OK);
	pair.noise = 330;
	ck_assert(t_put_in_service(&pair, &v1));
	ck_assert(t_serves(&pair, &v1));
	ck_assert(t_put_in_service(&pair, &v2));
	ck_assert(t_serves(&pair, &v2));
	ck_assert_uint_gt(pair.down.hurt + pair.up.hurt, 0);
}
END_TEST

START_TEST(a_reset_at_any_time_of_a_transfer_starts_it_again)
{
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED + (uint64_t)_i);
	ck_assert(t_put_in_service(&pair, &v1));
	ck_assert(t_hello(&pair));
	t_send(&pair, HD_BEGIN, v2.header, HD_PACKAGE_HEADER);
	for (uint32_t i = hn_rng_below(&rng, 12); i > 0; i--) {
		t_pair_step(&pair);
		t_chunk(&pair, &v2, pair.report.next);
	}
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	ck_assert(t_serves(&pair, &v1));
	ck_assert(t_put_in_service(&pair, &v2));
	ck_assert(t_serves(&pair, &v2));
}
END_TEST

static void cases(TCase *t)
{
	tcase_add_test(t, a_swap_on_a_perfect_wire_goes_through_all_states);
	tcase_add_loop_test(t, a_header_that_does_not_fit_is_refused_before_a_byte_is_erased, 0,
	                    sizeof headers / sizeof headers[0]);
	tcase_add_test(t, a_header_of_the_wrong_length_is_refused);
	tcase_add_test(t, a_group_package_is_accepted);
	tcase_add_loop_test(t, a_payload_that_does_not_hold_is_never_in_service, 0,
	                    sizeof payloads / sizeof payloads[0]);
	tcase_add_test(t, another_architecture_is_accepted_when_the_firmware_names_none);
	tcase_add_test(t, orders_need_the_right_tag_state_and_version);
	tcase_add_test(t, commands_of_another_session_and_before_the_first_are_ignored);
	tcase_add_test(t, recorded_orders_are_worthless_in_a_replayed_session);
	tcase_add_test(t, the_active_digest_is_a_no_op_of_one_answer);
	tcase_add_test(t, a_new_session_or_a_repeated_begin_resumes);
	tcase_add_loop_test(t, a_wire_that_loses_a_third_of_all_frames_only_costs_time, 0, 20);
	tcase_add_loop_test(t, a_reset_at_any_time_of_a_transfer_starts_it_again, 0, 20);
}

int main(void)
{
	Suite *s = suite_create("hd_device");
	TCase *t = tcase_create("hd_device");

	printf("hd_device: seed %d\n", SEED);
	fflush(stdout);
	tcase_add_checked_fixture(t, setup, teardown);
	cases(t);
	suite_add_tcase(s, t);
	return t_run(s);
}
