/* A device at a descriptor: serial line, pty, TCP or unix socket. */
#include "src_link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "link_port.h"

enum { READ_BYTES = 4096, READS_MAX = 4 /* a turn */ };

static int stream_open(struct source *s, struct hn_err *why)
{
	struct link_state *st = s->state;

	return port_open(&st->addr, st->set->baud, st->tries, &st->connecting, why);
}

static bool stream_connect(struct source *s, int events, struct hn_err *why)
{
	struct link_state *st = s->state;
	const int error = port_connected(st->fd);

	if (error) {
		(void)hn_fail(why, HN_EIO, "%s", strerror(error));
		return false;
	}
	st->connecting = (events & UV_WRITABLE) == 0;
	return true;
}

static bool stream_read(struct source *s, struct hn_err *why)
{
	struct link_state *st = s->state;
	uint8_t bytes[READ_BYTES];

	for (int i = 0; i < READS_MAX && st->up; i++) {
		ssize_t n = read(st->fd, bytes, sizeof bytes);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			(void)hn_fail(why, HN_EIO, "%s", n < 0 ? strerror(errno) : "the other side has closed it");
			return false;
		}
		link_take(s, bytes, (size_t)n);
	}
	return true;
}

static ssize_t port_write(const struct link_state *st, const uint8_t *p, size_t n)
{
	return st->addr.kind == ADDR_PATH ? write(st->fd, p, n) : send(st->fd, p, n, MSG_NOSIGNAL);
}

static bool stream_write(struct source *s, struct hn_err *why)
{
	struct link_state *st = s->state;

	while (st->len > 0) {
		const struct link_wire *w = &st->queue[st->head];
		ssize_t n = port_write(st, w->bytes + st->sent, w->len - st->sent);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			(void)hn_fail(why, HN_EIO, "%s", strerror(errno));
			return false;
		}
		st->sent += (unsigned)n;
		if (st->sent < w->len)
			break;
		st->head = (st->head + 1) % LINK_QUEUE_MAX;
		st->len--;
		st->sent = 0;
	}
	return true;
}

static bool stream_wants_write(const struct link_state *st)
{
	return st->connecting || st->len > 0;
}

static void stream_close(struct link_state *st)
{
	(void)close(st->fd);            /* nothing can be done for bytes on the way */
}

const struct link_transport link_stream = {
	.open = stream_open, .connect = stream_connect, .read = stream_read, .write = stream_write,
	.wants_write = stream_wants_write, .close = stream_close,
};
