/* hn_seed.h - the file of a key that signs: the 32-byte seed of an Ed25519 key pair. */
#ifndef HN_SEED_H
#define HN_SEED_H

#include <stddef.h>
#include <stdint.h>
#include "hn_status.h"

enum { HN_SEED_LEN = 32, HN_SEED_FILE_MAX = 256 };

/* Contents of the file: 32 raw bytes, 64 hex digits with white space after them, or the PEM of
 * `openssl genpkey -algorithm ed25519` (PKCS #8, RFC 8410).  Errors: HN_EFORMAT. */
hn_status hn_seed_read(const char *bytes, size_t n, uint8_t seed[HN_SEED_LEN]);
#endif
