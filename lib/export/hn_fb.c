/* Writing goes forward: a table, then what it refers to, whose offsets are put in afterwards. */
#include "hn_fb.h"

#include <string.h>
#include "hd_types.h"

/* --- writing -------------------------------------------------------------------------------- */

/* `n` bytes, the byte `lead` further on a multiple of `align`; their position. */
static uint32_t reserve(struct hn_fb_writer *w, size_t n, size_t lead, size_t align)
{
	size_t at = w->len;

	while ((at + lead) % align)
		at++;
	if (at > UINT32_MAX / 4 || n > UINT32_MAX / 4 || (w->p && at + n > w->cap))
		w->full = true;
	else
		w->len = at + n;
	return w->full ? 0 : (uint32_t)at;
}

static void put16(struct hn_fb_writer *w, size_t at, uint16_t v)
{
	if (w->p && !w->full)
		hd_put16(w->p + at, v);
}

static void put32(struct hn_fb_writer *w, size_t at, uint32_t v)
{
	if (w->p && !w->full)
		hd_put32(w->p + at, v);
}

uint32_t hn_fb_table(struct hn_fb_writer *w, const struct hn_fb_value *f, size_t n)
{
	const uint16_t slots = n ? (uint16_t)(f[n - 1].id + 1u) : 0;
	const uint16_t vtable_bytes = (uint16_t)(4 + 2 * slots), bytes = (uint16_t)(4 + 4 * n);
	const uint32_t vtable = reserve(w, vtable_bytes, 0, 2), table = reserve(w, bytes, 0, 4);

	put16(w, vtable, vtable_bytes);
	put16(w, vtable + 2, bytes);
	put32(w, table, table - vtable);
	for (size_t i = 0; i < n; i++) {
		put16(w, vtable + 4 + 2u * f[i].id, (uint16_t)(4 + 4 * i));
		put32(w, table + 4 + 4 * i, f[i].bits);
	}
	return table;
}

void hn_fb_link(struct hn_fb_writer *w, uint32_t table, uint8_t id, uint32_t target)
{
	uint32_t at;

	if (!w->p || w->full)
		return;
	at = table - hd_get32(w->p + table);     /* the vtable */
	at = table + hd_get16(w->p + at + 4 + 2u * id);
	hd_put32(w->p + at, target - at);
}

uint32_t hn_fb_vector(struct hn_fb_writer *w, const struct hn_fb_array *a)
{
	const uint32_t at = reserve(w, 4 + a->n * a->size, 4, a->align < 4 ? 4 : a->align);

	put32(w, at, (uint32_t)a->n);
	if (a->elements && a->n && w->p && !w->full)
		memcpy(w->p + at + 4, a->elements, a->n * a->size);
	return at;
}

uint32_t hn_fb_string(struct hn_fb_writer *w, const char *text)
{
	const size_t n = strlen(text);
	const uint32_t at = hn_fb_vector(w, &(struct hn_fb_array){ text, n, 1, 4 });

	(void)reserve(w, 1, 0, 1);               /* a zero behind it, not counted */
	return at;
}

void hn_fb_link_at(struct hn_fb_writer *w, uint32_t vector, size_t i, uint32_t target)
{
	const uint32_t at = (uint32_t)(vector + 4 + 4 * i);

	put32(w, at, target - at);
}

void hn_fb_begin(struct hn_fb_writer *w, const char *mark)
{
	const uint32_t at = reserve(w, 8, 0, 4);

	if (w->p && !w->full)
		memcpy(w->p + at + 4, mark, 4);
}

void hn_fb_root(struct hn_fb_writer *w, uint32_t table)
{
	put32(w, 0, table);
}

uint8_t *hn_fb_at(const struct hn_fb_writer *w, uint32_t vector, size_t at)
{
	return w->p && !w->full ? w->p + vector + 4 + at : NULL;
}

/* --- reading -------------------------------------------------------------------------------- */

/* `n` bytes at `at` lie inside. */
static bool inside(const struct hn_fb *b, uint64_t at, uint64_t n)
{
	return at <= b->len && n <= b->len - at;
}

/* What the offset at `at` refers to; 0 = outside. */
static uint32_t follow(const struct hn_fb *b, uint32_t at)
{
	uint64_t to;

	if (at == 0 || !inside(b, at, 4))
		return 0;
	to = (uint64_t)at + hd_get32(b->p + at);
	return inside(b, to, 4) ? (uint32_t)to : 0;
}

uint32_t hn_fb_open(const struct hn_fb *b, const char *mark)
{
	uint32_t root;

	if (b->len < 8 || b->len > UINT32_MAX / 4 || memcmp(b->p + 4, mark, 4) != 0)
		return 0;
	root = hd_get32(b->p);
	return root >= 4 && inside(b, root, 4) ? root : 0;
}

/* Position of `size` bytes of a field; 0 = not there. */
static uint32_t field(const struct hn_fb *b, uint32_t table, unsigned id, size_t size)
{
	int64_t vtable;
	uint16_t bytes, at;

	if (table == 0 || !inside(b, table, 4))
		return 0;
	vtable = (int64_t)table - (int32_t)hd_get32(b->p + table);
	if (vtable < 0 || !inside(b, (uint64_t)vtable, 4))
		return 0;
	bytes = hd_get16(b->p + vtable);
	if (4 + 2 * id + 2 > bytes || !inside(b, (uint64_t)vtable, 4 + 2 * id + 2))
		return 0;
	at = hd_get16(b->p + vtable + 4 + 2 * id);
	return at && inside(b, (uint64_t)table + at, size) ? table + at : 0;
}

int32_t hn_fb_i32(const struct hn_fb *b, uint32_t table, unsigned id, int32_t normal)
{
	const uint32_t at = field(b, table, id, 4);

	return at ? (int32_t)hd_get32(b->p + at) : normal;
}

int8_t hn_fb_i8(const struct hn_fb *b, uint32_t table, unsigned id, int8_t normal)
{
	const uint32_t at = field(b, table, id, 1);

	if (at == 0)
		return normal;
	return (int8_t)b->p[at];
}

static float to_f32(uint32_t bits)
{
	float v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

float hn_fb_f32(const struct hn_fb *b, uint32_t table, unsigned id, float normal)
{
	const uint32_t at = field(b, table, id, 4);

	return at ? to_f32(hd_get32(b->p + at)) : normal;
}

uint32_t hn_fb_sub(const struct hn_fb *b, uint32_t table, unsigned id)
{
	return follow(b, field(b, table, id, 4));
}

struct hn_fb_span hn_fb_span(const struct hn_fb *b, uint32_t table, unsigned id, size_t size)
{
	const uint32_t at = hn_fb_sub(b, table, id), n = at ? hd_get32(b->p + at) : 0;

	if (at == 0 || !inside(b, (uint64_t)at + 4, (uint64_t)n * size))
		return (struct hn_fb_span){ 0, 0 };
	return (struct hn_fb_span){ at + 4, n };
}

uint32_t hn_fb_element(const struct hn_fb *b, struct hn_fb_span v, uint32_t i)
{
	return i < v.n ? follow(b, v.at + 4 * i) : 0;
}

int32_t hn_fb_i32_at(const struct hn_fb *b, struct hn_fb_span v, uint32_t i)
{
	return (int32_t)hd_get32(b->p + v.at + 4 * (size_t)i);
}
