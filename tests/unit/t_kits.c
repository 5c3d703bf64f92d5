/* The ways to reach a source that the contract tests go through. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>
#include "hd_msg.h"
#include "t_source.h"

static int free_port(int type)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, type, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	(void)close(fd);
	return ntohs(a.sin_port);
}

/* --- file: the peer is the file, opened before the source ------------------------------------- */

static void file_setup(struct t_source *t)
{
	char path[128];

	t_write_csv(t, "rows.csv", 0, path, sizeof path);
	t->peer = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	t_source_set(t, "path", path);
	t_source_set(t, "time", "time");
	t_source_set(t, "time_unit", "us");
	t_source_set(t, "pace", "fast");
}

static void file_connect(struct t_source *t)
{
	(void)t;
}

static size_t csv_encode(int i, char *out, size_t cap)
{
	return (size_t)snprintf(out, cap, "%lld,%d,%d,%d,%d\n", (long long)t_time_us(i), i % 7, i % 5 + 1,
	                        i, -i);
}

/* --- line ------------------------------------------------------------------------------------- */

static int port_now;                     /* of the kit that runs */

static void inet_setup(struct t_source *t, const char *scheme, int type)
{
	char text[64];

	port_now = free_port(type);
	(void)snprintf(text, sizeof text, "%s://127.0.0.1:%d", scheme, port_now);
	t_source_set(t, "listen", text);
	t_source_set(t, "precision", "us");
}

static void tcp_setup(struct t_source *t)
{
	inet_setup(t, "tcp", SOCK_STREAM);
}

static void udp_setup(struct t_source *t)
{
	inet_setup(t, "udp", SOCK_DGRAM);
}

static void inet_connect(struct t_source *t, int type)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)port_now) };

	t->peer = socket(AF_INET, type, 0);
	ck_assert_int_eq(connect(t->peer, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(fcntl(t->peer, F_SETFL, O_NONBLOCK), 0);
}

static void tcp_connect(struct t_source *t)
{
	inet_connect(t, SOCK_STREAM);
}

static void udp_connect(struct t_source *t)
{
	inet_connect(t, SOCK_DGRAM);
}

static struct sockaddr_un unix_address(const struct t_source *t)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	t_source_path(t, "sock", a.sun_path, sizeof a.sun_path);
	return a;
}

static void unix_setting(struct t_source *t, const char *key)
{
	struct sockaddr_un a = unix_address(t);
	char text[160];

	(void)snprintf(text, sizeof text, "unix:%s", a.sun_path);
	t_source_set(t, key, text);
}

static void unix_setup(struct t_source *t)
{
	unix_setting(t, "listen");
	t_source_set(t, "precision", "us");
}

static void unix_connect(struct t_source *t)
{
	struct sockaddr_un a = unix_address(t);

	t->peer = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(t->peer, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(fcntl(t->peer, F_SETFL, O_NONBLOCK), 0);
}

static size_t line_encode(int i, char *out, size_t cap)
{
	return (size_t)snprintf(out, cap, "vib,site=x a=%d,b=%di,c=%d %lld\n", i, -i, i % 7,
	                        (long long)t_time_us(i));
}

/* --- link: the peer is the device's side ------------------------------------------------------ */

static bool is_up(const struct t_source *t)
{
	return t->n_up == t->n_down + 1;
}

static void pty_path(struct t_source *t, char *out, size_t cap)
{
	t_source_path(t, "tty", out, cap);
}

static void pty_setup(struct t_source *t)
{
	char path[128];

	pty_path(t, path, sizeof path);
	t_source_set(t, "port", path);
}

static void pty_connect(struct t_source *t)
{
	char path[128];

	pty_path(t, path, sizeof path);
	(void)unlink(path);
	t->peer = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	ck_assert(t->peer >= 0 && grantpt(t->peer) == 0 && unlockpt(t->peer) == 0);
	ck_assert_int_eq(symlink(ptsname(t->peer), path), 0);
	ck_assert(t_source_run(t, is_up, 10));
}

static void listen_on(struct t_source *t, int family, const void *a, socklen_t len)
{
	int one = 1;

	t->listener = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	(void)setsockopt(t->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	ck_assert_int_eq(bind(t->listener, a, len), 0);
	ck_assert_int_eq(listen(t->listener, 4), 0);
}

static bool accepted(const struct t_source *t)
{
	struct t_source *w = (struct t_source *)(uintptr_t)t;

	if (w->peer < 0)
		w->peer = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK);
	return w->peer >= 0 && is_up(t);
}

static void link_tcp_setup(struct t_source *t)
{
	char text[64];

	port_now = free_port(SOCK_STREAM);
	(void)snprintf(text, sizeof text, "tcp:127.0.0.1:%d", port_now);
	t_source_set(t, "port", text);
}

static void link_tcp_connect(struct t_source *t)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)port_now) };

	if (t->listener < 0)
		listen_on(t, AF_INET, &a, sizeof a);
	ck_assert(t_source_run(t, accepted, 10));
}

static void link_unix_setup(struct t_source *t)
{
	unix_setting(t, "port");
}

static void link_unix_connect(struct t_source *t)
{
	struct sockaddr_un a = unix_address(t);

	if (t->listener < 0)
		listen_on(t, AF_UNIX, &a, sizeof a);
	ck_assert(t_source_run(t, accepted, 10));
}

/* One frame a message, 10 ms apart. */
static size_t samples_encode(int i, char *out, size_t cap)
{
	uint8_t body[10 + 2 * T_CHANNELS + 4];

	ck_assert_uint_ge(cap, HD_WIRE_MAX);
	hd_put32(body, 5000u + (uint32_t)i * 10000u);
	hd_put32(body + 4, 10000);
	body[8] = T_CHANNELS;
	body[9] = 1;
	hd_put16(body + 10, (uint16_t)i);
	hd_put16(body + 12, (uint16_t)-i);
	hd_put16(body + 14, (uint16_t)(i % 7));
	hd_put32(body + 16, (uint32_t)i);
	return hd_frame_write(HD_SAMPLES, (uint8_t)i, 0, body, sizeof body, (uint8_t *)out);
}

const struct t_kit t_kits[] = {
	{ "file", "file", true, true, '\n', true,
	  file_setup, file_connect, csv_encode },
	{ "line-tcp", "line", true, true, '\n', false,
	  tcp_setup, tcp_connect, line_encode },
	{ "line-unix", "line", true, true, '\n', false,
	  unix_setup, unix_connect, line_encode },
	{ "line-udp", "line", false, false, '\n', false,
	  udp_setup, udp_connect, line_encode },
	{ "link-pty", "link", false, true, '\0', false,
	  pty_setup, pty_connect, samples_encode },
	{ "link-tcp", "link", false, true, '\0', false,
	  link_tcp_setup, link_tcp_connect, samples_encode },
	{ "link-unix", "link", false, true, '\0', false,
	  link_unix_setup, link_unix_connect, samples_encode },
	{ .name = NULL }
};

const struct t_kit *t_kit(const char *name)
{
	for (const struct t_kit *k = t_kits; k->name; k++)
		if (strcmp(k->name, name) == 0)
			return k;
	ck_abort_msg("no kit %s", name);
	return NULL;
}
