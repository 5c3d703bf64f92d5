#include "sim_verify.h"

#include <sodium.h>

_Static_assert(SIM_PUBLIC_LEN == crypto_sign_PUBLICKEYBYTES, "of a key");

bool sim_verify(const struct sim_keys *k, const uint8_t *header, const uint8_t *more, size_t n)
{
	for (unsigned i = 0; i < k->n; i++) {
		if (k->key[i].id != header[HD_AT_KEY_ID])
			continue;
		return n == crypto_sign_BYTES && hd_package_auth(header, k->device) == HD_OK &&
		       crypto_sign_verify_detached(more, header, HD_PACKAGE_SIGNED, k->key[i].bytes) == 0;
	}
	return false;
}
