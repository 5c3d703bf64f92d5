#include "sim_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "sim_options.h"

enum { RETRY_PTY_US = 50000, RETRY_CONNECT_US = 500000 };

union address {
	struct sockaddr any;
	struct sockaddr_un un;
	struct sockaddr_in in;
};

/* Fill `a` from the link's address.  Returns its length, 0 when it does not parse. */
static socklen_t unix_address(const struct sim_link *l, union address *a)
{
	size_t n = strlen(l->address);

	*a = (union address){ .un = { .sun_family = AF_UNIX } };
	if (n == 0 || n >= sizeof a->un.sun_path)
		return 0;
	memcpy(a->un.sun_path, l->address, n + 1);
	return sizeof a->un;
}

static socklen_t tcp_address(const struct sim_link *l, union address *a)
{
	const char *colon = strrchr(l->address, ':');
	char host[INET_ADDRSTRLEN] = { 0 };
	char *stop;
	unsigned long port;

	*a = (union address){ .in = { .sin_family = AF_INET } };
	if (!colon || (size_t)(colon - l->address) >= sizeof host)
		return 0;
	memcpy(host, l->address, (size_t)(colon - l->address));
	port = strtoul(colon + 1, &stop, 10);
	if (stop == colon + 1 || *stop != '\0' || port == 0 || port > 65535)
		return 0;
	a->in.sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &a->in.sin_addr) == 1 ? sizeof a->in : 0;
}

static int bad_address(const struct sim_link *l)
{
	return sim_fail(EX_USAGE, "--link %s:%s: the address does not parse; see --help",
	                l->kind->name, l->address);
}

/* A socket file that nobody listens on any more was left by a killed process: remove it. */
static void remove_stale(const struct sim_link *l, const union address *a, socklen_t len)
{
	struct stat st;
	int fd;

	if (lstat(l->address, &st) != 0 || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, &a->any, len) != 0 && errno == ECONNREFUSED)
		(void)unlink(l->address);       /* bind reports it when this failed */
	(void)close(fd);
}

static int listen_on(struct sim_link *l, const union address *a, socklen_t len)
{
	int on = 1;

	l->listen_fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->listen_fd < 0)
		return sim_fail(EX_OSERR, "socket: %s", strerror(errno));
	if (a->any.sa_family == AF_INET)        /* a restart must not wait for TIME_WAIT */
		(void)setsockopt(l->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(l->listen_fd, &a->any, len) != 0 || listen(l->listen_fd, 1) != 0)
		return sim_fail(EX_UNAVAILABLE, "--link %s:%s: %s", l->kind->name, l->address,
		                strerror(errno));
	return 0;
}

static int unix_open(struct sim_link *l)
{
	union address a;
	socklen_t len = unix_address(l, &a);
	int rc;

	if (len == 0)
		return bad_address(l);
	remove_stale(l, &a, len);
	rc = listen_on(l, &a, len);
	l->linked = rc == 0;
	return rc;
}

static int tcp_open(struct sim_link *l)
{
	union address a;
	socklen_t len = tcp_address(l, &a);

	return len == 0 ? bad_address(l) : listen_on(l, &a, len);
}

static int connect_open(struct sim_link *l)
{
	union address a;

	return unix_address(l, &a) == 0 ? bad_address(l) : 0;
}

static int tcp_connect_open(struct sim_link *l)
{
	union address a;

	return tcp_address(l, &a) == 0 ? bad_address(l) : 0;
}

