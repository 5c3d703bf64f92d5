/* sim_verify.h - package signatures: Ed25519 by libsodium behind the library's hook.
 *
 * An example for firmware that trusts a signature.  Several keys may be known, each by its number:
 * a new one is added before the old one is taken away. */
#ifndef SIM_VERIFY_H
#define SIM_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hd_package.h"

enum { SIM_KEYS_MAX = 4, SIM_PUBLIC_LEN = 32 };

struct sim_keys {
	uint8_t device[HD_KEY_LEN];      /* of the MAC, which must hold, too                   */
	struct sim_public { uint8_t id, bytes[SIM_PUBLIC_LEN]; } key[SIM_KEYS_MAX];
	unsigned n;
};

/* hd_config.verify: the key that the header names signed it, and the MAC is this device's. */
bool sim_verify(const struct sim_keys *k, const uint8_t *header, const uint8_t *more, size_t n);
#endif
