/* hn_export.h - a net as .onnx or .tflite, float or int8, for other runtimes.
 *
 * The int8 form carries the numbers of the device's image: weights and biases are copied from it,
 * and the scales written beside them give each multiplier of the image to the bit (checked; a net
 * for which that does not hold is refused).  .onnx says the same with QuantizeLinear and
 * DequantizeLinear (QDQ).
 * Source: TFLite schema version 3 and quantisation specification; ONNX IR 8, opset 13. */
#ifndef HN_EXPORT_H
#define HN_EXPORT_H

#include "hn_model.h"
#include "hn_net.h"
#include "hn_quant.h"

enum hn_format { HN_FORMAT_ONNX = 0, HN_FORMAT_TFLITE = 1 };

struct hn_export {
	enum hn_format format;
	const struct hn_net *net;
	const float *weights;            /* (n_weights,)                                       */
	const struct hn_scaler *scaler;  /* goes along as a note; NULL = none                  */
	/* int8: all three, else image NULL */
	const struct hn_calib *calib;
	const uint8_t *image;            /* (image_len,) 4-byte aligned, of this net           */
	uint32_t image_len;
};

/* "onnx" and "tflite"; HN_ENOENT for another name. */
hn_status hn_format_find(const char *name, enum hn_format *format);

/* Write into out (cap,); out.p NULL only counts.  *len = bytes.
 * Errors, with the layer in `err`: HN_EINVAL (the format has no such operator, or the image is not
 * one of this net), HN_ENUMERIC (a multiplier that float scales do not give), HN_ENOMEM (cap). */
hn_status hn_export_write(const struct hn_export *x, struct hn_bytes out, size_t *len,
                          struct hn_err *err);
#endif
