/* check_delta.c - the patch that the gateway writes, and the device that rebuilds the payload. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_delta.h"
#include "hn_delta.h"
#include "hn_peer.h"
#include "hn_package.h"
#include "t_hd_gateway.h"
#include "t_run.h"

enum { SEED = 20261122, LEN = 18432, PIECE_MAX = 236, HOSTILE = 5000, BEHIND = 64 };

static uint8_t base[LEN], next[LEN], again[LEN + BEHIND], patch[2 * LEN];

/* Decode in pieces and slices of random lengths, as chunks and write units come. */
static uint32_t decode(struct hn_rng *rng, const uint8_t *p, size_t n, uint32_t len)
{
	struct hd_delta d = { 0 };
	uint32_t done = 0;
	size_t in = 0;

	memset(again, 0xee, len + BEHIND);
	while (done < len && (in < n || d.copy)) {
		uint32_t piece = 1 + hn_rng_below(rng, PIECE_MAX), got = 1;

		piece = piece < n - in ? piece : (uint32_t)(n - in);
		d.used = 0;
		while (done < len && got > 0) {
			uint32_t room = 1 + hn_rng_below(rng, 64);

			room = room < len - done ? room : len - done;
			got = hd_delta_run(&d, base, p + in, piece, again + done, room);
			ck_assert_uint_le(got, room);
			done += got;
			ck_assert_uint_eq(done, d.at);
		}
		in += piece;
	}
	for (uint32_t i = 0; i < BEHIND; i++)
		ck_assert_uint_eq(again[done + i], 0xee);
	return done;
}

static size_t round_trip(struct hn_rng *rng, uint32_t len)
{
	size_t n = 0;

	ck_assert_int_eq(hn_delta_write(base, next, len, patch, sizeof patch, &n), HN_OK);
	ck_assert_uint_eq(hn_delta_size(base, next, len), n);
	ck_assert_uint_eq(decode(rng, patch, n, len), len);
	ck_assert_mem_eq(again, next, len);
	return n;
}

/* Entropy of the differences byte by byte, in bytes. */
static double entropy(uint32_t len)
{
	unsigned seen[256] = { 0 };
	double bits = 0;

	for (uint32_t i = 0; i < len; i++)
		seen[(uint8_t)(next[i] - base[i])]++;
	for (int i = 0; i < 256; i++)
		if (seen[i])
			bits -= seen[i] * log2((double)seen[i] / len);
	return bits / 8;
}

static void fill_base(struct hn_rng *rng)
{
	for (uint32_t i = 0; i < LEN; i++)
		base[i] = (uint8_t)hn_rng_u64(rng);
	memcpy(next, base, LEN);
}

static void step_weights(struct hn_rng *rng, unsigned per_mille, double size)
{
	for (uint32_t i = 0; i < LEN; i++) {
		double u = (1.0 + hn_rng_below(rng, 1000000)) / 1000001.0;
		int d = 1 + (int)(-log(u) * size);

		if (hn_rng_below(rng, 1000) < per_mille)
			next[i] = (uint8_t)(next[i] + (hn_rng_below(rng, 2) ? d : -d));
	}
}

static const struct { unsigned per_mille; double size; } retrains[] = {
	{ 800, 4 }, { 500, 3 }, { 230, 3 }, { 155, 2 }, { 50, 2 }, { 5, 2 }
};

START_TEST(a_retrained_set_costs_little_more_than_its_entropy)
{
	struct hn_rng rng;
	double limit;
	size_t n;

	hn_rng_seed(&rng, SEED + (uint64_t)_i);
	fill_base(&rng);
	step_weights(&rng, retrains[_i].per_mille, retrains[_i].size);
	limit = entropy(LEN);
	n = round_trip(&rng, LEN);
	printf("delta: %u of 1000 weights moved: %zu bytes, entropy %.0f\n", retrains[_i].per_mille, n,
	       limit);
	ck_assert_double_le((double)n, 1.10 * limit + 24);
}
END_TEST

START_TEST(an_equal_set_takes_a_few_bytes_and_a_new_scaler_a_few_more)
{
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED);
	fill_base(&rng);
	ck_assert_uint_le(round_trip(&rng, LEN), 16);
	for (uint32_t at = 28; at < 28 + 48; at += 4)    /* twelve words behind the image's header */
		hd_put32(next + at, hd_get32(base + at) + hn_rng_below(&rng, 1 << 17) - (1 << 16));
	ck_assert_uint_le(round_trip(&rng, LEN), 64);
}
END_TEST

