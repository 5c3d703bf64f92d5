/* Test vectors of the layers that the image in vectors/package.txt has none of
 * (docs/package-format.md).
 *
 * The image is made by hand, so that its bytes do not depend on the floats of a quantiser.  The
 * committed file must be what is made here; after a wanted change:
 * check_vectors_layers --write tests/golden/vectors/layers.txt */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_check.h"
#include "hn_place.h"
#include "hn_rng.h"
#include "t_run.h"

enum { IMAGE_MAX = 8192, VECTORS = 3, LINE_BYTES = 32, LINE_NUMBERS = 16 };
enum { LEN = 16, CH = 2, OUT = 4 };

/* Shapes chain; p and q as in the layer table. */
struct row { uint8_t op, keep; uint16_t in_len, in_ch, out_len, out_ch, p, q; };

static const struct row rows_conv[] = {
	{ HD_OP_CONV1D,   0, LEN, CH, 8, 4, 3 | 1 << 8, 2 | 1 << 8 },    /* kernel 3, pad 1, stride 2 */
	{ HD_OP_MAX_POOL, 0, 8, 4, 4, 4, 2, 2 },
	{ HD_OP_CONV1D,   0, 4, 4, 4, 3, 2 | 1 << 8, 1 | 2 << 8 },       /* kernel 2, pad 1, dilation 2 */
	{ HD_OP_AVG_POOL, 0, 4, 3, 3, 3, 2, 1 },
	{ HD_OP_DENSE,    0, 1, 9, 1, OUT, 1, 1 | 1 << 8 },           /* takes 3 x 3 as they lie */
	{ 0, 0, 0, 0, 0, 0, 0, 0 }
};

/* The first output is kept over both that follow. */
static const struct row rows_residual[] = {
	{ HD_OP_CONV1D,   1, LEN, CH, 8, 4, 3 | 1 << 8, 2 | 1 << 8 },
	{ HD_OP_DWCONV1D, 0, 8, 4, 8, 4, 3 | 2 << 8, 1 | 2 << 8 },       /* kernel 3, pad 2, dilation 2 */
	{ HD_OP_LUT,      0, 8, 4, 8, 4, 0, 0 },
	{ HD_OP_ADD,      0, 8, 4, 8, 4, 0, 0 },
	{ HD_OP_DENSE,    0, 1, 32, 1, OUT, 1, 1 | 1 << 8 },
	{ HD_OP_SOFTMAX,  0, 1, OUT, 1, OUT, 0, 0 },
	{ 0, 0, 0, 0, 0, 0, 0, 0 }
};

static const struct row rows_gru[] = {
	{ HD_OP_GRU,      0, LEN, CH, LEN, 5, 1, 0 },                    /* all states */
	{ HD_OP_GRU,      0, LEN, 5, 1, 3, 0, 0 },                       /* the last one */
	{ HD_OP_DENSE,    0, 1, 3, 1, OUT, 1, 1 | 1 << 8 },
	{ 0, 0, 0, 0, 0, 0, 0, 0 }
};

/* Seeds apart, so that a new image changes none of the others. */
static const struct { const char *what; const struct row *rows; uint64_t seed; uint8_t rq_mode; }
images[] = {
	{ "conv1d (kernel 3, pad 1, stride 2), max pool 2,\n"
	  "# conv1d (kernel 2, pad 1, dilation 2), average pool 2, dense on 16 frames of 2 channels.\n",
	  rows_conv, 2026, 0 },
	{ "conv1d (kernel 3, pad 1, stride 2) that is kept,\n"
	  "# depthwise conv1d (kernel 3, pad 2, dilation 2), table, add, dense, softmax.\n",
	  rows_residual, 2027, 0 },
	{ "gru of 5 units (all states), gru of 3 (the last), dense.\n", rows_gru, 2028, 0 },
	{ "the second image, rounding once.\n", rows_residual, 2027, 1 },
	{ "the third image, rounding once.\n", rows_gru, 2028, 1 },
};
enum { N_IMAGES = sizeof images / sizeof images[0] };

static uint8_t image[IMAGE_MAX] __attribute__((aligned(4)));

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "check_vectors_layers: %s\n", what);
	abort();
}

