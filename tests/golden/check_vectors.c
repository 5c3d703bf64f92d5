/* Test vectors of the formats that cross the link: docs/protocol.md and docs/package-format.md.
 *
 * The committed files are for people who write a device or a gateway in another language.  Here
 * the library must make the very same bytes, and take what is in the files.
 * After a wanted change:  check_vectors --write DIRECTORY */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_crc32c.h"
#include "hd_device.h"
#include "hd_check.h"
#include "hd_sha256.h"
#include "hn_package.h"
#include "hn_peer.h"
#include "t_hd_flash.h"
#include "t_hd_package.h"
#include "t_run.h"
#include "t_vectors.h"

#define DIR_DEFAULT "tests/golden/vectors"

enum {
	LINE_BYTES = 32, IMAGE_MAX = 4096, PAYLOAD_MAX = 4096, ARENA = 512, FRAMES = 5,
	SESSION = 0x1a2b, NONCE_GW = 0x0badcafe, NONCE_DEV = 0x12345678, STEP_US = 1000, STEPS = 2000
};

static const char *dir = DIR_DEFAULT;
static const uint8_t master[HD_KEY_LEN] = {
	0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
	0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f };
static const uint8_t uid[HD_UID_LEN] = { 0x00, 0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07 };

/* Also called by --write, where Check's assertions do not work. */
static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "check_vectors: %s\n", what);
	abort();
}

/* --- text ------------------------------------------------------------------------------------ */

static void put_hex(FILE *out, const char *name, const uint8_t *p, size_t n)
{
	fprintf(out, "%s =", name);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%02x", i % LINE_BYTES ? "" : n > LINE_BYTES ? "\n  " : " ", p[i]);
	fputc('\n', out);
}

/* --- the package ----------------------------------------------------------------------------- */

static struct made {
	uint8_t key[HD_KEY_LEN];
	uint8_t image[T_IMAGE_MAX] __attribute__((aligned(4)));
	uint8_t payload[PAYLOAD_MAX] __attribute__((aligned(4)));
	uint32_t arena[ARENA / 4];
	struct hn_package_spec spec;
	struct hn_package_out out;
} made;

static void make_package(uint32_t version)
{
	static const struct t_image_spec shape = {
		4, 3, { { HD_OP_DENSE, 8 }, { HD_OP_LUT, 0 }, { HD_OP_DENSE, 4 } } };

	hn_device_key(master, uid, made.key);
	made.spec = (struct hn_package_spec){ .image = made.image, .version = version,
		.model_version = 2 };
	made.spec.image_len = t_image_build(&shape, 2026, made.image);
	hd_put32(made.image + 12, 8);    /* arena: the outputs of the first layer, no more */
	memcpy(made.spec.uid, uid, sizeof uid);
	memcpy(made.spec.key, made.key, sizeof made.key);
	made.out = (struct hn_package_out){ .payload = made.payload, .cap = sizeof made.payload,
		.arena = (uint8_t *)made.arena, .arena_cap = sizeof made.arena };
	must(hn_package_build(&made.spec, &made.out) == HN_OK, "the package cannot be built");
}

/* Raw frames of a 16-bit sensor, every place from the least to the greatest. */
static int32_t raw_at(int i)
{
	return i == 0 ? INT16_MIN : i == 1 ? INT16_MAX : (i * 1237) % 4001 - 2000;
}

static void put_inference(FILE *out)
{
	int8_t in[12], y[4];
	uint8_t margin, best;
	struct hd_net net;

	must(hd_net_check(&net, made.image, made.spec.image_len) == HD_OK, "the image is not valid");
	fputs("raw =", out);
	for (int i = 0; i < 12; i++) {
		in[i] = hd_net_scale(&net, (uint16_t)(i % 3), raw_at(i));
		fprintf(out, " %d", raw_at(i));
	}
	fputs("\ninput =", out);
	for (int i = 0; i < 12; i++)
		fprintf(out, " %d", in[i]);
	hd_net_run(&net, in, (uint8_t *)made.arena, y);
	best = hd_argmax(y, net.out_n, &margin);
	fputs("\noutput =", out);
	for (int i = 0; i < 4; i++)
		fprintf(out, " %d", y[i]);
	fprintf(out, "\nclass = %u\nmargin = %u\n", best, margin);
}

