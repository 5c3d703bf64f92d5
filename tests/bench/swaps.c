/* swaps.c - swaps on the emulated boards: hn_peer, a socket and QEMU.
 *
 * Each board runs the pump firmware with -icount: its core executes one instruction in a fixed
 * virtual time, near that of the real part, so a slow host does not make a device late.  Inferences
 * that were due and missed are counted by the firmware; the digest of the active image is compared
 * after each swap.  The boards run side by side, each in a process of its own.
 * Arguments: the report to write, the folder of the firmware, then boards (default: all that are
 * built and whose emulator is installed).  Fails when an inference was missed. */
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
#include <time.h>
#include <unistd.h>
#include "app.h"
#include "swapper.h"

enum { SWAPS_MIN = 50, SEED = 20250612, TRIAL = 20, WINDOW_US = 80000,
       DEADLINE_US = 15000,              /* less than an erase takes: 20 to 22 ms               */
       TICK_US = 10000,
       LIMIT_US = 60000000, PATH_BYTES = 100, CONNECT_TRIES = 500, OUT_MAX = 1 << 16 };

static const struct board {
	const char *name, *core, *emulator, *machine;
	uint32_t option_at;              /* where the loader puts the option text                */
	int shift;                       /* 2^shift ns an instruction                            */
} boards[] = {
	{ "microbit", "Cortex-M0", "qemu-system-arm", "microbit", 0x0003f000, 6 },
	{ "an385", "Cortex-M3", "qemu-system-arm", "mps2-an385", 0x21100000, 5 },
	{ "an386", "Cortex-M4", "qemu-system-arm", "mps2-an386", 0x21100000, 5 },
	{ "an500", "Cortex-M7", "qemu-system-arm", "mps2-an500", 0x60100000, 4 },
	{ "virt", "RV32IMC", "qemu-system-riscv32", "virt", 0x80200000, 5 },
};
enum { BOARDS = sizeof boards / sizeof *boards };

struct result {
	bool ran;
	uint32_t swaps, aborted, astray, lies, due, missed, resets, chunks_repeated;
};

static struct bench {
	const struct board *board;
	struct swapper gateway;
	struct hd_rx rx;
	int fd;
	pid_t emulator;
	uint8_t out[OUT_MAX];
	size_t out_n;
	int64_t tick_us;
	uint8_t seq;
	uint32_t due, missed, resets;
} b;

static void die(const char *what)
{
	fprintf(stderr, "swaps: %s: %s: %s\n", b.board ? b.board->name : "-", what, strerror(errno));
	if (b.emulator > 0)
		(void)kill(b.emulator, SIGKILL);
	exit(EXIT_FAILURE);
}

static int64_t clock_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool to_device(void *ctx, uint8_t type, uint16_t session, const uint8_t *body, size_t len)
{
	(void)ctx;
	if (b.out_n + HD_WIRE_MAX > OUT_MAX)
		return false;
	b.out_n += hd_frame_write(type, b.seq++, session, body, len, b.out + b.out_n);
	return true;
}

static void count(uint32_t due, uint32_t missed)
{
	b.resets += due < b.due;
	b.due = due;
	b.missed = missed;
}

static void hear(const struct hd_frame *f)
{
	struct hd_report r;

	if (f->type == HD_PREDICTION && f->len >= 22)
		count(hd_get32(f->body + 14), hd_get32(f->body + 18));
	if (f->type == HD_STATUS && hd_report_read(&r, f->body, f->len) == HD_OK)
		count(r.due, r.missed);
	swapper_hear(&b.gateway, f);
}

static void receive(void)
{
	uint8_t bytes[4096];
	struct hd_frame f;
	ssize_t n = read(b.fd, bytes, sizeof bytes);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		die("the emulator went away");
	for (ssize_t i = 0; i < n; i++)
		if (hd_rx_byte(&b.rx, bytes[i], &f))
			hear(&f);
}

static void transmit(void)
{
	ssize_t n = b.out_n > 0 ? write(b.fd, b.out, b.out_n) : 0;

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		die("write");
	if (n > 0) {
		memmove(b.out, b.out + n, b.out_n - (size_t)n);
		b.out_n -= (size_t)n;
	}
}

