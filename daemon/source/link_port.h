/* link_port.h - a descriptor to a device: serial line, pty, TCP or unix socket; never blocks. */
#ifndef LINK_PORT_H
#define LINK_PORT_H

#include <stdbool.h>
#include "src_addr.h"

/* True when the kernel can set this rate. */
bool port_baud_ok(int baud);

/* Open.  Returns the descriptor, or -1 with the reason in `err`.  *connecting: wait until it is
 * writable, then ask port_connected.  A serial line is locked against a second gateway. */
int port_open(const struct addr *a, int baud, unsigned attempt, bool *connecting,
              struct hn_err *err);

/* Is it a pattern such as /dev/serial/by-id/usb-*?  Then port_open takes the next of what is there
 * with each attempt. */
bool port_is_pattern(const struct addr *a);

/* Outcome of a connection attempt: 0 or errno. */
int port_connected(int fd);
#endif