static void write_package(FILE *out)
{
	fputs("# docs/package-format.md: keys, a package, an inference.  Bytes are hexadecimal.\n",
	      out);
	make_package(7);
	put_hex(out, "master", master, sizeof master);
	put_hex(out, "uid", uid, sizeof uid);
	put_hex(out, "key", made.key, sizeof made.key);
	fputs("# version 7, model_version 2, key_id 0; dense 8, lut, dense 4 on 4 frames of 3 channels\n",
	      out);
	put_hex(out, "header", made.out.header, sizeof made.out.header);
	put_hex(out, "payload", made.payload, made.out.len);
	fputs("# 4 raw frames of 3 channels through the image\n", out);
	put_inference(out);
}

/* The weights of version 8: one in three of those of version 7 moved, biases and scaler, too. */
static void step_image(uint8_t *image)
{
	const uint32_t constants = HD_IMAGE_HEADER + 3 * HD_SCALER_ENTRY + 3 * HD_LAYER_ENTRY;

	hd_put32(image + HD_IMAGE_HEADER, hd_get32(image + HD_IMAGE_HEADER) - 40);
	for (uint32_t o = 0; o < 8; o++)                 /* bias of the first layer */
		hd_put32(image + constants + 4 + 4 * o,
		         hd_get32(image + constants + 4 + 4 * o) + 70 * o - 200);
	for (uint32_t i = constants + 4 + 9 * 8; i < constants + 4 + 9 * 8 + 96; i += 3)
		image[i] = (uint8_t)(image[i] + i % 7 - 3);
}

static void write_delta(FILE *out)
{
	static struct hn_package_out full, delta;
	static uint8_t base_payload[PAYLOAD_MAX] __attribute__((aligned(4))), patch[PAYLOAD_MAX];
	struct hn_package_out base;

	fputs("# docs/package-format.md: the package of package.txt as base, and a delta of it\n", out);
	make_package(7);
	base = made.out;
	memcpy(base_payload, made.payload, made.out.len);
	base.payload = base_payload;
	step_image(made.image);
	made.spec.version = 8;
	must(hn_package_build(&made.spec, &made.out) == HN_OK, "version 8 cannot be built");
	full = made.out;
	delta = (struct hn_package_out){ .payload = patch, .cap = sizeof patch };
	must(hn_package_delta(&made.spec, &base, &full, &delta) == HN_OK, "no delta");
	put_hex(out, "header", delta.header, sizeof delta.header);
	put_hex(out, "patch", patch, delta.len);
	fputs("# what the slot holds behind the header afterwards\n", out);
	put_hex(out, "payload", full.payload, full.len);
}

/* --- arithmetic ------------------------------------------------------------------------------ */

static const struct { int32_t x, mult; int shift; } rq[] = {
	{ 0, 1 << 30, 0 }, { 1, 1 << 30, 0 }, { -1, 1 << 30, 0 }, { 2, 1 << 30, 0 }, { 3, 1 << 30, 0 },
	{ -3, 1 << 30, 0 }, { 5, 1 << 30, -1 }, { -5, 1 << 30, -1 }, { 6, 1 << 30, -1 },
	{ -6, 1 << 30, -1 }, { 10, 1 << 30, -2 }, { -10, 1 << 30, -2 }, { 12, 1 << 30, -2 },
	{ -12, 1 << 30, -2 }, { 1000, 1518500250, -3 }, { -1000, 1518500250, -3 },
	{ 123456, 2147483647, -8 }, { -123456, 2147483647, -8 }, { 2147483647, 2147483647, 0 },
	{ -2147483647 - 1, 2147483647, 0 }, { 2147483647, 1 << 30, -31 },
	{ -2147483647 - 1, 1 << 30, -31 }, { 100, 1 << 30, 4 }, { -100, 1 << 30, 4 },
	{ 2000000000, 1 << 30, 1 }, { -2000000000, 1 << 30, 1 }, { 1, 1 << 30, 30 },
	{ 3, 1 << 30, 30 }, { -3, 1 << 30, 30 }, { 77, 0, 5 },
};

