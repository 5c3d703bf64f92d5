/* hn_package.h - make the signed package of one image for one device. */
#ifndef HN_PACKAGE_H
#define HN_PACKAGE_H

#include <stddef.h>
#include <stdint.h>
#include "hd_package.h"
#include "hn_status.h"

enum { HN_VECTORS = 4 };         /* self-test vectors a package carries */

/* Key of one device: HMAC-SHA256(master, "honed device" uid).  Who dumps one device learns only its
 * own key. */
void hn_device_key(const uint8_t master[HD_KEY_LEN], const uint8_t uid[HD_UID_LEN],
                   uint8_t key[HD_KEY_LEN]);

/* `n` hex digits at `text` to n / 2 bytes.  Errors: HN_EFORMAT (a character that is no hex
 * digit). */
hn_status hn_hex_read(const char *text, size_t n, uint8_t *out);

/* A key file's contents: 32 raw bytes, or 64 hex digits with white space after them.
 * Errors: HN_EFORMAT. */
hn_status hn_key_read(const char *bytes, size_t n, uint8_t key[HD_KEY_LEN]);

struct hn_package_spec {
	const uint8_t *image;            /* (image_len,) a valid image, 4-byte aligned           */
	uint32_t image_len;
	uint8_t  uid[HD_UID_LEN], key[HD_KEY_LEN];
	uint8_t  key_id;
	uint32_t version, model_version;
};

/* Bytes of the payload: image and self-test vectors; 0 when the image does not open. */
size_t hn_package_payload_size(const struct hn_package_spec *s);

/* Build header and payload (cap >= hn_package_payload_size).  `arena` (arena_cap,) 4-byte aligned
 * holds the activations while the vectors are made: random int8 inputs with the edges -128 and 127
 * among them, outputs by hd_net_run.  Errors: HN_EFORMAT, HN_ENOMEM. */
struct hn_package_out {
	uint8_t header[HD_PACKAGE_HEADER];
	uint8_t *payload;                /* (cap,) caller's, 4-byte aligned                      */
	size_t cap, len;
	uint8_t *arena;
	size_t arena_cap;
};
hn_status hn_package_build(const struct hn_package_spec *s, struct hn_package_out *out);

/* The same package as a patch of what the device has in service: `base` was built by
 * hn_package_build from that image (its uid, version and key do not matter).  `out->payload` (cap,)
 * gets the patch.  Errors: HN_EINVAL (payloads of different lengths), HN_ENOMEM (more than cap;
 * with cap = full->len - 1 that says that the full package is the smaller one). */
hn_status hn_package_delta(const struct hn_package_spec *s, const struct hn_package_out *base,
                           const struct hn_package_out *full, struct hn_package_out *out);
#endif
