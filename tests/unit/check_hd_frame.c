/* check_hd_frame.c - frames survive the wire, and nothing that is damaged gets through. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_msg.h"
#include "hd_sha256.h"
#include "hn_rng.h"
#include "t_run.h"

enum { SEED = 20240602, ROUNDS = 20000 };

static size_t random_body(struct hn_rng *rng, uint8_t *body)
{
	size_t n = hn_rng_below(rng, HD_BODY_MAX + 1);
	uint32_t zeros = hn_rng_below(rng, 4);           /* from none to mostly zeros */

	for (size_t i = 0; i < n; i++)
		body[i] = hn_rng_below(rng, 4) < zeros ? 0 : (uint8_t)hn_rng_u64(rng);
	return n;
}

/* Feed bytes; returns the number of frames, the last in `f`. */
static int feed(struct hd_rx *r, const uint8_t *p, size_t n, struct hd_frame *f)
{
	int frames = 0;

	for (size_t i = 0; i < n; i++)
		frames += hd_rx_byte(r, p[i], f);
	return frames;
}

static void check_frame(const struct hd_frame *f, const struct hd_frame *want)
{
	ck_assert_uint_eq(f->type, want->type);
	ck_assert_uint_eq(f->seq, want->seq);
	ck_assert_uint_eq(f->session, want->session);
	ck_assert_uint_eq(f->len, want->len);
	ck_assert(want->len == 0 || memcmp(f->body, want->body, want->len) == 0);
}

START_TEST(every_body_comes_back_and_the_wire_holds_one_zero)
{
	uint8_t body[HD_BODY_MAX], wire[HD_WIRE_MAX];
	struct hn_rng rng;
	struct hd_rx rx;

	hn_rng_seed(&rng, SEED);
	hd_rx_init(&rx);
	for (int i = 0; i < ROUNDS; i++) {
		size_t n = random_body(&rng, body), len;
		struct hd_frame f, want = { (uint8_t)i, (uint8_t)(i >> 3), (uint16_t)(i * 7), body, n };

		len = hd_frame_write(want.type, want.seq, want.session, body, n, wire);
		ck_assert_uint_le(len, HD_WIRE_MAX);
		ck_assert_ptr_eq(memchr(wire, 0, len), wire + len - 1);
		ck_assert_int_eq(feed(&rx, wire, len, &f), 1);
		check_frame(&f, &want);
	}
	ck_assert_uint_eq(rx.refused, 0);
}
END_TEST

START_TEST(a_frame_sealed_around_its_body_is_the_same_frame)
{
	uint8_t body[HD_BODY_MAX], wire[HD_WIRE_MAX], sealed[HD_WIRE_MAX];
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED);
	for (int i = 0; i < 1000; i++) {
		size_t n = random_body(&rng, body), len = hd_frame_write(1, 2, 3, body, n, wire);

		memcpy(sealed + HD_WIRE_BODY, body, n);
		ck_assert_uint_eq(hd_frame_seal(sealed, 0x00030201, n), len);
		ck_assert_mem_eq(wire, sealed, len);
	}
}
END_TEST

START_TEST(damage_costs_only_the_frame_it_hits)
{
	uint8_t body[HD_BODY_MAX], wire[HD_WIRE_MAX], bad[HD_WIRE_MAX + 1];
	unsigned hurt = 0;
	struct hn_rng rng;
	struct hd_rx rx;

	hn_rng_seed(&rng, SEED);
	hd_rx_init(&rx);
	for (int i = 0; i < ROUNDS; i++) {
		size_t n = random_body(&rng, body), len = hd_frame_write(7, 8, 9, body, n, wire);
		size_t at = hn_rng_below(&rng, (uint32_t)len - 1);
		struct hd_frame f, want = { 7, 8, 9, body, n };

		memcpy(bad, wire, len);
		for (uint32_t k = 1 + hn_rng_below(&rng, 4); k > 0; k--)
			bad[hn_rng_below(&rng, (uint32_t)len - 1)] ^= (uint8_t)(1 + hn_rng_below(&rng, 255));
		if (i % 3 == 0)          /* a byte less */
			memmove(bad + at, bad + at + 1, len - at - 1);
		if (memcmp(bad, wire, len) == 0)
			continue;        /* two changes cancelled out */
		ck_assert_int_eq(feed(&rx, bad, len - (i % 3 == 0), &f), 0);
		hurt++;
		ck_assert_int_eq(feed(&rx, wire, len, &f), 1);
		check_frame(&f, &want);
	}
	ck_assert_uint_ge(rx.refused, hurt);     /* an injected zero makes two of one */
	printf("hd_frame: %u damaged frames, none accepted, none of the next lost, seed %d\n", hurt, SEED);
}
END_TEST

START_TEST(a_truncated_frame_is_refused_at_every_length)
{
	uint8_t body[HD_BODY_MAX], wire[HD_WIRE_MAX], zero = 0;
	struct hd_frame f;
	struct hd_rx rx;
	size_t len;

	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (uint8_t)(i % 5);
	len = hd_frame_write(1, 2, 3, body, sizeof body, wire);
	hd_rx_init(&rx);
	for (size_t cut = 1; cut < len - 1; cut++) {
		ck_assert_int_eq(feed(&rx, wire, cut, &f), 0);
		ck_assert(!hd_rx_byte(&rx, zero, &f));
		ck_assert_uint_eq(rx.refused, cut);
	}
}
END_TEST

