#include "deploy_sign.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hn_seed.h"

static hn_status read_file(int fd, const char *path, uint8_t *seed, struct hn_err *err)
{
	char b[HN_SEED_FILE_MAX];
	struct stat st;
	ssize_t n;
	hn_status rc;

	if (fstat(fd, &st) != 0)
		return hn_fail(err, HN_ENOENT, "keys.sign: %s: %s", path, strerror(errno));
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return hn_fail(err, HN_EINVAL, "keys.sign: %s: others than its owner may use it (mode %04o): "
		               "chown it to the user of honed and chmod 600", path, st.st_mode & 07777u);
	n = read(fd, b, sizeof b);
	rc = n > 0 ? hn_seed_read(b, (size_t)n, seed) : HN_EFORMAT;
	sodium_memzero(b, sizeof b);
	return rc == HN_OK ? HN_OK : hn_fail(err, HN_EFORMAT, "keys.sign: %s: expected 32 bytes, 64 hex "
	                                     "digits or an Ed25519 key as PEM", path);
}

hn_status signer_open(struct signer *s, const char *path, int key_id, struct hn_err *err)
{
	uint8_t seed[HN_SEED_LEN], public[crypto_sign_PUBLICKEYBYTES];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	hn_status rc;

	if (fd < 0 && errno == ENOENT)
		return hn_fail(err, HN_ENOENT, "keys.sign: no file %s; make one with `honectl key sign %s`",
		               path, path);
	if (fd < 0)
		return hn_fail(err, HN_ENOENT, "keys.sign: %s: %s; the user of honed must be able to read it",
		               path, strerror(errno));
	rc = read_file(fd, path, seed, err);
	(void)close(fd);         /* read-only: nothing to lose */
	if (rc != HN_OK)
		return rc;
	(void)crypto_sign_seed_keypair(public, s->secret, seed);         /* cannot fail */
	s->key_id = (uint8_t)key_id;
	sodium_memzero(seed, sizeof seed);
	return HN_OK;
}

void signer_sign(const struct signer *s, const uint8_t header[HD_PACKAGE_HEADER],
                 uint8_t signature[SIGNATURE_LEN])
{
	(void)crypto_sign_detached(signature, NULL, header, HD_PACKAGE_SIGNED, s->secret); /* the same */
}
