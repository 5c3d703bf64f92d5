/* t_hd_package.h - small images and packages made by hand for tests of the device library. */
#ifndef T_HD_PACKAGE_H
#define T_HD_PACKAGE_H

#include "hd_image.h"
#include "hd_package.h"
#include "hn_rng.h"

struct t_layer { uint8_t op; uint16_t out; };    /* a LUT keeps the shape: out is not read       */

struct t_image_spec {
	uint16_t in_len, in_ch;
	struct t_layer layer[HD_LAYERS_MAX];     /* ends with op 0                               */
};

enum { T_IMAGE_MAX = 65536, T_PAYLOAD_MAX = T_IMAGE_MAX + 16 * 4096,
       T_PATCH_MAX = 16384 };

/* Random weights, valid everywhere.  out (T_IMAGE_MAX,) 4-byte aligned.  Returns the length. */
uint32_t t_image_build(const struct t_image_spec *spec, uint64_t seed, uint8_t *out);

/* Write the architecture hash again after an edit. */
void t_image_rehash(uint8_t *image);

struct t_package {
	uint8_t header[HD_PACKAGE_HEADER];
	uint8_t payload[T_PAYLOAD_MAX] __attribute__((aligned(4)));
	struct hd_package head;
	uint32_t len;
	uint8_t patch[T_PATCH_MAX];      /* of a delta: head.patch_len bytes are sent, not the payload */
};

extern const uint8_t t_key[HD_KEY_LEN], t_uid[HD_UID_LEN];

/* A package of `version` (model_version = version * 10) with n_vectors self-test vectors. */
void t_package_build(struct t_package *p, const struct t_image_spec *spec, uint32_t version,
                     uint16_t n_vectors);

/* `base` with one weight in `every` moved a little (about: drawn from `seed`), as `version`. */
void t_package_nudge(struct t_package *p, const struct t_package *base, uint32_t version,
                     unsigned every, uint64_t seed);

/* Make a delta of a full package. */
void t_package_delta(struct t_package *p, const struct t_package *base);

/* What is sent behind the header: the payload or the patch. */
const uint8_t *t_wire(const struct t_package *p);
uint32_t t_wire_len(const struct t_package *p);

/* Digest and header again after an edit of the payload or of p->head. */
void t_package_seal(struct t_package *p);
void t_package_sign(struct t_package *p);        /* the header only */
#endif
