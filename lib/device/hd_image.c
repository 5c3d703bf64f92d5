/* Open an image and run it.  Activations live in one arena: each layer reads from one end and
 * writes to the other, so the arena is the largest sum of two neighbours. */
#include "hd_image.h"
#include <string.h>
#include "hd_crc32c.h"
#include "hd_ops.h"

/* hd_rq shifts negative numbers right, which C leaves to the compiler. */
typedef char hd_shifts_are_arithmetic[(-5 >> 1) == -3 ? 1 : -1];

int32_t hd_rq(int32_t x, int32_t mult, int shift)
{
	int32_t high, mask, right = shift > 0 ? 0 : -shift;

	if (shift > 0) {
		int32_t top = INT32_MAX >> shift;

		x = x > top ? INT32_MAX : x < -top - 1 ? INT32_MIN : (int32_t)((uint32_t)x << shift);
	}
	high = (int32_t)(((int64_t)x * mult + ((int64_t)1 << 30)) >> 31);
	mask = (int32_t)(((uint32_t)1 << right) - 1);
	return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0));
}

/* Row i of the layer table; `constants` is left alone. */
static void layer_read(struct hd_layer *l, const uint8_t *table, unsigned i)
{
	const uint8_t *row = table + i * HD_LAYER_ENTRY;

	l->op = row[0];
	l->in_len = hd_load16(row + 4);
	l->in_ch = hd_load16(row + 6);
	l->out_len = hd_load16(row + 8);
	l->out_ch = hd_load16(row + 10);
	l->p = hd_load16(row + 12);
	l->q = hd_load16(row + 14);
}

static uint32_t pad4(uint32_t n)
{
	return (n + 3) & ~(uint32_t)3;
}

/* Arena bytes of a layer's output. */
static uint32_t out_bytes(const struct hd_layer *l)
{
	return pad4((uint32_t)l->out_len * l->out_ch);
}

/* True when layer i writes over its input: it can, and the input is not the caller's. */
static bool stays(const struct hd_op_row *row, unsigned i)
{
	return row->in_place && i > 0;
}

/* 1 <= x <= max */
static bool within(uint32_t x, uint32_t max)
{
	return x - 1 < max;
}

bool hd_scale_ok(uint32_t mult, int shift)
{
	return mult <= INT32_MAX && shift >= HD_SHIFT_MIN && shift <= HD_SHIFT_MAX;
}

uint32_t hd_image_arch(const uint8_t *image)
{
	uint32_t table = HD_IMAGE_HEADER + (uint32_t)HD_SCALER_ENTRY * hd_get16(image + 18);
	uint32_t crc = hd_crc32c(0, image + 16, 8);

	return hd_crc32c(crc, image + table, (size_t)HD_LAYER_ENTRY * image[22]);
}

/* The 28 bytes of the header.  Differences are collected: cheaper than a branch for each. */
static bool header_ok(const uint8_t *image, uint32_t len)
{
	uint32_t in_len, in_ch, wrong;

	if (len < HD_IMAGE_HEADER)
		return false;
	wrong = (hd_load32(image) ^ HD_IMAGE_MAGIC) | (hd_load32(image + 4) ^ len) | (len & 3)
		| image[23] | hd_load32(image + 24) >> 8;        /* rq_mode, reserved */
	in_len = hd_load16(image + 16);
	in_ch = hd_load16(image + 18);
	return wrong == 0 && in_len <= 4096 && in_ch <= 256 && within(in_len * in_ch, HD_VALUES_MAX)
		&& within(hd_load16(image + 20), 256) && within(image[22], HD_LAYERS_MAX)
		&& len >= HD_IMAGE_HEADER + HD_SCALER_ENTRY * in_ch
			  + (uint32_t)HD_LAYER_ENTRY * image[22];
}

static bool scaler_ok(const struct hd_net *n)
{
	const uint8_t *e;

	for (e = n->scaler; e < n->layers; e += HD_SCALER_ENTRY) {
		if (!hd_scale_ok(hd_load32(e + 4), (int)(int32_t)hd_load32(e + 8)))
			return false;
	}
	return true;
}