START_TEST(endless_noise_neither_overflows_nor_passes_and_the_next_frame_does)
{
	uint8_t wire[HD_WIRE_MAX], zero = 0;
	struct hn_rng rng;
	struct hd_frame f;
	struct hd_rx rx;
	size_t len = hd_frame_write(1, 2, 3, (const uint8_t *)"x", 1, wire);

	hn_rng_seed(&rng, SEED);
	hd_rx_init(&rx);
	for (int i = 0; i < 200000; i++) {
		uint8_t b = (uint8_t)hn_rng_u64(&rng);

		if (i < 100000 && b == 0)        /* first without delimiters, then with */
			b = 1;
		if (hd_rx_byte(&rx, b, &f))
			ck_abort_msg("noise passed for a frame");
	}
	ck_assert(!hd_rx_byte(&rx, zero, &f));
	ck_assert_int_eq(feed(&rx, wire, len, &f), 1);
	ck_assert_int_eq(feed(&rx, &zero, 1, &f), 0);    /* idle line: delimiters are no frames */
	ck_assert_uint_gt(rx.refused, 0);
}
END_TEST

START_TEST(hello_and_status_come_back_from_bodies_of_the_right_length_only)
{
	struct hd_hello h, h2;
	struct hd_report r, r2;
	uint8_t body[HD_HELLO_LEN];

	memset(&h, 0, sizeof h);
	memset(&r, 0, sizeof r);
	for (size_t i = 0; i < sizeof h; i++)
		((uint8_t *)&h)[i] = (uint8_t)(i + 1);
	for (size_t i = 0; i < sizeof r; i++)
		((uint8_t *)&r)[i] = (uint8_t)(i + 1);
	hd_hello_write(&h, body);
	for (uint32_t i = 0; i < HD_HELLO_LEN; i++)      /* the layout is the order of the struct */
		ck_assert_uint_eq(body[i], i + 1);
	ck_assert_int_eq(hd_hello_read(&h2, body, HD_HELLO_LEN), HD_OK);
	ck_assert_mem_eq(&h, &h2, sizeof h);
	ck_assert_int_eq(hd_hello_read(&h2, body, HD_HELLO_LEN - 1), HD_EFORMAT);
	hd_report_write(&r, body);
	for (uint32_t i = 0; i < HD_REPORT_LEN; i++)
		ck_assert_uint_eq(body[i], i + 1);
	ck_assert_int_eq(hd_report_read(&r2, body, HD_REPORT_LEN), HD_OK);
	ck_assert_mem_eq(&r, &r2, sizeof r);
	ck_assert_int_eq(hd_report_read(&r2, body, HD_REPORT_LEN + 1), HD_EFORMAT);
}
END_TEST

START_TEST(a_tag_depends_on_everything_it_covers)
{
	uint8_t key[HD_KEY_LEN] = { 1 }, text[16] = { HD_ACTIVATE }, mac[32], tag[8], other[8];

	hd_tag(key, HD_ACTIVATE, 0x1234, 5, 6, 7, tag);
	hd_put16(text + 2, 0x1234);
	hd_put32(text + 4, 7);
	hd_put32(text + 8, 6);
	hd_put32(text + 12, 5);
	hd_hmac(key, text, sizeof text, mac);
	ck_assert_mem_eq(tag, mac, sizeof tag);
	hd_tag(key, HD_CONFIRM, 0x1234, 5, 6, 7, other);
	ck_assert_mem_ne(tag, other, sizeof tag);
	hd_tag(key, HD_ACTIVATE, 0x1235, 5, 6, 7, other);
	ck_assert_mem_ne(tag, other, sizeof tag);
	hd_tag(key, HD_ACTIVATE, 0x1234, 4, 6, 7, other);
	ck_assert_mem_ne(tag, other, sizeof tag);
	hd_tag(key, HD_ACTIVATE, 0x1234, 5, 7, 7, other);
	ck_assert_mem_ne(tag, other, sizeof tag);
	hd_tag(key, HD_ACTIVATE, 0x1234, 5, 6, 8, other);
	ck_assert_mem_ne(tag, other, sizeof tag);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hd_frame");
	TCase *t = tcase_create("hd_frame");

	tcase_add_test(t, every_body_comes_back_and_the_wire_holds_one_zero);
	tcase_add_test(t, a_frame_sealed_around_its_body_is_the_same_frame);
	tcase_add_test(t, damage_costs_only_the_frame_it_hits);
	tcase_add_test(t, a_truncated_frame_is_refused_at_every_length);
	tcase_add_test(t, endless_noise_neither_overflows_nor_passes_and_the_next_frame_does);
	tcase_add_test(t, hello_and_status_come_back_from_bodies_of_the_right_length_only);
	tcase_add_test(t, a_tag_depends_on_everything_it_covers);
	suite_add_tcase(s, t);
	return t_run(s);
}
