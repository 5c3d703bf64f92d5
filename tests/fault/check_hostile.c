/* check_hostile.c - packages and frames of somebody who does not have the device's key, or who has
 * recorded what went over the line: none may change what the device runs.
 *
 * A case is one attack on a device that has version 2 confirmed.  It passes when the device answers
 * with an error or not at all, and afterwards still has version 2 in service, the floor 2, and no
 * trial.  HOSTILE_CASES in the environment says how many cases of each kind (make hostile); the
 * seed is fixed. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_crc32c.h"
#include "t_hd_gateway.h"
#include "t_run.h"

enum { SEED = 20261122, CASES = 150, RECORDED_MAX = 64 };

static const struct t_image_spec small = { 4, 2, { { HD_OP_DENSE, 6 }, { HD_OP_DENSE, 3 } } };
static const struct t_geometry geometry = { 8, 512, 1024, 0xff };
static struct t_package v1, v2, v3, d3, bad;
static struct t_flash flash;
static struct t_pair pair;
static struct hn_rng rng;
static struct { uint8_t wire[HD_WIRE_MAX]; size_t n; } recorded[RECORDED_MAX];
static unsigned n_recorded, as_meant;

static unsigned below(unsigned n)
{
	return hn_rng_below(&rng, n);
}

static void setup(void)
{
	hn_rng_seed(&rng, SEED);
	t_package_build(&v1, &small, 1, 2);
	t_package_build(&v2, &small, 2, 2);
	t_package_nudge(&v3, &v2, 3, 2, SEED);
	d3 = v3;
	t_package_delta(&d3, &v2);
	t_flash_init(&flash, &geometry, SEED);
	ck_assert_int_eq(t_pair_init(&pair, &flash, SEED), HD_OK);
	ck_assert(t_put_in_service(&pair, &v1));
	ck_assert(t_put_in_service(&pair, &v2));
	ck_assert(t_hello(&pair));
}

static void teardown(void)
{
	t_flash_done(&flash);
}

static void unchanged(const char *what, int i)
{
	const struct hd_device *d = &pair.dev;

	ck_assert_msg(d->report.state != HD_TRIAL && (d->slots.kind == HD_REC_CONFIRMED || as_meant)
	              && d->report.active_version == 2 && d->slots.floor == 2 && d->want == d->cur
	              && d->want == &d->net[d->slots.active], "%s, case %d: it got in", what, i);
	if (i % 64 == 0)
		ck_assert_msg(t_serves(&pair, &v2), "%s, case %d: other answers", what, i);
}

static void refused(const char *what, int i, int error)
{
	ck_assert_msg(error != HD_OK, "%s, case %d: no error", what, i);
	unchanged(what, i);
}

/* The attacker's CRC is right; now and then not. */
static void new_crc(struct t_package *k)
{
	if (below(8))
		hd_put32(k->header + HD_AT_CRC, hd_crc32c(0, k->header, HD_AT_CRC));
}

static int cases(void)
{
	const char *text = getenv("HOSTILE_CASES");

	return text ? (int)strtol(text, NULL, 10) : CASES;
}