/* 352 biases of 32 bits that move by hundreds: plain they would take 1408. */
START_TEST(words_are_coded_byte_by_byte)
{
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED);
	fill_base(&rng);
	for (uint32_t at = 1024; at < 1024 + 4 * 352; at += 4)
		hd_put32(next + at, hd_get32(base + at) + hn_rng_below(&rng, 1001) - 500);
	ck_assert_uint_le(round_trip(&rng, LEN), 880);
}
END_TEST

START_TEST(any_two_payloads_of_any_length_come_back)
{
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED);
	for (uint32_t len = 0; len < 300; len++) {
		for (uint32_t i = 0; i < len; i++) {
			base[i] = (uint8_t)hn_rng_u64(&rng);
			next[i] = hn_rng_below(&rng, 3) ? base[i] : (uint8_t)hn_rng_u64(&rng);
		}
		round_trip(&rng, len);
	}
	for (uint32_t i = 0; i < LEN; i++)
		next[i] = (uint8_t)hn_rng_u64(&rng);
	ck_assert_uint_le(round_trip(&rng, LEN), LEN + LEN / 4);
}
END_TEST

START_TEST(a_patch_that_does_not_fit_is_an_error)
{
	struct hn_rng rng;
	size_t n, need;

	hn_rng_seed(&rng, SEED);
	fill_base(&rng);
	step_weights(&rng, 500, 3);
	need = hn_delta_size(base, next, LEN);
	memset(patch, 0xee, sizeof patch);
	ck_assert_int_eq(hn_delta_write(base, next, LEN, patch, need - 1, &n), HN_ENOMEM);
	ck_assert_uint_eq(patch[need - 1], 0xee);
	ck_assert_int_eq(hn_delta_write(base, next, LEN, patch, need, &n), HN_OK);
	ck_assert_uint_eq(patch[need], 0xee);
}
END_TEST

START_TEST(any_bytes_end_and_stay_inside)
{
	struct hn_rng rng;
	uint8_t noise[300];

	hn_rng_seed(&rng, SEED);
	for (int i = 0; i < HOSTILE; i++) {
		uint32_t n = hn_rng_below(&rng, sizeof noise), len = hn_rng_below(&rng, 2000);

		for (uint32_t k = 0; k < n; k++)
			noise[k] = (uint8_t)(hn_rng_u64(&rng) & (i & 1 ? 0xff : hn_rng_u64(&rng)));
		(void)decode(&rng, noise, n, len);
	}
}
END_TEST

/* --- on the device --------------------------------------------------------------------------- */

static const struct t_image_spec small = { 6, 2, { { HD_OP_DENSE, 24 }, { HD_OP_LUT, 0 },
                                                   { HD_OP_DENSE, 5 } } };
static struct t_package v1, v2, v3, v4;
static struct t_flash flash;
static struct t_pair pair;

static const struct t_geometry geometries[] = {
	{ 1, 512, 2048, 0xff }, { 2, 512, 2048, 0x00 }, { 4, 1024, 2048, 0xff },
	{ 8, 1024, 2048, 0x00 }, { 16, 2048, 2048, 0xff }, { 32, 2048, 2048, 0xff }
};

static void power_on(const struct t_geometry *g)
{
	t_package_build(&v1, &small, 1, 4);
	t_package_nudge(&v2, &v1, 2, 4, SEED);
	t_package_delta(&v2, &v1);
	t_flash_init(&flash, g, SEED);
	ck_assert_int_eq(t_pair_init(&pair, &flash, SEED), HD_OK);
	ck_assert(t_put_in_service(&pair, &v1));
}

START_TEST(a_delta_is_applied_while_it_arrives)
{
	power_on(&geometries[_i]);
	ck_assert_uint_lt(t_wire_len(&v2), v2.len / 2);
	ck_assert(t_put_in_service(&pair, &v2));
	ck_assert(t_serves(&pair, &v2));
	ck_assert_mem_eq(flash.mem + flash.port.slot_at[1] + HD_PACKAGE_HEADER, v2.payload, v2.len);
	t_package_nudge(&v3, &v2, 3, 2, SEED + 1);       /* and back into the first slot */
	t_package_delta(&v3, &v2);
	ck_assert(t_put_in_service(&pair, &v3));
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	ck_assert(t_serves(&pair, &v3));
	ck_assert_uint_eq(flash.broken_rules, 0);
	t_flash_done(&flash);
}
END_TEST

