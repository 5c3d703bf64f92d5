#include "hn_pb.h"

#include <string.h>

/* --- writing -------------------------------------------------------------------------------- */

static void put(struct hn_pb_writer *w, const uint8_t *p, size_t n)
{
	if (w->full || (w->p && n > w->cap - w->len)) {
		w->full = true;
		return;
	}
	if (w->p && p)
		memcpy(w->p + w->len, p, n);
	w->len += n;
}

static size_t encode(uint64_t v, uint8_t out[10])
{
	size_t n = 0;

	do {
		out[n] = (uint8_t)(v & 127);
		v >>= 7;
		if (v)
			out[n] |= 128;
		n++;
	} while (v);
	return n;
}

static void varint(struct hn_pb_writer *w, uint64_t v)
{
	uint8_t b[10];

	put(w, b, encode(v, b));
}

static void tag(struct hn_pb_writer *w, unsigned field, enum hn_pb_kind kind)
{
	varint(w, (uint64_t)field << 3 | kind);
}

void hn_pb_int(struct hn_pb_writer *w, unsigned field, int64_t v)
{
	tag(w, field, HN_PB_VARINT);
	varint(w, (uint64_t)v);
}

void hn_pb_f32(struct hn_pb_writer *w, unsigned field, float v)
{
	uint8_t b[4];

	memcpy(b, &v, sizeof b);
	tag(w, field, HN_PB_32);
	put(w, b, sizeof b);
}

uint8_t *hn_pb_room(struct hn_pb_writer *w, unsigned field, size_t n)
{
	tag(w, field, HN_PB_BYTES);
	varint(w, n);
	put(w, NULL, n);
	return w->p && !w->full ? w->p + w->len - n : NULL;
}

void hn_pb_bytes(struct hn_pb_writer *w, unsigned field, const void *p, size_t n)
{
	uint8_t *to = hn_pb_room(w, field, n);

	if (to && n)
		memcpy(to, p, n);
}

void hn_pb_text(struct hn_pb_writer *w, unsigned field, const char *text)
{
	hn_pb_bytes(w, field, text, strlen(text));
}

size_t hn_pb_begin(struct hn_pb_writer *w, unsigned field)
{
	tag(w, field, HN_PB_BYTES);
	return w->len;
}

/* The length goes before what was written: that moves up. */
void hn_pb_end(struct hn_pb_writer *w, size_t mark)
{
	uint8_t b[10];
	const size_t n = w->len - mark, k = encode(n, b);

	put(w, NULL, k);
	if (!w->p || w->full)
		return;
	memmove(w->p + mark + k, w->p + mark, n);
	memcpy(w->p + mark, b, k);
}

/* --- reading -------------------------------------------------------------------------------- */

static bool take_varint(struct hn_pb *m, uint64_t *v)
{
	uint64_t got = 0;

	for (unsigned i = 0; i < 10 && i < m->len; i++) {
		got |= (uint64_t)(m->p[i] & 127) << (7 * i);
		if (m->p[i] < 128) {
			m->p += i + 1;
			m->len -= i + 1;
			*v = got;
			return true;
		}
	}
	return false;
}

static bool take_fixed(struct hn_pb *m, size_t n, uint64_t *v)
{
	if (m->len < n)
		return false;
	*v = 0;
	for (size_t i = 0; i < n; i++)
		*v |= (uint64_t)m->p[i] << (8 * i);
	m->p += n;
	m->len -= n;
	return true;
}

static bool take_bytes(struct hn_pb *m, struct hn_pb *out)
{
	uint64_t n;

	if (!take_varint(m, &n) || n > m->len)
		return false;
	*out = (struct hn_pb){ m->p, (size_t)n };
	m->p += n;
	m->len -= (size_t)n;
	return true;
}

int hn_pb_next(struct hn_pb *m, struct hn_pb_item *item)
{
	uint64_t key;
	bool good = false;

	if (m->len == 0)
		return 0;
	if (!take_varint(m, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX >> 3)
		return -1;
	*item = (struct hn_pb_item){ .field = (uint32_t)(key >> 3), .kind = (enum hn_pb_kind)(key & 7) };
	switch (item->kind) {
	case HN_PB_VARINT: good = take_varint(m, &item->v); break;
	case HN_PB_64: good = take_fixed(m, 8, &item->v); break;
	case HN_PB_32: good = take_fixed(m, 4, &item->v); break;
	case HN_PB_BYTES: good = take_bytes(m, &item->bytes); break;
	default: break;
	}
	return good ? 1 : -1;
}

int hn_pb_packed(struct hn_pb *m, int64_t *v)
{
	uint64_t got;

	if (m->len == 0)
		return 0;
	if (!take_varint(m, &got))
		return -1;
	*v = (int64_t)got;
	return 1;
}
