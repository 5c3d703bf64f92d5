/* A new master key: 32 random bytes as 64 hex digits in a file that only its owner may read. */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_BYTES = 32 };

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

static bool write_key(int fd, const unsigned char *key)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * KEY_BYTES + 1];

	for (size_t i = 0; i < KEY_BYTES; i++) {
		text[2 * i] = digits[key[i] >> 4];
		text[2 * i + 1] = digits[key[i] & 15];
	}
	text[2 * KEY_BYTES] = '\n';
	return write(fd, text, sizeof text) == (ssize_t)sizeof text && fchmod(fd, 0600) == 0 &&
	       fsync(fd) == 0;
}

static int failed(const char *path, const char *advice)
{
	fprintf(stderr, "honectl: %s: %s%s\n", path, strerror(errno), advice);
	return CTL_REFUSED;
}

int run_key(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	unsigned char key[KEY_BYTES];
	bool ok;
	int fd;

	(void)c;
	(void)cmd;
	(void)argc;
	if (strcmp(argv[0], "new") != 0) {
		fprintf(stderr, "honectl: key: unknown action '%s'; usage: honectl key new FILE\n", argv[0]);
		return CTL_USAGE;
	}
	fd = open(argv[1], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return failed(argv[1], errno == EEXIST ? "; devices know the old key: it is not replaced" : "");
	ok = fill(key) && write_key(fd, key);
	explicit_bzero(key, sizeof key);
	ok = close(fd) == 0 && ok;
	if (!ok) {
		const int code = failed(argv[1], "");

		(void)unlink(argv[1]);   /* half a key is of no use */
		return code;
	}
	printf("%s: new master key; let honed read it: chgrp honed %s && chmod 640 %s\n", argv[1], argv[1],
	       argv[1]);
	return CTL_OK;
}
