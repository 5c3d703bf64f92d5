/* t_api_client.h - the API on a socket of its own, and a client that asks it in the same loop. */
#ifndef T_API_CLIENT_H
#define T_API_CLIENT_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "t_api.h"
#include "t_dir.h"

enum { ANSWER_MAX = 1 << 20 };

static struct t_dir dir;
static uv_loop_t loop;
static struct db *db;
static struct journal *journal;
static struct api *api;
static struct conf *conf;
static struct t_api fake;
static char answer[ANSWER_MAX];

static inline hn_status open_api(struct hn_err *err)
{
	const struct api_ops ops = t_api_ops(&fake);

	fake.journal = journal;
	return api_open(&api, &loop, conf, dir.db, journal, &ops, err);
}

static inline void start(void)
{
	struct hn_err err = { .code = HN_OK };
	struct db_cfg cfg = { dir.db, 0.05 };

	log_set_level(LOG_ERR);
	(void)signal(SIGPIPE, SIG_IGN);
	t_dir_make(&dir);
	cfg.path = dir.db;
	fake = (struct t_api){ .n_labels = 0 };
	conf = conf_new();
	ck_assert_ptr_nonnull(conf);
	t_dir_file(&dir, "api.sock", answer);
	(void)snprintf(conf->status.socket, sizeof conf->status.socket, "%.200s", answer);
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_msg(db_open(&db, &loop, &cfg, &err) == HN_OK, "%s", err.text);
	ck_assert_msg(journal_open(&journal, db, dir.db, &err) == HN_OK, "%s", err.text);
	ck_assert_msg(open_api(&err) == HN_OK, "%s", err.text);
}

static inline void stop(void)
{
	api_close(api);
	api = NULL;
	db_close(db);
	journal_close(journal);
	t_loop_end(&loop);
	free(conf);
	t_dir_remove(&dir);
}

/* --- a client in the same loop ---------------------------------------------------------------- */

static inline int dial(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(at.sun_path, conf->status.socket, strlen(conf->status.socket));
	ck_assert_int_ge(fd, 0);
	ck_assert_msg(connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "connect: %s", strerror(errno));
	return fd;
}

static inline int dial_tcp(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* One turn of the loop; wakes when `fd` or the loop has something to do. */
static inline void turn(int fd)
{
	struct pollfd p[] = { { uv_backend_fd(&loop), POLLIN, 0 }, { fd, POLLIN, 0 } };
	const int ms = uv_backend_timeout(&loop);

	(void)poll(p, 2, ms < 0 || ms > 20 ? 20 : ms);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
}

/* Send everything, turning the loop while the other side has to read first.  False: it hung up. */
static inline bool say(int fd, const char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		const ssize_t n = send(fd, text + at, len - at, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return false;
		if (n > 0)
			at += (size_t)n;
		turn(-1);
	}
	return true;
}

/* Read into `answer` until the other side closes, `until` is there or `seconds` are over. */
static inline bool hear(int fd, const char *until, double seconds)
{
	const uint64_t end = uv_hrtime() + (uint64_t)(seconds * 1e9);
	size_t len = 0;
	ssize_t n;

	answer[0] = '\0';
	while (uv_hrtime() < end) {
		turn(fd);
		n = recv(fd, answer + len, sizeof answer - 1 - len, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return until == NULL;
		len += n > 0 ? (size_t)n : 0;
		answer[len] = '\0';
		if (until && strstr(answer, until))
			return true;
	}
	return false;
}

/* One request; returns the status, the whole answer is in `answer`. */
static inline int ask_fd(int fd, const char *text, size_t len)
{
	(void)say(fd, text, len);
	ck_assert_msg(hear(fd, NULL, 5), "no whole answer: %.200s", answer);
	(void)close(fd);
	return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? (int)strtol(answer + 9, NULL, 10) : 0;
}

static inline int ask(const char *method, const char *path, const char *headers, const char *body)
{
	char text[4096];
	const int n = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: localhost\r\n"
		"Connection: close\r\n%sContent-Length: %zu\r\n\r\n%s",
		method, path, headers, strlen(body), body);

	ck_assert_int_lt(n, (int)sizeof text);
	return ask_fd(dial(), text, (size_t)n);
}

static inline int get(const char *path)
{
	return ask("GET", path, "", "");
}

static inline const char *body_text(void)
{
	const char *b = strstr(answer, "\r\n\r\n");

	return b ? b + 4 : "";
}

static inline json_t *body_json(void)
{
	json_t *o = json_loads(body_text(), JSON_DECODE_ANY, NULL);

	ck_assert_msg(o != NULL, "no JSON: %.300s", answer);
	return o;
}

static inline void add(int n, const char *kind)
{
	for (int i = 0; i < n; i++)
		(void)journal_add(journal, (struct journal_entry){ .kind = kind, .reason = "a line\nbreak" });
}
#endif