static void step(void *ctx)
{
	struct pollfd p = { .fd = b.fd, .events = POLLIN };

	(void)ctx;
	if (b.out_n > 0)
		p.events |= POLLOUT;
	if (poll(&p, 1, TICK_US / 1000) < 0 && errno != EINTR)
		die("poll");
	b.gateway.now_us = clock_us();
	if (p.revents & (POLLIN | POLLHUP))
		receive();
	if (b.gateway.now_us >= b.tick_us) {
		b.tick_us = b.gateway.now_us + TICK_US;
		swapper_tick(&b.gateway);
	}
	transmit();
}

/* --- the emulator ----------------------------------------------------------------------------- */

static void put_hex(FILE *f, const char *name, const uint8_t *p, size_t n)
{
	fprintf(f, "%s=", name);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%02x", p[i]);
	fprintf(f, "\n");
}

static void write_options(const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f)
		die(path);
	put_hex(f, "uid", t_uid, HD_UID_LEN);
	put_hex(f, "key", t_key, HD_KEY_LEN);
	fprintf(f, "key_id=1 trial=%d deadline_us=%d\n", TRIAL, DEADLINE_US);
	if (fclose(f) != 0)
		die(path);
}

static void launch(const char *folder, const char *socket_path, const char *option_path)
{
	char kernel[PATH_BYTES * 2], serial[PATH_BYTES * 2], loader[PATH_BYTES * 2], icount[32];

	(void)snprintf(kernel, sizeof kernel, "%s/%s/pump.elf", folder, b.board->name);
	(void)snprintf(serial, sizeof serial, "unix:%s,server=on,wait=off", socket_path);
	(void)snprintf(loader, sizeof loader, "loader,file=%s,addr=0x%08" PRIx32 ",force-raw=on",
	               option_path, b.board->option_at);
	(void)snprintf(icount, sizeof icount, "shift=%d", b.board->shift);
	b.emulator = fork();
	if (b.emulator < 0)
		die("fork");
	if (b.emulator > 0)
		return;
	execlp(b.board->emulator, b.board->emulator, "-M", b.board->machine, "-display", "none",
	       "-monitor", "none", "-bios", "none", "-kernel", kernel, "-serial", serial, "-serial",
	       "null", "-icount", icount, "-device", loader, (char *)NULL);
	_exit(127);
}

static void attach(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	(void)snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	b.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (int i = 0; b.fd >= 0 && i < CONNECT_TRIES; i++) {
		if (connect(b.fd, (struct sockaddr *)&to, sizeof to) == 0) {
			(void)fcntl(b.fd, F_SETFL, O_NONBLOCK);
			return;
		}
		(void)poll(NULL, 0, 20);
	}
	die("no connection to the emulator");
}

static void gateway_on(void)
{
	static const struct t_image_spec spec = { APP_WINDOW, APP_CHANNELS,
		{ { HD_OP_DENSE, 64 }, { HD_OP_LUT, 0 }, { HD_OP_DENSE, 24 }, { HD_OP_DENSE, 4 } } };
	struct swapper *s = &b.gateway;

	swapper_init(s, &spec, SEED + (uint64_t)(b.board - boards));
	s->step = step;
	s->now_us = clock_us();
	s->window_us = WINDOW_US;
	s->limit_us = LIMIT_US;
	s->trial = TRIAL;
	s->peer.send = to_device;
	hd_rx_init(&b.rx);
	swapper_link_up(s);
}

