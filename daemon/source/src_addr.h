/* src_addr.h - where a source listens or connects to:
 *   tcp://127.0.0.1:8094  tcp:127.0.0.1:8094  udp://[::1]:8094  unix:/run/x.sock  /dev/ttyACM0
 *   mqtt://127.0.0.1:1883 (the broker of a device)
 *
 * Hosts are numeric, or "localhost": looking up names would block the loop. */
#ifndef SRC_ADDR_H
#define SRC_ADDR_H

#include <sys/socket.h>
#include "conf.h"

enum addr_kind { ADDR_PATH, ADDR_TCP, ADDR_UDP, ADDR_UNIX, ADDR_MQTT };

struct addr {
	enum addr_kind kind;
	char path[CONF_TEXT_MAX];        /* ADDR_PATH, ADDR_UNIX                               */
	struct sockaddr_storage ip;      /* ADDR_TCP, ADDR_UDP, ADDR_MQTT                      */
};

/* Errors: HN_EFORMAT, HN_ERANGE with text. */
hn_status addr_parse(struct addr *a, const char *text, struct hn_err *err);

/* Length of the sockaddr in a->ip. */
socklen_t addr_len(const struct addr *a);
#endif
