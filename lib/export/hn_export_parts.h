/* hn_export_parts.h - private to lib/export: what both writers need of a net. */
#ifndef HN_EXPORT_PARTS_H
#define HN_EXPORT_PARTS_H

#include "hd_image.h"
#include "hn_export.h"
#include "hn_layer.h"

/* Frames that one output frame of a convolution or pool sees. */
struct hn_window { int32_t kernel, stride, dilation, pad_front, pad_back; bool same; };
struct hn_window hn_window_of(const struct hn_layer *l);

/* The image's layers beside those of the net. */
struct hn_image_walk {
	const struct hn_export *x;
	struct hd_net net;
	const struct hd_layer *layer;    /* of the last hn_image_next                          */
	const uint8_t *constants;        /* its                                                */
	unsigned next;
};
hn_status hn_image_start(struct hn_image_walk *w, const struct hn_export *x, struct hn_err *err);

/* Go to the image's row of net layer i, which does not skip.  Errors: HN_EINVAL. */
hn_status hn_image_next(struct hn_image_walk *w, unsigned i, struct hn_err *err);

/* Constants of a product (dense, conv1d) in the image. */
struct hn_product8 {
	size_t row, out;                 /* weights an output channel, channels                */
	const uint8_t *bias, *mult;      /* (out,) i32 little-endian                           */
	const uint8_t *shift;            /* (out,) i8                                          */
	const uint8_t *w;                /* (out, row) i8                                      */
};
struct hn_product8 hn_product8_of(const struct hn_image_walk *w, size_t row);

/* Scale of channel o's weights in layer i: with the grids around it, it gives the multiplier
 * of the image.  Errors: HN_ENUMERIC when it does not. */
hn_status hn_product8_scale(const struct hn_image_walk *w, unsigned i, size_t o, float *scale,
                            struct hn_err *err);

/* The note that goes along: task, and the scaler when there is one. */
enum { HN_NOTE_MAX = 8192 };
size_t hn_note_text(const struct hn_export *x, char *out, size_t cap);

hn_status hn_tflite_write(const struct hn_export *x, struct hn_bytes out, size_t *len,
                          struct hn_err *err);
hn_status hn_onnx_write(const struct hn_export *x, struct hn_bytes out, size_t *len,
                        struct hn_err *err);
#endif
