/* parity_device.c - do an emulated core and the gateway compute the same numbers?
 *
 * For each kind of layer (hd_kinds, and each form of the convolutions) random networks that end
 * with a layer of that kind: what it puts out is compared, not what later layers make of it.  Both
 * sides make the windows (firmware/qemu/parity.h); a checksum of a hundred windows is compared, and
 * where two differ the window is looked for.
 * Arguments: the report to write, the folder of the firmware.  Fails on any difference. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "emulator.h"
#include "hd_msg.h"
#include "hd_check.h"
#include "parity.h"
#include "hn_place.h"
#include "t_hd_net.h"

enum { WINDOWS = 10000, NETS = 25, BATCH = 100, SEED = 20250613, TRIES = 100000,
       PATIENCE_MS = 60000, IMAGE_MAX = 60000, PIECE = 232, KINDS_MAX = 32 };

/* A form of a convolution; NULL = any. */
enum form { FORM_ANY, FORM_PLAIN, FORM_PADDED, FORM_STRIDED, FORM_DILATED };

static const char *const form_names[] = { "", ", plain", ", padded", ", strided", ", dilated" };

struct kind { const struct hd_kind *op; enum form form; uint32_t windows, differences; };

static uint32_t image[T_NET_MAX / 4], arena[PARITY_ARENA_MAX / 4];
static int8_t input[PARITY_INPUT_MAX];
static struct emulator emulator;
static struct hd_rx rx;
static uint8_t seq;

/* --- talking to the board --------------------------------------------------------------------- */