/* In a process of its own; the result goes through the pipe. */
static void run(const struct board *board, const char *folder, int out)
{
	char socket_path[PATH_BYTES], option_path[PATH_BYTES];
	struct swapper *s = &b.gateway;
	struct result r;

	b.board = board;
	(void)snprintf(socket_path, sizeof socket_path, "%s/%s/swaps.sock", folder, board->name);
	(void)snprintf(option_path, sizeof option_path, "%s/%s/swaps.opt", folder, board->name);
	(void)unlink(socket_path);
	write_options(option_path);
	launch(folder, socket_path, option_path);
	attach(socket_path);
	gateway_on();
	swapper_swap(s, SWAP_CONFIRM);   /* the first one: nothing is due before */
	for (uint32_t i = 0; i < SWAPS_MIN; i++)
		swapper_swap(s, i < SWAPS ? (enum swap)i : swapper_draw(s));
	(void)kill(b.emulator, SIGKILL); /* it would tell of SIGTERM; it keeps nothing */
	(void)waitpid(b.emulator, NULL, 0);
	r = (struct result){ .ran = true, .swaps = s->all - 1,
		.aborted = s->all - s->count[SWAP_CONFIRM], .astray = s->astray, .lies = s->lies,
		.due = b.due, .missed = b.missed, .resets = b.resets,
		.chunks_repeated = s->peer.window.repeats };
	if (write(out, &r, sizeof r) != (ssize_t)sizeof r)
		die("pipe");
	_exit(EXIT_SUCCESS);
}

/* --- all of them ------------------------------------------------------------------------------ */

static bool wanted(const struct board *board, const char *folder, int argc, char **argv)
{
	char path[PATH_BYTES * 2];
	bool named = argc == 0;

	for (int i = 0; i < argc; i++)
		named = named || strcmp(argv[i], board->name) == 0;
	(void)snprintf(path, sizeof path, "%s/%s/pump.elf", folder, board->name);
	if (named && access(path, R_OK) != 0)
		printf("swaps: without %s: %s is not there (make firmware)\n", board->name, path);
	return named && access(path, R_OK) == 0;
}

static void print(FILE *f, const struct board *board, const struct result *r, bool first)
{
	printf("%-9s %-9s %u swaps, %u aborted, %u astray, %u with another digest; %u inferences due, "
	       "%u missed; %u resets, %u chunks repeated\n", board->name, board->core, r->swaps,
	       r->aborted, r->astray, r->lies, r->due, r->missed, r->resets, r->chunks_repeated);
	fprintf(f, "%s\n  {\"board\": \"%s\", \"core\": \"%s\", \"swaps\": %u, \"aborted\": %u, "
	        "\"astray\": %u, \"wrong_digest\": %u, \"due\": %u, \"missed\": %u}", first ? "" : ",",
	        board->name, board->core, r->swaps, r->aborted, r->astray, r->lies, r->due, r->missed);
}

static void start(const struct board *board, const char *folder, int *from)
{
	int ends[2];
	pid_t pid;

	if (pipe(ends) != 0)
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		run(board, folder, ends[1]);
	(void)close(ends[1]);
	*from = ends[0];
}

int main(int argc, char **argv)
{
	struct result r, all = { .ran = true };
	int from[BOARDS], boards_done = 0;
	bool sound = true;
	FILE *f;

	if (argc < 3) {
		fprintf(stderr, "usage: swaps REPORT FIRMWARE [BOARD ...]\n");
		return EXIT_FAILURE;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < BOARDS; i++) {
		from[i] = -1;
		if (wanted(&boards[i], argv[2], argc - 3, argv + 3))
			start(&boards[i], argv[2], &from[i]);
	}
	f = fopen(argv[1], "we");
	if (!f)
		die(argv[1]);
	fprintf(f, "{\"boards\": [");
	for (int i = 0; i < BOARDS; i++) {
		if (from[i] < 0)
			continue;
		if (read(from[i], &r, sizeof r) != (ssize_t)sizeof r) {
			fprintf(stderr, "swaps: %s: no result\n", boards[i].name);
			sound = false;
			continue;
		}
		print(f, &boards[i], &r, boards_done++ == 0);
		all.swaps += r.swaps;
		all.due += r.due;
		all.missed += r.missed;
		sound = sound && r.astray == 0 && r.lies == 0 && r.resets == 0 && r.due > SWAPS_MIN;
	}
	fprintf(f, "],\n \"swaps\": %u, \"due\": %u, \"missed\": %u}\n", all.swaps, all.due, all.missed);
	if (fclose(f) != 0 || boards_done == 0)
		return EXIT_FAILURE;
	return sound && all.missed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