START_TEST(a_delta_arrives_over_a_line_that_hurts_frames)
{
	power_on(&geometries[_i]);
	pair.noise = 200;
	ck_assert(t_put_in_service(&pair, &v2));
	ck_assert(t_serves(&pair, &v2));
	ck_assert_uint_eq(flash.broken_rules, 0);
	t_flash_done(&flash);
}
END_TEST

START_TEST(a_delta_of_another_base_is_refused_and_the_full_set_taken)
{
	power_on(&geometries[3]);
	t_package_build(&v3, &small, 3, 4);
	t_package_nudge(&v2, &v3, 2, 4, SEED);
	t_package_delta(&v2, &v3);
	ck_assert(t_hello(&pair));
	ck_assert_int_eq(t_begin(&pair, &v2), HD_EBASE);
	ck_assert_uint_eq(pair.report.state, HD_FAILED);
	ck_assert(t_serves(&pair, &v1));
	t_package_nudge(&v2, &v3, 2, 4, SEED);           /* the same, in full */
	ck_assert(t_put_in_service(&pair, &v2));
	ck_assert(t_serves(&pair, &v2));
	t_flash_done(&flash);
}
END_TEST

START_TEST(a_device_without_an_image_has_no_base)
{
	t_package_build(&v1, &small, 1, 4);
	t_package_nudge(&v2, &v1, 2, 4, SEED);
	t_package_delta(&v2, &v1);
	t_flash_init(&flash, &geometries[3], SEED);
	ck_assert_int_eq(t_pair_init(&pair, &flash, SEED), HD_OK);
	ck_assert(t_hello(&pair));
	ck_assert_int_eq(t_begin(&pair, &v2), HD_EBASE);
	t_flash_done(&flash);
}
END_TEST

/* The header says what the result must hash to: whatever the patch says, nothing else gets in. */

static void flip(void) { v2.patch[v2.head.patch_len / 2] ^= 4; }
static void cut(void) { v2.head.patch_len -= 3; t_package_sign(&v2); }
static void pad(void) { memset(v2.patch + v2.head.patch_len, 0, 500); v2.head.patch_len += 500; }

static void resign_flip(void)
{
	flip();
	t_package_sign(&v2);
}

static const struct { void (*spoil)(void); int error; } bad[] = {
	{ flip, HD_EDIGEST }, { cut, HD_EDIGEST }, { resign_flip, HD_EDIGEST }
};

START_TEST(a_spoilt_patch_never_becomes_active)
{
	power_on(&geometries[_i % 6]);
	bad[_i / 6].spoil();
	ck_assert(t_hello(&pair));
	ck_assert(!t_install(&pair, &v2));
	ck_assert_int_eq(pair.report.error, bad[_i / 6].error);
	ck_assert(t_serves(&pair, &v1));
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	ck_assert(t_serves(&pair, &v1));
	ck_assert_uint_eq(flash.broken_rules, 0);
	t_flash_done(&flash);
}
END_TEST

/* Runs that go on after the last byte of the result do not keep the device busy. */
START_TEST(bytes_behind_a_complete_patch_are_padding)
{
	power_on(&geometries[4]);
	pad();
	t_package_sign(&v2);
	ck_assert(t_put_in_service(&pair, &v2));
	ck_assert(t_serves(&pair, &v2));
	t_flash_done(&flash);
}
END_TEST

START_TEST(a_full_set_begins_anew_where_a_delta_of_it_was_under_way)
{
	power_on(&geometries[2]);
	ck_assert(t_hello(&pair));
	ck_assert_int_eq(t_begin(&pair, &v2), HD_OK);
	t_chunk(&pair, &v2, 0);
	t_pair_settle(&pair);
	ck_assert_uint_gt(pair.report.next, 0);
	v2.head.patch_len = 0;
	memset(v2.head.base, 0, sizeof v2.head.base);
	t_package_sign(&v2);
	ck_assert_int_eq(t_begin(&pair, &v2), HD_OK);
	t_pair_settle(&pair);
	ck_assert_uint_eq(pair.report.next, 0);
	ck_assert(t_put_in_service(&pair, &v2));
	ck_assert(t_serves(&pair, &v2));
	ck_assert_uint_eq(flash.broken_rules, 0);
	t_flash_done(&flash);
}
END_TEST

/* --- from the gateway ------------------------------------------------------------------------ */