static uint32_t pad4(uint32_t n)
{
	return (n + 3) & ~(uint32_t)3;
}

/* Constants of a product with `row` weights for each of `out` channels. */
static uint8_t *put_product(struct hn_rng *rng, uint8_t *p, uint32_t row, uint32_t out)
{
	uint8_t *shift = p + 4 + 8 * out, *w = shift + pad4(out);

	p[0] = (uint8_t)((int)hn_rng_below(rng, 21) - 10);
	p[1] = (uint8_t)((int)hn_rng_below(rng, 21) - 10);
	p[2] = (uint8_t)-100;
	p[3] = 110;
	for (uint32_t o = 0; o < out; o++) {
		hd_put32(p + 4 + 4 * o, hn_rng_below(rng, 2001) - 1000);
		hd_put32(p + 4 + 4 * out + 4 * o, (1u << 30) + hn_rng_below(rng, 1u << 30));
		shift[o] = (uint8_t)(-7 - (int)hn_rng_below(rng, 2));
	}
	for (uint32_t i = 0; i < row * out; i++)
		w[i] = (uint8_t)((int)hn_rng_below(rng, 255) - 127);
	return w + pad4(row * out);
}

static uint8_t *put_add(struct hn_rng *rng, uint8_t *p)
{
	for (int i = 0; i < 3; i++) {
		p[i] = (uint8_t)((int)hn_rng_below(rng, 21) - 10);
		hd_put32(p + 8 + 4 * i, (1u << 30) + hn_rng_below(rng, 1u << 30));
		p[20 + i] = (uint8_t)(i < 2 ? -(int)hn_rng_below(rng, 2) : -18);
	}
	p[4] = (uint8_t)-100;
	p[5] = 110;
	return p + 24;
}

/* The sums reach over a few units; the table needs nothing that rounds otherwise elsewhere. */
static uint8_t *put_gru(struct hn_rng *rng, uint8_t *p, uint32_t in, uint32_t units)
{
	uint8_t *state = put_product(rng, p, in, 3 * units);
	uint8_t *end = put_product(rng, state, units, 3 * units);

	memset(p + 1, 0, 3);
	memset(state, 0, 4);
	for (uint32_t o = 0; o < 3 * units; o++) {
		p[4 + 24 * units + o] = 0;
		state[4 + 24 * units + o] = (uint8_t)-8;
	}
	for (uint32_t i = 0; i <= 128; i++)      /* 1 - (1 - i / 128)^2 */
		hd_put16(end + 2 * i, (uint16_t)(i * (256 - i) * 2 - (i == 128)));
	return end + 260;
}

/* Falls by an eighth with each step. */
static uint8_t *put_softmax(uint8_t *p)
{
	uint32_t v = INT32_MAX;

	for (int i = 0; i < 256; i++, v -= v >> 3)
		hd_put32(p + 4 * i, v);
	return p + 1024;
}

static uint8_t *put_layer(struct hn_rng *rng, const struct row *r, uint8_t *entry, uint8_t *p)
{
	const uint16_t field[] = { r->in_len, r->in_ch, r->out_len, r->out_ch, r->p, r->q };

	entry[0] = r->op;
	entry[1] = r->keep;
	for (size_t i = 0; i < sizeof field / sizeof field[0]; i++)
		hd_put16(entry + 4 + 2 * i, field[i]);
	switch (r->op) {
	case HD_OP_CONV1D:
		return put_product(rng, p, (r->p & 255u) * r->in_ch, r->out_ch);
	case HD_OP_DWCONV1D:
		return put_product(rng, p, r->p & 255u, r->out_ch);
	case HD_OP_DENSE:
		return put_product(rng, p, (uint32_t)r->in_len * r->in_ch, r->out_ch);
	case HD_OP_ADD:
		return put_add(rng, p);
	case HD_OP_GRU:
		return put_gru(rng, p, r->in_ch, r->out_ch);
	case HD_OP_SOFTMAX:
		return put_softmax(p);
	case HD_OP_LUT:
		for (int i = 0; i < 256; i++)
			p[i] = (uint8_t)(i * i);
		return p + 256;
	default:
		p[0] = (uint8_t)-90;
		p[1] = 90;
		return p + 4;
	}
}

