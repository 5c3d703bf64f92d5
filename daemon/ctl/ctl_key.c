/* Keys: a new master key (32 random bytes as 64 hex digits in a file that only its owner may read),
 * the key of one device, for its firmware, and the key that signs packages with its public half. */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sodium.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hn_package.h"
#include "hn_seed.h"

enum { KEY_BYTES = HD_KEY_LEN };

static bool fill(unsigned char *key)
{
	size_t at = 0;

	while (at < KEY_BYTES) {
		const ssize_t n = getrandom(key + at, KEY_BYTES - at, 0);

		if (n < 0 && errno != EINTR)
			return false;
		at += n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* 64 hex digits and a new line into text (66,). */
static void key_text(const unsigned char *key, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < KEY_BYTES; i++) {
		text[2 * i] = digits[key[i] >> 4];
		text[2 * i + 1] = digits[key[i] & 15];
	}
	text[2 * KEY_BYTES] = '\n';
	text[2 * KEY_BYTES + 1] = '\0';
}

static bool write_key(int fd, const unsigned char *key)
{
	char text[2 * KEY_BYTES + 2];

	key_text(key, text);
	return write(fd, text, 2 * KEY_BYTES + 1) == 2 * KEY_BYTES + 1 && fchmod(fd, 0600) == 0 &&
	       fsync(fd) == 0;
}

static int failed(const char *path, const char *advice)
{
	fprintf(stderr, "honectl: %s: %s%s\n", path, strerror(errno), advice);
	return CTL_REFUSED;
}

/* Random bytes into a new file and into key. */
static int make_key(const char *path, unsigned char *key)
{
	bool ok;
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return failed(path, errno == EEXIST ? "; devices know the old key: it is not replaced" : "");
	ok = fill(key) && write_key(fd, key);
	ok = close(fd) == 0 && ok;
	if (!ok) {
		const int code = failed(path, "");

		(void)unlink(path);   /* half a key is of no use */
		return code;
	}
	return CTL_OK;
}

static int key_new(const char *path)
{
	unsigned char key[KEY_BYTES];
	const int code = make_key(path, key);

	explicit_bzero(key, sizeof key);
	if (code != CTL_OK)
		return code;
	printf("%s: new master key; let honed read it: chgrp honed %s && chmod 640 %s\n", path, path,
	       path);
	return CTL_OK;
}

/* Hex digits of the public key that belongs to a seed. */
static void print_public(const unsigned char *seed)
{
	unsigned char public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
	char text[2 * KEY_BYTES + 2];

	(void)crypto_sign_seed_keypair(public, secret, seed);    /* cannot fail */
	sodium_memzero(secret, sizeof secret);
	key_text(public, text);
	fputs(text, stdout);
}

static int key_sign(const char *path)
{
	unsigned char seed[HN_SEED_LEN];
	const int code = make_key(path, seed);

	if (code == CTL_OK)
		print_public(seed);
	explicit_bzero(seed, sizeof seed);
	return code;
}

static int key_public(const char *path)
{
	unsigned char seed[HN_SEED_LEN];
	char file[HN_SEED_FILE_MAX];
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	bool good;

	if (fd < 0)
		return failed(path, errno == ENOENT ? "; make one with: honectl key sign FILE" : "");
	n = read(fd, file, sizeof file);
	(void)close(fd);         /* read-only: nothing to lose */
	good = n > 0 && hn_seed_read(file, (size_t)n, seed) == HN_OK;
	explicit_bzero(file, sizeof file);
	if (!good) {
		fprintf(stderr, "honectl: %s: not a key that signs: 32 bytes, 64 hex digits or a PEM are\n", path);
		return CTL_REFUSED;
	}
	print_public(seed);
	explicit_bzero(seed, sizeof seed);
	return CTL_OK;
}

static int key_device(const char *path, const char *uid_text)
{
	unsigned char master[KEY_BYTES], key[KEY_BYTES], uid[HD_UID_LEN];
	char text[2 * KEY_BYTES + 2], file[130];
	ssize_t n;
	int fd;

	if (strlen(uid_text) != 2 * HD_UID_LEN || hn_hex_read(uid_text, 2 * HD_UID_LEN, uid) != HN_OK) {
		fprintf(stderr, "honectl: '%s' is not a device's uid: 16 hex digits are\n", uid_text);
		return CTL_USAGE;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failed(path, errno == ENOENT ? "; make one with: honectl key new FILE" : "");
	n = read(fd, file, sizeof file);
	(void)close(fd);         /* read-only: nothing to lose */
	if (n < 0 || hn_key_read(file, (size_t)n, master) != HN_OK) {
		fprintf(stderr, "honectl: %s: not a key: 32 bytes or 64 hex digits are\n", path);
		return CTL_REFUSED;
	}
	hn_device_key(master, uid, key);
	key_text(key, text);
	fputs(text, stdout);
	explicit_bzero(master, sizeof master);
	explicit_bzero(key, sizeof key);
	return CTL_OK;
}

int run_key(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	(void)c;
	(void)cmd;
	if (strcmp(argv[0], "new") == 0 && argc == 2)
		return key_new(argv[1]);
	if (strcmp(argv[0], "device") == 0 && argc == 3)
		return key_device(argv[1], argv[2]);
	if (strcmp(argv[0], "sign") == 0 && argc == 2)
		return key_sign(argv[1]);
	if (strcmp(argv[0], "public") == 0 && argc == 2)
		return key_public(argv[1]);
	fputs("usage: honectl key new FILE | key device FILE UID | key sign FILE | key public FILE\n", stderr);
	return CTL_USAGE;
}
