/* Two ends that the layers use in turn; what is kept for an add moves its end inwards. */
#include "hn_place.h"

#include "hd_check.h"

struct place {
	uint8_t *image;
	uint32_t arena, need;            /* placed into; found to be needed                     */
	uint32_t low, high;              /* bytes that kept outputs hold at the two ends        */
	uint32_t held;                   /* of the values at `at`; 0: kept, or the caller's     */
	uint32_t at, more;
	bool up;                         /* the values at `at` lie at the high end              */
	struct { uint32_t size; bool up; } kept[HD_KEPT_MAX];
	uint8_t n_kept;
};

static uint32_t pad4(uint32_t n)
{
	return (n + 3) & ~(uint32_t)3;
}

/* `size` bytes at one end of what the kept outputs leave of the arena. */
static void put(struct place *p, bool up, uint32_t size)
{
	p->up = up;
	p->held = pad4(size);
	p->at = up ? p->arena - p->high - p->held : p->low;
}

/* The end that the values just put lie at moves inwards by `by` bytes, or outwards. */
static void move_end(struct place *p, uint32_t by)
{
	*(p->up ? &p->high : &p->low) += by;
}

/* The output takes the place of the output that was kept last. */
static bool put_add(struct place *p, uint32_t in, uint32_t size)
{
	if (p->n_kept == 0)
		return false;
	p->n_kept--;
	p->up = p->kept[p->n_kept].up;
	move_end(p, 0u - pad4(in));
	put(p, p->up, in);
	p->more = p->at;
	put(p, p->up, size);
	return p->kept[p->n_kept].size == in;
}

/* The output lies at the other end than the input, with the work beside it. */
static void put_other(struct place *p, uint32_t size, uint32_t work)
{
	const uint32_t used = p->low + p->high + p->held;

	put(p, !p->up, size);
	if (work)
		p->more = p->up ? p->at - work : p->at + p->held;
	if (used + p->held + work > p->need)
		p->need = used + p->held + work;
}

static bool keep(struct place *p, uint32_t size, bool last)
{
	if (last || p->n_kept == HD_KEPT_MAX)
		return false;
	p->kept[p->n_kept].size = size;
	p->kept[p->n_kept++].up = p->up;
	move_end(p, p->held);
	p->held = 0;
	return true;
}

static bool place_layer(struct place *p, struct hd_layer *l, bool last)
{
	const struct hd_kind *kind = hd_kind_find(l->op);
	const uint32_t size = last ? 0 : (uint32_t)l->out_len * l->out_ch;

	p->more = 0;
	if (l->op == HD_OP_ADD) {
		if (!put_add(p, (uint32_t)l->in_len * l->in_ch, size))
			return false;
	} else if (last || !kind->in_place || p->held == 0) {
		put_other(p, size, (uint32_t)kind->work * l->out_ch);
	}
	l->at = (uint16_t)(last ? 0 : p->at / 4);
	l->more_at = (uint16_t)(p->more / 4);
	return !l->keep || keep(p, size, last);
}

static struct hd_layer *layer(uint8_t *image, unsigned i)
{
	void *table = image + HD_IMAGE_HEADER + (size_t)HD_SCALER_ENTRY * hd_get16(image + 18);

	return (struct hd_layer *)table + i;
}

static bool place_all(uint8_t *image, uint32_t arena, uint32_t *need)
{
	struct place p = { .image = image, .arena = arena };

	for (unsigned i = 0; i < image[22]; i++)
		if (!place_layer(&p, layer(image, i), i + 1u == image[22]))
			return false;
	*need = p.need;
	return p.n_kept == 0;
}

/* Constants behind each other.  Returns their end, 0 when a shape cannot be. */
static uint32_t place_constants(uint8_t *image)
{
	uint32_t at = (uint32_t)((uint8_t *)layer(image, image[22]) - image);
	uint32_t needs = (image[23] ? HD_NEEDS_ONCE : HD_NEEDS_TWICE) |
	                 (image[25] ? HD_NEEDS_DISTANCE : 0);

	for (unsigned i = 0; i < image[22]; i++) {
		struct hd_layer *l = layer(image, i);
		const struct hd_kind *kind = hd_kind_find(l->op);
		const uint32_t took = kind ? kind->bytes(l) : 0;

		if (took == 0)
			return 0;
		l->constants = at;
		l->rq_mode = image[23];
		needs |= 1u << l->op;
		at += took;
	}
	hd_put16(image + 26, (uint16_t)needs);
	return at;
}

uint32_t hn_image_place(uint8_t *image)
{
	const uint32_t end = place_constants(image);
	uint32_t arena;

	if (end == 0 || !place_all(image, 0, &arena) || !place_all(image, arena, &arena))
		return 0;
	hd_put32(image + 12, arena);
	hd_put32(image + 8, hd_image_arch(image));
	return end;
}