static void no_delay(int fd)
{
	int on = 1;

	/* Small frames should leave at once; other kinds of socket refuse, and need it not. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Local addresses answer at once, so a blocking connect is short. */
static bool connect_to(struct sim_link *l, const union address *a, socklen_t len)
{
	int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	if (connect(fd, &a->any, len) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		(void)close(fd);
		return false;
	}
	no_delay(fd);
	l->fd = fd;
	return true;
}

static bool unix_seek(struct sim_link *l)
{
	union address a;
	socklen_t len = unix_address(l, &a);

	return connect_to(l, &a, len);
}

static bool tcp_seek(struct sim_link *l)
{
	union address a;
	socklen_t len = tcp_address(l, &a);

	return connect_to(l, &a, len);
}

/* Open the other end once: set it raw, and from then on a hang-up tells that nobody has it open. */
static bool pty_prepare(const char *name)
{
	struct termios t;
	int fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	bool ok = fd >= 0 && tcgetattr(fd, &t) == 0;

	if (ok) {
		cfmakeraw(&t);
		ok = tcsetattr(fd, TCSANOW, &t) == 0;
	}
	if (fd >= 0)
		(void)close(fd);
	return ok;
}

/* Only a symbolic link is ever replaced. */
static int pty_symlink(struct sim_link *l, const char *name)
{
	struct stat st;

	if (lstat(l->address, &st) == 0 && S_ISLNK(st.st_mode))
		(void)unlink(l->address);       /* symlink reports it when this failed */
	if (symlink(name, l->address) != 0)
		return sim_fail(EX_CANTCREAT, "--link pty:%s: %s", l->address, strerror(errno));
	l->linked = true;
	return 0;
}

static int pty_open(struct sim_link *l)
{
	char name[64];

	if (*l->address == '\0')
		return bad_address(l);
	l->fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (l->fd < 0 || grantpt(l->fd) != 0 || unlockpt(l->fd) != 0
	    || ptsname_r(l->fd, name, sizeof name) != 0 || !pty_prepare(name))
		return sim_fail(EX_OSERR, "cannot make a pseudo terminal: %s", strerror(errno));
	return pty_symlink(l, name);
}

static bool pty_seek(struct sim_link *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

static const struct sim_link_kind stream_kinds[] = {
	{ .name = "pty", .open = pty_open, .seek = pty_seek, .keeps_fd = true },
	{ .name = "unix", .open = unix_open },
	{ .name = "tcp", .open = tcp_open },
	{ .name = "unix-connect", .open = connect_open, .seek = unix_seek },
	{ .name = "tcp-connect", .open = tcp_connect_open, .seek = tcp_seek },
};
static const struct sim_link_kind *const kinds[] = {
	&stream_kinds[0], &stream_kinds[1], &stream_kinds[2], &stream_kinds[3], &stream_kinds[4],
	&sim_mqtt_kind, NULL
};

int sim_link_open(struct sim_link *l, const char *spec)
{
	const char *colon = strchr(spec, ':');

	*l = (struct sim_link){ .listen_fd = -1, .fd = -1 };
	for (const struct sim_link_kind *const *k = kinds; colon && *k; k++)
		if (strlen((*k)->name) == (size_t)(colon - spec)
		    && strncmp((*k)->name, spec, (size_t)(colon - spec)) == 0) {
			l->kind = *k;
			l->address = colon + 1;
			return l->kind->open(l);
		}
	return sim_fail(EX_USAGE, "--link %s: begin with pty:, unix:, tcp:, unix-connect:, "
	                "tcp-connect: or mqtt:", spec);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);       /* nothing buffered in the descriptor is promised to anyone */
	*fd = -1;
}

void sim_link_done(struct sim_link *l)
{
	if (l->kind && l->kind->lost)
		l->kind->lost(l);
	close_fd(&l->fd);
	close_fd(&l->listen_fd);
	if (l->linked)
		(void)unlink(l->address);
	l->linked = false;
}

static bool wants_write(const struct sim_link *l)
{
	return l->kind->wants_write ? l->kind->wants_write(l) : l->out_len > 0;
}

struct pollfd sim_link_pollfd(const struct sim_link *l)
{
	struct pollfd p = { .fd = -1, .events = 0 };

	if (!l->peer) {
		p.fd = l->listen_fd;
		p.events = POLLIN;
		return p;
	}
	p.fd = l->fd;
	/* A full input buffer waits for the device, as a real wire's flow control would. */
	p.events = (short)((l->in_len < sizeof l->in ? POLLIN : 0) | (wants_write(l) ? POLLOUT : 0));
	return p;
}

static void peer_lost(struct sim_link *l)
{
	l->peer = false;
	l->in_len = l->out_len = 0;
	l->retry_us = 0;
	if (l->kind->lost)
		l->kind->lost(l);
	if (!l->kind->keeps_fd)
		close_fd(&l->fd);
}

static void peer_found(struct sim_link *l)
{
	l->peer = true;
	l->peers++;
}

static void look_for_peer(struct sim_link *l, short revents, int64_t now_us)
{
	if (!l->kind->seek) {
		if (!(revents & POLLIN))
			return;
		l->fd = accept4(l->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (l->fd < 0)
			return;         /* it went away again */
		no_delay(l->fd);
		peer_found(l);
		return;
	}
	if (now_us < l->retry_us)
		return;
	l->retry_us = now_us + (l->kind->keeps_fd ? RETRY_PTY_US : RETRY_CONNECT_US);
	if (l->kind->seek(l))
		peer_found(l);
}

static bool again(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void take_in(struct sim_link *l)
{
	ssize_t n;

	if (l->in_len == sizeof l->in)
		return;
	n = read(l->fd, l->in + l->in_len, sizeof l->in - l->in_len);
	if (n > 0)
		l->in_len += (size_t)n;
	else if (!again(n))
		peer_lost(l);
}

static void push_out(struct sim_link *l)
{
	ssize_t n;

	if (!l->peer || l->out_len == 0)
		return;
	n = write(l->fd, l->out, l->out_len);
	if (n > 0) {
		l->out_len -= (size_t)n;
		memmove(l->out, l->out + n, l->out_len);
	} else if (!again(n)) {
		peer_lost(l);
	}
}

void sim_link_run(struct sim_link *l, short revents, int64_t now_us)
{
	if (!l->peer) {
		look_for_peer(l, revents, now_us);
		return;
	}
	if (l->kind->run) {
		if (!l->kind->run(l, revents))
			peer_lost(l);
		return;
	}
	if (revents & (POLLIN | POLLHUP | POLLERR))
		take_in(l);
	push_out(l);
}

bool sim_link_send(struct sim_link *l, const uint8_t *bytes, size_t n)
{
	if (!l->peer)
		return true;
	if (n > sizeof l->out - l->out_len)
		return false;
	memcpy(l->out + l->out_len, bytes, n);
	l->out_len += n;
	return true;
}

void sim_link_took(struct sim_link *l, size_t n)
{
	l->in_len -= n;
	memmove(l->in, l->in + n, l->in_len);
}
