/* Listening sockets: passed by the service manager, or our own unix socket and TCP port. */
#include "api_req.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

enum { BACKLOG = 128, FIRST_PASSED_FD = 3 };

static int port_of(int fd)
{
	struct sockaddr_in at = { .sin_port = 0 };      /* the port of an AF_INET6 one is there too */
	socklen_t len = sizeof at;

	(void)getsockname(fd, (struct sockaddr *)&at, &len);    /* cannot fail for a listener */
	return ntohs(at.sin_port);
}

/* Where a passed unix socket is; "" when it has no path. */
static void path_of(int fd, char *out, size_t cap)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t len = sizeof at - 1;   /* a final 0 stays, also when the path has none */

	(void)getsockname(fd, (struct sockaddr *)&at, &len);    /* cannot fail for a listener */
	(void)snprintf(out, cap, "%s", at.sun_path);
}

static void sockets_close(struct api_sockets *s)
{
	for (int i = 0; i < s->n; i++)
		(void)close(s->fd[i]);   /* a listener: nothing is buffered */
	s->n = 0;
}

static void sockets_add(struct api_sockets *s, int fd, bool tcp)
{
	s->fd[s->n] = fd;
	s->tcp[s->n++] = tcp;
	if (tcp)
		s->port = port_of(fd);
}

/* --- passed by the service manager (sd_listen_fds(3)) ---------------------------------------------- */

static int passed_count(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	const long n = fds && pid && strtol(pid, NULL, 10) == (long)getpid() ? strtol(fds, NULL, 10) : 0;

	return n < 0 || n > 16 ? 0 : (int)n;
}

/* AF_UNIX, AF_INET or AF_INET6 of a listening stream socket, else -1. */
static int family_of(int fd)
{
	struct sockaddr_storage at = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof at, one = sizeof(int);
	int listening = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &one) != 0 || !listening ||
	    getsockname(fd, (struct sockaddr *)&at, &len) != 0)
		return -1;
	return at.ss_family;
}

static bool has(const struct api_sockets *s, bool tcp)
{
	for (int i = 0; i < s->n; i++)
		if (s->tcp[i] == tcp)
			return true;
	return false;
}

static void take_passed(struct api_sockets *s)
{
	const int n = passed_count();

	for (int fd = FIRST_PASSED_FD; fd < FIRST_PASSED_FD + n; fd++) {
		const int family = family_of(fd);
		const bool tcp = family == AF_INET || family == AF_INET6;

		if ((family != AF_UNIX && !tcp) || has(s, tcp)) {
			log_warn("event=socket_passed fd=%d result=ignored reason=\"one unix and one TCP stream "
			         "socket are used\"", fd);
			continue;
		}
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
			continue;
		sockets_add(s, fd, tcp);
		if (!tcp) {
			s->passed_unix = true;
			path_of(fd, s->passed_path, sizeof s->passed_path);
		}
	}
	(void)unsetenv("LISTEN_PID");    /* not for our children */
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
}

/* --- our own --------------------------------------------------------------------------------------- */

/* True when somebody accepts connections on the socket file. */
static bool answers(const struct sockaddr_un *at)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool yes;

	if (fd < 0)
		return true;             /* not known: leave the file alone */
	yes = connect(fd, (const struct sockaddr *)at, sizeof *at) == 0 || errno == EAGAIN ||
	      errno == EACCES;
	(void)close(fd);                 /* nothing was sent */
	return yes;
}

/* Remove a socket file that nobody listens on. */
static hn_status make_room(const struct sockaddr_un *at, struct hn_err *err)
{
	struct stat st;

	if (lstat(at->sun_path, &st) != 0)
		return HN_OK;            /* it has gone by itself */
	if (!S_ISSOCK(st.st_mode))
		return hn_fail(err, HN_EBUSY, "%s is not a socket: remove it or set status.socket",
		               at->sun_path);
	if (answers(at))
		return hn_fail(err, HN_EBUSY, "%s: another process answers on it: stop it or set "
		               "status.socket", at->sun_path);
	log_info("event=socket_replaced path=%s reason=\"nobody answers on it\"", at->sun_path);
	if (unlink(at->sun_path) != 0 && errno != ENOENT)
		return hn_fail(err, HN_EIO, "%s: %s", at->sun_path, strerror(errno));
	return HN_OK;
}