static void write_arithmetic(FILE *out)
{
	fputs("# docs/package-format.md: x mult shift -> hd_rq(x, mult, shift)\n", out);
	for (size_t i = 0; i < sizeof rq / sizeof rq[0]; i++)
		fprintf(out, "%d %d %d -> %d\n", rq[i].x, rq[i].mult, rq[i].shift,
		        hd_rq(rq[i].x, rq[i].mult, rq[i].shift));
}

/* --- frames ---------------------------------------------------------------------------------- */

static void put_frame(FILE *out, const char *name, uint8_t type, const uint8_t *body, size_t n)
{
	uint8_t wire[HD_WIRE_MAX];
	const size_t len = hd_frame_write(type, 9, SESSION, body, n, wire);
	char key[40];

	fprintf(out, "# type %02x, seq 9, session %04x\n", type, SESSION);
	(void)snprintf(key, sizeof key, "%s.body", name);
	put_hex(out, key, body, n);
	(void)snprintf(key, sizeof key, "%s.wire", name);
	put_hex(out, key, wire, len);
}

static void write_frames(FILE *out)
{
	static const uint8_t ask[7] = { 0xfe, 0xca, 0xad, 0x0b, 0x2b, 0x1a, HD_PROTO };
	static const uint8_t order[] = { HD_ACTIVATE, HD_CONFIRM, HD_REVERT };
	static const char *const order_name[] = { "activate", "confirm", "revert" };
	uint8_t body[HD_BODY_MAX], crc[4];

	fputs("# docs/protocol.md: CRC-32C, frames, tags.  Bytes are hexadecimal.\n", out);
	hd_put32(crc, hd_crc32c(0, (const uint8_t *)"123456789", 9));
	fputs("# CRC-32C of the text 123456789, little-endian\n", out);
	put_hex(out, "crc", crc, sizeof crc);
	put_frame(out, "status_ask", HD_STATUS_ASK, NULL, 0);
	put_frame(out, "hello_ask", HD_HELLO_ASK, ask, sizeof ask);
	for (int i = 0; i < HD_BODY_MAX; i++)
		body[i] = (uint8_t)(i < 4 ? 0 : i % 7);
	put_frame(out, "chunk", HD_CHUNK, body, sizeof body);
	memset(body, 0xa5, sizeof body);
	put_frame(out, "longest", HD_SAMPLES, body, sizeof body);
	fprintf(out, "# tags under the key of package.txt, nonce_dev %08x, nonce_gw %08x, version 7\n",
	        NONCE_DEV, NONCE_GW);
	hn_device_key(master, uid, made.key);
	for (int i = 0; i < 3; i++) {
		hd_put32(body, 7);
		hd_tag(made.key, order[i], SESSION, NONCE_DEV, NONCE_GW, 7, body + 4);
		put_frame(out, order_name[i], order[i], body, 4 + HD_TAG_LEN);
	}
}

/* --- a whole swap, frame by frame ------------------------------------------------------------ */

struct wire { uint8_t bytes[16384]; size_t n; };

static struct rig {
	struct t_flash flash;
	struct hd_device dev;
	struct hn_peer peer;
	struct hd_rx rx;
	struct wire down, up;
	uint32_t arena[ARENA / 4];
	int64_t now_us;
	uint8_t seq;
	bool done;
	FILE *out;
} g;

static const char *type_name(uint8_t type)
{
	static const struct { uint8_t type; const char *name; } names[] = {
		{ HD_HELLO_ASK, "HELLO_ASK" }, { HD_BEGIN, "BEGIN" }, { HD_CHUNK, "CHUNK" },
		{ HD_ACTIVATE, "ACTIVATE" }, { HD_CONFIRM, "CONFIRM" }, { HD_REVERT, "REVERT" },
		{ HD_STATUS_ASK, "STATUS_ASK" }, { HD_HELLO, "HELLO" }, { HD_STATUS, "STATUS" } };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].type == type)
			return names[i].name;
	return "?";
}

static void carry(struct wire *w, const char *who, const uint8_t *bytes, size_t n)
{
	/* The second byte on the wire is the type: it is never zero, so COBS leaves it there. */
	fprintf(g.out, "# %s\n", type_name(bytes[1]));
	put_hex(g.out, who, bytes, n);
	must(w->n + n <= sizeof w->bytes, "more bytes on the wire than there is room for");
	memcpy(w->bytes + w->n, bytes, n);
	w->n += n;
}

