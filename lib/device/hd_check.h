/* hd_check.h - is an image right?  Everything that a device takes on trust (docs/decisions/021).
 *
 * For the gateway: before an image is run, signed or written, and for whatever reads one from
 * outside.  A firmware does not need this file; one that takes images from elsewhere than an
 * authentic package may link it. */
#ifndef HD_CHECK_H
#define HD_CHECK_H

#include "hd_image.h"

/* Check `len` bytes at `image` completely and open it: magic, sizes, shapes that chain, where
 * everything lies (constants in the image, outputs in the arena, nothing on what is still needed),
 * every constant's range, the architecture hash.  `*net` is untouched on error.  `image` must be
 * 4-byte aligned.  Errors: HD_EFORMAT, HD_EARCH (hash), HD_ESIZE (something lies outside the arena,
 * or its size is not a multiple of 4).  Cost: O(layers + their outputs); weights are not read. */
hd_status hd_net_check(struct hd_net *net, const uint8_t *image, uint32_t len);

/* CRC-32C over everything that fixes the shape of the computation: bytes 16..23 of the header,
 * then the layer table.  Weights, scaler and zero points do not enter. */
uint32_t hd_image_arch(const uint8_t *image);

/* What can be said of a kind of layer without running it. */
struct hd_kind {
	uint8_t op;              /* enum hd_op                                                 */
	bool in_place;           /* the output may overwrite the input                         */
	uint8_t work;            /* bytes of work for each output channel, a multiple of 4     */
	const char *name;
	/* Bytes of constants of this shape, a multiple of 4; 0 when it cannot be.  in_len * in_ch
	 * and out_len * out_ch are at most HD_VALUES_MAX. */
	uint32_t (*bytes)(const struct hd_layer *l);
	/* Is every constant in its range? */
	bool (*ok)(const struct hd_layer *l, const uint8_t *constants);
};

/* By op number or NULL.  For loops over all: hd_kinds[0 .. hd_n_kinds). */
const struct hd_kind *hd_kind_find(uint8_t op);

extern const struct hd_kind *const hd_kinds[];
extern const uint8_t hd_n_kinds;
extern const struct hd_kind hd_dense_kind, hd_lut_kind, hd_conv1d_kind, hd_dwconv1d_kind,
	hd_max_pool_kind, hd_avg_pool_kind, hd_add_kind, hd_gru_kind, hd_softmax_kind;

/* May hd_rescale have these? */
bool hd_scale_ok(uint32_t mult, int shift);
#endif