/* One to eight bits anywhere in the header. */
static int mutated_header(void)
{
	bad = below(2) ? v3 : d3;
	for (unsigned n = 1 + below(8); n > 0; n--) {
		unsigned bit = below(8 * HD_AT_CRC);

		bad.header[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	new_crc(&bad);
	if (memcmp(bad.header, (bad.head.patch_len ? d3 : v3).header, HD_PACKAGE_HEADER) == 0)
		return HD_EFORMAT;       /* the flips took each other back */
	return t_begin(&pair, &bad);
}

/* A field with an interesting number in it. */
static int odd_field(void)
{
	static const uint32_t odd[] = { 0, 1, 3, 4, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff };
	static const uint8_t fields[] = { HD_AT_MAGIC, HD_AT_KEY_ID, HD_AT_UID, HD_AT_ARCH, HD_AT_VERSION,
		HD_AT_IMAGE_LEN, HD_AT_ARENA, HD_AT_OPS, HD_AT_PAYLOAD_LEN, HD_AT_BASE, HD_AT_PATCH_LEN,
		HD_AT_DIGEST, HD_AT_MAC };

	bad = below(2) ? v3 : d3;
	hd_put32(bad.header + fields[below(sizeof fields)], odd[below(8)]);
	if (memcmp(bad.header, (bad.head.patch_len ? d3 : v3).header, HD_PACKAGE_HEADER) == 0)
		return HD_EFORMAT;
	new_crc(&bad);
	return t_begin(&pair, &bad);
}

static int header_of_another_length(void)
{
	uint8_t body[HD_BODY_MAX] = { 0 };
	unsigned n = below(HD_BODY_MAX + 1);

	memcpy(body, v3.header, sizeof v3.header);
	return t_command(&pair, HD_BEGIN, body, n == HD_PACKAGE_HEADER ? n - 1 : n);
}

/* For another device, or for this one by the key of another; or a group's by that key. */
static int cross_device(void)
{
	uint8_t key[HD_KEY_LEN];
	unsigned kind = below(3);

	bad = below(2) ? v3 : d3;
	for (int i = 0; i < HD_KEY_LEN; i++)
		key[i] = (uint8_t)hn_rng_u64(&rng);
	if (kind == 0)
		bad.head.uid[below(HD_UID_LEN)] ^= (uint8_t)(1 + below(255));
	else if (kind == 1)
		memset(bad.head.uid, 0, sizeof bad.head.uid);
	hd_package_write(&bad.head, key, bad.header);
	return t_begin(&pair, &bad);
}

/* Authentic, but at or below the floor. */
static int older(void)
{
	bad = below(3) == 0 ? v1 : below(2) ? v3 : d3;
	bad.head.version = below(3);
	t_package_sign(&bad);
	return t_begin(&pair, &bad);
}

/* Bits of a patch that mean nothing, such as its last ones, may change: the payload that was signed
 * comes out of it all the same.  Nothing else ever does. */
static void same_payload_after_all(void)
{
	const struct hd_device *d = &pair.dev;

	ck_assert_uint_ne(bad.head.patch_len, 0);
	ck_assert_mem_eq(d->active, d3.header, HD_PACKAGE_HEADER);
	ck_assert_mem_eq(d->active + HD_PACKAGE_HEADER, v3.payload, v3.len);
	ck_assert_int_eq(t_command_order(&pair, HD_REVERT, 3), HD_OK);
	t_pair_settle(&pair);
	as_meant++;
	pair.report.error = HD_EDIGEST;
}

/* An authentic header, and other bytes than it speaks of. */
static int mutated_payload(void)
{
	bad = below(2) ? v3 : d3;
	for (unsigned n = 1 + below(4); n > 0; n--) {
		uint8_t *p = bad.head.patch_len ? bad.patch : bad.payload;

		p[below(t_wire_len(&bad))] ^= (uint8_t)(1 + below(255));
	}
	if (memcmp(t_wire(&bad), t_wire(bad.head.patch_len ? &d3 : &v3), t_wire_len(&bad)) == 0)
		return HD_EDIGEST;
	if (!t_transfer(&pair, &bad))
		return HD_EFORMAT;
	(void)t_command_order(&pair, HD_ACTIVATE, bad.head.version);
	t_pair_settle(&pair);
	if (pair.report.state == HD_TRIAL)
		same_payload_after_all();
	return pair.report.error;
}

/* The end never comes. */
static int truncated_payload(void)
{
	const struct t_package *k = below(2) ? &v3 : &d3;
	uint32_t grain = pair.hello.grain * 4u, n = (t_wire_len(k) - 1) / grain;

	ck_assert_int_eq(t_begin(&pair, k), HD_OK);
	for (uint32_t i = 0; i < below(n + 1); i++)
		t_chunk(&pair, k, i * grain);
	t_pair_settle(&pair);
	return t_command_order(&pair, HD_ACTIVATE, 3);
}

/* An order with a wrong tag, or of a wrong length. */
static int forged_order(void)
{
	uint8_t body[32] = { 0 }, type = (uint8_t)(HD_ACTIVATE + below(3));
	size_t n = below(4) ? 4 + HD_TAG_LEN : below(sizeof body);

	hd_put32(body, below(5));
	hd_tag(t_key, type, pair.session, pair.hello.nonce_dev, pair.nonce_gw, hd_get32(body), body + 4);
	body[4 + below(HD_TAG_LEN)] ^= (uint8_t)(1 + below(255));
	return t_command(&pair, type, body, n);
}

/* The right tag of another command, session, version or nonce. */
static int stolen_tag(void)
{
	uint8_t body[4 + HD_TAG_LEN], type = (uint8_t)(HD_ACTIVATE + below(3)), other = type;
	uint32_t version = below(5), nonce = pair.hello.nonce_dev, gw = pair.nonce_gw, meant = version;
	uint16_t session = pair.session;

	switch (below(5)) {
	case 0: other = (uint8_t)(type == HD_REVERT ? HD_ACTIVATE : type + 1); break;
	case 1: session = (uint16_t)(session ^ (1u << below(16))); break;
	case 2: nonce ^= 1u << below(32); break;
	case 3: gw ^= 1u << below(32); break;
	default: meant ^= 1u << below(32); break;
	}
	hd_put32(body, version);
	hd_tag(t_key, other, session, nonce, gw, meant, body + 4);
	return t_command(&pair, type, body, sizeof body);
}

static const struct { const char *what; int (*attack)(void); } attacks[] = {
	{ "a mutated header", mutated_header }, { "an odd field", odd_field },
	{ "a header of another length", header_of_another_length }, { "cross-device", cross_device },
	{ "an older package", older }, { "a mutated payload", mutated_payload },
	{ "a truncated payload", truncated_payload }, { "a forged order", forged_order },
	{ "a stolen tag", stolen_tag },
};
enum { N_ATTACKS = sizeof attacks / sizeof *attacks };

START_TEST(what_is_not_authentic_is_refused)
{
	for (int i = 0; i < cases(); i++)
		refused(attacks[_i].what, i, attacks[_i].attack());
	printf("hostile: %-28s %d cases, %u made the signed payload, the others refused\n",
	       attacks[_i].what, cases(), as_meant);
	fflush(stdout);
	ck_assert_uint_eq(flash.broken_rules, 0);
	pair.idle_us = 1000000;          /* and the device is none the worse for it */
	ck_assert(t_put_in_service(&pair, &v3));
	ck_assert(t_serves(&pair, &v3));
}
END_TEST

/* --- replay ---------------------------------------------------------------------------------- */

/* Everything that the gateway said while version 2 was installed and confirmed. */
static void record(struct t_pair *p)
{
	static const uint8_t orders[] = { HD_ACTIVATE, HD_CONFIRM, HD_REVERT };
	uint8_t body[4 + HD_TAG_LEN], ask[7];
	size_t n = 0;

	hd_put32(ask, p->nonce_gw);
	hd_put16(ask + 4, p->session);
	ask[6] = HD_PROTO;
	recorded[n].n = hd_frame_write(HD_HELLO_ASK, 0, p->session, ask, 7, recorded[n].wire);
	n++;
	recorded[n].n = hd_frame_write(HD_BEGIN, 1, p->session, v1.header, HD_PACKAGE_HEADER,
	                               recorded[n].wire);
	n++;
	for (uint32_t version = 0; version < 4; version++)
		for (size_t i = 0; i < sizeof orders; i++, n++) {
			hd_put32(body, version);
			hd_tag(t_key, orders[i], p->session, p->hello.nonce_dev, p->nonce_gw, version, body + 4);
			recorded[n].n = hd_frame_write(orders[i], 2, p->session, body, sizeof body,
			                               recorded[n].wire);
		}
	n_recorded = (unsigned)n;
}

/* The recording of one session, played into the next ones with its HELLO_ASK in front or without,
 * in any order. */
START_TEST(a_recording_is_worthless_in_another_session)
{
	uint32_t nonce;

	record(&pair);
	nonce = pair.hello.nonce_dev;
	for (int i = 0; i < cases(); i++) {
		if (i % 16 == 0)
			ck_assert(t_hello(&pair));
		for (unsigned k = 0; k < 4; k++) {
			unsigned at = k == 0 && below(2) ? 0 : below(n_recorded);

			memcpy(pair.down.bytes, recorded[at].wire, recorded[at].n);
			pair.down.n = recorded[at].n;
			t_pair_settle(&pair);
			unchanged("a recording", i);
			ck_assert_uint_ne(pair.dev.nonce_dev, nonce);
		}
	}
	printf("hostile: %-28s %d cases, all refused\n", "a recording", cases());
	fflush(stdout);
	ck_assert(t_put_in_service(&pair, &v3));
}
END_TEST

/* --- noise ----------------------------------------------------------------------------------- */

/* Whole frames of any type, right session, any body; and bytes that are no frames. */
START_TEST(any_frame_and_any_bytes_change_nothing)
{
	uint8_t body[HD_BODY_MAX];

	for (int i = 0; i < cases(); i++) {
		size_t n = below(HD_BODY_MAX + 1);

		for (size_t k = 0; k < n; k++)
			body[k] = (uint8_t)hn_rng_u64(&rng);
		if (below(4) == 0 && n >= 4)
			hd_put32(body, below(3) * 56);
		if (below(4)) {
			uint8_t type = (uint8_t)(below(8) ? below(10) : below(256));

			t_send(&pair, type == HD_HELLO_ASK ? HD_TIME : type, body, n);
		} else {
			memcpy(pair.down.bytes, body, n);
			pair.down.n = n;
		}
		t_pair_settle(&pair);
		unchanged("noise", i);
	}
	printf("hostile: %-28s %d cases, nothing changed\n", "noise", cases());
	fflush(stdout);
	pair.down.n = 0;
	t_send(&pair, HD_STATUS_ASK, NULL, 0);           /* ends what was begun */
	ck_assert(t_put_in_service(&pair, &v3));
	ck_assert_uint_eq(flash.broken_rules, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hostile");
	TCase *t = tcase_create("hostile");

	printf("hostile: seed %d\n", SEED);
	fflush(stdout);
	tcase_set_timeout(t, 1800);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, what_is_not_authentic_is_refused, 0, N_ATTACKS);
	tcase_add_test(t, a_recording_is_worthless_in_another_session);
	tcase_add_test(t, any_frame_and_any_bytes_change_nothing);
	suite_add_tcase(s, t);
	return t_run(s);
}