static bool to_device(void *ctx, uint8_t type, uint16_t session, const uint8_t *body, size_t len)
{
	uint8_t wire[HD_WIRE_MAX];

	(void)ctx;
	carry(&g.down, "gateway", wire, hd_frame_write(type, g.seq++, session, body, len, wire));
	return true;
}

static bool to_gateway(void *ctx, const uint8_t *bytes, size_t n)
{
	(void)ctx;
	carry(&g.up, "device", bytes, n);
	return true;
}

static uint32_t now(void *ctx)
{
	(void)ctx;
	return (uint32_t)g.now_us;
}

static void hear(const struct hd_frame *f)
{
	if (hn_peer_message(&g.peer, f, g.now_us) == HN_PEER_DONE)
		g.done = true;
	if (g.peer.phase == HN_PEER_TRIAL)
		hn_peer_confirm(&g.peer, g.now_us);
}

static void turn(void)
{
	const size_t n = hd_rx_bytes(&g.dev, g.down.bytes, g.down.n);
	struct hd_frame f;

	g.now_us += STEP_US;
	memmove(g.down.bytes, g.down.bytes + n, g.down.n - n);
	g.down.n -= n;
	hd_poll(&g.dev, 1000, 1000000);
	if (hd_service(&g.dev, NULL))
		hd_inference_done(&g.dev, false);
	for (size_t i = 0; i < g.up.n; i++)
		if (hd_rx_byte(&g.rx, g.up.bytes[i], &f))
			hear(&f);
	g.up.n = 0;
	(void)hn_peer_tick(&g.peer, g.now_us);
}

static void write_session(FILE *out)
{
	const struct t_geometry geo = { .unit = 8, .sector = 1024, .slot_bytes = 4096, .erased = 0xff };
	struct hd_config cfg = { .arena = (uint8_t *)g.arena, .arena_bytes = sizeof g.arena,
		.credits = 4, .trial_boots = 3, .trial_inferences = 1000, .nonce = NONCE_DEV, .build = 1,
		.send = to_gateway, .now_us = now };
	struct hn_peer_package k;

	make_package(7);
	memset(&g, 0, sizeof g);
	g.out = out;
	t_flash_init(&g.flash, &geo, 1);
	g.flash.port.erase_us = 20000;
	cfg.flash = &g.flash.port;
	memcpy(cfg.uid, uid, sizeof uid);
	memcpy(cfg.key, made.key, sizeof made.key);
	fputs("# docs/protocol.md: a new device gets the package of package.txt; nothing is lost.\n", out);
	hd_rx_init(&g.rx);
	must(hd_init(&g.dev, &cfg) == HD_OK, "the device does not start");
	turn();                          /* boot: HELLO */
	hn_peer_init(&g.peer, uid, made.key);
	g.peer.send = to_device;
	k = (struct hn_peer_package){ .header = made.out.header, .payload = made.payload,
		.len = (uint32_t)made.out.len, .version = 7, .model_version = 2 };
	hn_peer_install(&g.peer, &k, g.now_us);
	hn_peer_up(&g.peer, SESSION, NONCE_GW, g.now_us);
	for (int i = 0; i < STEPS && !(g.done && g.peer.phase == HN_PEER_READY); i++)
		turn();
	must(g.done && g.peer.report.active_version == 7, "the swap did not end");
	t_flash_done(&g.flash);
}

/* --- the files ------------------------------------------------------------------------------- */

static const struct vector_file { const char *name; void (*write)(FILE *out); } files[] = {
	{ "package.txt", write_package }, { "delta.txt", write_delta },
	{ "arithmetic.txt", write_arithmetic },
	{ "frames.txt", write_frames }, { "session.txt", write_session },
};
enum { N_FILES = sizeof files / sizeof files[0] };

static FILE *open_file(const char *name, const char *mode)
{
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, mode);
	must(f != NULL, path);           /* run it from the root of the tree */
	return f;
}

START_TEST(the_library_makes_the_committed_bytes)
{
	FILE *committed = open_file(files[_i].name, "r");
	char *text = NULL, line[256];
	const char *at;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int n = 0;

	files[_i].write(out);
	(void)fclose(out);
	for (at = text; fgets(line, sizeof line, committed); at += strlen(line))
		ck_assert_msg(strncmp(at, line, strlen(line)) == 0 && ++n,
		              "%s:%d differs: see the head of check_vectors.c", files[_i].name, n + 1);
	ck_assert_msg(*at == '\0', "%s ends too early", files[_i].name);
	(void)fclose(committed);
	free(text);
}
END_TEST

