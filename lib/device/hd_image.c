/* Open an image and run it.  Activations live in one arena: each layer reads from one end and
 * writes to the other.  What is kept for an add stays at its end, which moves inwards. */
#include "hd_image.h"
#include <string.h>
#include "hd_crc32c.h"
#include "hd_ops.h"

/* The numbers of a net lie in its image just so. */
typedef char hd_net_is_laid_out_as_its_image
	[offsetof(struct hd_net, in_zp) - offsetof(struct hd_net, len) == 20 ? 1 : -1];

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

static uint32_t pad4(uint32_t n)
{
	return (n + 3) & ~(uint32_t)3;
}

/* `size` bytes at one end of what the kept outputs leave of the arena. */
static void put(struct hd_walk *w, bool up, uint32_t size)
{
	w->up = up;
	w->held = pad4(size);
	w->at = up ? w->arena - w->high - w->held : w->low;
}

/* The end that the values just put lie at moves inwards by `by` bytes, or outwards. */
static void move_end(struct hd_walk *w, uint32_t by)
{
	*(w->up ? &w->high : &w->low) += by;
}

/* The output takes the place of the output that was kept last. */
static bool put_add(struct hd_walk *w, uint32_t size)
{
	uint32_t kept = w->n_kept > 0 ? w->kept[--w->n_kept] : 0;

	w->up = (kept & 1) != 0;
	move_end(w, (uint32_t)0 - pad4(kept >> 1));
	put(w, w->up, size);
	w->kept_at = w->at;
	return kept >> 1 == size;
}

/* The output lies at the other end than the input, with the work beside it. */
static void put_other(struct hd_walk *w, uint32_t size)
{
	uint32_t work = HD_KEEPS ? w->op->work * (uint32_t)w->l.out_ch : 0;
	uint32_t used = w->low + w->high + w->held;

	put(w, !w->up, size);
	if (HD_KEEPS)
		w->work_at = w->up ? w->at - work : w->at + w->held;
	w->tight |= used + w->held + work > w->arena;
}

bool hd_walk_next(struct hd_walk *w)
{
	const uint8_t *row = w->row;
	uint32_t size;
	bool keep = HD_KEEPS && row[1] != 0, fits = true;

	w->l.op = row[0];
	memcpy(&w->l.in_len, row + 4, HD_LAYER_ENTRY - 4);
	w->row += HD_LAYER_ENTRY;
	w->op = hd_op_find(w->l.op);
	if (!w->op || hd_load32(row) >> (8 + HD_KEEPS) != 0)
		return false;
	w->last = --w->left == 0;
	size = w->last ? 0 : (uint32_t)w->l.out_len * w->l.out_ch;
	if (HD_KEEPS && w->l.op == HD_OP_ADD)
		fits = put_add(w, (uint32_t)w->l.in_len * w->l.in_ch);
	else if (w->last || !w->op->in_place || w->held == 0)
		put_other(w, size);
	if (keep) {
		fits = fits && !w->last && w->n_kept < HD_KEPT_MAX;
		if (fits)
			w->kept[w->n_kept++] = (uint16_t)(size << 1 | w->up);
		move_end(w, w->held);
		w->held = 0;
	}
	return fits;
}

void hd_walk_begin(struct hd_walk *w, const struct hd_net *n)
{
	memset(w, 0, sizeof *w);
	w->arena = n->arena;
	w->row = n->layers;
	w->left = n->n_layers;
	w->l.constants = n->constants;
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
static bool header_ok(const struct hd_net *n, uint32_t len)
{
	const uint8_t *image = n->image;
	uint32_t wrong = (hd_load32(image) ^ HD_IMAGE_MAGIC) | (n->len ^ len) | (len & 3) | n->rq_mode
		| hd_load32(image + 24) >> 8;    /* reserved */

	return wrong == 0 && n->in_len <= 4096 && n->in_ch <= 256
		&& within((uint32_t)n->in_len * n->in_ch, HD_VALUES_MAX) && within(n->out_n, 256)
		&& within(n->n_layers, HD_LAYERS_MAX)
		&& (uint32_t)(n->constants - image) <= len;
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

/* Walk the layers: shapes chain and every constant lies inside.  `*tight`: too small an arena. */
static bool layers_ok(const struct hd_net *n, bool *tight)
{
	uint32_t room = n->len - (uint32_t)(n->constants - n->image), took;
	uint32_t have = (uint32_t)n->in_len * n->in_ch, wrong;
	struct hd_walk w;

	hd_walk_begin(&w, n);
	do {
		if (!hd_walk_next(&w))
			return false;
		wrong = (uint32_t)w.l.in_len * w.l.in_ch ^ have;
		have = (uint32_t)w.l.out_len * w.l.out_ch;
		if (wrong != 0 || !within(have, HD_VALUES_MAX))
			return false;
		took = w.op->check(&w.l, room);
		if (took == 0)
			return false;
		w.l.constants += took;
		room -= took;
	} while (!w.last);
	*tight = w.tight;
	return (room | (have ^ n->out_n) | w.n_kept) == 0;
}

hd_status hd_net_open(struct hd_net *net, const uint8_t *image, uint32_t len)
{
	struct hd_net n;
	bool tight;

	if (len < HD_IMAGE_HEADER)
		return HD_EFORMAT;
	n.image = image;
	memcpy(&n.len, image + 4, offsetof(struct hd_net, in_zp) + 1 - offsetof(struct hd_net, len));
	n.scaler = image + HD_IMAGE_HEADER;
	n.layers = n.scaler + (uint32_t)HD_SCALER_ENTRY * n.in_ch;
	n.constants = n.layers + (uint32_t)HD_LAYER_ENTRY * n.n_layers;
	if (!header_ok(&n, len))
		return HD_EFORMAT;
	if (!scaler_ok(&n) || !layers_ok(&n, &tight))
		return HD_EFORMAT;
	if (n.arch != hd_image_arch(image))
		return HD_EARCH;
	if (tight || (n.arena & 3) != 0)
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
	const int8_t *x = in;
	struct hd_walk w;
	int8_t *y;

	hd_walk_begin(&w, net);
	do {
		(void)hd_walk_next(&w);          /* an opened net: it has been here before */
		y = w.last ? out : (int8_t *)arena + w.at;
		w.l.kept = (const int8_t *)arena + w.kept_at;
		w.l.work = (int16_t *)(void *)(arena + w.work_at);
		w.l.constants = w.op->run(&w.l, x, y);
		x = y;
	} while (!w.last);
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
