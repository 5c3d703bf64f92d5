/* hn_model.h - a version: immutable trained weights with everything needed to run them again.
 *
 * The blob is what the registry stores and addresses by SHA-256; its image part is what a device
 * gets.  Reading treats the bytes as hostile. */
#ifndef HN_MODEL_H
#define HN_MODEL_H

#include <stddef.h>
#include <stdint.h>
#include "hn_status.h"

enum { HN_NET_TEXT_MAX = 512, HN_MODEL_BLOB_MAX = 8 << 20, HN_CLASSES_MAX = 32 };

/* Input scaler: z = (raw - mean) / std, per channel, in raw counts. */
struct hn_scaler {
	uint16_t n_ch;
	float mean[128], std[128];       /* std > 0 */
};

/* Decoded view; pointers borrow from the blob, which must be 4-byte aligned and outlive the view. */
struct hn_model {
	char     net[HN_NET_TEXT_MAX];   /* "dense 32, relu, dense 4": see hn_net.h            */
	uint8_t  task;                   /* enum hn_task in hn_net.h                           */
	uint16_t in_len, in_ch, out_n;
	uint64_t seed;
	struct hn_scaler scaler;
	const float   *weights;          /* (n_weights,) in the order of hn_net's layers       */
	uint32_t       n_weights;
	float          in_scale, out_scale;    /* real value of one int8 step                  */
	int8_t         in_zp, out_zp;
	const uint8_t *image;            /* (image_len,) hd_image                              */
	uint32_t       image_len;
};

/* Bytes that hn_model_write will produce. */
size_t hn_model_size(const struct hn_model *m);

/* Encode into out (cap,), 4-byte aligned; *len is the blob's length.  Errors: HN_ERANGE. */
hn_status hn_model_write(const struct hn_model *m, uint8_t *out, size_t cap, size_t *len);

/* Check and decode; every length, the CRC, finiteness of the weights, and the image by
 * hd_net_open.  Errors: HN_EFORMAT, HN_ENUMERIC with the place in `err`. */
hn_status hn_model_read(struct hn_model *m, const uint8_t *blob, size_t len, struct hn_err *err);
#endif
