/* deploy_package.h - the package of a rollout for one device; private to daemon/deploy.
 *
 * The full set and, where the gateway still has what the device runs, a delta from that. */
#ifndef DEPLOY_PACKAGE_H
#define DEPLOY_PACKAGE_H

#include "deploy_sign.h"
#include "hn_model.h"
#include "hn_package.h"
#include "hn_peer.h"

struct package {
	uint8_t  header[HD_PACKAGE_HEADER], patch_header[HD_PACKAGE_HEADER];
	uint8_t  signature[SIGNATURE_LEN], patch_signature[SIGNATURE_LEN];
	uint8_t *payload, *patch;        /* owned; NULL = none                                 */
	struct hn_peer_package full, delta;      /* borrow the above                           */
};

/* The full set of `m`; `s` says for whom.  Errors: HN_EFORMAT, HN_ENOMEM. */
hn_status package_full(struct package *p, struct hn_package_spec *s, const struct hn_model *m);

/* The delta of it from the image of `base`, if the device runs just that (`digest`, 8 bytes) and
 * the delta is smaller.  Errors: HN_EINVAL (it is not, or not smaller), HN_EFORMAT, HN_ENOMEM. */
hn_status package_delta(struct package *p, const struct hn_package_spec *s,
                        const struct hn_model *base, const uint8_t *digest);

/* Sign what there is of it, for a device that wants it so. */
void package_sign(struct package *p, const struct signer *s);

/* What to send: the delta when there is one. */
const struct hn_peer_package *package_best(const struct package *p);
void package_free(struct package *p);    /* and all to zero */
#endif