static void put(const uint8_t *p, size_t n)
{
	while (n > 0) {
		struct pollfd fd = { .fd = emulator.fd, .events = POLLOUT };
		ssize_t done = write(emulator.fd, p, n);

		if (done < 0 && errno != EAGAIN && errno != EINTR)
			emulator_die(&emulator, "write");
		if (done < 0)
			(void)poll(&fd, 1, PATIENCE_MS);
		p += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
}

/* The value of the next DONE. */
static uint32_t answer(void)
{
	struct pollfd fd = { .fd = emulator.fd, .events = POLLIN };
	struct hd_frame f;
	uint8_t byte;

	for (;;) {
		if (poll(&fd, 1, PATIENCE_MS) <= 0)
			emulator_die(&emulator, "no answer");
		if (read(emulator.fd, &byte, 1) != 1)
			emulator_die(&emulator, "read");
		if (!hd_rx_byte(&rx, byte, &f) || f.type != PARITY_DONE || f.len != 8)
			continue;
		if (hd_get32(f.body) != HD_OK) {
			fprintf(stderr, "%s: status %u\n", emulator.board->name, hd_get32(f.body));
			emulator_die(&emulator, "the board refuses");
		}
		return hd_get32(f.body + 4);
	}
}

static uint32_t command(uint8_t type, const uint8_t *body, size_t n)
{
	uint8_t wire[HD_WIRE_MAX];

	put(wire, hd_frame_write(type, seq++, 0, body, n, wire));
	return answer();
}

static void load(uint32_t len)
{
	uint8_t body[4 + PIECE];

	for (uint32_t at = 0; at < len; at += PIECE) {
		uint32_t n = len - at < PIECE ? len - at : PIECE;

		hd_put32(body, at);
		memcpy(body + 4, (const uint8_t *)image + at, n);
		(void)command(PARITY_LOAD, body, 4 + n);
	}
}

static uint32_t board_crc(uint32_t len, const uint32_t what[3])
{
	uint8_t body[16];

	hd_put32(body, len);
	for (int i = 0; i < 3; i++)
		hd_put32(body + 4 + 4 * i, what[i]);
	return command(PARITY_RUN, body, sizeof body);
}

/* --- networks --------------------------------------------------------------------------------- */

static bool is_kind(const struct hd_layer *l, const struct kind *k)
{
	const bool strided = (l->q & 0xff) > 1, dilated = l->q >> 8 > 1 && (l->p & 0xff) > 1;
	const bool padded = l->p >> 8 > 0;

	if (l->op != k->op->op)
		return false;
	switch (k->form) {
	case FORM_PLAIN: return !strided && !dilated && !padded;
	case FORM_PADDED: return padded;
	case FORM_STRIDED: return strided;
	case FORM_DILATED: return dilated;
	case FORM_ANY: break;
	}
	return true;
}

/* Outputs that no add takes any more are not kept. */
static void drop_kept(uint8_t *rows, unsigned n)
{
	uint8_t *kept[HD_LAYERS_MAX];
	unsigned held = 0;

	for (unsigned i = 0; i < n; i++, rows += HD_LAYER_ENTRY) {
		if (rows[0] == HD_OP_ADD)
			held--;
		if (rows[1] == 1)
			kept[held++] = rows;
	}
	while (held > 0)
		kept[--held][1] = 0;
}

/* Make layer `last` the last one.  Returns the new length. */
static uint32_t cut_after(uint8_t *p, unsigned last, uint32_t len)
{
	const struct hd_layer l = t_net_layer(p, last);
	const uint32_t table = HD_IMAGE_HEADER + HD_SCALER_ENTRY * (uint32_t)hd_get16(p + 18);
	const uint32_t begin = table + HD_LAYER_ENTRY * (uint32_t)p[22];
	const uint32_t end = last + 1u < p[22] ? t_net_layer(p, last + 1).constants : len;
	const uint32_t moved = table + HD_LAYER_ENTRY * (last + 1);

	memmove(p + moved, p + begin, end - begin);
	p[22] = (uint8_t)(last + 1);
	drop_kept(p + table, last + 1);
	hd_put16(p + 20, (uint16_t)(l.out_len * l.out_ch));
	hd_put32(p + 4, moved + end - begin);
	if (hn_image_place(p) != moved + end - begin)
		emulator_die(&emulator, "a network cannot be cut");
	return moved + end - begin;
}

/* Raw counts of 16 bits fill the int8 range. */
static void scale(struct hn_rng *rng, uint8_t *p)
{
	uint8_t *e = p + HD_IMAGE_HEADER;

	for (unsigned c = hd_get16(p + 18); c > 0; c--, e += HD_SCALER_ENTRY) {
		hd_put32(e, hn_rng_below(rng, 4000) - 2000u);
		hd_put32(e + 4, (1u << 30) + hn_rng_below(rng, 1u << 30));
		hd_put32(e + 8, (uint32_t)-(int32_t)(7 + hn_rng_below(rng, 2)));
	}
	p[24] = (uint8_t)hn_rng_below(rng, 256);         /* zero point of the input */
}

/* A random network that ends with a layer of this kind.  Returns its length. */
static uint32_t network(struct hn_rng *rng, const struct kind *k)
{
	uint8_t *p = (uint8_t *)image;

	for (int tries = 0; tries < TRIES; tries++) {
		const uint32_t len = t_net_random(rng, p);
		unsigned n = p[22], i;

		for (i = 0; i < n; i++) {
			const struct hd_layer l = t_net_layer(p, i);

			if (is_kind(&l, k) && l.out_len * l.out_ch <= 256)
				break;
		}
		if (i == n || len > IMAGE_MAX)
			continue;
		scale(rng, p);
		return cut_after(p, i, len);
	}
	fprintf(stderr, "parity: no random network has %s%s\n", k->op->name, form_names[k->form]);
	emulator_die(&emulator, "tests/unit/t_hd_random.c lacks a layer");
}

/* --- comparing -------------------------------------------------------------------------------- */

static void look_closer(const struct hd_net *net, uint32_t len, const uint32_t what[3],
                        struct kind *k)
{
	for (uint32_t i = 0; i < what[2]; i++) {
		const uint32_t one[3] = { what[0], what[1] + i, 1 };
		const uint32_t here = parity_crc(net, one, input, (uint8_t *)arena);
		const uint32_t there = board_crc(len, one);

		if (here == there)
			continue;
		if (k->differences++ == 0)
			printf("%s%s: window %u of seed %u differs (crc %08x here, %08x there); arch %08x\n",
			       k->op->name, form_names[k->form], one[1], one[0], here, there, net->arch);
	}
}

static void compare(struct hn_rng *rng, struct kind *k)
{
	const uint32_t seed = (uint32_t)hn_rng_u64(rng), len = network(rng, k);
	struct hd_net net;

	if (hd_net_check(&net, (const uint8_t *)image, len) != HD_OK)
		emulator_die(&emulator, "a network does not open");
	load(len);
	for (uint32_t at = 0; at < WINDOWS / NETS; at += BATCH) {
		const uint32_t what[3] = { seed, at, BATCH };

		k->windows += BATCH;
		if (parity_crc(&net, what, input, (uint8_t *)arena) != board_crc(len, what))
			look_closer(&net, len, what, k);
	}
}

static unsigned list_kinds(struct kind *k)
{
	unsigned n = 0;

	for (unsigned i = 0; i < hd_n_kinds; i++) {
		const bool conv = hd_kinds[i]->op == HD_OP_CONV1D || hd_kinds[i]->op == HD_OP_DWCONV1D;

		for (int form = conv ? FORM_PLAIN : FORM_ANY; form <= (conv ? FORM_DILATED : FORM_ANY); form++)
			k[n++] = (struct kind){ .op = hd_kinds[i], .form = (enum form)form };
	}
	return n;
}

static uint32_t run(const struct emulator_board *board, const char *firmware, FILE *f)
{
	struct kind kinds[KINDS_MAX];
	const unsigned n = list_kinds(kinds);
	uint32_t differences = 0;
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED);
	hd_rx_init(&rx);
	emulator = (struct emulator){ .board = board, .fd = -1 };
	emulator_start(&emulator, firmware, "parity", NULL, false);
	for (unsigned i = 0; i < n; i++) {
		for (int j = 0; j < NETS; j++)
			compare(&rng, &kinds[i]);
		printf("%-9s %s%s: %u windows, %u differ\n", board->core, kinds[i].op->name,
		       form_names[kinds[i].form], kinds[i].windows, kinds[i].differences);
		fprintf(f, "%s\n  {\"core\": \"%s\", \"kind\": \"%s%s\", \"windows\": %u, \"differences\": %u}",
		        ftell(f) > 20 ? "," : "", board->core, kinds[i].op->name, form_names[kinds[i].form],
		        kinds[i].windows, kinds[i].differences);
		differences += kinds[i].differences;
	}
	emulator_stop(&emulator);
	return differences;
}

int main(int argc, char **argv)
{
	uint32_t differences = 0, boards = 0;
	FILE *f;

	if (argc != 3) {
		fprintf(stderr, "usage: parity_device REPORT FIRMWARE\n");
		return EXIT_FAILURE;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	f = fopen(argv[1], "we");
	if (!f) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	printf("seed %d, %d networks a kind\n", SEED, NETS);
	fprintf(f, "{\"kinds\": [");
	for (int i = 0; i < EMULATOR_BOARDS; i++) {
		if (strcmp(emulator_boards[i].name, "microbit") == 0)    /* 16 KB of RAM */
			continue;
		if (!emulator_has(&emulator_boards[i], argv[2], "parity"))
			continue;
		boards++;
		differences += run(&emulator_boards[i], argv[2], f);
	}
	fprintf(f, "],\n \"boards\": %u, \"differences\": %u}\n", boards, differences);
	if (fclose(f) != 0 || boards == 0)
		return EXIT_FAILURE;
	return differences == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
