/* nospace.c - a disk that is full while the file that HONED_NOSPACE names exists; LD_PRELOAD.
 *
 * What SQLite writes with is refused with ENOSPC; reading goes on. */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

typedef ssize_t write_fn(int fd, const void *bytes, size_t n, off64_t at);

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at);

static bool is_full(void)
{
	const char *path = getenv("HONED_NOSPACE");

	return path && access(path, F_OK) == 0;
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
	union { void *symbol; write_fn *call; } next = { dlsym(RTLD_NEXT, "pwrite64") };

	if (is_full() || !next.call) {
		errno = ENOSPC;
		return -1;
	}
	return next.call(fd, bytes, n, at);
}
