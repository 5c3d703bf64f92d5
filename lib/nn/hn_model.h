/* hn_model.h - a version: immutable trained weights with everything needed to run them again.
 *
 * The blob is what the registry stores and addresses by SHA-256; its image part is what a device
 * gets.  Reading treats the bytes as hostile.  Layout, little-endian (as is the host: `weights`
 * borrows from the blob):
 *
 *   0  u32 magic "HNM1"     4  u32 len, multiple of 4     8  u32 CRC-32C over bytes [12, len)
 *  12  u16 format 1        14  u8 task                   15  u8 n_grids, see below
 *  16  u16 in_len          18  u16 in_ch     20  u16 out_n     22  u16 n_ch of the scaler
 *  24  u64 seed
 *  32  f32 in_scale        36  f32 out_scale
 *  40  i8 in_zp            41  i8 out_zp     42  u16 length of the net text
 *  44  u32 n_weights       48  u32 image_len, multiple of 4
 *  52  net text, zero-padded to 4 | f32 mean[n_ch] | f32 std[n_ch]
 *      | n_grids times { f32 scale, i8 zp, u8[3] zero } | f32 weights | image */
#ifndef HN_MODEL_H
#define HN_MODEL_H

#include <stddef.h>
#include <stdint.h>
#include "hn_net.h"
#include "hn_status.h"

enum { HN_NET_TEXT_MAX = 512, HN_MODEL_BLOB_MAX = 8 << 20, HN_CLASSES_MAX = 32 };

/* Input scaler: z = (raw - mean) / std, per channel, in raw counts. */
struct hn_scaler {
	uint16_t n_ch;
	float mean[128], std[128];       /* std > 0 */
};

/* Decoded view; pointers borrow from the blob, which must be 4-byte aligned and outlive it. */
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
	uint8_t        n_grids;          /* layers of the folded net + 1; 0 in versions of old */
	float          grid_scale[HN_NET_LAYERS_MAX + 1];  /* input, output of each folded layer */
	int8_t         grid_zp[HN_NET_LAYERS_MAX + 1];
	const uint8_t *image;            /* (image_len,) hd_image                              */
	uint32_t       image_len;
};

/* Bytes that hn_model_write will produce. */
size_t hn_model_size(const struct hn_model *m);

/* Encode into out (cap,), 4-byte aligned; *len is the blob's length.  Errors: HN_ERANGE. */
hn_status hn_model_write(const struct hn_model *m, uint8_t *out, size_t cap, size_t *len);

/* Check and decode; every length, the CRC, finiteness of the weights, and the image by
 * hd_net_check; the net text must parse and agree with the number of weights and the image's
 * shapes.  Errors: HN_EFORMAT, HN_ENUMERIC with the place in `err`. */
hn_status hn_model_read(struct hn_model *m, const uint8_t *blob, size_t len, struct hn_err *err);
#endif
