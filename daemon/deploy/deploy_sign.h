/* deploy_sign.h - the Ed25519 key that signs packages (keys.sign); private to daemon/deploy. */
#ifndef DEPLOY_SIGN_H
#define DEPLOY_SIGN_H

#include <sodium.h>
#include "hd_package.h"
#include "hn_status.h"

enum { SIGNATURE_LEN = crypto_sign_BYTES };

struct signer {
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	uint8_t key_id;                  /* goes into the headers that it signs                */
};

/* Read the key file, which nobody but its owner may read.  Errors with a sentence: HN_ENOENT,
 * HN_EINVAL (its mode), HN_EFORMAT. */
hn_status signer_open(struct signer *s, const char *path, int key_id, struct hn_err *err);

/* Sign what counts of a header. */
void signer_sign(const struct signer *s, const uint8_t header[HD_PACKAGE_HEADER],
                 uint8_t signature[SIGNATURE_LEN]);
#endif
