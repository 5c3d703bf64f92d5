/* hd_package.h - the signed package: what is sent to a device, and what its slot keeps.
 *
 * A package is a header and what is sent behind it: the payload, or the differences of the payload
 * from the one in service (hd_delta.h).  A slot holds the header and the whole payload in both
 * cases.  The payload is the image (hd_image.h), then `n_vectors`
 * self-test vectors, each { i8 in[in_len * in_ch], i8 out[out_n] } made by the gateway with the
 * same kernels: a device must reproduce every output bit for bit before it activates the image.
 *
 *   0  u32 magic        "HDP2"
 *   4  u8  key_id       which key the MAC was made with
 *   5  u8  n_vectors    0..HD_VECTORS_MAX
 *   6  u16 vector_len   bytes of one self-test vector
 *   8  u8  uid[8]       device, or all zero for a group package
 *  16  u32 arch         architecture hash of the image
 *  20  u32 version      monotonic per device; must be above the device's floor
 *  24  u32 model_version   number of the model version inside, for people and telemetry
 *  28  u8  digest[32]   SHA-256 of the payload, for a delta that of the result
 *  60  u8  base[4]      deltas: first bytes of the base payload's digest; zero when full
 *  64  u32 patch_len    deltas: bytes of the patch; 0 = full: the payload is sent
 *  68  u32 image_len    bytes of the image, a multiple of 4
 *  72  u32 payload_len  image_len + n_vectors * vector_len
 *  76  u32 arena        bytes that an inference takes: activations, and one set of outputs
 *  80  u32 ops          what a firmware must have: `needs` of the image (hd_image.h)
 *  84  u8  reserved[8]  zero
 *  92  u8  mac[32]      HMAC-SHA256 over bytes [0, 92) under the device's key
 * 124  u32 crc          CRC-32C over bytes [0, 124) */
#ifndef HD_PACKAGE_H
#define HD_PACKAGE_H

#include "hd_types.h"

#define HD_PACKAGE_MAGIC 0x32504448u /* "HDP2" */

enum {
	HD_PACKAGE_HEADER = 128, HD_PACKAGE_SIGNED = 92, HD_UID_LEN = 8, HD_DIGEST_LEN = 32,
	HD_KEY_LEN = 32, HD_BASE_LEN = 4, HD_VECTORS_MAX = 16
};

/* Offsets of the fields above. */
enum {
	HD_AT_MAGIC = 0, HD_AT_KEY_ID = 4, HD_AT_N_VECTORS = 5, HD_AT_VECTOR_LEN = 6, HD_AT_UID = 8,
	HD_AT_ARCH = 16, HD_AT_VERSION = 20, HD_AT_MODEL = 24, HD_AT_DIGEST = 28, HD_AT_BASE = 60,
	HD_AT_PATCH_LEN = 64, HD_AT_IMAGE_LEN = 68, HD_AT_PAYLOAD_LEN = 72, HD_AT_ARENA = 76,
	HD_AT_OPS = 80, HD_AT_MAC = 92, HD_AT_CRC = 124
};

struct hd_package {
	uint8_t  key_id;
	uint8_t  uid[HD_UID_LEN];
	uint32_t arch, version, model_version, image_len, payload_len;
	uint32_t patch_len;              /* 0 = full                                           */
	uint32_t arena, ops;
	uint16_t n_vectors, vector_len;
	uint8_t  base[HD_BASE_LEN];
	uint8_t  digest[HD_DIGEST_LEN];
	uint8_t  mac[HD_DIGEST_LEN];
};

/* Is this a header, and does its payload fit into a slot?  Who made it is not asked, and what
 * only the gateway's mistake could be is not looked for.  `raw` is 4-byte aligned.
 * Errors: HD_EFORMAT (magic, CRC), HD_ESIZE. */
hd_status hd_package_check(const uint8_t raw[HD_PACKAGE_HEADER], uint32_t slot_bytes);

/* Decode a header.  Errors: HD_EFORMAT (magic, CRC, lengths that do not add up). */
hd_status hd_package_read(struct hd_package *p, const uint8_t raw[HD_PACKAGE_HEADER]);

/* Encode a header: fills the MAC (HMAC-SHA256 under `key`) and the CRC; p->mac is not read. */
void hd_package_write(const struct hd_package *p, const uint8_t key[HD_KEY_LEN],
                      uint8_t raw[HD_PACKAGE_HEADER]);

/* Constant-time check of the MAC.  Errors: HD_EAUTH. */
hd_status hd_package_auth(const uint8_t raw[HD_PACKAGE_HEADER], const uint8_t key[HD_KEY_LEN]);
#endif
