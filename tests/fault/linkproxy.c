/* linkproxy.c - a bad line between two processes: listens on one unix socket, connects to another.
 *
 *   linkproxy LISTEN CONNECT BAUD SEED FAULTS LEVEL SECONDS
 *
 * FAULTS: names of storm.h with commas; they act on LEVEL of 1000 frames, for SECONDS after each
 * connection, then the line is good.  Runs until it is ended.  SIGUSR1 begins another storm. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "storm_wire.h"

enum { PEERS = 2, TURN_MS = 1, DOWN = 0, UP = 1 };

struct side { int fd; uint8_t frame[HD_WIRE_MAX]; size_t n; };

static struct side side[PEERS];          /* 0: who connected, 1: whom we connected to           */
static struct wire wire[PEERS];          /* from side i to the other                            */
static struct hn_rng rng;
static int64_t stop_us;
static volatile sig_atomic_t again;

static void on_usr1(int signum)
{
	(void)signum;
	again = 1;
}

static int64_t now_us(void)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);        /* cannot fail */
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int fail(const char *what)
{
	fprintf(stderr, "linkproxy: %s: %s\n", what, strerror(errno));
	return -1;
}

static int local(const char *path, bool listens)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0 || strlen(path) >= sizeof a.sun_path)
		return fail(path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (listens)
		(void)unlink(path);              /* bind reports it when this failed */
	if (listens)
		rc = bind(fd, (struct sockaddr *)&a, sizeof a);
	else
		rc = connect(fd, (struct sockaddr *)&a, sizeof a);
	if (rc == 0 && listens)
		rc = listen(fd, 1);
	if (rc == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static bool parse_faults(const char *text, uint32_t *out)
{
	for (*out = 0; *text; ) {
		const size_t n = strcspn(text, ",");
		int i = 0;

		while (i < STORM_FAULTS && (strncmp(storm_fault_names[i], text, n) != 0 ||
		                            storm_fault_names[i][n] != '\0'))
			i++;
		if (i == STORM_FAULTS)
			return false;
		*out |= 1u << i;
		text += n + (text[n] == ',');
	}
	return true;
}

/* Cut what comes into frames; noise without an end goes on as it is. */
static bool take_in(int i)
{
	struct side *s = &side[i];
	uint8_t bytes[4096];
	const ssize_t n = recv(s->fd, bytes, sizeof bytes, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return false;
	for (ssize_t k = 0; k < n; k++) {
		s->frame[s->n++] = bytes[k];
		if (bytes[k] != 0 && s->n < sizeof s->frame)
			continue;
		(void)wire_put(&wire[i], s->frame, s->n, now_us());      /* full: lost, as on a line */
		s->n = 0;
	}
	return true;
}

static bool pass_on(int i)
{
	struct packet p;

	while (wire_take(&wire[i], &p, now_us()))
		if (send(side[!i].fd, p.bytes, p.n, MSG_NOSIGNAL) < 0)
			return false;
	return true;
}

static void serve(uint32_t faults, int64_t storm_us)
{
	bool good = true;

	stop_us = now_us() + storm_us;
	while (good) {
		struct pollfd p[PEERS] = { { side[0].fd, POLLIN, 0 }, { side[1].fd, POLLIN, 0 } };

		if (poll(p, PEERS, TURN_MS) < 0 && errno != EINTR)
			return;
		if (again) {
			again = 0;
			stop_us = now_us() + storm_us;
		}
		for (int i = 0; i < PEERS && good; i++) {
			wire[i].faults = now_us() < stop_us ? faults : 0;
			good = (p[i].revents == 0 || take_in(i)) && pass_on(i);
		}
	}
}

static void connect_both(const char *path, int listener)
{
	side[0] = (struct side){ .fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC) };
	side[1] = (struct side){ .fd = local(path, false) };
	for (int i = 0; i < PEERS; i++)
		wire_clear(&wire[i]);
}

int main(int argc, char **argv)
{
	uint32_t faults;
	int listener;

	if (argc != 8 || !parse_faults(argv[5], &faults)) {
		fprintf(stderr, "usage: linkproxy LISTEN CONNECT BAUD SEED FAULTS LEVEL SECONDS\n");
		return EXIT_FAILURE;
	}
	hn_rng_seed(&rng, strtoull(argv[4], NULL, 10));
	for (int i = 0; i < PEERS; i++) {
		wire[i].baud = (uint32_t)strtoul(argv[3], NULL, 10);
		wire[i].level = (unsigned)strtoul(argv[6], NULL, 10);
		wire[i].rng = &rng;
	}
	(void)signal(SIGUSR1, on_usr1);          /* cannot fail for this signal */
	listener = local(argv[1], true);
	if (listener < 0) {
		(void)fail(argv[1]);
		return EXIT_FAILURE;
	}
	for (;;) {
		connect_both(argv[2], listener);
		if (side[0].fd >= 0 && side[1].fd >= 0)
			serve(faults, strtol(argv[7], NULL, 10) * 1000000L);
		for (int i = 0; i < PEERS; i++)
			if (side[i].fd >= 0)
				(void)close(side[i].fd);         /* the connection is over */
	}
}
