/* hn_fb.h - as much of the flatbuffers format as .tflite needs: one forward writer, one reader.
 *
 * Every field of a table is written as four bytes, whatever its type; a reader takes the low bytes
 * of it.  The reader treats the bytes as hostile: a position is an offset from the first byte, 0
 * means that there is nothing, and each access is checked against the length.
 * Source: flatbuffers, "FlatBuffer Internals" (format of tables, vtables and vectors). */
#ifndef HN_FB_H
#define HN_FB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- writing -------------------------------------------------------------------------------- */

struct hn_fb_writer {
	uint8_t *p;                      /* (cap,) zeroed by the caller; NULL = only count     */
	size_t cap, len;
	bool full;                       /* it did not fit; nothing is written any more        */
};

struct hn_fb_value { uint8_t id; uint32_t bits; };       /* a field and what stands in it */

/* A table of `n` fields, ids ascending, at most 15.  Returns its position. */
uint32_t hn_fb_table(struct hn_fb_writer *w, const struct hn_fb_value *f, size_t n);

/* Let the offset field `id` of `table` refer to `target`, which was written later. */
void hn_fb_link(struct hn_fb_writer *w, uint32_t table, uint8_t id, uint32_t target);

/* A vector of n elements of `size` bytes, the first on a multiple of `align`.  elements NULL: they
 * stay zero.  Returns its position. */
struct hn_fb_array { const void *elements; size_t n, size, align; };
uint32_t hn_fb_vector(struct hn_fb_writer *w, const struct hn_fb_array *a);
uint32_t hn_fb_string(struct hn_fb_writer *w, const char *text);

/* Let element i of a vector of offsets refer to `target`. */
void hn_fb_link_at(struct hn_fb_writer *w, uint32_t vector, size_t i, uint32_t target);

/* The first eight bytes: room for the root's offset, and the format's mark (4 letters). */
void hn_fb_begin(struct hn_fb_writer *w, const char *mark);
void hn_fb_root(struct hn_fb_writer *w, uint32_t table);

/* First byte of element i of a vector; NULL when counting or full. */
uint8_t *hn_fb_at(const struct hn_fb_writer *w, uint32_t vector, size_t at);

/* --- reading -------------------------------------------------------------------------------- */

struct hn_fb { const uint8_t *p; size_t len; };
struct hn_fb_span { uint32_t at, n; };   /* position of the first element, number; 0 = none    */

/* Position of the root table; 0: too short or another mark. */
uint32_t hn_fb_open(const struct hn_fb *b, const char *mark);

/* Fields of a table.  A field that is not there gives `normal`; one outside the bytes, too. */
int32_t hn_fb_i32(const struct hn_fb *b, uint32_t table, unsigned id, int32_t normal);
int8_t hn_fb_i8(const struct hn_fb *b, uint32_t table, unsigned id, int8_t normal);
float hn_fb_f32(const struct hn_fb *b, uint32_t table, unsigned id, float normal);
uint32_t hn_fb_sub(const struct hn_fb *b, uint32_t table, unsigned id);

/* A vector of elements of `size` bytes that lies inside the bytes as a whole. */
struct hn_fb_span hn_fb_span(const struct hn_fb *b, uint32_t table, unsigned id, size_t size);

/* Table that element i of a vector of tables refers to; 0 = outside. */
uint32_t hn_fb_element(const struct hn_fb *b, struct hn_fb_span v, uint32_t i);

/* Four bytes of an element that a span covers. */
int32_t hn_fb_i32_at(const struct hn_fb *b, struct hn_fb_span v, uint32_t i);
#endif
