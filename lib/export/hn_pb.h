/* hn_pb.h - as much of the protobuf wire format as .onnx needs: a writer, and a reader that treats
 * the bytes as hostile.
 * Source: Protocol Buffers, "Encoding". */
#ifndef HN_PB_H
#define HN_PB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- writing -------------------------------------------------------------------------------- */

struct hn_pb_writer {
	uint8_t *p;                      /* (cap,) NULL = only count                           */
	size_t cap, len;
	bool full;                       /* it did not fit; nothing is written any more        */
};

void hn_pb_int(struct hn_pb_writer *w, unsigned field, int64_t v);
void hn_pb_f32(struct hn_pb_writer *w, unsigned field, float v);
void hn_pb_bytes(struct hn_pb_writer *w, unsigned field, const void *p, size_t n);
void hn_pb_text(struct hn_pb_writer *w, unsigned field, const char *text);

/* `n` bytes for the caller to fill before the next call; NULL when counting or full. */
uint8_t *hn_pb_room(struct hn_pb_writer *w, unsigned field, size_t n);

/* A message inside: what is written between begin and end. */
size_t hn_pb_begin(struct hn_pb_writer *w, unsigned field);
void hn_pb_end(struct hn_pb_writer *w, size_t mark);

/* --- reading -------------------------------------------------------------------------------- */

enum hn_pb_kind { HN_PB_VARINT = 0, HN_PB_64 = 1, HN_PB_BYTES = 2, HN_PB_32 = 5 };

struct hn_pb { const uint8_t *p; size_t len; };          /* what is left of a message          */

struct hn_pb_item {
	uint32_t field;
	enum hn_pb_kind kind;
	uint64_t v;                      /* varint, or the bits of a fixed number              */
	struct hn_pb bytes;              /* of HN_PB_BYTES                                     */
};

/* Next item; 1 = there is one, 0 = end, -1 = malformed. */
int hn_pb_next(struct hn_pb *m, struct hn_pb_item *item);

/* Next number of a packed list of varints; the same results. */
int hn_pb_packed(struct hn_pb *m, int64_t *v);
#endif