/* Walk the layers: shapes chain and every constant lies inside.  `*arena` = bytes needed. */
static bool layers_ok(const struct hd_net *n, uint32_t *arena)
{
	uint32_t room = n->len - (uint32_t)(n->constants - n->image), held = 0, took, size;
	uint32_t have = (uint32_t)n->in_len * n->in_ch, wrong;
	const struct hd_op_row *row;
	struct hd_layer l;
	unsigned i;

	l.constants = n->constants;
	*arena = 0;
	for (i = 0; i < n->n_layers; i++) {
		layer_read(&l, n->layers, i);
		row = hd_op_find(l.op);
		wrong = ((uint32_t)l.in_len * l.in_ch ^ have)
			| hd_load32(n->layers + i * HD_LAYER_ENTRY) >> 8;        /* reserved */
		have = (uint32_t)l.out_len * l.out_ch;
		if (!row || wrong != 0 || !within(have, HD_VALUES_MAX))
			return false;
		took = row->check(&l, room);
		if (took == 0)
			return false;
		l.constants += took;
		room -= took;
		size = out_bytes(&l);
		if (i + 1 < n->n_layers && !stays(row, i)) {
			held += size;
			if (held > *arena)
				*arena = held;
			held = size;
		}
	}
	return (room | (have ^ n->out_n)) == 0;
}

hd_status hd_net_open(struct hd_net *net, const uint8_t *image, uint32_t len)
{
	struct hd_net n;
	uint32_t arena;

	if (!header_ok(image, len))
		return HD_EFORMAT;
	n.image = image;
	n.len = len;
	n.arch = hd_load32(image + 8);
	n.arena = hd_load32(image + 12);
	n.in_len = hd_load16(image + 16);
	n.in_ch = hd_load16(image + 18);
	n.out_n = hd_load16(image + 20);
	n.n_layers = image[22];
	n.rq_mode = image[23];
	n.in_zp = (int8_t)image[24];
	n.scaler = image + HD_IMAGE_HEADER;
	n.layers = n.scaler + (uint32_t)HD_SCALER_ENTRY * n.in_ch;
	n.constants = n.layers + (uint32_t)HD_LAYER_ENTRY * n.n_layers;
	if (!scaler_ok(&n) || !layers_ok(&n, &arena))
		return HD_EFORMAT;
	if (n.arch != hd_image_arch(image))
		return HD_EARCH;
	if (n.arena < arena || (n.arena & 3) != 0)
		return HD_ESIZE;
	*net = n;
	return HD_OK;
}

int8_t hd_net_scale(const struct hd_net *net, uint16_t ch, int32_t raw)
{
	const uint8_t *e = net->scaler + (uint32_t)ch * HD_SCALER_ENTRY;
	int32_t x = (int32_t)((uint32_t)raw - hd_load32(e));
	int32_t v = hd_rq(x, (int32_t)hd_load32(e + 4), (int)(int32_t)hd_load32(e + 8));
	int32_t low = -128 - net->in_zp, high = 127 - net->in_zp;

	v = v < low ? low : v > high ? high : v;
	return (int8_t)(v + net->in_zp);
}

void hd_net_run(const struct hd_net *net, const int8_t *in, uint8_t *arena, int8_t *out)
{
	const struct hd_op_row *row;
	const int8_t *x = in;
	struct hd_layer l;
	bool high = false;
	int8_t *y = out;
	unsigned i;

	l.constants = net->constants;
	for (i = 0; i < net->n_layers; i++) {
		layer_read(&l, net->layers, i);
		row = hd_op_find(l.op);
		if (i + 1 == net->n_layers) {
			y = out;
		} else if (!stays(row, i)) {
			y = (int8_t *)arena + (high ? net->arena - out_bytes(&l) : 0);
			high = !high;
		}
		l.constants = row->run(&l, x, y);
		x = y;
	}
}

uint8_t hd_argmax(const int8_t *out, uint16_t n, uint8_t *margin)
{
	int best = out[0], second = -128;
	uint16_t i, at = 0;

	for (i = 1; i < n; i++) {
		if (out[i] > best) {
			second = best;
			best = out[i];
			at = i;
		} else if (out[i] > second) {
			second = out[i];
		}
	}
	*margin = (uint8_t)(best - second);
	return (uint8_t)at;
}