static hn_status unix_fail(const char *path, int error, struct hn_err *err)
{
	const char *slash = strrchr(path, '/');
	const int dir = slash && slash > path ? (int)(slash - path) : 1;

	if (error == ENOENT)
		return hn_fail(err, HN_EIO, "status.socket: no directory %.*s: create it (mkdir -p) or set "
		               "status.socket", dir, path);
	if (error == EACCES || error == EROFS)
		return hn_fail(err, HN_EIO, "status.socket: %s: %s: give the user of honed the directory or "
		               "set status.socket", path, strerror(error));
	return hn_fail(err, HN_EIO, "status.socket: %s: %s", path, strerror(error));
}

static hn_status bind_unix(int fd, const struct sockaddr_un *at, struct hn_err *err)
{
	hn_status rc;

	if (bind(fd, (const struct sockaddr *)at, sizeof *at) == 0)
		return HN_OK;
	if (errno != EADDRINUSE)
		return unix_fail(at->sun_path, errno, err);
	rc = make_room(at, err);
	if (rc)
		return rc;
	if (bind(fd, (const struct sockaddr *)at, sizeof *at) != 0)
		return unix_fail(at->sun_path, errno, err);
	return HN_OK;
}

static hn_status open_unix(struct api_sockets *s, const char *path, struct hn_err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const size_t n = strlen(path);
	hn_status rc;
	int fd;

	if (n == 0 || n >= sizeof at.sun_path)
		return hn_fail(err, HN_ERANGE, "status.socket: a path of 1 to %zu bytes is needed, this has "
		               "%zu", sizeof at.sun_path - 1, n);
	memcpy(at.sun_path, path, n);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return hn_fail(err, HN_EIO, "status.socket: %s", strerror(errno));
	rc = bind_unix(fd, &at, err);
	/* Before listen: nobody can connect while the mode is still the umask's. */
	if (rc == HN_OK && (chmod(path, 0660) != 0 || listen(fd, BACKLOG) != 0))
		rc = unix_fail(path, errno, err);
	if (rc) {
		(void)close(fd);         /* never listened */
		return rc;
	}
	sockets_add(s, fd, false);
	return HN_OK;
}

static hn_status open_tcp(struct api_sockets *s, int port, struct hn_err *err)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return hn_fail(err, HN_EIO, "status.port: %s", strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
	    bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, BACKLOG) == 0) {
		sockets_add(s, fd, true);
		return HN_OK;
	}
	error = errno;
	(void)close(fd);                 /* never listened */
	if (error == EADDRINUSE)
		return hn_fail(err, HN_EBUSY, "status.port: 127.0.0.1:%d is in use: stop who has it (ss -ltnp) "
		               "or set status.port", port);
	return hn_fail(err, HN_EIO, "status.port: 127.0.0.1:%d: %s", port, strerror(error));
}

hn_status api_listen(struct api_sockets *s, const struct conf *conf, struct hn_err *err)
{
	hn_status rc = HN_OK;

	*s = (struct api_sockets){ .n = 0 };
	take_passed(s);
	if (!has(s, false))
		rc = open_unix(s, conf->status.socket, err);
	if (rc == HN_OK && !has(s, true) && conf->status.port > 0)
		rc = open_tcp(s, conf->status.port, err);
	if (rc)
		sockets_close(s);
	return rc;
}

/* --- the other side -------------------------------------------------------------------------------- */

void api_actor(const struct api_request *q, char *out, size_t cap)
{
	const union MHD_ConnectionInfo *at =
		MHD_get_connection_info(q->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ucred who;
	socklen_t len = sizeof who;
	struct passwd entry, *found = NULL;
	char text[1024];

	if (q->port->tcp || !at || getsockopt(at->connect_fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0) {
		(void)snprintf(out, cap, q->port->tcp ? "tcp" : "unix");
		return;
	}
	if (getpwuid_r(who.uid, &entry, text, sizeof text, &found) == 0 && found)
		(void)snprintf(out, cap, "uid %u (%.16s)", (unsigned)who.uid, found->pw_name);
	else
		(void)snprintf(out, cap, "uid %u", (unsigned)who.uid);
}
