#include "emulator.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_BYTES = 256, CONNECT_TRIES = 500, TRY_MS = 20 };

const struct emulator_board emulator_boards[] = {
	{ "microbit", "Cortex-M0", "qemu-system-arm", "microbit", 0x0003f000, 6 },
	{ "an385", "Cortex-M3", "qemu-system-arm", "mps2-an385", 0x21100000, 5 },
	{ "an386", "Cortex-M4", "qemu-system-arm", "mps2-an386", 0x21100000, 5 },
	{ "an500", "Cortex-M7", "qemu-system-arm", "mps2-an500", 0x60100000, 4 },
	{ "virt", "RV32IMC", "qemu-system-riscv32", "virt", 0x80200000, 5 },
};

void emulator_die(struct emulator *e, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", e->board ? e->board->name : "emulator", what, strerror(errno));
	emulator_stop(e);
	exit(EXIT_FAILURE);
}

static void path_of(char path[PATH_BYTES], const struct emulator_board *b, const char *firmware,
                    const char *name)
{
	(void)snprintf(path, PATH_BYTES, "%.150s/%s/%s", firmware, b->name, name);
}

static bool is_installed(const char *program)
{
	const char *paths = getenv("PATH");
	char path[PATH_BYTES];

	for (; paths && *paths; paths += *paths == ':') {
		const int n = (int)strcspn(paths, ":");

		(void)snprintf(path, sizeof path, "%.*s/%s", n, paths, program);
		if (access(path, X_OK) == 0)
			return true;
		paths += n;
	}
	return false;
}

bool emulator_has(const struct emulator_board *b, const char *firmware, const char *program)
{
	char path[PATH_BYTES], name[32];

	(void)snprintf(name, sizeof name, "%s.elf", program);
	path_of(path, b, firmware, name);
	if (access(path, R_OK) != 0) {
		printf("without %s: %s is not there (make firmware)\n", b->name, path);
		return false;
	}
	if (!is_installed(b->emulator)) {
		printf("without %s: %s is not installed (scripts/setup firmware)\n", b->name, b->emulator);
		return false;
	}
	return true;
}

static void write_options(struct emulator *e, const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		emulator_die(e, path);
}

static void attach(struct emulator *e, const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	(void)snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	e->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (int i = 0; e->fd >= 0 && i < CONNECT_TRIES; i++) {
		if (connect(e->fd, (struct sockaddr *)&to, sizeof to) == 0) {
			(void)fcntl(e->fd, F_SETFL, O_NONBLOCK);
			return;
		}
		(void)poll(NULL, 0, TRY_MS);
	}
	emulator_die(e, "no connection to the emulator");
}

void emulator_start(struct emulator *e, const char *firmware, const char *program,
                    const char *options, bool in_step)
{
	const struct emulator_board *b = e->board;
	char name[32], kernel[PATH_BYTES], socket_path[100], option_path[PATH_BYTES], serial[160],
	     loader[PATH_BYTES + 64], icount[32];
	const char *arg[24] = { b->emulator, "-M", b->machine, "-display", "none", "-monitor", "none",
		"-bios", "none", "-kernel", kernel, "-serial", serial, "-serial", "null" };
	int n = 15;

	(void)snprintf(name, sizeof name, "%s.elf", program);
	path_of(kernel, b, firmware, name);
	path_of(option_path, b, firmware, "options");
	(void)snprintf(socket_path, sizeof socket_path, "%.80s/%s/uart", firmware, b->name);
	(void)snprintf(serial, sizeof serial, "unix:%s,server=on,wait=off", socket_path);
	(void)unlink(socket_path);
	if (options) {
		write_options(e, option_path, options);
		(void)snprintf(loader, sizeof loader, "loader,file=%s,addr=0x%08" PRIx32 ",force-raw=on",
		               option_path, b->option_at);
		arg[n++] = "-device";
		arg[n++] = loader;
	}
	if (in_step) {
		(void)snprintf(icount, sizeof icount, "shift=%d", b->shift);
		arg[n++] = "-icount";
		arg[n++] = icount;
	}
	e->pid = fork();
	if (e->pid < 0)
		emulator_die(e, "fork");
	if (e->pid == 0) {
		execvp(b->emulator, (char *const *)(uintptr_t)arg);
		_exit(127);
	}
	attach(e, socket_path);
}

void emulator_stop(struct emulator *e)
{
	if (e->pid > 0) {                /* SIGTERM would make it talk; it keeps nothing */
		(void)kill(e->pid, SIGKILL);
		(void)waitpid(e->pid, NULL, 0);
	}
	e->pid = 0;
	if (e->fd >= 0)
		(void)close(e->fd);
	e->fd = -1;
}
