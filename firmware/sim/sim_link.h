/* sim_link.h - the simulated device's wire: a pseudo terminal or a socket, one peer at a time.
 *
 * Over MQTT the peer is the broker.  Nobody at the other end is normal: like a UART's, the bytes
 * sent then are gone, and the next peer starts with whatever is sent next. */
#ifndef SIM_LINK_H
#define SIM_LINK_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIM_LINK_IN = 4096, SIM_LINK_OUT = 65536 };

struct sim_link_kind;
struct mosquitto;

struct sim_link {
	const struct sim_link_kind *kind;
	const char *address;             /* borrowed, without the kind's name                 */
	int  listen_fd, fd;              /* fd: the peer, or the pty's master; -1             */
	bool peer;                       /* somebody is at the other end                      */
	bool linked;                     /* the symbolic link or socket file is ours          */
	int64_t retry_us;                /* when to look for a peer again                     */
	uint8_t in[SIM_LINK_IN];         /* received, not yet taken by the device             */
	uint8_t out[SIM_LINK_OUT];       /* queued; a frame that does not fit is refused      */
	size_t  in_len, out_len;
	uint64_t peers;                  /* so far                                            */
	struct mosquitto *client;        /* over MQTT, or NULL                                */
	char up[128], down[128];         /* its topics                                        */
};

/* `spec` = "pty:PATH", "unix:PATH", "tcp:HOST:PORT", "unix-connect:PATH", "tcp-connect:HOST:PORT",
 * "mqtt:HOST:PORT/TOPIC" (TOPIC/up and TOPIC/down).
 * Returns 0 or a sysexits code after one line on stderr. */
int  sim_link_open(struct sim_link *l, const char *spec);
void sim_link_done(struct sim_link *l);

/* A kind that moves its bytes by other means than read and write; see sim_mqtt.c. */
struct sim_link_kind {
	const char *name;
	int  (*open)(struct sim_link *l);                        /* sysexits code              */
	bool (*seek)(struct sim_link *l);                        /* look for a peer; NULL: listens */
	bool keeps_fd;                                           /* losing the peer keeps fd   */
	bool (*run)(struct sim_link *l, short revents);          /* false: the peer is gone; or NULL */
	bool (*wants_write)(const struct sim_link *l);
	void (*lost)(struct sim_link *l);
};
extern const struct sim_link_kind sim_mqtt_kind;

/* What to poll for; fd = -1 when there is nothing to wait for but time. */
struct pollfd sim_link_pollfd(const struct sim_link *l);

/* Act on poll's answer and on time passing: accept or look for a peer, read, write. */
void sim_link_run(struct sim_link *l, short revents, int64_t now_us);

/* Queue for the peer; true without one.  False when the queue is full. */
bool sim_link_send(struct sim_link *l, const uint8_t *bytes, size_t n);

/* The first `n` received bytes have been taken. */
void sim_link_took(struct sim_link *l, size_t n);
#endif