static uint32_t make_image(struct hn_rng *rng, const struct row *rows, uint8_t rq_mode)
{
	uint8_t *entry = image + HD_IMAGE_HEADER + HD_SCALER_ENTRY * CH, *p;
	uint8_t n = 0;

	while (rows[n].op)
		n++;
	p = entry + n * HD_LAYER_ENTRY;
	memset(image, 0, sizeof image);
	for (int i = 0; i < n; i++, entry += HD_LAYER_ENTRY)
		p = put_layer(rng, &rows[i], entry, p);
	hd_put32(image, HD_IMAGE_MAGIC);
	hd_put32(image + 4, (uint32_t)(p - image));
	hd_put16(image + 16, LEN);
	hd_put16(image + 18, CH);
	hd_put16(image + 20, OUT);
	image[22] = n;
	image[23] = rq_mode;
	for (int c = 0; c < CH; c++) {   /* scale 1 / 16 */
		uint8_t *e = image + HD_IMAGE_HEADER + HD_SCALER_ENTRY * c;

		hd_put32(e + 4, 1u << 30);
		hd_put32(e + 8, (uint32_t)-3);
	}
	must(hn_image_place(image) == (uint32_t)(p - image), "the table is not valid");
	return (uint32_t)(p - image);
}

static void put_numbers(FILE *out, const char *name, const int8_t *v, int n)
{
	fprintf(out, "%s =", name);
	for (int i = 0; i < n; i++)
		fprintf(out, "%s%d", i % LINE_NUMBERS ? " " : n > LINE_NUMBERS ? "\n  " : " ", v[i]);
	fputc('\n', out);
}

static void write_image(FILE *out, int at)
{
	int8_t in[LEN * CH], y[OUT];
	uint8_t arena[256] __attribute__((aligned(4)));
	struct hn_rng rng;
	struct hd_net net;
	uint32_t len;

	hn_rng_seed(&rng, images[at].seed);
	len = make_image(&rng, images[at].rows, images[at].rq_mode);
	must(hd_net_check(&net, image, len) == HD_OK, "the image is not valid");
	must(net.arena <= sizeof arena, "the arena is too large");
	fprintf(out, "%s# docs/package-format.md: %s# Bytes are hexadecimal.\n", at ? "\n" : "",
	        images[at].what);
	fputs("image =", out);
	for (uint32_t i = 0; i < len; i++)
		fprintf(out, "%s%02x", i % LINE_BYTES ? "" : "\n  ", image[i]);
	fputs("\n# int8 inputs, 16 frames of 2 channels, and outputs\n", out);
	for (int k = 0; k < VECTORS; k++) {
		for (int i = 0; i < LEN * CH; i++)
			in[i] = (int8_t)((int)hn_rng_below(&rng, 256) - 128);
		hd_net_run(&net, in, arena, y);
		put_numbers(out, "input", in, LEN * CH);
		put_numbers(out, "output", y, OUT);
	}
}

static void write_layers(FILE *out)
{
	for (int i = 0; i < N_IMAGES; i++)
		write_image(out, i);
}

START_TEST(the_layers_give_the_committed_numbers)
{
	FILE *committed = fopen("tests/golden/vectors/layers.txt", "r");
	char *text = NULL, line[256];
	const char *at;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int n = 0;

	ck_assert_msg(committed != NULL, "run it from the root of the tree");
	write_layers(out);
	(void)fclose(out);
	for (at = text; fgets(line, sizeof line, committed); at += strlen(line), n++)
		ck_assert_msg(strncmp(at, line, strlen(line)) == 0, "line %d differs", n + 1);
	ck_assert_msg(*at == '\0', "the file ends too early");
	(void)fclose(committed);
	free(text);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s = suite_create("vectors_layers");
	TCase *t = tcase_create("vectors_layers");

	if (argc == 3 && strcmp(argv[1], "--write") == 0) {
		FILE *f = fopen(argv[2], "w");

		must(f != NULL, argv[2]);
		write_layers(f);
		return fclose(f) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	tcase_add_test(t, the_layers_give_the_committed_numbers);
	suite_add_tcase(s, t);
	return t_run(s);
}