static struct hn_peer peer;
static struct hd_rx heard;
static unsigned done, refused;

static bool to_device(void *ctx, uint8_t type, uint16_t session, const uint8_t *body, size_t len)
{
	uint8_t wire[HD_WIRE_MAX];
	size_t n = hd_frame_write(type, 0, session, body, len, wire), at = 0;

	(void)ctx;
	while (at < n) {
		at += hd_rx_bytes(&pair.dev, wire + at, n - at);
		hd_poll(&pair.dev, 100000, 1000000);
	}
	return true;
}

/* What the device answers waits in the pair's wire until `listen`. */
static void listen(int64_t now_us)
{
	struct t_wire up = pair.up;
	struct hd_frame f;

	pair.up.n = 0;
	for (size_t i = 0; i < up.n; i++) {
		enum hn_peer_event e = HN_PEER_NOTHING;

		if (hd_rx_byte(&heard, up.bytes[i], &f))
			e = hn_peer_message(&peer, &f, now_us);
		done += e == HN_PEER_DONE;
		refused += e == HN_PEER_REFUSED;
	}
}

static bool swap(const struct hn_peer_package *k)
{
	static int64_t now_us = 1000000;

	done = refused = 0;
	hn_peer_install(&peer, k, now_us);
	for (int i = 0; i < 20000 && !done; i++) {
		now_us += 1000;
		(void)hn_peer_tick(&peer, now_us);
		hd_poll(&pair.dev, 1000, 1000000);
		hd_service(&pair.dev, NULL);
		listen(now_us);
		hn_peer_confirm(&peer, now_us);
	}
	return done && !refused;
}

static struct hn_peer_package package_of(const struct t_package *p)
{
	return (struct hn_peer_package){ .header = p->header, .payload = t_wire(p),
		.len = t_wire_len(p), .version = p->head.version };
}

START_TEST(the_gateway_sends_the_full_set_when_the_base_is_another)
{
	struct hn_peer_package whole, k;
	uint64_t sent;

	power_on(&geometries[2]);
	hd_rx_init(&heard);
	hn_peer_init(&peer, t_uid, t_key);
	peer.send = to_device;
	hn_peer_up(&peer, 9, 4711, 1);
	t_package_nudge(&v3, &v1, 3, 4, SEED + 1);
	whole = package_of(&v3);
	k = package_of(&v2);
	k.full = &whole;                 /* not what it is, and not needed */
	ck_assert(swap(&k));
	ck_assert(t_serves(&pair, &v2));
	sent = peer.bytes_sent;
	ck_assert_uint_lt(sent, v2.len / 2 + HD_PACKAGE_HEADER);
	v4 = v3;
	t_package_delta(&v4, &v1);       /* v2 runs by now */
	k = package_of(&v4);
	k.full = &whole;
	ck_assert(swap(&k));
	ck_assert(t_serves(&pair, &v3));
	ck_assert_uint_gt(peer.bytes_sent - sent, v3.len);
	t_flash_done(&flash);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("delta");
	TCase *t = tcase_create("delta");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_retrained_set_costs_little_more_than_its_entropy, 0,
	                    sizeof retrains / sizeof *retrains);
	tcase_add_test(t, an_equal_set_takes_a_few_bytes_and_a_new_scaler_a_few_more);
	tcase_add_test(t, words_are_coded_byte_by_byte);
	tcase_add_test(t, any_two_payloads_of_any_length_come_back);
	tcase_add_test(t, a_patch_that_does_not_fit_is_an_error);
	tcase_add_test(t, any_bytes_end_and_stay_inside);
	tcase_add_loop_test(t, a_delta_is_applied_while_it_arrives, 0, 6);
	tcase_add_loop_test(t, a_delta_arrives_over_a_line_that_hurts_frames, 0, 6);
	tcase_add_test(t, a_delta_of_another_base_is_refused_and_the_full_set_taken);
	tcase_add_test(t, a_device_without_an_image_has_no_base);
	tcase_add_loop_test(t, a_spoilt_patch_never_becomes_active, 0,
	                    6 * (int)(sizeof bad / sizeof *bad));
	tcase_add_test(t, bytes_behind_a_complete_patch_are_padding);
	tcase_add_test(t, a_full_set_begins_anew_where_a_delta_of_it_was_under_way);
	tcase_add_test(t, the_gateway_sends_the_full_set_when_the_base_is_another);
	suite_add_tcase(s, t);
	return t_run(s);
}
