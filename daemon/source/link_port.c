#include "link_port.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/serial.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

static const struct { int baud; speed_t code; } bauds[] = {
	{ 1200, B1200 }, { 2400, B2400 }, { 4800, B4800 }, { 9600, B9600 }, { 19200, B19200 },
	{ 38400, B38400 }, { 57600, B57600 }, { 115200, B115200 }, { 230400, B230400 },
	{ 460800, B460800 }, { 500000, B500000 }, { 576000, B576000 }, { 921600, B921600 },
	{ 1000000, B1000000 }, { 1152000, B1152000 }, { 1500000, B1500000 },
	{ 2000000, B2000000 }, { 2500000, B2500000 }, { 3000000, B3000000 },
	{ 3500000, B3500000 }, { 4000000, B4000000 },
};
enum { BAUDS = sizeof bauds / sizeof bauds[0] };

static int baud_find(int baud)
{
	for (int i = 0; i < BAUDS; i++)
		if (bauds[i].baud == baud)
			return i;
	return -1;
}

bool port_baud_ok(int baud)
{
	return baud_find(baud) >= 0;
}

/* 8N1, no flow control, every byte as it is.  HUPCL off: closing must not reset boards that hang
 * their reset on DTR.  VMIN 1, so that "no byte yet" (EAGAIN) differs from "gone" (0). */
static int tty_raw(int fd, speed_t speed)
{
	struct termios t;

	if (tcgetattr(fd, &t) != 0)
		return -1;
	cfmakeraw(&t);
	t.c_cflag &= ~(tcflag_t)(CRTSCTS | CSTOPB | HUPCL);
	t.c_cflag |= CREAD | CLOCAL;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	if (cfsetispeed(&t, speed) != 0 || cfsetospeed(&t, speed) != 0)
		return -1;
	return tcsetattr(fd, TCSANOW, &t);
}

/* USB adapters collect bytes for 16 ms otherwise.  Not every driver can: ignored. */
static void tty_low_latency(int fd)
{
	struct serial_struct ss;

	if (ioctl(fd, TIOCGSERIAL, &ss) != 0)
		return;
	ss.flags |= (int)ASYNC_LOW_LATENCY;
	(void)ioctl(fd, TIOCSSERIAL, &ss);
}

static int tty_open(const char *path, int baud, struct hn_err *err)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), i = baud_find(baud);
	const char *why = NULL;

	if (fd < 0) {
		(void)hn_fail(err, HN_EIO, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (!isatty(fd))
		why = "not a serial line";
	else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		why = "in use by another process";
	else if (tty_raw(fd, bauds[i < 0 ? 0 : i].code) != 0)
		why = strerror(errno);
	if (why) {
		(void)hn_fail(err, HN_EIO, "%s: %s", path, why);
		(void)close(fd);
		return -1;
	}
	tty_low_latency(fd);
	(void)tcflush(fd, TCIFLUSH);    /* what came before nobody listened is stale; best effort */
	return fd;
}

/* A peer whose machine vanished is noticed after 15 s; small frames go at once. */
static void tcp_options(int fd)
{
	static const struct { int level, name, value; } options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 }, { SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 5 }, { IPPROTO_TCP, TCP_KEEPINTVL, 5 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 2 }, { IPPROTO_TCP, TCP_USER_TIMEOUT, 15000 },
	};

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
		                 sizeof options[i].value);       /* only comfort: ignored */
}

static int socket_open(const struct addr *a, bool *connecting, struct hn_err *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const struct sockaddr *to = (const struct sockaddr *)&a->ip;
	socklen_t len = addr_len(a);
	int fd;

	if (a->kind == ADDR_UNIX) {
		memcpy(un.sun_path, a->path, strlen(a->path) + 1);      /* length: addr_parse */
		to = (const struct sockaddr *)&un;
		len = sizeof un;
	}
	fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && a->kind == ADDR_TCP)
		tcp_options(fd);
	if (fd >= 0 && connect(fd, to, len) == 0)
		return fd;
	if (fd >= 0 && errno == EINPROGRESS) {
		*connecting = true;
		return fd;
	}
	(void)hn_fail(err, HN_EIO, "cannot connect: %s", strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

bool port_is_pattern(const struct addr *a)
{
	return a->kind == ADDR_PATH && strpbrk(a->path, "*?[") != NULL;
}

static int pattern_open(const struct addr *a, int baud, unsigned attempt, struct hn_err *err)
{
	glob_t g;
	int fd = -1;

	if (glob(a->path, 0, NULL, &g) != 0 || g.gl_pathc == 0)
		(void)hn_fail(err, HN_EIO, "%s: there is no such line", a->path);
	else
		fd = tty_open(g.gl_pathv[attempt % g.gl_pathc], baud, err);
	globfree(&g);
	return fd;
}

int port_open(const struct addr *a, int baud, unsigned attempt, bool *connecting,
              struct hn_err *err)
{
	*connecting = false;
	if (a->kind != ADDR_PATH)
		return socket_open(a, connecting, err);
	return port_is_pattern(a) ? pattern_open(a, baud, attempt, err) : tty_open(a->path, baud, err);
}

int port_connected(int fd)
{
	int error = 0;
	socklen_t len = sizeof error;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 ? errno : error;
}