static size_t hex(const char *file, const char *name, uint8_t *out, size_t cap)
{
	return t_vectors_hex(dir, file, name, out, cap);
}

START_TEST(the_package_in_the_file_is_authentic_and_proves_itself)
{
	static uint8_t header[HD_PACKAGE_HEADER] __attribute__((aligned(4)));
	static uint8_t payload[PAYLOAD_MAX] __attribute__((aligned(4)));
	static uint32_t arena[ARENA / 4];
	uint8_t key[HD_KEY_LEN], digest[HD_DIGEST_LEN];
	struct hd_sha256 hash;
	struct hd_package p;
	struct hd_net net;

	ck_assert_uint_eq(hex("package.txt", "key", key, sizeof key), sizeof key);
	ck_assert_uint_eq(hex("package.txt", "header", header, sizeof header), sizeof header);
	ck_assert_int_eq(hd_package_read(&p, header), HD_OK);
	ck_assert_int_eq(hd_package_auth(header, key), HD_OK);
	ck_assert_uint_eq(hex("package.txt", "payload", payload, sizeof payload), p.payload_len);
	hd_sha256_init(&hash);
	hd_sha256_add(&hash, payload, p.payload_len);
	hd_sha256_end(&hash, digest);
	ck_assert_mem_eq(digest, p.digest, sizeof digest);
	ck_assert_int_eq(hd_net_check(&net, payload, p.image_len), HD_OK);
	ck_assert_uint_eq(net.arch, p.arch);
	for (uint32_t i = 0; i < p.n_vectors; i++) {
		const int8_t *in = (const int8_t *)payload + p.image_len + i * p.vector_len;
		int8_t y[256];

		hd_net_run(&net, in, (uint8_t *)arena, y);
		ck_assert_mem_eq(y, in + net.in_len * net.in_ch, net.out_n);
	}
}
END_TEST

static const struct { const char *name; uint8_t type; } frames[FRAMES] = {
	{ "status_ask", HD_STATUS_ASK }, { "hello_ask", HD_HELLO_ASK }, { "chunk", HD_CHUNK },
	{ "longest", HD_SAMPLES }, { "confirm", HD_CONFIRM } };

START_TEST(the_frames_in_the_file_are_decoded)
{
	uint8_t wire[HD_WIRE_MAX], body[HD_BODY_MAX];
	char name[40];
	struct hd_rx rx;
	struct hd_frame f;
	size_t n, body_len;

	(void)snprintf(name, sizeof name, "%s.wire", frames[_i].name);
	n = hex("frames.txt", name, wire, sizeof wire);
	ck_assert_uint_gt(n, 0);
	(void)snprintf(name, sizeof name, "%s.body", frames[_i].name);
	body_len = hex("frames.txt", name, body, sizeof body);
	hd_rx_init(&rx);
	for (size_t i = 0; i < n; i++)
		ck_assert(hd_rx_byte(&rx, wire[i], &f) == (i + 1 == n));
	ck_assert_uint_eq(f.type, frames[_i].type);
	ck_assert_uint_eq(f.seq, 9);
	ck_assert_uint_eq(f.session, SESSION);
	ck_assert_uint_eq(f.len, body_len);
	ck_assert_mem_eq(f.body, body, body_len);
}
END_TEST

static int write_all(void)
{
	for (int i = 0; i < N_FILES; i++) {
		FILE *f = open_file(files[i].name, "w");

		files[i].write(f);
		if (fclose(f) != 0)
			return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	Suite *s = suite_create("vectors");
	TCase *t = tcase_create("vectors");

	if (argc == 3 && strcmp(argv[1], "--write") == 0) {
		dir = argv[2];
		return write_all();
	}
	tcase_add_loop_test(t, the_library_makes_the_committed_bytes, 0, N_FILES);
	tcase_add_test(t, the_package_in_the_file_is_authentic_and_proves_itself);
	tcase_add_loop_test(t, the_frames_in_the_file_are_decoded, 0, FRAMES);
	suite_add_tcase(s, t);
	return t_run(s);
}
